"""The nearest known word to a misspelt one."""

from __future__ import annotations

from collections.abc import Iterable


def distance(a: str, b: str) -> int:
    """Edits (insert, delete, replace, swap two neighbours) that turn ``a`` into ``b``."""
    before: list[int] = []
    last = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        row = [i]
        for j, y in enumerate(b, 1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        before, last = last, row
    return last[-1]


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The word of ``known`` that ``word`` is most likely a slip for, or None where none is near."""
    reach = max(1, len(word) // 3)
    candidates = [k for k in known if abs(len(k) - len(word)) <= reach and k != word]
    best = min(candidates, key=lambda k: (distance(word, k), k), default=None)
    return best if best is not None and distance(word, best) <= reach else None
