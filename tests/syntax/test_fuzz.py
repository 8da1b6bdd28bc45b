"""Text at random: drawn from the grammar it is read; mutated, or plain soup, it is only ever reported."""

from __future__ import annotations

from functools import cache
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from lark.grammar import Rule

from optdsl.render import render_text
from optdsl.resources import spec_names, spec_text
from optdsl.source import Source
from optdsl.syntax import Parsed, parse
from optdsl.syntax.grammar import parser
from optdsl.syntax.vocabulary import FUNCTIONS, GREEK, KEYWORDS, LATEX_SYMBOLS

SAMPLES = {
    "NAME": ["x", "β₁", "m̂_t", r"\theta_{t-1}", "θ_{t-1}", "lr_decay", "v_t^max", "μ_{t+1}", "t", "Γ_min", "g_hat_t"],
    "IDENT": ["Adam", "lr", "if", "max"],
    "NUMBER": ["0", "1", "2.5", "1e-3", "∞"],
    "STRING": ['"text"', '"a \\" b"'],
    "DOCSTRING": ['"""A doc string."""'],
    "DOC": ["-- about it"],
    "CALLEE": ["max", "sqrt", "mean", r"\max"],
    "NABLA": ["∇", r"\nabla", "grad"],
    "RUNNING": ["∏_{i=1}^{t}", r"\sum_{i=1}^{t}"],
    "TRANSPOSE": ["ᵀ", "^T"],
    "NORM_ORDER": ["_1", "₁", "_∞", r"_\infty", "_{2}"],
    "COMPARE": ["<", "≤", ">=", "≠", r"\geq"],
    "PLUS_MINUS": ["+", "-"],
    "_EQUAL": ["="],
    "_ASSIGN": ["←", "<-", r"\gets"],
    "_DOT": ["·", "*", r"\cdot"],
    "_IN": ["∈", "in"],
    "ELLIPSIS": ["…", "..."],
    "KEY_OPEN": ["("],
    "LBAR": ["|"],
    "RBAR": ["|"],
    "LDBAR": ["‖"],
    "RDBAR": ["‖"],
    "DBAR": ["‖"],
}
"""How tokens that the grammar gives by a pattern may be written; the others are written as the grammar does."""

RANDOMS = st.integers(0, 2**32).map(Random)

FROM_THE_BUILDER = {f"E0{n:02}" for n in (8, 12, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 34)}
"""What may be wrong with a text that the grammar allows (an empty block cannot be written down: E034)."""


@cache
def rules() -> dict[str, list[tuple[str, ...]]]:
    """The expansions of every rule of the grammar."""
    found: dict[str, list[tuple[str, ...]]] = {}
    for rule in parser().rules:
        assert isinstance(rule, Rule)
        found.setdefault(rule.origin.name, []).append(tuple(symbol.name for symbol in rule.expansion))
    return found


@cache
def heights() -> dict[str, int]:
    """How deep the shallowest derivation of every rule is."""
    height = dict.fromkeys(rules(), 10**6)
    changed = True
    while changed:
        changed = False
        for name, expansions in rules().items():
            least = 1 + min(max((height.get(s, 0) for s in e), default=0) for e in expansions)
            if least < height[name]:
                height[name], changed = least, True
    return height


def derive(random: Random, start: str, budget: int) -> list[str]:
    """The tokens of a random derivation from ``start``, shallow once ``budget`` tokens are there."""
    tokens: list[str] = []
    stack = [start]
    bars = 0
    while stack:
        symbol = stack.pop()
        if symbol not in rules():
            bars += {"LBAR": 1, "LDBAR": 1, "RBAR": -1, "RDBAR": -1}.get(symbol, 0)
            tokens.append(symbol)
            continue
        expansions = [e for e in rules()[symbol] if not (bars and {"LBAR", "LDBAR"} & {*e})]
        if len(tokens) + len(stack) > budget:
            least = min(max((heights().get(s, 0) for s in e), default=0) for e in expansions)
            expansions = [e for e in expansions if max((heights().get(s, 0) for s in e), default=0) == least]
        stack += reversed(random.choice(expansions))
    return tokens


def written(random: Random, tokens: list[str]) -> str:
    """Tokens as text, laid out by their line breaks and indents."""
    patterns = {t.name: t.pattern.value for t in parser().terminals}
    lines, line, depth = [], [], 0
    for token in tokens:
        if token == "_NL":
            lines.append("    " * depth + " ".join(line))
            line = []
        elif token == "_INDENT":
            depth += 1
        elif token == "_DEDENT":
            depth -= 1
        else:
            if line and line[-1].startswith("--"):
                lines.append("    " * depth + " ".join(line))
                line = ["       "]
            line.append(random.choice(SAMPLES.get(token, [patterns.get(token, token)])))
    return "\n".join(lines) + "\n"


def assert_only_reported(text: str) -> Parsed:
    """Parse, and check what must hold of any answer."""
    source = Source("<fuzz>", text)
    parsed = parse(source)
    assert (parsed.module is None) == bool(parsed.diagnostics)
    for diagnostic in parsed.diagnostics:
        assert 0 <= diagnostic.span.start <= diagnostic.span.end <= len(text)
        assert diagnostic.code.startswith("E0") and diagnostic.message
        assert not any(word in diagnostic.message for word in ("_NL", "LPAR", "Token", "__ANON"))
        render_text(diagnostic)
    return parsed


@settings(max_examples=150)
@given(RANDOMS, st.integers(20, 200))
def test_text_drawn_from_the_grammar_is_read(random: Random, budget: int) -> None:
    text = written(random, derive(random, "start", budget))
    assert {d.code for d in assert_only_reported(text).diagnostics} <= FROM_THE_BUILDER | {"E003"}


MUTANTS = [
    *"()[]{}|‖^_=←,;:·+-*/\"'\\#\n\t\0 t1x",
    *KEYWORDS,
    *FUNCTIONS,
    *GREEK.values(),
    *list(LATEX_SYMBOLS)[:40],
    "\n        ", "\n    ", '"""', "--", "<-", ":=", "==", "\\frac{", "\\hat{", "\\begin{cases}", "\\end{cases}", "}",
    "₁", "ᵗ", "ᵐᵃˣ", "\u0302", "x_{", "^{", "…", "é", "\ufeff", "\r", "\u2028", "э", "😀",
]  # fmt: skip


def mutate(random: Random, text: str, edits: int) -> str:
    for _ in range(edits):
        i, j = sorted(random.randrange(len(text) + 1) for _ in range(2))
        j = min(j, i + random.choice((0, 1, 2, 10, 60)))
        kind = random.randrange(4)
        if kind == 0:
            text = text[:i] + text[j:]
        elif kind == 1:
            text = text[:i] + random.choice(MUTANTS) + text[i:]
        elif kind == 2:
            text = text[:i] + random.choice(MUTANTS) + text[j:]
        else:
            text = text[:j] + text[i:j] + text[j:]
    return text


@settings(max_examples=150)
@given(RANDOMS, st.sampled_from(spec_names()), st.integers(1, 12))
def test_mutated_specs_are_only_reported(random: Random, name: str, edits: int) -> None:
    assert_only_reported(mutate(random, spec_text(name), edits))


@settings(max_examples=100)
@given(RANDOMS, st.integers(10, 60), st.integers(1, 8))
def test_mutated_text_of_the_grammar_is_only_reported(random: Random, budget: int, edits: int) -> None:
    assert_only_reported(mutate(random, written(random, derive(random, "start", budget)), edits))


@settings(max_examples=100)
@given(st.lists(st.sampled_from(MUTANTS), max_size=60).map(" ".join) | st.text(max_size=80))
def test_soup_is_only_reported(text: str) -> None:
    assert_only_reported(text)
