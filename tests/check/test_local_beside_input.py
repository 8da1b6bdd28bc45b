"""``α_t`` beside an input ``α`` is a name of its own: a step that uses it means what it means with another letter."""

from __future__ import annotations

from pathlib import Path

import pytest

from optdsl.compiler import check_files, check_source
from optdsl.diff import compare
from optdsl.emit.latex import annotated
from optdsl.fmt import format_source
from optdsl.importer import read_latex
from optdsl.ir.printer import program_text
from optdsl.source import Source
from optdsl.syntax.notation import ASCII, LATEX

SCHEDULED = """\
optimizer Scheduled:
    input:
        α (lr) = 1e-3            where α ≥ 0
        β₁, β₂ (betas) = 0.9, 0.999
        λ (weight_decay) = 0
        warm = false

    initialize:
        m_0 ← 0 (exp_avg)
        v_0 ← 0 (exp_avg_sq)

    for t = 1 to … do
        g_t ← ∇f_t(θ_{t-1})
        m_t ← β₁ m_{t-1} + (1 - β₁) g_t
        v_t ← β₂ v_{t-1} + (1 - β₂) g_t²
        α_t ← α √(1 - β₂^t) / (1 - β₁^t)
        if warm
            α_t ← min(α_t, α / t)
        θ_t ← θ_{t-1} - α λ θ_{t-1}
        θ_t ← θ_t - α_t m_t / √v_t

    return θ_t
"""


def checked(text: str):
    found = check_source(Source("spec.opt", text))
    assert not found.diagnostics, found.diagnostics
    (unit,) = found.units
    return unit


def test_it_means_what_another_letter_means() -> None:
    other = checked(SCHEDULED.replace("α_t", "η_t"))
    assert program_text(other.program).replace("eta", "alpha_t").replace("balpha_t", "beta") == program_text(
        checked(SCHEDULED).program
    )
    assert not compare(checked(SCHEDULED).checked, checked(SCHEDULED).checked).differences


@pytest.mark.parametrize("notation", [ASCII, LATEX], ids=["ascii", "latex"])
def test_every_spelling_keeps_both(notation) -> None:
    text = format_source(Source("spec.opt", SCHEDULED), notation).text
    assert text is not None
    assert program_text(checked(text).program) == program_text(checked(SCHEDULED).program)


def test_its_box_reads_back() -> None:
    optimizer = checked(SCHEDULED).checked.optimizer
    imported = read_latex(Source("box.tex", annotated(optimizer, ())))
    assert imported.module is not None
    assert imported.module.optimizers == (optimizer,)


def test_a_fixed_input_is_not_its_local(tmp_path: Path) -> None:
    """The value of ``α`` decides no branch on ``α_t``, in a spec or in its box."""
    text = SCHEDULED.replace("if warm", "if α_t > α").replace("        warm = false\n", "").replace(
        "(lr) = 1e-3            where α ≥ 0", "(lr) = 1"
    )  # fmt: skip
    base = tmp_path / "scheduled.opt"
    base.write_text(text)
    fixed = tmp_path / "fixed.opt"
    fixed.write_text(
        "import Scheduled from scheduled\n\noptimizer Fixed extends Scheduled:\n    input:\n        α := 1\n"
    )
    (unit,) = check_files([fixed]).units
    (whole,) = check_files([base]).units
    assert "α_t" in annotated(unit.checked.optimizer, ()) or r"\alpha_t" in annotated(unit.checked.optimizer, ())
    step = [d for d in compare(whole.checked, unit.checked).differences if d.part == "step"]
    assert step == []


def test_each_is_used_by_itself() -> None:
    codes = {
        "W201": SCHEDULED.replace("θ_t - α_t m_t", "θ_t - α m_t").replace("min(α_t, α / t)", "α / t"),
        "W401": SCHEDULED.replace("α_t ← α √", "α_t ← √").replace("α / t)", "1 / t)").replace("α λ θ", "λ θ"),
        "E211": SCHEDULED.replace("        α_t ← α √(1 - β₂^t) / (1 - β₁^t)\n", ""),
        "E406": SCHEDULED.replace("where α ≥ 0", "where α_t ≥ 0"),
        "E208": SCHEDULED.replace("        α_t ← α √", "        α ← α √"),
        "E205": SCHEDULED.replace("min(α_t, α / t)", "min(α_{t-1}, α / t)"),
    }
    for code, text in codes.items():
        found = check_source(Source("spec.opt", text)).diagnostics
        assert code in {d.code for d in found}, (code, found)
