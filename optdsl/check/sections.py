"""E605-E610: an optimizer has a step, the step uses the gradient and updates θ, and it returns what follows from θ."""

from __future__ import annotations

from collections.abc import Iterator

from optdsl.check import walk
from optdsl.check.model import PARAMETER, CheckedOptimizer, Local
from optdsl.source import Diagnostic, Fix
from optdsl.syntax import ast
from optdsl.syntax.names import display


def check(subject: CheckedOptimizer) -> Iterator[Diagnostic]:
    optimizer = subject.optimizer
    place = optimizer.name_span
    if not optimizer.body:
        yield Diagnostic(
            "E605",
            f"`{optimizer.name}` has no step",
            place,
            help="write what one step does under `for t = 1 to … do`",
        )
    yield from _returns(subject)
    if not optimizer.body:
        return
    if not any(target.symbol == PARAMETER for target, _ in walk.assignments(optimizer.body)):
        yield Diagnostic(
            "E608",
            f"`{optimizer.name}` never updates θ",
            place,
            help="a step assigns θ: `θ_t ← θ_{t-1} - …`",
        )
    if not any(isinstance(e, ast.Gradient) for e in walk.expressions(optimizer.body)):
        yield Diagnostic(
            "E609",
            f"`{optimizer.name}` never uses the gradient",
            place,
            help="a step begins with `g_t ← ∇f_t(θ_{t-1})`",
        )


def _returns(subject: CheckedOptimizer) -> Iterator[Diagnostic]:
    optimizer = subject.optimizer
    if optimizer.returns is None:
        yield Diagnostic(
            "E606",
            f"`{optimizer.name}` does not return θ",
            optimizer.name_span,
            help="end the optimizer with `return θ_t`",
        )
    else:
        for expr in walk.walk(optimizer.returns):
            yield from _returned(expr, subject)
    for stmt in walk.statements(optimizer.body):
        if isinstance(stmt, ast.Return):
            yield Diagnostic(
                "E610",
                "a step has no `return` of its own",
                stmt.span,
                help="use `if` and `else`; `return θ_t` stands once, after the step",
            )


def _returned(expr: ast.Expr, subject: CheckedOptimizer) -> Iterator[Diagnostic]:
    """What is returned is known after the step: it is made of θ_t, states, inputs and ``t``."""
    shown = expr.span.text if expr.span is not None else ""
    match expr:
        case ast.Tuple(items=()):
            yield Diagnostic("E606", "`return` of nothing", expr.span, help="end the optimizer with `return θ_t`")
        case ast.Tuple(items=items):
            parameter = display(PARAMETER, ast.Time.NOW)
            has_parameter = any(isinstance(i, ast.Name) and i.symbol == PARAMETER for i in items)
            yield Diagnostic(
                "E607",
                f"an optimizer returns `{parameter}` alone, not {len(items)} values",
                expr.span,
                note="the states are kept in any case",
                help=f"write `return {parameter}`",
                fix=Fix(expr.span, parameter) if has_parameter else None,
            )
        case ast.Name(symbol=symbol, time=ast.Time.PREVIOUS) if symbol == PARAMETER or symbol in subject.table.buffers:
            now = display(symbol, ast.Time.NOW)
            fix = Fix(expr.span, now)
            yield Diagnostic(
                "E607", f"`{shown}` is what the step began with", expr.span, help=f"write `{now}`", fix=fix
            )
        case ast.Name() if isinstance(subject.table.lookup(expr), Local):
            state = f"{display(expr.symbol, ast.Time.INITIAL)} ← 0"
            yield Diagnostic(
                "E607",
                f"an optimizer returns `θ_t`, not `{shown}`, which lives for one step",
                expr.span,
                note="what is returned may also follow from `θ_t` and the states, which are kept",
                help=f"to return it, make it a state: `{state}` under `initialize:`",
            )
        case ast.Call(over="all parameters"):
            message = f"`{shown}` is reduced over all parameters, which is done in a step alone"
            yield Diagnostic("E607", message, expr.span, help="keep it in a state, and return what follows from that")
        case ast.Gradient() | ast.Running():
            yield Diagnostic(
                "E607",
                f"an optimizer returns `θ_t`, or what follows from it and the states, not `{shown}`",
                expr.span,
            )
