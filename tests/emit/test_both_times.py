"""A second assignment that reads a state as it was and as it is now: ``s_t ← max(s_t, s_{t-1})``."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import optdsl

SPEC = """
optimizer Kept:
    input:
        γ (lr) = 0.1
        β (decay) = 0.9

    initialize:
        s_0 ← 0 (square_avg)

    for t = 1 to … do
        g_t ← ∇f_t(θ_{t-1})
        s_t ← β s_{t-1} + (1 - β) g_t²
        s_t ← max(s_t, s_{t-1})
        θ_t ← θ_{t-1} - γ g_t / (√s_t + 1)
        θ_t ← (θ_t + θ_{t-1}) / 2

    return θ_t
"""


@pytest.mark.parametrize("variant", ["for-loop", "foreach", "differentiable", "fused"])
def test_every_variant_has_both_values(variant: str, tmp_path: Path) -> None:
    if variant == "fused" and not shutil.which("cc"):
        pytest.skip("no C compiler")
    path = tmp_path / "kept.opt"
    path.write_text(SPEC, encoding="utf-8")
    flags = {} if variant == "for-loop" else {variant: True}
    thetas = [
        torch.zeros(shape, dtype=torch.float64, requires_grad=variant != "differentiable") for shape in (7, (2, 3))
    ]
    optimizer = optdsl.load(path).Kept(thetas, **{"foreach": False, **flags})
    expected = [np.zeros(7), np.zeros((2, 3))]
    states = [0.0 * x for x in expected]
    generator = np.random.default_rng(0)
    for _ in range(6):
        for i, theta in enumerate(thetas):
            grad = generator.normal(size=theta.shape)
            theta.grad = torch.tensor(grad)
            states[i] = np.maximum(0.9 * states[i] + 0.1 * grad**2, states[i])
            expected[i] = expected[i] - 0.05 * grad / (np.sqrt(states[i]) + 1)
        optimizer.step()
    for theta, end, state in zip(thetas, expected, states, strict=True):
        np.testing.assert_allclose(theta.detach().numpy(), end, rtol=1e-12)
        np.testing.assert_allclose(optimizer.state[theta]["square_avg"].detach().numpy(), state, rtol=1e-12)
