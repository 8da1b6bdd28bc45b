"""``check --fix``: what is certain is mended, and nothing else is touched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from optdsl.cli.app import app
from optdsl.fixes import apart, apply, mend
from optdsl.source import Diagnostic, Fix, Source, Span
from optdsl.syntax import parse

ROOT = Path(__file__).parent.parent.parent
BROKEN = sorted((ROOT / "tests" / "broken").rglob("*.opt"))

SPEC = """\
optimizer Descent:
    input:
        γ (lr) = 1e-3    where γ ≥ 0    -- learning rate
        c (c) = 1
        nesterov = false

    initialize:
        m_0 ← 0 (exp_avg)

    for t = 1 to … do
        g_t ← ∇f_t(θ_{t-1})
        m_t ← 0.9 m_{t-1} + 0.1 g_t^2
        if nesterov
            g_t ← c g_t
        else if γ = 1
            g_t ← 2 g_t
        θ_t ← θ_{t-1} - \\gamma g_t - m_t    # descend

    return θ_t
"""

DAMAGES: dict[str, tuple[str, Callable[[str], str]]] = {
    "look-alike letter": ("E002", lambda s: s.replace("c g_t", "с g_t")),
    "LaTeX command": ("E004", lambda s: s.replace("\\gamma", "\\gama")),
    "tabs": ("E009", lambda s: s.replace("        m_t", "\t\tm_t")),
    "run together": ("E011", lambda s: s.replace("2 g_t", "2g_t")),
    "colon": ("E031", lambda s: s.replace("initialize:", "initialize")),
    "do": ("E032", lambda s: s.replace("… do", "…")),
    "do for colon": ("E032", lambda s: s.replace("… do", "…:")),
    "equals": ("E033", lambda s: s.replace("g_t ← c", "g_t = c")),
    "default by arrow": ("E033", lambda s: s.replace("= 1e-3", "← 1e-3")),
    "elif": ("E036", lambda s: s.replace("else if", "elif")),
    "section": ("E036", lambda s: s.replace("input:", "params:")),
    "misspelt section": ("E036", lambda s: s.replace("initialize:", "inititalize:")),
    "doc in the step": ("E043", lambda s: s.replace("# descend", "-- descend")),
    "colon after if": ("E044", lambda s: s.replace("if nesterov", "if nesterov:")),
    "double star": ("E045", lambda s: s.replace("g_t^2", "g_t ** 2")),
    "double equals": ("E045", lambda s: s.replace("γ = 1\n", "γ == 1\n")),
    "star": ("E025", lambda s: s.replace("nesterov = false\n", "nesterov = false\n        *\n")),
    "time of a state": ("E506", lambda s: s.replace("m_0 ←", "m_t ←")),
    "time of an input": ("E201", lambda s: s.replace("- \\gamma", "- γ_t")),
    "python name": ("E100", lambda s: s.replace("- \\gamma", "- lr")),
    "assigned past": ("E209", lambda s: s.replace("θ_t ←", "θ_{t-1} ←")),
}


def mended(text: str) -> str:
    return mend(Source("spec.opt", text)).source.text


def tree(text: str) -> object:
    parsed = parse(Source("spec.opt", text))
    assert parsed.module is not None, (text, parsed.diagnostics)
    return parsed.module


@pytest.mark.parametrize("name", DAMAGES)
def test_each_damage_is_mended(name: str) -> None:
    code, damage = DAMAGES[name]
    assert damage(SPEC) != SPEC
    result = mend(Source("spec.opt", damage(SPEC)))
    assert {d.code for d in result.fixed} == {code}
    assert tree(result.source.text) == tree(SPEC)


@given(st.sets(st.sampled_from(sorted(DAMAGES)), min_size=2, max_size=6))
@settings(max_examples=60)
def test_several_damages_are_mended_together(names: set[str]) -> None:
    text = SPEC
    for name in sorted(names):
        text = DAMAGES[name][1](text)
    assert tree(mended(text)) == tree(SPEC), text


@given(st.data())
@settings(max_examples=60)
def test_any_text(data: st.DataObject) -> None:
    """Mending ends, leaves nothing to mend, and what could be parsed still can."""
    text = data.draw(st.sampled_from([SPEC, *(path.read_bytes().decode("utf-8") for path in BROKEN)]))
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(0, len(text)))
        text = text[:at] + data.draw(st.sampled_from(("", ":", "х", " = ", "\t", "\\gama ", "**"))) + text[at + 1 :]
    once = mended(text)
    assert mended(once) == once
    if parse(Source("spec.opt", text)).module is not None:
        assert parse(Source("spec.opt", once)).module is not None


def test_edits_that_touch_are_made_one_after_the_other() -> None:
    source = Source("spec.opt", "abcdef")

    def edit(start: int, end: int, new: str) -> Diagnostic:
        span = Span(source, start, end)
        return Diagnostic("E045", "", span, fix=Fix(span, new))

    kept = tuple(apart([edit(2, 4, "X"), edit(0, 2, "Y"), edit(1, 3, "Z"), edit(4, 4, "+"), edit(5, 6, "")]))
    assert [(d.fix.span.start, d.fix.replacement) for d in kept if d.fix] == [(0, "Y"), (2, "X"), (5, "")]
    assert apply(source.text, kept) == "YXe"


def test_the_command(tmp_path: Path) -> None:
    path = tmp_path / "a.opt"
    path.write_text(SPEC.replace("… do", "…").replace("c g_t", "с g_t").replace("- m_t", "- u_t"), encoding="utf-8")
    done = CliRunner().invoke(app, ["check", "--fix", str(path)], catch_exceptions=False)
    assert done.exit_code == 1  # what is not certain is still wrong
    assert f"{path}:10:19: fixed E032: added `do`\n" in done.output
    assert f"{path}:14:19: fixed E002: `с` is now `c`\n" in done.output
    assert "error[E100]: `u` is not declared" in done.output
    assert path.read_text(encoding="utf-8") == SPEC.replace("- m_t", "- u_t")
    path.write_text(SPEC.replace("… do", "…"), encoding="utf-8")
    assert CliRunner().invoke(app, ["check", "--fix", str(path)], catch_exceptions=False).exit_code == 0
    assert path.read_text(encoding="utf-8") == SPEC
