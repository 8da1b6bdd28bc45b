"""Is a program well-formed? For tests of whatever makes or changes programs."""

from __future__ import annotations

from dataclasses import replace

from optdsl.ir.nodes import Block, Expr, If, Let, Merge, Present, Program, Rate, Ref, StateValue, Type, walk


def assert_wellformed(program: Program) -> None:
    """Every name is assigned once and before it is read, with the type it is read with; branches are never per element.

    Also: states that are read or assigned exist, and the step leaves a value for θ and for each state, in order.
    """
    keys = {s.key for s in program.states}
    assigned: set[str] = set()

    def read(expr: Expr, visible: dict[str, Type]) -> None:
        for e in walk(expr):
            if isinstance(e, Ref):
                assert e.name in visible, f"{e.name} is not visible"
                assert e.type == visible[e.name], f"{e.name} is {visible[e.name]}, read as {e.type}"
            if isinstance(e, StateValue | Present):
                assert e.key in keys, f"no state {e.key}"
            if isinstance(e, StateValue):
                of = program.state(e.key)
                assert (e.rate, e.shape) == (of.rate, of.shape), f"{e.key} is read as another kind of state"

    def assign(name: str, type_: Type, state: str | None, visible: dict[str, Type]) -> None:
        assert name not in assigned, f"{name} is assigned twice"
        assert state is None or state == "param" or state in keys, f"no state {state}"
        if state in keys:
            of = program.state(state)
            assert type_.rate <= of.rate, f"a tensor is assigned to the scalar state {state}"
            assert not type_.is_tensor or type_.shape == of.shape, f"{state} is assigned a value of another shape"
        assigned.add(name)
        visible[name] = type_

    def merged(merge: Merge, condition: Expr) -> Type:
        assert merge.then.type.dtype is merge.orelse.type.dtype, f"{merge.name} merges two kinds of value"
        return replace(merge.ref.type, rate=max(merge.ref.type.rate, condition.type.rate))

    def block(stmts: Block, visible: dict[str, Type]) -> None:
        for stmt in stmts:
            match stmt:
                case Let(name, value, state):
                    read(value, visible)
                    assign(name, value.type, state, visible)
                case If(condition, then, orelse, merges):
                    read(condition, visible)
                    assert condition.type.rate in (Rate.GROUP, Rate.STEP)
                    sides = dict(visible), dict(visible)
                    block(then, sides[0])
                    block(orelse, sides[1])
                    for merge in merges:
                        read(merge.then, sides[0])
                        read(merge.orelse, sides[1])
                        assign(merge.name, merged(merge, condition), merge.state, visible)

    visible: dict[str, Type] = {}
    block(program.body, visible)
    read(program.param, visible)
    for _, value in program.new_states:
        read(value, visible)
    assert [key for key, _ in program.new_states] == [s.key for s in program.states]
