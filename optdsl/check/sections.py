"""E605-E610: an optimizer has a step, the step uses the gradient, updates θ, and θ is what it returns."""

from __future__ import annotations

from collections.abc import Iterator

from optdsl.check import walk
from optdsl.check.model import PARAMETER, CheckedOptimizer
from optdsl.source import Diagnostic
from optdsl.syntax import ast


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
    yield from _returns(optimizer)
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


def _returns(optimizer: ast.Optimizer) -> Iterator[Diagnostic]:
    match optimizer.returns:
        case None:
            yield Diagnostic(
                "E606",
                f"`{optimizer.name}` does not return θ",
                optimizer.name_span,
                help="end the optimizer with `return θ_t`",
            )
        case ast.Name(symbol=symbol, time=ast.Time.NOW) if symbol == PARAMETER:
            pass
        case other:
            yield Diagnostic(
                "E607",
                f"an optimizer returns `θ_t`, not `{other.span.text}`",
                other.span,
                help="every step leaves the new θ and the states behind; nothing else is returned",
            )
    for stmt in walk.statements(optimizer.body):
        if isinstance(stmt, ast.Return):
            yield Diagnostic(
                "E610",
                "a step has no `return` of its own",
                stmt.span,
                help="use `if` and `else`; `return θ_t` stands once, after the step",
            )
