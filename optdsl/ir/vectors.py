"""Whether a program can take a parameter that is a vector or a number, which has no rows and columns to work on, or one
that has no elements.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial, reduce
from itertools import combinations

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
    MessagePart,
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

SIZES = frozenset(("rows", "cols", "numel"))
"""The facts that are 0 of a parameter without elements, or can be."""
OF_VECTOR = {"dim": Const(1), "rows": Const(1)}
"""What is known of every vector."""


When = tuple[Expr, ...]
"""Conditions on hyperparameters that all hold where something is evaluated; each may rely on those before it."""
ALWAYS: When = ()


def refusing_vectors(program: Program) -> Program:
    """``program`` with a check that a parameter is a matrix, or a batch of them, where its steps need one.

    Where hyperparameters decide whether they do, so does the check. What the step count decides together with them is
    not checked, nor what the spec itself checks.
    """
    found = dict.fromkeys(when for x, when in _evaluated(program) if _needs_matrix(program, x))
    if not found or any(of_vector(check.condition) == Const(False) for check in program.param_checks):
        return program
    needed = reduce(partial(fold, "or"), map(_all, _least(found)))
    takes: list[MessagePart] = [program.name]
    for scalar in program.scalars:
        if any(isinstance(node, Hyper) and node.name == scalar.name for node in walk(needed)):
            takes += [" with " if len(takes) == 1 else ", ", f"{scalar.name}=", scalar]
    takes += [" takes parameters with two dimensions or more, not ", ParamSize()]
    condition = fold("or", Op("ge", (ParamFact("dim"), Const(2))), fold("not", needed))
    check = Check(condition, tuple(takes), "params")
    return replace(program, param_checks=(*program.param_checks, check))


def needs_elements(program: Program) -> bool:
    """Whether ``program`` asks for sizes. They may be divisors, so a parameter of which one is 0 makes no step."""
    read = [*program.everywhere(), *(s.initial for s in program.states if s.initial is not None)]
    nodes = (node for x in read for node in walk(x))
    if any(isinstance(node, ParamFact) and node.name in SIZES for node in nodes):
        return True
    return any(isinstance(x, Size) for p in program.procedures for x in expressions(p.body))


def _least(found: Iterable[When]) -> list[When]:
    """The fewest conditions that say as much as ``found``: one of two that differ in ``a`` and ``not a`` alone."""
    whens = list(found)
    for one, other in combinations(whens, 2):
        mine, theirs = set(one) - set(other), set(other) - set(one)
        if len(mine) == len(theirs) == 1 and fold("not", *mine) in theirs:
            both = tuple(condition for condition in one if condition not in mine)
            return _least([*(when for when in whens if not set(when) >= set(both)), both])
    return [when for when in whens if not any(set(other) < set(when) for other in whens)]


def _all(when: When) -> Expr:
    condition: Expr = Const(True)
    for part in when:
        condition = fold("and", condition, part)
    return condition


def of_vector(expr: Expr) -> Expr:
    """``expr`` where θ is a vector."""
    if isinstance(expr, ParamFact):
        return OF_VECTOR.get(expr.name, expr)
    if isinstance(expr, Op) and expr.op == "identity":
        return expr
    args = tuple(of_vector(a) for a in children(expr))
    return fold(expr.op, *args) if isinstance(expr, Op) else with_children(expr, args)


def _evaluated(program: Program) -> Iterator[tuple[Expr, When]]:
    """What is evaluated of a vector in the end, and under which conditions."""
    yield from _of_block(remove_dead_code(program).body, {}, ALWAYS)
    for state in program.states:
        if state.initial is not None:
            exists = Const(True) if state.condition is None else of_vector(state.condition)
            for when in _where(exists, ALWAYS):
                yield from _nodes(of_vector(state.initial), when)
    if program.evaluation is not None:
        yield from _nodes(of_vector(program.evaluation.value), ALWAYS)


def _of_block(block: Block, values: dict[str, Expr], when: When) -> Iterator[tuple[Expr, When]]:
    """The nodes of ``block``; ``values`` holds the names that the host knows, and gets those of ``block``."""
    for stmt in block:
        if isinstance(stmt, Let):
            value = of_vector(substitute(stmt.value, values))
            if value.type.rate <= Rate.STEP:
                values[stmt.name] = value
            yield from _nodes(value, when)
            continue
        condition = of_vector(substitute(stmt.condition, values))
        yield from _nodes(condition, when)
        for then in _where(condition, when):
            yield from _of_block(stmt.then, values, then)
        for otherwise in _where(fold("not", condition), when):
            yield from _of_block(stmt.orelse, values, otherwise)


def _nodes(expr: Expr, when: When) -> Iterator[tuple[Expr, When]]:
    """``expr`` and what is below it."""
    yield expr, when
    if not (isinstance(expr, Op) and expr.op == "select"):
        for child in children(expr):
            yield from _nodes(child, when)
        return
    condition, chosen, other = expr.args
    yield from _nodes(condition, when)
    for then in _where(condition, when):
        yield from _nodes(chosen, then)
    for otherwise in _where(fold("not", condition), when):
        yield from _nodes(other, otherwise)


def _where(condition: Expr, when: When) -> Iterator[When]:
    """``when``, and ``condition`` with it; nothing where that cannot be, or cannot be known from hyperparameters."""
    if isinstance(condition, Const):
        if condition.value:
            yield when
    elif isinstance(condition, Op) and condition.op == "and":
        for first in _where(condition.args[0], when):
            yield from _where(condition.args[1], first)
    elif condition.type.rate == Rate.GROUP and not any(isinstance(n, Ref) for n in walk(condition)):
        if fold("not", condition) not in when:
            yield when if condition in when else (*when, condition)
    elif condition.type.rate >= Rate.TENSOR or not any(isinstance(n, Hyper | Ref | ParamFact) for n in walk(condition)):
        yield when


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
