"""What imperative code computes with: kinds of values, and what is known of names at one place of the code."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from optdsl.ir.nodes import FULL, DType, Expr, Extent, Rate, Ref, Shape, Type
from optdsl.ir.procedures import VECTOR

ROW = VECTOR.transposed
"""The shape of a transposed vector."""

_WORDS = {DType.REAL: "a number", DType.BOOL: "a flag", DType.CHOICE: "a choice"}


@dataclass(frozen=True)
class Sequence:
    """A history or a table in the variable or state ``name``; ``entry`` is the type of its entries, once known."""

    name: str
    entry: Type | None
    is_history: bool
    limit: Expr | None = None


@dataclass(frozen=True)
class Place:
    """A place of a history, the variable ``name`` of a loop over the places."""

    name: str


Known = Type | Sequence | Place | Ref
"""What a name stands for: a value of some type, a sequence, a place in one, or θ itself."""


def variable(type: Type) -> Type:
    """The type of a variable that holds values of ``type``: it is no constant."""
    return replace(type, rate=max(type.rate, Rate.STEP))


def describe(type: Type, flat: bool) -> str:
    """``type`` in the user's words."""
    if not type.is_tensor or type.dtype is not DType.REAL:
        return _WORDS[type.dtype] + (" per element" if type.is_tensor else "")
    if not flat:
        return "a matrix" if type.shape in (FULL, FULL.transposed) else f"a matrix of {type.shape}"
    shapes = {VECTOR: "a vector", ROW: "a transposed vector", Shape(Extent.ROWS, Extent.ROWS): "a matrix"}
    return shapes.get(type.shape, f"a matrix of {type.shape}")


def joined(a: Known, b: Known) -> Known | None:
    """What a name is that is ``a`` on one path and ``b`` on another; None where no code could use it."""
    match a, b:
        case Type(), Type() if a.dtype is b.dtype and a.is_tensor == b.is_tensor and a.shape == b.shape:
            return replace(a, rate=max(a.rate, b.rate))
        case Sequence(), Sequence() if a.name == b.name and None in (a.entry, b.entry):
            return a if b.entry is None else b
        case _:
            return a if a == b else None


@dataclass
class Names:
    """What is known at one place of the code.

    ``known``: what every name may hold here, None where that is not found out yet. ``sure``: the names assigned on
    every path to here. ``places``: the loop variables around it that are places, by the subscript that reads them.
    ``tested``: whether a state without initial value was asked about. ``reached`` is false behind a ``return``.
    """

    known: dict[str, Known | None] = field(default_factory=dict)
    sure: set[str] = field(default_factory=set)
    tested: bool = False
    reached: bool = True

    def copy(self) -> Names:
        return Names(dict(self.known), set(self.sure), self.tested, self.reached)


def reference(name: str, known: Type) -> Ref:
    return Ref(name, variable(known))
