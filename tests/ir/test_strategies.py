"""The drawn programs are what they claim to be: well-formed, tame, and of every kind."""

from typing import get_args

import numpy as np
import pytest
from hypothesis import find, given, settings

from optdsl.ir.interpret import default_hypers
from optdsl.ir.nodes import (
    OPERATIONS,
    REDUCTIONS,
    Call,
    Const,
    Expr,
    Grad,
    If,
    Item,
    Let,
    Op,
    Param,
    Present,
    Program,
    Rate,
    Size,
    mul,
    statements,
    sub,
    walk,
)
from tests.ir_samples import ADAM, SGD
from tests.strategies import Case, cases, is_stable, perturbed, programs
from tests.wellformed import assert_wellformed

QUICK = settings(max_examples=100)


def expressions(program: Program):
    for stmt in statements(program.body):
        yield from walk(stmt.value if isinstance(stmt, Let) else stmt.condition)


@given(programs() | programs(beyond=True))
@QUICK
def test_drawn_programs_are_wellformed(program):
    assert_wellformed(program)


@pytest.mark.parametrize("program", [ADAM, SGD], ids=["adam", "sgd"])
def test_the_samples_are_wellformed(program):
    assert_wellformed(program)


@given(cases())
@QUICK
def test_cases_run_and_are_stable(case):
    assert is_stable(case)
    assert_wellformed(perturbed(case.program, 0))


def test_every_operation_and_every_shape_is_drawn():
    seen = set()

    @given(programs() | programs(beyond=True))
    @settings(QUICK, max_examples=600, derandomize=True)
    def collect(program):
        for e in expressions(program):
            seen.update((type(e), e.op) if isinstance(e, Op) else (type(e),))
        for stmt in statements(program.body):
            if isinstance(stmt, If):
                seen.update("nested" for inner in stmt.then if isinstance(inner, If))
                seen.update("presence" for _ in stmt.then if isinstance(stmt.condition, Present))
        for state in program.states:
            seen.add(("state", state.rate, state.initial is None, state.condition is None))

    collect()
    made_by_passes = {"full"}
    drawn_with_functions = {Call, Item, Size, "bfloat16"}
    of_certain_matrices = {"orthonormal", "matrix_power", "identity"}
    over_parameters = {op for op, of in REDUCTIONS.items() if of.over == "parameters"}
    wanted = {*OPERATIONS, *get_args(Expr), "nested", "presence"}
    assert seen >= wanted - made_by_passes - drawn_with_functions - of_certain_matrices - over_parameters
    assert seen >= {("state", Rate.ELEMENT, absent, always) for absent in (True, False) for always in (True, False)}
    assert ("state", Rate.STEP, False, True) in seen


def test_drawn_programs_shrink_to_few_statements():
    has_floor = lambda p: any(isinstance(e, Op) and e.op == "floor" for e in expressions(p))  # noqa: E731
    program = find(programs(), has_floor, settings=settings(max_examples=1000))
    assert len(list(statements(program.body))) <= 8


def test_a_tie_makes_a_case_unstable():
    """``sign((a b) c - a (b c))`` is rounding and nothing else."""
    left = mul(mul(Param(), Grad()), Const(0.1))
    right = mul(Param(), mul(Grad(), Const(0.1)))
    program = Program(
        name="Tie",
        doc="",
        arguments=(),
        checks=(),
        states=(),
        body=(Let("param.1", Op("sign", (sub(left, right),)), state="param"),),
        param=Let("param.1", Param()).ref,
        new_states=(),
    )
    rng = np.random.default_rng(0)
    assert not is_stable(Case(program, default_hypers(program), rng.normal(size=9), (rng.normal(size=9),)))
