"""The boxes of torch's doc strings beside the shipped specs, statement by statement."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from optdsl.importer import Imported, read_latex
from optdsl.importer.classes import Documented, read_class
from optdsl.importer.tree import rewritten
from optdsl.syntax import ast
from optdsl.syntax.ast import Symbol
from optdsl.syntax.printer import unparse


@dataclass(frozen=True)
class Line:
    """One line of a step: its number in the doc string (0 in a spec), its depth and its text."""

    number: int
    depth: int
    text: str


@dataclass(frozen=True)
class Difference:
    """Lines of the box, from number ``line`` on, and the spec's lines in their place."""

    line: int
    box: tuple[str, ...]
    spec: tuple[str, ...]


def documented(name: str) -> Documented:
    found = read_class(f"torch.optim.{name}")
    assert isinstance(found, Documented), found
    return found


def imported(name: str) -> Imported:
    found = documented(name)
    return read_latex(found.source, found.name, found.summary, found.defaults)


def lines(body: Iterable[ast.Stmt], depth: int = 0) -> Iterator[Line]:
    """The lines of a step."""
    for stmt in body:
        match stmt:
            case ast.If(branches, orelse):
                for i, branch in enumerate(branches):
                    yield _line(branch, depth, f"{'else if' if i else 'if'} {unparse(branch.condition)}")
                    yield from lines(branch.body, depth + 1)
                if orelse:
                    yield Line(0, depth, "else")
                    yield from lines(orelse, depth + 1)
            case ast.ForElements(inner):
                yield _line(stmt, depth, "for i = 0, 1, …, d-1 do")
                yield from lines(inner, depth + 1)
            case _:
                yield _line(stmt, depth, unparse(stmt))


def _line(node: ast.Branch | ast.Stmt, depth: int, text: str) -> Line:
    return Line(node.span.source.line_column(node.span.start)[0], depth, text)


def with_symbols(node: Any, symbols: dict[Symbol, Symbol]) -> Any:
    """``node`` with other symbols."""

    def rewrite(part: Any) -> Any:
        return replace(part, symbol=symbols.get(part.symbol, part.symbol)) if isinstance(part, ast.Name) else part

    return rewritten(node, rewrite)


def in_order(node: Any) -> Any:
    """``node`` with the factors of products of two in one order: ``v ρ`` is ``ρ v``."""

    def rewrite(part: Any) -> Any:
        if isinstance(part, ast.Binary) and part.op == "*":
            factors = sorted(_factors(part), key=unparse)
            product = factors[0]
            for factor in factors[1:]:
                product = ast.Binary("*", product, factor, part.span)
            return product
        return part

    return rewritten(node, rewrite)


def _factors(node: ast.Expr) -> Iterator[ast.Expr]:
    if isinstance(node, ast.Binary) and node.op == "*":
        yield from _factors(node.left)
        yield from _factors(node.right)
    else:
        yield node


def differences(box: ast.Optimizer, spec: ast.Optimizer, symbols: dict[Symbol, Symbol]) -> list[Difference]:
    """Where the steps differ, but for the names and the order of factors."""
    ours = list(lines(in_order(with_symbols(box.body, symbols))))
    theirs = list(lines(in_order(spec.body)))
    shown = list(lines(with_symbols(box.body, symbols)))
    plain = list(lines(spec.body))
    matcher = difflib.SequenceMatcher(
        None, [(x.depth, x.text) for x in ours], [(x.depth, x.text) for x in theirs], autojunk=False
    )
    return [
        Difference(
            next((x.number for x in shown[a:] if x.number), 0),
            tuple(x.text for x in shown[a:b]),
            tuple(x.text for x in plain[c:d]),
        )
        for tag, a, b, c, d in matcher.get_opcodes()
        if tag != "equal"
    ]
