"""Tools that the passes share: substitution in structured code, uses, and dead code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from optdsl.ir.fold import fold
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


def expanded(block: Block, value: Expr) -> Expr:
    """``value`` as one tree: what it refers to of ``block`` put in, and a ``select`` for what an ``If`` merges."""
    values: dict[str, Expr] = {}

    def enter(statements: Block) -> None:
        for stmt in statements:
            if isinstance(stmt, Let):
                values[stmt.name] = substitute(stmt.value, values)
                continue
            condition = substitute(stmt.condition, values)
            enter(stmt.then)
            enter(stmt.orelse)
            for m in stmt.merges:
                values[m.name] = fold("select", condition, substitute(m.then, values), substitute(m.orelse, values))

    enter(block)
    return substitute(value, values)


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
    results = (program.param, *(value for _, value in program.new_states))
    return program.with_body(live_statements(program.body, set().union(*map(names_read, results))))


def defined_names(stmt: Stmt) -> tuple[str, ...]:
    """The SSA names that ``stmt`` itself gives values to."""
    return (stmt.name,) if isinstance(stmt, Let) else tuple(m.name for m in stmt.merges)


def names_read(expr: Expr) -> set[str]:
    """The SSA names that ``expr`` reads."""
    return {node.name for node in walk(expr) if isinstance(node, Ref)}


def live_statements(block: Block, read: set[str]) -> Block:
    """What of ``block`` gives a name in ``read``; ``read`` gets the names that this reads in turn."""
    result: list[Let | If] = []
    for stmt in reversed(block):
        if isinstance(stmt, Let):
            if stmt.name in read:
                result.append(stmt)
                read |= names_read(stmt.value)
        else:
            merges = tuple(m for m in stmt.merges if m.name in read)
            for merge in merges:
                read |= names_read(merge.then) | names_read(merge.orelse)
            then, orelse = live_statements(stmt.then, read), live_statements(stmt.orelse, read)
            if then or orelse or merges:
                result.append(replace(stmt, then=then, orelse=orelse, merges=merges))
                read |= names_read(stmt.condition)
    return tuple(reversed(result))
