"""Expressions of the syntax tree as LaTeX.

The output is safe to put anywhere that LaTeX mathematics can go: names are the checked symbols of the tree, every other
text is escaped, and it never holds a double quote.
"""

from __future__ import annotations

import math
from dataclasses import replace
from enum import IntEnum

from optdsl.syntax import ast
from optdsl.syntax.names import latex as symbol_latex


class Level(IntEnum):
    """How tightly a form binds."""

    OR = 1
    AND = 2
    NOT = 3
    COMPARE = 4
    SUM = 5
    PRODUCT = 6
    JUXTAPOSED = 7
    POWER = 8
    ATOM = 9


COMPARISONS = {
    "=": "=",
    "≠": r"\neq",
    "<": "<",
    "≤": r"\leq",
    ">": ">",
    "≥": r"\geq",
    "is": r"\: \textbf{is} \:",
    "is not": r"\: \textbf{is not} \:",
}
DELIMITERS = {
    "abs": ("|", "|"),
    "norm": (r"\|", r"\|"),
    "norm_1": (r"\|", r"\|_1"),
    "norm_inf": (r"\|", r"\|_\infty"),
    "floor": (r"\lfloor ", r" \rfloor"),
    "sqrt": (r"\sqrt{", "}"),
}
"""Functions that are written around their one argument."""

BARS = ("|", r"\|")
"""Fences that look alike at both ends; they are not nested."""

ESCAPES = {
    **{c: "\\" + c for c in "{}$&#%_"},
    "\\": r"\textbackslash{}",
    "^": r"\^{}",
    "~": r"\~{}",
    '"': "''",
}


def expression(expr: ast.Expr) -> str:
    return _expr(expr, Level.OR)


def name(node: ast.Name) -> str:
    return symbol_latex(node.symbol, node.time)


def word(text: str) -> str:
    r"""A name that is a word, in italics: ``\textit{amsgrad}``."""
    return rf"\textit{{{escaped(text)}}}"


def quoted(text: str) -> str:
    """A string in quotation marks."""
    return rf"\text{{``{escaped(text)}''}}"


def escaped(text: str) -> str:
    r"""``text`` as the argument of ``\text``: on one line, and nothing in it a command."""
    printable = "".join(c if c.isprintable() else " " for c in text)
    return "".join(ESCAPES.get(c, c) for c in " ".join(printable.split()))


def _expr(expr: ast.Expr, least: Level) -> str:
    """``expr``, in brackets if it binds less tightly than ``least``."""
    level, text = _form(expr)
    return f"({text})" if level < least else text


def _form(expr: ast.Expr) -> tuple[Level, str]:
    match expr:
        case ast.Name():
            return Level.POWER if expr.symbol.superscript else Level.ATOM, _name(expr)
        case ast.Number():
            return _number(expr.value)
        case ast.Bool(value):
            return Level.ATOM, word(str(value).lower())
        case ast.String(value):
            return Level.ATOM, quoted(value)
        case ast.NoneLiteral():
            return Level.ATOM, word("none")
        case ast.StepTime():
            return Level.ATOM, "t"
        case ast.Gradient():
            return Level.PRODUCT, r"\nabla_{\theta} f_t (\theta_{t-1})"
        case ast.Unary():
            return _unary(expr)
        case ast.Binary():
            return _binary(expr)
        case ast.Compare(operands, ops):
            parts = [_expr(operands[0], Level.SUM)]
            for op, operand in zip(ops, operands[1:], strict=True):
                parts += [COMPARISONS[op], _expr(operand, Level.SUM)]
            return Level.COMPARE, " ".join(parts)
        case ast.Call():
            return Level.ATOM, _call(expr)
        case ast.Tuple(items):
            return Level.ATOM, ", ".join(map(expression, items))
        case ast.Cases(cases):
            rows = [
                f"{expression(c.value)} & "
                + (r"\text{otherwise}" if c.condition is None else rf"\text{{if }} {expression(c.condition)}")
                for c in cases
            ]
            return Level.ATOM, r"\begin{cases} " + r" \\ ".join(rows) + r" \end{cases}"
        case ast.Running(op, body):
            sign = r"\prod" if op == "*" else r"\sum"
            return Level.POWER, rf"{sign}_{{i=1}}^{{t}} {_indexed(body)}"


def _name(node: ast.Name) -> str:
    is_word = len(node.symbol.base) > 1 and node.symbol == ast.Symbol(node.symbol.base)
    return word(node.symbol.base) if is_word and node.time is ast.Time.NONE else name(node)


def _number(value: int | float) -> tuple[Level, str]:
    if value == math.inf:
        return Level.ATOM, r"\infty"
    mantissa, _, exponent = repr(value).partition("e")
    if not exponent:
        return Level.ATOM, mantissa
    power = f"10^{{{int(exponent)}}}"
    return (Level.POWER, power) if mantissa == "1" else (Level.PRODUCT, rf"{mantissa} \times {power}")


def _unary(expr: ast.Unary) -> tuple[Level, str]:
    match expr.op:
        case "-":
            return Level.SUM, "-" + _expr(expr.operand, Level.JUXTAPOSED)
        case "not":
            return Level.NOT, r"\textbf{not} \: " + _expr(expr.operand, Level.NOT)
        case _:
            return Level.POWER, _expr(expr.operand, Level.ATOM) + r"^{\top}"


def _binary(expr: ast.Binary) -> tuple[Level, str]:
    left, right = expr.left, expr.right
    match expr.op:
        case "or":
            return Level.OR, rf"{_expr(left, Level.OR)} \: \textbf{{or}} \: {_expr(right, Level.AND)}"
        case "and":
            return Level.AND, rf"{_expr(left, Level.AND)} \: \textbf{{and}} \: {_expr(right, Level.NOT)}"
        case "+" | "-":
            return Level.SUM, f"{_expr(left, Level.SUM)} {expr.op} {_expr(right, Level.PRODUCT)}"
        case "*":
            return _product(left, right)
        case "@":
            return Level.PRODUCT, rf"{_expr(left, Level.PRODUCT)} \mathbin{{\,}} {_expr(right, Level.POWER)}"
        case "mod":
            return Level.PRODUCT, rf"{_expr(left, Level.PRODUCT)} \bmod {_expr(right, Level.POWER)}"
        case "/":
            level, text = _form(right)
            denominator = rf"\big({text}\big)" if level < Level.POWER else text
            return Level.PRODUCT, f"{_expr(left, Level.PRODUCT)} / {denominator}"
        case _:
            base = r"{10}" if left == ast.Number(10, "") else _expr(left, Level.ATOM)  # 10^{-8} is a number
            return Level.POWER, base + _exponent(right)


def _product(left: ast.Expr, right: ast.Expr) -> tuple[Level, str]:
    """Factors side by side where that can be read; else, after a quotient or before a number, with a dot."""
    first, factor = _expr(left, Level.PRODUCT), _expr(right, Level.POWER)
    if _form(left)[0] is Level.PRODUCT or factor[0].isdigit() or factor.startswith("{"):
        return Level.PRODUCT, rf"{first} \cdot {factor}"
    return Level.JUXTAPOSED, f"{_expr(left, Level.JUXTAPOSED)} {factor}"


def _exponent(expr: ast.Expr) -> str:
    text = f"({expression(expr)})" if expr == ast.Name(ast.Symbol("T"), ast.Time.NONE) else expression(expr)
    return "^" + (text if len(text) == 1 else f"{{{text}}}")


def _call(expr: ast.Call) -> str:
    if expr.function in DELIMITERS and len(expr.arguments) == 1 and not expr.over:
        opening, closing = DELIMITERS[expr.function]
        inside = expression(expr.arguments[0])
        if opening not in BARS or "|" not in inside:
            return opening + inside + closing
    arguments = ", ".join(map(expression, expr.arguments))
    if expr.parameters:
        arguments += "; " + ", ".join(map(expression, expr.parameters))
    if expr.over:
        arguments += rf" \text{{ over {escaped(expr.over)}}}"
    return rf"\mathrm{{{escaped(expr.function)}}}({arguments})"


def _indexed(body: ast.Expr) -> str:
    """The summand of a running sum: its name with the index ``i`` in the place of ``t``."""
    if isinstance(body, ast.Name) and body.time is ast.Time.NOW and not body.symbol.subscript:
        return symbol_latex(replace(body.symbol, subscript="i"))
    return _expr(body, Level.POWER)
