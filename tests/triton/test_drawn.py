"""Programs drawn at random mean the same in the fused kernel as in the IR interpreter."""

from __future__ import annotations

import pytest
import torch
from hypothesis import Phase, given, settings

from optdsl.ir.passes.folds import obstacles
from optdsl.ir.passes.phases import _Scheduler
from tests.fused_steps import assert_steps
from tests.strategies import Case, cases
from tests.triton.harness import Package

FEW = settings(max_examples=60, phases=(Phase.generate,))


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
    """The scratch memory of the kernels is spoilt before each step."""
    kernels = interpreted.add(case.program)

    def spoil() -> None:
        for plan in kernels._OPTIMIZER.plans.values():
            for launch in plan.launches:
                getattr(launch, "scratch", torch.empty(0)).fill_(torch.nan)

    assert_steps(kernels, interpreted.module("_support.fused"), case, spoil)
