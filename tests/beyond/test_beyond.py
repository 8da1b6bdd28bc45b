"""Optimizers of matrices and of all parameters together: every variant computes what the interpreter computes."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import optdsl
from optdsl.compiler import check_files
from optdsl.ir.interpret import Tensors, default_hypers, step_all

SPECS = sorted(Path(__file__).parent.glob("*.opt"))
VARIANTS = {
    "loop": {"foreach": False},
    "foreach": {"foreach": True},
    "capturable": {"capturable": True, "foreach": False},
    "capturable-foreach": {"capturable": True, "foreach": True},
    "differentiable": {"differentiable": True},
}
SHAPES = ((3, 4), (4, 3), (3, 4), (2, 3, 3), (1, 5), (5, 1))
VECTORS = ((5,), (), (1,))
STEPS = 7

every_spec = pytest.mark.parametrize("spec", SPECS, ids=lambda path: path.stem)
every_variant = pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)


@pytest.fixture(autouse=True)
def exact_scalars() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def made(spec: Path, monkeypatch: pytest.MonkeyPatch) -> type[torch.optim.Optimizer]:
    """The class of ``spec``, for which the CPU can capture a graph."""
    module = optdsl.load(spec)
    support = sys.modules[f"{module.__name__}._support.optimizer"]
    monkeypatch.setattr(support, "_get_capturable_supported_devices", lambda supports_xla=True: ["cpu"])
    return getattr(module, module.__all__[0])


def parameters(made: type[torch.optim.Optimizer]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(3)
    matrices = [torch.randn(shape, generator=generator) for shape in SHAPES]
    vectors = [torch.randn(shape, generator=generator) for shape in VECTORS]
    try:
        made(vectors)
    except ValueError:
        return matrices
    return matrices + vectors


def gradients(params: Sequence[Tensor]) -> list[list[Tensor | None]]:
    """Gradients of several steps, now and then without one."""
    generator = torch.Generator().manual_seed(4)
    return [
        [None if (t + i) % 5 == 3 else torch.randn(p.shape, generator=generator) for i, p in enumerate(params)]
        for t in range(STEPS)
    ]


def groups(params: list[Tensor]) -> list[dict[str, Any]]:
    """Two groups, of which the second goes the other way."""
    return [{"params": params[:3]}, {"params": params[3:], "maximize": True, "lr": 0.05}]


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")
@every_variant
@every_spec
def test_every_variant(spec: Path, made: type[torch.optim.Optimizer], variant: dict[str, Any]) -> None:
    (unit,) = check_files([spec]).units
    params = [p.clone() for p in parameters(made)]
    optimizer = made(groups(params), **variant)
    expected = [(p.numpy().copy(), {}) for p in params]
    counts = [0] * len(params)
    hypers = [
        default_hypers(unit.program, maximize=group["maximize"], lr=group["lr"])
        for group in optimizer.param_groups
        for _ in group["params"]
    ]
    for grads in gradients(params):
        for param, grad in zip(params, grads, strict=True):
            param.grad = None if grad is None else grad.clone()
        optimizer.step()

        there = [i for i, grad in enumerate(grads) if grad is not None]
        moved = step_each(unit.program, [(hypers[i], expected[i], grads[i], counts[i] + 1) for i in there])
        for i, after in zip(there, moved, strict=True):
            expected[i] = after
            counts[i] += 1

    for param, (theta, state) in zip(params, expected, strict=True):
        np.testing.assert_allclose(param.detach().numpy(), theta, rtol=1e-9, atol=1e-10)
        assert optimizer.state[param].keys() - {"step"} == state.keys()
        for key, value in state.items():
            kept = optimizer.state[param][key].detach().numpy()
            assert kept.shape == value.shape
            np.testing.assert_allclose(kept, value, rtol=1e-9, atol=1e-10, err_msg=key)


def step_each(program: Any, given: list[Any]) -> list[Any]:
    """A step of each parameter; of all of them together where they meet, and these programs do not count steps."""
    if program.meets:
        assert not program.counts_steps
        return step_all(program, [(h, Tensors(p, g.numpy(), s)) for h, (p, s), g, _ in given], None, np.float64)
    return [step_all(program, [(h, Tensors(p, g.numpy(), s))], t, np.float64)[0] for h, (p, s), g, t in given]


@every_variant
@every_spec
def test_a_checkpoint_goes_on(spec: Path, made: type[torch.optim.Optimizer], variant: dict[str, Any]) -> None:
    params = parameters(made)
    grads = gradients(params)
    optimizer = made(groups(params), **{**variant, "differentiable": False})
    train(optimizer, params, grads[:4])
    twins = [p.clone() for p in params]
    twin = made(groups(twins), **{**variant, "differentiable": False})
    twin.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for each, its in ((optimizer, params), (twin, twins)):
        train(each, its, grads[4:])
    for param, other in zip(params, twins, strict=True):
        torch.testing.assert_close(param, other, rtol=1e-7, atol=1e-7)  # torch loads a capturable step as float32
        torch.testing.assert_close(optimizer.state[param], twin.state[other], rtol=1e-7, atol=1e-7, check_dtype=False)


def train(optimizer: torch.optim.Optimizer, params: list[Tensor], grads: list[list[Tensor | None]]) -> None:
    for step in grads:
        for param, grad in zip(params, step, strict=True):
            param.grad = grad
        optimizer.step()


@every_spec
def test_half_precision_keeps_its_dtypes(spec: Path, made: type[torch.optim.Optimizer]) -> None:
    """States of tensors have the parameter's dtype, numbers made from tensors at least single precision."""
    for foreach in (False, True):
        params = [p.to(torch.bfloat16) for p in parameters(made)]
        optimizer = made(params, foreach=foreach)
        train(optimizer, params, [[torch.ones_like(p) for p in params]] * 2)
        optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        train(optimizer, params, [[torch.ones_like(p) for p in params]])
        for param, state in optimizer.state.items():
            assert param.dtype == torch.bfloat16
            for key, value in state.items():
                number = key == "step" or key in optimizer._device_scalars
                assert value.dtype == torch.bfloat16 or (number and value.dtype.itemsize >= 4), key


@every_spec
def test_fused_kernels_that_there_are_none_of(spec: Path, made: type[torch.optim.Optimizer]) -> None:
    with pytest.raises(RuntimeError, match="`fused=True` is not available for"):
        made(parameters(made), fused=True)
