"""Every broken spec with its mistake mended: what is right is accepted, without a word."""

from __future__ import annotations

from pathlib import Path

import pytest

from optdsl.check import analyse
from optdsl.compiler import check_files
from optdsl.source import Diagnostic, Source
from optdsl.syntax import ast, parse

BROKEN = Path(__file__).parent.parent / "broken"
FOLDERS = ("names", "time", "flow", "types", "inputs", "states", "sections", "stored", "modules")

Edits = tuple[tuple[str, str], ...]
"""Texts to replace, each by what mends it."""

STEP = "for t = 1 to … do\n        g_t ← ∇f_t(θ_{t-1})\n        θ_t ← θ_{t-1} - γ g_t\n\n    return θ_t"
TRANSFORMED = """

import SGD from sgd

optimizer Transformed extends SGD with {}:
    return θ_t
"""
USE = "θ_t ← θ_{t-1} - γ m_t"

MENDED: dict[str, Edits] = {
    "names/undeclared": (("= 1e-3", "= 1e-3\n        λ (decay) = 0"),),
    "names/misspelt": (("amsgard", "amsgrad"),),
    "names/glued": (("lr g_t", "l r g_t"),),
    "names/python_name": (("lr g_t", "γ g_t"),),
    "names/state_key": (("γ exp_avg", "γ m_t"),),
    "names/without_hat": (("m̃_t", "m̂_t"),),
    "names/unknown_function": (("heaviside", "sign"),),
    "names/misspelt_function": (("square(", "squared("),),
    "names/arguments_of_max": (("max(g_t)", "max(g_t, 0)"),),
    "names/arguments_of_clamp": (("g_t, 0.1", "g_t, -0.1, 0.1"),),
    "names/other_name_of_function": (("sgn", "sign"),),
    "states/input_at_time_zero": (("        d₀ (d0) = 1\n", ""),),
    "names/arguments_of_dim": (("dim(θ_{t-1}, 2)", "dim(θ_{t-1})"),),
    "names/arguments_of_function": (("g_t, γ", "g_t; γ"),),
    "names/function_sees_arguments_alone": (("scaled(x)", "scaled(x; γ)"), ("scaled(g_t)", "scaled(g_t; γ)")),
    "names/one_python_name": (("(m_hat)", "(exp_avg)"),),
    "names/local_and_argument": (("lr_t", "α_t"),),
    "names/python_keyword": (("(lambda)", "(lambda_)"),),
    "names/optimizer_is_builtin": (("sum", "Sum"),),
    "names/means_something_in_the_code": (
        ("torch, i (pair)", "γ, λ (pair)"),
        ("(a)", "(exp_avg)"),
        ("(as)", "(exp_avg_sq)"),
        ("math", "d_t"),
        ("g_t i", "g_t λ"),
        ("torch m_t", "γ m_t"),
    ),
    "names/reserved_argument": (("(params)", "(lr)"),),
    "time/input_with_time": (("γ_t", "γ"),),
    "time/state_without_time": (("γ m\n", "γ m_t\n"),),
    "time/parameter_without_time": (("θ - γ", "θ_{t-1} - γ"),),
    "time/initial_in_step": (("+ m_0", "+ m_{t-1}"),),
    "time/next_of_state": (("θ_{t+1}", "θ_t"),),
    "time/reads_next_of_state": (("m_{t+1}", "m_t"),),
    "time/local_of_last_step": ((" - g_{t-1}", ""),),
    "time/local_two_spellings": (("α_t", "α"),),
    "time/assigns_input": (("γ ← γ", "γ_t ← γ"), ("- γ g_t", "- γ_t g_t")),
    "time/last_step_of_local_beside_input": (("γ_{t-1}", "γ"),),
    "time/undeclared_beside_local": (("= 1e-2", "= 1e-2\n        γ (lr) = 1e-3"),),
    "time/assigns_previous": (("θ_{t-1} ←", "θ_t ←"),),
    "time/assigns_initial": (("m_0 ← 0.9", "m_t ← 0.9"),),
    "time/assigns_step_count": (("t ← t + 1", "g_t ← g_t / t"),),
    "time/lost_update": (("θ_{t-1} - γ m_t", "θ_t - γ m_t"),),
    "time/lost_update_on_one_path": (("θ_{t-1} - γ m_t", "θ_t - γ m_t"),),
    "flow/read_before_assigned": (("g_t ← ∇f_t(θ_{t-1})", "g_t ← ∇f_t(θ_{t-1})\n        m̂_t ← 3 g_t"),),
    "flow/not_on_every_path": (("if λ", "d_t ← g_t\n        if λ"),),
    "flow/absent_state": (
        ("b_t ← 0.9 b_{t-1} + g_t", "b_t ← { 0.9 b_{t-1} + g_t if t > 1\n              { g_t otherwise"),
    ),
    "flow/absent_state_in_first_step": (("b_t ← b_{t-1}\n", "b_t ← g_t\n"),),
    "flow/state_may_stay_absent": (
        ("(momentum_buffer)", "(momentum_buffer) if nesterov"),
        ("b_t ← g_t", "b_t ← g_t\n            g_t ← g_t + b_t"),
    ),
    "flow/state_outside_its_flag": ((" if amsgrad", ""), ("amsgrad = false", "")),
    "flow/state_under_the_wrong_flag": (("not amsgrad", "amsgrad"),),
    "flow/function_without_return": (("y ← 2 x", "return 2 x"),),
    "flow/may_be_none": (("where κ", "where κ is none or κ"), ("θ_t ←", "if κ is not none\n            θ_t ←")),
    "flow/never_read": (("- γ g_t", "- γ m̂_t"),),
    "types/brace_without_otherwise": (("if g_t ≤ 0", "otherwise"),),
    "types/never_none": (("γ is none", "γ = 1"),),
    "types/flag_in_arithmetic": (("γ nesterov g_t", "γ g_t"), ("nesterov = false", "")),
    "types/number_as_condition": (("if λ", "if λ ≠ 0"),),
    "types/flag_without_default": (("        nesterov\n", "        nesterov = false\n"),),
    "types/flag_compared": (("nesterov = true", "nesterov"),),
    "types/unknown_choice": (("fats", "fast"),),
    "types/number_and_string": (('γ = "fast"', "γ = 1"),),
    "types/ordered_choices": (("mode >", "mode ≠"),),
    "types/choice_in_arithmetic": (
        ("γ mode g_t", 'γ g_t\n        θ_t ← { θ_t if mode = "fast"\n              { θ_t - γ otherwise'),
    ),
    "types/parameter_becomes_a_number": (("γ / √t", "θ_{t-1} - γ / √t · g_t"),),
    "types/flag_on_one_path": (("d_t ← g_t > 0", "d_t ← 2 g_t"), ("- γ g_t", "- γ d_t")),
    "types/brace_of_two_kinds": (("g_t > 0", "2 g_t"), ("- γ g_t", "- γ d_t")),
    "types/state_condition": (
        ("if μ", "if μ ≠ 0"),
        ("m_t ← 0.9", "if μ ≠ 0\n            m_t ← 0.9"),
        (USE, f"    {USE}"),
    ),
    "inputs/declared_twice": (("        γ (rate) = 1e-2\n", ""),),
    "inputs/two_arguments_of_one_name": (("λ (lr)", "λ (decay)"),),
    "inputs/default_missing_after_default": (("(weight_decay)", "(weight_decay) = 0"),),
    "inputs/default_breaks_constraint": (("-1e-3", "1e-3"), ("1.0", "0.9")),
    "inputs/constraint_of_unknown": (("η", "γ"),),
    "inputs/constraint_of_state": (("≥ m_0", "≥ 0"),),
    "inputs/constraint_of_gradient": (("≥ t", "≥ 0"),),
    "inputs/constraint_is_no_condition": (("where γ", "where γ > 0"),),
    "inputs/default_not_constant": (("2 γ", "2 / 3"),),
    "inputs/default_not_a_choice": (("slow", "exact"),),
    "inputs/string_without_choices": (("        mode =", '        mode ∈ {"fast", "exact"} ='),),
    "inputs/torch_flag_fixed": ((" := true", ""),),
    "inputs/torch_flag_default": (("foreach = true", "foreach = none"),),
    "inputs/torch_flag_read": (("if maximize", "if γ > 1"),),
    "inputs/message_names_nothing": (("{rate}", "{lr}"),),
    "inputs/never_used": (("γ g_t", "γ λ g_t"),),
    "states/declared_twice": (("        m_0 ← 1 (average)\n", ""),),
    "states/two_of_one_key": (("v_0 ← 0 (exp_avg)", "v_0 ← 0 (exp_avg_sq)"),),
    "states/key_step": (("(step)", "(exp_avg)"),),
    "states/key_is_keyword": (("(class)", "(class_)"),),
    "states/key_of_step_count": (("(count)", "(step)"),),
    "states/step_count_starts_at_one": (("t ← 1", "t ← 0"),),
    "states/input_too": (("γ_0 ← 1", "α_0 ← γ"), ("γ_t ← 0.9 γ_{t-1}", "α_t ← 0.9 α_{t-1}"), ("γ_t g_t", "α_t g_t")),
    "states/not_at_time_zero": (("m_t ← 0 (", "m_0 ← 0 ("),),
    "states/from_the_parameter": (("θ_{t-1}| (", "θ_0| ("),),
    "states/number_without_first_value": (("s (scale)", "s_0 ← 0 (scale)"),),
    "states/never_assigned": (("θ_t ←", "m_t ← 0.9 m_{t-1} + g_t\n        θ_t ←"),),
    "states/never_read": (("- γ g_t", "- γ m_t"),),
    "states/condition_per_step": (("(exp_avg) if t > 3", "(exp_avg)"),),
    "states/running_product_key": (("(mu_product)", "(product)"),),
    "sections/no_return": (("γ g_t\n", "γ g_t\n\n    return θ_t\n"),),
    "sections/returns_an_earlier_value": (("2 θ_{t-1} - z_t\n", "2 θ_t - z_t\n"),),
    "sections/returns_a_number": (("return γ", "return γ θ_t"),),
    "sections/returns_something_else": (("return g_t", "return θ_t"),),
    "sections/returns_several": (("θ_t, m_t", "θ_t"),),
    "sections/returns_nothing": (("return", "return θ_t"),),
    "sections/return_inside": (("    return θ_t\n        ", "    g_t ← 0 g_t\n        "),),
    "sections/no_gradient": (("γ θ_{t-1}", "γ ∇f_t(θ_{t-1})"),),
    "sections/parameter_never_updated": (("0.1 g_t\n", f"0.1 g_t\n        {USE}\n"),),
    "sections/no_step": (("return θ_t", STEP),),
    "stored/procedure": (("    repeat k times\n        x ← x + x\n    return x", "    return k x"),),
    "stored/update_outside_loop": (
        (
            "        m_t ← 0.9 m_{t-1} + g_t\n        for i in support(g_t) do",
            "        for i in support(g_t) do\n            m_t ← 0.9 m_{t-1} + g_t",
        ),
    ),
    "stored/update_on_the_other_path": (
        ("    θ_t ← θ_{t-1} - 0.1 γ g_t", "    for i in support(g_t) do\n                θ_t ← θ_{t-1} - 0.1 γ g_t"),
    ),
    "stored/reduction": (("RMS(g_t) / √rows(θ_{t-1})", "t"),),
    "stored/state_per_row": ((": mean(θ_0, over cols)", ": θ_0"),),
    "stored/support_of_a_state": (("support(m_t)", "support(d_t)"),),
    "stored/loop_in_loop": (("        for i in support(g_t) do\n            if t", "        if t"),),
    "stored/loop_in_function": (("    for i in support(x) do\n        y", "    y"),),
    "stored/condition_on_assignment": ((" where γ > 1", ""), (" where g_t is sparse", "")),
    "stored/sparse_without_loop": (("θ_t ←", "for i in support(g_t) do\n            θ_t ←"),),
    "stored/state_without_initial_value": (
        ("        b (momentum", "        b_0 ← 0 (momentum"),
    ),
    "stored/number_in_loop": (
        (
            "        for i in support(g_t) do\n            P_t ← 0.9 P_{t-1}",
            "        P_t ← 0.9 P_{t-1}\n        for i in support(g_t) do",
        ),
    ),
    "modules/unknown_base": (("optimizer AdamW", "import Adam from adam\n\noptimizer AdamW"),),
    "modules/misspelt_base": (("Decent", "Descent"),),
    "modules/extends_itself": (("optimizer Adam ", "import Adam from adam\n\noptimizer AdamX "),),
    "modules/cycle": (
        ("Hen extends Egg", "Hen extends Adam"),
        ("optimizer Hen", "import Adam from adam\n\noptimizer Hen"),
    ),
    "modules/no_such_file": (("adamm", "adam"),),
    "modules/no_such_optimizer": (("Adan", "Adam"),),
    "modules/fixes_nothing": (("amsgrd", "amsgrad"),),
    "modules/two_of_one_name": (("optimizer Descent extends", "optimizer Ascent extends"),),
    "modules/imports_each_other": (
        ('"parts/egg"', "adam"),
        ("import Egg", "import Adam"),
        ("extends Egg", "extends Adam"),
    ),
    "modules/default_of_extension_breaks_constraint": (("= -1", "= 1"),),
    "modules/edit_of_unknown_name": (("ṽ_t", "v̂_t (2)"),),
    "modules/edit_of_several": (("replace v̂_t", "replace v̂_t (1)"),),
    "modules/edit_of_too_late_occurrence": ((" (2)", ""),),
    "modules/edit_of_own_step": (
        ("optimizer Descent", "optimizer Descent extends SGD"),
        ("    for t = 1 to … do\n        g_t ← ∇f_t(θ_{t-1})\n        θ_t ← θ_{t-1} - γ g_t\n", ""),
        ("after g_t", "after g_t (1)"),
    ),
    "modules/edits_that_exclude_each_other": (
        ("replace m̂_t:\n        m̂_t ← m_t", "before m̂_t:\n        m_t ← m_t"),
        ("    update w_t:\n        w_t ← w_t / 2", "        u_t ← u_t / 2"),
    ),
    "modules/update_of_taken_name": (("update m_t:\n        m_t ← 2 m_t", "update u_t:\n        u_t ← 2 u_t"),),
    "modules/edit_that_leaves_a_state_unassigned": (("a_t ← g_t", "m_t ← g_t"),),
    "modules/times_and_types_in_transform": (
        ("← s +", "← s_{t-1} +"),
        ("if u_t", "if u_t > s_t"),
        ("v_t ← v_t", "v_t ← u_t"),
        ("u_t ← s_t", "u_t ← v_t + s_t"),
        ("        if warm", "        w_t ← 1\n        if warm"),
        ("w_t g_t\n", "w_t g_t" + TRANSFORMED.format("twice_wrong(2), wrong_on_one_path(nesterov, 3)")),
    ),
    "modules/unknown_transform": (("cautios, AdamW, bold", "cautious"),),
    "modules/arguments_of_transform": (("decoupled_decay(γ)", "decoupled_decay(γ, 0.1)"), ("cautious(γ)", "cautious")),
    "modules/transform_brings_what_is_there": (("(momentum)", "(inertia)"), ("(momentum_buffer)", "(inertia_buffer)")),
    "modules/transform_without_change": (
        ("b_0 ← 0 (buffer)\n", "b_0 ← 0 (buffer)\n\n    update u_t:\n        b_t ← b_{t-1} + u_t\n        u_t ← γ b_t"),
        ("u_t ← γ b_t", "u_t ← γ b_t" + TRANSFORMED.format("lazy(γ)")),
    ),
    "modules/names_in_transform": (
        ("(γ, m_t)", "(γ, ρ)"),
        ("λ_decay", "λ"),
        ("m_{t-1}", "θ_{t-1}"),
        ("\n        u_t ← u_t + ρ θ_{t-1}", "\n        u_t ← u_t + ρ θ_{t-1}" + TRANSFORMED.format("decayed(γ, 1)")),
    ),
    "modules/assignments_in_transform": (
        ("γ ← γ / 2", "ν ← γ / 2"),
        ("θ_t ← θ_{t-1} - γ λ θ_{t-1}", "u_t ← u_t + ν λ θ_{t-1}" + TRANSFORMED.format("decayed(γ, 1)")),
    ),
    "modules/update_that_may_go_on": (
        ("        θ_t ← θ_{t-1} - γ g_t\n", ""),
        ("θ_t ← θ_t - γ λ θ_t", "g_t ← g_t + λ θ_{t-1}\n        θ_t ← θ_{t-1} - γ g_t"),
    ),
    "modules/two_functions_of_one_name": (
        ('import grow from "parts/grow"', "import averaged_update from transforms"),
        ("with grow", "with averaged_update"),
    ),
    "modules/mistake_in_applied_transform": (("if u_t", "if u_t ≠ 0"), ("gated(ρ)", "gated(γ)")),
    "types/rows_with_columns": (("γ m_t g_t", "γ m_t @ g_t"),),
    "types/product_of_rows": (("g_t @ g_t", "g_t @ g_tᵀ @ g_t"),),
    "types/norm_of_a_number": (("‖γ‖", "‖g_t‖"), ("rows(γ)", "rows(θ_0)")),
    "types/shape_of_the_state": (("m_{t-1} + g_t", "m_{t-1} + mean(g_t, over cols)"), ("γ m_t", "γ m_t g_t")),
    "types/two_shapes_on_two_paths": (("mean(m_t, over rows)", "m_t - mean(m_t, over rows)"),),
    "types/rows_of_the_first_dimension": (
        ("mean(c_t, over cols)", "mean(c_t)"),
        ("c_tᵀ", "c_t"),
        ("c_t + r_t", "c_t + g_t + r_t"),
        ("c_t @ r_t", "c_t g_t"),
        ("sum(r_t, over all but first)", "sum(r_t)"),
    ),
    "types/orthonormal_not_square": (("orthonormal(g_t)", "orthonormal(g_t @ g_tᵀ) @ g_t"),),
    "types/over_of_a_root": (("sqrt(m_{t-1} + g_t", "sum(m_{t-1} + g_t"), ("γ m_t", "γ m_t g_t")),
    "types/total_under_a_condition": (
        ("        if t > 10\n", "        s ← sum(m_t², over all parameters)\n        if t > 10\n"),
        ("+ sum(m_t², over all parameters)\n        else", "+ s\n        else"),
    ),
    "types/total_before_the_first_step": ((", over all parameters) (scale)", ", over all) (scale)"),),
    "types/norm_of_all_parameters": (("norm(m_t, over all parameters)", "√sum(m_t², over all parameters)"),),
    "inputs/constraints_on_shape": ((" where dim(θ_0) = 2", " where γ ≥ 0"), ("parameters", "θ_0")),
    "inputs/named_parameters": (("(weights) = 0", "(params)"), ("{shape}", "{params}")),
    "modules/two_transforms_of_one_name": (
        ("\n\ntransform twice", "\n\ntransform thrice"),
        ("u_t + u_t", "u_t + u_t + u_t" + TRANSFORMED.format("twice, thrice")),
    ),
}  # fmt: skip


def codes(diagnostics: tuple[Diagnostic, ...]) -> list[str]:
    return [diagnostic.code for diagnostic in diagnostics]


def test_every_rule_has_a_mended_twin() -> None:
    cases = {
        path.relative_to(BROKEN).with_suffix("").as_posix()
        for folder in FOLDERS
        for path in (BROKEN / folder).glob("*.opt")
    }
    assert cases == set(MENDED)


@pytest.mark.parametrize("case", MENDED)
def test_mended(case: str, tmp_path: Path) -> None:
    text = (BROKEN / f"{case}.opt").read_text(encoding="utf-8")
    for old, new in MENDED[case]:
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "mended.opt").write_text(text, encoding="utf-8")
    checked = check_files([tmp_path / "mended.opt"])
    assert checked.diagnostics == ()
    assert checked.units


@pytest.mark.parametrize("case", [case for case in MENDED if not case.startswith("modules")])
def test_a_fix_mends_its_mistake(case: str) -> None:
    """Where a diagnostic carries an edit, the edit makes it go away."""
    text = (BROKEN / f"{case}.opt").read_text(encoding="utf-8")
    for diagnostic in _analysed(text):
        fix = diagnostic.fix
        if fix is not None:
            mended = text[: fix.span.start] + fix.replacement + text[fix.span.end :]
            assert codes(_analysed(mended)).count(diagnostic.code) < codes(_analysed(text)).count(diagnostic.code)


def _analysed(text: str) -> tuple[Diagnostic, ...]:
    def load(statement: ast.Import) -> Diagnostic:
        return Diagnostic("E001", f"no {statement.file} here", statement.span)

    parsed = parse(Source("spec.opt", text))
    assert parsed.module is not None
    return analyse(parsed.module, load).diagnostics
