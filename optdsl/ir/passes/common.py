"""Common subexpressions: what has been computed on every way here is not computed again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from optdsl.ir.nodes import Block, Expr, Let, Op, Program, Rate, Ref, Stmt, children, with_children
from optdsl.ir.passes.terms import is_tensor

_ARITHMETIC = frozenset(("add", "sub", "mul", "div", "neg"))
"""A product inside one of these may cost nothing (``addcmul``), so it is not worth a tensor of its own."""


def eliminate_common_subexpressions(program: Program) -> Program:
    """Reuses the name of an equal value that stands earlier in the same block or around it.

    A part that several statements of a block need gets a name, unless a fused operation may compute it in passing.
    """
    return program.with_body(_block(_with_shared_parts(program.body), {}))


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


def _with_shared_parts(block: Block) -> Block:
    """``block`` with a ``Let`` before the first of several statements that have an operand in common."""
    block = tuple(
        s if isinstance(s, Let) else replace(s, then=_with_shared_parts(s.then), orelse=_with_shared_parts(s.orelse))
        for s in block
    )
    whole = {s.value for s in block if isinstance(s, Let)}
    counts = Counter(part for s in block if isinstance(s, Let) for part in set(_operands(s.value)))
    result: list[Stmt] = []
    named: set[Expr] = set()
    for stmt in block:
        if isinstance(stmt, Let):
            for n, part in enumerate(dict.fromkeys(_operands(stmt.value))):
                if counts[part] > 1 and part not in named and part not in whole:
                    named.add(part)
                    result.append(Let(f"shared.{stmt.name}.{n}", part, span=stmt.span))
        result.append(stmt)
    return tuple(result)


def _operands(x: Expr) -> Iterator[Op]:
    """The tensors computed below ``x`` as operands of something that cannot absorb them."""
    for a in children(x):
        if isinstance(x, Op) and x.op not in _ARITHMETIC and isinstance(a, Op) and is_tensor(a):
            yield a
        yield from _operands(a)
