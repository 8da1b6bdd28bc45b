"""Prints procedures as Python functions on whole tensors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from optdsl.emit.lines import folded
from optdsl.emit.optimizer.quoting import docstring
from optdsl.emit.procedures.expressions import ProcedurePrinter, moved
from optdsl.emit.procedures.ownership import owned_updates
from optdsl.ir.nodes import Call, Const, Expr, Hyper, Item, Ref
from optdsl.ir.procedures import (
    POINT,
    Append,
    Break,
    Choose,
    Code,
    Count,
    Kept,
    Procedure,
    Repeat,
    Return,
    Set,
    Step,
    Table,
    Target,
    Visit,
    While,
    expressions,
)

INDENT = "    "

WIDTH = 90
"""How long an assignment of several values may be before both sides get brackets, so that they can be folded."""


def emit_procedures(procedures: Iterable[Procedure], flat: bool) -> list[str]:
    """A function for each of ``procedures``, ``_NAME``; those that evaluate the loss take the point first."""
    procedures = tuple(procedures)
    at_point = taking_point(procedures)
    return [_function(procedure, flat, at_point) for procedure in procedures]


def taking_point(procedures: Iterable[Procedure]) -> frozenset[str]:
    """The names of the procedures that evaluate the loss, themselves or by what they call."""
    procedures = tuple(procedures)
    found = {p.name for p in procedures if p.evaluates}
    while True:
        calls = {p.name for p in procedures if found & {e.function for e in expressions(p.body) if isinstance(e, Call)}}
        if calls <= found:
            return frozenset(found)
        found |= calls


def _function(procedure: Procedure, flat: bool, at_point: frozenset[str]) -> str:
    arguments = (["point"] if procedure.name in at_point else []) + [a.name for a in procedure.arguments]
    lines = [f"def _{procedure.name}({', '.join(arguments)}):"]
    if procedure.doc:
        lines.append(INDENT + docstring(procedure.doc, INDENT))
    lines += [INDENT + line for line in Writer(flat, at_point).block(procedure.body)]
    return folded("\n".join(lines))


class Writer:
    """Writes code; ``states`` are those that the step keeps, by key, in the dictionary ``state``."""

    def __init__(self, flat: bool, at_point: frozenset[str], states: Mapping[str, Kept] | None = None):
        self.at_point = at_point
        self.states = states or {}
        self.show = ProcedurePrinter(self.name, flat, self.call)
        self.in_place: frozenset[int] = frozenset()

    def name(self, expr: Expr) -> str:
        match expr:
            case Ref(name) if name in self.states:
                return name if self.states[name].kind != "value" else f'state["{name}"]'
            case Ref(name) | Hyper(name):
                return name
        raise ValueError(f"no name for {expr}")

    def call(self, call: Call) -> str:
        arguments = ["point"] if call.function in self.at_point else []
        return f"_{call.function}({', '.join([*arguments, *map(self.show, call.args)])})"

    def block(self, code: Code) -> list[str]:
        """The lines of a whole body."""
        self.in_place = owned_updates(code)
        return list(self.lines(code))

    def lines(self, code: Code) -> Iterator[str]:
        if not code:
            yield "pass"
        for step in code:
            yield from self.step(step)

    def inner(self, code: Code) -> Iterator[str]:
        return (INDENT + line for line in self.lines(code))

    def step(self, step: Step) -> Iterator[str]:
        match step:
            case Set(targets, values):
                yield self.set(step, targets, values)
            case Choose(branches, orelse):
                for i, (condition, code) in enumerate(branches):
                    yield f"{'elif' if i else 'if'} {self.show(condition)}:"
                    yield from self.inner(code)
                if orelse:
                    yield "else:"
                    yield from self.inner(orelse)
            case Repeat(count, code):
                yield f"for _ in range({self.show(count)}):"
                yield from self.inner(code)
            case Count(name, first, last, down, code):
                end = f"{self.show(last)} - 1, -1" if down else _beyond(last, self.show)
                yield f"for {name} in range({self.show(first)}, {end}):"
                yield from self.inner(code)
            case Visit(name, sequence, down, code):
                places = f"range(len({sequence}))"
                yield f"for {name} in {f'reversed({places})' if down else places}:"
                yield from self.inner(code)
            case While(condition, code):
                yield f"while {self.show(condition)}:"
                yield from self.inner(code)
            case Break():
                yield "break"
            case Append(history, value, limit):
                yield f"append({history}, {self.show(value)}, {self.show(limit)})"
            case Table(name, size):
                yield f"{name} = [None] * {self.show.within(size, 6)}"
            case Return(values):
                yield f"return {', '.join(map(self.show, values))}".rstrip()

    def set(self, step: Set, targets: tuple[Target, ...], values: tuple[Expr, ...]) -> str:
        if targets == (POINT,):
            return self.move(values[0])
        if id(step) in self.in_place:
            change = moved(values[0])
            assert change is not None
            _, number, tensor = change
            factor = "" if number is None else f", alpha={self.show(number)}"
            return f"{self.target(targets[0])}.add_({self.show(tensor)}{factor})"
        names = ", ".join("new_point" if t == POINT else self.target(t) for t in targets)
        shown = ", ".join(map(self.show, values))
        if len(names) + len(shown) > WIDTH and len(values) > 1:
            names, shown = f"({names})", f"({shown})"
        assigned = f"{names} = {shown}"
        return f"{assigned}; point.assign(new_point)" if POINT in targets else assigned

    def target(self, target: Target) -> str:
        match target:
            case Item(sequence, place):
                return f"{sequence}[{place}]"
            case _:
                return self.name(target)

    def move(self, value: Expr) -> str:
        change = moved(value)
        if change is not None and change[0] == POINT:
            _, number, tensor = change
            return f"point.move({self.show(tensor)}{'' if number is None else f', {self.show(number)}'})"
        return f"point.assign({self.show(value)})"


def _beyond(last: Expr, show: ProcedurePrinter) -> str:
    """The end of a Python range whose last number is ``last``."""
    if isinstance(last, Const) and isinstance(last.value, int):
        return str(last.value + 1)
    return f"{show.within(last, 4)} + 1"
