"""``optdsl import`` and the stages ``latex`` and ``markdown`` of ``optdsl show``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from optdsl.cli.app import app

BOXES = Path(__file__).parent / "boxes"
MISTAKES = Path(__file__).parent / "mistakes"
SPECS = Path(__file__).parents[2] / "specs"


def run(*arguments: str, given: str = "") -> Result:
    return CliRunner().invoke(app, list(arguments), input=given)


def test_a_file_is_printed_as_a_spec() -> None:
    result = run("import", str(BOXES / "lion.tex"))
    assert result.exit_code == 0
    assert result.stdout == (BOXES / "lion.opt").read_text()


def test_a_spec_is_written(tmp_path: Path) -> None:
    target = tmp_path / "lion.opt"
    result = run("import", str(BOXES / "lion.tex"), "-o", str(target), "--name", "Leo")
    assert (result.exit_code, result.stdout) == (0, "")
    assert target.read_text() == (BOXES / "lion.opt").read_text().replace("Lion", "Leo")
    assert run("import", str(BOXES / "lion.tex"), "-o", str(tmp_path / "none" / "x.opt")).exit_code == 1


def test_one_of_several_algorithms() -> None:
    both = (BOXES / "kingma.tex").read_text() + "In words.\n" + (BOXES / "adax.tex").read_text()
    first, second = run("import", "-", given=both), run("import", "-", "--algorithm", "2", given=both)
    assert (first.exit_code, first.stdout) == (0, (BOXES / "kingma.opt").read_text())
    assert (second.exit_code, second.stdout) == (0, (BOXES / "adax.opt").read_text())
    assert "1 (Adam, line 1) or 2 (AdaX, line 24)" in first.stderr
    assert not second.stderr
    assert run("import", "-", "--algorithm", "1", given=both).stderr == ""
    third = run("import", "-", "--algorithm", "3", given=both)
    assert (third.exit_code, third.stdout) == (1, "")
    assert "there is no algorithm 3 here" in third.stderr


def test_the_standard_input() -> None:
    result = run("import", "-", "--name", "Mine", given=(BOXES / "cases.tex").read_text())
    assert result.exit_code == 0
    assert "optimizer Mine:" in result.stdout
    assert "<stdin>:5:" in result.stderr


def test_a_class() -> None:
    result = run("import", "torch.optim.SGD")
    assert result.exit_code == 0
    assert "μ (momentum) = 0" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["torch.optim.Adem"], "did you mean `torch.optim.Adam`?"),
        (["no_such_package.Adam"], "`no_such_package` is not installed"),
        (["torch.optim.ASGD"], "there is no algorithm here"),
        (["missing.tex"], "cannot read"),
        ([str(MISTAKES / "unclosed.tex")], "this `(` is never closed"),
    ],
)
def test_what_cannot_be_imported(arguments: list[str], message: str) -> None:
    result = run("import", *arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert message in result.stderr


def test_a_name_is_an_identifier() -> None:
    assert run("import", "-", "--name", "not a name").exit_code == 2


def test_nothing_is_loaded_that_is_not_needed() -> None:
    """``compile`` does not load the importer, and importing a file does not load torch."""
    script = (
        "import sys, optdsl.cli.app; assert not any(m.startswith('optdsl.importer') for m in sys.modules)\n"
        "import optdsl.importer; assert not {'torch', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_shown_latex_is_imported_again(tmp_path: Path) -> None:
    exported = run("show", str(SPECS / "nadam.opt"), "--stage", "latex")
    assert exported.exit_code == 0
    back = run("import", "-", given=exported.stdout)
    assert (back.exit_code, back.stderr) == (0, "")
    again = tmp_path / "nadam.opt"
    again.write_text(back.stdout)
    assert run("show", str(again), "--stage", "latex").stdout == exported.stdout


def test_markdown() -> None:
    page = run("show", str(SPECS / "rprop.opt"), "--stage", "markdown").stdout
    assert page.startswith("# Rprop\n\nResilient backpropagation")
    assert "```math\n\\begin{aligned}" in page and "[-1.ex]" not in page
    assert "| `etas` | η₋, η₊ | `0.5, 1.2` | `0 < η₋ < 1 < η₊` |" in page
    assert "| `step_size` | η\\_0 | `γ` |" in page
