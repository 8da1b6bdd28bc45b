"""``bfloat16(x)`` and ``float32(x)`` in a step: every variant rounds, and what is rounded stays as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import optdsl

SPEC = """
optimizer Rounded:
    input:
        γ (lr) = 0.5
    initialize:
        m_0 ← 0 (average)
    for t = 1 to … do
        g_t ← ∇f_t(θ_{t-1})
        m_t ← 0.75 m_{t-1} + g_t
        u_t ← float32(m_t) + bfloat16(g_t)
        θ_t ← θ_{t-1} - γ u_t
    return θ_t
"""


@pytest.mark.parametrize("variant", [{"foreach": False}, {"foreach": True}, {"fused": True}], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_rounds(tmp_path: Path, variant: dict[str, bool], dtype: torch.dtype) -> None:
    (tmp_path / "rounded.opt").write_text(SPEC)
    start = torch.linspace(-1, 1, 7, dtype=dtype)
    param, average = start.clone().requires_grad_(), torch.zeros_like(start)
    optimizer = optdsl.load(tmp_path / "rounded.opt").Rounded([param], **variant)
    expected = start.clone()
    for step in range(3):
        param.grad = torch.sin(start + step) / 3
        average = 0.75 * average + param.grad
        expected -= 0.5 * (average.float().to(dtype) + param.grad.bfloat16().to(dtype))
        optimizer.step()
    torch.testing.assert_close(optimizer.state[param]["average"], average)
    torch.testing.assert_close(param.detach(), expected, rtol=0, atol=1e-6 if dtype is torch.float32 else 1e-12)
