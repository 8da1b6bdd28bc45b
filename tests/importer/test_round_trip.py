"""Exported LaTeX read back: the same program, for every shipped spec and for drawn ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings

from optdsl.compiler import check_files
from optdsl.emit.latex import annotated
from optdsl.emit.latex.fixed import inline_fixed
from optdsl.importer import read_latex
from optdsl.ir.nodes import Program
from optdsl.source import Source
from optdsl.syntax import ast, parse
from tests.specs import spec
from tests.strategies import programs

ROOT = Path(__file__).parents[2]
SPECS = sorted(p for p in (ROOT / "specs").rglob("*.opt") if p.parent.name != "parts")
SPECS.append(ROOT / "tests" / "flat" / "descent.opt")


def module(text: str) -> ast.Module:
    parsed = parse(Source("spec.opt", text))
    assert parsed.module is not None, parsed.diagnostics
    return parsed.module


def in_the_box(optimizer: ast.Optimizer) -> ast.Optimizer:
    """``optimizer`` as its box has it: fixed arguments are declared, and decided in the step."""
    inlined = inline_fixed(optimizer)
    return replace(inlined, base=None, inputs=optimizer.inputs, states=optimizer.states)


def assert_round_trip(optimizer: ast.Optimizer, functions: tuple[ast.Function, ...] = ()) -> None:
    text = annotated(optimizer, functions)
    imported = read_latex(Source("box.tex", text))
    assert imported.module is not None, (text, imported.diagnostics)
    assert imported.module.optimizers == (in_the_box(optimizer),), text
    assert imported.module.functions == functions
    assert imported.text is not None and module(imported.text) == imported.module


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_a_shipped_spec(path: Path) -> None:
    units = check_files([path]).units
    assert units
    for unit in units:
        functions = tuple(unit.checked.functions.values())
        assert_round_trip(unit.checked.optimizer, functions)
        assert read_latex(Source("box.tex", annotated(unit.checked.optimizer, functions))).diagnostics == ()


ODD = r'''
function soften(x, y; ε):
    """x divided by the square root of y."""
    return x / (√y + ε)

optimizer Odd:
    """All that a box does not show, and all that could be read in two ways.

    % {not} \\latex, "quoted" $x$
    """

    input:
        γ (lr) = 1e-3           where γ > 0 else "not positive: 100% {lr}"     -- a # and a % here
        β₁, β₂ (betas) = 0.9, 0.99
        decay = 1e-5
        T (period) = 7
        κ (clip) = none         where κ is none or κ > 0
        *
        mode ∈ {"a_b", "c d", "{}"} = "a_b"

    initialize:
        m_0 ← 0 (exp_avg)
        P_0 ← 1 (product)
        loss_0 ← 2.5e-8 (loss_avg) at construction
        v_0^max ← 0 (max_sum)   if mode = "c d"
        b (buffer)              if κ is not none

    for t = 1 to … do
        g_t ← ∇f_t(θ_{t-1})
        m_t ← β₁ m_{t-1} + (1 - β₁) g_t²
        P_t ← P_{t-1} β₂
        loss_t ← loss_{t-1} + -(γ / β₁) · β₂ - -γ / β₁
        x_t ← 10^(-3) · 2.5e-8 · 10² + 1e-3^2 + 1.5^T + γ^decay + 7^(t - T) + (-γ)² + ∏_{i=1}^{t} P_i
        if mode = "c d"
            v_t^max ← max(v_{t-1}^max, (v_t^max)²)
        else if mode = "{}" or not (κ is none) and β₁ ≤ β₂ < 1
            x_t ← decay (x_t + 1) loss_t (P_t - 1)
        if κ is not none
            b_t ← clamp(m_t, -κ, κ)
            x_t ← x_t |g_t - |b_t||
        θ_t ← θ_{t-1} - γ soften(g_t, m_t; decay) ⌊x_t⌋ ⌈loss_t⌉
        θ_t ← { θ_t - ({ γ if β₁ > 0 { 1 otherwise)   if mode = "a_b"
              { -θ_t / 2 · 3 x_t                     otherwise

    return θ_t
'''


def test_everything_that_a_box_does_not_show() -> None:
    odd = module(ODD)
    assert_round_trip(odd.optimizers[0], odd.functions)


@given(programs(spelled=True))
@settings(max_examples=150)
def test_a_drawn_spec(program: Program) -> None:
    (optimizer,) = spec(program).optimizers
    assert_round_trip(optimizer)
