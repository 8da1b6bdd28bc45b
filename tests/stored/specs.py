"""Specs of steps over the stored entries of sparse gradients, and gradients for them."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor

import optdsl

LAZY_ADAM = """\
optimizer LazyAdam:
    input:
        γ (lr) = 1e-1
        β₁, β₂ (betas) = 0.9, 0.999

    initialize:
        m_0 ← 0 (exp_avg)
        v_0 ← 0 (exp_avg_sq)

    for t = 1 to … do
        g_t ← ∇f_t(θ_{t-1})
        α_t ← γ √(1 - β₂^t) / (1 - β₁^t)
        for i in support(g_t) do
            m_t ← β₁ m_{t-1} + (1 - β₁) g_t
            v_t ← β₂ v_{t-1} + (1 - β₂) g_t²
            θ_t ← θ_{t-1} - α_t m_t / (√v_t + 1e-8)

    return θ_t
"""

LAZY_MOMENTUM = """\
optimizer LazyMomentum:
    input:
        γ (lr) = 1e-1
        nesterov = false
        centered = false

    initialize:
        b_0 ← 0 (momentum_buffer)
        c_0 ← 1 (center)    if centered
        P_0 ← 1 (product)

    for t = 1 to … do
        g_t ← ∇f_t(θ_{t-1})
        P_t ← 0.5 P_{t-1}
        for i in support(g_t) do
            b_t ← 0.9 b_{t-1} + (1 - P_t) g_t
            if centered
                c_t ← c_{t-1} - 0.1 g_t
                b_t ← b_t - c_t
            u_t ← { b_t + g_t    if nesterov and b_t g_t > 0
                  { b_t          otherwise
            θ_t ← θ_{t-1} - γ u_t

    return θ_t
"""
"""A scalar state, a state under a flag, and a choice per element."""


def loaded(folder: Path, text: str) -> ModuleType:
    """The module of a spec, whose native kernel steps rows where they are unless they are short."""
    path = folder / "spec.opt"
    path.write_text(text, encoding="utf-8")
    module = optdsl.load(path)
    importlib.import_module(f"{module.__name__}._support.native_stored").LEAST_ELEMENTS = 0
    return module


def sparse(shape: tuple[int, ...], rows: list[int], value: float = 1.0, dtype: torch.dtype = torch.float64) -> Tensor:
    """A gradient that stores ``rows``, as often as they are named, each ``value`` times 1, 2, …"""
    size = (len(rows), *shape[1:])
    values = value * torch.arange(1, torch.Size(size).numel() + 1, dtype=dtype).reshape(size)
    return torch.sparse_coo_tensor(torch.tensor([rows], dtype=torch.int64), values, shape, check_invariants=True)
