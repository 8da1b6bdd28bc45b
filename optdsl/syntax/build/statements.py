"""Statements."""

from __future__ import annotations

from typing import Any

from lark import Token

from optdsl.source import Span
from optdsl.syntax import ast
from optdsl.syntax.ast import Symbol, Time
from optdsl.syntax.build.base import Part, plain
from optdsl.syntax.build.expressions import Expressions


class Statements(Expressions):
    """Builds statements."""

    def _block(self, span: Span, children: list[Any]) -> tuple[ast.Stmt, ...]:
        return tuple(children)

    def _targets(self, span: Span, children: list[Any]) -> tuple[ast.Name, ...]:
        return tuple(self._target(t) for t in children)

    def _assign(self, span: Span, children: list[Any]) -> ast.Assign:
        targets, value, where = children
        return ast.Assign(targets, plain(value), None if where is None else plain(where), span)

    def _branch(self, span: Span, children: list[Any]) -> ast.Branch:
        return ast.Branch(plain(children[0]), children[1], span)

    def _if_(self, span: Span, children: list[Any]) -> ast.If:
        *branches, orelse = children
        return ast.If(tuple(branches), orelse or (), span)

    def _enumeration(self, span: Span, children: list[Any]) -> Part:
        return Part("enumeration", tuple(plain(c) for c in children), span)

    def _for_elements(self, span: Span, children: list[Any]) -> ast.ForElements:
        index, items, body = children
        self._target(index)
        if not _counts_elements(items.value):
            self._report(
                "E021",
                "a loop over the elements counts from 0 to d-1",
                items.span,
                help=f"write `for {index} = 0, 1, …, d-1 do`",
            )
        return ast.ForElements(body, span)

    def _for_support(self, span: Span, children: list[Any]) -> ast.ForSupport:
        index, support, body = children
        self._target(index)
        match plain(support):
            case ast.Call("support", (ast.Name() as name,)):
                return ast.ForSupport(name, body, span)
        self._report("E021", "a loop of this kind runs over `support(…)`", support.span, help="write `support(g_t)`")
        return ast.ForSupport(ast.Name(Symbol("g"), Time.NOW, support.span), body, span)

    def _repeat(self, span: Span, children: list[Any]) -> ast.Repeat:
        return ast.Repeat(plain(children[0]), children[1], span)

    def _returns(self, span: Span, children: list[Any]) -> ast.Return:
        return ast.Return(plain(children[0]), span)


def _counts_elements(items: tuple[Any, ...]) -> bool:
    """Whether ``items`` are ``0, 1, …, d-1`` or ``1, 2, …, d`` (the second number may be left out)."""
    *numbers, dots, last = items
    if not isinstance(dots, Token) or not all(isinstance(n, ast.Number) for n in numbers):
        return False
    counted = [n.value for n in numbers]
    match last:
        case ast.Name(Symbol("d", "", "", ""), Time.NONE):
            return counted in ([1], [1, 2])
        case ast.Binary("-", ast.Name(Symbol("d", "", "", ""), Time.NONE), ast.Number(1)):
            return counted in ([0], [0, 1])
    return False
