"""Solving for θ: where training goes on from what an evaluation made of the parameter."""

from __future__ import annotations

from dataclasses import dataclass

from optdsl.ir.fold import fold
from optdsl.ir.nodes import NOT_ELEMENTWISE, Const, Expr, Op, Param, walk


def inverse(value: Expr) -> Expr | None:
    """The θ of which ``value`` made the parameter, which is ``Param()`` in the result.

    None if ``value`` is not linear in θ, so that it cannot be told.
    """
    linear = _linear(value)
    if linear is None or linear.slope in (None, Const(0)):
        return None
    start = _sum(_product(Param(), linear.divisor), _negated(linear.offset))
    return _quotient(start, linear.slope)


@dataclass(frozen=True)
class _Linear:
    """``(slope θ + offset) / divisor``, element by element; a slope or an offset that is None is 0."""

    slope: Expr | None
    offset: Expr | None
    divisor: Expr = Const(1)

    @property
    def divided(self) -> _Linear:
        return _Linear(_quotient(self.slope, self.divisor), _quotient(self.offset, self.divisor))


def _linear(expr: Expr) -> _Linear | None:
    if expr == Param():
        return _Linear(Const(1), None)
    if not any(node == Param() for node in walk(expr)):
        return _Linear(None, expr)
    if not isinstance(expr, Op) or expr.op in NOT_ELEMENTWISE:
        return None
    parts = [_linear(arg) for arg in expr.args]
    match expr.op, parts:
        case "neg", [_Linear() as x]:
            return _Linear(_negated(x.slope), _negated(x.offset), x.divisor)
        case "add", [_Linear() as x, _Linear() as y]:
            return _added(x, y)
        case "sub", [_Linear() as x, _Linear() as y]:
            return _added(x, _Linear(_negated(y.slope), _negated(y.offset), y.divisor))
        case "mul", [_Linear() as x, _Linear(None)]:
            return _scaled(x, expr.args[1])
        case "mul", [_Linear(None), _Linear() as x]:
            return _scaled(x, expr.args[0])
        case "div", [_Linear() as x, _Linear(None)]:
            divisor = expr.args[1]
            return _Linear(x.slope, x.offset, divisor if x.divisor == Const(1) else fold("mul", x.divisor, divisor))
        case "select", [_Linear(None), _Linear() as x, _Linear() as y]:
            condition, x, y = expr.args[0], x.divided, y.divided
            return _Linear(_choice(condition, x.slope, y.slope), _choice(condition, x.offset, y.offset))
        case _:
            return None


def _scaled(x: _Linear, factor: Expr) -> _Linear:
    return _Linear(_product(x.slope, factor), _product(x.offset, factor), x.divisor)


def _added(x: _Linear, y: _Linear) -> _Linear:
    if x.divisor != y.divisor:
        x, y = x.divided, y.divided
    return _Linear(_sum(x.slope, y.slope), _sum(x.offset, y.offset), x.divisor)


def _negated(x: Expr | None) -> Expr | None:
    match x:
        case None:
            return None
        case Op("neg", (minus,)):
            return minus
        case _:
            return fold("neg", x)


def _sum(x: Expr | None, y: Expr | None) -> Expr | None:
    if x is None or y is None:
        return y if x is None else x
    match y:
        case Op("neg", (minus,)):
            return fold("sub", x, minus)
        case _:
            return fold("add", x, y)


def _product(x: Expr | None, factor: Expr) -> Expr | None:
    return x if x is None or factor == Const(1) else factor if x == Const(1) else fold("mul", x, factor)


def _quotient(x: Expr | None, divisor: Expr) -> Expr | None:
    return x if x is None or divisor == Const(1) else fold("div", x, divisor)


def _choice(condition: Expr, x: Expr | None, y: Expr | None) -> Expr | None:
    return x if x == y else fold("select", condition, x or Const(0), y or Const(0))
