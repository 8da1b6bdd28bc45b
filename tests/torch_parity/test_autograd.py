"""``differentiable=True``: gradients flow through steps."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from tests.torch_parity.cases import Case, assert_agree, configurations, every_case, parameters, train


@pytest.mark.parametrize(("case", "kwargs"), configurations("cpu"))
def test_values_are_those_of_torch(case: Case, kwargs: dict[str, Any]) -> None:
    optimizers = []
    for cls in (case.ours, case.torchs):
        params = [param.clone() for param in parameters(torch.float64)]  # leaves cannot be written to
        optimizers.append(cls(params, **kwargs, differentiable=True))
        train(optimizers[-1], range(5))
    assert_agree(*optimizers, rtol=1e-6)


@pytest.mark.parametrize(("case", "kwargs"), configurations("cpu"))
def test_one_step(case: Case, kwargs: dict[str, Any]) -> None:
    """The derivative of a step with respect to the parameter, the gradient and every state."""
    generator = torch.Generator().manual_seed(3)

    def sample() -> Tensor:
        return torch.rand(4, dtype=torch.float64, generator=generator, requires_grad=True)

    warm = case.ours([sample()], **kwargs)
    train(warm, range(2))
    state = next(iter(warm.state.values()), {})
    keys = [key for key, value in state.items() if value.dim()]
    numbers = {key: value for key, value in state.items() if not value.dim()}

    def step(param: Tensor, grad: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        param = param.clone()
        param.grad = grad
        optimizer = case.ours([param], **kwargs, differentiable=True)
        made = {key: value.clone() for key, value in zip(keys, states, strict=True)}
        optimizer.state[param].update({key: value.clone() for key, value in numbers.items()} | made)
        optimizer.step()
        return param, *(optimizer.state[param][key] for key in keys)

    assert gradcheck(step, (sample(), sample(), *(sample() for _ in keys)))


@every_case
def test_learning_rate_and_start_over_several_steps(case: Case) -> None:
    """The derivative of where three steps on a quadratic lead, with respect to lr and the start."""

    def descend(start: Tensor, lr: Tensor) -> Tensor:
        param = start.clone()
        optimizer = case.ours([param], lr=lr, differentiable=True)
        for _ in range(3):
            param.grad = 2 * param.clone() + 0.3
            optimizer.step()
        return param

    start = torch.tensor([0.5, -1.25, 2.0], dtype=torch.float64, requires_grad=True)
    lr = torch.tensor(0.1, dtype=torch.float64, requires_grad=True)
    assert gradcheck(descend, (start, lr))
    (gradient,) = torch.autograd.grad(descend(start, lr).sum(), lr)
    assert gradient.abs() > 0


@every_case
def test_foreach_is_refused(case: Case) -> None:
    param = torch.ones(3, requires_grad=True).clone()
    param.grad = torch.ones(3)
    with pytest.raises(AssertionError, match="_foreach ops don't support autograd"):
        case.ours([param], differentiable=True, foreach=True).step()
