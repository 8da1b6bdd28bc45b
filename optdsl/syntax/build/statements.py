"""Statements."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lark import Token

from optdsl.source import Span
from optdsl.syntax import ast
from optdsl.syntax.ast import Symbol, Time
from optdsl.syntax.build.base import Part, count, plain
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

    def _assign_several(self, span: Span, children: list[Any]) -> ast.Assign:
        targets, *values = children
        if len(values) != len(targets):
            message = f"{count(len(targets), 'name')} but {count(len(values), 'value')}"
            self._report("E022", message, span, help="give one value per name")
        return ast.Assign(targets, self._several(values, span), None, span)

    def _several(self, values: list[Any], span: Span) -> ast.Tuple:
        items = tuple(plain(v) for v in values)
        return ast.Tuple(items, items[0].span.to(items[-1].span) if items else span)

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

    def _for_up(self, span: Span, children: list[Any]) -> ast.ForRange:
        index, first, last, body = children
        return ast.ForRange(self._target(index), plain(first), plain(last), body, False, span)

    def _for_down(self, span: Span, children: list[Any]) -> ast.ForRange:
        return replace(self._for_up(span, children), down=True)

    def _repeat(self, span: Span, children: list[Any]) -> ast.Repeat:
        return ast.Repeat(plain(children[0]), children[1], span)

    def _repeat_up_to(self, span: Span, children: list[Any]) -> ast.Repeat:
        return ast.Repeat(plain(children[0]), children[1], span, up_to=True)

    def _while_(self, span: Span, children: list[Any]) -> ast.While:
        return ast.While(plain(children[0]), children[1], span)

    def _break_(self, span: Span, children: list[Any]) -> ast.Break:
        return ast.Break(span)

    def _append(self, span: Span, children: list[Any]) -> ast.Append:
        return ast.Append(plain(children[0]), self._target(children[1]), span)

    def _returns(self, span: Span, children: list[Any]) -> ast.Return:
        values = [child for child in children if child is not None]
        return ast.Return(plain(values[0]) if len(values) == 1 else self._several(values, span), span)


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
