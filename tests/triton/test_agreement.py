"""Fused steps, in the interpreter, agree with torch.optim in parameters and states."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest
import torch

from tests.torch_parity.cases import (
    FUSED,
    Case,
    assert_agree,
    configurations,
    every_fused_case,
    gradients,
    spec_of,
    train,
)
from tests.triton.cases import program
from tests.triton.harness import load_fused

pytestmark = [
    pytest.mark.usefixtures("interpreter"),
    pytest.mark.filterwarnings("ignore:(divide by zero|invalid value):RuntimeWarning"),
]

STEPS = 6


def tolerance(case: Case, dtype: torch.dtype) -> float:
    """How far results may be apart: scalar states are float32, and torch computes some of them in float32 too."""
    return max(case.tolerance(dtype), 1e-7 if program(case.name).scalar_states else 0)


@functools.cache
def fused(case: Case) -> Callable[..., torch.optim.Optimizer]:
    """The optimizer of ``case``, fused on the CPU."""
    return functools.partial(getattr(load_fused(spec_of(case.name)), case.name), fused=True)


@pytest.mark.parametrize(("case", "kwargs"), configurations("cpu", FUSED))
def test_every_configuration(case: Case, kwargs: dict[str, Any]) -> None:
    ours, torchs = (case.trained(cls, torch.float64, kwargs, STEPS) for cls in (fused(case), case.torchs))
    assert_agree(ours, torchs, tolerance(case, torch.float64))


@every_fused_case
def test_single_precision(case: Case) -> None:
    ours, torchs = (case.trained(cls, torch.float32, {}, STEPS) for cls in (fused(case), case.torchs))
    assert_agree(ours, torchs, tolerance(case, torch.float32))


@pytest.mark.parametrize("dtype", (torch.bfloat16, torch.float16), ids=str)
@every_fused_case
def test_half_precision_rounds_once_a_step(case: Case, dtype: torch.dtype) -> None:
    """The twin computes in float32, and is rounded to ``dtype`` after each step."""
    ours = fused(case)(case.parameters(dtype))
    twin = case.torchs([param.detach().float().requires_grad_() for param in case.parameters(dtype)])
    for step in range(STEPS):
        train(ours, range(step, step + 1))
        for our, their in zip(*(o.param_groups[0]["params"] for o in (ours, twin)), strict=True):
            their.grad = None if our.grad is None else our.grad.float()
        twin.step()
        for param in twin.param_groups[0]["params"]:
            states = [value for value in twin.state[param].values() if isinstance(value, torch.Tensor)]
            for tensor in (param, *(value for value in states if value.shape == param.shape)):
                tensor.data.copy_(tensor.to(dtype))
    for our, their in zip(*(o.param_groups[0]["params"] for o in (ours, twin)), strict=True):
        torch.testing.assert_close(our.float(), their, rtol=torch.finfo(dtype).eps, atol=1e-3)


@every_fused_case
def test_groups_with_their_own_arguments(case: Case) -> None:
    optimizers = []
    for cls in (fused(case), case.torchs):
        params = case.parameters(torch.float64)
        groups = [{"params": params[:2], "lr": 0.5}, {"params": params[2:4], **case.accepted({"maximize": True})}]
        optimizer = cls(groups, lr=0.1)
        train(optimizer, range(3))
        optimizer.add_param_group({"params": params[4:], "lr": 0.25})
        train(optimizer, range(3, 6))
        optimizers.append(optimizer)
    assert_agree(*optimizers, rtol=tolerance(case, torch.float64))


@every_fused_case
def test_parameters_of_several_dtypes_in_one_group(case: Case) -> None:
    optimizers = []
    for cls in (fused(case), case.torchs):
        params = [p for dtype in (torch.float64, torch.float32) for p in case.parameters(dtype)]
        optimizers.append(cls(params))
        train(optimizers[-1], range(STEPS))
    assert_agree(*optimizers, rtol=tolerance(case, torch.float32))


@every_fused_case
def test_a_changed_learning_rate(case: Case) -> None:
    optimizers = [case.trained(cls, torch.float64, {"lr": 0.5}, 3) for cls in (fused(case), case.torchs)]
    for optimizer in optimizers:
        optimizer.param_groups[0]["lr"] = 0.25
        train(optimizer, range(3, 6))
    assert_agree(*optimizers, rtol=tolerance(case, torch.float64))


@every_fused_case
def test_a_learning_rate_in_a_tensor(case: Case) -> None:
    ours = case.trained(fused(case), torch.float64, {"lr": torch.tensor(0.125)}, 3)
    torchs = case.trained(case.torchs, torch.float64, {"lr": 0.125}, 3)
    ours.param_groups[0]["lr"].mul_(0.5)
    torchs.param_groups[0]["lr"] = 0.0625
    for optimizer in (ours, torchs):
        train(optimizer, range(3, 6))
    assert_agree(ours, torchs, rtol=tolerance(case, torch.float64))


@pytest.mark.parametrize("case", [case for case in FUSED if not case.needs_sparse], ids=str)
def test_scaled_gradients_and_skipped_steps(case: Case) -> None:
    """GradScaler's side: gradients come multiplied, and a step with an infinity among them does not happen."""
    ours, torchs = (cls(case.parameters(torch.float64)) for cls in (fused(case), case.torchs))
    pairs = [optimizer.param_groups[0]["params"] for optimizer in (ours, torchs)]
    scale = torch.tensor([1024.0])
    for step in range(STEPS):
        skipped = step in (0, 3)
        plain = list(gradients(pairs[0], step))
        for our, their, grad in zip(*pairs, plain, strict=True):
            their.grad = grad
            our.grad = None if grad is None else grad * scale.item()
        ours.grad_scale, ours.found_inf = scale, torch.tensor([float(skipped)])
        ours.step()
        if not skipped:
            torchs.step()
            for our, grad in zip(pairs[0], plain, strict=True):
                assert grad is None or torch.equal(our.grad, grad), "the gradient is left unscaled"
    for our, their in zip(*pairs, strict=True):
        torch.testing.assert_close(our, their, rtol=tolerance(case, torch.float64), atol=1e-12)
        for key, value in torchs.state[their].items():
            torch.testing.assert_close(ours.state[our][key], value, rtol=tolerance(case, torch.float64), atol=1e-12)


@every_fused_case
def test_a_checkpoint_goes_on_in_torch_and_back(case: Case) -> None:
    ours, torchs = (cls(case.parameters(torch.float64)) for cls in (fused(case), case.torchs))
    train(ours, range(3))
    move(ours, torchs, fused=None)
    train(torchs, range(3, 4))
    move(torchs, ours, fused=True)
    train(ours, range(4, 6))
    straight = case.trained(case.torchs, torch.float64, {}, 6)
    for our, their in zip(*(o.param_groups[0]["params"] for o in (ours, straight)), strict=True):
        torch.testing.assert_close(our, their, rtol=tolerance(case, torch.float64), atol=tolerance(case, torch.float64))


def move(source: torch.optim.Optimizer, target: torch.optim.Optimizer, **flags: Any) -> None:
    """Loads state and parameters of ``source``."""
    target.load_state_dict(source.state_dict())
    target.param_groups[0].update(flags)
    with torch.no_grad():
        for param, value in zip(target.param_groups[0]["params"], source.param_groups[0]["params"], strict=True):
            param.copy_(value)
