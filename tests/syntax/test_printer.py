"""The canonical text: it is read back as the same tree, and looks as a person would write it."""

from __future__ import annotations

import math
import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optdsl.source import Source, Span
from optdsl.syntax import ast, parse
from optdsl.syntax.ast import Symbol, Time
from optdsl.syntax.notation import ASCII, LATEX, UNICODE
from optdsl.syntax.printer import unparse
from optdsl.syntax.vocabulary import ACCENTS, GREEK

ROOT = Path(__file__).parent.parent.parent
SPECS = [
    *sorted((ROOT / "specs").glob("*.opt")),
    ROOT / "specs" / "parts" / "transforms.opt",
    ROOT / "tests" / "edits.opt",
]
NOWHERE = Span(Source("<drawn>", ""), 0, 0)


def read(text: str) -> ast.Module:
    parsed = parse(Source("<text>", text))
    assert parsed.module is not None and not parsed.diagnostics, (text, parsed.diagnostics)
    return parsed.module


def statement(text: str) -> ast.Stmt:
    """``text`` as a statement of a step."""
    return read(f"optimizer A:\n    for t = 1 to … do\n        {text}\n    return θ_t\n").optimizers[0].body[0]


def expression(text: str) -> ast.Expr:
    stmt = statement(f"x ← {text}")
    assert isinstance(stmt, ast.Assign)
    return stmt.value


@pytest.mark.parametrize("path", SPECS, ids=lambda p: p.stem)
def test_a_spec_is_read_back(path):
    module = read(path.read_text(encoding="utf-8"))
    text = unparse(module)
    assert read(text) == module
    assert unparse(read(text)) == text


@pytest.mark.parametrize("path", SPECS, ids=lambda p: p.stem)
def test_a_spec_is_already_canonical_but_for_blanks_and_comments(path):
    def words(text):
        return ["".join(line.split()) for line in re.sub(r"#.*", "", text).split("\n")]

    text = path.read_text(encoding="utf-8")
    canonical = [line for line in words(unparse(read(text))) if line]
    assert canonical == [line.replace("₀", "_0") for line in words(text) if line]


@pytest.mark.parametrize(
    "text",
    [
        "β₁ m_{t-1} + (1 - β₁) g_t",
        "γ m̂_t / (√v̂_t + ε)",
        "1/2 · 0.96^(t ψ)",
        "β₁ (1 - 1/2 · 0.96^((t + 1) ψ))",
        "1 / 2^t",
        "a / b · c",
        "a (b / c)",
        "a / (b c)",
        "a - (b - c)",
        "a - b + c",
        "a (b c)",
        "(a + b) c",
        "(-a) b",
        "-a b",
        "-(a / b)",
        "a + (-b)",
        "a · 2",
        "2 a b²",
        "a · 2^t",
        "(a^b)^c",
        "x^(-1)",
        "x^n",
        "x^(n_t)",
        "(v_t^max)²",
        "v_t^max / (1 - β₂^t)",
        "√2",
        "√(x²)",
        "√max(a, b)",
        "|g_t - θ_t|",
        "abs(|x| - y)",
        "‖x‖",
        "⌊1.25 K⌋",
        "not (a > b and c)",
        "not a > b or c",
        "a or (b and c) or d",
        "0 ≤ β < 1",
        "a is not none",
        "(a or b) c",
        "c A @ A",
        "Xᵀ",
        "mean(G_t², over cols)",
        "∏_{i=1}^{t} μ_i",
        "∇f_t(θ_{t-1})",
        '"match_rms_adamw"',
        "η₊ Γ_max",
        "(μ_{t+1} - 1) x",
    ],
)
def test_an_expression_is_written_with_the_fewest_brackets(text):
    assert unparse(expression(text)) == text


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        (r"\frac{\hat{m}_t}{\sqrt{\hat{v}_t} + \epsilon}", "m̂_t / (√v̂_t + ε)"),
        ("beta_1 * m_{t-1}", "β₁ m_{t-1}"),
        ("g_t^2", "g_t²"),
        ("sqrt(x) + abs(y)", "√x + |y|"),
        (r"\max(a, b)", "max(a, b)"),
        ("((a)) + (b * c)", "a + b c"),
    ],
)
def test_every_spelling_has_one_canonical_form(text, canonical):
    assert unparse(expression(text)) == canonical


def test_a_brace_has_its_conditions_one_below_the_other():
    text = "B̃_t ← { (1 - μ) g_t + μ B_t    if nesterov\n      { B_t                    otherwise"
    indented = text.replace("\n", "\n        ")
    assert unparse(statement(indented)) == text


def test_columns_are_aligned_and_the_star_comes_before_the_first_keyword_only_input():
    text = '''\
optimizer A:
    """A doc string.

    It has two paragraphs.
    """

    input:
        γ (lr) = 1e-3       where γ ≥ 0 else "no \\"lr\\""    -- learning rate
        m̂ (m) = 1
            where 0 ≤ m̂ < 1 else "m has to be at least zero, and it has to be less than one"
        foreach
        *
        maximize, fused
        weight_decay = 0                                    -- decay

    initialize:
        m_0 ← 0 (exp_avg)    if weight_decay ≠ 0 at construction
        b (momentum_buffer)

    for t = 1 to … do
        g_t ← ∇f_t(θ_{t-1})

    return θ_t
'''
    assert unparse(read(text)) == text


# ---------------------------------------------------------------------------------------------- trees drawn at random

LETTERS = [*"abcdxyzABCXYZ", *GREEK.values()]
FENCED = ["sqrt", "abs", "norm", "floor", "ceil"]
WORDS = ["lr", "weight_decay", "amsgrad", "initial_value"]
symbols = st.one_of(
    st.builds(
        Symbol,
        st.sampled_from(LETTERS),
        st.sampled_from(["", *ACCENTS]),
        st.sampled_from(["", "1", "12", "+", "-", "min"]),
        st.sampled_from(["", "max", "prev"]),
    ),
    st.builds(Symbol, st.sampled_from(WORDS), st.sampled_from(["", "hat"])),
)
names = st.builds(ast.Name, symbols, st.sampled_from(Time), st.just(NOWHERE))
numbers = st.one_of(st.integers(0, 99), st.floats(0, 1e6), st.just(math.inf)).map(lambda v: ast.Number(v, "", NOWHERE))
texts = st.text(st.characters(exclude_categories=("C",)), max_size=5).map(lambda t: unicodedata.normalize("NFC", t))
leaves = st.one_of(
    names,
    numbers,
    st.booleans().map(lambda v: ast.Bool(v, NOWHERE)),
    texts.map(lambda v: ast.String(v, NOWHERE)),
    st.sampled_from([ast.NoneLiteral(NOWHERE), ast.StepTime(NOWHERE), ast.Gradient(NOWHERE)]),
)


@st.composite
def composed(draw: st.DrawFn, inner: st.SearchStrategy[ast.Expr]) -> ast.Expr:
    """A node of any kind above drawn ones."""
    kind = draw(st.sampled_from(["unary", "binary", "compare", "none", "call", "over", "cases", "running"]))
    one = draw(inner)
    match kind:
        case "unary":
            return ast.Unary(draw(st.sampled_from(["-", "not", "transpose"])), one, NOWHERE)
        case "binary":
            op = draw(st.sampled_from(["+", "-", "*", "/", "mod", "^", "@", "and", "or"]))
            return ast.Binary(op, one, draw(inner), NOWHERE)
        case "compare":
            ops = draw(st.lists(st.sampled_from("=≠<≤>≥"), min_size=1, max_size=3))
            return ast.Compare((one, *(draw(inner) for _ in ops)), tuple(ops), NOWHERE)
        case "none":
            op = draw(st.sampled_from(["is", "is not"]))
            return ast.Compare((one, ast.NoneLiteral(NOWHERE)), (op,), NOWHERE)
        case "call":
            function, count = draw(st.sampled_from([*((f, 1) for f in FENCED), ("exp", 1), ("max", 2), ("clamp", 3)]))
            return ast.Call(function, (one, *(draw(inner) for _ in range(count - 1))), span=NOWHERE)
        case "over":
            return ast.Call("mean", (one,), over=draw(st.sampled_from(["rows", "all", "all parameters"])), span=NOWHERE)
        case "cases":
            conditions = draw(st.lists(inner, min_size=1, max_size=2))
            lines = (ast.Case(draw(inner), condition, NOWHERE) for condition in conditions)
            return ast.Cases((*lines, ast.Case(one, None, NOWHERE)), NOWHERE)
        case _:
            return ast.Running(draw(st.sampled_from("*+")), draw(names), NOWHERE)


@pytest.mark.parametrize("notation", [UNICODE, ASCII, LATEX], ids=["unicode", "ascii", "latex"])
@given(tree=st.recursive(leaves, composed, max_leaves=12))
@settings(max_examples=200)
def test_any_expression_is_read_back(notation, tree):
    assert expression(unparse(tree, notation)) == tree
