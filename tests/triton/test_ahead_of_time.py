"""Compiled for real GPUs: accesses of 128 bits, no byte too many, nothing spilled, no shared memory."""

from __future__ import annotations

from functools import cache

import pytest
import torch

from tests.triton.aot import TARGETS, Access, Binary, compile_kernel
from tests.triton.cases import Case, every_case, program
from tests.triton.harness import Package

every_target = pytest.mark.parametrize("target", TARGETS)


@pytest.fixture(scope="session")
def kernels(compiled: Package):
    """A function from the name of an optimizer to its kernel module."""
    return cache(lambda optimizer: compiled.add(program(optimizer)))


def assert_minimal(binary: Binary, itemsize: int, accesses: int) -> None:
    """The wide loop moves ``accesses`` tensors, 128 bits at a time; the narrow one the same, element by element."""
    wide, narrow = binary.loops
    assert {access.bytes for access in wide} == {16}
    assert sum(access.bytes for access in wide) == accesses * itemsize * binary.elements
    assert {access.bytes for access in narrow} == {itemsize}
    assert len(narrow) == accesses * binary.elements // 2
    assert not any(binary.resources.values()), binary.resources


@every_target
@every_case
def test_accesses_are_wide_and_minimal(kernels, case: Case, target: str) -> None:
    binary = compile_kernel(kernels(case.optimizer), target, case.all_hypers, case.present)
    assert_minimal(binary, 4, case.accesses)


@pytest.mark.parametrize("dtype", (torch.bfloat16, torch.float64), ids=str)
@every_case
def test_other_dtypes(kernels, case: Case, dtype: torch.dtype) -> None:
    binary = compile_kernel(kernels(case.optimizer), "sm_90", case.all_hypers, case.present, dtype)
    assert_minimal(binary, dtype.itemsize, case.accesses)


@every_target
def test_half_precision_with_wider_states(kernels, target: str) -> None:
    """States are accessed 128 bits at a time, the parameter and its gradient 64: threads exchange nothing."""
    hypers = Case("Adam", 7).all_hypers
    binary = compile_kernel(kernels("Adam"), target, hypers, (), torch.bfloat16, state_dtype=torch.float32)
    wide, _ = binary.loops
    passes = binary.elements // 4
    assert wide.count(Access(8, reads=True)) == 2 * passes
    assert wide.count(Access(8, reads=False)) == passes
    assert wide.count(Access(16, reads=True)) == wide.count(Access(16, reads=False)) == 2 * passes
    assert not any(binary.resources.values()), binary.resources


@every_case
def test_unscaling_writes_the_gradient(kernels, case: Case) -> None:
    binary = compile_kernel(kernels(case.optimizer), "sm_90", case.all_hypers, case.present, scaled=True)
    assert_minimal(binary, 4, case.accesses + 1)


@every_case
def test_machine_code_is_as_wide_as_the_assembly(kernels, case: Case) -> None:
    binary = compile_kernel(kernels(case.optimizer), "sm_90", case.all_hypers, case.present)
    wide, _ = binary.loops
    assert binary.sass.count("LDG.E.128") == wide.count(Access(16, reads=True))
    assert binary.sass.count("STG.E.128") == wide.count(Access(16, reads=False))


@every_target
@every_case
def test_scalars_are_prepared_without_spills(kernels, case: Case, target: str) -> None:
    binary = compile_kernel(
        kernels(case.optimizer), target, case.all_hypers, case.present, scaled=True, which="prepare"
    )
    assert not any(binary.resources.values()), binary.resources
