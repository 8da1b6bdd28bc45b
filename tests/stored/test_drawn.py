"""Programs drawn at random mean the same, stepped over stored entries, as in the interpreter with a mask."""

from __future__ import annotations

import importlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import Phase, assume, given, settings

from optdsl.compiler import _support
from optdsl.emit.native import emit_native
from optdsl.emit.optimizer import emit_module
from optdsl.ir import interpret
from optdsl.ir.nodes import Program
from optdsl.loader import _MEMORY
from tests.strategies import Case, cases

SUPPORT = _support()


def drawn(examples: int) -> settings:
    return settings(max_examples=examples, phases=(Phase.generate,))


def compiled(program: Program) -> type[torch.optim.Optimizer]:
    """The class of ``program``, with its native kernel beside it, which steps all rows where they are."""
    files = {"__init__.py": "", "drawn.py": emit_module(program), "_drawn_native.py": emit_native(program), **SUPPORT}
    package = _MEMORY.add("_drawn", "drawn", files)
    native = importlib.import_module(f"{package}._support.native_stored")
    native.LEAST_BYTES = native.LEAST_ELEMENTS = 0
    return importlib.import_module(f"{package}.drawn").Drawn


def masks(case: Case) -> list[tuple[np.ndarray | None, int]]:
    """For each gradient where it stores entries, None for all of a dense one; and how many dimensions are sparse."""
    rng = np.random.default_rng(len(case.grads) + case.param.size)
    found: list[tuple[np.ndarray | None, int]] = []
    for i in range(len(case.grads)):
        dims = case.param.ndim if i % 2 else min(1, case.param.ndim)
        stored = rng.random(case.param.shape[:dims]) < 0.5
        stored = stored.reshape(stored.shape + (1,) * (case.param.ndim - dims))
        found.append((None if i % 4 == 3 else np.broadcast_to(stored, case.param.shape), dims))
    return found


def gradient(grad: np.ndarray, mask: np.ndarray | None, dims: int) -> torch.Tensor:
    """``grad`` with the entries of ``mask`` stored, zeros among them too."""
    if mask is None:
        return torch.tensor(grad)
    rows = mask.reshape(*mask.shape[:dims], -1).any(axis=-1) if mask.size else np.zeros(mask.shape[:dims], bool)
    indices = torch.tensor(np.array(np.nonzero(rows)) if dims else np.zeros((0, int(rows)), np.int64))
    values = torch.tensor(grad[rows] if dims else grad.reshape(1)[: int(rows)])
    return torch.sparse_coo_tensor(indices, values, grad.shape, check_invariants=True)


def check(case: Case, flags: dict[str, Any], tolerance: float) -> None:
    assume(all(state.initial is not None for state in case.program.states))
    program = replace(case.program, stored_only=True)
    hypers = {**case.hypers, **flags}
    param = torch.tensor(case.param, requires_grad=True)
    optimizer = compiled(program)([param], **hypers)
    expected, states = case.param, interpret.initial_state(program, case.hypers, case.param)
    for t, (grad, (mask, dims)) in enumerate(zip(case.grads, masks(case), strict=True), 1):
        param.grad = gradient(grad, mask, dims)
        optimizer.step()
        expected, states = interpret.step(program, case.hypers, expected, grad, states, t, support=mask)
        np.testing.assert_allclose(param.detach(), expected, rtol=tolerance, atol=tolerance)
        for key, value in states.items():
            np.testing.assert_allclose(optimizer.state[param][key], value, rtol=tolerance, atol=tolerance, err_msg=key)
        if program.counts_steps:
            assert optimizer.state[param]["step"] == t


@pytest.mark.parametrize("flags", ({"foreach": False}, {"foreach": True}), ids=("loop", "foreach"))
@given(case=cases())
@drawn(60)
def test_the_variants_mean_what_the_program_means(flags: dict[str, Any], case: Case) -> None:
    check(case, flags, 1e-8)


@given(case=cases())
@drawn(10)
def test_the_native_kernel_means_what_the_program_means(case: Case) -> None:
    check(case, {"fused": True}, 1e-8)
