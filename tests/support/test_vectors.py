"""Optimizers of matrices refuse vectors and numbers when they are made, and no others do."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import optdsl

SPEC = """
function halved(X):
    repeat 2 times
        X ← X / 2
    return X

function cubed(X):
    repeat 1 times
        X ← X @ Xᵀ @ X
    return X

function through(X):
    repeat 1 times
        X ← cubed(X)
    return X

optimizer Descent:
    input:
        γ (lr) = 1e-3
        whiten = false
        {params}
{states}    for t = 1 to … do
        g_t ← ∇f_t(θ_{{t-1}})
        {step}
        θ_t ← θ_{{t-1}} - γ u_t
    return θ_t
"""
TWICE = "u_t ← g_t @ g_tᵀ @ g_t"
PRODUCT = "u_t ← g_t + V_{t-1}"
SHAPES = ((3,), (), (0,), (1,))


def made(folder: Path, step: str, state: str = "", params: str = "") -> type[torch.optim.Optimizer]:
    states = f"    initialize:\n        {state}\n" if state else ""
    path = folder / "descent.opt"
    path.write_text(SPEC.format(step=step.replace("\n", "\n        "), states=states, params=params))
    optimizer: type[torch.optim.Optimizer] = optdsl.load(path).Descent
    return optimizer


@pytest.mark.filterwarnings("ignore:warning")
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(
    ("step", "state"),
    [
        (TWICE, ""),
        ("u_t ← (g_tᵀ)ᵀ", ""),
        ("u_t ← orthonormal(g_t @ g_tᵀ) @ g_t", ""),
        ("if t > 1\n    u_t ← g_t @ g_tᵀ @ g_t\nelse\n    u_t ← g_t", ""),
        ("d ← dim(θ_0) + 1\nif d = 2\n    u_t ← g_t @ g_tᵀ @ g_t\nelse\n    u_t ← g_t", ""),
        ("u_t ← identity(g_t @ g_tᵀ) @ g_t", ""),
        ("u_t ← through(g_t)", ""),
        ("L_t ← L_{t-1} + 1\nu_t ← g_t · sum(L_t)", "L_0 ← identity(θ_0 @ θ_0ᵀ) (left)"),
    ],
)
def test_refused(tmp_path: Path, step: str, state: str, shape: tuple[int, ...]) -> None:
    optimizer = made(tmp_path, step, state)
    matrix = torch.nn.Parameter(torch.ones(2, 3))
    with pytest.raises(ValueError, match="Descent takes parameters with two dimensions or more, not torch"):
        optimizer([matrix, torch.nn.Parameter(torch.ones(shape))])
    accepted = optimizer([matrix])
    matrix.grad = torch.ones(2, 3)
    accepted.step()


@pytest.mark.filterwarnings("ignore:warning")
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(
    "step",
    [
        PRODUCT,
        "u_t ← g_t / mean(g_t², over all but first)",
        "u_t ← mean(g_t, over cols) @ mean(g_t, over rows)",
        "u_t ← { g_t @ g_tᵀ @ g_t   if dim(g_t) > 1\n      { g_t otherwise",
        "u_t ← { g_t @ g_tᵀ @ g_t   if rows(θ_0) > 1\n      { g_t otherwise",
        "if dim(θ_0) < 2\n    u_t ← g_t\nelse\n    u_t ← g_t @ g_tᵀ @ g_t",
        "d ← dim(θ_0) + 1\nif d > 2\n    u_t ← g_t @ g_tᵀ @ g_t\nelse\n    u_t ← g_t",
        "u_t ← { g_t @ g_tᵀ @ g_t   if whiten\n      { g_t otherwise",
        "a_t ← g_t @ g_tᵀ @ g_t\nu_t ← g_t",
        "u_t ← halved(g_t)",
    ],
)
def test_taken(tmp_path: Path, step: str, shape: tuple[int, ...]) -> None:
    param = torch.nn.Parameter(torch.ones(shape))
    state = "V_0 ← sum(θ_0², over cols) @ sum(θ_0², over rows) (v)" if step == PRODUCT else ""
    optimizer = made(tmp_path, step, state)([param])
    param.grad = torch.ones(shape)
    optimizer.step()
    assert bool((param < 1).all()) and bool(param.isfinite().all())


def test_what_the_spec_says_is_said(tmp_path: Path) -> None:
    optimizer = made(tmp_path, TWICE, params='θ_0 (params) where dim(θ_0) = 2 else "matrices, not {params}"')
    with pytest.raises(ValueError, match="matrices, not torch"):
        optimizer([torch.nn.Parameter(torch.ones(3))])
    optimizer = made(tmp_path, TWICE, params="θ_0 (params) where numel(θ_0) > 2")
    with pytest.raises(ValueError, match="two dimensions or more"):
        optimizer([torch.nn.Parameter(torch.ones(3))])
