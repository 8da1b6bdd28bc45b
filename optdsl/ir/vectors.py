"""Whether a program can take a parameter that is a vector or a number, which has no rows and columns to work on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from optdsl.ir.fold import fold
from optdsl.ir.nodes import (
    MATRIX_OPERATIONS,
    NOT_ELEMENTWISE,
    Block,
    Call,
    Check,
    Const,
    Expr,
    Extent,
    Hyper,
    Let,
    Op,
    ParamFact,
    ParamSize,
    Program,
    Rate,
    Ref,
    Size,
    children,
    walk,
    with_children,
)
from optdsl.ir.passes.rewrite import remove_dead_code, substitute
from optdsl.ir.procedures import expressions

OF_VECTOR = {"dim": Const(1), "rows": Const(1)}
"""What is known of every vector."""


def refusing_vectors(program: Program) -> Program:
    """``program`` with a check that a parameter is a matrix, or a batch of them, where every step needs one.

    What only some hyperparameters ask for is not checked, nor what the spec itself checks.
    """
    needed = any(_needs_matrix(program, x) for x in _evaluated(program))
    if not needed or any(of_vector(check.condition) == Const(False) for check in program.param_checks):
        return program
    takes = (f"{program.name} takes parameters with two dimensions or more, not ", ParamSize())
    check = Check(Op("ge", (ParamFact("dim"), Const(2))), takes, "params")
    return replace(program, param_checks=(*program.param_checks, check))


def of_vector(expr: Expr) -> Expr:
    """``expr`` where θ is a vector."""
    if isinstance(expr, ParamFact):
        return OF_VECTOR.get(expr.name, expr)
    if isinstance(expr, Op) and expr.op == "identity":
        return expr
    args = tuple(of_vector(a) for a in children(expr))
    return fold(expr.op, *args) if isinstance(expr, Op) else with_children(expr, args)


def _evaluated(program: Program) -> Iterator[Expr]:
    """What is evaluated of a vector in the end, whatever the hyperparameters are."""
    yield from _of_block(remove_dead_code(program).body, {})
    for state in program.states:
        if state.initial is not None and (state.condition is None or of_vector(state.condition) == Const(True)):
            yield from _nodes(of_vector(state.initial))
    if program.evaluation is not None:
        yield from _nodes(of_vector(program.evaluation.value))


def _of_block(block: Block, values: dict[str, Expr]) -> Iterator[Expr]:
    """The nodes of ``block``; ``values`` holds the names that the host knows, and gets those of ``block``."""
    for stmt in block:
        if isinstance(stmt, Let):
            value = of_vector(substitute(stmt.value, values))
            if value.type.rate <= Rate.STEP:
                values[stmt.name] = value
            yield from _nodes(value)
            continue
        condition = of_vector(substitute(stmt.condition, values))
        yield from _nodes(condition)
        if isinstance(condition, Const):
            yield from _of_block(stmt.then if condition.value else stmt.orelse, values)
        elif not _is_optional(condition):
            yield from _of_block(stmt.then, values)
            yield from _of_block(stmt.orelse, values)


def _nodes(expr: Expr) -> Iterator[Expr]:
    """``expr`` and what is below it, without the arms of a choice that may never be taken."""
    yield expr
    for child in children(expr):
        if not (isinstance(expr, Op) and expr.op == "select" and _is_optional(expr.args[0]) and child in expr.args[1:]):
            yield from _nodes(child)


def _is_optional(condition: Expr) -> bool:
    """Whether ``condition`` depends on hyperparameters, or on what is not known here."""
    return condition.type.rate < Rate.TENSOR and any(isinstance(n, Hyper | Ref | ParamFact) for n in walk(condition))


def _needs_matrix(program: Program, expr: Expr) -> bool:
    match expr:
        case Op("matmul", (a, _)):
            return a.type.shape.cols is not Extent.ONE  # a column times a row is elementwise
        case Op(op):
            return op in MATRIX_OPERATIONS
        case Call(function=name):
            called = _called(program, name)
            return any(_looks_at_sides(x) for p in program.procedures if p.name in called for x in expressions(p.body))
        case _:
            return False


def _called(program: Program, name: str) -> set[str]:
    """``name`` and the procedures that it calls, directly or not."""
    calls = {p.name: {x.function for x in expressions(p.body) if isinstance(x, Call)} for p in program.procedures}
    found: set[str] = set()
    new = {name}
    while new:
        found |= new
        new = set().union(*(calls.get(called, set()) for called in new)) - found
    return found


def _looks_at_sides(expr: Expr) -> bool:
    """Whether ``expr``, in a procedure, is of a matrix: what it reduces there are the last two dimensions."""
    return isinstance(expr, Size) or (isinstance(expr, Op) and expr.op in NOT_ELEMENTWISE)
