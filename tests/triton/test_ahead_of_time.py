"""Compiled for real GPUs: accesses of 128 bits, no byte too many, nothing spilled, no shared memory."""

from __future__ import annotations

from functools import cache

import pytest
import torch

from optdsl.ir import interpret
from tests.reducing import programs
from tests.triton.aot import TARGETS, Access, Binary, compile_jobs, compile_kernel
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


# ------------------------------------------------------------------------------------------------- steps that reduce


TRAFFIC = {
    ("Lamb", (4096,)): {"pass_0": (4, 2), "pass_1": (3, 1)},
    ("StableAdamW", (4096,)): {"pass_0": (2, 0), "pass_1": (4, 3)},
    ("Adafactor", (4096,)): {"pass_1": (3, 0), "pass_2": (3, 2)},
    ("Adafactor", (1024, 512)): {"pass_0": (1, 0), "pass_1": (2, 0), "pass_2": (2, 1)},
    ("Covers", (1024, 512)): {"pass_0": (2, 1)},
}
"""How many tensors the passes of a step read and write, for parameters of some shape."""

SPILLS = ("LOCAL", "vgpr_spill_count", "private_segment_fixed_size")
"""Memory that a good kernel has none of, though elements meet in it. (A few kernels have a stack of 8 bytes with Triton
3.9, and keep scalar registers in lanes of vector registers.)"""


def assert_nothing_spilled(binary: Binary) -> None:
    assert not any(size for what, size in binary.resources.items() if what in SPILLS), binary.resources
    assert binary.resources.get("STACK", 0) <= 8, binary.resources


every_traffic = pytest.mark.parametrize(("name", "shape"), TRAFFIC, ids=str)


@every_target
@every_traffic
def test_passes_move_what_they_must(compiled: Package, name: str, shape: tuple[int, ...], target: str) -> None:
    """Tensors are accessed 128 bits at a time where rows are long; nothing is spilled, and no atomic is used."""
    hypers = {**interpret.default_hypers(programs.program(name)), "weight_decay": 0.1}
    binaries = compile_jobs(compiled.add(programs.program(name)), target, hypers, shape)
    passes = {job: binary for job, binary in binaries.items() if job.startswith("pass")}
    assert passes.keys() == TRAFFIC[name, shape].keys()
    for job, binary in passes.items():
        reads, writes = TRAFFIC[name, shape][job]
        in_a_tensor = binary.elements * 4 // 16
        assert binary.widest(reads=True) == reads * in_a_tensor
        assert binary.widest(reads=False) == writes * in_a_tensor
    for binary in binaries.values():
        assert_nothing_spilled(binary)
        assert "atom" not in binary.assembly
        assert "red.global" not in binary.assembly


@pytest.mark.parametrize("dtype", (torch.bfloat16, torch.float64), ids=str)
@every_traffic
def test_other_dtypes_of_steps_that_reduce(
    compiled: Package, name: str, shape: tuple[int, ...], dtype: torch.dtype
) -> None:
    hypers = {**interpret.default_hypers(programs.program(name)), "weight_decay": 0.1}
    binaries = compile_jobs(compiled.add(programs.program(name)), "sm_90", hypers, shape, dtype=dtype)
    for job, (reads, writes) in TRAFFIC[name, shape].items():
        in_a_tensor = binaries[job].elements * dtype.itemsize // 16
        assert binaries[job].widest(reads=True) == reads * in_a_tensor
        assert binaries[job].widest(reads=False) == writes * in_a_tensor
        assert_nothing_spilled(binaries[job])


@every_traffic
def test_the_first_pass_that_reads_the_gradient_unscales_it(
    compiled: Package, name: str, shape: tuple[int, ...]
) -> None:
    hypers = {**interpret.default_hypers(programs.program(name)), "weight_decay": 0.1}
    binaries = compile_jobs(compiled.add(programs.program(name)), "sm_90", hypers, shape, scaled=True)
    extra = 1
    for job, (_, writes) in TRAFFIC[name, shape].items():
        assert binaries[job].widest(reads=False) == (writes + extra) * binaries[job].elements * 4 // 16
        extra = 0


@every_target
@pytest.mark.parametrize("shape", ((64, 32, 3, 3), (4096, 3), (3, 4096), (7,), ()), ids=str)
@pytest.mark.parametrize("name", programs.NAMES)
def test_nothing_is_spilled_for_other_shapes(compiled: Package, name: str, shape: tuple[int, ...], target: str) -> None:
    hypers = interpret.default_hypers(programs.program(name))
    for binary in compile_jobs(compiled.add(programs.program(name)), target, hypers, shape, (True,)).values():
        assert_nothing_spilled(binary)
        assert "atom" not in binary.assembly
