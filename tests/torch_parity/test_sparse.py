"""Sparse gradients: taken where torch takes them, refused where it refuses them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.torch_parity.cases import Case, every_case
from tests.torch_parity.test_agreement import every_variant

SGD, ADAGRAD = Case("SGD"), Case("Adagrad")
TAKEN = (
    (SGD, {}),
    (SGD, {"lr": 0.5, "maximize": True}),
    (SGD, {"momentum": 0.9}),
    (SGD, {"momentum": 0.9, "nesterov": True}),
    (SGD, {"momentum": 0.9, "dampening": 0.5, "maximize": True}),
    (ADAGRAD, {}),
    (ADAGRAD, {"lr": 0.5, "lr_decay": 0.1, "initial_accumulator_value": 0.5}),
    (ADAGRAD, {"maximize": True}),
)
every_configuration = pytest.mark.parametrize(("case", "kwargs"), TAKEN)


def parameters(dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """Two with sparse gradients and one with dense ones between them."""
    generator = torch.Generator().manual_seed(5)
    shapes = ((7, 3), (4,), (5, 4, 2))
    return [torch.randn(shape, dtype=dtype, generator=generator).requires_grad_() for shape in shapes]


def train(optimizer: torch.optim.Optimizer, steps: range) -> None:
    """Gradients of some rows, one of them more than once; of none at all now and then."""
    first, dense, last = (param for group in optimizer.param_groups for param in group["params"])
    for step in steps:
        generator = torch.Generator().manual_seed(step)
        indices = torch.randint(7, (1, step % 4), generator=generator).repeat(1, 2)
        values = torch.randn(indices.shape[1], 3, generator=generator).to(first.dtype)
        first.grad = torch.sparse_coo_tensor(indices, values, first.shape)
        dense.grad = torch.randn(dense.shape, generator=generator).to(dense.dtype)
        pairs = torch.randint(4, (2, 3), generator=generator)
        last.grad = torch.sparse_coo_tensor(pairs, torch.randn(3, 2, generator=generator).to(last.dtype), last.shape)
        optimizer.step()


def assert_agree(ours: torch.optim.Optimizer, torchs: torch.optim.Optimizer, rtol: float = 1e-12) -> None:
    """torch's momentum of sparse gradients is a sparse tensor; ours is dense."""
    for our, their in zip(ours.param_groups[0]["params"], torchs.param_groups[0]["params"], strict=True):
        torch.testing.assert_close(our, their, rtol=rtol, atol=rtol)
        our_state, their_state = ours.state.get(our, {}), torchs.state.get(their, {})
        dense = {key: value.to_dense() if value.is_sparse else value for key, value in their_state.items()}
        torch.testing.assert_close(our_state, dense, rtol=rtol, atol=rtol)


@every_variant
@every_configuration
def test_results_are_those_of_torch(case: Case, kwargs: dict[str, Any], variant: dict[str, Any]) -> None:
    optimizers = []
    for cls in (case.ours, case.torchs):
        optimizers.append(cls(parameters(), **kwargs, **variant))
        train(optimizers[-1], range(25))
    assert_agree(*optimizers)


@pytest.mark.parametrize("dtype", (torch.float32, torch.bfloat16), ids=("float32", "bfloat16"))
@every_configuration
def test_other_dtypes(case: Case, kwargs: dict[str, Any], dtype: torch.dtype) -> None:
    optimizers = []
    for cls in (case.ours, case.torchs):
        optimizers.append(cls(parameters(dtype), **kwargs))
        train(optimizers[-1], range(10))
    assert_agree(*optimizers, rtol=1e-5 if dtype is torch.float32 else 5e-2)


@every_configuration
def test_a_dense_gradient_does_the_same(case: Case, kwargs: dict[str, Any]) -> None:
    optimizers = []
    for dense in (False, True):
        params = parameters()
        optimizer = case.ours(params, **kwargs)
        if dense:
            optimizer.register_step_pre_hook(lambda *_: _make_dense(params))  # noqa: B023
        train(optimizer, range(10))
        optimizers.append(optimizer)
    assert_agree(*optimizers)


def _make_dense(params: list[Tensor]) -> None:
    for param in params:
        param.grad = param.grad.to_dense() if param.grad.is_sparse else param.grad


@pytest.mark.parametrize(("case", "kwargs"), [entry for entry in TAKEN if "momentum" not in entry[1]])
def test_rows_without_gradient_are_left_alone(case: Case, kwargs: dict[str, Any]) -> None:
    """Were they not, the rows that are infinite here would become NaN."""
    param = torch.zeros(4, 2)
    param[1] = torch.inf
    param.requires_grad_()
    optimizer = case.ours([param], **kwargs)
    param.grad = torch.sparse_coo_tensor(torch.tensor([[0, 3]]), torch.ones(2, 2), param.shape)
    before = param.detach().clone()
    optimizer.step()
    assert torch.equal(param[1:3], before[1:3])
    assert not (param[[0, 3]] == before[[0, 3]]).any()


@pytest.mark.parametrize("flag", ("capturable", "differentiable"))
@every_configuration
def test_flags(case: Case, kwargs: dict[str, Any], flag: str, cpu_is_capturable: None) -> None:
    """Taken as dense there."""
    params = parameters()
    if flag == "differentiable":
        params = [param.clone() for param in params]  # leaves cannot be written to
    flagged, plain = case.ours(params, **kwargs, **{flag: True}), case.ours(parameters(), **kwargs)
    for optimizer in (flagged, plain):
        train(optimizer, range(5))
    assert_agree(flagged, plain, rtol=1e-6)


@every_configuration
def test_a_checkpoint_of_torchs_goes_on_in_ours(case: Case, kwargs: dict[str, Any]) -> None:
    params = parameters()[:1]
    other = [p.detach().clone().requires_grad_() for p in params]
    torchs, ours = case.torchs(params, **kwargs), case.ours(other, **kwargs)
    for step in range(6):
        grad = torch.sparse_coo_tensor(torch.tensor([[step]]), torch.ones(1, 3, dtype=torch.float64), params[0].shape)
        params[0].grad, other[0].grad = grad, grad
        torchs.step()
        if step == 2:
            ours.load_state_dict(torchs.state_dict())
            with torch.no_grad():
                other[0].copy_(params[0])
        elif step > 2:
            ours.step()
    assert_agree(ours, torchs)


def sparse_step(cls: type[torch.optim.Optimizer], **kwargs: Any) -> None:
    param = torch.zeros(3, 2, requires_grad=True)
    optimizer = cls([param], **kwargs)
    param.grad = torch.eye(3, 2).to_sparse()
    optimizer.step()


@every_case
def test_refused_as_torch_refuses(case: Case) -> None:
    """In torch's words; but AdamW calls itself by its own name."""
    try:
        sparse_step(case.torchs)
    except RuntimeError as refusal:
        with pytest.raises(RuntimeError) as ours:
            sparse_step(case.ours)
        assert str(ours.value) == str(refusal) or case.torchs.__bases__ != (torch.optim.Optimizer,)
        assert str(ours.value).startswith(f"{case.name} does not support sparse gradients")
    else:
        sparse_step(case.ours)


@pytest.mark.parametrize("case", (SGD, ADAGRAD), ids=str)
def test_weight_decay_is_refused(case: Case) -> None:
    with pytest.raises(RuntimeError):
        sparse_step(case.torchs, weight_decay=0.1)
    with pytest.raises(RuntimeError, match=r"^weight_decay option is not compatible with sparse gradients$"):
        sparse_step(case.ours, weight_decay=0.1)


@pytest.mark.parametrize("case", (SGD, ADAGRAD), ids=str)
def test_refused_steps_change_nothing(case: Case) -> None:
    param = torch.ones(3, 2, requires_grad=True)
    optimizer = case.ours([param], weight_decay=0.1)
    states = {key: value.clone() for key, value in optimizer.state.get(param, {}).items()}
    param.grad = torch.eye(3, 2).to_sparse()
    with pytest.raises(RuntimeError):
        optimizer.step()
    assert torch.equal(param, torch.ones(3, 2))
    torch.testing.assert_close(dict(optimizer.state.get(param, {})), states)
