"""\"Did you mean …?\" for names."""

from __future__ import annotations

from collections.abc import Iterable

from optdsl.syntax.suggest import nearest


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A help text that offers the known word nearest to ``word``; empty where none is near or ``word`` is a letter."""
    near = nearest(word, known) if len(word) > 1 else None
    return f"did you mean `{near}`?" if near else ""


def as_product(word: str, names: Iterable[str]) -> tuple[str, ...]:
    """``word`` as the fewest ``names`` written without a space between (``lr`` as ``l``, ``r``); empty if it is not."""
    known = set(names)
    found: dict[int, tuple[str, ...]] = {0: ()}
    for end in range(1, len(word) + 1):
        starts = [start for start in found if word[start:end] in known]
        if starts:
            start = min(starts, key=lambda s: len(found[s]))
            found[end] = (*found[start], word[start:end])
    parts = found.get(len(word), ())
    return parts if len(parts) > 1 else ()
