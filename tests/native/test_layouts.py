"""Tensors that are not simply contiguous are stepped as they are, or refused in torch's words."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tests.native.test_numerics import assert_tensors_close
from tests.torch_parity.cases import CASES, Case, assert_agree, stepped_negated_views

ADAM, SGD = (next(case for case in CASES if case.name == name) for name in ("Adam", "SGD"))
pytestmark = pytest.mark.parametrize("case", [ADAM, SGD], ids=str)


def like(shape: tuple[int, ...], *change: Callable[[Tensor], Tensor]) -> Tensor:
    value = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    for function in change:
        value = function(value)
    return value


LAYOUTS = {
    "transposed": lambda: like((5, 7), Tensor.t),
    "channels last": lambda: like((2, 3, 4, 5)).to(memory_format=torch.channels_last),
    "sliced": lambda: like((6, 8))[:, 1:5],
    "strided": lambda: like((40,))[::3],
    "reversed dimensions": lambda: like((2, 3, 4)).permute(2, 1, 0),
    "one column": lambda: like((6, 8))[:, :1],
    "0-dim": lambda: like((3,))[1],
    "empty": lambda: like((0, 4)),
}


def run(case: Case, param: Tensor, grads: list[Tensor], **variant: object) -> tuple[Tensor, torch.optim.Optimizer]:
    param = param.detach().requires_grad_()
    optimizer = case.ours([param], lr=0.1, **({"momentum": 0.9} if case is SGD else {}), **variant)
    for grad in grads:
        param.grad = grad.clone(memory_format=torch.preserve_format) if grad.is_contiguous() else grad
        optimizer.step()
    return param, optimizer


@pytest.mark.parametrize("grad_layout", ["as the parameter", "contiguous", "sliced"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(case: Case, layout: str, grad_layout: str) -> None:
    make = LAYOUTS[layout]
    shape = make().shape
    random = torch.Generator().manual_seed(2)

    def grad() -> Tensor:
        values = torch.randn(shape, generator=random)
        if grad_layout == "as the parameter":
            return torch.empty_like(make()).copy_(values)
        if grad_layout == "sliced" and len(shape):
            return torch.cat([values, values], -1)[..., : shape[-1]]
        return values

    grads = [grad() for _ in range(3)]
    start = make()
    base = start._base if start._base is not None else start
    around = base.clone()
    fused, ours = run(case, start, grads, fused=True)
    loop, theirs = run(case, make(), grads, foreach=False)
    assert_tensors_close(fused, loop, 16)
    assert fused.stride() == loop.stride()
    for key, value in theirs.state[loop].items():
        assert_tensors_close(ours.state[fused][key], value, 16)
    if layout == "sliced":
        assert torch.equal(base[:, 5:], around[:, 5:]) and torch.equal(base[:, :1], around[:, :1])


def test_gradients_are_left_alone(case: Case) -> None:
    param, grad = like((6, 8))[:, 1:5], like((4, 6), Tensor.t)
    before = grad.clone()
    run(case, param, [grad], fused=True)
    assert torch.equal(grad, before)


def test_expanded_parameters_are_refused(case: Case) -> None:
    param = torch.ones(1, 4).expand(3, 4).requires_grad_()
    optimizer = case.ours([param], fused=True)
    param.grad = torch.ones(3, 4)
    with pytest.raises(RuntimeError, match="more than one element of the written-to tensor refers to a single memory"):
        optimizer.step()


def test_expanded_gradients_are_read(case: Case) -> None:
    fused, _ = run(case, torch.ones(3, 4), [torch.arange(4.0).expand(3, 4)], fused=True)
    loop, _ = run(case, torch.ones(3, 4), [torch.arange(4.0).expand(3, 4)], foreach=False)
    assert_tensors_close(fused, loop, 16)


def test_negated_views(case: Case) -> None:
    assert_agree(*stepped_negated_views(case), rtol=5e-6)


def test_complex_parameters_are_refused(case: Case) -> None:
    param = torch.ones(3, dtype=torch.complex64, requires_grad=True)
    param.grad = torch.ones(3, dtype=torch.complex64)
    with pytest.raises(RuntimeError, match="requires all the params to be floating point Tensors"):
        case.ours([param], fused=True).step()


def test_sparse_gradients_are_refused(case: Case) -> None:
    """Be it the first one, or one that comes when dense ones have been seen."""
    param = torch.ones(3, requires_grad=True)
    optimizer = case.ours([param], fused=True)
    for _ in range(3):
        param.grad = torch.ones(3)
        optimizer.step()
    param.grad = torch.ones(3).to_sparse()
    for o in (optimizer, case.ours([param], fused=True)):
        with pytest.raises(RuntimeError, match="does not support sparse gradients"):
            o.step()


def test_mixed_dtypes_in_a_group(case: Case) -> None:
    def params() -> list[Tensor]:
        dtypes = (torch.float32, torch.float64, torch.bfloat16, torch.float32)
        return [like((5 + i,)).to(dtype).requires_grad_() for i, dtype in enumerate(dtypes)]

    results = []
    for variant in ({"fused": True}, {"foreach": False}):
        mixed = params()
        optimizer = case.ours(mixed, lr=0.1, **variant)
        for step in range(4):
            for param in mixed:
                param.grad = torch.full_like(param, 0.5 + step)
            optimizer.step()
        results.append(mixed)
    for fused, loop in zip(*results, strict=True):
        assert fused.dtype == loop.dtype
        assert_tensors_close(fused, loop, 16)
