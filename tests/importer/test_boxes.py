"""Boxes as papers write them, and the specs that they become: ``boxes/NAME.tex`` and ``NAME.opt`` beside it.

``mistakes/NAME.tex`` cannot be read, or has a slip; ``NAME.txt`` is exactly what is said of it. ``pytest
tests/importer/test_boxes.py --update-goldens`` writes both anew; read every one before it is committed.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from optdsl.importer import read_latex
from optdsl.render import render_all
from optdsl.source import Source
from optdsl.syntax import parse

HERE = Path(__file__).parent
BOXES = sorted((HERE / "boxes").glob("*.tex"))
MISTAKES = sorted((HERE / "mistakes").glob("*.tex"))


def source(path: Path) -> Source:
    return Source(path.name, path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", BOXES, ids=lambda path: path.stem)
def test_a_box(path: Path, update_goldens: bool) -> None:
    found = read_latex(source(path))
    assert found.text is not None
    golden = path.with_suffix(".opt")
    if update_goldens:
        golden.write_text(found.text, encoding="utf-8")
    assert found.text == golden.read_text(encoding="utf-8")
    assert parse(Source(golden.name, found.text)).module == found.module


@pytest.mark.parametrize("path", MISTAKES, ids=lambda path: path.stem)
def test_a_mistake(path: Path, update_goldens: bool) -> None:
    found = read_latex(source(path))
    text = render_all(found.diagnostics) + "\n"
    golden = path.with_suffix(".txt")
    if update_goldens:
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


FRAME = r"""\begin{aligned}
&\textbf{input} : %s \\
&\textbf{for} \: t=1 \: \textbf{to} \: \ldots \: \textbf{do} \\
&\hspace{5mm} g_t \leftarrow \nabla_\theta f_t(\theta_{t-1}) \\
&\hspace{5mm} %s \\
&\textbf{return} \: \theta_t
\end{aligned}"""


def statement(latex: str, inputs: str = r"\gamma \text{ (lr)}") -> str:
    """What a row of the step becomes."""
    found = read_latex(Source("box.tex", FRAME % (inputs, latex)))
    assert found.text is not None, render_all(found.diagnostics)
    return found.text.split("∇f_t(θ_{t-1})\n")[1].split("\n\n")[0].strip()


@pytest.mark.parametrize(
    ("latex", "text"),
    [
        (r"x \leftarrow g^2_t + \beta_1^t", "x ← g_t² + β₁^t"),
        (r"\widehat{m_t} \gets \widehat{m}_t \tilde v", "m̂_t ← m̂_t ṽ"),
        (r"\widehat{\beta}_{2_t} \leftarrow 1 - t^{\tau}", "β̂₂_t ← 1 - t^τ"),
        (r"\textbf{b}_t \leftarrow \mathbf{b}_t \boldsymbol{\mu}", "b_t ← b_t μ"),
        (r"state\_sum_t \leftarrow g_t", "state_sum_t ← g_t"),
        (r"x \leftarrow \big(a + b\big)^2 \Big/ 2", "x ← (a + b)² / 2"),
        (r"x \leftarrow \frac{a}{b} c", "x ← a / b · c"),
        (r"x \leftarrow \frac{1}{2} 0.96^{t \psi}", "x ← 1/2 · 0.96^(t ψ)"),
        (r"x \leftarrow \frac12 a + \frac1{2} b + \frac a2 + \tfrac ab", "x ← 1/2 · a + 1/2 · b + a / 2 + a / b"),
        (r"x \leftarrow \sqrt2 a + \sqrt{2a} + \frac{10}{12}", "x ← √2 a + √(2 a) + 10/12"),
        (r"x \leftarrow 10^{-8} + 2.5 \times 10^{3} + {10}^{2}", "x ← 1e-8 + 2.5e3 + 10²"),
        (r"x \leftarrow \max\{a, b\} + max(a, b) + \operatorname{max}(a, b)", "x ← max(a, b) + max(a, b) + max(a, b)"),
        (r"x \leftarrow \left| a \right| + \lvert b \rvert", "x ← |a| + |b|"),
        (r"x \leftarrow \mathrm{sgn}(a) + \mathrm{clip}(a, -1, 1)", "x ← sign(a) + clamp(a, -1, 1)"),
        (r"x \leftarrow \prod_{i=1}^{t} g_i", "x ← ∏_{i=1}^{t} g_i"),
        (r"\Delta x_t \leftarrow \Delta x^2_t", "Δ_x_t ← Δ_x_t²"),
        (r"v_t^{max} \leftarrow v_{t}^{\mathrm{max}}", "v_t^max ← v_t^max"),
        (r"x \leftarrow a,\; y \leftarrow b", "x ← a\n        y ← b"),
        (r"x \leftarrow a \quad \text{(a remark)}", "x ← a"),
        (r"x = a", "x ← a"),
        (r"x \leftarrow \beta_{1t} + \beta_{1,t-1}", "x ← β₁ + β₁"),
        (r"x \leftarrow \lambda' a'^2 + \eta^{\prime}", "x ← λ^prime (a^prime)² + η^prime"),
        (r"x \leftarrow g_t^{\circ 2} \oslash a", "x ← g_t² / a"),
        (r"x \leftarrow E[g^2]_t + \mathbb{E}[\Delta x^2]_t", "x ← E_g + E_x"),
        (r"x \leftarrow v_t[i] + m_t^{(l)}", "x ← v + m"),
        (r"x \leftarrow \Delta \mathbf{x}_t + \Delta\theta_t", "x ← Δ_x + Δ_θ"),
        (r"x \leftarrow \|a\|_F + \|a\|_2", "x ← ‖a‖ + ‖a‖"),
        (r"x \leftarrow \sum_{j=1}^{d} g_{t,j}^2 a + \sum_i |b_i|", "x ← sum(g_t² a) + sum(|b|)"),
        (r"x \leftarrow \prod_{z=1}^{t} \beta_{1,z}", "x ← ∏_{i=1}^{t} β₁"),
        (
            r"x \leftarrow \mathrm{mean}_{\text{cols}}(g_t^2) + \max(g_t)",
            "x ← mean(g_t², over cols) + max(g_t, over all)",
        ),
        (r"x \leftarrow \mathrm{clip}(a, b)", "x ← clamp(a, -b, b)"),
        (r"x \leftarrow \mathbb{I}(a > 0) b", "x ← ({ 1 if a > 0 { 0 otherwise) b"),
        (r"\rho \leftarrow \mathrm{NS5}(g_t)", "ρ ← NS5(g_t)"),
        (r"b_t^2 \leftarrow g_t^2", "b_t ← √(g_t²)"),
        (
            r"x \leftarrow \frac{\partial L}{\partial \theta_{t-1}} + \nabla_\theta L + a",
            "x ← ∇f_t(θ_{t-1}) + ∇f_t(θ_{t-1}) + a",
        ),
        (
            r"\textbf{if } t > 1 \textbf{ then } x \leftarrow a \textbf{ else } x \leftarrow b",
            "if t > 1\n            x ← a\n        else\n            x ← b",
        ),
        (r"\text{Set } x \leftarrow a", "x ← a"),
    ],
)
def test_a_formula(latex: str, text: str) -> None:
    assert statement(latex) == text


@pytest.mark.parametrize(
    ("latex", "line"),
    [
        (r"\beta_1, \beta_2 \text{ (betas)}", "β₁, β₂ (betas)    # fill in: defaults"),
        (r"\eta_{+/-} \text{ (etaplus, etaminus)}", "η₊ (etaplus)     # fill in: default"),
        (r"(a,b,c) \text{ (coefficients)}", "a, b, c (coefficients)    # fill in: defaults"),
        (r"\gamma = 10^{-3} \text{ (lr)}", "γ (lr) = 1e-3"),
        (r"\tau \text{(}\beta_2\text{ decay)}", "τ (beta2_decay)    # fill in: default"),
        (r"(\beta_1, \beta_2) = (0.9, 10^{-4})", "β₁, β₂ (betas) = 0.9, 1e-4"),
        (r"\beta_1 = 0.9, \beta_2 = 0.99", "β₁, β₂ (betas) = 0.9, 0.99"),
        (r"\{\gamma_t\}_{t=1}^T \text{ (step sizes)}", "γ (lr)    # fill in: default"),
        (r"\{\gamma_t\}_{t=1}^T, \rho", "γ    # fill in: Python name and default"),
        (r"\theta_0 \in \mathbf{R}^d \text{ (params)}, \rho", "ρ    # fill in: Python name and default"),
    ],
)
def test_an_input(latex: str, line: str) -> None:
    found = read_latex(Source("box.tex", FRAME % (latex, r"\theta_t \leftarrow \theta_{t-1} - g_t")))
    assert found.text is not None
    assert found.text.splitlines()[2].strip() == line
