"""States that begin as copies of the parameter, or as what follows from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import optdsl
from optdsl.compiler import check_source
from optdsl.ir.interpret import default_hypers, run
from optdsl.source import Source

TEXT = """
function soften(x; ε):
    y ← |x| + ε
    return √y

optimizer Anchored:
    input:
        γ (lr) = 1e-2
        κ (pull) = 0.1
        wide = false

    initialize:
        z_0 ← θ_0 (anchor)
        a_0 ← soften(θ_0; κ) (size)          if wide
        c_0 ← min(max(θ_0, -κ), γ κ) (clipped) at construction

    for t = 1 to … do
        g_t ← ∇f_t(θ_{t-1})
        z_t ← z_{t-1} + 0.1 (θ_{t-1} - z_{t-1})
        c_t ← 0.5 (c_{t-1} + g_t)
        d_t ← c_t
        if wide
            a_t ← max(a_{t-1}, |g_t|)
            d_t ← c_t / a_t
        θ_t ← θ_{t-1} - γ (d_t + κ (θ_{t-1} - z_t))

    return θ_t
"""
VARIANTS = {
    "loop": {"foreach": False},
    "foreach": {"foreach": True},
    "differentiable": {"differentiable": True},
    "fused": {"fused": True},
}


@pytest.fixture(scope="module")
def anchored(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("spec") / "anchored.opt"
    path.write_text(TEXT, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPTDSL_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield optdsl.load(path).Anchored


def gradients(shape: tuple[int, ...], steps: int = 5) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return [torch.randn(shape, dtype=torch.float64, generator=generator) for _ in range(steps)]


@pytest.mark.parametrize("wide", (False, True))
@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
def test_every_variant_starts_from_the_parameter(anchored: Any, variant: dict[str, Any], wide: bool) -> None:
    (unit,) = check_source(Source("anchored.opt", TEXT)).units
    (start, *grads) = gradients((3, 4))
    param = start.clone().requires_grad_()
    optimizer = anchored([param], wide=wide, **variant)
    if variant.get("differentiable"):
        param = start.clone()
        optimizer = anchored([param], wide=wide, **variant)
    assert list(optimizer.state[param]) == ["anchor", *(["size"] if wide else []), "clipped"]
    for grad in grads:
        param.grad = grad.clone()
        optimizer.step()
    hypers = default_hypers(unit.program, wide=wide)
    theta, state = run(unit.program, hypers, start.numpy(), [g.numpy() for g in grads])[-1]
    np.testing.assert_allclose(param.detach().numpy(), theta, rtol=1e-12)
    assert optimizer.state[param].keys() == state.keys()
    for key, value in state.items():
        np.testing.assert_allclose(optimizer.state[param][key].numpy(), value, rtol=1e-12, err_msg=key)


def test_a_copy_has_the_memory_format_and_not_the_memory(anchored: Any) -> None:
    param = torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last).requires_grad_()
    state = anchored([param]).state[param]
    for value in state.values():
        assert value.is_contiguous(memory_format=torch.channels_last)
        assert not value.requires_grad
    assert torch.equal(state["anchor"], param)
    assert state["anchor"].data_ptr() != param.data_ptr()


def test_complex_parameters_are_pairs_of_real_ones(anchored: Any) -> None:
    (start, *grads) = gradients((3, 4, 2))
    real = start.clone().requires_grad_()
    pairs = torch.view_as_complex(start.clone()).requires_grad_()
    optimizers = anchored([real], wide=True), anchored([pairs], wide=True)
    for grad in grads:
        real.grad, pairs.grad = grad, torch.view_as_complex(grad)
        for optimizer in optimizers:
            optimizer.step()
    torch.testing.assert_close(torch.view_as_real(pairs), real)
    for key, value in optimizers[0].state[real].items():
        kept = optimizers[1].state[pairs][key]
        assert kept.is_complex()
        torch.testing.assert_close(torch.view_as_real(kept), value)


def test_a_checkpoint_keeps_the_anchor(anchored: Any, tmp_path: Path) -> None:
    (start, *grads) = gradients((3, 4))
    param = start.clone().requires_grad_()
    optimizer = anchored([param])
    for grad in grads:
        param.grad = grad
        optimizer.step()
    torch.save((param, optimizer.state_dict()), tmp_path / "checkpoint")
    again, state = torch.load(tmp_path / "checkpoint", weights_only=True)
    again = again.detach().requires_grad_()
    other = anchored([again])
    other.load_state_dict(state)
    for one, its in ((param, optimizer), (again, other)):
        one.grad = grads[0]
        its.step()
    assert torch.equal(param, again)
    assert torch.equal(optimizer.state[param]["anchor"], other.state[again]["anchor"])
