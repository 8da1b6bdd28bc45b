"""Which values of two optimizers are the same under other names.

Inputs are told by their Python names and states by their keys; the gradient, and values of a step that are written
alike, are the same to begin with. What is left over is compared by structure: ``M̂_t ← m_t / (1 - β₁^t)`` is
``m̂_t ← m_t / (1 - β₁^t)``, whatever it is called, and in ``θ_t ← … / D_t`` and ``θ_t ← … / d_t`` the two names are one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from optdsl.check import walk
from optdsl.check.model import Buffer, Entry, Local, SymbolTable
from optdsl.syntax import ast
from optdsl.syntax.names import display

Body = tuple[ast.Stmt, ...]


def matched(first: SymbolTable, second: SymbolTable, bodies: tuple[Body, Body]) -> dict[str, str]:
    """The identifiers of ``second`` that mean what one of ``first`` means, with that one. ``bodies`` are both steps."""
    known = _alike(first, second)
    matching = _Matching(first, second, known, (_own(first) - {*known.values()}, _own(second) - {*known}))
    while matching.grow(bodies):
        pass
    return matching.known


def _own(table: SymbolTable) -> set[str]:
    """The identifiers of states and of values of a step, which can have other names elsewhere."""
    return {b.identifier for b in table.buffers.values()} | {local.identifier for local in table.locals.values()}


def _alike(first: SymbolTable, second: SymbolTable) -> dict[str, str]:
    """What is the same to begin with, by the identifiers of ``second``."""
    names = [{"param", *(h.identifier for h in t.hyperparameters.values())} for t in (first, second)]
    keys = [{b.identifier for b in t.buffers.values()} for t in (first, second)]
    known = {name: name for name in (names[0] & names[1]) | (keys[0] & keys[1])}
    values = [{local.identifier: key for key, local in t.locals.items()} for t in (first, second)]
    if "grad" in values[0] and "grad" in values[1]:
        known["grad"] = "grad"
    by_key = {key: identifier for identifier, key in values[0].items() if identifier not in known.values()}
    return known | {i: by_key[key] for i, key in values[1].items() if i not in known and key in by_key}


@dataclass
class _Matching:
    first: SymbolTable
    second: SymbolTable
    known: dict[str, str]
    free: tuple[set[str], set[str]]
    """The identifiers of each side that nothing of the other is known to be."""

    def grow(self, bodies: tuple[Body, Body]) -> bool:
        """Match what the first two statements show that say the same; False where there are none."""
        for target, stmt in walk.assignments(bodies[0]):
            for other, other_stmt in walk.assignments(bodies[1]):
                found = self.same((target, stmt.value), (other, other_stmt.value))
                if found:
                    self.known |= found
                    self.free[0].difference_update(found.values())
                    self.free[1].difference_update(found)
                    return True
        return False

    def same(self, one: Any, other: Any) -> dict[str, str] | None:
        """What must be matched for two trees to say the same, by identifiers of the second; None where they do not."""
        found: dict[str, str] = {}
        return found if self._same(one, other, found) else None

    def _same(self, one: Any, other: Any, found: dict[str, str]) -> bool:
        if isinstance(one, ast.Name) and isinstance(other, ast.Name):
            return self._same_name(one, other, found)
        if isinstance(one, tuple) and isinstance(other, tuple):
            return len(one) == len(other) and all(self._same(a, b, found) for a, b in zip(one, other, strict=True))
        if is_dataclass(one) and type(one) is type(other):
            compared = [f.name for f in fields(one) if f.compare]
            return all(self._same(getattr(one, name), getattr(other, name), found) for name in compared)
        return bool(one == other)

    def _same_name(self, one: ast.Name, other: ast.Name, found: dict[str, str]) -> bool:
        a, b = self.first.lookup(one), self.second.lookup(other)
        if a is None or b is None:
            return a is b and one == other
        if not isinstance(a, Local) and one.time is not other.time:
            return False
        partner = self.known.get(b.identifier) or found.get(b.identifier)
        if partner is not None or a.identifier in found.values():
            return partner == a.identifier
        if a.identifier not in self.free[0] or b.identifier not in self.free[1] or not _compatible(a, b):
            return False
        found[b.identifier] = a.identifier
        return True


def _compatible(a: Entry, b: Entry) -> bool:
    """Whether two values can be one: both of a step, or both states that begin alike."""
    if isinstance(a, Buffer) and isinstance(b, Buffer):
        return a.rate is b.rate and a.optional == b.optional
    return isinstance(a, Local) and isinstance(b, Local)


class Renaming:
    """The names of ``second`` in terms of ``first``, where ``same`` tells which identifiers are one.

    A name of its own that means something else in ``first`` is moved aside.
    """

    def __init__(self, first: SymbolTable, second: SymbolTable, same: Mapping[str, str]):
        self.table, self.same = second, same
        self.names = {entry.identifier: name for entry, name in _written(first)}
        self.taken = {name.symbol for name in self.names.values()}
        self.values = set(first.locals)

    def __call__(self, name: ast.Name) -> ast.Name:
        entry = self.table.lookup(name)
        if entry is None or entry.identifier == "param":
            return name
        other = self.names.get(self.same.get(entry.identifier, ""))
        if other is not None:
            time = other.time if isinstance(entry, Local) else name.time
            return ast.Name(other.symbol, time, name.span)
        symbol = name.symbol
        beside = self.table.hyperparameters.get(symbol) if isinstance(entry, Local) else None
        if beside is not None:  # γ_t beside γ goes with it, where that is free
            followed = self(ast.Name(symbol, ast.Time.NONE, name.span))
            if (followed.symbol, False) not in self.values:
                return replace(name, symbol=followed.symbol)
        return replace(name, symbol=aside(symbol)) if symbol in self.taken else name

    def told(self, where: str) -> Iterator[str]:
        """``α is γ in Adam`` for every name that has another in ``first``, which is called ``where``."""
        for entry, name in _written(self.table):
            other = self(name)
            if entry.identifier in self.same and other != name:
                yield f"{display(name.symbol, name.time)} is {display(other.symbol, other.time)} in {where}"


def _written(table: SymbolTable) -> Iterator[tuple[Entry, ast.Name]]:
    """Every entry, and how it is written."""
    for hyper in table.hyperparameters.values():
        yield hyper, hyper.name
    for buffer in table.buffers.values():
        yield buffer, ast.Name(buffer.declaration.name.symbol, ast.Time.NONE)
    for local in table.locals.values():
        yield local, local.first


def aside(symbol: ast.Symbol) -> ast.Symbol:
    """A symbol like ``symbol`` that nothing else means."""
    return replace(symbol, superscript=symbol.superscript + "other")
