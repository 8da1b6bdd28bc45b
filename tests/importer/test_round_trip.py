"""Exported LaTeX read back: the same program, for every shipped spec and for drawn ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from optdsl.check import analyse
from optdsl.emit.latex import annotated
from optdsl.emit.latex.fixed import inline_fixed
from optdsl.importer import read_latex
from optdsl.ir.nodes import Program
from optdsl.resources import spec_text
from optdsl.source import Diagnostic, Source
from optdsl.syntax import ast, parse
from tests.specs import spec
from tests.strategies import programs

SPECS = sorted(path.stem for path in (Path(__file__).parents[2] / "specs").glob("*.opt"))


def module(text: str, name: str = "spec.opt") -> ast.Module:
    parsed = parse(Source(name, text))
    assert parsed.module is not None, parsed.diagnostics
    return parsed.module


def load(statement: ast.Import) -> ast.Module | Diagnostic:
    return module(spec_text(statement.file), statement.file)


def in_the_box(optimizer: ast.Optimizer) -> ast.Optimizer:
    """``optimizer`` as its box has it: fixed arguments are declared, and decided in the step."""
    inlined = inline_fixed(optimizer)
    return replace(inlined, base=None, inputs=optimizer.inputs, states=optimizer.states)


def assert_round_trip(optimizer: ast.Optimizer, functions: tuple[ast.Function, ...] = ()) -> None:
    text = annotated(optimizer, functions)
    imported = read_latex(Source("box.tex", text))
    assert imported.module is not None, (text, imported.diagnostics)
    assert imported.module.optimizers == (in_the_box(optimizer),), text
    assert imported.module.functions == functions
    assert imported.text is not None and module(imported.text) == imported.module


@pytest.mark.parametrize("name", SPECS)
def test_a_shipped_spec(name: str) -> None:
    analysis = analyse(module(spec_text(name)), load)
    assert analysis.optimizers
    for checked in analysis.optimizers:
        assert_round_trip(checked.optimizer, tuple(checked.functions.values()))
        assert read_latex(Source("box.tex", annotated(checked.optimizer))).diagnostics == ()


@given(programs(spelled=True))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_drawn_spec(program: Program) -> None:
    (optimizer,) = module_of(program).optimizers
    assert_round_trip(optimizer)


def module_of(program: Program) -> ast.Module:
    return spec(program)
