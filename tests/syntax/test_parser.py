"""What the parser makes of declarations, layout and places in the text."""

from __future__ import annotations

from dataclasses import fields, is_dataclass

import pytest

from optdsl.resources import spec_names, spec_text
from optdsl.source import Source, Span
from optdsl.syntax import ast, parse
from optdsl.syntax.ast import Symbol


def module(text: str) -> ast.Module:
    parsed = parse(Source("<test>", text))
    assert parsed.module is not None, [(d.code, d.message) for d in parsed.diagnostics]
    return parsed.module


def step(*lines: str) -> tuple[ast.Stmt, ...]:
    """The statements of a step with these lines."""
    text = "optimizer X:\n    for t = 1 to … do\n" + "".join(f"        {line}\n" for line in lines)
    return module(text).optimizers[0].body


def optimizer(section: str, *lines: str) -> ast.Optimizer:
    return module(f"optimizer X:\n    {section}:\n" + "".join(f"        {line}\n" for line in lines)).optimizers[0]


def codes(text: str) -> list[tuple[str, int, int]]:
    parsed = parse(Source("<test>", text))
    return [(d.code, *d.span.source.line_column(d.span.start)) for d in parsed.diagnostics]


# ------------------------------------------------------------------------------------------------------------- specs


@pytest.mark.parametrize("name", spec_names())
def test_specs_parse(name: str) -> None:
    assert module(spec_text(name)).optimizers


def test_adam() -> None:
    adam = module(spec_text("adam")).optimizers[0]
    assert adam.name == "Adam" and adam.doc.startswith("Adam with bias-corrected")
    assert [i.python_name or i.names[0].symbol.base for i in adam.inputs] == [
        "lr", "betas", "eps", "weight_decay", "amsgrad", "foreach", "maximize", "capturable", "differentiable", "fused",
        "decoupled_weight_decay",
    ]  # fmt: skip
    assert [i.keyword_only for i in adam.inputs] == [False] * 5 + [True] * 6
    betas = adam.inputs[1]
    assert [n.symbol for n in betas.names] == [Symbol("β", subscript="1"), Symbol("β", subscript="2")]
    assert betas.defaults is not None and [d.value for d in betas.defaults] == [0.9, 0.999]  # type: ignore[union-attr]
    assert len(betas.constraints) == 2
    assert [s.key for s in adam.states] == ["exp_avg", "exp_avg_sq", "max_exp_avg_sq"]
    assert adam.states[2].name.symbol == Symbol("v", superscript="max")
    assert isinstance(adam.states[2].condition, ast.Name)


def test_adamw_extends_adam() -> None:
    adamw = module(spec_text("adamw"))
    assert adamw.imports[0].name == "Adam" and adamw.imports[0].file == "adam"
    assert adamw.optimizers[0].base == "Adam"
    fixed = adamw.optimizers[0].inputs[-1]
    assert fixed.fixed and fixed.defaults == (ast.Bool(True, None),)  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------------ declarations


def test_names_without_a_tuple_are_inputs_of_their_own() -> None:
    inputs = optimizer("input", "*", "a, b = 1, 2  where b > 0", "c, d (cd) = 3, 4").inputs
    assert [len(i.names) for i in inputs] == [1, 1, 2]
    assert [len(i.constraints) for i in inputs] == [0, 1, 0]
    assert all(i.keyword_only for i in inputs)


def test_doc_before_and_after_constraints() -> None:
    before, after = optimizer(
        "input", "γ (lr) = 1  -- rate", "    where γ ≥ 0", "    -- of learning", "λ (decay) = 0 where λ ≥ 0 -- decay"
    ).inputs
    assert (before.doc, len(before.constraints)) == ("rate of learning", 1)
    assert (after.doc, len(after.constraints)) == ("decay", 1)


def test_choices_and_messages() -> None:
    fn, lr = optimizer(
        "input", 'fn ∈ {"a", "b \\"c\\""} = none', 'γ (lr) = 1 where γ ≥ 0 else "no", not fn is none'
    ).inputs
    assert fn.choices == ("a", 'b "c"') and isinstance(fn.defaults, tuple)
    assert [c.message for c in lr.constraints] == ["no", None]


def test_states() -> None:
    states = optimizer(
        "initialize",
        "t ← 0 (step)",
        "b (momentum_buffer) if μ ≠ 0",
        "s_0 ← τ (sum) at construction",
        "η_0 ← γ (1 - γ) (step_size)",
        "R_0 ← 0 (row_var): mean(θ_0, over cols) if dim(θ_0) > 1",
        "V_0 ← 0 (variance) otherwise",
        "w_0 ← 2 γ",
        "u_0 ← 0 (if) if flag at construction",
    ).states
    assert [s.key for s in states] == ["step", "momentum_buffer", "sum", "step_size", "row_var", "variance", None, "if"]
    assert states[0].name.symbol == Symbol("t")
    assert states[1].value is None and states[1].condition is not None
    assert [s.eager for s in states] == [False, False, True, False, False, False, False, True]
    assert isinstance(states[3].value, ast.Binary) and states[3].value.op == "*"
    assert isinstance(states[4].shape, ast.Call) and states[4].shape.over == "cols"
    assert states[5].condition == ast.Unary("not", states[4].condition, None)  # type: ignore[arg-type]


def test_doc_string_loses_its_margin() -> None:
    text = 'optimizer X:\n    """First.\n\n      Second,\n        third.\n    """\n    return θ_t\n'
    assert module(text).optimizers[0].doc == "First.\n\nSecond,\n  third."


def test_functions_and_imports() -> None:
    parsed = module(
        'import A, B from "dir/file"\n'
        'function F(x, y; a, b):\n    """Doc."""\n    return x\n\n'
        "function G(x):\n    return F(x, x; 1, 2)\n"
    )
    assert [(i.name, i.file) for i in parsed.imports] == [("A", "dir/file"), ("B", "dir/file")]
    function = parsed.functions[0]
    assert (function.name, len(function.arguments), len(function.parameters), function.doc) == ("F", 2, 2, "Doc.")


# ------------------------------------------------------------------------------------------------------------ layout


def test_lines_that_go_on() -> None:
    (one,) = step("x ← a")
    assert step("x ← (", "  a", "", "  )") == (one,)
    assert step("x ← a", "    + b", "    · c") == step("x ← a + b · c")
    assert step("x ← a where b", "    and c") == step("x ← a where b and c")
    assert step("x ← max(a,", "  b)") == step("x ← max(a, b)")
    assert step("x ← { a if c", "    { b if d", "    { e otherwise") == step("x ← { a if c { b if d { e otherwise")


def test_comments_and_blank_lines_do_not_matter() -> None:
    assert step("if a  # one", "", "    # two", "  # three", "    x ← 1", "        # four", "y ← 2") == step(
        "if a", "    x ← 1", "y ← 2"
    )


def test_comments_are_kept_beside_the_tree() -> None:
    parsed = parse(Source("<test>", 'optimizer X:  # one\n    # two "\n    return θ_t\n'))
    assert [c.text for c in parsed.comments] == ["# one", '# two "']


@pytest.mark.parametrize(
    "change", [("\n", "\r\n"), ("\n", "\r"), ("    ", "\t"), ("", ""), ("\n\n    i", "\n\n\n \n    i")]
)
def test_line_ends_and_tabs(change: tuple[str, str]) -> None:
    text = spec_text("adam")
    assert module(text.replace(*change)) == module(text)
    assert module("\ufeff" + text.replace(*change)) == module(text)
    assert module(text.replace(*change).rstrip()) == module(text)


def test_else_belongs_to_the_if_of_its_depth() -> None:
    (outer,) = step("if a", "    if b", "        x ← 1", "else if c", "    x ← 2", "else", "    x ← 3")
    assert isinstance(outer, ast.If)
    assert len(outer.branches) == 2 and len(outer.orelse) == 1


# ------------------------------------------------------------------------------------------------------------- spans


def spans(node: object) -> list[tuple[object, Span]]:
    """Every node of a tree with its span."""
    found = []
    if is_dataclass(node) and not isinstance(node, Span | Source):
        span = getattr(node, "span", None)
        if isinstance(span, Span):
            found.append((node, span))
        for field in fields(node):
            found += spans(getattr(node, field.name))
    elif isinstance(node, tuple):
        for item in node:
            found += spans(item)
    return found


@pytest.mark.parametrize("name", spec_names())
def test_span_of_every_expression_reads_as_that_expression(name: str) -> None:
    read = module(spec_text(name))
    known = "".join(f"import {i.name} from {i.file}\n" for i in read.imports)
    known += "".join(f"{function.span.text}\n\n" for function in read.functions)
    for node, span in spans(read):
        if isinstance(node, ast.Binary | ast.Call | ast.Name | ast.Number | ast.Unary | ast.Compare | ast.Gradient):
            text = "2" if span.text == "²" else span.text
            (again,) = module(f"{known}function probe(x):\n    y ← {text}\n").functions[-1].body
            assert isinstance(again, ast.Assign)
            assert again.value == node or isinstance(again.value, ast.StepTime)


def test_spans_point_into_the_text_as_written() -> None:
    text = r"\widehat{m_t} <- \frac{a}{\beta_1} + \sqrt{v} \left(x\right)"
    (statement,) = step(text)
    assert isinstance(statement, ast.Assign)
    assert statement.span.text == text
    assert statement.targets[0].span.text == r"\widehat{m_t}"
    quotient = statement.value.left  # type: ignore[union-attr]
    assert quotient.span.text == r"\frac{a}{\beta_1}"
    assert quotient.right.span.text == r"{\beta_1}"
    assert statement.value.right.left.span.text == r"\sqrt{v}"  # type: ignore[union-attr]


def test_spans_of_declarations() -> None:
    parsed = module("optimizer X extends Y:\n    input:\n        γ (lr) = 1  where γ ≥ 0\n")
    declared = parsed.optimizers[0]
    assert declared.name_span.text == "X"
    assert declared.base_span is not None and declared.base_span.text == "Y"
    (lr,) = declared.inputs
    assert lr.python_name_span is not None and lr.python_name_span.text == "lr"
    assert lr.span.text == "γ (lr) = 1  where γ ≥ 0"
    assert lr.constraints[0].span.text == "γ ≥ 0"


def test_decomposed_characters_keep_their_columns() -> None:
    assert codes("function f(x):\n    g\u0302 ← 1\n    m\u0302_t = 2\n") == [("E033", 3, 10)]


# ---------------------------------------------------------------------------------------------------------- recovery


def test_all_mistakes_at_once() -> None:
    text = (
        "optimizer X\n"
        "    inputs:\n"
        "        γ (lr) ← 1e-3\n"
        "    for t = 1 to …\n"
        "        g_t = ∇f_t(θ_{t-1})\n"
        "        if γ > \n"
        "            x ← 2γ\n"
        "        elif γ\n"
        "            y ← maxx(a, b)\n"
        "        θ_t ← θ_{t-1} - (γ g_t\n"
        "    return θ_t\n"
        "    retrun θ_t\n"
    )
    assert codes(text) == [
        ("E031", 1, 12),
        ("E036", 2, 5),
        ("E033", 3, 16),
        ("E032", 4, 19),
        ("E033", 5, 13),
        ("E037", 6, 14),
        ("E011", 7, 17),
        ("E036", 8, 9),
        ("E039", 9, 17),
        ("E007", 10, 25),
        ("E036", 12, 5),
    ]


def test_a_slip_in_indentation_is_reported_once() -> None:
    text = "optimizer X:\n    input:\n         a = 1\n        b = 2\n        c = = 3\n         d = 4\n    retrun θ_t\n"
    assert codes(text) == [("E010", 4, 9), ("E037", 5, 13), ("E036", 7, 5)]


def test_lines_in_a_row_that_are_out_of_place_are_reported_once() -> None:
    assert codes("optimizer X:\n    x ← 1\n    y ← 2\n    z ← 3\n    return θ_t\n") == [("E041", 2, 5)]


def test_module_is_missing_where_there_is_a_mistake() -> None:
    assert parse(Source("<test>", "optimizer X:\n    return θ_t +\n")).module is None


def test_what_follows_from_an_unreadable_character_is_not_reported() -> None:
    assert codes("function f(x):\n    y ← $ $ x = = 2\n    z ← ((\n") == [("E001", 2, 9), ("E007", 3, 10)]


@pytest.mark.parametrize(
    "text",
    [
        "x" + "\n" * 3,
        "(" * 500,
        "{" * 500,
        "\\" * 500,
        '"""' * 5,
        "|" * 500,
        "^" * 500,
        "if\n" * 9,
        "\n\u0302",
        "\t\u0302",
    ],
)
def test_hopeless_text_is_only_reported(text: str) -> None:
    assert parse(Source("<test>", text)).diagnostics
