"""The algorithm box: torch's form, and nothing of a spec's text that could act in LaTeX or end a doc string."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optdsl.check import analyse
from optdsl.emit.latex import latex
from optdsl.emit.latex.expressions import escaped, expression
from optdsl.resources import spec_text
from optdsl.source import Source, Span
from optdsl.syntax import ast, parse
from tests.specs import spec
from tests.strategies import programs


def module(text: str, name: str = "<text>") -> ast.Module:
    parsed = parse(Source(name, text))
    assert parsed.module is not None and not parsed.diagnostics, parsed.diagnostics
    return parsed.module


def load(statement: ast.Import) -> ast.Module:
    return module(spec_text(statement.file), statement.file)


def box(name: str) -> str:
    """The box of a shipped spec."""
    (checked,) = analyse(load(ast.Import(name, name, Span(Source("", ""), 0, 0))), load).optimizers
    return latex(checked.optimizer)


ADAM = r"""\begin{aligned}
     &\rule{110mm}{0.4pt}                                                                         \\
     &\textbf{input}      : \theta_0 \text{ (params)}, \: f(\theta) \text{ (objective)},
         \: \gamma \text{ (lr)}, \: \beta_1, \beta_2 \text{ (betas)}, \: \varepsilon
         \text{ (eps)},                                                                           \\
     &\hspace{13mm}      \lambda \text{ (weight decay)}, \: \textit{amsgrad},
         \: \textit{maximize}, \: \textit{decoupled\_weight\_decay}                               \\
     &\textbf{initialize} : m_0 \leftarrow 0 \text{ (exp avg)}, \: v_0 \leftarrow 0
         \text{ (exp avg sq)}, \: v_0^{\mathrm{max}} \leftarrow 0 \text{ (max exp avg sq)} \\[-1.ex]
     &\rule{110mm}{0.4pt}                                                                         \\
     &\textbf{for} \: t=1 \: \textbf{to} \: \ldots \: \textbf{do}                                 \\
     &\hspace{5mm}\textbf{if} \: \textit{maximize}:                                               \\
     &\hspace{10mm}g_t \leftarrow -\nabla_{\theta} f_t (\theta_{t-1})                             \\
     &\hspace{5mm}\textbf{else}                                                                   \\
     &\hspace{10mm}g_t \leftarrow \nabla_{\theta} f_t (\theta_{t-1})                              \\
     &\hspace{5mm}\textbf{if} \: \lambda \neq 0                                                   \\
     &\hspace{10mm}\textbf{if} \: \textit{decoupled\_weight\_decay}                               \\
     &\hspace{15mm}\theta_t \leftarrow \theta_{t-1} - \gamma \lambda \theta_{t-1}                 \\
     &\hspace{10mm}\textbf{else}                                                                  \\
     &\hspace{15mm}g_t \leftarrow g_t + \lambda \theta_{t-1}                                      \\
     &\hspace{5mm}m_t \leftarrow \beta_1 m_{t-1} + (1 - \beta_1) g_t                              \\
     &\hspace{5mm}v_t \leftarrow \beta_2 v_{t-1} + (1 - \beta_2) g_t^2                            \\
     &\hspace{5mm}\widehat{m_t} \leftarrow m_t / \big(1 - \beta_1^t\big)                          \\
     &\hspace{5mm}\textbf{if} \: \textit{amsgrad}                                                 \\
     &\hspace{10mm}v_t^{\mathrm{max}} \leftarrow \mathrm{max}(v_{t-1}^{\mathrm{max}}, v_t)        \\
     &\hspace{10mm}\widehat{v_t} \leftarrow v_t^{\mathrm{max}} / \big(1 - \beta_2^t\big)          \\
     &\hspace{5mm}\textbf{else}                                                                   \\
     &\hspace{10mm}\widehat{v_t} \leftarrow v_t / \big(1 - \beta_2^t\big)                         \\
     &\hspace{5mm}\theta_t \leftarrow \theta_t - \gamma \widehat{m_t} /
         \big(\sqrt{\widehat{v_t}} + \varepsilon\big)                                             \\
     &\rule{110mm}{0.4pt}                                                                  \\[-1.ex]
     &\bf{return} \:  \theta_t                                                             \\[-1.ex]
     &\rule{110mm}{0.4pt}                                                                  \\[-1.ex]
\end{aligned}"""


def test_adam():
    assert box("adam") == ADAM


def test_fixed_inputs_and_what_they_rule_out_are_not_in_the_box():
    """AdamW is Adam with ``decoupled_weight_decay := true``."""
    rows = [line.rstrip(" \\") for line in box("adamw").splitlines()]
    decay = rows.index(r"     &\hspace{5mm}\textbf{if} \: \lambda \neq 0")
    assert rows[decay + 1] == r"     &\hspace{10mm}\theta_t \leftarrow \theta_{t-1} - \gamma \lambda \theta_{t-1}"
    assert rows[decay + 2].startswith(r"     &\hspace{5mm}m_t")
    assert "decoupled" not in "".join(rows)


def test_a_box_without_initial_values_has_no_initialize():
    assert "initialize" not in box("sgd")


STEP = "optimizer A:\n    input:\n{inputs}\n    for t = 1 to … do\n{body}\n    return θ_t\n"


@pytest.mark.parametrize(
    ("statement", "row"),
    [
        ("x ← a / b · c", r"x \leftarrow a / b \cdot c"),
        ("x ← a (b + c)", r"x \leftarrow a (b + c)"),
        ("x ← a · 2", r"x \leftarrow a \cdot 2"),
        ("x ← a (1 - 2 b)", r"x \leftarrow a (1 - 2 b)"),
        ("x ← a - (b - c)", r"x \leftarrow a - (b - c)"),
        ("x ← (a + b)^(t + 1)", r"x \leftarrow (a + b)^{t + 1}"),
        ("x ← (v_t^max)² + (a b)²", r"x \leftarrow (v_t^{\mathrm{max}})^2 + (a b)^2"),
        ("x ← m̂_t²", r"x \leftarrow \widehat{m_t}^2"),
        ("x ← -(a + b) + 1e-6 + 2.5e-8", r"x \leftarrow -(a + b) + 10^{-6} + 2.5 \times 10^{-8}"),
        ("x ← |a| + ‖b‖ + ⌊c⌋ + √(a b)", r"x \leftarrow |a| + \|b\| + \lfloor c \rfloor + \sqrt{a b}"),
        ("x ← max(a, exp(b))", r"x \leftarrow \mathrm{max}(a, \mathrm{exp}(b))"),
        ("x ← mean(a, over rows)", r"x \leftarrow \mathrm{mean}(a \text{ over rows})"),
        ("x ← ∏_{i=1}^{t} μ_i", r"x \leftarrow \prod_{i=1}^{t} \mu_i"),
        ("x ← a @ bᵀ", r"x \leftarrow a \mathbin{\,} b^{\top}"),
        (
            "x ← not a and b is none",
            r"x \leftarrow \textbf{not} \: a \: \textbf{and} \: b \: \textbf{is} \: \textit{none}",
        ),
        (
            'x ← { a    if m = "x_y"\n     { b    otherwise',
            r"x \leftarrow \begin{cases} a & \text{if } m = \text{``x\_y''} \\ b & \text{otherwise} \end{cases}",
        ),
        ("repeat k times\n    x ← a", r"\textbf{repeat} \: k \: \textbf{times}"),
    ],
)
def test_a_statement(statement, row):
    text = latex(
        module(STEP.format(inputs="        γ = 1", body=" " * 8 + statement.replace("\n", "\n" + " " * 8))).optimizers[
            0
        ]
    )
    assert rf"&\hspace{{5mm}}{row} \\" in " ".join(text.split())


@pytest.mark.parametrize(
    ("statement", "row"),
    [
        ("x ← k a", r"x \leftarrow 2 a"),
        ("if on and k > 1\n    x ← a\nelse\n    x ← b", r"x \leftarrow a"),
        ('if not on or k ≠ 2\n    x ← a\nelse if mode = "soft"\n    x ← b', r"x \leftarrow b"),
        ("if on and a > 0\n    x ← a", r"\textbf{if} \: a > 0"),
        ("if a > 0 or not on\n    x ← a", r"\textbf{if} \: a > 0"),
        ("x ← { a if k > 2\n     { b if on\n     { c otherwise", r"x \leftarrow b"),
        (
            "x ← { a if k > 2\n     { b if c > 0\n     { c otherwise",
            r"x \leftarrow \begin{cases} b & \text{if } c > 0 \\ c & \text{otherwise} \end{cases}",
        ),
    ],
)
def test_a_fixed_value_stands_for_its_name(statement, row):
    inputs = '        k := 2\n        on := true\n        mode ∈ {"soft", "hard"} := "soft"\n        a = 1'
    text = latex(
        module(STEP.format(inputs=inputs, body=" " * 8 + statement.replace("\n", "\n" + " " * 8))).optimizers[0]
    )
    assert rf"\textbf{{do}} \\ &\hspace{{5mm}}{row} \\" in " ".join(text.split())


def test_choices_are_listed():
    text = latex(module(STEP.format(inputs='        mode ∈ {"a", "b"} = none', body="        x ← 1")).optimizers[0])
    assert r"\textit{mode} \in \{\text{``a''}, \text{``b''}\}" in " ".join(text.split())


HOSTILE = ['"""', "\\", "\\end{aligned}", "\\input{/etc/passwd}", "\n\n.. raw:: html\n", "}$$", "`'\"", "\x00\x1b", "%"]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_only_text(text):
    place = Span(Source("", ""), 0, 0)
    safe = expression(ast.String(text, place))
    assert_harmless(safe)
    assert_harmless(latex(hostile_optimizer(text)))


@given(st.text(max_size=20))
@settings(max_examples=200)
def test_any_text_is_only_text(text):
    assert_harmless(rf"\text{{{escaped(text)}}}")


def hostile_optimizer(text: str) -> ast.Optimizer:
    """An optimizer in which everything that a spec's text can put there is ``text``."""
    place = Span(Source("", ""), 0, 0)
    symbol = ast.Name(ast.Symbol("x"), ast.Time.NOW, place)
    string = ast.String(text, place)
    condition = ast.Compare((symbol, string), ("=",), place)
    return ast.Optimizer(
        name="A",
        base=None,
        doc=text,
        inputs=(ast.Input((symbol,), None, (string,), (ast.Constraint(condition, text, place),), (text,), doc=text),),
        states=(ast.State(symbol, string, None, condition, span=place),),
        body=(ast.If((ast.Branch(condition, (ast.Assign((symbol,), string, None, place),), place),), (), place),),
        returns=string,
        span=place,
    )


OWN_COMMANDS = {
    *("begin", "end", "rule", "text", "textbf", "textit", "textbackslash", "bf", "mathrm", "hspace"),
    *("leftarrow", "theta", "nabla", "neq", "in", "ldots"),
}


def assert_harmless(text: str) -> None:
    """No way out of a raw doc string or of the mathematics; every brace closed; no command but the box's own."""
    assert '"' not in text and not text.endswith("\\") and text.isprintable() is ("\n" not in text)
    assert "\n\n" not in text and all(line.strip() for line in text.split("\n"))
    depth = 0
    for token in re.findall(r"\\.|[{}]", text, re.DOTALL):
        depth += {"{": 1, "}": -1}.get(token, 0)
        assert depth >= 0
    assert depth == 0
    assert set(re.findall(r"\\([A-Za-z]+)", text)) <= OWN_COMMANDS


@given(programs(spelled=True))
@settings(max_examples=50)
def test_the_box_of_a_drawn_spec_is_balanced(program):
    text = latex(spec(program).optimizers[0])
    assert '"' not in text and "\n\n" not in text
    assert text.count("{") == text.count("}")
    assert text.count(r"\big(") == text.count(r"\big)")
    assert all(len(line) <= 100 for line in text.split("\n"))
