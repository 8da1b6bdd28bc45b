"""Python variables for SSA names."""

from __future__ import annotations

from collections.abc import Iterable

from optdsl.ir.nodes import Block, Expr, Let, Ref, statements, walk
from optdsl.ir.passes.rewrite import defined_names
from optdsl.ir.passes.scalars import versioned


class Variables:
    """The variable of every SSA name that a block assigns.

    Versions of one identifier share its variable where that never hides a value that is still read: the block is
    followed along, with what each variable holds, and an identifier for which a read would see another version falls
    back to a variable per version.
    """

    def __init__(
        self, block: Block, holding: dict[str, Expr], reserved: Iterable[str] = (), final: Iterable[Expr] = ()
    ):
        """``holding``: what variables hold at the start; ``final``: the values read after the block."""
        self._holding = holding
        self._reserved = set(reserved)
        self._identifiers = {n.partition(".")[0] for stmt in statements(block) for n in defined_names(stmt)}
        self._split: set[str] = set()
        self._names: dict[Expr, str] = {}
        final = tuple(final)
        while True:
            self._clashes: set[str] = set()
            held = self._block(block, {v: k for k, v in holding.items()})
            for value in final:
                self._read(value, held)
            if self._clashes <= self._split:
                return
            self._split |= self._clashes

    def of(self, value: Expr) -> str:
        """The variable that holds ``value`` where it is read."""
        if isinstance(value, Ref):
            return self.name(value.name)
        return next(name for name, held in self._holding.items() if held == value)

    def name(self, ssa: str) -> str:
        identifier = ssa.partition(".")[0]
        if identifier not in self._split and identifier not in self._reserved:
            return identifier
        name = versioned(ssa)
        while name in self._reserved or name in self._identifiers:
            name += "_"
        return name

    def _block(self, block: Block, held: dict[Expr, str]) -> dict[Expr, str]:
        for stmt in block:
            if isinstance(stmt, Let):
                self._expression(stmt.value, held)
                self._assign(stmt.ref, held)
                continue
            self._expression(stmt.condition, held)
            then, orelse = self._block(stmt.then, dict(held)), self._block(stmt.orelse, dict(held))
            for m in stmt.merges:
                self._read(m.then, then)
                self._read(m.orelse, orelse)
            for m in stmt.merges:
                self._assign(m.ref, then)
                self._assign(m.ref, orelse)
            held = _either(then, orelse)
        return held

    def _assign(self, ref: Ref, held: dict[Expr, str]) -> None:
        name = self.name(ref.name)
        for value in [v for v, n in held.items() if n == name]:
            del held[value]
        held[ref] = name

    def _expression(self, x: Expr, held: dict[Expr, str]) -> None:
        for node in walk(x):
            self._read(node, held)

    def _read(self, value: Expr, held: dict[Expr, str]) -> None:
        if isinstance(value, Ref) and value not in held:
            self._clashes.add(value.identifier)
        elif value in self._holding.values() and value not in held:
            self._clashes.add(next(n for n, v in self._holding.items() if v == value))


def _either(then: dict[Expr, str], orelse: dict[Expr, str]) -> dict[Expr, str]:
    """What variables hold after an ``if``: what both branches leave there, or the only one that assigns it.

    (A value assigned in one branch alone is only read under the same condition.)
    """
    holder_then = {name: value for value, name in then.items()}
    holder_else = {name: value for value, name in orelse.items()}
    held = {}
    for name in holder_then.keys() | holder_else.keys():
        a, b = holder_then.get(name), holder_else.get(name)
        if a is None or b is None or a == b:
            held[a if a is not None else b] = name
    return held  # type: ignore[return-value]
