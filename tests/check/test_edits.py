"""Edits and transforms: what comes of them means the same as the step written out by hand, and as its printed text."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optdsl.cli.show import flat
from optdsl.compiler import Checked, Unit, check_source
from optdsl.ir.interpret import default_hypers, run
from optdsl.ir.nodes import Argument, DType, Program
from optdsl.render import render_all
from optdsl.source import Severity, Source
from optdsl.syntax import parse
from optdsl.syntax.printer import unparse
from tests.wellformed import assert_wellformed

ROOT = Path(__file__).parent.parent.parent
SPECS = sorted(path for path in (ROOT / "specs").glob("*.opt") if "over flat" not in path.read_text("utf-8"))
TRANSFORMS = (
    "coupled_decay(0.1)",
    "decoupled_decay(0.1, 0.2)",
    "clipped_gradient(0.5)",
    "clipped_update(lr)",
    "sign_update(2 lr)",
    "clipped_norm(0.5)",
    "centralized_gradient",
    "clipped_global_norm(0.5)",
    "trust_ratio(lr)",
    "cautious",
    "averaged_update",
    "look_ahead",
)
REDUCING = ("clipped_norm(0.5)", "centralized_gradient", "clipped_global_norm(0.5)", "trust_ratio(lr)", "cautious")

GRADIENT = "g_t ← ∇f_t(θ_{t-1})"


def checked(text: str) -> Checked:
    return check_source(Source(str(ROOT / "specs" / "spec.opt"), text))


def unit(text: str) -> Unit:
    """The last optimizer of ``text``, which has no mistake."""
    found = checked(text)
    assert not [d for d in found.diagnostics if d.severity is Severity.ERROR], text + render_all(found.diagnostics)
    return found.units[-1]


def trajectories(program: Program) -> list[Any]:
    """What the interpreter makes of random gradients, under every flag and with the real inputs away from zero."""
    assert_wellformed(program)
    rng = np.random.default_rng(7)
    param, *grads = rng.normal(size=(6, 11))
    flags = [s.name for s in program.scalars if s.dtype is DType.BOOL and not _fixed(program, s.name)]
    found = []
    for values in product((False, True), repeat=len(flags)):
        hypers = default_hypers(program, maximize=False, **dict(zip(flags, values, strict=True)))
        if "momentum" in hypers and not hypers.get("nesterov"):
            hypers["momentum"] = 0.5
        found.append(run(program, hypers, param, grads))
    return found


def _argument(argument: Argument) -> tuple[object, ...]:
    return argument.name, argument.fixed, *(scalar.default for scalar in argument.scalars)


def _fixed(program: Program, name: str) -> bool:
    return any(argument.fixed for argument in program.arguments if name in [s.name for s in argument.scalars])


def assert_same(one: Program, other: Program) -> None:
    """Both programs have the same arguments and states, and compute the same but for the order of additions."""
    assert [_argument(a) for a in one.arguments] == [_argument(a) for a in other.arguments]
    assert [s.key for s in one.states] == [s.key for s in other.states]
    for first, second in zip(trajectories(one), trajectories(other), strict=True):
        for (param, states), (param2, states2) in zip(first, second, strict=True):
            np.testing.assert_allclose(param, param2, rtol=1e-12, atol=1e-14)
            assert states.keys() == states2.keys()
            for key in states:
                np.testing.assert_allclose(states[key], states2[key], rtol=1e-6 if states[key].ndim == 0 else 1e-12)


# ----------------------------------------------------------------------------------------------- written out by hand

DESCENT = """\
optimizer Descent:
    input:
        γ (lr) = 0.1
        μ (momentum) = 0.9
        nesterov = false
{inputs}
    initialize:
        b_0 ← 0 (momentum_buffer)
{states}
    for t = 1 to … do
{step}
    return θ_t
"""
STEP = f"""\
{GRADIENT}
b_t ← μ b_{{t-1}} + g_t
if nesterov
    d_t ← g_t + μ b_t
else
    d_t ← b_t
θ_t ← θ_{{t-1}} - γ d_t"""


def descent(step: str, inputs: str = "", states: str = "") -> str:
    return DESCENT.format(step=_indented(step), inputs=_indented(inputs), states=_indented(states))


def _indented(text: str) -> str:
    return "\n".join("        " + line for line in text.split("\n")) if text else ""


EDITS = {
    "replace": (
        "replace b_t:\n    c_t ← (1 - μ) g_t\n    b_t ← μ b_{t-1} + c_t",
        STEP.replace("b_t ← μ b_{t-1} + g_t", "c_t ← (1 - μ) g_t\nb_t ← μ b_{t-1} + c_t"),
    ),
    "before and after": (
        "before b_t:\n    g_t ← 2 g_t\nafter b_t:\n    b_t ← b_t / 2\nbefore b_t:\n    g_t ← g_t + θ_{t-1}",
        STEP.replace("b_t ← μ b_{t-1} + g_t", "g_t ← 2 g_t\ng_t ← g_t + θ_{t-1}\nb_t ← μ b_{t-1} + g_t\nb_t ← b_t / 2"),
    ),
    "in a branch": (
        "replace d_t (1):\n    d_t ← g_t\nafter d_t (2):\n    if μ > 1\n        d_t ← 2 d_t",
        STEP.replace("d_t ← g_t + μ b_t", "d_t ← g_t").replace(
            "d_t ← b_t", "d_t ← b_t\n    if μ > 1\n        d_t ← 2 d_t"
        ),
    ),
    "around a replacement": (
        "after d_t (2):\n    d_t ← d_t + g_t\nreplace d_t (2):\n    d_t ← 3 b_t\nbefore d_t (2):\n    b_t ← b_t / 2",
        STEP.replace("    d_t ← b_t", "    b_t ← b_t / 2\n    d_t ← 3 b_t\n    d_t ← d_t + g_t"),
    ),
    "update": (
        "update u_t:\n    u_t ← clamp(u_t, -γ, γ)",
        STEP.replace("θ_t ← θ_{t-1} - γ d_t", "θ_t ← θ_{t-1} - clamp(γ d_t, -γ, γ)"),
    ),
    "update of an edited step": (
        "replace θ_t:\n    θ_t ← θ_{t-1} - γ d_t + γ g_t / 2 - μ g_t\nupdate u_t:\n    u_t ← 2 u_t",
        STEP.replace("θ_t ← θ_{t-1} - γ d_t", "θ_t ← θ_{t-1} - 2 (γ d_t - γ g_t / 2 + μ g_t)"),
    ),
    "update that is added": (
        "replace θ_t:\n    θ_t ← θ_{t-1} + γ d_t\nupdate u_t:\n    u_t ← 2 u_t + γ",
        STEP.replace("θ_t ← θ_{t-1} - γ d_t", "θ_t ← θ_{t-1} - (γ - 2 γ d_t)"),
    ),
    "update that is no difference": (
        "replace θ_t:\n    θ_t ← (θ_{t-1} - γ d_t) / (1 + γ)\nupdate u_t:\n    u_t ← 2 u_t",
        STEP.replace("θ_t ← θ_{t-1} - γ d_t", "θ_t ← θ_{t-1} - 2 (θ_{t-1} - (θ_{t-1} - γ d_t) / (1 + γ))"),
    ),
    "update after an earlier one": (
        "before θ_t:\n    θ_t ← 0.9 θ_{t-1}\nreplace θ_t:\n    θ_t ← θ_t - γ d_t\nupdate u_t:\n    u_t ← 2 u_t",
        STEP.replace("θ_t ← θ_{t-1} - γ d_t", "θ_t ← 0.9 θ_{t-1}\nθ_t ← θ_t - 2 γ d_t"),
    ),
    "update in every branch": (
        "replace d_t (1):\n    θ_t ← θ_{t-1} - γ g_t\nreplace d_t (2):\n    θ_t ← θ_{t-1} - γ b_t\n"
        "replace θ_t:\n    g_t ← 0\nupdate u_t:\n    u_t ← u_t / (1 + |u_t|)",
        f"{GRADIENT}\nb_t ← μ b_{{t-1}} + g_t\nif nesterov\n    d_t ← γ g_t\nelse\n    d_t ← γ b_t\n"
        "θ_t ← θ_{t-1} - d_t / (1 + |d_t|)",
    ),
    "update in a brace": (
        "replace θ_t:\n    θ_t ← { θ_{t-1} - γ if d_t > 0\n          { θ_{t-1} otherwise\nupdate u_t:\n    u_t ← 2 u_t",
        STEP.replace("θ_t ← θ_{t-1} - γ d_t", "w_t ← { γ if d_t > 0\n      { 0 otherwise\nθ_t ← θ_{t-1} - 2 w_t"),
    ),
}


@pytest.mark.parametrize("case", EDITS)
def test_an_edited_step_is_the_step_written_out(case: str) -> None:
    edits, step = EDITS[case]
    edited = unit(descent(STEP) + "\noptimizer Edited extends Descent:\n    " + edits.replace("\n", "\n    ") + "\n")
    assert_same(edited.program, unit(descent(step)).program)


UPDATE = "θ_t ← θ_{t-1} - γ d_t"
MOMENTUM = "ν (update_momentum) = 0.9    where 0 ≤ ν < 1"
CAUTION = "φ_t ← {{ 1 if h_t {} > 0\n      {{ 0 otherwise"
BY_HAND = {
    "clipped_norm(1/2)": (STEP.replace(GRADIENT, f"{GRADIENT}\ng_t ← g_t min(1, 0.5 / norm(g_t))"), "", ""),
    "clipped_global_norm(1/2)": (
        STEP.replace(GRADIENT, f"{GRADIENT}\nN_t ← sum(g_t², over all parameters)\ng_t ← g_t min(1, 0.5 / √N_t)"),
        "",
        "",
    ),
    "centralized_gradient": (  # of vectors, nothing changes
        STEP.replace(GRADIENT, f"{GRADIENT}\nif dim(θ) > 1\n    g_t ← g_t - mean(g_t, over all but first)"),
        "",
        "",
    ),
    "trust_ratio(γ)": (
        STEP.replace(UPDATE, "θ_t ← θ_{t-1} - γ norm(θ_{t-1}) d_t / norm(d_t)"),
        "",
        "",
    ),
    "coupled_decay(0.1)": (STEP.replace(GRADIENT, f"{GRADIENT}\ng_t ← g_t + 0.1 θ_{{t-1}}"), "", ""),
    "decoupled_decay(γ, μ)": (STEP.replace(UPDATE, "θ_t ← θ_{t-1} - γ d_t - γ μ θ_{t-1}"), "", ""),
    "clipped_gradient(1/2)": (STEP.replace(GRADIENT, f"{GRADIENT}\ng_t ← clamp(g_t, -1/2, 1/2)"), "", ""),
    "clipped_update(γ)": (STEP.replace(UPDATE, "θ_t ← θ_{t-1} - clamp(γ d_t, -γ, γ)"), "", ""),
    "sign_update(2 γ)": (STEP.replace(UPDATE, "θ_t ← θ_{t-1} - 2 γ sign(γ d_t)"), "", ""),
    "cautious": (
        STEP.replace(GRADIENT, f"{GRADIENT}\nh_t ← g_t").replace(
            UPDATE, f"{CAUTION.format('d_t')}\nθ_t ← θ_{{t-1}} - γ φ_t d_t / max(mean(φ_t), 0.001)"
        ),
        "",
        "",
    ),
    "averaged_update": (
        STEP.replace(UPDATE, "a_t ← ν a_{t-1} + (1 - ν) γ d_t\nθ_t ← θ_{t-1} - a_t"),
        MOMENTUM,
        "a_0 ← 0 (update_avg)",
    ),
    "look_ahead": (
        STEP.replace(UPDATE, "a_t ← ν a_{t-1} + γ d_t\nθ_t ← θ_{t-1} - γ d_t - ν a_t"),
        MOMENTUM,
        "a_0 ← 0 (update_sum)",
    ),
    "clipped_update(γ), cautious, look_ahead": (
        STEP.replace(GRADIENT, f"{GRADIENT}\nh_t ← g_t").replace(
            UPDATE,
            f"w_t ← clamp(γ d_t, -γ, γ)\n{CAUTION.format('w_t')}\nw_t ← φ_t w_t / max(mean(φ_t), 0.001)\n"
            "a_t ← ν a_{t-1} + w_t\nθ_t ← θ_{t-1} - w_t - ν a_t",
        ),
        MOMENTUM,
        "a_0 ← 0 (update_sum)",
    ),
    "clipped_gradient(1), coupled_decay(0.1)": (
        STEP.replace(GRADIENT, f"{GRADIENT}\ng_t ← clamp(g_t, -1, 1) + 0.1 θ_{{t-1}}"),
        "",
        "",
    ),
}


@pytest.mark.parametrize("applied", BY_HAND)
def test_a_transform_is_the_step_written_out(applied: str) -> None:
    names = ", ".join(re.findall("[a-z_]{4,}", applied))
    text = f"import {names} from transforms\n{descent(STEP)}\n"
    text += f"optimizer New extends Descent with {applied}:\n    return θ_t\n"
    step, inputs, states = BY_HAND[applied]
    assert_same(unit(text).program, unit(descent(step, inputs, states)).program)


def test_an_optimizer_applies_transforms_to_its_own_step() -> None:
    own = descent(STEP).replace("Descent:", "Descent with clipped_update(γ):")
    assert_same(
        unit("import clipped_update from transforms\n" + own).program, unit(descent(EDITS["update"][1])).program
    )


def test_edits_come_before_transforms() -> None:
    text = f"""\
import clipped_update from transforms
{descent(STEP)}
optimizer New extends Descent with clipped_update(γ):
    update u_t:
        u_t ← 3 u_t

    replace d_t (2):
        d_t ← b_t / 4
"""
    step = STEP.replace("    d_t ← b_t", "    d_t ← b_t / 4").replace(UPDATE, "θ_t ← θ_{t-1} - clamp(3 γ d_t, -γ, γ)")
    assert_same(unit(text).program, unit(descent(step)).program)


def test_an_extension_of_an_extension() -> None:
    """Transforms and edits of what already has some."""
    text = f"""\
import clipped_update, cautious, clipped_gradient from transforms
{descent(STEP)}
optimizer New extends Descent with clipped_update(γ), cautious:
    return θ_t

optimizer Newer extends New with clipped_update(γ), clipped_gradient(1):
    replace u_t (2):
        u_t ← 2 u_t
"""
    step = STEP.replace(GRADIENT, f"{GRADIENT}\ng_t ← clamp(g_t, -1, 1)\nh_t ← g_t").replace(
        UPDATE,
        f"w_t ← 2 γ d_t\n{CAUTION.format('w_t')}\nw_t ← φ_t w_t / max(mean(φ_t), 0.001)\n"
        "θ_t ← θ_{t-1} - clamp(w_t, -γ, γ)",
    )
    assert_same(unit(text).program, unit(descent(step)).program)


def test_names_of_a_transform_are_its_own() -> None:
    """A transform may call its inputs, states and locals like those of any optimizer, and like what it is given."""
    text = f"""\
{descent(STEP)}
transform busy(κ):
    input:
        μ (rate) = 0.5
        γ₁, γ₂ (pair) = 1, 2    where γ₁ ≤ γ₂

    initialize:
        b_0 ← μ (busy)

    update d_t:
        g_t ← κ d_t
        c ← γ₁ μ
        b_t ← b_{{t-1}} + g_t
        d_t ← d_t + c b_t / γ₂

optimizer New extends Descent with busy(b_t μ):
    input:
        μ (rate) = 0.25
        η₁, η₂ (pair) = 1, 4
"""
    step = STEP.replace(UPDATE, "a_t ← a_{t-1} + b_t μ γ d_t\nθ_t ← θ_{t-1} - γ d_t - η₁ ν a_t / η₂")
    inputs = "ν (rate) = 0.25\nη₁, η₂ (pair) = 1, 4    where η₁ ≤ η₂"
    assert_same(unit(text).program, unit(descent(step, inputs, "a_0 ← ν (busy)")).program)


def test_a_gradient_without_a_name_of_its_own() -> None:
    unnamed = STEP.replace(GRADIENT, "g_t ← ∇f_t(θ_{t-1}) + θ_{t-1}").replace(
        "b_t ← μ b_{t-1} + g_t", "b_t ← μ b_{t-1} + g_t / 2 + ∇f_t(θ_{t-1}) / 2"
    )
    text = f"import clipped_gradient from transforms\n{descent(unnamed)}\n"
    text += "optimizer New extends Descent with clipped_gradient(1):\n    return θ_t\n"
    step = "h_t ← clamp(∇f_t(θ_{t-1}), -1, 1)\n" + unnamed.replace("∇f_t(θ_{t-1})", "h_t")
    assert_same(unit(text).program, unit(descent(step)).program)


def test_functions_of_a_transform_come_with_it() -> None:
    text = f"""\
function half(x):
    return x / 2

transform halved:
    update u_t:
        u_t ← half(u_t)
{descent(STEP)}
optimizer New extends Descent with halved:
    return θ_t
"""
    assert_same(unit(text).program, unit(descent(STEP.replace(UPDATE, "θ_t ← θ_{t-1} - γ d_t / 2"))).program)
    assert "function half" in flat(unit(text))


# ------------------------------------------------------------------------------------------------- the printed text


def assert_prints_itself(one: Unit) -> None:
    """The flattened spec is a spec, means the same, and is printed as it is."""
    text = flat(one)
    again = unit(text)
    assert again.program == one.program, text
    assert flat(again) == text
    assert "extends" not in text and "with" not in text.split("\n")[0]
    module = parse(Source("flat.opt", text)).module
    assert module is not None and unparse(module) == text


@settings(max_examples=60)
@given(st.sampled_from(SPECS), st.lists(st.sampled_from(TRANSFORMS), unique=True, max_size=4))
def test_any_transforms_of_any_optimizer(path: Path, transforms: list[str]) -> None:
    """All but those that bring the same argument can be stacked, in any order."""
    base = unit(path.read_text(encoding="utf-8"))
    if base.program.stored_only:  # such a step reduces nothing
        transforms = [t for t in transforms if t not in REDUCING]
    if {"averaged_update", "look_ahead"} <= {*transforms}:
        transforms.remove("look_ahead")
    applied = ", ".join(t.replace("lr", "γ") for t in transforms)
    names = ", ".join([t.split("(")[0] for t in transforms])
    text = f"import {base.program.name} from {path.stem}\n" + (f"import {names} from transforms\n" if names else "")
    text += f"optimizer New extends {base.program.name}{' with ' if applied else ''}{applied}:\n    return θ_t\n"
    transformed = unit(text)
    assert_wellformed(transformed.program)
    assert_prints_itself(transformed)
    if not transforms:
        assert transformed.checked.optimizer.body == base.checked.optimizer.body


def test_every_edit_prints_itself() -> None:
    assert_prints_itself(unit((ROOT / "tests" / "edits.opt").read_text(encoding="utf-8")))
    for edits, _ in EDITS.values():
        text = descent(STEP) + "\noptimizer Edited extends Descent:\n    " + edits.replace("\n", "\n    ") + "\n"
        assert_prints_itself(unit(text))


def test_positional_inputs_stand_before_the_star() -> None:
    text = "import Adam from adam\noptimizer New extends Adam:\n    input:\n        κ (bound) = 1\n"
    text += "    update u_t:\n        u_t ← κ u_t\n"
    assert_prints_itself(unit(text))
    arguments = [a for a in unit(text).program.arguments if not a.keyword_only]
    assert arguments[-1].name == "bound"


def test_warnings_are_about_the_text_at_hand() -> None:
    """What an edit leaves unused in another's text is not reported there."""
    text = descent(STEP) + "\noptimizer Edited extends Descent:\n    replace d_t (1):\n        d_t ← b_t\n"
    assert checked(text + "    update u_t:\n        w_t ← 2 u_t\n        u_t ← 2 u_t\n").diagnostics[0].code == "W201"
    assert checked(text).diagnostics == ()
