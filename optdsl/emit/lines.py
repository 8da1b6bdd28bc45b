"""Folds lines of emitted Python that are too long, as a formatter would: at the outermost brackets, from the right."""

from __future__ import annotations

import io
import tokenize
from collections.abc import Collection, Iterator

WIDTH = 120

_OPEN, _CLOSE = frozenset("([{"), frozenset(")]}")
_SEPARATORS = (
    (("for",), ""),
    ((",",), ","),
    (("if", "else"), ""),
    (("or",), ""),
    (("and",), ""),
    (("+", "-"), ""),
    (("*", "/"), ""),
)
"""Where the inside of brackets is cut, the first of these that it has: before the word or operator, after the comma."""


def folded(text: str) -> str:
    """``text`` with every statement that is too long for its line in several; what has no brackets stays as it is."""
    return "\n".join(part for line in text.split("\n") for part in _folded(line))


def _folded(line: str, end: str = "") -> Iterator[str]:
    """The lines of one statement, or of one item of a list; ``end`` is put after the last of them."""
    code = line.lstrip()
    if len(line) + len(end) <= WIDTH or code.startswith(("#", '"')):
        yield line + end
        return
    indent = line[: len(line) - len(code)]
    tokens = _tokens(code)
    brackets = _last_brackets(tokens)
    if brackets is None:
        yield line + end
        return
    opening, closing = brackets
    yield indent + code[: opening + 1]
    yield from _items(code[opening + 1 : closing], indent + "    ")
    yield indent + code[closing:] + end


def _items(inside: str, indent: str) -> Iterator[str]:
    """What stands in brackets: on one line if it fits, else an item, clause or term a line."""
    inside = inside.strip()
    if len(indent) + len(inside) <= WIDTH:
        yield indent + inside
        return
    tokens = _tokens(inside)
    for separators, end in _SEPARATORS:
        parts = _cut(inside, tokens, separators, after=bool(end))
        if len(parts) > 1:
            for part in parts:
                yield from _folded(indent + part.removesuffix(end), end)
            return
    yield from _folded(indent + inside)


Token = tuple[str, int, int]
"""Text, where it starts, and how many brackets are open there."""


def _tokens(code: str) -> list[Token]:
    """The tokens of one line; none for a part of a statement that has several."""
    result: list[Token] = []
    depth = 0
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(code).readline))
    except tokenize.TokenError:
        return []
    for token in tokens:
        if token.type in (tokenize.OP, tokenize.NAME, tokenize.NUMBER, tokenize.STRING):
            depth -= token.string in _CLOSE
            result.append((token.string, token.start[1], depth))
            depth += token.string in _OPEN
    return result


def _last_brackets(tokens: list[Token]) -> tuple[int, int] | None:
    """Where the last outermost brackets that hold something open and close."""
    outer = [(text, start) for text, start, depth in tokens if depth == 0 and text in _OPEN | _CLOSE]
    pairs = [(a, b) for (_, a), (_, b) in zip(outer[::2], outer[1::2], strict=False) if b > a + 1]
    return pairs[-1] if pairs else None


def _cut(code: str, tokens: list[Token], where: Collection[str], after: bool = False) -> list[str]:
    """``code`` in pieces, cut before (or after) each of the tokens ``where`` that stand in no brackets."""
    cuts = [
        start + len(text) * after
        for n, (text, start, depth) in enumerate(tokens)
        if depth == 0 and text in where and (after or (n and _is_operand(tokens[n - 1][0])))
    ]
    ends = [*cuts, len(code)]
    return [piece for a, b in zip([0, *cuts], ends, strict=True) if (piece := code[a:b].strip())]


def _is_operand(text: str) -> bool:
    """Whether what comes next is binary: a sign after an operator is not."""
    return text in _CLOSE or text[-1].isalnum() or text[-1] in "_\"'"
