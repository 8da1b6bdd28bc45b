"""Programs drawn at random mean the same in the native kernel as in the IR interpreter."""

from __future__ import annotations

import pytest
from hypothesis import Phase, assume, given, settings

from optdsl.ir.passes.folds import obstacles
from tests.emit.test_random_programs import decides_presence_on_device
from tests.fused_steps import assert_steps
from tests.native.harness import NativePackage
from tests.strategies import Case, cases

FEW = settings(max_examples=40, phases=(Phase.generate,))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@given(case=cases())
@FEW
def test_the_kernel_means_what_the_program_means(package: NativePackage, case: Case) -> None:
    assume(not decides_presence_on_device(case.program))
    assert_steps(package.add(case.program), package.module("_support.fused"), case)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@given(case=cases(beyond=True).filter(lambda case: not obstacles(case.program)))
@FEW
def test_kernels_that_reduce_mean_what_the_program_means(package: NativePackage, case: Case) -> None:
    assume(not decides_presence_on_device(case.program))
    assert_steps(package.add(case.program), package.module("_support.fused"), case)
