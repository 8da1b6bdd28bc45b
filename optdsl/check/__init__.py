"""Checks: names, time and types of a module, and the optimizers in it ready for lowering."""

from __future__ import annotations

from optdsl.check import modules
from optdsl.check.collect import collect
from optdsl.check.model import Analysis, CheckedOptimizer, Report
from optdsl.check.types import infer_rates
from optdsl.syntax import ast

__all__ = ["Analysis", "CheckedOptimizer", "analyse"]


def analyse(module: ast.Module, load: modules.Load) -> Analysis:
    """Checks ``module``; ``load`` finds the module that an import names, or says why it cannot.

    Reports every mistake. An optimizer with a mistake is not among the analysis' optimizers.
    """
    report = Report()
    scope = modules.open_scope(module, load, report)
    optimizers = []
    for optimizer, home in scope.optimizers.values():
        if home is scope:
            checked = _check(optimizer, scope, report)
            if checked is not None:
                optimizers.append(checked)
    return Analysis(tuple(optimizers), tuple(report.diagnostics))


def _check(optimizer: ast.Optimizer, scope: modules.Scope, report: Report) -> CheckedOptimizer | None:
    flat = modules.flatten(optimizer, scope, report)
    if flat is None:
        return None
    table = collect(flat.optimizer)
    table = infer_rates(flat.optimizer.body, table, flat.functions)
    return CheckedOptimizer(flat.optimizer, flat.functions, table)
