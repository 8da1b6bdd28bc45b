"""Tools that the passes share: substitution in structured code, uses, and dead code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from optdsl.ir.nodes import (
    Block,
    Expr,
    If,
    Let,
    Program,
    Ref,
    Stmt,
    children,
    statements,
    walk,
    with_children,
)


def substitute(expr: Expr, values: Mapping[str, Expr]) -> Expr:
    """``expr`` with every reference to a name in ``values`` replaced."""
    if isinstance(expr, Ref):
        return values.get(expr.name, expr)
    args = children(expr)
    new = tuple(substitute(a, values) for a in args)
    return expr if new == args else with_children(expr, new)


def map_expressions(block: Block, f: Callable[[Expr], Expr]) -> Block:
    """Every expression of ``block`` (values, conditions, merged atoms) passed through ``f``."""
    result: list[Stmt] = []
    for stmt in block:
        if isinstance(stmt, Let):
            result.append(replace(stmt, value=f(stmt.value)))
        else:
            result.append(
                replace(
                    stmt,
                    condition=f(stmt.condition),
                    then=map_expressions(stmt.then, f),
                    orelse=map_expressions(stmt.orelse, f),
                    merges=tuple(replace(m, then=f(m.then), orelse=f(m.orelse)) for m in stmt.merges),
                )
            )
    return tuple(result)


def map_program(program: Program, f: Callable[[Expr], Expr]) -> Program:
    """Every expression of the step passed through ``f``, its results included."""
    return replace(
        program,
        body=map_expressions(program.body, f),
        param=f(program.param),
        new_states=tuple((key, f(value)) for key, value in program.new_states),
    )


def substitute_program(program: Program, values: Mapping[str, Expr]) -> Program:
    return map_program(program, lambda x: substitute(x, values)) if values else program


def expressions(program: Program) -> Iterator[Expr]:
    """Every expression that the step reads, its results included."""
    for stmt in statements(program.body):
        if isinstance(stmt, Let):
            yield stmt.value
        else:
            yield stmt.condition
            for m in stmt.merges:
                yield m.then
                yield m.orelse
    yield program.param
    for _, value in program.new_states:
        yield value


def uses(program: Program) -> Counter[str]:
    """How often each SSA name is read."""
    return Counter(node.name for e in expressions(program) for node in walk(e) if isinstance(node, Ref))


def remove_dead_code(program: Program) -> Program:
    """Drops what nothing reads, to the last unread name."""
    while True:
        count = uses(program)
        body = _live(program.body, count)
        if body == program.body:
            return program
        program = program.with_body(body)


def _live(block: Block, count: Counter[str]) -> Block:
    result: list[Let | If] = []
    for stmt in block:
        if isinstance(stmt, Let):
            if count[stmt.name]:
                result.append(stmt)
        else:
            merges = tuple(m for m in stmt.merges if count[m.name])
            then, orelse = _live(stmt.then, count), _live(stmt.orelse, count)
            if then or orelse or merges:
                result.append(replace(stmt, then=then, orelse=orelse, merges=merges))
    return tuple(result)
