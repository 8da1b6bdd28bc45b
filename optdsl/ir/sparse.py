"""Which sparse gradients a step can take: where an entry that is not stored, and so is zero, changes nothing.

Decided on the program: zero is put in for the gradient, and what the step leaves behind is compared with what it began
with. Entries that no gradient reaches are left alone even where arithmetic would make NaN of them (0 / 0).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from optdsl.ir.fold import fold
from optdsl.ir.nodes import Block, Const, Expr, Grad, If, Let, Op, Param, Program, Rate, Ref, StateValue

MOST_CONDITIONS = 12
"""A program in which more conditions than this decide takes no sparse gradients."""

TRUE, FALSE, ZERO = Const(True), Const(False), Const(0)


@dataclass(frozen=True)
class SparseSupport:
    """Conditions over hyperparameters.

    ``rows``: an entry whose gradient is zero keeps its parameter and states, so that a step over the stored entries is
    the whole step. ``rest``: it does so at least while its states are what they were initialized to, so that a state
    (momentum, say) is all that makes the other entries move.
    """

    rows: Expr
    rest: Expr


def sparse_support(program: Program) -> SparseSupport:
    """When ``program`` (as lowered) takes sparse gradients; ``rest`` holds wherever ``rows`` does."""
    if not program.is_elementwise:
        return SparseSupport(FALSE, FALSE)
    start: dict[str, Expr] = {state.key: StateValue(state.key) for state in program.tensor_states}
    initial = {state.key: ZERO if state.initial is None else state.initial for state in program.tensor_states}
    rows = _unchanged(program, start, {})
    for state in program.states:
        if state.initial is None:  # what is absent has no rows
            unused = FALSE if state.condition is None else negated(state.condition)
            rows = rows if unused in conjuncts(rows) else fold("and", rows, unused)
    return SparseSupport(rows, _unchanged(program, initial, {}))


def _unchanged(program: Program, start: Mapping[str, Expr], assumed: Mapping[Expr, bool]) -> Expr:
    """The condition under which θ and the states that begin as ``start`` end as they began."""
    if len(assumed) > MOST_CONDITIONS:
        return FALSE
    step = _Step(start, assumed)
    try:
        step.run(program.body)
    except _UndecidedError as undecided:
        condition = undecided.condition
        then, orelse = (_unchanged(program, start, {**assumed, condition: holds}) for holds in (True, False))
        return _either(condition, then, orelse)
    before = {"param": Param(), **start}
    after = {"param": program.param, **dict(program.new_states)}
    return Const(all(step.value(after[key]) == value for key, value in before.items()))


def _either(condition: Expr, then: Expr, orelse: Expr) -> Expr:
    """``then`` where ``condition`` holds, else ``orelse``."""
    if then == orelse:
        return then
    return fold("or", fold("and", condition, then), fold("and", negated(condition), orelse))


def conjuncts(condition: Expr) -> tuple[Expr, ...]:
    """The conditions that must all hold for ``condition`` to."""
    match condition:
        case Op("and", (a, b)):
            return *conjuncts(a), *conjuncts(b)
        case _:
            return (condition,)


def negated(condition: Expr) -> Expr:
    """The condition that holds where ``condition`` does not."""
    match condition:
        case Op("eq", args):
            return Op("ne", args)
        case Op("ne", args):
            return Op("eq", args)
        case _:
            return fold("not", condition)


class _UndecidedError(Exception):
    """Which way the step goes depends on ``condition``, which nothing has been assumed of."""

    def __init__(self, condition: Expr) -> None:
        self.condition = condition


class _Step:
    """One step whose gradient is zero, run on expressions.

    ``start`` holds the values of tensor states, ``assumed`` whether conditions of the parameter group hold.
    """

    def __init__(self, start: Mapping[str, Expr], assumed: Mapping[Expr, bool]) -> None:
        self.start = start
        self.assumed = assumed
        self.values: dict[str, Expr] = {}

    def run(self, block: Block) -> None:
        for stmt in block:
            if isinstance(stmt, Let):
                self.values[stmt.name] = self.value(stmt.value)
            else:
                self.branch(stmt)

    def branch(self, stmt: If) -> None:
        """What a branch decided per group takes; of one decided per step, what both its sides agree on."""
        condition = self.value(stmt.condition)
        taken = condition.value if isinstance(condition, Const) else self.assumed.get(condition)
        if taken is None and condition.type.rate <= Rate.GROUP:
            raise _UndecidedError(condition)
        if taken is not False:
            self.run(stmt.then)
        if taken is not True:
            self.run(stmt.orelse)
        for merge in stmt.merges:
            values = [self.value(arm) for arm, off in ((merge.then, False), (merge.orelse, True)) if taken is not off]
            self.values[merge.name] = values[0] if all(v == values[0] for v in values) else merge.ref

    def value(self, expr: Expr) -> Expr:
        match expr:
            case Grad():
                return ZERO
            case StateValue(key) if key in self.start:
                return self.start[key]
            case Ref(name):
                return self.values.get(name, expr)
            case Op(op, args):
                return _simplified(op, *(self.value(a) for a in args))
            case _:
                return expr


def _simplified(op: str, *args: Expr) -> Expr:
    """``op`` of ``args`` without the zeros and ones that make no difference."""
    match op, args:
        case ("add", (Const(0), x) | (x, Const(0))) | ("sub", (x, Const(0))):
            return x
        case ("mul", (Const(1), x) | (x, Const(1))) | ("div", (x, Const(1))) | ("full", (x,)):
            return x
        case ("mul", (Const(0), _) | (_, Const(0))) | ("div", (Const(0), _)):
            return ZERO
        case ("select", (_, x, y)) | ("min" | "max", (x, y)) if x == y:
            return x
        case _:
            return fold(op, *args)
