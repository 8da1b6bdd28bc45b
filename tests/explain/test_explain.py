"""Every code has a page, and its examples are true: the wrong one gives just that code, the right one none."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from optdsl.cli.app import app
from optdsl.compiler import check_files
from optdsl.explain import Example, codes, page
from optdsl.render import render_all

ROOT = Path(__file__).parent.parent.parent
FRAME_UNUSED = "W401"
"""What the frame around some statements may be told: it declares more than they need."""

SPEC = """\
optimizer Descent:
    input:
        γ (lr) = 1e-3

    for t = 1 to … do
        g_t ← ∇f_t(θ_{t-1})
        θ_t ← θ_{t-1} - γ g_t

    return θ_t
"""
"""``spec.opt``, which the commands of an example can use."""


def given_codes(example: Example, folder: Path) -> set[str]:
    """The codes that the compiler gives for ``example``."""
    if example.spec is None:
        (folder / "spec.opt").write_text(SPEC, encoding="utf-8")
        script = f'set -o pipefail\noptdsl() {{ "{sys.executable}" -m optdsl "$@"; }}\n{example.text}'
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}
        bash = shutil.which("bash")
        assert bash is not None
        done = subprocess.run([bash, "-c", script], cwd=folder, env=environment, capture_output=True, text=True)
        found = set(re.findall(r"^(?:error|warning)\[(\w+)\]", done.stdout + done.stderr, re.MULTILINE))
        refused = any(code.startswith("E") for code in found)
        assert done.returncode in ((1, 2) if refused else (0,)), done.stderr
        return found
    (folder / "example.opt").write_text(example.spec, encoding="utf-8")
    diagnostics = check_files([folder / "example.opt"]).diagnostics
    print(render_all(diagnostics))
    found = {diagnostic.code for diagnostic in diagnostics}
    return found - {FRAME_UNUSED} if example.kind == "opt step" else found


@pytest.mark.parametrize("code", codes())
def test_the_wrong_example_gives_the_code(code: str, tmp_path: Path) -> None:
    assert given_codes(page(code).wrong, tmp_path) == {code}


@pytest.mark.parametrize("code", codes())
def test_the_right_example_is_clean(code: str, tmp_path: Path) -> None:
    assert given_codes(page(code).right, tmp_path) == set()


def test_every_code_has_a_page() -> None:
    given = set()
    for path in (ROOT / "optdsl").rglob("*.py"):
        literals = (
            n.value for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, ast.Constant)
        )
        given |= {text for text in literals if isinstance(text, str) and re.fullmatch(r"[EW]\d{3}", text)}
    assert given == set(codes())


# -------------------------------------------------------------------------------------------------- the command


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["explain", *arguments], catch_exceptions=False)


def test_a_page_is_shown() -> None:
    shown = run("e212")
    assert shown.exit_code == 0
    assert shown.output.startswith("E212: an update is lost\n\n`θ_{t-1}` is the value from before the step.")
    assert "Wrong:\n\n    θ_t ← θ_{t-1} - γ λ θ_{t-1}\n" in shown.output and "```" not in shown.output


def test_all_codes_are_listed() -> None:
    assert [line[:4] for line in run().output.splitlines()] == list(codes())


@pytest.mark.parametrize(("code", "meant"), [("E21", "E021"), ("12", "E012"), ("W212", "E212"), ("E4O1", "E401")])
def test_an_unknown_code(code: str, meant: str) -> None:
    asked = run(code)
    assert asked.exit_code == 2 and f"did you mean {meant}?" in asked.output
