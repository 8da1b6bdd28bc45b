"""Long assignments, broken into lines."""

from __future__ import annotations

import re
from collections.abc import Iterator

WIDTH = 120


def fitted(text: str) -> str:
    """``text`` with every long call on a line for each argument, and every long assignment on one for each term."""
    return "\n".join(line for long in text.split("\n") for line in _lines(long))


def _lines(line: str) -> Iterator[str]:
    assignment = re.fullmatch(r"( *)(\w+) = (.*[^(,])", line)
    if len(line) <= WIDTH:
        yield line
    elif (call := re.fullmatch(r"( *)((?:\w+ = )?[\w.]+\()(.*)\)", line)) and _is_closed(call[3]):
        indent, opening, arguments = call.groups()
        yield f"{indent}{opening}"
        yield from (f"{indent}    {argument}," for argument in _arguments(arguments))
        yield f"{indent})"
    elif assignment is not None:
        indent, target, value = assignment.groups()
        yield f"{indent}{target} = ("
        parts = [value] if len(indent) + 4 + len(value) <= WIDTH else list(_terms(value))
        yield from (broken for part in parts for broken in _lines(f"{indent}    {part}"))
        yield f"{indent})"
    else:
        yield line


def _is_closed(text: str) -> bool:
    """Whether no bracket is closed in ``text`` that was not opened there."""
    return all(_depth(text[:end]) >= 0 for end in range(len(text) + 1))


def _terms(value: str) -> Iterator[str]:
    """``value`` cut before its outermost operators of least binding: ``if`` and ``else``, or else ``+`` and ``-``."""
    for operators in (r" (?=if |else )", r" (?=[+-] )"):
        cuts = [m.end() for m in re.finditer(operators, value) if _depth(value[: m.start()]) == 0]
        if cuts:
            for start, end in zip([0, *cuts], [*cuts, len(value)], strict=True):
                yield value[start:end].rstrip()
            return
    yield value


def _arguments(text: str) -> Iterator[str]:
    """``text`` cut at its outermost commas."""
    cuts = [m.start() for m in re.finditer(", ", text) if _depth(text[: m.start()]) == 0]
    for start, end in zip([0, *(cut + 2 for cut in cuts)], [*cuts, len(text)], strict=True):
        yield text[start:end]


def _depth(text: str) -> int:
    return sum(map(text.count, "([")) - sum(map(text.count, ")]"))
