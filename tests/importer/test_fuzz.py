"""Boxes with anything in them: read, or refused with a diagnostic; never an exception."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optdsl.emit.latex import annotated
from optdsl.importer import read_latex
from optdsl.render import render_all
from optdsl.resources import spec_text
from optdsl.source import Source
from optdsl.syntax import parse
from tests.importer.torch_boxes import documented

PIECES = [
    *"{}()[]|^_&$%#\"'\\=,;:i1\x00é",
    *(r"\frac", r"\sqrt", r"\begin{cases}", r"\end{cases}", r"\\", r"\text{", r"\hat", r"\prod", r"\nabla", r"\in"),
    *(
        r"\If{",
        r"\ElsIf",
        r"\EndIf",
        r"\For{",
        r"\EndFor",
        r"\State",
        r"\eIf",
        r"\KwIn",
        r"\;",
        r"\Return",
        r"\Require",
    ),
    *(
        r"\hspace{5mm}",
        r"\textbf{for}",
        r"\textbf{if}",
        r"\textbf{else}",
        r"\mathrm{",
        r"\gets",
        "1_m",
        "^T",
        "10^{",
        r"\Require",
    ),
    *("% optimizer A:\n", "% function f(x):\n", "``", "''", r"\mathbin{\,}", r"\times 10^", "θ", "\n", "\r"),
]


def boxes() -> list[str]:
    folder = Path(__file__).parent / "boxes"
    papers = [path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.tex"))]
    adam = parse(Source("adam.opt", spec_text("adam"))).module
    assert adam is not None
    names = ("Adadelta", "NAdam", "Rprop", "RMSprop", "Adafactor", "Muon")
    return [*papers, *(documented(n).source.text for n in names), annotated(adam.optimizers[0])]


def mutated(text: str, rng: random.Random) -> str:
    """``text`` with a few places deleted, doubled or overwritten."""
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        at = rng.randrange(len(text) + 1)
        match rng.randrange(4):
            case 0:
                text = text[:at] + text[at + rng.randrange(1, 12) :]
            case 1:
                text = text[:at] + rng.choice(PIECES) + text[at:]
            case 2:
                text = text[:at] + rng.choice(PIECES) + text[at + 1 :]
            case _:
                start = rng.randrange(len(text) + 1)
                text = text[:at] + text[start : start + rng.randrange(30)] + text[at:]
    return text


def assert_read_or_refused(text: str) -> None:
    source = Source("box.tex", text)
    found = read_latex(source)
    render_all(found.diagnostics)
    assert all(d.span.source is source and 0 <= d.span.start <= d.span.end <= len(text) for d in found.diagnostics)
    if found.text is None:
        assert found.diagnostics
    else:
        assert parse(Source("imported.opt", found.text)).module == found.module


@pytest.mark.parametrize("seed", range(4))
def test_mutated_boxes(seed: int) -> None:
    rng = random.Random(seed)
    originals = boxes()
    for _ in range(40):
        assert_read_or_refused(mutated(rng.choice(originals), rng))


@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=40))
@settings(max_examples=100)
def test_pieces_in_any_order(pieces: list[str]) -> None:
    assert_read_or_refused(r"\begin{aligned} x \leftarrow " + " ".join(pieces))


@pytest.mark.parametrize("piece", ["{", r"\frac{", "(", r"\begin{cases}", "x_{", r"\text{", "$", r"\hat{"])
def test_deep_nesting(piece: str) -> None:
    assert_read_or_refused(r"\begin{aligned} x \leftarrow " + piece * 2000)
