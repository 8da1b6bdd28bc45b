"""Which updates may be done in place: those of tensors that nothing but their variable holds."""

from __future__ import annotations

from collections.abc import Iterator

from optdsl.emit.procedures.expressions import moved
from optdsl.ir.nodes import Call, Expr, Op, Ref, walk
from optdsl.ir.procedures import (
    Append,
    Break,
    Choose,
    Code,
    Return,
    Set,
    Step,
    While,
    blocks,
    own_expressions,
)

_VIEWS = frozenset({"transpose", "bfloat16", "float32", "select", "full", "min", "max"})
"""Operations whose result may be one of their operands, or share its memory."""

Owned = frozenset[str] | None
"""The variables that hold a tensor of their own; None behind a ``return`` or ``break``."""


def owned_updates(code: Code) -> frozenset[int]:
    """The ``id`` of every ``x ← x + a y`` in ``code`` whose ``x`` is its own."""
    walker = _Walker()
    walker.block(code, frozenset())
    return frozenset(walker.found)


def _is_fresh(value: Expr) -> bool:
    return value.type.is_tensor and isinstance(value, Op) and value.op not in _VIEWS


def _escaping(value: Expr) -> Iterator[str]:
    """The variables whose tensors ``value`` may be, or may hand to something that keeps them."""
    match value:
        case Ref(name):
            yield name
        case Op(op, args) if op in _VIEWS:
            for arg in args:
                yield from _escaping(arg)
        case Call(args=args):
            for arg in args:
                yield from _escaping(arg)
        case Op(args=args):
            for inner in (n for arg in args for n in walk(arg) if isinstance(n, Call)):
                yield from _escaping(inner)


def _meet(a: Owned, b: Owned) -> Owned:
    return b if a is None else a if b is None else a & b


class _Walker:
    def __init__(self) -> None:
        self.found: set[int] = set()
        self.breaks: list[list[Owned]] = []

    def block(self, code: Code, owned: Owned) -> Owned:
        for step in code:
            owned = self.step(step, owned)
        return owned

    def step(self, step: Step, owned: Owned) -> Owned:
        if owned is None:
            return None
        match step:
            case Set():
                return self.set(step, owned)
            case Choose(branches, orelse):
                after: Owned = None
                for _, inner in branches:
                    after = _meet(after, self.block(inner, owned))
                return _meet(after, self.block(orelse, owned))
            case Break():
                self.breaks[-1].append(owned)
                return None
            case Return():
                return None
            case Append(value=value):
                return owned - set(_escaping(value))
        if blocks(step):
            return self.loop(step, blocks(step)[0], owned)
        return owned

    def loop(self, step: Step, body: Code, owned: frozenset[str]) -> Owned:
        """What is owned behind a loop; inside, an update must be one of its own in every round."""
        if isinstance(step, While):
            owned -= {name for value in own_expressions(step) for name in _escaping(value)}
        known = set(self.found)
        entering = owned
        while True:
            self.found = set(known)
            self.breaks.append([])
            leaving = self.block(body, entering)
            broken = self.breaks.pop()
            again = entering if leaving is None else entering & leaving
            if again == entering:
                break
            entering = again
        after: Owned = entering
        for owned_there in broken:
            after = _meet(after, owned_there)
        return after

    def set(self, step: Set, owned: frozenset[str]) -> frozenset[str]:
        match step:
            case Set((Ref(name),), (value,)) if (change := moved(value)) is not None and name in owned:
                base, _, tensor = change
                if isinstance(base, Ref) and base.name == name and name not in set(_escaping(tensor)):
                    self.found.add(id(step))
                    return owned - (set(_escaping(tensor)) - {name})
        escaped = {name for value in step.values for name in _escaping(value)}
        owned -= escaped
        fresh = len(step.targets) == len(step.values)
        for i, target in enumerate(step.targets):
            if isinstance(target, Ref):
                is_own = fresh and _is_fresh(step.values[i])
                owned = owned | {target.name} if is_own else owned - {target.name}
        return owned
