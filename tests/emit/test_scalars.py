"""Names that stand for numbers of the host here and for tensors there, and choices between such values."""

from __future__ import annotations

from dataclasses import replace

import pytest

from optdsl.compiler import check_source
from optdsl.ir.interpret import default_hypers
from optdsl.ir.nodes import Grad, Let, Op, Present, Program, StateValue
from optdsl.source import Source
from tests.emit.test_random_programs import assert_same, run_variant, trajectory
from tests.strategies import Case, arrays

SPEC = """\
optimizer Chosen:
    input:
        γ (lr) = 0.1
    initialize:
        m_0 ← 0 (exp_avg)
        v_0 ← 1 (exp_avg_sq)
    for t = 1 to … do
        g_t ← ∇f_t(θ_{t-1})
%s
        v_t ← v_{t-1} + g_t²
    return θ_t
"""

STEPS = {
    "a norm or a number": """
        r ← { norm(g_t)   if t = 2
            { log(t)      otherwise
        m_t ← m_{t-1} + g_t
        θ_t ← θ_{t-1} - γ g_t r""",
    "a norm or a number, in branches": """
        if t = 2
            r ← norm(g_t)
        else
            r ← log(t)
        m_t ← m_{t-1} + g_t
        θ_t ← θ_{t-1} - γ g_t r""",
    "versions of one name, of the host and of each tensor": """
        s ← t + 1
        m_t ← s g_t
        s ← 2 t
        u_t ← s g_t
        s ← norm(g_t)
        θ_t ← θ_{t-1} - γ s (m_t + u_t)""",
}

FLOORS = """
        m_t ← m_{t-1} + ⌊t / γ⌋ g_t
        θ_t ← θ_{t-1} - γ m_t ⌊t / 2⌋"""

CHOSEN_STATE = """
        m_t ← exp(min(g_t, 1)) / (1 - 0.9^t)
        θ_t ← θ_{t-1} - γ m_t"""

VARIANTS = ("single_tensor", "multi_tensor", "capturable", "differentiable")


def program(step: str) -> Program:
    checked = check_source(Source("chosen.opt", SPEC % step.strip("\n")))
    assert not checked.diagnostics
    return checked.units[0].program


def assert_variant(variant: str, program: Program) -> None:
    param, *grads = arrays(0, (2, 3), 4)
    case = Case(program, {**default_hypers(program), "maximize": False}, param, tuple(grads))
    assert_same(run_variant(case, variant), trajectory(case, program))


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("step", STEPS)
def test_a_number_or_what_follows_from_tensors(step: str, variant: str) -> None:
    assert_variant(variant, program(STEPS[step]))


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_chosen_state_is_not_overwritten(variant: str) -> None:
    made = program(CHOSEN_STATE)
    condition = Op("and", (Present("exp_avg"), Present("exp_avg")))
    chosen = Op("select", (condition, StateValue("exp_avg_sq"), Grad()))
    body = tuple(
        replace(s, value=Op("mul", (chosen, s.value))) if isinstance(s, Let) and s.state == "exp_avg" else s
        for s in made.body
    )
    assert_variant(variant, made.with_body(body))


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_floor_of_a_quotient_is_that_of_its_rounded_value(variant: str) -> None:
    assert_variant(variant, program(FLOORS))
