"""Intervals that scalar expressions lie in, from the constraints on the hyperparameters.

``√(c x) = √c √x`` holds only for ``c ≥ 0``: whoever pulls a factor out of a root asks here first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from optdsl.ir.nodes import REDUCTIONS, Const, Expr, Hyper, Let, Op, ParamFact, Program, Rate, Ref, Time, statements


@dataclass(frozen=True)
class Interval:
    """All x with ``low ≤ x ≤ high``, the ends themselves left out where open."""

    low: float = -math.inf
    high: float = math.inf
    low_open: bool = False
    high_open: bool = False

    @property
    def nonnegative(self) -> bool:
        return self.low >= 0

    @property
    def positive(self) -> bool:
        return self.low > 0 or (self.low == 0 and self.low_open)

    @property
    def below_one(self) -> bool:
        return self.high < 1 or (self.high == 1 and self.high_open)


ANY = Interval()
_NONNEGATIVE = Interval(0.0)
_POSITIVE = Interval(0.0, low_open=True)


class Ranges:
    """The interval of every scalar expression of ``program``."""

    def __init__(self, program: Program):
        self._hypers: dict[str, Interval] = {}
        for check in program.checks:
            self._learn(check.condition)
        self._values: Mapping[str, Expr] = {
            s.name: s.value
            for s in statements(program.body)
            if isinstance(s, Let) and s.state is None and s.value.type.rate < Rate.ELEMENT
        }

    def _learn(self, condition: Expr) -> None:
        match condition:
            case Op("and", (a, b)):
                self._learn(a)
                self._learn(b)
            case Op("le" | "lt" as op, (Const(value), Hyper(name))) | Op(
                "ge" | "gt" as op, (Hyper(name), Const(value))
            ):
                if isinstance(value, int | float):
                    old = self._hypers.get(name, ANY)
                    if value >= old.low:
                        strict = op in ("lt", "gt")
                        self._hypers[name] = Interval(float(value), old.high, strict, old.high_open)
            case Op("le" | "lt" as op, (Hyper(name), Const(value))) | Op(
                "ge" | "gt" as op, (Const(value), Hyper(name))
            ):
                if isinstance(value, int | float):
                    old = self._hypers.get(name, ANY)
                    if value <= old.high:
                        strict = op in ("lt", "gt")
                        self._hypers[name] = Interval(old.low, float(value), old.low_open, strict)
            case _:
                return

    def of(self, expr: Expr) -> Interval:
        """The interval of ``expr``; :data:`ANY` where nothing is known."""
        match expr:
            case Const(bool()):
                return ANY
            case Const(int() | float() as value):
                return Interval(float(value), float(value))
            case Hyper(name):
                return self._hypers.get(name, ANY)
            case Time():
                return Interval(1.0)
            case Ref(name) if name in self._values:
                return self.of(self._values[name])
            case ParamFact():
                return _NONNEGATIVE
            case Op("sqrt" | "abs", _):
                return _NONNEGATIVE
            case Op(op, _) if op in REDUCTIONS and REDUCTIONS[op].fold in ("norm", "rms"):
                return _NONNEGATIVE
            case Op("exp", _):
                return _POSITIVE
            case Op("pow", (_, Const(int() as n))) if n % 2 == 0:
                return _NONNEGATIVE
            case Op("pow", (base, exponent)):
                return self._power(self.of(base), self.of(exponent))
            case Op("sub", (Const(1), x)):
                r = self.of(x)
                return Interval(1 - r.high, 1 - r.low, r.high_open, r.low_open)
            case Op("add", (a, b)):
                p, q = self.of(a), self.of(b)
                return Interval(p.low + q.low, p.high + q.high, p.low_open or q.low_open, p.high_open or q.high_open)
            case Op("mul" | "div" as op, (a, b)):
                p, q = self.of(a), self.of(b)
                if p.nonnegative and (q.positive if op == "div" else q.nonnegative):
                    return Interval(0.0, low_open=p.positive and q.positive)
                return ANY
            case Op("max", (a, b)):
                return _NONNEGATIVE if self.of(a).nonnegative or self.of(b).nonnegative else ANY
            case Op("min", (a, b)):
                return _NONNEGATIVE if self.of(a).nonnegative and self.of(b).nonnegative else ANY
            case _:
                return ANY

    @staticmethod
    def _power(base: Interval, exponent: Interval) -> Interval:
        if not base.nonnegative:
            return ANY
        if base.below_one and exponent.positive:
            return Interval(0.0, 1.0, base.positive, True)
        return Interval(0.0, low_open=base.positive)
