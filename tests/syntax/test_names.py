"""Names: an identifier per symbol, and every written form read back."""

from __future__ import annotations

import keyword

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optdsl.source import Source
from optdsl.syntax import ast, parse
from optdsl.syntax.ast import Symbol, Time
from optdsl.syntax.names import TIMES, decompose, display, latex, python_name
from optdsl.syntax.vocabulary import ACCENTS, FOREIGN_WORDS, FUNCTIONS, GREEK, RESERVED

WORDS = st.from_regex(r"[a-z]{2,6}(_[a-z]{2,5}){0,2}", fullmatch=True)
LATIN = st.sampled_from("abcdefghijklmnopqrsuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")  # t alone is the step count
SCRIPTS = st.one_of(
    st.from_regex(r"[1-9][0-9]?", fullmatch=True),
    st.from_regex(r"[a-z]{1,5}", fullmatch=True),
    st.sampled_from(["+", "-", "∞", *GREEK.values()]),
)
SUPERSCRIPTS = st.one_of(st.just(""), st.from_regex(r"[a-z]{2,4}", fullmatch=True))
SYMBOLS = st.one_of(
    st.builds(
        Symbol,
        LATIN | st.sampled_from([*GREEK.values()]),
        st.sampled_from(["", *ACCENTS]),
        SCRIPTS | st.just(""),
        SUPERSCRIPTS,
    ),
    st.builds(Symbol, WORDS, st.sampled_from(["", *ACCENTS]), st.just(""), SUPERSCRIPTS),
)


def is_canonical(symbol: Symbol) -> bool:
    """Whether the parser makes this symbol; ``m`` with subscript ``hat``, for one, is ``m̂``."""
    taken = {*ACCENTS, *TIMES, *GREEK, "plus", "minus", "inf"}
    if symbol.subscript in taken or symbol.superscript in GREEK:
        return False
    if len(symbol.base) > 1:
        if symbol.base in RESERVED | FUNCTIONS | FOREIGN_WORDS | {"grad"}:
            return False
        return decompose(symbol.base) == (Symbol(symbol.base), Time.NONE)
    return True


CANONICAL = SYMBOLS.filter(is_canonical)
MOMENTS = st.sampled_from([Time.NONE, Time.INITIAL, Time.PREVIOUS, Time.NEXT])


def read(text: str) -> ast.Expr:
    parsed = parse(Source("<test>", f"function f(y):\n    return {text}\n"))
    assert parsed.module is not None, (text, [d.message for d in parsed.diagnostics])
    (statement,) = parsed.module.functions[0].body
    assert isinstance(statement, ast.Return)
    return statement.value


@pytest.mark.parametrize(
    ("text", "identifier"),
    [
        ("β₁", "beta1"),
        ("m̂_t", "m_hat"),
        ("Γ_min", "Gamma_min"),
        ("v_t^max", "v__max"),
        ("μ_{t+1}", "mu_next"),
        ("η₊", "eta_plus"),
        ("θ_{t-1}", "theta_before"),
        ("ε̂₁", "epsilon1_hat"),
        ("λ", "lambda_"),
        ("amsgrad", "amsgrad"),
        ("lr_decay", "lr_decay"),
        ("id", "id_"),
    ],
)
def test_python_name(text: str, identifier: str) -> None:
    name = read(text)
    assert isinstance(name, ast.Name)
    assert python_name(name.symbol, name.time) == identifier


@pytest.mark.parametrize(
    ("word", "symbol", "time"),
    [
        ("beta_1", Symbol("β", subscript="1"), Time.NONE),
        ("v_hat_t", Symbol("v", "hat"), Time.NOW),
        ("theta_0", Symbol("θ"), Time.INITIAL),
        ("lr_decay", Symbol("lr_decay"), Time.NONE),
        ("lr_hat_t", Symbol("lr", "hat"), Time.NOW),
        ("n_iter_max", Symbol("n_iter_max"), Time.NONE),
        ("eta_minus", Symbol("η", subscript="-"), Time.NONE),
        ("betas", Symbol("betas"), Time.NONE),
        ("epsilon_Delta", Symbol("ε", subscript="Δ"), Time.NONE),
        ("v__max", Symbol("v", superscript="max"), Time.NONE),
    ],
)
def test_decompose(word: str, symbol: Symbol, time: Time) -> None:
    assert decompose(word) == (symbol, time)


@given(CANONICAL, MOMENTS)
def test_python_name_is_undone_by_decompose(symbol: Symbol, time: Time) -> None:
    """So no two symbols share an identifier."""
    name = python_name(symbol, time)
    assert name.isidentifier() and name.isascii() and not keyword.iskeyword(name)
    assert decompose(name.removesuffix("_")) == (symbol, time)


@given(CANONICAL, st.sampled_from(Time))
def test_display_and_latex_are_read_back(symbol: Symbol, time: Time) -> None:
    for text in (display(symbol, time), latex(symbol, time)):
        assert read(text) == ast.Name(symbol, time, None)  # type: ignore[arg-type]
