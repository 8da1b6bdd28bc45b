"""What differs between two optimizers: inputs by their Python names, states by their keys, the step by its statements.

The trees are compared, not the text: symbols of one argument or state are one symbol, however they are written, and
what an input that is fixed decides is decided on both sides (see :mod:`optdsl.diff.common`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from optdsl.check import walk
from optdsl.check.collect import argument_name
from optdsl.check.model import CheckedOptimizer
from optdsl.diff.common import Side, bring_together
from optdsl.diff.statements import changes
from optdsl.ir.nodes import TORCH_FLAGS, Rate
from optdsl.syntax import ast
from optdsl.syntax.names import display
from optdsl.syntax.printer import unparse

Node = TypeVar("Node")

PARTS = ("inputs", "states", "step", "functions")


@dataclass(frozen=True)
class Difference:
    """One thing that differs: ``before`` in the first optimizer, ``after`` in the second; None where it is not there.

    ``part`` is one of :data:`PARTS`. ``name`` is the argument, state key or function that it concerns, ``aspect`` what
    of it (``default``); both are empty for a statement, whose ``where`` names the blocks around it.
    """

    part: str
    name: str
    aspect: str
    before: str | None
    after: str | None
    where: tuple[str, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """All differences of two optimizers. ``assumed`` are values at which their steps were compared, in words."""

    names: tuple[str, str]
    differences: tuple[Difference, ...]
    assumed: tuple[str, ...]
    renamed: tuple[str, ...]


def compare(first: CheckedOptimizer, second: CheckedOptimizer) -> Comparison:
    """Everything in which ``second`` differs from ``first``."""
    pair = bring_together(first, second)
    one, two = pair.first, pair.second
    found = (*_inputs(one.inputs, two.inputs), *_states(pair.first, pair.second), *_step(one, two))
    return Comparison((one.name, two.name), tuple(found), pair.assumed, pair.renamed)


# ---------------------------------------------------------------------------------------------------------- inputs


def _inputs(first: tuple[ast.Input, ...], second: tuple[ast.Input, ...]) -> Iterator[Difference]:
    """The torch flags, which only have a place, are left out."""
    old, new = (
        {argument_name(i): i for i in inputs if argument_name(i) not in TORCH_FLAGS} for inputs in (first, second)
    )
    for name in dict.fromkeys((*old, *new)):
        before, after = old.get(name), new.get(name)
        if before is None or after is None:
            yield Difference("inputs", name, "", _if_any(before, _declared), _if_any(after, _declared))
        else:
            yield from _input(name, before, after)
    kept = [
        [name for name in names if name in old and name in new and _is_positional(name, old, new)]
        for names in (old, new)
    ]
    if kept[0] != kept[1]:
        yield Difference("inputs", "", "order", ", ".join(kept[0]), ", ".join(kept[1]))


def _is_positional(name: str, *sides: Mapping[str, ast.Input]) -> bool:
    return not any(side[name].keyword_only or side[name].fixed for side in sides)


def _input(name: str, before: ast.Input, after: ast.Input) -> Iterator[Difference]:
    if before.fixed != after.fixed:
        yield Difference("inputs", name, "", _given(before), _given(after))
    elif before.defaults != after.defaults:
        yield Difference("inputs", name, "default", _default(before), _default(after))
    if len(before.names) != len(after.names):
        yield Difference("inputs", name, "values", str(len(before.names)), str(len(after.names)))
    if _conditions(before) != _conditions(after):
        yield Difference("inputs", name, "constraint", _conditions(before), _conditions(after))
    if before.choices != after.choices:
        yield Difference("inputs", name, "choices", ", ".join(before.choices) or None, ", ".join(after.choices) or None)
    if not (before.fixed or after.fixed) and before.keyword_only != after.keyword_only:
        yield Difference("inputs", name, "given", _place(before), _place(after))


def _declared(node: ast.Input) -> str:
    default = _default(node)
    name = "" if node.python_name is None else f" ({node.python_name})"
    return _symbols(node) + name + (f" {':=' if node.fixed else '='} {default}" if default else "")


def _place(node: ast.Input) -> str:
    return "by keyword" if node.keyword_only else "by place"


def _symbols(node: ast.Input) -> str:
    return ", ".join(display(name.symbol) for name in node.names)


def _given(node: ast.Input) -> str:
    default = _default(node)
    if node.fixed:
        return f"fixed to {default}"
    return f"an argument, by default {default}" if default else "an argument"


def _default(node: ast.Input) -> str | None:
    return None if node.defaults is None else ", ".join(unparse(value) for value in node.defaults)


def _conditions(node: ast.Input) -> str | None:
    return ", ".join(unparse(constraint.condition) for constraint in node.constraints) or None


# ---------------------------------------------------------------------------------------------------------- states


def _states(first: Side, second: Side) -> Iterator[Difference]:
    old, new = first.states, second.states
    for key in dict.fromkeys((*old, *new)):
        before, after = old.get(key), new.get(key)
        if before is None or after is None:
            yield Difference("states", key, "", _if_any(before, _initialized), _if_any(after, _initialized))
            continue
        if first.keys[key] != second.keys[key]:
            yield Difference("states", key, "key", first.keys[key], second.keys[key])
        if before.value != after.value:
            yield Difference("states", key, "initial value", _value(before.value), _value(after.value))
        if before.condition != after.condition:
            conditions = _value(before.condition), _value(after.condition)
            yield Difference("states", key, "exists if", *conditions)
        if before.eager != after.eager:
            yield Difference("states", key, "set up", _when(before), _when(after))
        if first.rates[key] is not second.rates[key]:
            yield Difference("states", key, "kind", _kind(first.rates[key]), _kind(second.rates[key]))


def _initialized(node: ast.State) -> str:
    value = "" if node.value is None else f" ← {unparse(node.value)}"
    key = "" if node.key is None else f" ({node.key})"
    condition = "" if node.condition is None else f" if {unparse(node.condition)}"
    return display(node.name.symbol, node.name.time) + value + key + condition


def _value(expr: ast.Expr | None) -> str | None:
    return None if expr is None else unparse(expr)


def _kind(rate: Rate) -> str:
    return "tensor" if rate is Rate.ELEMENT else "number"


def _when(node: ast.State) -> str:
    return "at construction" if node.eager else "in the first step"


# ------------------------------------------------------------------------------------------------------------ step


def _step(first: Side, second: Side) -> Iterator[Difference]:
    for change in changes(first.body, second.body):
        yield Difference("step", "", "", change.before, change.after, change.where)
    old, new = ({f.name: f for f in walk.called(side.body, side.functions)} for side in (first, second))
    for name in dict.fromkeys((*old, *new)):
        before, after = old.get(name), new.get(name)
        if before is None or after is None:
            yield Difference("functions", name, "", _if_any(before, unparse), _if_any(after, unparse))
        elif (before.arguments, before.parameters) != (after.arguments, after.parameters):
            yield Difference("functions", name, "", unparse(before), unparse(after))
        else:
            for change in changes(before.body, after.body):
                yield Difference("functions", name, "", change.before, change.after, change.where)


def _if_any(node: Node | None, write: Callable[[Node], str]) -> str | None:
    return None if node is None else write(node)
