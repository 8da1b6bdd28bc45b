"""Common subexpressions: what has been computed on every way here is not computed again."""

from __future__ import annotations

from dataclasses import replace

from optdsl.ir.nodes import Block, Expr, Let, Op, Program, Rate, Ref, Stmt, children, with_children


def eliminate_common_subexpressions(program: Program) -> Program:
    """Reuses the name of an equal value that stands earlier in the same block or around it."""
    return program.with_body(_block(program.body, {}))


def _block(block: Block, known: dict[Expr, Ref]) -> Block:
    known = dict(known)
    result: list[Stmt] = []
    for stmt in block:
        if isinstance(stmt, Let):
            value = _reuse(stmt.value, known)
            result.append(replace(stmt, value=value))
            rounded = stmt.state is not None and value.type.rate < Rate.ELEMENT
            if isinstance(value, Op) and not rounded:
                known.setdefault(value, stmt.ref)
        else:
            result.append(
                replace(
                    stmt,
                    condition=_reuse(stmt.condition, known),
                    then=_block(stmt.then, known),
                    orelse=_block(stmt.orelse, known),
                )
            )
    return tuple(result)


def _reuse(x: Expr, known: dict[Expr, Ref]) -> Expr:
    if x in known:
        return known[x]
    args = children(x)
    new = tuple(_reuse(a, known) for a in args)
    if new == args:
        return x
    rebuilt = with_children(x, new)
    return known.get(rebuilt, rebuilt)
