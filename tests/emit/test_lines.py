"""Folded lines say what the long line said."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from optdsl.compiler import check_files
from optdsl.emit.lines import WIDTH, folded
from optdsl.emit.optimizer import emit_module

SPECS = Path(__file__).parents[2] / "specs"

LONG = "a_rather_long_name_of_a_tensor"


def test_a_line_that_fits_stays() -> None:
    assert folded("    x = f(a, b)\n\nreturn (a,)") == "    x = f(a, b)\n\nreturn (a,)"


def test_a_comprehension_has_a_line_for_each_clause() -> None:
    line = f"    ys = [f({LONG}, a, b) for {LONG}, a, b in zip({LONG}s, a_list, b_list, strict=True)]"
    assert folded(line).split("\n") == [
        "    ys = [",
        f"        f({LONG}, a, b)",
        f"        for {LONG}, a, b in zip({LONG}s, a_list, b_list, strict=True)",
        "    ]",
    ]


def test_arguments_and_terms() -> None:
    line = f"x = f(g({LONG}1 + {LONG}2, {LONG}3), h({LONG}4 * -{LONG}5), [{LONG}6])"
    assert folded(line).split("\n") == [
        "x = f(",
        f"    g({LONG}1 + {LONG}2, {LONG}3),",
        f"    h({LONG}4 * -{LONG}5),",
        f"    [{LONG}6],",
        ")",
    ]


@pytest.mark.parametrize(
    "line",
    (
        f"x = ({LONG} if {LONG} else {LONG} if {LONG} and {LONG} or {LONG} else {LONG} - {LONG} * -{LONG})",
        f"return ({LONG} + {LONG} + {LONG} + {LONG} + {LONG},)",
        f'raise ValueError(f"({{{LONG}}}, {{{LONG}}}, " "a text with, commas ( and brackets" f"{{{LONG}[0]}}")',
        f"x = f({LONG}, {LONG}, key=[a for a in {LONG} if a], **{LONG}, other={{1: {LONG}}})[0].item()",
        f"{LONG}{LONG}{LONG}{LONG} = {LONG}",
    ),
)
def test_the_meaning_stays(line: str) -> None:
    assert ast.dump(ast.parse(folded(line))) == ast.dump(ast.parse(line))
    assert folded(folded(line)) == folded(line)


@pytest.mark.parametrize("unit", check_files(sorted(SPECS.glob("*.opt"))).units, ids=lambda unit: unit.program.name)
def test_no_module_has_a_line_that_is_too_long(unit) -> None:
    assert max(map(len, emit_module(unit.program).split("\n"))) <= WIDTH
