"""A comparison as text for people, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from textwrap import indent

from optdsl.diff import PARTS, Comparison, Difference


def text(comparison: Comparison) -> str:
    """``comparison`` for people: a paragraph per part that differs."""
    first, second = comparison.names
    named = f" ({', '.join(comparison.renamed)})" if comparison.renamed else ""
    if not comparison.differences:
        return f"{first} and {second} are the same optimizer{named}\n"
    paragraphs = [f"{first} → {second}{named}"]
    same = [part for part in PARTS[:3] if not any(d.part == part for d in comparison.differences)]
    for part in PARTS:
        found = [d for d in comparison.differences if d.part == part]
        if found:
            assumed = f" ({', '.join(comparison.assumed)})" if part == "step" and comparison.assumed else ""
            paragraphs.append(f"{part}{assumed}\n{indent(''.join(_lines(found)), '    ')}".rstrip())
    if same:
        paragraphs.append(f"the same: {', '.join(same)}")
    return "\n\n".join(paragraphs) + "\n"


def json_lines(comparison: Comparison) -> str:
    """One JSON object for each difference, on lines of their own."""
    return "".join(json.dumps(asdict(difference), ensure_ascii=False) + "\n" for difference in comparison.differences)


def _lines(differences: list[Difference]) -> Iterator[str]:
    around: tuple[str, ...] = ()
    named = ""
    for difference in differences:
        if difference.part == "functions" and difference.name != named:
            named, around = difference.name, ()
            yield f"{named}\n"
        if difference.part in ("step", "functions"):
            yield from _heads(around, difference.where)
            around = difference.where
            yield from _marked(difference, "    " * len(around))
        else:
            yield from _declared(difference)


def _heads(around: tuple[str, ...], where: tuple[str, ...]) -> Iterator[str]:
    """The first lines of the blocks of ``where`` that are not open already."""
    shared = 0
    while shared < min(len(around), len(where)) and around[shared] == where[shared]:
        shared += 1
    for depth, head in enumerate(where[shared:], shared):
        yield f"  {'    ' * depth}{head}\n"


def _marked(difference: Difference, margin: str) -> Iterator[str]:
    for mark, lines in (("-", difference.before), ("+", difference.after)):
        if lines is not None:
            yield from (f"{mark} {margin}{line}\n" for line in lines.rstrip("\n").split("\n"))


def _declared(difference: Difference) -> Iterator[str]:
    before, after = difference.before, difference.after
    if difference.aspect or (before is not None and after is not None):
        subject = " ".join(filter(None, (difference.name, difference.aspect)))
        yield f"{subject}: {before or 'none'} → {after or 'none'}\n"
    else:
        yield f"{'-' if after is None else '+'} {before if after is None else after}\n"
