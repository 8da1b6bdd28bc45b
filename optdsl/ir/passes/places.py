"""Where values are while instructions are selected: variables, and the buffers behind them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from optdsl.ir.nodes import FULL, Expr, Shape

_TEMPORARY = "."
"""How buffers of our own are called; no identifier starts like that."""


@dataclass(frozen=True)
class Place:
    """Where a value is: a variable, and the buffers it may be in (``param``, ``grad``, a state's key, a temporary).

    ``owned``: a temporary of ours that nothing else names. ``is_view``: the buffer holds the value in another order of
    its elements, or in a dtype of its own, so that nothing is computed in place there.
    """

    variable: str
    buffers: frozenset[str]
    owned: bool = False
    shape: Shape = FULL
    is_view: bool = False

    @property
    def is_temporary(self) -> bool:
        """Whether it can only be in buffers of our own."""
        return all(b.startswith(_TEMPORARY) for b in self.buffers)


@dataclass(frozen=True)
class Target:
    """What operations are at hand: ``out`` says that those on one tensor are (``clamp`` between two bounds, any of
    them into a given buffer with ``out=``), not those on lists.

    ``device_scalars``: per-step scalars are tensors, so a choice by one is a ``where``, not a branch.
    """

    out: bool
    device_scalars: bool = False


LOOP = Target(out=True)
FOREACH = Target(out=False)
CAPTURABLE = Target(out=False, device_scalars=True)


@dataclass
class Places:
    """Where every value is at a point of the program."""

    places: dict[Expr, Place] = field(default_factory=dict)
    holders: dict[str, Expr] = field(default_factory=dict)
    """The value that each variable holds."""

    def copy(self) -> Places:
        return Places(dict(self.places), dict(self.holders))

    def bind(self, value: Expr, place: Place) -> None:
        self.places[value] = place
        self.holders[place.variable] = value


class Names:
    """Hands out variables. ``reserved`` are those of scalars and of buffers; of these a local takes only ``grad``."""

    def __init__(self, reserved: Iterable[str]):
        self.reserved = frozenset(reserved)
        self._temporaries = 0

    def may_hold_a_local(self, name: str) -> bool:
        """Whether ``name`` is neither a scalar's nor a buffer's; the gradient's variable may be taken over."""
        return name == "grad" or name not in self.reserved

    def fresh(self, identifier: str, taken: Iterable[str]) -> str:
        """``identifier``, with a number where it is taken."""
        taken = self.reserved.union(taken)
        name, n = identifier, 1
        while name in taken:
            n += 1
            name = f"{identifier}{n}"
        return name

    def temporary(self, identifier: str, taken: Iterable[str], shape: Shape = FULL) -> Place:
        """A new buffer of our own."""
        self._temporaries += 1
        buffer = f"{_TEMPORARY}{self._temporaries}"
        return Place(self.fresh(identifier, taken), frozenset((buffer,)), owned=True, shape=shape)
