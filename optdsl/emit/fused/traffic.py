"""Which tensors a step must read and write, and under which flags: no byte is moved that is not needed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping

from optdsl.emit.fused.conditions import ALWAYS, NEVER, Flags, Formula, both, either, is_flag, negated
from optdsl.ir.nodes import Block, DType, Expr, Grad, Hyper, Let, Op, Param, ParamFact, Ref, StateValue, Time

Key = str | Expr
"""A value: the name of a ``Ref``, or the leaf itself (``Param()``, ``StateValue("exp_avg")``)."""


def key(atom: Expr) -> Key:
    return atom.name if isinstance(atom, Ref) else atom


def values(x: Expr) -> Iterator[Expr]:
    """The atoms that computing ``x`` reads; not what only its flags mention."""
    match x:
        case Op("select", (condition, a, b)) if is_flag(condition):
            yield from values(a)
            yield from values(b)
        case Op(_, args):
            for a in args:
                yield from values(a)
        case Ref() | Param() | Grad() | StateValue() | Time() | ParamFact():
            yield x
        case Hyper(dtype=DType.REAL):
            yield x


def needs(block: Block, results: Mapping[Expr, Formula], flags: Flags) -> Mapping[Key, Formula]:
    """Under which flags each value is needed, given those under which the ``results`` of ``block`` are."""
    needed: dict[Key, Formula] = defaultdict(lambda: NEVER)

    def need(x: Expr, when: Formula) -> None:
        match x:
            case Op("select", (condition, a, b)) if is_flag(condition):
                holds = flags.formula(condition)
                need(a, both(when, holds))
                need(b, both(when, negated(holds)))
            case Op(_, args):
                for a in args:
                    need(a, when)
            case _:
                for atom in values(x):
                    needed[key(atom)] = either(needed[key(atom)], when)

    def visit(block: Block) -> None:
        for stmt in reversed(block):
            if isinstance(stmt, Let):
                need(stmt.value, needed[stmt.name])
            else:
                holds = flags.formula(stmt.condition)
                for m in stmt.merges:
                    need(m.then, both(needed[m.name], holds))
                    need(m.orelse, both(needed[m.name], negated(holds)))
                visit(stmt.orelse)
                visit(stmt.then)

    for x, when in results.items():
        need(x, when)
    visit(block)
    return needed


def changes(block: Block, old: Expr, flags: Flags) -> Callable[[Expr], Formula]:
    """A function from a final value of ``old`` (θ or a state) to the flags under which it can differ from ``old``."""
    changed: dict[Key, Formula] = {key(old): NEVER}

    def look_up(atom: Expr) -> Formula:
        return changed.get(key(atom), ALWAYS)

    def visit(block: Block) -> None:
        for stmt in block:
            if isinstance(stmt, Let):
                changed[stmt.name] = look_up(stmt.value)
            else:
                visit(stmt.then)
                visit(stmt.orelse)
                holds = flags.formula(stmt.condition)
                for m in stmt.merges:
                    changed[m.name] = either(both(holds, look_up(m.then)), both(negated(holds), look_up(m.orelse)))

    visit(block)
    return look_up
