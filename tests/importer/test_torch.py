"""All boxes of torch's doc strings: they import, and where they say something else than torch's code does.

The shipped specs compute what torch's code computes (``tests/torch_parity``), so a box is compared with the spec. Boxes
without a spec have a table of the lines that their code does not follow.
"""

from __future__ import annotations

import re

import pytest

from optdsl.check import analyse
from optdsl.emit.latex.fixed import inline_fixed
from optdsl.importer import read_latex
from optdsl.resources import spec_text
from optdsl.source import Diagnostic, Severity, Source
from optdsl.syntax import ast, parse
from optdsl.syntax.ast import Symbol
from tests.importer.torch_boxes import Difference, differences, documented, imported, lines

SYMBOLS = {
    "Adadelta": {Symbol("Δ", subscript="x"): Symbol("Δ")},
    "Adagrad": {Symbol("state_sum"): Symbol("s")},
    "Rprop": {Symbol("g", subscript="prev"): Symbol("g", superscript="prev")},
}
"""What the spec calls by another name."""

DIFFERENCES = {
    "Adadelta": [],
    # only brackets
    "Adagrad": [
        Difference(17, ("θ_t ← θ_{t-1} - γ̃ (g_t / (√s_t + ε))",), ("θ_t ← θ_{t-1} - γ̃ g_t / (√s_t + ε)",)),
    ],
    # the code decays θ itself if decoupled_weight_decay, which the box does not know; then θ_{t-1} would be too old
    "Adam": [
        Difference(
            20,
            ("g_t ← g_t + λ θ_{t-1}",),
            ("if decoupled_weight_decay", "θ_t ← θ_{t-1} - γ λ θ_{t-1}", "else", "g_t ← g_t + λ θ_{t-1}"),
        ),
        Difference(29, ("θ_t ← θ_{t-1} - γ m̂_t / (√v̂_t + ε)",), ("θ_t ← θ_t - γ m̂_t / (√v̂_t + ε)",)),
    ],
    # decay by nothing is left out
    "AdamW": [
        Difference(20, ("θ_t ← θ_{t-1} - γ λ θ_{t-1}",), ("if λ ≠ 0", "θ_t ← θ_{t-1} - γ λ θ_{t-1}")),
    ],
    "Adamax": [],
    # the code keeps the product of all μ as a state
    "NAdam": [
        Difference(26, (), ("P_t ← P_{t-1} μ_t",)),
        Difference(
            28,
            ("m̂_t ← μ_{t+1} m_t / (1 - ∏_{i=1}^{t} μ_i μ_{t+1}) + (1 - μ_t) g_t / (1 - ∏_{i=1}^{t} μ_i)",),
            ("m̂_t ← μ_{t+1} m_t / (1 - P_t μ_{t+1}) + (1 - μ_t) g_t / (1 - P_t)",),
        ),
    ],
    # θ_t is θ_{t-1} there; the constant ρ_∞ stands among the initial values
    "RAdam": [
        Difference(12, ("ρ_∞ ← 2 / (1 - β₂) - 1",), ()),
        Difference(22, ("θ_t ← θ_t - γ λ θ_t",), ("θ_t ← θ_{t-1} - γ λ θ_{t-1}",)),
        Difference(24, ("g_t ← g_t + λ θ_t",), ("g_t ← g_t + λ θ_{t-1}",)),
        Difference(28, (), ("ρ_∞ ← 2 / (1 - β₂) - 1",)),
    ],
    "RMSprop": [],
    # the code clamps every step size, not only those that have changed
    "Rprop": [
        Difference(
            16,
            (
                "if g_t^prev g_t > 0",
                "η_t ← min(η_{t-1} η₊, Γ_max)",
                "else if g_t^prev g_t < 0",
                "η_t ← max(η_{t-1} η₋, Γ_min)",
            ),
            (
                "if g_{t-1}^prev g_t > 0",
                "η_t ← η_{t-1} η₊",
                "else if g_{t-1}^prev g_t < 0",
                "η_t ← η_{t-1} η₋",
            ),
        ),
        Difference(24, ("else", "η_t ← η_{t-1}"), ("η_t ← clamp(η_t, Γ_min, Γ_max)",)),
    ],
    "SGD": [],
}

SLIPS = {
    "Adafactor": {
        "R_t ← β̂₂_t R_{t-1} + sum((1 - β̂₂_t) G_t G_t, over cols)": "the code takes the mean",
        "C_t ← β̂₂_t C_{t-1} + (1 - β̂₂_t) sum(G_t G_t, over rows)": "the code takes the mean",
        "U_t ← G_t / max(√V̂_t, ε₁)": "the code bounds V̂_t by ε₁², under the root",
        "θ_t ← θ_{t-1} - α_t Û_t": "the code goes on from the decayed θ_t",
    },
    "Muon": {
        "B_t ← μ B_{t-1} + g_t": "the code averages: μ B_{t-1} + (1 - μ) g_t",
        "B̃_t ← { g_t + μ B_t    if nesterov\n      { B_t            otherwise": "the code weighs g_t by 1 - μ",
        "γ ← AdjustLR(γ; shape(θ_t))": "the code adjusts γ for this one parameter, and decays with the unadjusted",
    },
}
"""Lines of boxes that have no spec, and what torch's code does there."""

LINES = {"Adafactor": [27, 29, 36, 39], "Muon": [15, 16, 25]}

NAMES = [*DIFFERENCES, *SLIPS]


def load(statement: ast.Import) -> ast.Module | Diagnostic:
    module = parse(Source(statement.file, spec_text(statement.file))).module
    assert module is not None
    return module


def shipped(name: str) -> ast.Optimizer:
    module = parse(Source(name, spec_text(name.lower()))).module
    assert module is not None
    (checked,) = analyse(module, load).optimizers
    return inline_fixed(checked.optimizer)


@pytest.mark.parametrize("name", NAMES)
def test_it_imports_and_parses(name: str) -> None:
    found = imported(name)
    assert found.text is not None and found.module is not None
    assert all(d.severity is Severity.WARNING for d in found.diagnostics)
    assert parse(Source("imported.opt", found.text)).module == found.module


@pytest.mark.parametrize("name", NAMES)
def test_it_imports_without_the_class_too(name: str) -> None:
    """From the LaTeX alone: every default is to be filled in."""
    found = read_latex(Source(f"{name}.tex", documented(name).source.text))
    assert found.text is not None
    inputs = found.text[found.text.index("input:") : found.text.index("initialize:")].splitlines()[1:]
    assert all("# fill in: " in line for line in inputs if line.strip())


@pytest.mark.parametrize("name", DIFFERENCES)
def test_where_the_code_does_something_else(name: str) -> None:
    found = imported(name)
    assert found.module is not None
    (box,) = found.module.optimizers
    assert differences(box, shipped(name), SYMBOLS.get(name, {})) == DIFFERENCES[name]


@pytest.mark.parametrize("name", SLIPS)
def test_where_a_box_without_a_spec_is_not_what_the_code_does(name: str) -> None:
    found = imported(name)
    assert found.module is not None
    (box,) = found.module.optimizers
    at = {line.text: line.number for line in lines(box.body)}
    assert [at[text] for text in SLIPS[name]] == LINES[name]


@pytest.mark.parametrize("name", DIFFERENCES)
def test_once_filled_in_it_checks(name: str) -> None:
    """Marks at defaults and keys are all that is missing."""
    found = imported(name)
    assert found.text is not None and found.diagnostics == ()
    text = re.sub(r"^( +(?:[^#\n=]*\)))( +# fill in: defaults)", r"\1 = 0.5, 0.5 \2", found.text, flags=re.MULTILINE)
    text = re.sub(r"^( +(?:[^#\n=]*\)))( +# fill in: default$)", r"\1 = 0.5 \2", text, flags=re.MULTILINE)
    module = parse(Source("filled.opt", text)).module
    assert module is not None
    analysis = analyse(module, load)
    assert analysis.diagnostics == () and len(analysis.optimizers) == 1, text


def test_the_dropped_decay_of_adafactor_is_reported_in_its_last_line() -> None:
    (slip,) = (d for d in imported("Adafactor").diagnostics if d.code == "E212")
    assert slip.span.source.line_column(slip.span.start)[0] == LINES["Adafactor"][-1]
    assert slip.span.text == r"\theta_{t-1}" and slip.severity is Severity.WARNING
    (earlier,) = slip.labels
    assert earlier.span.text == r"\theta_t"


def test_the_learning_rate_that_muon_assigns_is_reported() -> None:
    (found,) = imported("Muon").diagnostics
    assert found.code == "E208"
    assert found.span.source.line_column(found.span.start)[0] == LINES["Muon"][-1]


def test_what_has_no_box_is_refused() -> None:
    for name in ("ASGD", "SparseAdam", "LBFGS"):
        found = imported(name)
        assert found.text is None
        assert [d.code for d in found.diagnostics] == ["E702"]


ADAM = '''\
optimizer Adam:
    """Implements Adam algorithm."""

    input:
        γ (lr) = 0.001
        β₁, β₂ (betas) = 0.9, 0.999
        λ (weight_decay) = 0
        amsgrad = false
        ε (eps) = 1e-08

    initialize:
        m_0 ← 0 (first_moment)
        v_0 ← 0 (second_moment)
        v_0^max ← 0    if amsgrad    # fill in: state key

    for t = 1 to … do
        g_t ← ∇f_t(θ_{t-1})
        if λ ≠ 0
            g_t ← g_t + λ θ_{t-1}
        m_t ← β₁ m_{t-1} + (1 - β₁) g_t
        v_t ← β₂ v_{t-1} + (1 - β₂) g_t²
        m̂_t ← m_t / (1 - β₁^t)
        if amsgrad
            v_t^max ← max(v_{t-1}^max, v_t)
            v̂_t ← v_t^max / (1 - β₂^t)
        else
            v̂_t ← v_t / (1 - β₂^t)
        θ_t ← θ_{t-1} - γ m̂_t / (√v̂_t + ε)

    return θ_t
'''


def test_adam() -> None:
    assert imported("Adam").text == ADAM
