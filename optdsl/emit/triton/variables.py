"""Variables for SSA names: ``grad.0`` and ``grad.4`` are both ``grad``, unless both are alive at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from optdsl.emit.fused.names import Names
from optdsl.emit.fused.traffic import Key, key, values
from optdsl.ir.nodes import Block, Expr, Let, Op

Variables = Mapping[Key, str]
"""The variable of every value."""


def assign_variables(
    block: Block, inputs: Mapping[Key, str], results: Iterable[Expr], reserved: Iterable[str]
) -> Variables:
    """A variable for each of ``inputs`` (value → wanted name) and each name assigned in ``block``.

    Two values share a variable only if neither is assigned while the other is still read. ``results`` are read after
    the block. No variable is one of ``reserved``.
    """
    conflicts = _Conflicts()
    live = conflicts.block(block, frozenset().union(*map(_reads, results)))
    for value in inputs:
        conflicts.add(value, live.union(inputs))
    wanted = {**inputs, **conflicts.wanted}
    reserved = frozenset(reserved)
    variables: dict[Key, str] = {}
    for value, name in wanted.items():
        taken = reserved.union(variables[other] for other in conflicts.of[value] if other in variables)
        variables[value] = Names(taken).take(name)
    return variables


def _reads(x: Expr) -> frozenset[Key]:
    return frozenset(map(key, values(x)))


class _Conflicts:
    """Which values must not share a variable, found by a walk backwards over the code."""

    def __init__(self) -> None:
        self.of: dict[Key, set[Key]] = defaultdict(set)
        self.wanted: dict[Key, str] = {}
        """Identifier of every assigned name, in order of the code."""

    def add(self, value: Key, others: Iterable[Key]) -> None:
        for other in others:
            if other != value:
                self.of[value].add(other)
                self.of[other].add(value)

    def block(self, block: Block, live: frozenset[Key]) -> frozenset[Key]:
        """Live values before ``block``, given those after it."""
        for stmt in reversed(block):
            if isinstance(stmt, Let):
                self.wanted = {stmt.name: stmt.identifier, **self.wanted}
                self.add(stmt.name, live - (frozenset() if isinstance(stmt.value, Op) else _reads(stmt.value)))
                live = (live - {stmt.name}) | _reads(stmt.value)
            else:
                self.wanted = {**{m.name: m.identifier for m in stmt.merges}, **self.wanted}
                orelse = self.arm(stmt.orelse, [(m.name, m.orelse) for m in stmt.merges], live)
                live = orelse | self.arm(stmt.then, [(m.name, m.then) for m in stmt.merges], live)
        return live

    def arm(self, block: Block, moves: list[tuple[str, Expr]], live: frozenset[Key]) -> frozenset[Key]:
        """Live values before an arm that ends by assigning the merged names, one after another."""
        merged = frozenset(name for name, _ in moves)
        live = live - merged
        for name, atom in reversed(moves):
            self.add(name, (live | merged) - _reads(atom))
            live = (live - {name}) | _reads(atom)
        return self.block(block, live)
