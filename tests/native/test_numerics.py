"""Fused steps on the CPU leave what the for-loop variant leaves, but for the last places."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.native.harness import kernels, support
from tests.torch_parity.cases import (
    CASES,
    ON_CPU,
    Case,
    configurations,
    every_case_of_vectors_on_cpu,
    every_case_on_cpu,
    parameters,
    train,
)

ULPS = 16
"""How far results of a few steps may be apart, in units in the last place of the tensor's largest magnitude. Torch's
vectorised square root is off by one itself."""
SGD = next(case for case in CASES if case.name == "SGD")


def assert_close(ours: torch.optim.Optimizer, loop: torch.optim.Optimizer, ulps: float = ULPS) -> None:
    for our, their in zip(ours.param_groups[0]["params"], loop.param_groups[0]["params"], strict=True):
        assert_tensors_close(our, their, ulps)
        assert ours.state.get(our, {}).keys() == loop.state.get(their, {}).keys()
        for key, value in loop.state.get(their, {}).items():
            assert type(ours.state[our][key]) is type(value)
            assert_tensors_close(ours.state[our][key], value, ulps)


def assert_tensors_close(our: Tensor | int, their: Tensor | int, ulps: float) -> None:
    if not isinstance(their, Tensor):
        assert our == their
        return
    assert our.dtype == their.dtype
    finite = their.detach()[their.isfinite()]
    scale = finite.abs().max().item() if finite.numel() else 0.0
    unit = torch.finfo(their.dtype).eps
    torch.testing.assert_close(our, their, rtol=ulps * unit, atol=ulps * unit * scale, equal_nan=True)


@pytest.mark.parametrize(("case", "kwargs"), configurations("cpu", ON_CPU))
def test_agrees_with_the_loop(case: Case, kwargs: dict[str, Any]) -> None:
    """Every configuration; several shapes and layouts, gradients that are None at times."""
    kwargs = case.accepted({k: v for k, v in kwargs.items() if k not in ("foreach", "fused", "capturable")})
    fused, loop = (
        case.trained(case.ours, torch.float32, {**kwargs, **variant}, steps=5)
        for variant in ({"fused": True}, {"foreach": False})
    )
    assert_close(fused, loop)


@every_case_on_cpu
def test_agrees_in_float64(case: Case) -> None:
    fused, loop = (
        case.trained(case.ours, torch.float64, variant, steps=5) for variant in ({"fused": True}, {"foreach": False})
    )
    assert_close(fused, loop)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@every_case_of_vectors_on_cpu
def test_half_types_compute_in_float32(case: Case, dtype: torch.dtype) -> None:
    """One step leaves what a float32 step from the same values leaves, rounded once."""
    fused = case.ours(parameters(dtype), fused=True)
    params = fused.param_groups[0]["params"]
    for step in range(3):
        single = case.ours([p.detach().float().requires_grad_() for p in params], foreach=False)
        twins = single.param_groups[0]["params"]
        single.load_state_dict(deepcopy({**single.state_dict(), "state": fused.state_dict()["state"]}))
        train(fused, range(step, step + 1))
        for param, twin in zip(params, twins, strict=True):
            twin.grad = None if step_has_no_gradient(param) else param.grad.float()
        single.step()
        for param, twin in zip(params, twins, strict=True):
            assert_tensors_close(param, twin.to(dtype), 1)
            for key, value in fused.state[param].items():
                expected = single.state[twin][key]
                if isinstance(value, Tensor):
                    whole = value.dim() == param.dim() and value.dtype == dtype
                    assert value.dtype == (dtype if whole else torch.float32)
                    expected = expected.to(value.dtype)
                assert_tensors_close(value, expected, 1)


def step_has_no_gradient(param: Tensor) -> bool:
    return param.grad is None


@every_case_of_vectors_on_cpu
def test_all_threads_together(case: Case, two_threads: None) -> None:
    """Many elements in tensors of uneven sizes, so that parts begin and end inside of them."""
    sizes = (1, 40_000, 63, 64, 65, 0, 12_345)
    optimizers = []
    for variant in ({"fused": True}, {"foreach": False}):
        generator = torch.Generator().manual_seed(0)
        params = [torch.randn(size, generator=generator).requires_grad_() for size in sizes]
        optimizers.append(case.ours(params, **variant))
        for _ in range(2):
            for param in params:
                param.grad = torch.randn(param.shape, generator=generator)
            case.prepare(params)
            optimizers[-1].step()
    assert_close(*optimizers)


SPECIAL = (0.0, -0.0, 1e-45, -1e-40, 1e-38, 1.0, -1.0, 3e38, float("inf"), float("-inf"), float("nan"))


@every_case_of_vectors_on_cpu
def test_special_values(case: Case) -> None:
    """Subnormal numbers, infinities and NaN, in parameters and gradients, come out as from the for-loop."""
    optimizers = []
    for variant in ({"fused": True}, {"foreach": False}):
        values = torch.tensor(SPECIAL)
        param = values.repeat_interleave(len(SPECIAL)).requires_grad_()
        optimizers.append(case.ours([param], **variant))
        for _ in range(2):
            param.grad = values.repeat(len(SPECIAL))
            case.prepare([param])
            optimizers[-1].step()
    fused, loop = (o.param_groups[0]["params"][0] for o in optimizers)
    torch.testing.assert_close(fused, loop, rtol=1e-6, atol=1e-45, equal_nan=True)
    assert torch.equal(fused.isnan(), loop.isnan())
    for key, value in optimizers[1].state[loop].items():
        torch.testing.assert_close(optimizers[0].state[fused][key], value, rtol=1e-6, atol=1e-45, equal_nan=True)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_types_are_read_exactly_and_rounded_to_nearest(dtype: torch.dtype) -> None:
    """SGD with lr = -1 adds a float32 gradient to a half parameter: every half number, and many float32 ones."""
    fused_step, bucket = kernels(SGD).fused_step, support(SGD, "fused").Bucket
    hypers = {"lr": -1.0, "momentum": 0.0, "dampening": 0.0, "weight_decay": 0.0, "nesterov": False, "maximize": False}

    def step(param: Tensor, grad: Tensor) -> Tensor:
        fused_step([bucket([param], [grad], ([],), [], (False,), hypers)])
        return param

    every = torch.arange(-(2**15), 2**15, dtype=torch.int32).to(torch.int16).view(dtype)
    read = step(torch.zeros(len(every)), every.clone())
    torch.testing.assert_close(read, every.float(), rtol=0, atol=0, equal_nan=True)
    bits = torch.randint(-(2**31), 2**31, (200_000,), generator=torch.Generator().manual_seed(0))
    halves = every.float().nan_to_num(0.0, 0.0, 0.0)
    between = (halves[1:] + halves[:-1]) / 2
    values = torch.cat([bits.to(torch.int32).view(torch.float32), between, halves, torch.tensor(SPECIAL)])
    rounded = step(torch.zeros(len(values), dtype=dtype), values)
    torch.testing.assert_close(rounded, values.to(dtype), rtol=0, atol=0, equal_nan=True)


def test_results_do_not_depend_on_the_number_of_threads(two_threads: None) -> None:
    results = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        param = torch.linspace(-1, 1, 50_001).requires_grad_()
        optimizer = SGD.ours([param], lr=0.1, momentum=0.9, fused=True)
        for _ in range(3):
            param.grad = param.detach().sin()
            optimizer.step()
        results.append(param.detach())
    assert torch.equal(*results)
