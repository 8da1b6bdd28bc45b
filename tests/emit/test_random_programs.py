"""Programs drawn at random mean the same in the interpreter, after every pass, and in each Python variant."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import Phase, assume, given, settings

from optdsl.emit.python import PythonFunctions, emit_functions, fact_argument, hyperparameters, reads_step
from optdsl.ir import interpret
from optdsl.ir.nodes import If, Program, statements
from optdsl.ir.passes import optimize, predicate_step_branches, split_scalars
from optdsl.ir.passes.choices import simplify_choices
from optdsl.ir.passes.common import eliminate_common_subexpressions
from optdsl.ir.passes.forward import (
    factor_merges,
    forget_passing_states,
    hoist_scalar_factors,
    inline_single_uses,
    propagate_copies,
)
from optdsl.ir.passes.reductions import name_reductions, simplify_reductions
from optdsl.ir.passes.rewrite import remove_dead_code
from optdsl.ir.passes.scalars import depends_on_device
from optdsl.support import facts, foreach, reductions, scalars
from tests.strategies import Case, cases

RANDOM = settings(
    max_examples=150,
    phases=(Phase.generate,),
)

PASSES: dict[str, Callable[[Program], Program]] = {
    "propagate_copies": propagate_copies,
    "forget_passing_states": forget_passing_states,
    "simplify_choices": simplify_choices,
    "simplify_reductions": simplify_reductions,
    "name_reductions": name_reductions,
    "hoist_scalar_factors": hoist_scalar_factors,
    "factor_merges": lambda p: factor_merges(hoist_scalar_factors(p)),
    "inline_single_uses": inline_single_uses,
    "eliminate_common_subexpressions": eliminate_common_subexpressions,
    "remove_dead_code": remove_dead_code,
    "optimize": optimize,
    "predicate_step_branches": predicate_step_branches,
    "split_scalars": lambda p: (lambda s: replace(s.program, body=s.prelude + s.body))(split_scalars(optimize(p))),
}

Trajectory = list[tuple[np.ndarray, dict[str, np.ndarray]]]


def trajectory(case: Case, program: Program) -> Trajectory:
    return interpret.run(program, case.hypers, case.param, case.grads, scalar_dtype=np.float64)


def assert_same(actual: Trajectory, expected: Trajectory) -> None:
    for (param, state), (expected_param, expected_state) in zip(actual, expected, strict=True):
        np.testing.assert_allclose(param, expected_param, rtol=1e-8, atol=1e-8)
        assert set(state) == set(expected_state)
        for key, value in expected_state.items():
            np.testing.assert_allclose(state[key], value, rtol=1e-8, atol=1e-8, err_msg=key)


@pytest.mark.parametrize("name", PASSES)
@given(case=cases() | cases(beyond=True))
@RANDOM
def test_passes_keep_the_meaning(name: str, case: Case) -> None:
    assume(name != "predicate_step_branches" or not decides_presence_on_device(case.program))
    assert_same(trajectory(case, PASSES[name](case.program)), trajectory(case, case.program))


def decides_presence_on_device(program: Program) -> bool:
    """Whether a per-step number decides if a state without initial value gets one (no host could know)."""
    absentable = {s.key for s in program.states if s.initial is None}
    return any(
        isinstance(s, If) and depends_on_device(s.condition) and any(m.state in absentable for m in s.merges)
        for s in statements(program.body)
    )


def run_variant(case: Case, variant: str) -> Trajectory:
    """Runs an emitted function on two equal parameters, and checks that gradients are left alone."""
    program = case.program
    functions: PythonFunctions = emit_functions(program)
    namespace = {
        "torch": torch, "Tensor": torch.Tensor, "math": math,
        "scalars": scalars, "foreach": foreach, "reductions": reductions,
    }  # fmt: skip
    text = "from __future__ import annotations\n" + getattr(functions, variant)
    exec(compile(text, f"<{variant}>", "exec"), namespace)
    function = namespace[f"_{variant}_{program.name.lower()}"]
    device_scalars = variant == "capturable"

    params = [torch.tensor(case.param) for _ in range(2)]
    start = interpret.initial_state(program, case.hypers, case.param, scalar_dtype=np.float64)
    on = {s.key: interpret.exists(s, case.hypers, case.param) for s in program.states}
    states = {
        s.key: [torch.tensor(start[s.key]) if s.key in start else None for _ in params] if on[s.key] else []
        for s in program.states
    }
    hypers = {name: case.hypers[name] for name in hyperparameters(program)}
    hypers |= {fact_argument(fact): getattr(facts, fact)(params[0]) for fact in program.facts}
    result: Trajectory = []
    for t, grad in enumerate(case.grads, 1):
        grads = [torch.tensor(grad) for _ in params]
        step = torch.full((len(params),), float(t), dtype=torch.float64) if device_scalars else float(t)
        given_step = {"step": step} if reads_step(program) else {}
        function(params, grads, *states.values(), **given_step, **hypers)
        for g in grads:
            np.testing.assert_array_equal(g.numpy(), grad, err_msg="a gradient was written")
        for values in (params, *states.values()):
            for x in values[1:]:
                np.testing.assert_array_equal(values[0] is None, x is None)
                if x is not None:
                    np.testing.assert_array_equal(values[0].numpy(), x.numpy())
        result.append(
            (
                params[0].numpy().copy(),
                {k: v[0].numpy().copy() for k, v in states.items() if v and v[0] is not None},
            )
        )
    return result


@pytest.mark.parametrize("variant", ["single_tensor", "multi_tensor", "capturable", "differentiable"])
@given(case=cases() | cases(beyond=True))
@RANDOM
def test_variants_agree_with_the_interpreter(variant: str, case: Case) -> None:
    assume(variant != "capturable" or not decides_presence_on_device(case.program))
    assert_same(run_variant(case, variant), trajectory(case, case.program))
