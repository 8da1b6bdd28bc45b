"""What a step costs, counted in whole tensors read or written: each variant, and the least any fused kernel needs.

The count depends on the group's flags (``amsgrad``, ``weight_decay ≠ 0``), so it is given per :class:`Configuration`:
the defaults, and each combination of switches in which every switch matters (``maximize`` only by itself).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, combinations

from optdsl.ir.fold import fold
from optdsl.ir.instructions import Branch, Code
from optdsl.ir.nodes import (
    Block,
    Const,
    Expr,
    Grad,
    Hyper,
    If,
    Let,
    Op,
    Param,
    ParamFact,
    Present,
    Program,
    Ref,
    StateValue,
    children,
    statements,
    walk,
)
from optdsl.ir.passes.folds import obstacles
from optdsl.ir.passes.phases import accesses, schedule_of
from optdsl.ir.passes.segments import Segment, cut

Value = int | float | bool | str | None

PROBES: tuple[Value, ...] = (True, False, 0.5, 0, 1)
"""What a hyperparameter is set to, besides its choices, to find a value that turns a condition the other way."""

DIM = "dim(θ)"
"""What the number of the parameter's dimensions is called among the settings."""

MOST_SWITCHES = 6
"""Of more switches than this only the first are combined."""


@dataclass(frozen=True)
class Configuration:
    """Hyperparameters that differ from their defaults, and what one step over one parameter then costs.

    ``dim`` is the parameter's number of dimensions where the program asks for it, else None.
    """

    settings: Mapping[str, Value]
    accesses: Mapping[str, int]
    """Per variant, by its name, and under ``minimum`` for the fewest accesses that fused kernels make: those of a
    single pass, or of as many as reductions ask for."""
    dim: int | None = None


def costs(program: Program, variants: Mapping[str, Code]) -> tuple[Configuration, ...]:
    """The cost of ``program`` (as lowered) in each configuration that matters.

    ``variants`` are its selected instructions by name. A state without initial value counts as present. Where only the
    step decides on a branch, the dearer side counts. Of a step over stored entries these are what is counted, and the
    variants also copy them out of the tensors and back.
    """
    if "dim" in program.facts:
        return (*_costs(program, variants, 2), *_costs(program, variants, 1))
    return _costs(program, variants, None)


def _costs(program: Program, variants: Mapping[str, Code], dim: int | None) -> tuple[Configuration, ...]:
    defaults = _defaults(program) | ({} if dim is None else {DIM: dim})
    switches = _switches(program, defaults)
    names = tuple(switches)[:MOST_SWITCHES]
    subsets = chain.from_iterable(combinations(names, size) for size in range(len(names) + 1))
    found: dict[frozenset[str], Mapping[str, int]] = {}
    for subset in map(frozenset, subsets):
        if "maximize" in subset and len(subset) > 1:
            continue
        settings = {**defaults, **{name: switches[name] for name in subset}}
        if not _allowed(program, settings):
            continue
        copied = _copied(program, settings) if program.stored_only else 0
        accesses = {name: accesses_of(code, settings) + copied for name, code in variants.items()}
        accesses["minimum"] = minimum(program, settings)
        found[subset] = accesses
    return tuple(
        Configuration({name: switches[name] for name in names if name in subset}, accesses, dim)
        for subset, accesses in found.items()
        if all(found.get(subset - {name}) != accesses for name in subset)
    )


def accesses_of(code: Code, settings: Mapping[str, Value]) -> int:
    """Whole tensors that ``code`` reads and writes where the hyperparameters have the values of ``settings``."""
    total = 0
    for item in code:
        if isinstance(item, Branch):
            taken = _decide(item.condition, settings)
            arms = (item.then, item.orelse) if taken is None else (item.then if taken else item.orelse,)
            total += max(accesses_of(arm, settings) for arm in arms)
        else:
            total += item.accesses
    return total


def _copied(program: Program, settings: Mapping[str, Value]) -> int:
    """What it costs to gather θ and its states, and to scatter them: each is read and written, twice."""
    absent = [s for s in program.tensor_states if s.condition is not None and not _decide(s.condition, settings)]
    return 4 * (1 + len(program.tensor_states) - len(absent))


def minimum(program: Program, settings: Mapping[str, Value]) -> int:
    """Tensors that fused kernels read (whatever the results depend on) and write (every result that changes).

    Steps that reduce tensors take several passes; of those that no fused kernel makes, a single pass is counted. What
    torch makes between kernels reads its operands and writes its result.
    """
    if pieces := cut(program):
        return sum(
            minimum(piece.program, settings)
            if isinstance(piece, Segment)
            else 1 + sum(a.type.is_tensor for a in children(piece.value))
            for piece in pieces
        )
    if not program.is_elementwise and not obstacles(program):
        return accesses(schedule_of(program), lambda condition: _decide(condition, settings))
    origins = _Origins(settings)
    origins.run(program.body)
    start: Mapping[str, Expr] = {"param": Param(), **{s.key: StateValue(s.key) for s in program.tensor_states}}
    final = {"param": program.param, **dict(program.new_states)}
    written = [name for name, value in start.items() if origins.of(final[name]) != _Origin(frozenset({value}), True)]
    read = frozenset[Expr]().union(*(origins.of(final[name]).leaves for name in written))
    return len(read) + len(written)


# ------------------------------------------------------------------------------------------------------ dependencies


@dataclass(frozen=True)
class _Origin:
    """The tensors that a value depends on; ``same`` if it is nothing but the one of them."""

    leaves: frozenset[Expr]
    same: bool


class _Origins:
    """Walks a program forwards and knows the origin of every value."""

    def __init__(self, settings: Mapping[str, Value]) -> None:
        self.settings = settings
        self.known: dict[str, _Origin] = {}

    def of(self, value: Expr) -> _Origin:
        match value:
            case Ref(name):
                return self.known[name]
            case Param() | Grad() | StateValue():
                return _Origin(frozenset({value} if value.type.is_tensor else ()), True)
            case Op(_, args):
                return _Origin(frozenset[Expr]().union(*(self.of(a).leaves for a in args)), False)
            case _:
                return _Origin(frozenset(), False)

    def run(self, block: Block) -> None:
        for stmt in block:
            if isinstance(stmt, Let):
                self.known[stmt.name] = self.of(stmt.value)
                continue
            self.run(stmt.then)
            self.run(stmt.orelse)
            taken = _decide(stmt.condition, self.settings)
            for merge in stmt.merges:
                then, orelse = self.of(merge.then), self.of(merge.orelse)
                if taken is None and then != orelse:
                    self.known[merge.name] = _Origin(then.leaves | orelse.leaves, False)
                else:
                    self.known[merge.name] = orelse if taken is False else then


# ----------------------------------------------------------------------------------------------------- configurations


def _defaults(program: Program) -> dict[str, Value]:
    settings: dict[str, Value] = {"maximize": False}
    for scalar in program.scalars:
        if isinstance(scalar.default, Const):
            settings[scalar.name] = scalar.default.value
    return settings


def _switches(program: Program, defaults: Mapping[str, Value]) -> dict[str, Value]:
    """Hyperparameters that decide on a branch, each with a value that decides otherwise than its default."""
    switches: dict[str, Value] = {}
    conditions = [stmt.condition for stmt in statements(program.body) if isinstance(stmt, If)]
    choices = {argument.name: argument.choices for argument in program.arguments}
    for condition in conditions:
        for name in _hypers(condition):
            for probe in (*choices.get(name, ()), *PROBES):
                probed = {**defaults, name: probe}
                if name not in switches and _flips(condition, name, defaults, probed) and _suits(probe, defaults[name]):
                    switches[name] = probe
    return switches


def _hypers(condition: Expr) -> Iterator[str]:
    return (node.name for node in walk(condition) if isinstance(node, Hyper))


def _flips(condition: Expr, name: str, defaults: Mapping[str, Value], probed: Mapping[str, Value]) -> bool:
    """Whether some part of ``condition`` that reads ``name`` is decided differently."""
    parts = [node for node in walk(condition) if name in _hypers(node) and not isinstance(node, Const)]
    return any(_decide(part, defaults) != _decide(part, probed) for part in parts)


def _suits(probe: Value, default: Value) -> bool:
    """Whether ``probe`` is of the kind that ``default`` is; what is none by default is a number or a choice."""
    if default is None:
        return not isinstance(probe, bool)
    return isinstance(probe, bool | str) == isinstance(default, bool | str)


def _allowed(program: Program, settings: Mapping[str, Value]) -> bool:
    return all(_decide(check.condition, settings) is not False for check in program.checks)


def _decide(condition: Expr, settings: Mapping[str, Value]) -> bool | None:
    """Whether ``condition`` holds; None if that depends on the step."""
    value = _known(condition, settings)
    return bool(value.value) if isinstance(value, Const) else None


def _known(expr: Expr, settings: Mapping[str, Value]) -> Expr:
    match expr:
        case Hyper(name) if name in settings:
            return Const(settings[name])
        case ParamFact(name) if name == "dim" and DIM in settings:
            return Const(settings[DIM])
        case Present():
            return Const(True)
        case Op(op, args):
            return fold(op, *(_known(a, settings) for a in args))
        case _:
            return expr
