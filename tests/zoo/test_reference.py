"""Parameters and states after many steps are those of an independent implementation."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.torch_parity.cases import parameters
from tests.zoo.cases import CASES, STEPS, Case, configurations, gradients


def assert_close(ours: Tensor, theirs: Tensor, rtol: float, what: str) -> None:
    scale = theirs.detach().abs().max().item() if theirs.numel() else 0.0
    theirs = theirs.to(ours.dtype).reshape(ours.shape)
    torch.testing.assert_close(ours, theirs, rtol=rtol, atol=rtol * scale, msg=lambda text: f"{what}: {text}")


@pytest.mark.parametrize("maximize", (False, True), ids=("minimize", "maximize"))
@configurations(CASES)
def test_agrees_with_the_reference(case: Case, kwargs: dict[str, Any], maximize: bool) -> None:
    """To maximize is to minimize with the negated gradients; some references do something else in the first step."""
    params, start = parameters(torch.float64), parameters(torch.float64)
    grads = gradients(params)
    optimizer = case.ours(params, **kwargs, maximize=maximize, foreach=False)
    for step in grads:
        for param, grad in zip(params, step, strict=True):
            param.grad = -grad if maximize else grad
        optimizer.step()
    for param, (theta, states) in zip(params, case.reference(start, grads, case.arguments(kwargs)), strict=True):
        assert_close(param, theta, case.rtol, "θ")
        for key, value in optimizer.state[param].items():
            assert_close(value, torch.as_tensor(STEPS if key == "step" else states[key]), case.rtol, key)
