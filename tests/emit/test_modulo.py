"""``a mod b`` is what NumPy calls so: of numbers, of tensors, in functions with loops, in constraints."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import optdsl

SPEC = """
function wrapped(x; k):
    repeat 2 times
        x ← (x + 1) mod k
    return x

optimizer Wrapped:
    input:
        γ (lr) = 0.1
        k (period) = 3    where k mod 1 = 0
        inside = false

    for t = 1 to … do
        g_t ← ∇f_t(θ_{t-1})
        if inside
            u_t ← wrapped(g_t; 1.5)
        else
            u_t ← g_t mod 0.75
        if (2 t - 1) mod k = 0
            u_t ← u_t + 10
        θ_t ← θ_{t-1} - γ u_t

    return θ_t
"""


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("variant", ["for-loop", "foreach", "differentiable"])
def test_it_is_the_rest(variant: str, inside: bool, tmp_path: Path) -> None:
    path = tmp_path / "wrapped.opt"
    path.write_text(SPEC, encoding="utf-8")
    flags = {} if variant == "for-loop" else {variant: True}
    theta = torch.zeros(7, dtype=torch.float64, requires_grad=variant != "differentiable")
    optimizer = optdsl.load(path).Wrapped([theta], inside=inside, **{"foreach": False, **flags})
    expected = np.zeros(7)
    for t, grad in enumerate(np.random.default_rng(0).normal(scale=3, size=(6, 7)), start=1):
        theta.grad = torch.tensor(grad)
        optimizer.step()
        update = (grad + 1) % 1.5 + 1 if inside else grad
        update = update % (1.5 if inside else 0.75)
        expected -= 0.1 * (update + 10 * ((2 * t - 1) % 3 == 0))
    np.testing.assert_allclose(theta.detach().numpy(), expected, rtol=0, atol=1e-12)


def test_a_constraint(tmp_path: Path) -> None:
    path = tmp_path / "wrapped.opt"
    path.write_text(SPEC, encoding="utf-8")
    with pytest.raises(ValueError, match=r"Invalid period value: 2\.5"):
        optdsl.load(path).Wrapped([torch.zeros(2)], period=2.5)
