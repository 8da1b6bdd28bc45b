"""``differentiable=True``: gradients flow through steps."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from tests.torch_parity.cases import DENSE, SMOOTH, Case, assert_agree, configurations, every_dense_case, train

pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")


@pytest.mark.parametrize(("case", "kwargs"), configurations("cpu", DENSE))
def test_values_are_those_of_torch(case: Case, kwargs: dict[str, Any]) -> None:
    optimizers = []
    for cls in case.constructors:
        params = case.parameters(torch.float64)
        if cls is case.ours or "differentiable" in case.accepted({"differentiable": True}):
            params = [param.clone() for param in params]  # leaves cannot be written to
        optimizers.append(cls(params, **kwargs, differentiable=True))
        train(optimizers[-1], range(5))
    assert_agree(*optimizers, rtol=1e-6 if case.smooth else 5e-3)


@pytest.mark.parametrize(("case", "kwargs"), configurations("cpu", SMOOTH))
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


def numbers(case: Case) -> dict[str, Any]:
    """Values of the numeric arguments: the defaults, but nothing so small that differences of it mean nothing."""
    parameters = inspect.signature(case.ours).parameters.values()
    defaults = {p.name: p.default for p in parameters if type(p.default) in (int, float, tuple)}
    defaults = {name: value for name, value in defaults.items() if not (isinstance(value, tuple) and None in value)}
    return {name: value if isinstance(value, tuple) else _inside(value) for name, value in defaults.items()}


def _inside(value: float) -> float:
    """A number near ``value`` from which differences can be taken: not tiny, and not the bound that 1 may be."""
    return 0.1 if abs(value) < 1e-3 else 1.25 * value if abs(value) == 1 else value


@pytest.fixture
def exact_scalar_states() -> Iterator[None]:
    """Scalar states in float64, so that differences of results are not those of their rounding."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.usefixtures("exact_scalar_states")
@pytest.mark.parametrize("case", SMOOTH, ids=str)
def test_hyperparameters_and_start_over_several_steps(case: Case) -> None:
    """The derivative of where three steps on a quadratic lead, with respect to lr, other numbers and the start."""
    values = numbers(case)
    lengths = {name: len(value) if isinstance(value, tuple) else 0 for name, value in values.items()}

    def descend(start: Tensor, *hypers: Tensor) -> Tensor:
        remaining = iter(hypers)
        kwargs = {
            name: tuple(next(remaining) for _ in range(length)) if length else next(remaining)
            for name, length in lengths.items()
        }
        param = start.clone()
        optimizer = case.ours([param], **kwargs, differentiable=True)
        for _ in range(3):
            param.grad = 2 * param.clone() + 0.3
            optimizer.step()
        return param

    start = torch.tensor([0.5, -1.25, 2.0], dtype=torch.float64, requires_grad=True)
    flat = [number for value in values.values() for number in (value if isinstance(value, tuple) else (value,))]
    hypers = [torch.tensor(number, dtype=torch.float64, requires_grad=True) for number in flat]
    assert gradcheck(descend, (start, *hypers))
    (gradient,) = torch.autograd.grad(descend(start, *hypers).sum(), hypers[0])
    assert gradient.abs() > 0


@every_dense_case
def test_foreach_is_refused(case: Case) -> None:
    param = torch.ones(3, 1, requires_grad=True).clone()
    param.grad = torch.ones(3, 1)
    with pytest.raises(AssertionError, match="_foreach ops don't support autograd"):
        case.ours([param], differentiable=True, foreach=True).step()
