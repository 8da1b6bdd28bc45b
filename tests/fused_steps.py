"""The fused steps of a drawn program, compared with the IR interpreter."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np
import torch

from optdsl.ir import interpret
from tests.strategies import Case


def nothing() -> None:
    """Done before each step, where there is nothing to do."""


def assert_steps(kernels: ModuleType, fused: ModuleType, case: Case, before: Callable[[], None] = nothing) -> None:
    """``fused_step`` of ``kernels`` steps two equal parameters as the interpreter steps one.

    ``fused`` is the module of support that the kernels' package has; ``before`` is called before each step.
    """
    program, count = case.program, 2
    params = [torch.tensor(case.param) for _ in range(count)]
    start = interpret.initial_state(program, case.hypers, case.param, scalar_dtype=np.float64)
    exists = {s.key: interpret.exists(s, case.hypers, case.param) for s in program.states}
    states = {
        s.key: [torch.tensor(start[s.key]) if s.key in start else None for _ in params] if exists[s.key] else []
        for s in program.states
    }
    steps = [torch.zeros((), dtype=torch.float64) for _ in params] if program.counts_steps else []
    late = [s.key for s in program.states if s.initial is None]
    expected = interpret.run(program, case.hypers, case.param, case.grads, scalar_dtype=np.float64)
    for grad, (expected_param, expected_states) in zip(case.grads, expected, strict=True):
        grads = [torch.tensor(grad) for _ in params]
        present = tuple(bool(states[key]) and states[key][0] is not None for key in late)
        before()
        kernels.fused_step([fused.Bucket(params, grads, tuple(states.values()), steps, present, case.hypers)])
        for i in range(count):
            np.testing.assert_array_equal(grads[i], grad)
            np.testing.assert_allclose(params[i], expected_param, rtol=1e-8, atol=1e-8)
            for key, value in expected_states.items():
                np.testing.assert_allclose(states[key][i], value, rtol=1e-8, atol=1e-8, err_msg=key)
