"""The value of a constant expression."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping

from optdsl.syntax import ast

Value = int | float | bool | str

_UNARY: dict[str, Callable] = {"-": operator.neg, "not": operator.not_}
_BINARY: dict[str, Callable] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "mod": lambda a, b: a - b * math.floor(a / b),
    "^": lambda a, b: float(a) ** b,
    "and": lambda a, b: a and b,
    "or": lambda a, b: a or b,
}
_COMPARE: dict[str, Callable] = {
    "=": operator.eq,
    "≠": operator.ne,
    "<": operator.lt,
    "≤": operator.le,
    ">": operator.gt,
    "≥": operator.ge,
}
_CALLS: dict[str, Callable] = {
    "sqrt": math.sqrt,
    "abs": abs,
    "exp": math.exp,
    "log": math.log,
    "floor": math.floor,
    "ceil": math.ceil,
    "min": min,
    "max": max,
}


def evaluate(expr: ast.Expr, values: Mapping[ast.Name, Value | None]) -> Value | None:
    """The value of ``expr`` where names stand for ``values``; None where it has none that is known."""
    try:
        value = _evaluate(expr, values)
    except (ArithmeticError, ValueError, TypeError):
        return None
    return None if isinstance(value, complex) else value


def _evaluate(expr: ast.Expr, values: Mapping[ast.Name, Value | None]) -> Value | None:
    match expr:
        case ast.Number(value=value) | ast.Bool(value=value) | ast.String(value=value):
            return value
        case ast.Name():
            return values.get(expr)
        case ast.Unary(op=op, operand=operand):
            return _apply(_UNARY[op], _evaluate(operand, values)) if op in _UNARY else None
        case ast.Binary(op=op, left=left, right=right) if op in _BINARY:
            sides = [_evaluate(left, values), _evaluate(right, values)]
            decisive = {"and": False, "or": True}.get(op)  # whatever the other side is
            return decisive if decisive is not None and decisive in sides else _apply(_BINARY[op], *sides)
        case ast.Compare(operands=operands, ops=ops):
            sides = [_evaluate(operand, values) for operand in operands]
            if any(op not in _COMPARE for op in ops):
                return None
            results = [_apply(_COMPARE[op], *sides[i : i + 2]) for i, op in enumerate(ops)]
            return None if None in results else all(results)
        case ast.Call(function=function, arguments=arguments) if function in _CALLS:
            return _apply(_CALLS[function], *(_evaluate(a, values) for a in arguments))
        case _:
            return None


def _apply(function: Callable, *arguments: Value | None) -> Value | None:
    return None if None in arguments else function(*arguments)
