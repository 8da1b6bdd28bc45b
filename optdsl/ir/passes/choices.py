"""Fewer ``select``s: arms that a condition already decides."""

from __future__ import annotations

from collections.abc import Mapping

from optdsl.ir.nodes import Expr, Let, Op, Program, Ref, children, statements, with_children
from optdsl.ir.passes.rewrite import map_program

_EXCLUSIVE = {frozenset(("gt", "lt")), frozenset(("gt", "eq")), frozenset(("lt", "eq"))}
_EXCLUSIVE |= {frozenset(("gt", "le")), frozenset(("lt", "ge")), frozenset(("eq", "ne"))}


def simplify_choices(program: Program) -> Program:
    """``select(c, x, select(d, y, x))`` is ``select(d, y, x)`` where ``c`` and ``d`` never hold together."""
    values = {s.name: s.value for s in statements(program.body) if isinstance(s, Let)}
    return map_program(program, lambda x: _simplified(x, values))


def _simplified(x: Expr, values: Mapping[str, Expr]) -> Expr:
    args = children(x)
    if args:
        x = with_children(x, tuple(_simplified(a, values) for a in args))
    match x:
        case Op("select", (_, a, b)) if a == b:
            return Op("full", (a,)) if x.type.is_tensor and not a.type.is_tensor else a
        case Op("select", (c, a, Op("select", (d, _, b)) as inner)) if a == b and _exclusive(c, d, values):
            return inner
        case _:
            return x


def _exclusive(c: Expr, d: Expr, values: Mapping[str, Expr]) -> bool:
    """Whether two comparisons of the same operands cannot both hold."""
    match _value(c, values), _value(d, values):
        case Op(first, operands), Op(second, others) if operands == others:
            return frozenset((first, second)) in _EXCLUSIVE
        case _:
            return False


def _value(x: Expr, values: Mapping[str, Expr]) -> Expr:
    return values.get(x.name, x) if isinstance(x, Ref) else x
