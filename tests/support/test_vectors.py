"""Optimizers of matrices refuse vectors and numbers when they are made, and no others do; all take what is empty."""

from __future__ import annotations

import sys
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

function per_row(X):
    repeat 1 times
        X ← X / rows(X) + X / cols(X)
    return X

optimizer Descent:
    input:
        γ (lr) = 1e-3
        whiten = false
        twice = false
        κ (clip) = none    where κ is none or κ > 0
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


ARGUMENTS = ({}, {"whiten": True}, {"whiten": True, "twice": True}, {"clip": 2.0}, {"clip": 0.5}, {"twice": True})
GUARDED = """if κ is not none and κ > 1
    u_t ← g_t @ g_tᵀ @ g_t
else
    u_t ← g_t"""


@pytest.mark.filterwarnings("ignore:warning")
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(
    ("step", "refused", "said"),
    [
        ("u_t ← { g_t @ g_tᵀ @ g_t   if whiten\n      { g_t otherwise", (1, 2), "whiten=True"),
        ("u_t ← g_t\nif whiten and twice\n    u_t ← through(g_t)", (2,), "whiten=True, twice=True"),
        ("u_t ← g_t\nif whiten or twice\n    u_t ← through(g_t)", (1, 2, 5), "whiten=.*, twice=.*"),
        ("u_t ← g_t\nif whiten\n    u_t ← through(g_t)\nif twice\n    u_t ← (u_tᵀ)ᵀ", (1, 2, 5), "whiten=.*, twice=.*"),
        ("u_t ← g_t\nif whiten\n    u_t ← through(g_t)\n    if twice\n        u_t ← (u_tᵀ)ᵀ", (1, 2), "whiten=True"),
        ("if twice\n    u_t ← through(g_t)\nelse\n    u_t ← (g_tᵀ)ᵀ", (0, 1, 2, 3, 4, 5), "Descent"),
        ("u_t ← g_t\nif whiten and t > 3\n    u_t ← through(g_t)", (1, 2), "whiten=True"),
        ("u_t ← g_t\nif whiten and dim(θ_0) > 1\n    u_t ← through(g_t)", (), ""),
        (GUARDED, (3,), "clip=2.0"),
    ],
)
def test_hyperparameters_decide(
    tmp_path: Path, step: str, refused: tuple[int, ...], said: str, shape: tuple[int, ...]
) -> None:
    optimizer = made(tmp_path, step)
    for i, kwargs in enumerate(ARGUMENTS):
        param = torch.nn.Parameter(torch.ones(shape))
        if i in refused:
            with pytest.raises(ValueError, match=f"{said} takes parameters with two dimensions or more, not torch"):
                optimizer([param], **kwargs)
        else:
            taken = optimizer([param], **kwargs)
            for _ in range(2):
                param.grad = torch.ones(shape)
                taken.step()


@pytest.mark.filterwarnings("ignore:warning")
def test_each_group_decides_for_itself(tmp_path: Path) -> None:
    vector, matrix = torch.nn.Parameter(torch.ones(3)), torch.nn.Parameter(torch.ones(2, 3))
    optimizer = made(tmp_path, "u_t ← { g_t @ g_tᵀ @ g_t   if whiten\n      { g_t otherwise")
    made_of_both = optimizer([{"params": [vector]}, {"params": [matrix], "whiten": True}])
    with pytest.raises(ValueError, match="Descent with whiten=True takes parameters with two dimensions or more"):
        made_of_both.add_param_group({"params": [torch.nn.Parameter(torch.ones(3))], "whiten": True})
    assert len(made_of_both.param_groups) == 2


@pytest.mark.filterwarnings("ignore:warning")
def test_a_size_that_is_divided_by(tmp_path: Path) -> None:
    optimizer = made(tmp_path, "u_t ← g_t", params="θ_0 (params) where rows(θ_0) / cols(θ_0) < 4")
    for shape in ((0, 3), (3, 0), (3, 4)):
        optimizer([torch.nn.Parameter(torch.ones(shape))])
    with pytest.raises(ValueError):
        optimizer([torch.nn.Parameter(torch.ones(9, 2))])


@pytest.mark.filterwarnings("ignore:warning")
def test_what_the_spec_says_is_said(tmp_path: Path) -> None:
    optimizer = made(tmp_path, TWICE, params='θ_0 (params) where dim(θ_0) = 2 else "matrices, not {params}"')
    with pytest.raises(ValueError, match="matrices, not torch"):
        optimizer([torch.nn.Parameter(torch.ones(3))])
    optimizer = made(tmp_path, TWICE, params="θ_0 (params) where numel(θ_0) > 2")
    with pytest.raises(ValueError, match="two dimensions or more"):
        optimizer([torch.nn.Parameter(torch.ones(3))])


@pytest.mark.parametrize(
    "variant",
    [{}, {"foreach": True}, {"capturable": True}, {"capturable": True, "foreach": True}, {"differentiable": True}],
    ids=lambda flags: "-".join(flags) or "default",
)
@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0), (2, 3, 0)], ids=str)
@pytest.mark.parametrize(
    ("step", "state"),
    [
        ("u_t ← g_t / numel(g_t)", ""),
        ("u_t ← g_t · √(rows(θ_0) / cols(θ_0))", ""),
        ("n ← rows(g_t)\nu_t ← g_t · (log(cols(g_t)) + n^(-1/2) + ⌊n / cols(g_t)⌋)", ""),
        ("w_t ← w_{t-1} + sum(g_t²)\nu_t ← g_t / √w_t", "w_0 ← 1 / numel(θ_0) (w)"),
        ("w_t ← w_{t-1} + sum(g_t²)\nu_t ← g_t / √w_t", "w_0 ← 1 / numel(θ_0) (w) at construction"),
        ("n ← sum(numel(g_t) g_t / numel(g_t), over all parameters)\nu_t ← g_t / n", ""),
        ("u_t ← per_row(g_t)", ""),
        ("u_t ← g_t / max(RMS(g_t), 1e-3) + mean(g_t²)", ""),
        ("u_t ← g_t / (max(|g_t|, over cols) + min(|g_t|, over rows))", ""),
    ],
)
@pytest.mark.filterwarnings("ignore:warning")
def test_empty_parameters(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    state: str,
    shape: tuple[int, ...],
    variant: dict[str, bool],
) -> None:
    """They step without an error, and others beside them as if they were alone."""
    optimizer = made(tmp_path, step, state)
    support = sys.modules[optimizer.__mro__[1].__module__]
    monkeypatch.setattr(support, "_get_capturable_supported_devices", lambda supports_xla=True: ["cpu"])

    def trained(shapes: list[tuple[int, ...]]) -> torch.Tensor:
        params = [torch.linspace(1, 2, 6).reshape(2, 3), *(torch.ones(shape) for shape in shapes)]
        steps = optimizer(params, lr=0.1, **variant)
        for _ in range(3):
            for param in params:
                param.grad = param.detach().clone()
            steps.step()
        loaded = optimizer(params, **variant)
        loaded.load_state_dict(steps.state_dict())
        return params[0]

    together, alone = trained([shape]), trained([])
    assert bool(together.isfinite().all()) and not torch.equal(alone, torch.linspace(1, 2, 6).reshape(2, 3))
    torch.testing.assert_close(together, alone, rtol=0, atol=0)
