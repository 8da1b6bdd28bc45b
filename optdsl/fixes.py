"""Mending a spec with the certain edits that diagnostics carry."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from optdsl.compiler import check_source
from optdsl.source import Diagnostic, Source
from optdsl.syntax import parse

ROUNDS = 20
"""How often a text is checked again: a mistake may hide others, as one that cannot be parsed hides all later ones."""


@dataclass(frozen=True)
class Mended:
    """A source with its edits, and the diagnostics whose edits they were (places are those before each edit)."""

    source: Source
    fixed: tuple[Diagnostic, ...]


def mend(source: Source) -> Mended:
    """Apply every certain edit to ``source``, again and again until none is left.

    An edit that does not help is left out, above all one that would break what can be parsed.
    """
    fixed: list[Diagnostic] = []
    for _ in range(ROUNDS):
        round_ = _mended_once(source)
        if not round_.fixed:
            break
        source = round_.source
        fixed += round_.fixed
    return Mended(source, tuple(fixed))


def _mended_once(source: Source) -> Mended:
    """``source`` with the edits of one check: all at once, or, where they do not go together, the first that helps."""
    fixable = [d for d in check_source(source).diagnostics if d.fix is not None and d.fix.span.source == source]
    chosen = tuple(apart(fixable))
    for attempt in (chosen, *((diagnostic,) for diagnostic in chosen)):
        edited = Source(source.name, apply(source.text, attempt))
        if attempt and _helps(source, edited, attempt):
            return Mended(edited, attempt)
    return Mended(source, ())


def apart(diagnostics: Iterable[Diagnostic]) -> Iterable[Diagnostic]:
    """Those of ``diagnostics`` whose edits do not touch an earlier one's."""
    end = -1
    for diagnostic in sorted(diagnostics, key=lambda d: (_span(d), d.code)):
        start, stop = _span(diagnostic)
        if start > end or (start == end and stop > start):
            yield diagnostic
            end = stop


def apply(text: str, diagnostics: Iterable[Diagnostic]) -> str:
    """``text`` with the edits of ``diagnostics``, which do not overlap."""
    for diagnostic in sorted(diagnostics, key=_span, reverse=True):
        start, end = _span(diagnostic)
        assert diagnostic.fix is not None
        text = text[:start] + diagnostic.fix.replacement + text[end:]
    return text


def _span(diagnostic: Diagnostic) -> tuple[int, int]:
    assert diagnostic.fix is not None
    return diagnostic.fix.span.start, diagnostic.fix.span.end


def _helps(before: Source, after: Source, fixed: tuple[Diagnostic, ...]) -> bool:
    """Whether ``after`` is nearer to a spec without mistakes: fewer have the codes that were fixed, or the first comes
    later (one mistake in a line can hide the next). What could be parsed still can.
    """
    if parse(before).module is not None and parse(after).module is None:
        return False
    codes = {diagnostic.code for diagnostic in fixed}
    old, new = ([d for d in check_source(source).diagnostics if d.code in codes] for source in (before, after))
    return len(new) < len(old) or min(d.span.start for d in new) > min(d.span.start for d in old)
