"""\"Did you mean …?\""""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """A help text that offers the candidate most like ``word``; empty where none is close."""
    matches = get_close_matches(word, list(candidates), n=1, cutoff=0.6)
    return f"did you mean `{matches[0]}`?" if matches else ""


def split_product(word: str, names: Iterable[str]) -> tuple[str, ...]:
    """``word`` as a sequence of known ``names`` (``lr`` as ``l``, ``r``), the fewest possible; empty if it is none."""
    known = sorted(set(names), key=len, reverse=True)
    found: dict[int, tuple[str, ...]] = {0: ()}
    for end in range(1, len(word) + 1):
        options = [
            (*found[end - len(name)], name)
            for name in known
            if end - len(name) in found and word.startswith(name, end - len(name))
        ]
        if options:
            found[end] = min(options, key=len)
    parts = found.get(len(word), ())
    return parts if len(parts) > 1 else ()
