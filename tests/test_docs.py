"""The examples of the documentation are true: every block of a page is compiled, or fails with the code it names.

A fenced block is marked in its first line: ``opt`` is a whole spec; ``opt step`` the statements of a step, put into
:data:`FRAME`; ``opt same`` a spec that reads the same as the others with that mark; ``wrong=CODE`` says that the block
must be refused with that code.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent

import pytest

from optdsl.compiler import Checked, check_files, emit
from optdsl.emit.python import selected
from optdsl.ir.cost import costs
from optdsl.render import render_all
from optdsl.source import Severity, Source
from optdsl.syntax import parse

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

FRAME = """\
optimizer Example:
    input:
        γ (lr) = 1e-3
        β₁, β₂ (betas) = 0.9, 0.999
        ε (eps) = 1e-8
        λ (weight_decay) = 0
        μ (momentum) = 0.9
        nesterov = false
    initialize:
        m_0 ← 0 (exp_avg)
        v_0 ← 0 (exp_avg_sq)
    for t = 1 to … do
        g_t ← ∇f_t(θ_{t-1})
        m_t ← β₁ m_{t-1} + (1 - β₁) g_t
        v_t ← β₂ v_{t-1} + (1 - β₂) g_t²
STATEMENTS
    return θ_t
"""


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    page: Path
    line: int
    marks: tuple[str, ...]
    text: str

    @property
    def spec(self) -> str:
        if "step" in self.marks:
            return FRAME.replace("STATEMENTS", indent(self.text.rstrip("\n"), " " * 8))
        return self.text

    @property
    def wrong(self) -> str | None:
        return next((mark.removeprefix("wrong=") for mark in self.marks if mark.startswith("wrong=")), None)

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks(page: Path, language: str) -> list[Block]:
    text = page.read_text()
    found = re.finditer(rf"^```{language}\b([^\n]*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [Block(page, text.count("\n", 0, m.start()) + 1, tuple(m[1].split()), m[2]) for m in found]


SPECS = [block for page in PAGES for block in blocks(page, "opt")]


def check(block: Block, folder: Path) -> Checked:
    path = folder / "example.opt"
    path.write_text(block.spec)
    return check_files([path])


@pytest.mark.parametrize("block", [b for b in SPECS if not b.wrong], ids=str)
def test_example_is_accepted(block: Block, tmp_path: Path) -> None:
    checked = check(block, tmp_path)
    unused = "W401" if "step" in block.marks else None  # the frame declares more than the block needs
    diagnostics = [d for d in checked.diagnostics if d.code != unused]
    assert diagnostics == [], render_all(diagnostics)
    for path, text in emit(checked.units).items():
        compile(text, path, "exec")
    assert checked.units


@pytest.mark.parametrize("block", [b for b in SPECS if b.wrong], ids=str)
def test_wrong_example_is_refused_for_the_reason_given(block: Block, tmp_path: Path) -> None:
    checked = check(block, tmp_path)
    errors = [d for d in checked.diagnostics if d.severity is Severity.ERROR]
    assert [d.code for d in errors] == [block.wrong], render_all(checked.diagnostics)


def test_the_three_spellings_read_the_same() -> None:
    same = [block for block in SPECS if "same" in block.marks]
    modules = [parse(Source(str(block), block.spec)).module for block in same]
    assert len(modules) >= 2
    assert modules[0] is not None
    assert all(module == modules[0] for module in modules)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Links inside the repository, and to headings of the same page."""
    text = page.read_text()
    headings = {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in re.findall(r"^#+ (.*)$", text, re.M)
    }
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        assert not path or (page.parent / path).exists(), target
        assert path or anchor in headings, target


# ---------------------------------------------------------------------------------------------------------- README

README = ROOT / "README.md"


def test_the_class_shown_is_what_the_spec_becomes(tmp_path: Path) -> None:
    """Between the lines ``...`` the README shows the compiled text as it is."""
    (unit,) = check(blocks(README, "opt")[0], tmp_path).units
    compiled = emit([unit])[unit.class_file]
    shown = re.split(r"^ *\.\.\.\n", blocks(README, "python")[0].text, flags=re.MULTILINE)
    places = [compiled.index(part.strip("\n")) for part in shown if part.strip()]
    assert places == sorted(places)


def test_the_mistake_shown_is_what_the_compiler_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (shown,) = blocks(README, "text")
    spec = blocks(README, "opt")[0].text.replace("θ_t ← θ_t - γ sign", "θ_t ← θ_{t-1} - γ sign")
    monkeypatch.chdir(tmp_path)
    Path("lion.opt").write_text(spec)
    assert render_all(check_files(["lion.opt"]).diagnostics) == shown.text.rstrip("\n")


def test_the_accesses_shown_are_what_the_compiler_counts() -> None:
    row = r"^\| (\w+)( with momentum)? \| \d+ \| (\d+) \| \d+ \| (\d+) \| (\d+) \|$"
    rows = re.findall(row, README.read_text(), re.MULTILINE)
    assert len(rows) >= 3
    for name, momentum, loop, foreach, minimum in rows:
        (unit,) = check_files([ROOT / "specs" / f"{name.lower()}.opt"]).units
        counted = {tuple(c.settings): c.accesses for c in costs(unit.program, selected(unit.program))}
        wanted = {"for-loop": int(loop), "foreach": int(foreach), "minimum": int(minimum)}
        assert counted[("momentum",) if momentum else ()] == wanted
