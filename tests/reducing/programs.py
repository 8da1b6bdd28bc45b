"""Specs of steps that reduce tensors, and a run of their kernels beside the IR interpreter."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from optdsl.compiler import check_source
from optdsl.ir import interpret
from optdsl.ir.nodes import Program
from optdsl.source import Source
from tests.triton import cases

ADAM_INPUTS = """
    input:
        γ (lr) = 1e-2
        β₁, β₂ (betas) = 0.9, 0.99
        ε (eps) = 1e-6
        λ (weight_decay) = 0.01

    initialize:
        m_0 ← 0 (exp_avg)
        v_0 ← 0 (exp_avg_sq)
"""

TEXTS = {
    "Lamb": f"""
optimizer Lamb:
    {ADAM_INPUTS}
    for t = 1 to … do
        g_t ← ∇f_t(θ_{{t-1}})
        m_t ← β₁ m_{{t-1}} + (1 - β₁) g_t
        v_t ← β₂ v_{{t-1}} + (1 - β₂) g_t²
        u_t ← (m_t / (1 - β₁^t)) / (√(v_t / (1 - β₂^t)) + ε) + λ θ_{{t-1}}
        if ‖θ_{{t-1}}‖ > 0 and ‖u_t‖ > 0
            ρ_t ← ‖θ_{{t-1}}‖ / ‖u_t‖
        else
            ρ_t ← 1
        θ_t ← θ_{{t-1}} - γ ρ_t u_t
""",
    "StableAdamW": f"""
optimizer StableAdamW:
    {ADAM_INPUTS}
    for t = 1 to … do
        g_t ← ∇f_t(θ_{{t-1}})
        m_t ← β₁ m_{{t-1}} + (1 - β₁) g_t
        v_t ← β₂ v_{{t-1}} + (1 - β₂) g_t²
        η_t ← γ / max(1, RMS(g_t / √max(v_t, ε²)))
        θ_t ← θ_{{t-1}} - η_t λ θ_{{t-1}}
        θ_t ← θ_t - η_t m_t / (√v_t + ε)
""",
    "Lars": """
optimizer Lars:
    input:
        γ (lr) = 1e-2
        μ (momentum) = 0.9
        λ (weight_decay) = 1e-2
        κ (trust) = 1e-2

    initialize:
        b (momentum_buffer)            if μ ≠ 0

    for t = 1 to … do
        g_t ← ∇f_t(θ_{t-1})
        g_t ← g_t + λ θ_{t-1}
        g_t ← g_t κ ‖θ_{t-1}‖ / (‖g_t‖ + 1e-8)
        if μ ≠ 0
            if t > 1
                b_t ← μ b_{t-1} + g_t
            else
                b_t ← g_t
            g_t ← b_t
        θ_t ← θ_{t-1} - γ g_t
""",
    "Extremes": """
optimizer Extremes:
    input:
        γ (lr) = 1e-2

    for t = 1 to … do
        g_t ← ∇f_t(θ_{t-1})
        u_t ← g_t / (max(|g_t|, over all) + 0.1) + g_t - min(g_t, over all)
        if dim(θ_{t-1}) > 1
            u_t ← u_t / (max(|u_t|, over rows) + 0.1) + max(g_t, over cols) - min(θ_{t-1}, over cols)
        θ_t ← θ_{t-1} - γ u_t
""",
    "Centred": """
optimizer Centred:
    input:
        γ (lr) = 1e-2
        μ (momentum) = 0.9

    initialize:
        m_0 ← 0 (exp_avg)

    for t = 1 to … do
        g_t ← ∇f_t(θ_{t-1})
        if dim(θ_{t-1}) > 1
            g_t ← g_t - mean(g_t, over cols)
        m_t ← μ m_{t-1} + g_t
        θ_t ← θ_{t-1} - γ m_t / (‖m_t‖ + 1)
""",
    "Covers": """
optimizer Covers:
    input:
        γ (lr) = 1e-2

    initialize:
        R_0 ← 0 (row_cover): max(θ_0, over cols)         if dim(θ_0) > 1
        C_0 ← 0 (col_cover): max(θ_0, over rows)         if dim(θ_0) > 1
        V_0 ← 0 (cover)                                  otherwise

    for t = 1 to … do
        g_t ← ∇f_t(θ_{t-1})
        if dim(θ_{t-1}) > 1
            ν_t ← min(R_{t-1} + 0 g_t, C_{t-1} + 0 g_t) + g_t²
            R_t ← max(ν_t, over cols)
            C_t ← max(ν_t, over rows)
        else
            V_t ← V_{t-1} + g_t²
            ν_t ← V_t
        θ_t ← θ_{t-1} - γ g_t / (√ν_t + 1e-8)
""",
    "Norms": """
optimizer Norms:
    input:
        γ (lr) = 1e-2
        μ (momentum) = 0.5

    initialize:
        s_0 ← 0 (norm_avg)

    for t = 1 to … do
        g_t ← ∇f_t(θ_{t-1})
        s_t ← μ s_{t-1} + (1 - μ) ‖g_t‖
        if s_t > 2
            g_t ← g_t / s_t
        θ_t ← θ_{t-1} - γ √(t) g_t / (sum(θ_{t-1}²) + 1)
""",
    "Clipped": """
optimizer Clipped:
    input:
        γ (lr) = 1e-2
        c (clip) = 0

    for t = 1 to … do
        g_t ← ∇f_t(θ_{t-1})
        if c ≠ 0
            g_t ← g_t / max(1, ‖g_t‖ / c)
        θ_t ← θ_{t-1} - γ g_t / (1 + ‖θ_{t-1}‖)
""",
    "Ranks": """
optimizer Ranks:
    input:
        γ (lr) = 1e-2

    for t = 1 to … do
        g_t ← ∇f_t(θ_{t-1})
        if dim(θ_{t-1}) > 1
            r_t ← √(mean(g_t², over cols) + 1e-4)
            r_t ← r_t / mean(r_t)
            c_t ← RMS(g_t / r_t, over rows)
            n_t ← norm(c_t, over cols)
            g_t ← g_t / (r_t c_t + n_t / cols(θ_{t-1}))
        θ_t ← θ_{t-1} - γ g_t / √(numel(θ_{t-1}))
""",
}
"""Between them: every fold over everything, states of every shape, late states, branches on facts and on reductions,
several passes, small values that are reduced again."""

NAMES = (*TEXTS, "Adafactor")


@functools.cache
def program(name: str) -> Program:
    """The program of one of :data:`NAMES`."""
    if name not in TEXTS:
        return cases.program(name)
    checked = check_source(Source(f"{name}.opt", TEXTS[name].lstrip() + "\n    return θ_t\n"))
    assert checked.ok, [d.message for d in checked.diagnostics]
    return checked.units[-1].program


SHAPES = ((5,), (), (7, 3), (2, 3, 4, 5), (17, 150), (1, 40), (40, 1), (130, 16), (4200,), (9, 272))
EMPTY = ((0,), (3, 0), (0, 3), (2, 0, 3))


class Run:
    """Tensors that are stepped by generated kernels, and what the interpreter makes of the same gradients."""

    def __init__(
        self,
        kernels: ModuleType,
        program: Program,
        shapes: Sequence[tuple[int, ...]] = SHAPES,
        dtype: torch.dtype = torch.float64,
        seed: int = 0,
        **hypers: Any,
    ):
        self.kernels, self.program = kernels, program
        self.hypers = interpret.default_hypers(program, **hypers)
        self.random = np.random.default_rng(seed)
        self.params = [torch.tensor(self.random.standard_normal(shape), dtype=dtype) for shape in shapes]
        self.expected = [param.double().numpy().copy() for param in self.params]
        self.expected_states = [interpret.initial_state(program, self.hypers, p, np.float64) for p in self.expected]
        self.states: list[dict[str, Tensor]] = [
            {key: torch.tensor(value, dtype=dtype) for key, value in state.items()} for state in self.expected_states
        ]
        self.steps = [torch.zeros((), dtype=torch.float32) for _ in self.params]
        self.grads: list[Tensor] = []
        self.made = 0

    def new_gradients(self) -> None:
        self.grads = [
            torch.tensor(self.random.standard_normal(param.shape), dtype=param.dtype) for param in self.params
        ]

    def buckets(self) -> Iterator[tuple[Any, list[int]]]:
        """Buckets as a generated class makes them, with the tensors in each."""
        members: dict[tuple[bool | None, ...], list[int]] = {}
        for i, param in enumerate(self.params):
            has = [
                s.key in self.states[i] if interpret.exists(s, self.hypers, param.double().numpy()) else None
                for s in self.program.states
            ]
            members.setdefault(tuple(has), []).append(i)
        for has, indices in members.items():
            states = tuple(
                [] if there is None else [self.states[i].get(s.key) for i in indices]
                for s, there in zip(self.program.states, has, strict=True)
            )
            yield (
                self.kernels.Bucket(
                    [self.params[i] for i in indices],
                    [self.grads[i] for i in indices],
                    states,
                    [self.steps[i] for i in indices] if self.program.counts_steps else [],
                    tuple(bool(h) for s, h in zip(self.program.states, has, strict=True) if s.initial is None),
                    self.hypers,
                ),
                indices,
            )

    def step(self, **scaling: Any) -> None:
        """One step by the kernels."""
        buckets = list(self.buckets())
        self.kernels.fused_step([bucket for bucket, _ in buckets], **scaling)
        for bucket, indices in buckets:
            for s, values in zip(self.program.states, bucket.states, strict=True):
                for i, value in zip(indices, values, strict=bool(values)):
                    if value is not None:
                        self.states[i][s.key] = value

    def expect(self) -> None:
        """One step by the interpreter."""
        self.made += 1
        for i, grad in enumerate(self.grads):
            self.expected[i], self.expected_states[i] = interpret.step(
                self.program,
                self.hypers,
                self.expected[i],
                grad.double().numpy(),
                self.expected_states[i],
                self.made,
                np.float64,
            )

    def check(self, steps: int = 2, **tolerance: float) -> None:
        """Makes ``steps`` with new gradients, both ways, and compares all there is."""
        for _ in range(steps):
            self.new_gradients()
            self.expect()
            self.poison()
            self.step()
            self.compare(**tolerance)

    def compare(self, rtol: float = 1e-9, atol: float = 1e-12) -> None:
        for i, param in enumerate(self.params):
            about = f"{tuple(param.shape)} after {self.made} steps"
            np.testing.assert_allclose(param.double(), self.expected[i], rtol, atol, err_msg=f"param {about}")
            assert self.states[i].keys() == self.expected_states[i].keys(), about
            for key, value in self.states[i].items():
                expected = self.expected_states[i][key]
                assert value.shape == expected.shape
                np.testing.assert_allclose(value.double(), expected, rtol, atol, err_msg=f"{key} {about}")

    @property
    def launches(self) -> list[Any]:
        """The launches of the last plan, where there are plans; none before the first step."""
        optimizer = getattr(self.kernels, "_OPTIMIZER", None)
        plans = optimizer.plans if optimizer is not None else {}
        return next(reversed(plans.values())).launches if plans else []

    def poison(self) -> None:
        """Fills the scratch memory with NaN: nothing may be read that this step has not written."""
        for launch in self.launches:
            launch.scratch.fill_(torch.nan)

    def everything(self) -> list[Tensor]:
        return [*self.params, *(value for state in self.states for value in state.values())]


def coarse(name: str) -> Mapping[str, Any]:
    """Settings under which the dtype does not matter much."""
    return {"Adafactor": {"eps1": 1e-3}, "Lamb": {"eps": 1e-2}, "StableAdamW": {"eps": 1e-2}}.get(name, {})


def hypers_of(name: str) -> tuple[Mapping[str, Any], ...]:
    """Settings under which a spec is tested."""
    return {
        "Adafactor": ({}, {"weight_decay": 0.1, "maximize": True, "eps1": 1e-30}),
        "Clipped": ({}, {"clip": 0.5, "maximize": True}),
        "Lars": ({}, {"momentum": 0.0, "maximize": True}),
    }.get(name, ({}, {"maximize": True}))
