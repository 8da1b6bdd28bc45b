"""What is known where: which conditions follow from the branches that a statement stands in.

A *fact* is a condition known to hold, in a normal form: comparisons have two sides and no ``not`` before them, and
every way to say "not the first step" (``t > 1``, ``t ≥ 2``, ``t ≠ 1``) is the fact ``Step.LATER``.
"""

from __future__ import annotations

from dataclasses import replace
from enum import Enum

from optdsl.check import walk
from optdsl.check.model import PARAMETER, Buffer, Hyperparameter, SymbolTable
from optdsl.ir.nodes import DType
from optdsl.syntax import ast


class Step(Enum):
    """The facts about the step count that matter: a state without initial value is there from the second step on."""

    FIRST = "t = 1"
    LATER = "t > 1"


Fact = tuple[ast.Expr | Step, bool]
"""An expression, and whether it holds."""

_NEGATED = {"=": "≠", "≠": "=", "<": "≥", "≥": "<", ">": "≤", "≤": ">", "is": "is not", "is not": "is"}
_SWAPPED = {"=": "=", "≠": "≠", "<": ">", ">": "<", "≤": "≥", "≥": "≤", "is": "is", "is not": "is not"}
_WEAKER = {">": ("≥", "≠"), "<": ("≤", "≠"), "=": ("≤", "≥")}
_STEPS: dict[tuple[str, float], Step] = {
    (">", 1): Step.LATER,
    ("≥", 2): Step.LATER,
    ("≠", 1): Step.LATER,
    ("=", 1): Step.FIRST,
    ("≤", 1): Step.FIRST,
    ("<", 2): Step.FIRST,
}


def step_test(expr: ast.Expr) -> Step | None:
    """Which steps ``expr`` holds in, if it is a comparison that tells the first step from the later ones."""
    match expr:
        case ast.Compare(operands=(ast.StepTime(), ast.Number(value=number)), ops=(op,)):
            return _STEPS.get((op, number))
        case ast.Compare(operands=(ast.Number(value=number), ast.StepTime()), ops=(op,)):
            return _STEPS.get((_SWAPPED[op], number))
        case _:
            return None


def fallback(expr: ast.Binary, table: SymbolTable | None) -> ast.Cases | None:
    """``ε or x`` between values, as the brace that it stands for: ``ε`` where that is not none, else ``x``."""
    if expr.op != "or" or not isinstance(expr.left, ast.Name) or table is None:
        return None
    entry = table.lookup(expr.left)
    if not (isinstance(entry, Hyperparameter) and entry.dtype is DType.REAL):
        return None
    given = ast.Compare((expr.left, ast.NoneLiteral(expr.left.span)), ("is not",), expr.left.span)
    cases = ast.Case(expr.left, given, expr.left.span), ast.Case(expr.right, None, expr.right.span)
    return ast.Cases(cases, expr.span)


def _of_parameter(expr: ast.Expr) -> ast.Expr:
    """``expr``, where ``dim(g_t)`` is the ``dim(θ)`` that it equals."""
    if isinstance(expr, ast.Call) and expr.function in ("dim", "numel"):
        return replace(expr, arguments=(ast.Name(PARAMETER, ast.Time.INITIAL, expr.span),))
    return expr


def known(condition: ast.Expr, holds: bool = True) -> frozenset[Fact]:
    """The facts that follow from ``condition`` holding (or not holding)."""
    step = step_test(condition)
    if step is not None:
        other = Step.FIRST if step is Step.LATER else Step.LATER
        return frozenset({(step if holds else other, True)})
    match condition:
        case ast.Unary(op="not", operand=operand):
            return known(operand, not holds)
        case ast.Binary(op="and", left=left, right=right) if holds:
            return known(left) | known(right)
        case ast.Binary(op="or", left=left, right=right) if not holds:
            return known(left, False) | known(right, False)
        case ast.Compare(operands=operands, ops=ops, span=span) if holds and len(ops) > 1:
            pairs = (ast.Compare(operands[i : i + 2], (op,), span) for i, op in enumerate(ops))
            return frozenset().union(*(known(pair) for pair in pairs))
        case ast.Compare(operands=(left, right), ops=(op,), span=span):
            if not holds:
                op = _NEGATED[op]
            if isinstance(left, ast.Number):
                left, right, op = right, left, _SWAPPED[op]
            left, right = _of_parameter(left), _of_parameter(right)
            stronger = {op, *_WEAKER.get(op, ())}
            return frozenset((ast.Compare((left, right), (o,), span), True) for o in stronger)
        case _:
            return frozenset({(condition, holds)})


def implies(facts: frozenset[Fact], condition: ast.Expr, holds: bool = True) -> bool:
    """True if ``condition`` certainly holds (or certainly does not) where ``facts`` do."""
    match condition:
        case ast.Unary(op="not", operand=operand):
            return implies(facts, operand, not holds)
        case ast.Binary(op="and" | "or" as op, left=left, right=right):
            together = all if (op == "and") is holds else any
            return together(implies(facts, side, holds) for side in (left, right))
        case ast.Compare(operands=(left, right), ops=(op,), span=span):
            if step_test(condition) is not None:
                return known(condition, holds) <= facts
            if not holds:
                op = _NEGATED[op]
            if isinstance(left, ast.Number):
                left, right, op = right, left, _SWAPPED[op]
            left, right = _of_parameter(left), _of_parameter(right)
            return (ast.Compare((left, right), (op,), span), True) in facts
        case _:
            return known(condition, holds) <= facts


def is_later_step(facts: frozenset[Fact]) -> bool:
    return (Step.LATER, True) in facts


def exists(buffer: Buffer, facts: frozenset[Fact]) -> bool:
    """True if the flag under which ``buffer`` exists is known to hold."""
    condition = buffer.declaration.condition
    return condition is None or implies(facts, condition)


def guarded(stmt: ast.Stmt, table: SymbolTable, facts: frozenset[Fact]) -> tuple[Buffer, ...]:
    """The states without initial value whose presence a step test (``t > 1``) in ``stmt`` decides.

    These are the ones that ``stmt`` reads or assigns and that exist wherever ``stmt`` stands. A step test in a
    statement that touches none is a plain comparison of the step count.
    """
    touched = {
        name.symbol: None
        for inner in walk.statements((stmt,))
        for name in (
            *(inner.targets if isinstance(inner, ast.Assign) else ()),
            *(n for expr in walk.own_expressions(inner) for n in walk.names(expr)),
        )
    }
    buffers = (table.buffers.get(symbol) for symbol in touched)
    return tuple(b for b in buffers if b is not None and b.optional and exists(b, facts))
