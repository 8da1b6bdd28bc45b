"""Specs drawn at random: what the front end makes of the text means what was drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from optdsl.check import analyse
from optdsl.emit.latex import latex
from optdsl.emit.reading import reading
from optdsl.ir.lower import lower
from optdsl.ir.nodes import Program
from optdsl.source import Diagnostic, Source
from optdsl.syntax import ast, parse
from optdsl.syntax.notation import ASCII, LATEX, Notation
from optdsl.syntax.printer import unparse
from tests.specs import spec, with_functions
from tests.strategies import Case, is_stable, programs, unfiltered_cases, without_masks
from tests.wellformed import assert_wellformed


def no_imports(statement: ast.Import) -> ast.Module | Diagnostic:
    raise AssertionError("drawn specs import nothing")


@given(unfiltered_cases(programs(spelled=True) | programs(spelled=True, beyond=True)))
@settings(max_examples=100)
def test_a_drawn_spec_means_what_was_drawn(drawn: Case) -> None:
    """Text → parse → analyse → lower → interpret."""
    assert_means_what_was_drawn(spec(drawn.program), drawn)


@given(unfiltered_cases(programs(spelled=True) | programs(spelled=True, beyond=True)))
@settings(max_examples=50)
def test_functions_change_no_meaning(drawn: Case) -> None:
    assert_means_what_was_drawn(with_functions(spec(drawn.program)), drawn)


def assert_means_what_was_drawn(module: ast.Module, drawn: Case) -> None:
    text = unparse(module)
    parsed = parse(Source("drawn.opt", text))
    assert parsed.diagnostics == () and parsed.module == module, text
    analysis = analyse(parsed.module, no_imports)
    assert len(analysis.optimizers) == 1, (text, analysis.diagnostics)
    checked = analysis.optimizers[0]
    lowered = lower(checked)
    assert_wellformed(lowered)
    assert latex(checked.optimizer)
    assert len(reading(checked).splitlines()) > len(checked.optimizer.body)

    case = replace(drawn, program=without_masks(drawn.program))
    if is_stable(case):
        for (param, state), (expected_param, expected_state) in zip(case.run(lowered), case.run(), strict=True):
            np.testing.assert_allclose(param, expected_param, rtol=1e-12, atol=1e-13, err_msg=text)
            assert set(state) == set(expected_state)
            for key, value in expected_state.items():
                np.testing.assert_allclose(state[key], value, rtol=1e-12, atol=1e-13, err_msg=text)


@pytest.mark.parametrize("notation", [ASCII, LATEX], ids=["ascii", "latex"])
@given(program=programs(spelled=True) | programs(spelled=True, beyond=True))
@settings(max_examples=50)
def test_a_drawn_spec_is_the_same_in_every_notation(notation: Notation, program: Program) -> None:
    module = spec(program)
    text = unparse(module, notation)
    parsed = parse(Source("drawn.opt", text))
    assert parsed.diagnostics == () and parsed.module == module, text
