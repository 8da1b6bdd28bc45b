"""Building operations, with what is already known computed: ``Const`` in, ``Const`` out."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable

from optdsl.ir.nodes import Const, Expr, Op


def _pow(a: float, b: float) -> float:
    """``a ** b``; of integers only where the result has at most 1024 bits."""
    if isinstance(a, int) and isinstance(b, int) and a.bit_length() * b > 1024:
        raise OverflowError
    return a**b


_VALUES: dict[str, Callable] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    "pow": _pow,
    "min": min,
    "max": max,
    "neg": operator.neg,
    "sqrt": math.sqrt,
    "abs": abs,
    "sign": lambda x: (x > 0) - (x < 0),
    "exp": math.exp,
    "log": math.log,
    "floor": math.floor,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "eq": operator.eq,
    "ne": operator.ne,
    "and": lambda a, b: a and b,
    "or": lambda a, b: a or b,
    "not": operator.not_,
    "select": lambda condition, a, b: a if condition else b,
}


def fold(op: str, *args: Expr) -> Expr:
    """``Op(op, args)``, or the constant it is, or the argument that decides it (``true and a`` is ``a``).

    What has no finite real value (``1 / 0``), and arithmetic on ``none``, stays an ``Op``.
    """
    if op in _VALUES and all(isinstance(a, Const) for a in args):
        try:
            value = _VALUES[op](*(a.value for a in args if isinstance(a, Const)))
        except (ArithmeticError, ValueError, TypeError):
            return Op(op, args)
        return Op(op, args) if isinstance(value, complex) else Const(value)
    match op, args:
        case "and", (Const(True), other) | (other, Const(True)):
            return other
        case "or", (Const(False), other) | (other, Const(False)):
            return other
        case ("and", (Const(False) as decided, _) | (_, Const(False) as decided)) | (
            "or",
            (Const(True) as decided, _) | (_, Const(True) as decided),
        ):
            return decided
        case "not", (Op("not", (inner,)),):
            return inner
        case "select", (Const(value), a, b):
            return a if value else b
        case _:
            return Op(op, args)
