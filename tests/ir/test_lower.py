"""Lowering: what each construct of the language becomes."""

from __future__ import annotations

from pathlib import Path

import pytest

from optdsl.check import analyse
from optdsl.compiler import check_files
from optdsl.ir.lower import lower
from optdsl.ir.nodes import TORCH_FLAGS, Check, Const, DType, Hyper, If, Let, Op, Program, Rate, Scalar, statements
from optdsl.ir.printer import expr_text, program_text
from optdsl.source import Diagnostic, Source
from optdsl.syntax import ast, parse
from tests.ir_samples import ADAM, SGD
from tests.wellformed import assert_wellformed

SPECS = Path(__file__).parent.parent.parent / "specs"


def shipped(name: str) -> Program:
    (unit,) = check_files([SPECS / f"{name}.opt"]).units
    return unit.program


def lowered(step: str, inputs: str = "γ (lr) = 1e-3", states: str = "", before: str = "") -> Program:
    """The program of an optimizer with this step, which begins with the gradient."""

    def section(name: str, text: str) -> str:
        return f"    {name}:\n" + "".join(f"        {line}\n" for line in text.split("\n")) if text else ""

    text = (
        f"{before}optimizer Descent:\n"
        + section("input", inputs)
        + section("initialize", states)
        + "    for t = 1 to … do\n        g_t ← ∇f_t(θ_{t-1})\n"
        + "".join(f"        {line}\n" for line in step.split("\n"))
        + "    return θ_t\n"
    )
    parsed = parse(Source("descent.opt", text))
    assert parsed.module is not None, parsed.diagnostics
    analysis = analyse(parsed.module, _no_import)
    assert [d for d in analysis.diagnostics if d.code[0] == "E"] == []
    (checked,) = analysis.optimizers
    program = lower(checked)
    assert_wellformed(program)
    return program


def _no_import(statement: ast.Import) -> Diagnostic:
    return Diagnostic("E001", "nothing to import", statement.span)


def body(program: Program) -> str:
    """The step as text, without the gradient's prologue and the indentation."""
    text = program_text(program)
    inside = text[text.index("    merge grad.2") :].split("\nleaves")[0].split("\n")[1:]
    return "\n".join(line.removeprefix("    ") for line in inside)


# -------------------------------------------------------------------------------------------------- whole programs


@pytest.mark.parametrize(("name", "expected"), [("adam", ADAM), ("sgd", SGD)])
def test_shipped_specs_lower_to_the_samples(name: str, expected: Program) -> None:
    program = shipped(name)
    assert program.body == expected.body
    assert program.param == expected.param
    assert program.states == expected.states
    assert program.new_states == expected.new_states
    assert program.counts_steps == expected.counts_steps
    own = [argument for argument in program.arguments if argument.name not in TORCH_FLAGS]
    assert [a.name for a in own] == [a.name for a in expected.arguments]
    assert [a.scalars for a in own] == [a.scalars for a in expected.arguments]


def test_fixed_inputs_are_constants_and_decide_branches() -> None:
    program = shipped("adamw")
    read = {e.name for s in statements(program.body) for e in _hypers(s)}
    assert "decoupled_weight_decay" not in read
    decays = [s for s in program.body if isinstance(s, If) and expr_text(s.condition) == "weight_decay != 0"]
    assert [[type(inner) for inner in s.then] for s in decays] == [[Let]]
    (fixed,) = [a for a in program.arguments if a.fixed]
    assert (fixed.name, fixed.scalars[0].default) == ("decoupled_weight_decay", Const(True))


def _hypers(stmt: Let | If) -> list[Hyper]:
    from optdsl.ir.nodes import walk

    value = stmt.value if isinstance(stmt, Let) else stmt.condition
    return [e for e in walk(value) if isinstance(e, Hyper)]


def test_every_assignment_has_its_place() -> None:
    lets = [s for s in statements(shipped("adam").body) if isinstance(s, Let) and not s.name.startswith("grad.")]
    places = [let.span.text.split(" ")[0] for let in lets if let.span is not None]
    assert places == ["θ_t", "m_t", "v_t", "m̂_t", "v_t^max", "v̂_t", "v̂_t", "θ_t"]


# ------------------------------------------------------------------------------------------------------- constructs


def test_a_copy_into_a_local_takes_no_statement() -> None:
    assert body(lowered("d_t ← g_t\nθ_t ← θ_{t-1} - γ d_t")) == "param.1: tensor = param - lr * grad.2  -> param"


def test_a_condition_per_element_is_a_select() -> None:
    program = lowered(
        "if g_t > 0\n    g_t ← 0\n    m_t ← g_t + 1\nθ_t ← θ_{t-1} - γ (g_t + m_t)", states="m_0 ← 0 (exp_avg)"
    )
    assert body(program) == (
        "mask.1: tensor flag = grad.2 > 0\n"
        "grad.3: tensor = select(mask.1, 0, grad.2)\n"
        "exp_avg.1: tensor = select(mask.1, 1, exp_avg)  -> exp_avg\n"
        "param.1: tensor = param - lr * (grad.3 + exp_avg.1)  -> param"
    )


def test_else_if_per_element_nests_selects() -> None:
    program = lowered("if g_t > 1\n    g_t ← 1\nelse if g_t < -1\n    g_t ← -1\nθ_t ← θ_{t-1} - γ g_t")
    assert body(program) == (
        "mask.1: tensor flag = grad.2 > 1\n"
        "mask.2: tensor flag = grad.2 < -1\n"
        "grad.3: tensor = select(mask.2, -1, grad.2)\n"
        "grad.4: tensor = select(mask.1, 1, grad.3)\n"
        "param.1: tensor = param - lr * grad.4  -> param"
    )


def test_a_branch_per_step_is_an_if() -> None:
    program = lowered("α ← γ\nif t > 5\n    α ← γ / t\nθ_t ← θ_{t-1} - α g_t")
    assert body(program) == (
        "if t > 5\n"
        "    alpha.1: per step = lr / t\n"
        "merge alpha.2 = alpha.1 | lr\n"
        "param.1: tensor = param - alpha.2 * grad.2  -> param"
    )
    (branch,) = [s for s in program.body[2:] if isinstance(s, If)]
    assert branch.condition.type.rate is Rate.STEP


def test_a_brace_of_scalars_is_a_select_and_one_of_tensors_an_if() -> None:
    scalars = lowered("α ← { γ if t > 5\n    { 2 γ otherwise\nθ_t ← θ_{t-1} - α g_t")
    assert "alpha.1: per step = select(t > 5, lr, 2 * lr)" in body(scalars)
    tensors = lowered("θ_t ← { θ_{t-1} - γ g_t if t > 5\n      { θ_{t-1} otherwise")
    assert body(tensors) == (
        "if t > 5\n    param.1: tensor = param - lr * grad.2  -> param\nmerge param.2 = param.1 | param  -> param"
    )


@pytest.mark.parametrize("test", ["t > 1", "t ≥ 2", "t ≠ 1", "1 < t", "not t = 1"])
def test_a_later_step_is_the_presence_of_a_state_without_initial_value(test: str) -> None:
    step = f"if {test}\n    b_t ← 0.9 b_{{t-1}} + g_t\nelse\n    b_t ← g_t\nθ_t ← θ_{{t-1}} - γ b_t"
    program = lowered(step, states="b (momentum_buffer)")
    assert "if present(momentum_buffer)" in body(program).replace("not not ", "")
    assert not program.counts_steps


def test_a_step_test_that_guards_no_such_state_counts_steps() -> None:
    program = lowered("if t > 1\n    g_t ← 2 g_t\nθ_t ← θ_{t-1} - γ g_t")
    assert body(program).startswith("if t > 1")
    assert program.counts_steps


def test_a_brace_inside_an_expression_has_a_name_of_its_own() -> None:
    program = lowered("θ_t ← θ_{t-1} - γ ({ g_t if t > 5\n      { 2 g_t otherwise)")
    assert body(program) == (
        "if t > 5\nelse\n    term.1: tensor = 2 * grad.2\nmerge term.2 = grad.2 | term.1\n"
        "param.1: tensor = param - lr * term.2  -> param"
    )


def test_running_products_are_scalar_states() -> None:
    program = lowered("μ_t ← 0.9 / t\nP_t ← ∏_{i=1}^{t} μ_i\nθ_t ← θ_{t-1} - γ P_t (1 - ∏_{i=1}^{t} μ_i) g_t")
    assert [(s.key, s.rate, s.initial) for s in program.states] == [("mu_product", Rate.STEP, Const(1))]
    assert body(program).count("-> mu_product") == 1


def test_a_state_is_a_scalar_where_only_scalars_are_assigned() -> None:
    states = "P_0 ← 1 (product)\nm_0 ← 0 (exp_avg)"
    program = lowered("P_t ← 0.9 P_{t-1}\nm_t ← P_t m_{t-1} + g_t\nθ_t ← θ_{t-1} - γ m_t", states=states)
    assert [(s.key, s.rate) for s in program.states] == [("product", Rate.STEP), ("exp_avg", Rate.ELEMENT)]


def test_functions_are_inlined() -> None:
    before = "function damped(x; a):\n    y ← a x\n    if a > 1\n        y ← y / a\n    return y + x\n\n"
    program = lowered("θ_t ← θ_{t-1} - damped(g_t; γ)", before=before)
    assert body(program) == (
        "y.1: tensor = lr * grad.2\n"
        "if lr > 1\n    y.2: tensor = y.1 / lr\nmerge y.3 = y.2 | y.1\n"
        "param.1: tensor = param - (y.3 + grad.2)  -> param"
    )


def test_names_of_a_function_do_not_meet_those_of_the_optimizer() -> None:
    before = "function f(m):\n    lr ← 2 m\n    return lr + m\n\n"
    program = lowered("m_t ← f(2 g_t)\nθ_t ← θ_{t-1} - γ m_t", states="m_0 ← 0 (m)", before=before)
    assert body(program).startswith("f_m.1: tensor = 2 * grad.2\nf_lr.1: tensor = 2 * f_m.1\nm.1: tensor = ")


def test_the_next_time_of_a_local_is_another_name() -> None:
    program = lowered("μ_t ← 1 / t\nμ_{t+1} ← 1 / (t + 1)\nθ_t ← θ_{t-1} - γ μ_t μ_{t+1} g_t")
    assert body(program).startswith("mu.1: per step = 1 / t\nmu_next.1: per step = 1 / (t + 1)\n")


def test_the_gradient_is_called_grad_by_whatever_symbol() -> None:
    program = lowered("G_t ← ∇f_t(θ_{t-1})\nG_t ← 2 G_t\nθ_t ← θ_{t-1} - γ (G_t + g_t)")
    assert body(program).startswith("G.1: tensor = 2 * grad.2\n")


def test_constant_arithmetic_is_done() -> None:
    assert "0.5 * grad.2" in body(lowered("θ_t ← θ_{t-1} - γ (1/2 · g_t)"))


def test_initial_values_are_made_from_hyperparameters() -> None:
    program = lowered(
        "η_t ← min(η_{t-1}, |g_t|)\nθ_t ← θ_{t-1} - η_t g_t", states="η_0 ← γ (step_size) at construction"
    )
    (state,) = program.states
    assert (state.initial, state.rate, state.eager) == (Hyper("lr"), Rate.ELEMENT, True)


def test_a_declared_step_count_is_shown_though_never_read() -> None:
    assert lowered("θ_t ← θ_{t-1} - γ g_t", states="t ← 0 (step)").counts_steps


# ------------------------------------------------------------------------------------------------------- constructor


def message(check: Check) -> str:
    return "".join(part if isinstance(part, str) else f"{{{part.name}}}" for part in check.message)


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ("γ (lr) = 1 where γ ≥ 0", "Invalid learning rate: {lr}"),
        ("γ (eps) = 1 where γ ≥ 0", "Invalid epsilon value: {eps}"),
        ("γ (rho) = 1 where γ ≥ 0", "Invalid rho value: {rho}"),
        ("γ, β (betas) = 0, 0.9 where 0 ≤ β < 1", "Invalid beta parameter at index 1: {beta}"),
        ("γ, β (etas) = 0.5, 1.2 where 0 < γ < 1 < β", "Invalid eta values: {gamma}, {beta}"),
        ('γ (lr) = 1 where γ > 0 else "too slow"', "too slow"),
        ('γ, β (etas) = 1, 2 where γ < β else "bad {etas[1]}: {etas}!"', "bad {beta}: {etas}!"),
    ],
)
def test_checks_speak_as_torch_does(inputs: str, expected: str) -> None:
    program = lowered("θ_t ← θ_{t-1} - γ g_t", inputs=inputs)
    assert [message(check) for check in program.checks] == [expected]


def test_one_check_per_constraint() -> None:
    (check,) = lowered("θ_t ← θ_{t-1} - β g_t", inputs="β (beta) = 0.9 where 0 ≤ β < 1").checks
    beta = Hyper("beta")
    assert check.condition == Op("and", (Op("le", (Const(0), beta)), Op("lt", (beta, Const(1)))))


def test_choices_and_none() -> None:
    step = 'if mode = "fast"\n    g_t ← 2 g_t\nθ_t ← θ_{t-1} - γ g_t'
    program = lowered(step, inputs='γ (lr) = 1e-3\nmode ∈ {"fast", "exact"} = none')
    argument = program.arguments[1]
    assert (argument.choices, argument.optional) == (("fast", "exact"), True)
    assert argument.scalars == (Scalar("mode", "mode", Const(None), DType.CHOICE),)
    assert body(program).startswith('if mode == "fast"')


def test_flags_keep_their_place_and_what_follows_a_star_is_keyword_only() -> None:
    program = lowered("θ_t ← θ_{t-1} - γ g_t", inputs="γ (lr) = 1e-3\nforeach\n*\nmaximize")
    assert [(a.name, a.keyword_only) for a in program.arguments] == [
        ("lr", False),
        ("foreach", False),
        ("maximize", True),
    ]
