"""Long assignments, broken into lines."""

from __future__ import annotations

import re
from collections.abc import Iterator

WIDTH = 120


def fitted(text: str) -> str:
    """``text`` with every assignment that is too long in brackets, a line for each term."""
    return "\n".join(line for long in text.split("\n") for line in _lines(long))


def _lines(line: str) -> Iterator[str]:
    assignment = re.fullmatch(r"( *)(\w+) = (.*[^(,])", line)
    if len(line) <= WIDTH or assignment is None:
        yield line
        return
    indent, target, value = assignment.groups()
    yield f"{indent}{target} = ("
    parts = [value] if len(indent) + 4 + len(value) <= WIDTH else list(_terms(value))
    yield from (f"{indent}    {part}" for part in parts)
    yield f"{indent})"


def _terms(value: str) -> Iterator[str]:
    """``value`` cut before its outermost operators of least binding: ``if`` and ``else``, or else ``+`` and ``-``."""
    for operators in (r" (?=if |else )", r" (?=[+-] )"):
        cuts = [m.end() for m in re.finditer(operators, value) if _depth(value[: m.start()]) == 0]
        if cuts:
            for start, end in zip([0, *cuts], [*cuts, len(value)], strict=True):
                yield value[start:end].rstrip()
            return
    yield value


def _depth(text: str) -> int:
    return text.count("(") - text.count(")")
