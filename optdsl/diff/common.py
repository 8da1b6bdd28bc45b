"""Two optimizers in the same terms: the symbols of the first, and what fixed inputs decide decided on both sides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from optdsl.check import walk
from optdsl.check.evaluate import Value, evaluate
from optdsl.check.model import PARAMETER, STEP_COUNT, CheckedOptimizer
from optdsl.ir.nodes import Rate
from optdsl.source import Span
from optdsl.syntax import ast
from optdsl.syntax.names import display
from optdsl.syntax.printer import unparse


@dataclass(frozen=True)
class Side:
    """One of the two optimizers; ``states`` and ``rates`` are by state key."""

    name: str
    inputs: tuple[ast.Input, ...]
    states: Mapping[str, ast.State]
    rates: Mapping[str, Rate]
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
    symbols = _renaming(first, second)
    values: list[dict[ast.Name, Value | None]] = [{}, {}]
    assumed: list[str] = []
    for own, other, known in ((first, second, values[0]), (second, first, values[1])):
        fixed = {h.identifier for h in other.table.hyperparameters.values() if h.fixed}
        for hyper in own.table.hyperparameters.values():
            if (hyper.fixed or hyper.identifier in fixed) and hyper.default is not None:
                known[hyper.name] = evaluate(hyper.default, {})
                if not hyper.fixed:
                    assumed.append(f"{own.optimizer.name} with {hyper.identifier} = {unparse(hyper.default)}")
    renamed = tuple(
        f"{display(old)} is {display(new)} in {first.optimizer.name}"
        for old, new in symbols.items()
        if not _is_aside(new)
    )
    return Pair(_side(first, {}, values[0]), _side(second, symbols, values[1]), tuple(assumed), renamed)


def _side(
    checked: CheckedOptimizer, symbols: Mapping[ast.Symbol, ast.Symbol], values: Mapping[ast.Name, Value | None]
) -> Side:
    def rename(node: Any) -> Any:
        if isinstance(node, ast.Name) and node.symbol in symbols:
            return replace(node, symbol=symbols[node.symbol])
        return node

    body = mapped(_decided(walk.whole(checked.optimizer), values), rename)
    states: dict[str, ast.State] = {}
    rates: dict[str, Rate] = {}
    for state in checked.optimizer.states:
        buffer = checked.table.buffers.get(state.name.symbol)
        key = "step" if state.name.symbol == STEP_COUNT or buffer is None else buffer.identifier
        condition = None if state.condition is None else evaluate(state.condition, values)
        if condition is not False:
            kept = replace(state, condition=None) if condition is True else state
            states[key] = mapped(kept, rename)
            rates[key] = Rate.STEP if buffer is None else buffer.rate
    inputs = mapped(checked.optimizer.inputs, rename)
    return Side(checked.optimizer.name, inputs, states, rates, body, checked.functions)


# --------------------------------------------------------------------------------------------------------- symbols


def _renaming(first: CheckedOptimizer, second: CheckedOptimizer) -> dict[ast.Symbol, ast.Symbol]:
    """Symbols of ``second`` that mean what another symbol means in ``first``. A symbol of ``second`` in whose place
    one comes is moved aside.
    """
    by_name = {h.identifier: s for s, h in first.table.hyperparameters.items()}
    by_key = {b.identifier: s for s, b in first.table.buffers.items()}
    same = {s: by_name[h.identifier] for s, h in second.table.hyperparameters.items() if h.identifier in by_name}
    same |= {s: by_key[b.identifier] for s, b in second.table.buffers.items() if b.identifier in by_key}
    taken = set(same.values()) | {PARAMETER}
    for symbol in second.table.symbols:
        if symbol not in same and symbol in taken and symbol != PARAMETER:
            same[symbol] = replace(symbol, superscript=symbol.superscript + "other")
    return {old: new for old, new in same.items() if old != new}


def _is_aside(symbol: ast.Symbol) -> bool:
    return symbol.superscript.endswith("other")


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
            case (
                ast.ForElements(body=inner)
                | ast.ForSupport(body=inner)
                | ast.ForRange(body=inner)
                | ast.Repeat(body=inner)
                | ast.While(body=inner)
            ):
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
