"""Two optimizers in the same terms: the symbols of the first, and what fixed inputs decide decided on both sides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from optdsl.check.evaluate import Value, evaluate
from optdsl.check.model import STEP_COUNT, CheckedOptimizer
from optdsl.diff.matching import Renaming, matched
from optdsl.ir.nodes import Rate
from optdsl.source import Span
from optdsl.syntax import ast
from optdsl.syntax.printer import unparse


@dataclass(frozen=True)
class Side:
    """One of the two optimizers; ``states``, ``rates`` and ``keys`` are by the state key of the first."""

    name: str
    inputs: tuple[ast.Input, ...]
    states: Mapping[str, ast.State]
    rates: Mapping[str, Rate]
    keys: Mapping[str, str]
    body: tuple[ast.Stmt, ...]
    functions: Mapping[str, ast.Function]


@dataclass(frozen=True)
class Pair:
    """Both sides; ``assumed`` says at which values of inputs they are compared, ``renamed`` which symbols differ."""

    first: Side
    second: Side
    assumed: tuple[str, ...]
    renamed: tuple[str, ...]


def bring_together(first: CheckedOptimizer, second: CheckedOptimizer) -> Pair:
    """``first`` and ``second`` in the symbols of ``first``, without the branches that an input rules out which either
    of them fixes; the other one is taken at its default there.
    """
    values: list[dict[ast.Name, Value | None]] = [{}, {}]
    assumed: list[str] = []
    for own, other, known in ((first, second, values[0]), (second, first, values[1])):
        fixed = {h.identifier for h in other.table.hyperparameters.values() if h.fixed}
        for hyper in own.table.hyperparameters.values():
            if (hyper.fixed or hyper.identifier in fixed) and hyper.default is not None:
                known[hyper.name] = evaluate(hyper.default, {})
                if not hyper.fixed:
                    assumed.append(f"{own.optimizer.name} with {hyper.identifier} = {unparse(hyper.default)}")
    bodies = _decided(first.optimizer.body, values[0]), _decided(second.optimizer.body, values[1])
    same = matched(first.table, second.table, bodies)
    renaming = Renaming(first.table, second.table, same)
    renamed = tuple(renaming.told(first.optimizer.name))
    one = _side(first, bodies[0], values[0], lambda name: name, {})
    two = _side(second, bodies[1], values[1], renaming, same)
    return Pair(one, two, tuple(assumed), renamed)


def _side(
    checked: CheckedOptimizer,
    body: tuple[ast.Stmt, ...],
    values: Mapping[ast.Name, Value | None],
    renaming: Callable[[ast.Name], ast.Name],
    same: Mapping[str, str],
) -> Side:
    def rename(node: Any) -> Any:
        return renaming(node) if isinstance(node, ast.Name) else node

    states: dict[str, ast.State] = {}
    rates: dict[str, Rate] = {}
    keys: dict[str, str] = {}
    for state in checked.optimizer.states:
        buffer = checked.table.buffers.get(state.name.symbol)
        own = "step" if state.name.symbol == STEP_COUNT or buffer is None else buffer.identifier
        key = same.get(own, own)
        condition = None if state.condition is None else evaluate(state.condition, values)
        if condition is not False:
            kept = replace(state, condition=None) if condition is True else state
            states[key] = mapped(kept, rename)
            rates[key] = Rate.STEP if buffer is None else buffer.rate
            keys[key] = own
    inputs = mapped(checked.optimizer.inputs, rename)
    return Side(checked.optimizer.name, inputs, states, rates, keys, mapped(body, rename), checked.functions)


# ------------------------------------------------------------------------------------------------------- decisions


def _decided(body: tuple[ast.Stmt, ...], values: Mapping[ast.Name, Value | None]) -> tuple[ast.Stmt, ...]:
    """``body`` without the branches and cases that ``values`` rule out."""
    out: list[ast.Stmt] = []
    for stmt in body:
        match stmt:
            case ast.If(branches, orelse):
                kept: list[ast.Branch] = []
                rest = _decided(orelse, values)
                for branch in branches:
                    inside, holds = _decided(branch.body, values), evaluate(branch.condition, values)
                    if holds is True:
                        rest = inside
                        break
                    if holds is not False:
                        kept.append(replace(branch, body=inside))
                out += [replace(stmt, branches=tuple(kept), orelse=rest)] if kept else rest
            case ast.Loop(body=inner):
                out.append(replace(stmt, body=_decided(inner, values)))
            case _:
                out.append(mapped(stmt, lambda node: _decided_cases(node, values)))
    return tuple(out)


def _decided_cases(node: Any, values: Mapping[ast.Name, Value | None]) -> Any:
    if not isinstance(node, ast.Cases):
        return node
    kept: list[ast.Case] = []
    for case in node.cases:
        holds = True if case.condition is None else evaluate(case.condition, values)
        if holds is not False:
            kept.append(replace(case, condition=None) if holds is True else case)
        if holds is True:
            break
    return kept[0].value if len(kept) == 1 and kept[0].condition is None else replace(node, cases=tuple(kept))


def mapped(node: Any, change: Callable[[Any], Any]) -> Any:
    """``node`` with ``change`` made to everything in it, from the inside."""
    if isinstance(node, tuple):
        return tuple(mapped(item, change) for item in node)
    if not is_dataclass(node) or isinstance(node, Span | ast.Symbol | type):
        return node
    inner = {f.name: mapped(getattr(node, f.name), change) for f in fields(node)}
    return change(replace(node, **inner))
