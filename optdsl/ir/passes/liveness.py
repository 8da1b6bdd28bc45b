"""Which values are still read after each statement of a body."""

from __future__ import annotations

from optdsl.ir.nodes import Block, Expr, Grad, If, Let, Param, Ref, StateValue, walk

Atom = Ref | StateValue | Param | Grad
Live = frozenset[Expr]


def atoms(x: Expr) -> Live:
    """The tensor atoms that ``x`` reads."""
    return frozenset(n for n in walk(x) if isinstance(n, Atom) and n.type.is_tensor)


class Liveness:
    """``after(stmt)``: the tensor atoms read later than ``stmt`` (in its own branch and beyond), by identity of the
    statement. ``live_out`` is what must survive the whole body."""

    def __init__(self, body: Block, live_out: Live):
        self._after: dict[int, Live] = {}
        self._block(body, live_out)

    def after(self, stmt: Let | If) -> Live:
        return self._after[id(stmt)]

    def _block(self, block: Block, live: Live) -> Live:
        for stmt in reversed(block):
            self._after[id(stmt)] = live
            if isinstance(stmt, Let):
                live = (live - {stmt.ref}) | atoms(stmt.value)
            else:
                base = live - {m.ref for m in stmt.merges}
                then = base.union(*(atoms(m.then) for m in stmt.merges))
                orelse = base.union(*(atoms(m.orelse) for m in stmt.merges))
                live = self._block(stmt.then, then) | self._block(stmt.orelse, orelse)
        return live
