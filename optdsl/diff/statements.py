"""Blocks of statements side by side: what was added, left out or changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from optdsl.check import walk
from optdsl.syntax import ast
from optdsl.syntax.printer import unparse

Block = tuple[ast.Stmt, ...]


@dataclass(frozen=True)
class Change:
    """A statement, or the first line of one, that differs; ``where`` are the first lines of the blocks around it."""

    before: str | None
    after: str | None
    where: tuple[str, ...]


def changes(first: Block, second: Block, where: tuple[str, ...] = ()) -> Iterator[Change]:
    """In what ``second`` differs from ``first``, in order."""
    for before, after in _aligned(first, second):
        if before is None or after is None or not _goes_inside(before, after):
            if before != after:
                yield Change(_text(before), _text(after), where)
            continue
        for (head, inside), (new_head, new_inside) in zip(_blocks(before), _blocks(after), strict=True):
            if head != new_head:
                yield Change(head, new_head, where)
            yield from changes(inside, new_inside, (*where, new_head))


def _text(stmt: ast.Stmt | None) -> str | None:
    return None if stmt is None else unparse(stmt)


def _goes_inside(before: ast.Stmt, after: ast.Stmt) -> bool:
    """Whether two statements are blocks of one shape, so that their insides are compared."""
    return type(before) is type(after) and bool(_blocks(before)) and len(_blocks(before)) == len(_blocks(after))


def _blocks(stmt: ast.Stmt) -> list[tuple[str, Block]]:
    """The first line and the statements of every block of ``stmt``."""
    match stmt:
        case ast.If(branches, orelse):
            heads = [f"{'else if' if i else 'if'} {unparse(b.condition)}" for i, b in enumerate(branches)]
            blocks = [(head, branch.body) for head, branch in zip(heads, branches, strict=True)]
            return [*blocks, (f"{heads[0]} … else", orelse)] if orelse else blocks
        case ast.Loop(body=body):
            return [(unparse(stmt).partition("\n")[0], body)]
        case _:
            return []


# ------------------------------------------------------------------------------------------------------- alignment


def _aligned(first: Block, second: Block) -> Iterator[tuple[ast.Stmt | None, ast.Stmt | None]]:
    """The statements of both in order, those that are alike in pairs, so that the pairs are as alike as can be."""
    best = [[0.0] * (len(second) + 1) for _ in range(len(first) + 1)]
    alike = [[_likeness(before, after) for after in second] for before in first]
    for i in reversed(range(len(first))):
        for j in reversed(range(len(second))):
            paired = alike[i][j] + best[i + 1][j + 1] if alike[i][j] else 0.0
            best[i][j] = max(paired, best[i + 1][j], best[i][j + 1])
    i = j = 0
    while i < len(first) and j < len(second):
        if alike[i][j] and best[i][j] == alike[i][j] + best[i + 1][j + 1]:
            yield first[i], second[j]
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            yield first[i], None
            i += 1
        else:
            yield None, second[j]
            j += 1
    yield from ((before, None) for before in first[i:])
    yield from ((None, after) for after in second[j:])


def _likeness(before: ast.Stmt, after: ast.Stmt) -> float:
    """From 0, nothing in common, to 1, equal."""
    if before == after:
        return 1.0
    match before, after:
        case ast.Assign(targets, value), ast.Assign(new_targets, new_value) if targets == new_targets:
            return 0.3 + 0.6 * _overlap(list(walk.walk(value)), list(walk.walk(new_value)))
        case ast.If(branches), ast.If(new_branches):
            shared = _overlap(list(walk.statements((before,)))[1:], list(walk.statements((after,)))[1:])
            same = [b.condition for b in branches] == [b.condition for b in new_branches]
            return 0.3 + 0.6 * shared if same else 0.6 * shared if shared >= 0.5 else 0.0
        case ast.Return(), ast.Return():
            return 0.3
        case _ if type(before) is type(after) and walk.blocks(before):
            return 0.3
    return 0.0


def _overlap(first: Sequence[object], second: Sequence[object]) -> float:
    """How much of two collections they have in common, from 0 to 1."""
    one, two = set(first), set(second)
    return len(one & two) / max(1, len(one | two))
