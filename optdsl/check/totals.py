"""E315: at a reduction over all parameters, all of them meet."""

from __future__ import annotations

from collections.abc import Iterator

from optdsl.check import walk
from optdsl.check.model import CheckedOptimizer
from optdsl.source import Diagnostic
from optdsl.syntax import ast

COMBINED = ("sum", "min", "max")
"""Reductions whose whole follows from the parts of the parameters."""


def check(subject: CheckedOptimizer) -> Iterator[Diagnostic]:
    body = subject.optimizer.body
    for stmt in body:
        for expr in walk.own_expressions(stmt) if isinstance(stmt, ast.Assign) else ():
            yield from _in_braces(expr)
            for total in _totals(expr):
                if total.function not in COMBINED:
                    yield _misplaced(total, f"`{total.function}` is not taken over all parameters", _MEND)
        if not isinstance(stmt, ast.Assign):
            yield from _conditional((stmt,), "under a condition or in a loop")
    for expr in _outside(subject.optimizer):
        for total in _totals(expr):
            yield _misplaced(total, "a reduction over all parameters outside the step", "take it in a line of the step")
    for function in walk.called(body, subject.functions):
        yield from _conditional(function.body, "in a function")


def _outside(optimizer: ast.Optimizer) -> Iterator[ast.Expr]:
    """The expressions that are evaluated of one parameter: before its first step, or after the last."""
    for declaration in optimizer.inputs:
        yield from (constraint.condition for constraint in declaration.constraints)
    for state in optimizer.states:
        yield from (expr for expr in (state.value, state.condition, state.shape) if expr is not None)
    if optimizer.returns is not None:
        yield optimizer.returns


_MEND = "sum, min and max are: the norm of all parameters is `√s` with `s ← sum(x², over all parameters)`"


def _totals(expr: ast.Expr) -> Iterator[ast.Call]:
    return (e for e in walk.walk(expr) if isinstance(e, ast.Call) and e.over == "all parameters")


def _in_braces(expr: ast.Expr) -> Iterator[Diagnostic]:
    for brace in walk.walk(expr):
        if isinstance(brace, ast.Cases):
            for total in _totals(brace):
                yield _misplaced(total, "a reduction over all parameters in a brace")


def _conditional(body: tuple[ast.Stmt, ...], where: str) -> Iterator[Diagnostic]:
    for expr in walk.expressions(body):
        if isinstance(expr, ast.Call) and expr.over == "all parameters":
            yield _misplaced(expr, f"a reduction over all parameters {where}")


def _misplaced(total: ast.Call, message: str, mend: str = "") -> Diagnostic:
    mend = mend or "give it a line of its own before, which every parameter reaches in every step"
    return Diagnostic("E315", message, total.span, help=mend)
