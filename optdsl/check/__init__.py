"""Checks: names, time and types of a module, and the optimizers in it ready for lowering."""

from __future__ import annotations

from dataclasses import replace

from optdsl.check import (
    concepts,
    flow,
    identifiers,
    inputs,
    modules,
    names,
    sections,
    size,
    states,
    stored,
    time,
    totals,
    transforms,
)
from optdsl.check.applying import change
from optdsl.check.collect import collect
from optdsl.check.imperative import check_flat
from optdsl.check.model import PARAMETER, Analysis, CheckedOptimizer, Report
from optdsl.check.types import check as check_types
from optdsl.check.types import infer_rates
from optdsl.source import Diagnostic, Severity, Span
from optdsl.syntax import ast

__all__ = ["FIRST_RULES", "RULES", "Analysis", "CheckedOptimizer", "analyse"]

FIRST_RULES = (identifiers.check, sections.check, names.check, stored.check_where)
"""Rules that hold for every optimizer, compiled or not."""

RULES = (inputs.check, states.check, time.check, flow.check, check_types, totals.check, stored.check)
"""Rules for what the compiler compiles: where it meets a concept that it does not, they would mislead."""

FLAT_RULES = (identifiers.check, inputs.check, states.check, check_flat)
"""Rules for optimizers over flat θ, whose steps are imperative code."""


def analyse(module: ast.Module, load: modules.Load) -> Analysis:
    """Checks ``module``; ``load`` finds the module that an import names, or says why it cannot.

    Reports every mistake. An optimizer with a mistake is not among the analysis' optimizers.
    """
    report = Report()
    scope = modules.open_scope(module, load, report)
    for transform in module.transforms:
        for diagnostic in transforms.check(transform):
            report.add(diagnostic)
    optimizers = []
    for optimizer, home in scope.optimizers.values():
        if home is scope:
            checked = _check(optimizer, scope, report)
            if checked is not None:
                optimizers.append(checked)
    for transform in module.transforms:
        _check_transform(transform, scope, report)
    return Analysis(tuple(optimizers), tuple(report.diagnostics))


def _check(optimizer: ast.Optimizer, scope: modules.Scope, report: Report) -> CheckedOptimizer | None:
    """``optimizer`` with all that it inherits; None if there is a mistake in it.

    Warnings are for a spec without mistakes, and for what it says itself.
    """
    flat = modules.flatten(optimizer, scope, report)
    if flat is None:
        return None
    too_large = list(size.check(flat.optimizer, flat.functions))
    if too_large:
        for diagnostic in too_large:
            report.add(diagnostic)
        return None
    table = collect(flat.optimizer)
    if flat.optimizer.flat:
        subject = CheckedOptimizer(flat.optimizer, flat.functions, table)
        found = [diagnostic for rule in FLAT_RULES for diagnostic in rule(subject)]
    else:
        table = infer_rates(flat.optimizer.body, table, flat.functions)
        subject = CheckedOptimizer(flat.optimizer, flat.functions, table)
        not_compiled = list(concepts.check(subject))
        rules = FIRST_RULES if not_compiled else (*FIRST_RULES, *RULES)
        found = [*not_compiled, *(diagnostic for rule in rules for diagnostic in rule(subject))]
    found.sort(key=lambda d: (d.span.source is not optimizer.span.source, d.span.start))
    errors = [d for d in found if d.severity is Severity.ERROR]
    own_warnings = [
        d
        for d in found
        if d.span.source == optimizer.span.source and not any(o.inherited and _inside(d, o) for o in flat.origins)
    ]
    for diagnostic in errors or own_warnings:
        report.add(_with_use(diagnostic, flat.origins))
    return None if errors else subject


def _check_transform(transform: ast.Transform, scope: modules.Scope, report: Report) -> None:
    """Checks the times and types of ``transform``, applied to plain descent; its parameters can be anything there."""
    known = scope.transforms.get(transform.name)
    if known is None or known.transform is not transform or any(transforms.check(transform)):
        return
    place = transform.name_span
    descent = ast.Optimizer(
        name=transform.name,
        base=None,
        doc="",
        inputs=(),
        states=(),
        body=_descent(place),
        returns=ast.Name(PARAMETER, ast.Time.NOW, place),
        span=place,
        name_span=place,
    )
    applied = transforms.Applied(ast.Application(transform.name, transform.arguments, place, place), known)
    changed = change(descent, descent, [applied], known.functions, Report())
    if changed is None or any(size.check(*changed)):
        return
    optimizer, functions = changed
    subject = CheckedOptimizer(optimizer, functions, infer_rates(optimizer.body, collect(optimizer), functions))
    rules = () if any(concepts.check(subject)) else (states.check, time.check, flow.check, check_types)
    for diagnostic in sorted((d for rule in rules for d in rule(subject)), key=lambda d: d.span.start):
        if diagnostic.severity is Severity.ERROR and diagnostic.span in transform.span:
            report.add(diagnostic)


def _descent(place: Span) -> tuple[ast.Stmt, ...]:
    """``g_t ← ∇f_t(θ_{t-1})``, ``θ_t ← θ_{t-1} - g_t``."""
    gradient = ast.Name(ast.Symbol("g"), ast.Time.NOW, place)
    before, now = (ast.Name(PARAMETER, time, place) for time in (ast.Time.PREVIOUS, ast.Time.NOW))
    return (
        ast.Assign((gradient,), ast.Gradient(place), None, place),
        ast.Assign((now,), ast.Binary("-", before, gradient, place), None, place),
    )


def _inside(diagnostic: Diagnostic, origin: modules.Origin) -> bool:
    span, text = diagnostic.span, origin.text
    return span.source == text.source and text.start <= span.start and span.end <= text.end


def _with_use(diagnostic: Diagnostic, origins: tuple[modules.Origin, ...]) -> Diagnostic:
    """``diagnostic`` with the places where the text that it is about is changed or applied."""
    labels = (origin.label for origin in origins if origin.label is not None and _inside(diagnostic, origin))
    return replace(diagnostic, labels=(*diagnostic.labels, *labels))
