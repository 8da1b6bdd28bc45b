"""What the checks hand on: the symbol table of an optimizer, and the checked optimizer itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from optdsl.ir.nodes import FULL, DType, Rate, Shape
from optdsl.source import Diagnostic, Span
from optdsl.syntax import ast

PARAMETER = ast.Symbol("θ")
"""The symbol of the parameter that every optimizer updates."""

STEP_COUNT = ast.Symbol("t")
"""The symbol of the step count; ``t ← 0 (step)`` among the states declares that checkpoints show it."""


@dataclass(frozen=True)
class Hyperparameter:
    """One scalar of a constructor argument, in code the ``Hyper`` called ``identifier`` (``beta1``)."""

    identifier: str
    declaration: ast.Input
    name: ast.Name
    default: ast.Expr | None
    dtype: DType

    @property
    def fixed(self) -> bool:
        return self.declaration.fixed


@dataclass(frozen=True)
class Buffer:
    """A state; ``identifier`` is its key in ``state_dict``.

    ``rate`` is ``ELEMENT`` for a tensor, of the given ``shape``, ``STEP`` for a scalar, and ``TENSOR`` for a scalar
    that follows from tensors. ``is_anchor``: it begins as θ_0, or what follows from it, and is never assigned.
    """

    identifier: str
    declaration: ast.State
    rate: Rate = Rate.ELEMENT
    shape: Shape = FULL
    is_anchor: bool = False

    @property
    def optional(self) -> bool:
        """True for a state that has no initial value: it is absent until the first step assigns it."""
        return self.declaration.value is None


@dataclass(frozen=True)
class Parameter:
    """θ."""

    identifier: str = "param"


@dataclass(frozen=True)
class Local:
    """A value that lives for one step, first assigned at ``first``. The gradient's identifier is ``grad``."""

    identifier: str
    first: ast.Name


Entry = Hyperparameter | Buffer | Parameter | Local


def local_key(name: ast.Name) -> tuple[ast.Symbol, bool]:
    """What tells one local from another: ``μ_t`` and ``μ_{t+1}`` are two, ``α`` and ``α_t`` are one.

    Beside an input ``α`` a local ``α_t`` is told by :meth:`SymbolTable.lookup`: without a time it is the input.
    """
    return name.symbol, name.time is ast.Time.NEXT


@dataclass(frozen=True)
class SymbolTable:
    """What every symbol of one optimizer is."""

    hyperparameters: Mapping[ast.Symbol, Hyperparameter]
    buffers: Mapping[ast.Symbol, Buffer]
    locals: Mapping[tuple[ast.Symbol, bool], Local]
    parameter: Parameter = field(default_factory=Parameter)

    def lookup(self, name: ast.Name) -> Entry | None:
        """The entry that ``name`` stands for, or None where nothing of that symbol is declared or assigned.

        Of a local the time is a part of the name, but one that is only assigned at another time is found too. Where
        the step assigns ``α_t`` beside an input ``α``, a name with a time is the local.
        """
        if name.symbol == PARAMETER:
            return self.parameter
        beside_input = (name.symbol, False) in self.locals and name.time is not ast.Time.NONE
        return (
            self.buffers.get(name.symbol)
            or (None if beside_input else self.hyperparameters.get(name.symbol))
            or self.locals.get(local_key(name))
            or self.locals.get((name.symbol, False))
            or self.locals.get((name.symbol, True))
        )

    @property
    def symbols(self) -> Iterator[ast.Symbol]:
        """Every symbol, in order of declaration."""
        yield PARAMETER
        yield from self.hyperparameters
        yield from self.buffers
        yield from (symbol for symbol, _ in self.locals)

    def buffer(self, key: str) -> Buffer:
        return next(b for b in self.buffers.values() if b.identifier == key)


@dataclass(frozen=True)
class CheckedOptimizer:
    """An optimizer without mistakes, ``extends`` resolved: what the lowering reads."""

    optimizer: ast.Optimizer
    functions: Mapping[str, ast.Function]
    table: SymbolTable


@dataclass(frozen=True)
class Analysis:
    """Every optimizer of a module that has no mistakes, and every mistake and warning of the module."""

    optimizers: tuple[CheckedOptimizer, ...]
    diagnostics: tuple[Diagnostic, ...]


@dataclass
class Report:
    """Collects diagnostics; one that is reported twice (a base and its extension share their text) is kept once."""

    diagnostics: list[Diagnostic] = field(default_factory=list)
    _seen: set[tuple[str, Span]] = field(default_factory=set)

    def add(self, diagnostic: Diagnostic) -> None:
        place = (diagnostic.code, diagnostic.span)
        if place not in self._seen:
            self._seen.add(place)
            self.diagnostics.append(diagnostic)
