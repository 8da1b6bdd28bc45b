"""Divides a step into scalar work, done once per tensor in float64, and work on tensors in which scalars are given.

What follows from a reduction is work on tensors, though it be one number.

Element code keeps its branches on flags: they cost nothing in a kernel. Scalar code has none left, since all of it is
cheap and cannot fail: what a branch chose is a ``select``. So has element code under a branch on a per-step scalar.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from optdsl.emit.fused.conditions import is_flag
from optdsl.emit.fused.names import Names, describe
from optdsl.ir.fold import fold
from optdsl.ir.nodes import (
    Block,
    Const,
    DType,
    Expr,
    If,
    Let,
    Merge,
    Op,
    Program,
    Rate,
    Ref,
    Stmt,
    children,
    real,
    walk,
    with_children,
)


@dataclass(frozen=True)
class Column:
    """A scalar that element code reads as ``ref``; ``value`` is an atom of the scalar code."""

    name: str
    value: Expr

    @property
    def ref(self) -> Ref:
        return Ref(self.name, real(Rate.STEP))


@dataclass(frozen=True)
class Split:
    """The two parts of a step. ``scalars`` are in order; ``new_states`` are atoms, as in :class:`Program`."""

    scalars: tuple[Let, ...]
    columns: tuple[Column, ...]
    body: Block
    param: Expr
    new_states: Mapping[str, Expr]


def split(program: Program, names: Names) -> Split:
    """``program`` divided; columns are named by ``names``."""
    return _Splitter(program, names).run()


class _Splitter:
    def __init__(self, program: Program, names: Names):
        self.program = program
        self.names = names
        self.values: dict[str, Expr] = {}
        """What each flag-rate name stands for, without references: conditions are decided by the host."""
        self.copies: dict[str, Expr] = {}
        """Atoms that have another name in the program."""
        self.scalars: list[Let] = []
        self.columns: dict[Expr, Column] = {}

    def run(self) -> Split:
        body = self.block(self.program.body)
        scalar_keys = {s.key for s in self.program.scalar_states}
        new_states = {
            key: value if key in scalar_keys else self.element(value) for key, value in self.program.new_states
        }
        param = self.element(self.program.param)
        kept = _read(self.scalars, [c.value for c in self.columns.values()] + [new_states[k] for k in scalar_keys])
        return Split(kept, tuple(self.columns.values()), body, param, new_states)

    def block(self, block: Block) -> Block:
        return tuple(new for stmt in block for new in (self.let(stmt) if isinstance(stmt, Let) else self.branch(stmt)))

    def let(self, stmt: Let) -> Block:
        if stmt.value.type.rate <= Rate.STEP:
            self.define(stmt)
            return ()
        value = self.element(stmt.value)
        if isinstance(value, Op):
            return (replace(stmt, value=value),)
        self.copies[stmt.name] = value
        return ()

    def define(self, let: Let) -> None:
        """Adds a scalar, and remembers what it is in case a condition reads it."""
        value = self.resolved(let.value)
        if value.type.rate <= Rate.GROUP:
            self.values[let.name] = value
        self.scalars.append(replace(let, value=self.flagged(let.value)))

    def branch(self, stmt: If) -> Block:
        condition = self.resolved(stmt.condition)
        then, orelse = self.block(stmt.then), self.block(stmt.orelse)
        for m in stmt.merges:
            if m.ref.type.rate <= Rate.STEP:
                self.define(Let(m.name, Op("select", (stmt.condition, m.then, m.orelse)), m.state))
        merges = tuple(self.merge(m) for m in stmt.merges if m.ref.type.rate > Rate.STEP)
        if is_flag(condition):
            return (replace(stmt, condition=condition, then=then, orelse=orelse, merges=merges),) if merges else ()
        chosen = self.element(stmt.condition)
        selects = tuple(Let(m.name, Op("select", (chosen, m.then, m.orelse)), m.state) for m in merges)
        return (*map(_undecided, then), *map(_undecided, orelse), *selects)

    def merge(self, m: Merge) -> Merge:
        return replace(m, then=self.element(m.then), orelse=self.element(m.orelse))

    def element(self, x: Expr) -> Expr:
        """``x`` as element code reads it: its largest scalar parts are columns, its flags free of references."""
        if isinstance(x, Ref) and x.name in self.copies:
            return self.copies[x.name]
        if x.type.rate > Rate.STEP:
            return fold(x.op, *map(self.element, x.args)) if isinstance(x, Op) else x
        if isinstance(x, Const):
            return x
        resolved = self.resolved(x)
        if x.type.dtype is not DType.REAL:
            return resolved if is_flag(resolved) else Op("ne", (self.column(x), Const(0)))
        return self.column(x)

    def flagged(self, x: Expr) -> Expr:
        """``x`` as scalar code reads it: conditions that the host decides are free of references."""
        if x.type.dtype is not DType.REAL and is_flag(resolved := self.resolved(x)):
            return resolved
        return fold(x.op, *map(self.flagged, x.args)) if isinstance(x, Op) else x

    def resolved(self, x: Expr) -> Expr:
        if isinstance(x, Ref):
            return self.values.get(x.name, x)
        return with_children(x, tuple(self.resolved(a) for a in children(x)))

    def column(self, x: Expr) -> Ref:
        if x not in self.columns:
            name = self.names.take(describe(x))
            value = x
            if isinstance(x, Op):
                let = Let(name, self.flagged(x))
                self.scalars.append(let)
                value = let.ref
            self.columns[x] = Column(name, value)
        return self.columns[x].ref


def _undecided(stmt: Stmt) -> Stmt:
    """A statement that always runs now; the state's new value is the one selected afterwards."""
    if isinstance(stmt, Let):
        return replace(stmt, state=None)
    return replace(
        stmt,
        then=tuple(map(_undecided, stmt.then)),
        orelse=tuple(map(_undecided, stmt.orelse)),
        merges=tuple(replace(m, state=None) for m in stmt.merges),
    )


def _read(scalars: list[Let], results: list[Expr]) -> tuple[Let, ...]:
    """Those of ``scalars`` that ``results`` depend on."""
    needed = {x.name for x in results if isinstance(x, Ref)}
    kept = []
    for let in reversed(scalars):
        if let.name in needed:
            kept.append(let)
            needed |= {x.name for x in walk(let.value) if isinstance(x, Ref)}
    return tuple(reversed(kept))
