"""``optdsl diff``: what a paper would say of two optimizers, and nothing where they are one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from optdsl.check.model import CheckedOptimizer
from optdsl.cli.app import app
from optdsl.compiler import check_source
from optdsl.diff import compare
from optdsl.diff.text import json_lines, text
from optdsl.source import Source

ROOT = Path(__file__).parent.parent.parent
SPECS = sorted((ROOT / "specs").glob("*.opt"))

BASE = """\
function scaled(x):
    return 2 x

optimizer Base:
    input:
        γ (lr) = 1e-3    where γ ≥ 0
        β (beta) = 0.9
        mode ∈ {"a", "b"} = "a"
        nesterov = false

    initialize:
        m_0 ← 0 (exp_avg)

    for t = 1 to … do
        g_t ← ∇f_t(θ_{t-1})
        m_t ← β m_{t-1} + (1 - β) g_t
        if nesterov
            u_t ← β m_t + (1 - β) g_t
        else
            u_t ← m_t
        if mode = "b"
            u_t ← scaled(u_t)
        for i = 0, 1, …, d-1 do
            if u_t > 1
                u_t ← 1
        θ_t ← θ_{t-1} - γ u_t

    return θ_t
"""


def checked(spec: str) -> CheckedOptimizer:
    result = check_source(Source("spec.opt", spec))
    assert result.ok, result.diagnostics
    return result.units[-1].checked


def found(old: str, new: str, base: str = BASE) -> list[tuple[str | None, ...]]:
    """The differences that replacing ``old`` by ``new`` makes, as (part, name, aspect, before, after)."""
    assert old in base
    comparison = compare(checked(base), checked(base.replace(old, new)))
    return [(d.part, d.name, d.aspect, d.before, d.after) for d in comparison.differences]


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_an_optimizer_is_the_same_as_itself(path: Path) -> None:
    (unit,) = check_source(Source(str(path), path.read_text(encoding="utf-8"))).units
    comparison = compare(unit.checked, unit.checked)
    assert comparison.differences == ()
    assert text(comparison) == f"{unit.program.name} and {unit.program.name} are the same optimizer\n"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("1e-3", "1e-2", ("inputs", "lr", "default", "1e-3", "1e-2")),
        ("γ ≥ 0", "γ > 0", ("inputs", "lr", "constraint", "γ ≥ 0", "γ > 0")),
        ("    where γ ≥ 0", "", ("inputs", "lr", "constraint", "γ ≥ 0", None)),
        ('"b"} =', '"b", "c"} =', ("inputs", "mode", "choices", "a, b", "a, b, c")),
        ("nesterov = false", "*\n        nesterov = false", ("inputs", "nesterov", "given", "by place", "by keyword")),
        ("m_0 ← 0", "m_0 ← γ", ("states", "exp_avg", "initial value", "0", "γ")),
        (
            "(exp_avg)",
            "(exp_avg) at construction",
            ("states", "exp_avg", "set up", "in the first step", "at construction"),
        ),
        ("u_t ← m_t\n", "u_t ← 2 m_t\n", ("step", "", "", "u_t ← m_t", "u_t ← 2 m_t")),
        ("u_t > 1", "u_t > 2", ("step", "", "", "if u_t > 1", "if u_t > 2")),
        ("return 2 x", "return 3 x", ("functions", "scaled", "", "return 2 x", "return 3 x")),
        (
            "        θ_t ←",
            "        u_t ← u_t / t\n        θ_t ←",
            ("step", "", "", None, "u_t ← u_t / t"),
        ),
    ],
)
def test_one_difference(old: str, new: str, expected: tuple[str | None, ...]) -> None:
    assert found(old, new) == [expected]
    part, name, aspect, before, after = expected
    if (part, before) != ("step", None):  # the other way round
        back = compare(checked(BASE.replace(old, new)), checked(BASE)).differences
        assert [(d.part, d.name, d.aspect, d.before, d.after) for d in back] == [(part, name, aspect, after, before)]


def test_an_input_and_a_state_more() -> None:
    more = BASE.replace("nesterov = false", "nesterov = false\n        λ (decay) = 0").replace(
        "m_0 ← 0 (exp_avg)", "m_0 ← 0 (exp_avg)\n        v_0 ← 1 (exp_avg_sq)"
    )
    more = more.replace("        θ_t ←", "        v_t ← v_{t-1} + λ g_t²\n        u_t ← u_t / v_t\n        θ_t ←")
    shown = text(compare(checked(BASE), checked(more)))
    assert shown == (
        "Base → Base\n\n"
        "inputs\n    + λ (decay) = 0\n\n"
        "states\n    + v_0 ← 1 (exp_avg_sq)\n\n"
        "step\n    + v_t ← v_{t-1} + λ g_t²\n    + u_t ← u_t / v_t\n"
    )


def test_order_of_arguments() -> None:
    swapped = BASE.replace("        β (beta) = 0.9\n", "").replace(
        "        γ (lr)", "        β (beta) = 0.9\n        γ (lr)"
    )
    (difference,) = compare(checked(BASE), checked(swapped)).differences
    assert (difference.aspect, difference.before, difference.after) == (
        "order", "lr, beta, mode, nesterov", "beta, lr, mode, nesterov",
    )  # fmt: skip


def test_other_symbols_are_no_difference() -> None:
    """α for γ, γ for β, and a state of another letter: names of arguments and keys of states tell what they are."""
    other = BASE.replace("β", "κ").replace("γ", "α").replace("κ", "γ").replace("m_", "a_").replace("Base", "Other")
    comparison = compare(checked(BASE), checked(other))
    assert comparison.differences == ()
    assert set(comparison.renamed) == {"α is γ in Base", "γ is β in Base", "a is m in Base"}
    assert text(comparison).startswith("Base and Other are the same optimizer (")


def test_a_local_in_place_of_an_input_is_moved_aside() -> None:
    other = BASE.replace("γ", "α").replace(
        "    θ_t ← θ_{t-1} - α u_t", "    γ_t ← 2 u_t\n        θ_t ← θ_{t-1} - α γ_t / 3"
    )
    comparison = compare(checked(BASE), checked(other))
    assert [(d.before, d.after) for d in comparison.differences] == [
        (None, "γ_t^other ← 2 u_t"),
        ("θ_t ← θ_{t-1} - γ u_t", "θ_t ← θ_{t-1} - γ γ_t^other / 3"),
    ]


@pytest.mark.parametrize("name", ["u_t", "U_t", "γ_t", "ū", "g̃_t", "d_{t+1}"])
def test_another_name_for_a_value_of_the_step_is_no_difference(name: str) -> None:
    other = BASE.replace("u_t", name).replace("g_t", "G_t").replace("Base", "Other")
    there, back = compare(checked(BASE), checked(other)), compare(checked(other), checked(BASE))
    assert there.differences == back.differences == ()
    assert set(there.renamed) == {"G_t is g_t in Base"} | ({f"{name} is u_t in Base"} if name != "u_t" else set())
    assert text(there).startswith("Base and Other are the same optimizer (")


def test_names_are_matched_by_where_they_are_used_too() -> None:
    one = BASE.replace("θ_{t-1} - γ u_t", "θ_{t-1} - γ u_t / d_t").replace(
        "        θ_t", "        d_t ← |u_t| + 1\n        θ_t"
    )
    other = one.replace("d_t", "D_t").replace("|u_t| + 1", "|u_t| + 2")
    comparison = compare(checked(one), checked(other))
    assert [(d.before, d.after) for d in comparison.differences] == [("d_t ← |u_t| + 1", "d_t ← |u_t| + 2")]
    assert comparison.renamed == ("D_t is d_t in Base",)


def test_two_values_are_not_taken_for_one() -> None:
    """``a`` and ``b`` are used alike, in one place for the other: no naming makes the steps the same."""
    used = "        a_t ← g_t²\n        b_t ← |g_t|\n        θ_t ← θ_t - γ a_t / b_t\n\n    return"
    one = BASE.replace("\n    return θ_t", used + " θ_t").replace("return θ_t θ_t", "return θ_t")
    other = one.replace("a_t / b_t", "c_t / d_t").replace("a_t ←", "d_t ←").replace("b_t ←", "c_t ←")
    assert [d.after for d in compare(checked(one), checked(other)).differences if d.part == "step"] != []
    swapped = one.replace("a_t", "d_t").replace("b_t", "c_t")
    assert compare(checked(one), checked(swapped)).differences == ()


def test_another_key_of_a_state_is_all_that_differs() -> None:
    other = BASE.replace("m_0 ← 0 (exp_avg)", "M_0 ← 0 (mean)").replace("m_", "M_").replace("Base", "Other")
    comparison = compare(checked(BASE), checked(other))
    (difference,) = comparison.differences
    assert (difference.part, difference.name, difference.aspect) == ("states", "exp_avg", "key")
    assert (difference.before, difference.after) == ("exp_avg", "mean")
    assert comparison.renamed == ("M is m in Base",)


def test_adamw_as_its_paper_says_it() -> None:
    result = run(str(ROOT / "specs" / "adam.opt"), str(ROOT / "specs" / "adamw.opt"))
    assert result.exit_code == 1
    assert result.output == (
        "Adam → AdamW\n\n"
        "inputs\n"
        "    weight_decay default: 0 → 1e-2\n"
        "    decoupled_weight_decay: an argument, by default false → fixed to true\n\n"
        "step (Adam with decoupled_weight_decay = false)\n"
        "      if λ ≠ 0\n"
        "    -     g_t ← g_t + λ θ_{t-1}\n"
        "    +     θ_t ← θ_{t-1} - γ λ θ_{t-1}\n\n"
        "the same: states\n"
    )
    assert f"```text\n{result.output}```" in (ROOT / "docs" / "authoring.md").read_text(encoding="utf-8")


@given(st.data())
@settings(max_examples=25)
def test_statements_left_out_are_found(data: st.DataObject) -> None:
    """Whatever line of a step goes, both directions tell, and every changed line is told once."""
    lines = BASE.splitlines(keepends=True)
    places = [i for i, line in enumerate(lines) if "←" in line and i > lines.index("    for t = 1 to … do\n") + 1]
    doubled = data.draw(st.sampled_from(places))
    new = "".join([*lines[: doubled + 1], lines[doubled], *lines[doubled + 1 :]])
    result = check_source(Source("spec.opt", new))
    if not result.ok:
        return
    there = compare(checked(BASE), result.units[-1].checked).differences
    back = compare(result.units[-1].checked, checked(BASE)).differences
    assert [(d.before, d.after) for d in there] == [(None, lines[doubled].strip())]
    assert [(d.before, d.after) for d in back] == [(lines[doubled].strip(), None)]
    assert [
        json.loads(line)["after"] for line in json_lines(compare(checked(BASE), result.units[-1].checked)).splitlines()
    ]


# -------------------------------------------------------------------------------------------------- the command


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["diff", *arguments], catch_exceptions=False)


def test_exit_codes(tmp_path: Path) -> None:
    path, two, broken = tmp_path / "a.opt", tmp_path / "two.opt", tmp_path / "broken.opt"
    path.write_text(BASE, encoding="utf-8")
    two.write_text(BASE + "\n" + BASE.partition("\n\n")[2].replace("Base", "Other"), encoding="utf-8")
    broken.write_text(BASE.replace("γ u_t", "ρ u_t"), encoding="utf-8")
    assert run(str(path), str(path)).exit_code == 0
    assert run(str(path), f"{two}:Other").exit_code == 0
    assert run(str(path), str(ROOT / "specs" / "sgd.opt")).exit_code == 1
    several, unknown, wrong = run(str(path), str(two)), run(str(path), f"{two}:Third"), run(str(broken), str(path))
    assert several.exit_code == unknown.exit_code == wrong.exit_code == 2
    assert "E810" in several.output and "`Base`, `Other`" in several.output
    assert "there is no optimizer `Third`" in unknown.output and "E100" in wrong.output


def test_json(tmp_path: Path) -> None:
    adam, adamw = str(ROOT / "specs" / "adam.opt"), str(ROOT / "specs" / "adamw.opt")
    lines = [json.loads(line) for line in run(adam, adamw, "--error-format", "json").output.splitlines()]
    assert lines[0] == {
        "part": "inputs", "name": "weight_decay", "aspect": "default", "before": "0", "after": "1e-2", "where": [],
    }  # fmt: skip
    assert lines[-1]["where"] == ["if λ ≠ 0"]
