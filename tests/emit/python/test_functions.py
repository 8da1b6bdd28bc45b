"""The text of the functions where inputs may be none and states may be absent."""

from __future__ import annotations

import re

from optdsl.compiler import check_source
from optdsl.emit.python import emit_functions, selected
from optdsl.ir.cost import costs
from optdsl.ir.nodes import Program
from optdsl.source import Source

OPTIONAL = """\
optimizer Optional:
    input:
        γ (lr) = 1e-3
        κ (clip) = none     where κ is none or κ > 0
    initialize:
        p (previous_grad)
    for t = 1 to … do
        g_t ← ∇f_t(θ_{t-1})
        if κ is not none
            g_t ← clamp(g_t, -κ, κ)
        if t = 1
            d_t ← g_t
        else
            d_t ← g_t - p_{t-1}
        θ_t ← θ_{t-1} - γ d_t
        p_t ← g_t
    return θ_t

optimizer Clipped extends Optional:
    input:
        κ (clip) = 1

optimizer AlwaysClipped extends Optional:
    input:
        κ (clip) := 1

optimizer NeverClipped extends Optional:
    input:
        κ (clip) := none
"""


def programs() -> dict[str, Program]:
    checked = check_source(Source("optional.opt", OPTIONAL))
    assert not checked.diagnostics
    return {unit.program.name: unit.program for unit in checked.units}


def test_an_inherited_question_for_none_may_be_decided() -> None:
    text = {name: emit_functions(program).single_tensor for name, program in programs().items()}
    assert "if clip is not None:" in text["Optional"]
    assert "if clip is not None:" in text["Clipped"]
    assert "clamp" in text["AlwaysClipped"]
    assert "clamp" not in text["NeverClipped"]
    assert not any("clip:" in text[name] or "if clip" in text[name] for name in ("AlwaysClipped", "NeverClipped"))


def test_an_optional_number_is_annotated_as_such() -> None:
    functions = emit_functions(programs()["Optional"])
    assert "clip: float | None," in functions.single_tensor
    assert "clip: float | Tensor | None," in functions.capturable
    assert "clip: float," in emit_functions(programs()["Clipped"]).single_tensor


def test_presence_is_a_plain_truth_value() -> None:
    functions = emit_functions(programs()["Optional"])
    for text in (functions.capturable, functions.differentiable):
        assert re.search(r"if (not )?has_previous_grad:", text)


def test_the_cost_of_a_program_with_an_optional_input() -> None:
    program = programs()["Optional"]
    assert {"clip": 0.5} in [c.settings for c in costs(program, selected(program))]
