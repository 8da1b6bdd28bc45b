"""Defaults that are known from elsewhere than the box, such as the signature of the class that the box documents."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from optdsl.source import Span
from optdsl.syntax import ast
from optdsl.syntax.ast import Symbol
from optdsl.syntax.names import python_name


def with_defaults(optimizer: ast.Optimizer, defaults: Mapping[str, object]) -> tuple[ast.Optimizer, frozenset[Symbol]]:
    """``optimizer`` with the defaults of the arguments that its inputs are, and the first symbols of these inputs.

    An input is the argument that its Python name tells, else that its symbol does (``ρ``: ``rho``). The values of a
    tuple go to symbols that are in order (``β₁, β₂``); others stay open: a box may list them the other way round.
    """
    inputs, filled = [], set()
    for declaration in optimizer.inputs:
        own = declaration.python_name or python_name(declaration.names[0].symbol)
        names = (own, python_name(declaration.names[0].symbol))
        argument = next((name for name in names if name in defaults), None)
        values = None if argument is None else _values(defaults[argument], declaration)
        if argument is not None and values is not None:
            filled.add(declaration.names[0].symbol)
            renamed = argument if argument != own or declaration.python_name else None
            declaration = replace(declaration, defaults=values, python_name=renamed)
        inputs.append(declaration)
    return replace(optimizer, inputs=tuple(inputs)), frozenset(filled)


def _values(value: object, declaration: ast.Input) -> tuple[ast.Expr, ...] | None:
    values = tuple(value) if isinstance(value, tuple | list) else (value,)
    symbols = [name.symbol for name in declaration.names]
    ordered = symbols == sorted(symbols, key=lambda s: (s.base, s.subscript))
    numbered = all(s.subscript.isdigit() or not s.subscript for s in symbols)
    if len(values) != len(symbols) or (len(symbols) > 1 and not (ordered and numbered)):
        return None
    literals = [_literal(v, declaration.span) for v in values]
    return None if None in literals else tuple(x for x in literals if x is not None)


def _literal(value: object, span: Span) -> ast.Expr | None:
    match value:
        case None:
            return ast.NoneLiteral(span)
        case bool():
            return ast.Bool(value, span)
        case int() | float() if math.isfinite(value):
            number = ast.Number(abs(value), "", span)
            return ast.Unary("-", number, span) if value < 0 else number
        case str() if value.isprintable():
            return ast.String(value, span)
    return None
