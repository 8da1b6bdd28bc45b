"""Damaged specs: the checks report or accept, and what they accept lowers to a well-formed program that runs."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from optdsl.check import analyse
from optdsl.ir.interpret import default_hypers, run
from optdsl.ir.lower import lower
from optdsl.render import render_all
from optdsl.source import Diagnostic, Severity, Source
from optdsl.syntax import ast, parse
from tests.wellformed import assert_wellformed

ROOT = Path(__file__).parent.parent.parent
WORD = re.compile(r"[^\W\d]\w*[\u0300-\u036f]?(?:_\{[^}]*\})?(?:\^[a-z]+)?")
SPECS = (
    *(p for folder in ("specs", "specs/zoo", "tests/beyond") for p in sorted(ROOT.glob(f"{folder}/*.opt"))),
    ROOT / "tests" / "edits.opt",
)
TEXTS = tuple(path.read_text(encoding="utf-8") for path in SPECS)


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """A shipped spec with a few names swapped for others of it, and lines dropped or doubled."""
    text = draw(st.sampled_from(TEXTS))
    names = sorted(set(WORD.findall(text)))
    for _ in range(draw(st.integers(1, 3))):
        if draw(st.booleans()):
            place = draw(st.sampled_from(list(WORD.finditer(text))))
            text = text[: place.start()] + draw(st.sampled_from(names)) + text[place.end() :]
        else:
            lines = text.split("\n")
            i = draw(st.integers(0, len(lines) - 1))
            lines[i : i + 1] = draw(st.sampled_from(([], [lines[i]] * 2)))
            text = "\n".join(lines)
    return text


def load(statement: ast.Import) -> ast.Module | Diagnostic:
    path = ROOT / "specs" / ("parts" if statement.file == "transforms" else "") / f"{statement.file}.opt"
    if not path.is_file():
        return Diagnostic("E001", "no such file", statement.span)
    module = parse(Source(path.name, path.read_text(encoding="utf-8"))).module
    assert module is not None
    return module


@settings(max_examples=300)
@given(damaged())
def test_damaged_specs(text: str) -> None:
    parsed = parse(Source("damaged.opt", text))
    if parsed.module is None:
        return
    analysis = analyse(parsed.module, load)
    render_all(analysis.diagnostics)
    if any(d.severity is Severity.ERROR for d in analysis.diagnostics):
        return
    for checked in analysis.optimizers:
        program = lower(checked)
        assert_wellformed(program)
        required = {scalar.name: 0.5 for scalar in program.scalars if scalar.default is None}
        hypers = default_hypers(program, maximize=False, **required)
        for param, _ in run(program, hypers, np.ones((2, 3)), [np.full((2, 3), 0.1)] * 3):
            assert param.shape == (2, 3)
