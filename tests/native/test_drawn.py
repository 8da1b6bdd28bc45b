"""Programs drawn at random mean the same in the native kernel as in the IR interpreter."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import Phase, assume, given, settings

from optdsl.ir import interpret
from tests.emit.test_random_programs import decides_presence_on_device
from tests.native.harness import NativePackage
from tests.strategies import Case, cases

FEW = settings(
    max_examples=40,
    phases=(Phase.generate,),
)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@given(case=cases())
@FEW
def test_the_kernel_means_what_the_program_means(package: NativePackage, case: Case) -> None:
    program, count = case.program, 2
    assume(not decides_presence_on_device(program))
    kernels = package.add(program)
    bucket_type = package.module("_support.fused").Bucket
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
        kernels.fused_step([bucket_type(params, grads, tuple(states.values()), steps, present, case.hypers)])
        for i in range(count):
            np.testing.assert_array_equal(grads[i], grad)
            np.testing.assert_allclose(params[i], expected_param, rtol=1e-8, atol=1e-8)
            for key, value in expected_states.items():
                np.testing.assert_allclose(states[key][i], value, rtol=1e-8, atol=1e-8, err_msg=key)
