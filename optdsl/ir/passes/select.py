"""Instruction selection: covers each tensor expression with torch's fused and in-place operations.

The cost of a covering is the whole tensors it reads and writes; among equals, the one that allocates less, then the one
closest to the order of the spec. An expression is looked at as a sum of scaled products (:mod:`.terms`), whose terms
are accumulated with ``add(alpha=)``, ``addcmul``, ``addcdiv``, or blended with ``lerp`` where two coefficients add up
to one.

An operation works in place when the buffer's old value is read by nothing later (:mod:`.liveness`); only buffers of
states, of the parameter and of our own temporaries are written, never the gradient's.
"""

from __future__ import annotations

from collections.abc import Iterator

from optdsl.ir.instructions import Branch, Code, Instruction, instructions
from optdsl.ir.nodes import (
    REDUCTIONS,
    Block,
    Expr,
    Grad,
    If,
    Let,
    Merge,
    Op,
    Param,
    Present,
    Program,
    Rate,
    StateValue,
)
from optdsl.ir.passes.cover import best_covering, is_small
from optdsl.ir.passes.liveness import Live, Liveness
from optdsl.ir.passes.places import CAPTURABLE, FOREACH, LOOP, Names, Place, Places, Target
from optdsl.ir.passes.scalars import Split, device_scalars, host_variables
from optdsl.ir.passes.terms import is_tensor

__all__ = ["CAPTURABLE", "FOREACH", "LOOP", "select"]


def select(split: Split, target: Target) -> Code:
    """The body of ``split`` as code for ``target``."""
    return _Selector(split, target).run()


class _Selector:
    def __init__(self, split: Split, target: Target):
        self.target = target
        self.program: Program = split.program
        self.body = split.body
        self.results: dict[str, Expr] = {
            "param": self.program.param,
            **{k: v for k, v in self.program.new_states if self.program.state(k).rate is Rate.ELEMENT},
        }
        self.liveness = Liveness(self.body, frozenset(self.results.values()))
        self.absentable = {s.key for s in self.program.states if s.initial is None}
        self.scalars = device_scalars(split)
        scalars = host_variables(split) | {*self.scalars.values()}
        self.names = Names(
            {"param", "grad", "step", "maximize", *scalars}
            | {s.name for s in self.program.scalars}
            | {s.key for s in self.program.states}
        )

    def run(self) -> Code:
        state = Places()
        state.bind(Param(), Place("param", frozenset(("param",))))
        state.bind(Grad(), Place("grad", frozenset(("grad",))))
        for s in self.program.tensor_states:
            state.bind(StateValue(s.key, s.rate, s.shape), Place(s.key, frozenset((s.key,)), shape=s.shape))
        code = list(self.block(self.body, state, frozenset()))
        pending = {k: place for k, v in self.results.items() if (place := state.places[v]).variable != k}
        while pending:
            # Not over a buffer that another result is still to be copied from.
            free = [k for k in pending if not any(k in p.buffers for other, p in pending.items() if other != k)]
            key = free[0] if free else next(iter(pending))
            if not free:
                for other, place in pending.items():
                    if other != key and key in place.buffers:
                        kept = self.names.temporary(f"new_{other}", {i.target for i in instructions(tuple(code))})
                        code.append(Instruction("clone", kept.variable, (place.variable,)))
                        pending[other] = kept
            code += self.written(key, pending.pop(key))
        for key, value in self.program.new_states:
            of = self.program.state(key)
            if of.rate is Rate.TENSOR and value != StateValue(key, Rate.TENSOR):
                assign = (Instruction("assign", key, (), (value,)),)
                code += assign if of.condition is None else (Branch(of.condition, assign, ()),)
        return tuple(code)

    def written(self, key: str, place: Place) -> Code:
        """Puts a value that is elsewhere into the buffer of ``key``, or makes it a buffer if it may have none."""
        code: Code
        if key in self.absentable:
            code = (Instruction("clone", key, (place.variable,)), Instruction("store", key, (key,)))
        else:
            small = is_small(place.shape)
            code = (Instruction("copy", key, (key, place.variable), in_place=True, makes_small=small),)
        condition = None if key == "param" else self.program.state(key).condition
        return code if condition is None else (Branch(condition, code, ()),)

    # --------------------------------------------------------------------------------------------------- statements

    def block(self, block: Block, state: Places, present: frozenset[str]) -> Iterator[Instruction | Branch]:
        """Code of ``block``; ``present`` are the states without initial value known to exist on this way."""
        for stmt in block:
            live = self.liveness.after(stmt)
            if isinstance(stmt, Let) and stmt.value.type.rate is Rate.TENSOR:
                yield from self.scalar(stmt, state, live)
            elif isinstance(stmt, Let):
                may_be_absent = stmt.state in self.absentable - present
                code, place = best_covering(stmt, self.names, self.target, state, live, may_be_absent)
                state.bind(stmt.ref, place)
                yield from code
            else:
                yield from self.branch(stmt, state, live, present)

    def scalar(self, stmt: Let, state: Places, live: Live) -> Iterator[Instruction]:
        """A scalar that follows from tensors: a reduction, or what is computed from reductions."""
        target = self.scalars[stmt.name]
        match stmt.value:
            case Op(op, (operand,)) if op in REDUCTIONS:
                if not is_tensor(operand):
                    operand = Op("full", (operand,))
                code, place = best_covering(Let("reduced.0", operand), self.names, self.target, state, live, False)
                yield from code
                small = frozenset((place.variable,) if is_small(place.shape) else ())
                yield Instruction(op, target, (place.variable,), small=small, makes_small=True)
            case value:
                yield Instruction("scalar", target, (), (value,))

    def branch(self, stmt: If, state: Places, live: Live, present: frozenset[str]) -> Iterator[Instruction | Branch]:
        then_state, else_state = state.copy(), state.copy()
        then_present, else_present = _presence(stmt.condition, present)
        then = list(self.block(stmt.then, then_state, then_present))
        orelse = list(self.block(stmt.orelse, else_state, else_present))
        merged: list[tuple[Expr, Place]] = []
        live_places = {v: state.places[v] for v in live if v in state.places}
        for m in stmt.merges:
            if m.ref.type.rate is Rate.TENSOR:
                for code, value in ((then, m.then), (orelse, m.orelse)):
                    code.append(Instruction("scalar", self.scalars[m.name], (), (value,)))
                continue
            a, b = then_state.places[m.then], else_state.places[m.orelse]
            others = [
                place
                for other in stmt.merges
                if other is not m and other.ref.type.is_tensor
                for place in (then_state.places[other.then], else_state.places[other.orelse])
            ]
            variable = self.merged_variable(m, a, b, live_places, merged, others)
            for code, place in ((then, a), (orelse, b)):
                if place.variable == variable:
                    continue
                if variable == m.state:
                    code += self.written(variable, place)
                else:
                    code.append(Instruction("alias", variable, (place.variable,)))
            in_state = variable == m.state
            buffers = frozenset((m.state,)) if in_state and m.state else a.buffers | b.buffers
            owned = a.owned and b.owned and not in_state
            is_view = (a.is_view or b.is_view) and not in_state
            merged.append((m.ref, Place(variable, buffers, owned, a.shape, is_view)))
        for value, place in merged:
            state.bind(value, place)
        if then or orelse:
            yield Branch(stmt.condition, tuple(then), tuple(orelse))

    def merged_variable(
        self,
        m: Merge,
        a: Place,
        b: Place,
        live_places: dict[Expr, Place],
        merged: list[tuple[Expr, Place]],
        others: list[Place],
    ) -> str:
        """A variable for a merged value that overwrites nothing still read, in later code or by another merge."""
        taken = {p.variable for p in live_places.values()} | {p.variable for _, p in merged}
        if a.variable == b.variable and a.variable not in taken:
            return a.variable
        taken |= {p.variable for p in others}
        if m.state is not None and not any(m.state in p.buffers for p in (*live_places.values(), *others)):
            return m.state
        for candidate in (m.identifier, b.variable, a.variable):
            if candidate not in taken and self.names.may_hold_a_local(candidate):
                return candidate
        return self.names.fresh(m.identifier, taken)


def _presence(condition: Expr, present: frozenset[str]) -> tuple[frozenset[str], frozenset[str]]:
    """The states known to be present in the two branches of ``condition``."""
    match condition:
        case Present(key):
            return present | {key}, present
        case Op("not", (Present(key),)):
            return present, present | {key}
        case _:
            return present, present
