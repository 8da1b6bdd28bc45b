"""Programs drawn at random mean the same in the fused kernel as in the IR interpreter."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import Phase, given, settings

from optdsl.ir import interpret
from optdsl.ir.passes.folds import obstacles
from optdsl.ir.passes.phases import _Scheduler
from tests.strategies import Case, cases
from tests.triton.harness import Package

FEW = settings(
    max_examples=60,
    phases=(Phase.generate,),
)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@given(case=cases())
@FEW
def test_the_kernel_means_what_the_program_means(interpreted: Package, case: Case) -> None:
    check(interpreted, case)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@given(case=cases(beyond=True).filter(lambda case: not obstacles(case.program)))
@FEW
def test_kernels_that_reduce_mean_what_the_program_means(interpreted: Package, case: Case) -> None:
    check(interpreted, case)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@given(case=cases(beyond=True).filter(lambda case: not obstacles(case.program)))
@FEW
def test_so_they_do_by_the_worst_schedule(interpreted: Package, case: Case) -> None:
    """Where states are written as early as can be, and read back."""
    traffic = _Scheduler.traffic
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_Scheduler, "traffic", lambda *args: None if (t := traffic(*args)) is None else -t)
        check(interpreted, case)


def check(interpreted: Package, case: Case) -> None:
    """The kernels of ``case``, and the interpreter, step two equal parameters."""
    kernels = interpreted.add(case.program)
    bucket_type = interpreted.module("_support.fused").Bucket
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
        for plan in kernels._OPTIMIZER.plans.values():
            for launch in plan.launches:
                getattr(launch, "scratch", torch.empty(0)).fill_(torch.nan)
        present = tuple(bool(states[key]) and states[key][0] is not None for key in late)
        kernels.fused_step([bucket_type(params, grads, tuple(states.values()), steps, present, case.hypers)])
        for i in range(count):
            np.testing.assert_array_equal(grads[i], grad)
            np.testing.assert_allclose(params[i], expected_param, rtol=1e-8, atol=1e-8)
            for key, value in expected_states.items():
                np.testing.assert_allclose(states[key][i], value, rtol=1e-8, atol=1e-8, err_msg=key)
