"""Optimizers that train at another point than the one they return."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import pytorch_optimizer
import torch

from optdsl.ir.interpret import evaluated, resumed
from tests.torch_parity.cases import parameters
from tests.zoo.cases import CASES, Case, configurations, gradients
from tests.zoo.test_variants import hypers

MODAL = [case for case in CASES if case.program.evaluation is not None]


def test_the_schedule_free_ones_have_modes() -> None:
    assert {case.name for case in MODAL} == {"ScheduleFreeAdamW", "ScheduleFreeSGD"}


@configurations(MODAL)
def test_both_modes_are_those_of_the_reference(case: Case, kwargs: dict[str, Any]) -> None:
    ours, theirs = parameters(torch.float64), parameters(torch.float64)
    optimizer = case.ours(ours, **kwargs)
    reference = getattr(pytorch_optimizer, case.name)(theirs, **kwargs)
    for t, step in enumerate(gradients(ours)):
        for one, other, grad in zip(ours, theirs, step, strict=True):
            one.grad, other.grad = grad.clone(), grad.clone()
        optimizer.step()
        reference.step()
        if t % 5 == 4:
            for switch in ("eval", "train"):
                getattr(optimizer, switch)()
                getattr(reference, switch)()
                for one, other in zip(ours, theirs, strict=True):
                    torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-7)


@configurations(MODAL)
def test_both_modes_are_those_of_the_program(case: Case, kwargs: dict[str, Any]) -> None:
    params = parameters(torch.float64)
    optimizer = case.ours(params, **kwargs)
    for step in gradients(params, 3):
        for param, grad in zip(params, step, strict=True):
            param.grad = grad
        optimizer.step()
    trained = [param.detach().clone() for param in params]
    states = [{key: value.numpy() for key, value in optimizer.state[param].items()} for param in params]
    optimizer.eval()
    values = hypers(case, kwargs)
    for param, before, state in zip(params, trained, states, strict=True):
        expected = evaluated(case.program, values, before.numpy(), state, 3)
        np.testing.assert_allclose(param.detach().numpy(), expected, rtol=1e-12, atol=1e-15)
        back = resumed(case.program, values, expected, state, 3)
        np.testing.assert_allclose(back, before.numpy(), rtol=1e-12, atol=1e-15)
    optimizer.train()
    for param, before in zip(params, trained, strict=True):
        torch.testing.assert_close(param, before, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("dtype", (torch.float32, torch.bfloat16, torch.complex64), ids=str)
@pytest.mark.parametrize("case", MODAL, ids=lambda case: case.name)
def test_switching_back_and_forth_loses_little(case: Case, dtype: torch.dtype) -> None:
    params = [torch.randn(5, 3, dtype=dtype, requires_grad=True) for _ in range(2)]
    optimizer = case.ours(params, lr=0.1)
    for _ in range(4):
        for param in params:
            param.grad = torch.randn_like(param)
        optimizer.step()
    before = [param.detach().clone() for param in params]
    for _ in range(10):
        optimizer.eval()
        optimizer.eval()  # once more changes nothing
        optimizer.train()
        optimizer.train()
    tolerance = 20 * torch.finfo(dtype).eps
    for param, old in zip(params, before, strict=True):
        torch.testing.assert_close(param.detach(), old, rtol=tolerance, atol=tolerance)
