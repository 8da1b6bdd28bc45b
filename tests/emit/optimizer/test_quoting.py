"""Text from a spec stays text, whatever it holds."""

from __future__ import annotations

import ast
import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optdsl.emit.optimizer.quoting import docstring, f_string, literal

NASTY = (
    'ends in a quote"',
    "ends in a backslash\\",
    "ends in two\\\\",
    '""" + __import__("os").system("true") + """',
    "'''",
    "{x} {{y}} }{ {",
    "\\N{BULLET} \\x41 \\u0041 \\",
    "a\x00b\x07c\x0cd\x85e\u2028f",
    "\u202eleft to right?\u2066",
    "first line\n    second line\\\n\n    \\begin{aligned}",
    "%s %(x)d $x ${x} {% raw %} {{ name }} {# no comment #}",
    "",
)

texts = pytest.mark.parametrize("text", NASTY)


@texts
def test_literal(text: str) -> None:
    assert ast.literal_eval(literal(text)) == text


@given(st.text())
def test_any_literal(text: str) -> None:
    assert ast.literal_eval(literal(text)) == text
    assert literal(text).isprintable()


@texts
def test_f_string(text: str) -> None:
    assert eval(f_string([(False, text), (True, "value"), (False, text)]), {"value": 3}) == f"{text}3{text}"
    assert eval(f_string([(False, text)])) == text


@given(st.text(alphabet=st.one_of(st.characters(), st.sampled_from('\\"{}\n'))))
def test_any_docstring(text: str) -> None:
    """Nothing comes out of the literal, and its text is what was put in but for the indent and the last line break."""
    source = f"class C:\n    {docstring(text, '    ')}\n"
    (body,) = ast.parse(source).body[0].body  # type: ignore[attr-defined]
    value = body.value.value
    assert inspect.cleandoc(value).split() == text.split()


@texts
def test_docstring_shows_nothing_invisible(text: str) -> None:
    assert all(line.isprintable() for line in docstring(text).split("\n"))


def test_docstring_is_raw_where_it_can_be() -> None:
    assert docstring(r"\beta_1") == r'r"""\beta_1"""'
    assert docstring("no backslash") == '"""no backslash"""'
    assert docstring('\\beta and """') == '"""\\\\beta and \\"\\"\\""""'
