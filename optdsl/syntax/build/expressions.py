"""Expressions, and what in them can be read two ways."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from lark import Token

from optdsl.source import Span
from optdsl.syntax import ast
from optdsl.syntax.ast import Symbol, Time
from optdsl.syntax.build.base import Over, Power, Product, plain
from optdsl.syntax.build.names import Names

_RELATIONS = {"!=": "≠", "<=": "≤", ">=": "≥"}
_ABSENT = ast.Name(Symbol("absent"), Time.NONE)
"""What may be written for ``none`` behind ``is``."""

_RUNNING_INDEX = re.compile(r"_\{\s*([a-z])")


class Expressions(Names):
    """Builds expressions."""

    def _number(self, span: Span, children: list[Any]) -> ast.Number:
        return self._literal(children[0])

    def _literal(self, token: Token) -> ast.Number:
        text, span = str(token), self._at(token)
        if text == "∞":
            return ast.Number(float("inf"), text, span)
        if len(text) > 400:
            self._report("E014", "this number has too many digits", span)
            return ast.Number(0, text, span)
        value = int(text) if text.isdigit() else float(text)
        if abs(value) > 1.7976931348623157e308:
            self._report("E014", f"`{text}` is beyond the largest float64", span)
        return ast.Number(value, text, span)

    def _string(self, span: Span, children: list[Any]) -> ast.String:
        return ast.String(self._text(children[0]), span)

    def _true(self, span: Span, children: list[Any]) -> ast.Bool:
        return ast.Bool(True, span)

    def _false(self, span: Span, children: list[Any]) -> ast.Bool:
        return ast.Bool(False, span)

    def _none(self, span: Span, children: list[Any]) -> ast.NoneLiteral:
        return ast.NoneLiteral(span)

    def _bracket(self, span: Span, children: list[Any]) -> ast.Expr:
        """An expression in brackets, which are part of its span; it can be read one way only."""
        bracketed: ast.Expr = replace(plain(children[0]), span=span)
        return bracketed

    def _braced(self, span: Span, children: list[Any]) -> ast.Expr:
        return self._bracket(span, children)

    def _binary(self, op: str, left: Any, right: Any, span: Span) -> ast.Binary:
        return ast.Binary(op, plain(left), plain(right), span)

    def _juxtapose(self, span: Span, children: list[Any]) -> Product:
        first, *rest = children
        product = self._literal(first) if isinstance(first, Token) else first
        begin = product.span
        for factor in rest:
            product = self._binary("*", product, factor, begin.to(factor.span))
        return Product(product, span, begin)

    def _juxtapose_power(self, span: Span, children: list[Any]) -> Product:
        base, exponent, *rest = children
        number = self._literal(base)
        power = self._binary("^", number, exponent, number.span.to(exponent.span))
        return self._juxtapose(span, [power, *rest])

    def _power(self, span: Span, children: list[Any]) -> Power:
        base = self._literal(children[0]) if isinstance(children[0], Token) else children[0]
        return Power(self._binary("^", base, children[1], span), span)

    def _transpose(self, span: Span, children: list[Any]) -> ast.Unary:
        return ast.Unary("transpose", plain(children[0]), span)

    def _exponent_name(self, span: Span, children: list[Any]) -> Any:
        """A name as a bare exponent: in LaTeX a subscript that follows it would belong to the base."""
        name = self._name(span, children)
        if not isinstance(name, ast.StepTime) and (
            not isinstance(name, ast.Name) or name.time or name.symbol.subscript
        ):
            if "_" in str(children[0]):
                self._ambiguous_exponent(span)
        return name

    def _signed_number(self, span: Span, children: list[Any]) -> Any:
        return self._signed(children[0], self._literal(children[1]), span)

    def _signed_name(self, span: Span, children: list[Any]) -> Any:
        return self._signed(children[0], self._name(span, children[1:]), span)

    def _sign(self, span: Span, children: list[Any]) -> Any:
        signed = self._signed(children[0], children[1], span)
        operand = children[1]
        return Product(signed, span, span.to(operand.first)) if isinstance(operand, Product) else signed

    def _signed(self, sign: Token, operand: Any, span: Span) -> Any:
        return plain(operand) if sign == "+" else ast.Unary("-", plain(operand), span)

    def _root(self, span: Span, children: list[Any]) -> ast.Call:
        operand = children[0]
        if isinstance(operand, Power):
            base = operand.value.left.span.text
            self._report(
                "E015",
                f"`{span.text}` can be read two ways",
                span,
                help=f"write `√({operand.span.text})` or `(√{base}){operand.span.text[len(base) :]}`",
            )
        return self._function("sqrt", operand, span)

    def _function(self, name: str, operand: Any, span: Span) -> ast.Call:
        return ast.Call(name, (plain(operand),), span=span, name_span=Span(span.source, span.start, span.start + 1))

    def _absolute(self, span: Span, children: list[Any]) -> ast.Call:
        return self._function("abs", children[1], span)

    def _norm(self, span: Span, children: list[Any]) -> ast.Call:
        order = "" if children[3] is None else str(children[3]).strip("_{} ")
        return self._function({"1": "norm_1", "∞": "norm_inf"}.get(order, "norm"), children[1], span)

    def _floor(self, span: Span, children: list[Any]) -> ast.Call:
        return self._function("floor", children[0], span)

    def _ceil(self, span: Span, children: list[Any]) -> ast.Call:
        return self._function("ceil", children[0], span)

    def _divide(self, span: Span, children: list[Any]) -> ast.Binary:
        left, right = children
        self._check_product(left, "/", right, span)
        return self._binary("/", left, right, span)

    def _modulo(self, span: Span, children: list[Any]) -> ast.Binary:
        left, right = children
        self._check_product(left, "mod", right, span)
        return self._binary("mod", left, right, span)

    def _check_product(self, left: Any, op: str, right: Any, span: Span) -> None:
        """``a / b c`` is ``a / (b c)`` to some and ``(a / b) c`` to others."""
        if isinstance(right, Product):
            a, b = left.span.text, right.span.text
            rest = Span(span.source, right.first.end, right.span.end).text.strip()
            self._report(
                "E016",
                f"`{span.text}` can be read two ways",
                span,
                help=f"write `{a} {op} ({b})` or `({a} {op} {right.first.text}) {rest}`",
            )

    def _dot(self, span: Span, children: list[Any]) -> ast.Binary:
        return self._binary("*", children[0], children[1], span)

    def _matmul(self, span: Span, children: list[Any]) -> ast.Binary:
        return self._binary("@", children[0], children[1], span)

    def _additive(self, span: Span, children: list[Any]) -> ast.Binary:
        left, op, right = children
        self._check_time(left, op, right, span)
        return self._binary(str(op), left, right, span)

    def _check_time(self, left: Any, op: Token, right: Any, span: Span) -> None:
        """``θ_t-1`` without a space may be ``θ_{t-1}`` or ``θ_t - 1``."""
        name = left.value.right if isinstance(left, Power) else left
        timed = isinstance(name, ast.StepTime) and isinstance(left, Power)
        timed = timed or (isinstance(name, ast.Name) and name.time is Time.NOW)
        if not timed or not isinstance(right, ast.Number) or right.value != 1:
            return
        text = Span(span.source, left.span.end, right.span.start).text
        if text != str(op) or not Span(span.source, span.start, left.span.end).text.endswith("t"):
            return
        stem = left.span.text[:-1]
        self._report(
            "E017",
            f"`{span.text}` can be read two ways",
            span,
            help=f"write `{stem}{{t{op}1}}` for the time t{op}1, or `{stem}t {op} 1`",
        )

    def _or_(self, span: Span, children: list[Any]) -> ast.Binary:
        return self._binary("or", children[0], children[1], span)

    def _and_(self, span: Span, children: list[Any]) -> ast.Binary:
        return self._binary("and", children[0], children[1], span)

    def _not_(self, span: Span, children: list[Any]) -> ast.Unary:
        return ast.Unary("not", plain(children[0]), span)

    def _compare(self, span: Span, children: list[Any]) -> ast.Compare:
        operands, ops = [plain(c) for c in children[::2]], children[1::2]
        for i, op in enumerate(ops, 1):
            if op in ("is", "is not") and operands[i] == _ABSENT:
                operands[i] = ast.NoneLiteral(operands[i].span)
        return ast.Compare(tuple(operands), tuple(ops), span)

    def _relation(self, span: Span, children: list[Any]) -> str:
        return _RELATIONS.get(str(children[0]), str(children[0]))

    def _equal(self, span: Span, children: list[Any]) -> str:
        return "="

    def _is_(self, span: Span, children: list[Any]) -> str:
        return "is"

    def _is_not(self, span: Span, children: list[Any]) -> str:
        return "is not"

    def _running(self, span: Span, children: list[Any]) -> ast.Running:
        symbol, body = children
        index = _RUNNING_INDEX.search(symbol)
        assert index is not None
        op = "*" if symbol[0] in "∏Πp" else "+"
        return ast.Running(op, _replace_index(plain(body), index[1]), span)

    def _gradient(self, span: Span, children: list[Any]) -> ast.Gradient:
        _, function, point = children
        name, power = self._read_name(function)
        right = name.symbol == Symbol("f") and name.time is Time.NOW and not power
        if not right or point != ast.Name(Symbol("θ"), Time.PREVIOUS, span):
            self._report("E018", "the gradient is that of `f_t` at `θ_{t-1}`", span, help="write `∇f_t(θ_{t-1})`")
        return ast.Gradient(span)

    def _arguments(self, span: Span, children: list[Any]) -> list[Any]:
        return children

    def _call(self, span: Span, children: list[Any]) -> ast.Call:
        function, arguments, parameters, trailing = children
        overs = [a for a in [*(arguments or ()), *(parameters or ()), trailing] if isinstance(a, Over)]
        if len(overs) > 1:
            self._report("E019", f"`{function}` is given two ranges to reduce over", overs[1].span)
        return ast.Call(
            str(function),
            tuple(plain(a) for a in arguments or () if not isinstance(a, Over)),
            tuple(plain(a) for a in parameters or () if not isinstance(a, Over)),
            overs[0].what if overs else "",
            span,
            self._at(function),
        )

    def _over_rows(self, span: Span, children: list[Any]) -> Over:
        return Over("rows", span)

    def _over_cols(self, span: Span, children: list[Any]) -> Over:
        return Over("cols", span)

    def _over_all(self, span: Span, children: list[Any]) -> Over:
        return Over("all", span)

    def _over_parameters(self, span: Span, children: list[Any]) -> Over:
        return Over("all parameters", span)

    def _over_rest(self, span: Span, children: list[Any]) -> Over:
        return Over("all but first", span)

    def _case(self, span: Span, children: list[Any]) -> ast.Case:
        return ast.Case(plain(children[0]), plain(children[1]), span)

    def _otherwise(self, span: Span, children: list[Any]) -> ast.Case:
        return ast.Case(plain(children[0]), None, span)

    def _cases(self, span: Span, children: list[Any]) -> ast.Cases:
        for case in children[:-1]:
            if case.condition is None:
                self._report("E020", "`otherwise` must be the last case", case.span)
        return ast.Cases(tuple(children), span)


def _replace_index(node: Any, index: str) -> Any:
    """``μ_i`` as ``μ_t`` where ``index`` is ``i``."""
    match node:
        case ast.Name(symbol, Time.NONE) if symbol.subscript == index:
            return replace(node, symbol=replace(symbol, subscript=""), time=Time.NOW)
        case ast.Binary():
            return replace(node, left=_replace_index(node.left, index), right=_replace_index(node.right, index))
        case ast.Unary():
            return replace(node, operand=_replace_index(node.operand, index))
        case ast.Call():
            return replace(node, arguments=tuple(_replace_index(a, index) for a in node.arguments))
    return node
