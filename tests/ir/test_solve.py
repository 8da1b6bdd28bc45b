"""Solving for θ: what an inverse makes of what an expression made of θ is θ."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optdsl.ir.interpret import evaluated, resumed
from optdsl.ir.nodes import (
    Const,
    DType,
    Evaluation,
    Expr,
    Hyper,
    Op,
    Param,
    Program,
    Rate,
    State,
    StateValue,
    add,
    div,
    mul,
    power,
    sub,
)
from optdsl.ir.solve import inverse

Z, BETA, FLAG = StateValue("z"), Hyper("beta"), Hyper("flag", DType.BOOL)
FREE = (Z, BETA, Const(2), add(Z, Const(3)), Op("abs", (sub(Z, BETA),)), Op("mean_all", (Z,)))
"""What does not follow from θ."""


def program(value: Expr) -> Program:
    return Program(
        name="Solved",
        doc="",
        arguments=(),
        checks=(),
        states=(State("z", "z", Rate.ELEMENT, Const(0)),),
        body=(),
        param=Param(),
        new_states=(("z", Z),),
        evaluation=Evaluation(value, inverse(value)),
    )


@st.composite
def linear(draw: st.DrawFn) -> Expr:
    """An expression that is linear in θ, whose slope is not zero where every free value is above one."""
    value: Expr = Param()
    for _ in range(draw(st.integers(0, 5))):
        free = draw(st.sampled_from(FREE))
        match draw(st.sampled_from(("add", "sub", "rsub", "mul", "div", "neg", "more", "select"))):
            case "add":
                value = add(value, free)
            case "sub":
                value = sub(value, free)
            case "rsub":
                value = sub(free, value)
            case "mul":
                value = mul(free, value) if draw(st.booleans()) else mul(value, free)
            case "div":
                value = div(value, free)
            case "neg":
                value = Op("neg", (value,))
            case "more":
                value = add(value, mul(Const(0.25), value))
            case _:
                value = Op("select", (draw(st.sampled_from((FLAG, Op("gt", (Z, BETA))))), value, mul(value, free)))
    return value


@settings(max_examples=200)
@given(linear(), st.booleans())
def test_an_inverse_goes_back(value: Expr, flag: bool) -> None:
    rng = np.random.default_rng(3)
    theta, z = rng.normal(size=5), 4 + rng.random(5)
    solved, hypers, states = program(value), {"beta": 1.5, "flag": flag}, {"z": z}
    assert solved.evaluation is not None and solved.evaluation.training is not None
    there = evaluated(solved, hypers, theta, states)
    np.testing.assert_allclose(resumed(solved, hypers, there, states), theta, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize(
    "value",
    [
        Z,
        mul(Param(), Param()),
        div(Const(1), Param()),
        power(Param(), Const(2)),
        Op("abs", (Param(),)),
        sub(Param(), Op("mean_all", (Param(),))),
        Op("select", (Op("gt", (Param(), Const(0))), Param(), mul(Const(2), Param()))),
    ],
    ids=range(7),
)
def test_what_is_not_linear_has_none(value: Expr) -> None:
    assert inverse(value) is None
    with pytest.raises(ValueError, match="cannot be told"):
        resumed(program(value), {"beta": 1.5}, np.ones(2), {"z": np.ones(2)})


def test_an_average_is_left_by_another_average() -> None:
    """``(θ - (1 - β) z) / β`` is undone without a division."""
    rest = mul(sub(Const(1), BETA), Z)
    assert inverse(div(sub(Param(), rest), BETA)) == add(mul(Param(), BETA), rest)
