"""The formatter: the same tree, every comment, and nothing to do for a formatted text."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from optdsl.cli.app import app
from optdsl.fmt import format_source
from optdsl.source import Source
from optdsl.syntax import parse
from optdsl.syntax.notation import ASCII, LATEX, UNICODE, Notation
from optdsl.syntax.printer import unparse
from tests.specs import spec
from tests.strategies import programs

ROOT = Path(__file__).parent.parent.parent
SPECS = [
    *sorted((ROOT / "specs").glob("*.opt")),
    ROOT / "specs" / "parts" / "transforms.opt",
    ROOT / "tests" / "edits.opt",
]
TEXTS = [path.read_text(encoding="utf-8") for path in SPECS]
NOTATIONS = {"unicode": UNICODE, "ascii": ASCII, "latex": LATEX}

COMMENTS = ("# why", "#bare", "#", "# ← not \\read", '# "quoted', "# -- doc")


def formatted(text: str, notation: Notation = UNICODE) -> str:
    done = format_source(Source("spec.opt", text), notation)
    assert done.text is not None, (text, done.diagnostics)
    return done.text


def comments(text: str) -> list[str]:
    return sorted(span.text.rstrip() for span in parse(Source("spec.opt", text)).comments)


@st.composite
def disturbed(draw: st.DrawFn, text: str) -> str:
    """``text`` with comments, blank lines, other indentation and broken lines put in anywhere."""
    out: list[str] = []
    unit = draw(st.sampled_from((1, 2, 4, 8)))
    in_doc = False
    for line in text.splitlines():
        was_in_doc = in_doc
        in_doc ^= line.count('"""') % 2 == 1
        if was_in_doc or not line.strip():
            out.append(line)
            continue
        for _ in range(draw(st.sampled_from((0, 0, 0, 1, 2)))):
            out.append(" " * draw(st.integers(0, 16)) + draw(st.sampled_from(("", *COMMENTS))))
        depth = (len(line) - len(line.lstrip())) // 4
        line = line.strip()
        if depth > 1 and " + " in line and draw(st.booleans()):
            first, rest = line.split(" + ", 1)
            tail = draw(st.sampled_from(("", "  # broken")))
            if draw(st.booleans()):
                tail += "\n" + " " * draw(st.integers(0, 9)) + "# between"
            line = first + tail + "\n" + " " * (depth * unit + 8) + "+ " + rest
        if "--" not in line and '"""' not in line and draw(st.integers(0, 3)) == 0:
            line += " " * draw(st.integers(0, 5)) + draw(st.sampled_from(COMMENTS))
        out.append(" " * (depth * unit) + line)
    out += draw(st.lists(st.sampled_from(("", "# end", "      # deep end")), max_size=3))
    return draw(st.sampled_from(("\n", "\r\n"))).join(out) + draw(st.sampled_from(("", "\n", "\n\n\n")))


def assert_formats(text: str, notation: Notation) -> None:
    module = parse(Source("spec.opt", text)).module
    assert module is not None, text
    once = formatted(text, notation)
    again = parse(Source("spec.opt", once))
    assert again.module == module, (text, once)
    assert comments(once) == comments(text), (text, once)
    assert formatted(once, notation) == once, (text, once)
    assert once.endswith("\n") and not once.endswith("\n\n") and "\n\n\n" not in once.replace('"""', "")


@given(st.data())
@settings(max_examples=60)
def test_a_disturbed_spec(data: st.DataObject) -> None:
    text = data.draw(disturbed(data.draw(st.sampled_from(TEXTS))))
    assert_formats(text, data.draw(st.sampled_from(list(NOTATIONS.values()))))


@given(st.data())
@settings(max_examples=15)
def test_a_drawn_spec(data: st.DataObject) -> None:
    text = data.draw(disturbed(unparse(spec(data.draw(programs(spelled=True))))))
    assert_formats(text, data.draw(st.sampled_from(list(NOTATIONS.values()))))


@pytest.mark.parametrize("notation", NOTATIONS.values(), ids=NOTATIONS)
@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_spelling_there_and_back(path: Path, notation: Notation) -> None:
    text = path.read_text(encoding="utf-8")
    spelled = formatted(text, notation)
    assert formatted(spelled) == formatted(text)
    if notation is not UNICODE:  # comments and texts keep their letters
        assert re.sub(r'#.*|--.*|"[^"]*"', "", spelled).isascii()


def test_the_specs_are_formatted() -> None:
    assert [path.name for path in SPECS if formatted(path.read_text("utf-8")) != path.read_text("utf-8")] == []


MESSY = """\
# The file.

import Adam from adam   # the base
optimizer A  :   # after the header
  # about the text
  \"\"\"A.\"\"\"  # behind the text
  # about the inputs
  input :

     # first
     lr = 1e-3 where lr>=0  # rate
     *   # keywords follow

     foreach
     # between flags
     maximize
     # last input
  # about the states
  initialize:
     m_0<-0 (exp_avg) # average
  for t=1 to ... do
     g_t <- grad f_t(theta_{t-1})
     m_t <- 0.9 m_{t-1} # decay

        + 0.1 g_t # why

     if lr > 1
        # big
        m_t <- 2 m_t
        # end of big
     # about else
     else   # small
        m_t <- { m_t if lr = 0 # never
               # or
               { 3 m_t otherwise
     # end of the step
  return theta_t # done
# end of the file
"""

NEAT = """\
# The file.

import Adam from adam    # the base

optimizer A:    # after the header
    # about the text
    \"\"\"A.\"\"\"    # behind the text

    # about the inputs
    input:
        # first
        lr = 1e-3    where lr ≥ 0    # rate
        *                            # keywords follow

        # between flags
        foreach, maximize
        # last input

    # about the states
    initialize:
        m_0 ← 0 (exp_avg)    # average

    for t = 1 to … do
        g_t ← ∇f_t(θ_{t-1})
        # decay
        m_t ← 0.9 m_{t-1} + 0.1 g_t    # why

        if lr > 1
            # big
            m_t ← 2 m_t
            # end of big
        # about else
        else    # small
            m_t ← { m_t      if lr = 0    # never
                  # or
                  { 3 m_t    otherwise
        # end of the step

    return θ_t    # done
# end of the file
"""


RUN_TOGETHER = """\
import A, B from "ab" # both
optimizer C extends A:
    input:
        lr, eps = 1, 2    # two
        nesterov = false -- a text that leaves no place for a comment in its line
            where lr > 1 or nesterov  # on the next line
    for t = 1 to … do
        g_t ← ∇f_t(θ_{t-1}) # gradient
        x_t ← { g_t if lr > 1 { 2 g_t otherwise  # one line
        y_t ← \\begin{cases} g_t & \\text{if } lr > 1 \\\\   # first
                 2 g_t & \\text{otherwise} \\end{cases}  # second
        θ_t ← θ_{t-1} - lr (x_t +  # third
           # fourth
           y_t)  # fifth
    return θ_t
"""

APART = """\
import A from ab
import B from ab    # both

optimizer C extends A:
    input:
        lr = 1
        eps = 2    # two
        # on the next line
        nesterov = false    where lr > 1 or nesterov    -- a text that leaves no place for a comment in its line

    for t = 1 to … do
        g_t ← ∇f_t(θ_{t-1})    # gradient
        x_t ← { g_t      if lr > 1
              { 2 g_t    otherwise    # one line
        y_t ← { g_t      if lr > 1
              # first
              { 2 g_t    otherwise    # second
        # third
        # fourth
        θ_t ← θ_{t-1} - lr (x_t + y_t)    # fifth

    return θ_t
"""


@pytest.mark.parametrize(("text", "expected"), [(MESSY, NEAT), (RUN_TOGETHER, APART)], ids=["messy", "run together"])
def test_where_comments_go(text: str, expected: str) -> None:
    assert formatted(text) == expected
    assert formatted(expected) == expected
    assert comments(text) == comments(expected)


@pytest.mark.parametrize("notation", NOTATIONS.values(), ids=NOTATIONS)
def test_every_spec_of_the_tests_and_pages(notation: Notation) -> None:
    """Whatever parses, damaged as it may be otherwise."""
    texts = [path.read_bytes().decode("utf-8") for path in (ROOT / "tests" / "broken").rglob("*.opt")]
    for page in (ROOT / "docs").glob("*.md"):
        texts += re.findall(r"^```opt\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    parsed = [text for text in texts if parse(Source("spec.opt", text)).module is not None]
    assert len(parsed) > 80
    for text in parsed:
        assert_formats(text, notation)


# -------------------------------------------------------------------------------------------------- the command


def run(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, ["fmt", *arguments], input=stdin, catch_exceptions=False)


def test_files_are_written_in_place(tmp_path: Path) -> None:
    path = tmp_path / "a.opt"
    path.write_text(MESSY, encoding="utf-8")
    path.chmod(0o640)
    assert run(str(tmp_path)).exit_code == 0
    assert path.read_text(encoding="utf-8") == NEAT
    assert path.stat().st_mode & 0o777 == 0o640
    assert [p.name for p in tmp_path.iterdir()] == ["a.opt"]


def test_check_and_diff_write_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.opt"
    path.write_text(MESSY, encoding="utf-8")
    checked, shown = run("--check", str(path)), run("--diff", str(path))
    assert (checked.exit_code, shown.exit_code) == (1, 1)
    assert "a.opt is not formatted" in checked.output
    assert "-     m_0<-0 (exp_avg) # average\n" in shown.output and "+        m_0 ← 0 (exp_avg)" in shown.output
    assert path.read_text(encoding="utf-8") == MESSY
    path.write_text(NEAT, encoding="utf-8")
    assert run("--check", "--diff", str(path)).exit_code == 0


def test_standard_input() -> None:
    done = run("-", stdin=MESSY)
    assert (done.exit_code, done.output) == (0, NEAT)
    assert "m_t <- 0.9 m_{t-1} + 0.1 g_t" in run("-", "--ascii", stdin=MESSY).output
    assert r"g_t \leftarrow \nabla f_t(\theta_{t-1})" in run("-", "--latex", stdin=MESSY).output


def test_what_does_not_parse_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.opt"
    path.write_text("optimizer A\n", encoding="utf-8")
    done = run(str(path))
    assert done.exit_code == 1 and "E031" in done.output
    assert path.read_text(encoding="utf-8") == "optimizer A\n"
    assert run("--ascii", "--latex", str(path)).exit_code == 2
