"""Every spelling of a construct gives the same tree, and the same one that its meaning asks for."""

from __future__ import annotations

import unicodedata

import pytest

from optdsl.source import Source
from optdsl.syntax import ast, parse
from optdsl.syntax.ast import Symbol, Time


def expression(text: str) -> ast.Expr:
    """The tree of one expression."""
    parsed = parse(Source("<test>", f"function f(x):\n    return {text}\n"))
    assert parsed.module is not None, [d.message for d in parsed.diagnostics]
    (statement,) = parsed.module.functions[0].body
    assert isinstance(statement, ast.Return)
    return statement.value


def statement(text: str) -> ast.Stmt:
    parsed = parse(Source("<test>", f"function f(x):\n    {text}\n"))
    assert parsed.module is not None, [d.message for d in parsed.diagnostics]
    (only,) = parsed.module.functions[0].body
    return only


def codes(text: str) -> list[str]:
    parsed = parse(Source("<test>", f"function f(x):\n    return {text}\n"))
    return [d.code for d in parsed.diagnostics]


def name(base: str, time: Time = Time.NONE, **parts: str) -> ast.Name:
    return ast.Name(Symbol(base, **parts), time, None)  # type: ignore[arg-type]


NAMES = [
    (name("β", subscript="1"), ["β₁", "β_1", "β_{1}", r"\beta_1", r"\beta_{1}", "beta_1", "beta1", "β1", "ϐ₁"]),
    (name("m", Time.NOW, accent="hat"), [
        "m̂_t", "m̂ₜ", r"\hat{m}_t", r"\hat m_t", r"\widehat{m_t}", r"\widehat{m}_t", r"\hat{m_t}", "m_hat_t", "m_t_hat",
        "m_{hat}_t", "m_{hat,t}",
    ]),
    (name("g", accent="hat"), ["ĝ", "g\u0302", r"\hat{g}", "g_hat"]),
    (name("ε", accent="hat", subscript="1"), [
        "ε̂₁", "ϵ̂₁", r"\hat{\epsilon}_1", r"\widehat{\varepsilon}_{1}", "epsilon_hat_1",
    ]),
    (name("B", Time.NOW, accent="tilde"), ["B̃_t", r"\tilde{B}_t", r"\widetilde{B_t}", "B_tilde_t"]),
    (name("x", accent="bar"), ["x̄", r"\bar{x}", r"\overline{x}", "x_bar"]),
    (name("x", accent="dot"), ["ẋ", r"\dot x", "x_dot"]),
    (name("θ", Time.PREVIOUS), [
        "θ_{t-1}", "θ_{t - 1}", "θ_(t-1)", "θₜ₋₁", r"\theta_{t-1}", "theta_{t-1}", "theta_(t-1)", "θ_{t−1}", "ϑ_{t-1}",
    ]),
    (name("μ", Time.NEXT), ["μ_{t+1}", "μₜ₊₁", r"\mu_{t+1}", "mu_{t+1}", "µ_{t+1}", "mu_next"]),
    (name("m", Time.INITIAL), ["m_0", "m₀", "m_{0}"]),
    (name("v", Time.NOW, superscript="max"), [
        "v_t^max", "v^max_t", "v_t^{max}", "v^{max}_t", r"v_t^{\max}", r"v_t^{\mathrm{max}}", "vₜᵐᵃˣ",
    ]),
    (name("g", Time.PREVIOUS, superscript="prev"), ["g_{t-1}^prev", "g^prev_{t-1}", r"g_{t-1}^{\text{prev}}"]),
    (name("η", subscript="+"), ["η₊", "η_+", "η_{+}", r"\eta_+", "eta_plus", "eta_+"]),
    (name("η", subscript="-"), ["η₋", "η_-", "η_{-}", r"\eta_{-}", "eta_minus"]),
    (name("Γ", subscript="min"), ["Γ_min", "Γ_{min}", r"\Gamma_{\min}", r"\Gamma_{\mathrm{min}}", "Gamma_min"]),
    (name("ρ", subscript="∞"), ["ρ_∞", "ρ_{∞}", r"\rho_\infty", r"\rho_{\infty}", "rho_inf"]),
    (name("ε", subscript="Δ"), ["ε_Δ", "ε_{Δ}", r"\epsilon_\Delta", "epsilon_Delta", "ε_∆"]),
    (name("β", Time.NOW, subscript="1"), ["β_{1,t}", r"\beta_{1, t}", "β₁_t", "beta_1_t"]),
    (name("lr_decay"), ["lr_decay", r"\mathrm{lr_decay}", r"\text{lr_decay}"]),
    (name("loss", Time.NOW), ["loss_t", "loss_{t}"]),
    (name("v", superscript="max"), ["v^max", "v^{max}", "v__max"]),
]  # fmt: skip


@pytest.mark.parametrize(("tree", "text"), [(tree, text) for tree, texts in NAMES for text in texts])
def test_name(tree: ast.Expr, text: str) -> None:
    assert expression(text) == tree


@pytest.mark.parametrize("text", [text for _, texts in NAMES for text in texts])
def test_name_in_either_normal_form(text: str) -> None:
    assert expression(unicodedata.normalize("NFD", text)) == expression(unicodedata.normalize("NFC", text))


SAME = [
    ["√x", r"\sqrt{x}", r"\sqrt x", "sqrt(x)", "√(x)"],
    ["√max(a, b)", r"\sqrt{\max(a, b)}", r"\sqrt{\max\left(a, b\right)}", "sqrt(max(a, b))"],
    ["√v̂_t + ε", r"\sqrt{\hat{v}_t} + \epsilon", r"\sqrt{\widehat{v_t}}+\varepsilon", "sqrt(v_hat_t) + epsilon"],
    ["(√x)²", r"\sqrt{x}^2", "sqrt(x)^2", "sqrt(x)²"],
    ["x / y", r"\frac{x}{y}", r"\frac {x} {y}", "x/y", "x ÷ y"],
    ["(a + b) / (c d)", r"\frac{a + b}{c d}", r"\dfrac{a+b}{c\,d}"],
    ["(a / b) c", r"\frac{a}{b} c", r"\frac{a}{b}c"],
    [r"\frac{\frac{a}{b}}{\sqrt{c}}", "(a / b) / √c"],
    ["‖x‖", r"\|x\|", "norm(x)", "||x||", "∥x∥", r"\lVert x \rVert", r"\left\|x\right\|"],
    ["|x|", "abs(x)", r"\lvert x \rvert", r"\left|x\right|"],
    ["|mean(x) over rows|", "abs(mean(x, over rows))"],
    ["|a| |b|", "abs(a) abs(b)"],
    ["|a + |b||", "abs(a + abs(b))"],
    ["‖a + |b|‖", "norm(a + abs(b))"],
    ["⌊x⌋", r"\lfloor x \rfloor", "floor(x)"],
    ["⌈x⌉", r"\lceil x \rceil", "ceil(x)"],
    ["a b", "a · b", r"a \cdot b", "a ⊙ b", r"a \odot b", "a * b", "a ⋅ b", "a × b", "(a) b", "(a)(b)", "a(b)"],
    [r"\gamma\lambda\theta", "γ λ θ", "gamma lambda theta", r"\gamma \, \lambda \; \theta", "γ λ\u00a0θ"],
    ["a @ b", "a@b"],
    ["Xᵀ", "X^T", r"X^\top", r"X^{\top}", r"X^{T}"],
    ["X @ Xᵀ", "X @ X^T"],
    ["g_t²", "g_t^2", "g^2_t", "g_t^{2}", "g²ₜ", r"g_t^{2}", "(g_t)^2", "g_t^(2)"],
    ["β₁ᵗ", "β₁^t", "β_1^t", r"\beta_1^t", r"\beta_1^{t}", "β^t_1", "beta_1^t", "beta_1^(t)"],
    ["x⁻¹", "x^-1", "x^{-1}", "x^(-1)"],
    ["x^τ", r"x^\tau", r"x^{\tau}", "x^tau", "x^{tau}", "x^(τ)"],
    ["t^τ", r"t^{\tau}", "t^tau"],
    ["β^{t+1}", "β^(t + 1)", "βᵗ⁺¹"],
    ["0.96^(t ψ)", r"0.96^{t \psi}", "0.96^{t psi}"],
    ["1/2 · 0.96^(t ψ)", r"\frac{1}{2} \cdot 0.96^{t\psi}"],
    ["a ≥ b", "a >= b", r"a \geq b", r"a \ge b", "a ⩾ b"],
    ["a ≤ b", "a <= b", r"a \leq b", r"a \le b"],
    ["a ≠ b", "a != b", r"a \neq b", r"a \ne b", "a =\u0338 b"],
    ["0 ≤ β < 1", r"0 \leq \beta \lt 1"],
    ["a and b", r"a \land b", r"a \text{ and } b"],
    ["a or not b", r"a \lor \lnot b"],
    ["∇f_t(θ_{t-1})", r"\nabla f_t(\theta_{t-1})", r"\nabla_{\theta} f_t(\theta_{t-1})",
     r"\nabla_\theta f_t(\theta_{t-1})", "grad f_t(theta_{t-1})", "∇ fₜ(θₜ₋₁)", r"\nabla f_t\left(\theta_{t-1}\right)"],
    ["∏_{i=1}^{t} μ_i",
     r"\prod_{i=1}^{t} \mu_i", "prod_{i=1}^t mu_i", "∏_{i=1}^t μ_i", "∏_{j = 1}^t μ_j", "Π_{i=1}^t μ_i"],
    ["∑_{i=1}^{t} x_i²", r"\sum_{i=1}^{t} x_i^2"],
    ["max(a, b)", r"\max(a, b)", r"\mathrm{max}(a, b)", r"\operatorname{max}(a,b)", "max (a, b)"],
    ["sign(g_t)", r"\operatorname{sign}(g_t)", r"\mathrm{sign}\left(g_t\right)"],
    ["mean(x, over rows)", "mean(x) over rows"],
    ["sum(x, over all parameters)", "sum(x) over all parameters"],
    ["-a b", "-(a b)", "−a b"],
    ["1e-3", "0.001", "1E-3", ".001"],
    ["∞", r"\infty"],
    ["a - b", "a − b", "a – b", "a -b", "a-b"],
    [r"\left( a + b \right) c", "(a + b) c", r"\big( a + b \big) c"],
]  # fmt: skip


@pytest.mark.parametrize(("first", "other"), [(group[0], other) for group in SAME for other in group[1:]])
def test_same_expression(first: str, other: str) -> None:
    assert expression(other) == expression(first)


@pytest.mark.parametrize(
    ("first", "other"),
    [
        ("x ← 1", "x <- 1"),
        ("x ← 1", r"x \leftarrow 1"),
        ("x ← 1", r"x \gets 1"),
        ("x_t ← β₁ x_{t-1} + (1 - β₁) y", r"x_t \leftarrow \beta_1 x_{t-1} + (1 - \beta_1) y"),
        ("a, b ← evaluate(θ)", r"a, b <- evaluate(\theta)"),
        ("x ← { a if c { b otherwise", "x ← { a if c\n        { b otherwise"),
        ("x ← { a if c { b otherwise", r"x ← \begin{cases} a & \text{if } c \\ b & \text{otherwise} \end{cases}"),
        (
            "x ← { a if c { b otherwise",
            "x ← \\begin{cases}\n a & \\text{if } c \\\\\n b & \\text{otherwise} \\\\ \\end{cases}",
        ),
        ("if x < -1\n        y ← 1", "if x < - 1\n        y <- 1"),
        ("for i = 0, 1, …, d-1 do\n        y ← 1", "for i = 0, 1, ..., d-1 do\n        y ← 1"),
        ("for i = 0, 1, …, d-1 do\n        y ← 1", "for j = 1, \\ldots, d do\n        y ← 1"),
        ("for i in support(g_t) do\n        y ← 1", "for i ∈ support(g_t) do\n        y ← 1"),
        ("for i in support(g_t) do\n        y ← 1", r"for i \in support(g_t) do" + "\n        y ← 1"),
    ],
)
def test_same_statement(first: str, other: str) -> None:
    assert statement(other) == statement(first)


def test_arrow_is_not_less_than_minus() -> None:
    """`<-` assigns where an assignment stands and compares where a comparison does."""
    branch = statement("if x <-1\n        y ← 1")
    assert branch == statement("if x < -1\n        y ← 1")


@pytest.mark.parametrize(
    ("text", "bracketed"),
    [
        ("a b c", "((a) (b)) (c)"),
        ("a b / c", "(a b) / c"),
        ("a / b · c", "(a / b) · c"),
        ("a / b / c", "(a / b) / c"),
        ("a + b c - d", "(a + (b c)) - d"),
        ("-a^2", "-(a^2)"),
        ("-a / b", "(-a) / b"),
        ("2 x^2", "2 (x^2)"),
        ("√a b", "(√a) b"),
        ("2^t x", "(2^t) x"),
        ("not a and b or c", "((not a) and b) or c"),
        ("a < b and c = d", "(a < b) and (c = d)"),
        ("γ (1 - β)", "γ · (1 - β)"),
        ("γ √(1 - β₂^t) / (1 - β₁^t) · m_t / (√v_t + ε)", "((γ √(1 - β₂^t)) / (1 - β₁^t) · m_t) / (√v_t + ε)"),
        ("∏_{i=1}^{t} μ_i x", "(∏_{i=1}^{t} μ_i) x"),
    ],
)
def test_precedence(text: str, bracketed: str) -> None:
    assert expression(text) == expression(bracketed)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a / b c", "E016"),
        ("a / (b) c", "E016"),
        ("a / 2 c", "E016"),
        ("1/2 x", "E016"),
        ("√x²", "E015"),
        ("√(x)²", "E015"),
        ("θ_t-1", "E017"),
        ("β^t-1", "E017"),
        ("γλ", "E011"),
        ("2x", "E011"),
        ("β₁m", "E011"),
        ("x^α_t", "E012"),
        (r"x^\alpha_t", "E012"),
        ("a 2", "E038"),
        ("0.9 0.999", "E038"),
        ("v_t^2^3", "E046"),
        ("x^2^3", "E046"),
        ("x then", "E036"),
        ("if", "E037"),
    ],
)
def test_what_can_be_read_two_ways_is_an_error(text: str, code: str) -> None:
    assert codes(text) == [code]


def test_time_minus_one_apart_is_a_difference() -> None:
    assert expression("θ_t - 1") == expression("(θ_t) - (1)")
    assert expression("1 - β^t") == expression("1 - (β^t)")


def test_running_product_is_over_the_current_summand() -> None:
    running = expression("∏_{i=1}^{t} μ_i")
    assert running == ast.Running("*", name("μ", Time.NOW), None)  # type: ignore[arg-type]


def test_name_then_brackets_multiplies_unless_the_spec_defines_a_function() -> None:
    text = "function NS(X; a):\n    return X\nfunction f(x):\n    return NS(x; 2) γ (x)\n"
    parsed = parse(Source("<test>", text))
    assert parsed.module is not None
    value = parsed.module.functions[1].body[0].value  # type: ignore[union-attr]
    assert isinstance(value, ast.Binary) and isinstance(value.left, ast.Binary)
    call = value.left.left
    assert isinstance(call, ast.Call)
    assert (call.function, len(call.arguments), len(call.parameters)) == ("NS", 1, 1)
