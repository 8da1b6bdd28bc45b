"""Scalar expressions as C: arithmetic in double, conditions as truth values."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import ClassVar

from optdsl.emit.fused.conditions import Flags, is_flag
from optdsl.ir.nodes import Const, DType, Expr, Op

INFIX = {
    "add": ("+", 12),
    "sub": ("-", 12),
    "mul": ("*", 13),
    "div": ("/", 13),
    "lt": ("<", 10),
    "le": ("<=", 10),
    "gt": (">", 10),
    "ge": (">=", 10),
    "eq": ("==", 9),
    "ne": ("!=", 9),
    "and": ("&&", 5),
    "or": ("||", 4),
}
"""Operators and how strongly they bind."""

CALLS = {
    "pow": "pow",
    "sqrt": "sqrt",
    "abs": "fabs",
    "exp": "exp",
    "log": "log",
    "floor": "floor",
    "min": "scalar_minimum",
    "max": "scalar_maximum",
    "sign": "scalar_sign",
}

LARGEST_POWER = 64
"""Integer powers up to this are products."""

_UNARY, _CHOICE, _ATOM = 14, 3, 20


class ScalarPrinter:
    """Prints scalar expressions. ``name`` tells the variable of an atom; ``resolve`` rids a condition of references.

    What the host knows when the kernel is built is printed as the macros of ``flags``.
    """

    calls: ClassVar[Mapping[str, str]] = CALLS

    def __init__(self, flags: Flags, resolve: Callable[[Expr], Expr], name: Callable[[Expr], str]):
        self.flags = flags
        self.resolve = resolve
        self.name = name

    def __call__(self, x: Expr) -> str:
        return self._print(x)[0]

    def condition(self, x: Expr) -> str | None:
        """``x`` over macros, if the host knows it."""
        resolved = self.resolve(x)
        return flag_text(resolved, self.flags)[0] if is_flag(resolved) else None

    def within(self, x: Expr, strength: int) -> str:
        text, own = self._print(x)
        return text if own >= strength else f"({text})"

    def _print(self, x: Expr) -> tuple[str, int]:
        if x.type.dtype is not DType.REAL and is_flag(resolved := self.resolve(x)):
            return flag_text(resolved, self.flags)
        match x:
            case Const(value):
                return self.number(value), _ATOM if value >= 0 else _UNARY  # type: ignore[operator]
            case Op("neg", (a,)):
                return f"-{self.within(a, _UNARY + 1)}", _UNARY
            case Op("not", (a,)):
                return f"!{self.within(a, _UNARY)}", _UNARY
            case Op("select", (c, a, b)):
                return f"{self.within(c, 4)} ? {self.within(a, 4)} : {self.within(b, 4)}", _CHOICE
            case Op("and" | "or" as op, (a, b)):
                symbol, own = INFIX[op]
                return f"{self.within(a, 9)} {symbol} {self.within(b, 9)}", own
            case Op(op, (a, b)) if op in INFIX:
                symbol, own = INFIX[op]
                return f"{self.within(a, own)} {symbol} {self.within(b, own + 1)}", own
            case Op(op, args):
                return f"{self.calls[op]}({', '.join(self(a) for a in args)})", _ATOM
            case _:
                return self.name(x), _ATOM

    def number(self, value: object) -> str:
        return number(value)


class ElementPrinter(ScalarPrinter):
    """Prints expressions on elements, in ``REAL``; ``name`` tells the variable of an atom."""

    calls: ClassVar[Mapping[str, str]] = {
        "sqrt": "SQRT",
        "abs": "ABS",
        "exp": "EXP",
        "log": "LOG",
        "floor": "FLOOR",
        "pow": "POW",
        "sign": "sign",
        "min": "minimum",
        "max": "maximum",
        "bfloat16": "through_bf16",
        "float32": "through_f32",
    }

    def __init__(self, flags: Flags, name: Callable[[Expr], str]):
        super().__init__(flags, lambda x: x, name)

    def number(self, value: object) -> str:
        return f"(REAL){number(value)}"

    def _print(self, x: Expr) -> tuple[str, int]:
        match x:
            case Const(bool() as value):
                return str(int(value)), _ATOM
            case Op("full", (a,)):
                return self._print(a)
            case Op("pow", (a, Const(0.5))):
                return f"SQRT({self(a)})", _ATOM
            case Op("pow", (a, Const(2))) if not isinstance(a, Op):
                return f"{self(a)} * {self(a)}", INFIX["mul"][1]
            case Op("pow", (a, Const(n))) if isinstance(n, int | float) and n == int(n) and 2 <= n <= LARGEST_POWER:
                return f"integer_power({self(a)}, {int(n)})", _ATOM
            case _:
                return super()._print(x)


def flag_text(condition: Expr, flags: Flags) -> tuple[str, int]:
    """A condition that the host knows, over macros."""
    match condition:
        case Const(value):
            return ("1" if value else "0"), _ATOM
        case Op("and" | "or" as op, (a, b)):
            symbol, own = INFIX[op]
            return f"{_bracketed(a, flags)} {symbol} {_bracketed(b, flags)}", own
        case Op("not", (a,)):
            return f"!{_bracketed(a, flags)}", _UNARY
        case _:
            return flags.name(condition), _ATOM


def _bracketed(condition: Expr, flags: Flags) -> str:
    text, strength = flag_text(condition, flags)
    return text if strength >= _UNARY else f"({text})"


def number(value: object) -> str:
    """A literal of type double."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"no number: {value!r}")
    if math.isnan(value):
        return "NAN"
    if math.isinf(value):
        return "INFINITY" if value > 0 else "-INFINITY"
    return repr(float(value))
