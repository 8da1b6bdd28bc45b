"""E201-E210: every name stands at a time that it can have, and only what belongs to this step is assigned."""

from __future__ import annotations

from collections.abc import Iterator

from optdsl.check import walk
from optdsl.check.model import Buffer, CheckedOptimizer, Hyperparameter, Local, Parameter, SymbolTable
from optdsl.source import Diagnostic, Fix, Label
from optdsl.syntax import ast
from optdsl.syntax.ast import Time
from optdsl.syntax.names import display


def check(subject: CheckedOptimizer) -> Iterator[Diagnostic]:
    table = subject.table
    assigned: set[str] = set()
    for stmt in walk.statements(walk.whole(subject.optimizer)):
        if isinstance(stmt, ast.Assign):
            for target in stmt.targets:
                yield from _target(target, table)
        for expr in walk.own_expressions(stmt):
            for inner in walk.read(expr):
                if isinstance(inner, ast.Running):
                    continue
                if isinstance(inner, ast.Name):
                    yield from _read(inner, table, assigned)
        if isinstance(stmt, ast.Assign):
            assigned |= {entry.identifier for entry in map(table.lookup, stmt.targets) if entry is not None}
    declared = (c.condition for i in subject.optimizer.inputs for c in i.constraints)
    states = (e for s in subject.optimizer.states for e in (s.value, s.condition) if e is not None)
    for expr in (*declared, *states):
        for name in walk.names(expr):
            if isinstance(table.lookup(name), Hyperparameter):
                yield from _read(name, table, set())


def _read(name: ast.Name, table: SymbolTable, assigned: set[str]) -> Iterator[Diagnostic]:
    """``assigned`` are the identifiers of what is assigned before."""
    entry, symbol, shown = table.lookup(name), name.symbol, display(name.symbol, name.time)
    now, before = (display(symbol, time) for time in (Time.NOW, Time.PREVIOUS))
    match entry:
        case Hyperparameter(name=declared) if name.time is not declared.time:
            plain = display(symbol, declared.time)
            yield Diagnostic(
                "E201",
                f"`{plain}` is an input and is the same at every time",
                name.span,
                help=f"write `{plain}`",
                labels=(Label(entry.name.span, "the input"),),
                fix=Fix(name.span, plain),
            )
        case Buffer() | Parameter() if name.time is Time.NONE:
            help = f"write `{before}` for its value when the step begins, `{now}` for its value now"
            labels = (Label(entry.declaration.name.span, "the state"),) if isinstance(entry, Buffer) else ()
            yield Diagnostic("E202", f"`{display(symbol)}` stands without a time", name.span, help=help, labels=labels)
        case Buffer(is_anchor=True) if name.time is Time.INITIAL:
            return
        case Buffer() | Parameter() if name.time is Time.INITIAL:
            help = f"write `{before}` for its value when the step begins"
            if isinstance(entry, Parameter):
                help += f", or keep `{shown}` in a state: `x_0 ← {shown}` under `initialize:`"
            yield Diagnostic("E203", f"`{shown}` is only known before the first step", name.span, help=help)
        case Buffer() | Parameter() if name.time is Time.NEXT:
            help = f"a step makes `{now}` from `{before}`; write `{now}` for the new value"
            yield Diagnostic("E204", f"`{shown}` is not known in this step", name.span, help=help)
        case Local(first=first) if name.time in (Time.PREVIOUS, Time.INITIAL):
            beside_input = symbol in table.hyperparameters
            kept = f"`{display(symbol, Time.INITIAL)} ← 0` under `initialize:`"
            yield Diagnostic(
                "E205",
                f"`{now if beside_input else display(symbol)}` is not kept from step to step, so there is no `{shown}`",
                name.span,
                help="keep it in a state of another name" if beside_input else f"declare it as a state: {kept}",
                labels=(Label(first.span, "assigned anew in each step"),),
            )
        case Local(first=first, identifier=identifier) if name.time is not first.time:
            written = display(symbol, first.time)
            may_be_input = name.time is Time.NONE and identifier not in assigned
            yield Diagnostic(
                "E206",
                f"`{shown}` is assigned as `{written}`",
                name.span,
                help=f"declare `{shown}` under `input:`, or write `{written}`"
                if may_be_input
                else f"write `{written}`",
                labels=(Label(first.span, "assigned here"),),
                fix=None if may_be_input else Fix(name.span, written),
            )


def _target(target: ast.Name, table: SymbolTable) -> Iterator[Diagnostic]:
    symbol, shown = target.symbol, display(target.symbol, target.time)
    now = display(symbol, Time.NOW)
    if symbol == ast.Symbol("t"):
        yield Diagnostic("E207", "`t` counts the steps and is not assigned", target.span)
        return
    match table.lookup(target):
        case Hyperparameter() as entry:
            yield Diagnostic(
                "E208",
                f"`{display(symbol)}` is an input and is not assigned",
                target.span,
                help=f"assign `{now}`, a value of this step" if _may_be_local(entry, target) else "assign another name",
                labels=(Label(entry.name.span, "the input"),),
            )
        case Buffer() | Parameter() if target.time is not Time.NOW:
            reasons = {
                Time.PREVIOUS: "is what the step began with",
                Time.INITIAL: "is set under `initialize:` alone",
                Time.NEXT: "belongs to the next step",
                Time.NONE: "stands without a time",
            }
            message = f"`{shown}` {reasons[target.time]}"
            yield Diagnostic("E209", message, target.span, help=f"assign `{now}`", fix=Fix(target.span, now))
        case Local(first=first) if target.time in (Time.PREVIOUS, Time.INITIAL):
            message = f"only this step's values are assigned, not `{shown}`"
            yield Diagnostic("E209", message, target.span, help=f"assign `{now}`", fix=Fix(target.span, now))
        case Local(first=first) if target.time is not first.time:
            yield Diagnostic(
                "E206",
                f"`{shown}` is assigned as `{display(symbol, first.time)}` before",
                target.span,
                help="write both alike",
                labels=(Label(first.span, "assigned here"),),
            )


def _may_be_local(entry: Hyperparameter, target: ast.Name) -> bool:
    """Whether an input ``α`` leaves ``α_t`` to the step, which assigns ``target``."""
    return entry.name.time is Time.NONE and target.time is Time.NONE
