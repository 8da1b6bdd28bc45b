"""The launcher's own calls, through Triton's just-in-time compiler, up to where a GPU would be needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from triton.backends.compiler import GPUTarget
from triton.runtime import driver
from triton.runtime.jit import JITFunction

from tests.triton.aot import TARGETS
from tests.triton.cases import Case, program
from tests.triton.harness import Package


class Absent:
    """The driver of a GPU that is not there: enough to compile for it."""

    def __init__(self, target: GPUTarget):
        self.target = target

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, device: int) -> int:
        return 0

    def get_current_target(self) -> GPUTarget:
        return self.target


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The compiled kernels that would have been launched."""
    kernels: list[Any] = []

    def getitem(self: JITFunction, grid: tuple[int, ...]) -> Callable[..., None]:
        return lambda *args, **kwargs: kernels.append(self.warmup(*args, grid=grid, **kwargs))

    monkeypatch.setattr(JITFunction, "__getitem__", getitem)
    return kernels


def step(module: Any, count: int, scaling: torch.Tensor | None = None) -> None:
    """One of Adam with ``count`` tensors."""
    params, grads, *states = ([torch.zeros(5) for _ in range(count)] for _ in range(4))
    steps = [torch.zeros(()) for _ in range(count)]
    bucket = module.Bucket(params, grads, (*states, []), steps, (), Case("Adam", 7).all_hypers)
    module.fused_step([bucket], scaling, scaling)


@pytest.mark.parametrize("target", TARGETS)
def test_a_launch_compiles(
    compiled: Package, launched: list[Any], monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    monkeypatch.setattr(driver, "_active", Absent(TARGETS[target]))
    module = compiled.add(program("Adam"))
    for scaling in (None, torch.ones(1)):
        step(module, 2, scaling)
    assert [kernel.name for kernel in launched] == ["_adam_prepare", "_adam_kernel"] * 2
    assert all(kernel.metadata.num_warps == 4 for kernel in launched)


def test_the_number_of_tensors_and_where_scales_are_do_not_matter(
    compiled: Package, launched: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "_active", Absent(TARGETS["sm_90"]))
    module = compiled.add(program("Adam"))
    memory = torch.ones(8)
    for i, count in enumerate((1, 2, 16, 33)):
        step(module, count, memory[i : i + 1])
    assert len({id(kernel) for kernel in launched}) == 2, "one compilation of each kernel"
