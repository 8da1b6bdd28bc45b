"""E722, E901-E911: what a step has not, and what the compiler does not compile yet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from optdsl.check import walk
from optdsl.check.model import CheckedOptimizer
from optdsl.check.vocabulary import NOT_COMPILED
from optdsl.source import Diagnostic, Span
from optdsl.syntax import ast


def _not_yet(code: str, what: str, span: Span, help: str = "") -> Diagnostic:
    return Diagnostic(code, f"{what} is not compiled yet", span, help=help)


def check(subject: CheckedOptimizer) -> Iterator[Diagnostic]:
    optimizer = subject.optimizer
    declared = (
        *(e for s in optimizer.states for e in (s.value, s.condition, s.shape)),
        *(c.condition for i in optimizer.inputs for c in i.constraints),
    )
    for expr in declared:
        yield from () if expr is None else _expression(expr)
    yield from _body(walk.whole(optimizer))
    conditional = [e for stmt in optimizer.body for block in walk.blocks(stmt) for e in walk.expressions(block)]
    braces = [e for e in walk.expressions(optimizer.body) if isinstance(e, ast.Cases)]
    yield from _running(conditional, "under a condition or in a loop")
    yield from _running((e for brace in braces for e in walk.walk(brace)), "in a brace")
    for function in walk.inlined(walk.whole(optimizer), subject.functions):
        yield from _body(function.body)
        yield from _running(walk.expressions(function.body), "in a function")


def _body(body: tuple[ast.Stmt, ...]) -> Iterator[Diagnostic]:
    for stmt in walk.statements(body):
        match stmt:
            case ast.Repeat() | ast.While() | ast.ForRange() | ast.Break() | ast.Append():
                place = replace(stmt.span, end=stmt.span.start + len(stmt.span.text.split("\n")[0].rstrip()))
                what = "loop" if walk.blocks(stmt) else f"`{stmt.span.text.split()[0]}`"
                help = "write a function: `NAME(X; k)` gets tensors and numbers, and returns a tensor"
                yield Diagnostic("E722", f"a step has no {what} of its own", place, help=help)
            case ast.Assign(targets=targets) if len(targets) > 1:
                yield _not_yet("E903", "a function of several results in a step", targets[0].span.to(targets[-1].span))
        for expr in walk.own_expressions(stmt):
            yield from _expression(expr)


def _expression(expr: ast.Expr) -> Iterator[Diagnostic]:
    for inner in walk.walk(expr):
        match inner:
            case ast.Call(function=function, name_span=name_span) if function in NOT_COMPILED:
                message = f"`{function}` ({NOT_COMPILED[function]}) has no place in the step of one tensor"
                yield Diagnostic("E905", message, name_span or inner.span)


def _running(expressions: Iterable[ast.Expr], where: str) -> Iterator[Diagnostic]:
    for expr in expressions:
        if isinstance(expr, ast.Running):
            mend = "give it a line of its own before, where every step reaches it"
            yield _not_yet("E907", f"a running product or sum {where}", expr.span, mend)
