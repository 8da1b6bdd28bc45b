"""The syntax tree as text: one canonical form in any notation, with the fewest brackets that a reader needs.

``parse(unparse(module))`` gives ``module`` back. Comments are not in the tree and so not in the text.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from enum import IntEnum

from optdsl.syntax import ast
from optdsl.syntax.notation import UNICODE, Notation
from optdsl.syntax.vocabulary import SUPERSCRIPTS

INDENT = "    "

BARS = "|‖"
"""Fences that look alike at both ends; they are not nested."""

_RAISED = {ordinary: raised for raised, ordinary in SUPERSCRIPTS.items()}
_WORD = re.compile(r"[A-Za-z]+")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Level(IntEnum):
    """How tightly a form binds; each is named for what it can hold, from the grammar's rules."""

    VALUE = 0
    OR = 1
    AND = 2
    NOT = 3
    COMPARE = 4
    SUM = 5
    SIGN = 6
    PRODUCT = 7
    JUXTAPOSED = 8
    FACTOR = 9
    POSTFIX = 10
    ATOM = 11


Node = ast.Module | ast.Import | ast.Function | ast.Transform | ast.Optimizer | ast.Stmt | ast.Expr


def unparse(node: Node, notation: Notation = UNICODE) -> str:
    """The canonical text of a module or declaration (ends in a line break), a statement, or an expression."""
    return _Printer(notation).text(node)


class _Printer:
    """Writes nodes in one notation."""

    def __init__(self, notation: Notation):
        self.notation = notation
        self.sign = notation.sign

    def text(self, node: Node) -> str:
        """The text of ``node``."""
        match node:
            case ast.Module(imports, functions, optimizers, transforms=transforms):
                blocks = ["".join(map(_import, imports))] if imports else []
                blocks += [_lines(self._function(f)) for f in functions]
                blocks += [_lines(self._transform(t)) for t in transforms]
                blocks += [_lines(self._optimizer(o)) for o in optimizers]
                return "\n".join(blocks)
            case ast.Import():
                return _import(node)
            case ast.Function():
                return _lines(self._function(node))
            case ast.Transform():
                return _lines(self._transform(node))
            case ast.Optimizer():
                return _lines(self._optimizer(node))
            case ast.Assign() | ast.If() | ast.Loop() | ast.Append() | ast.Break() | ast.Return():
                return "\n".join(self._block((node,)))
            case _:
                return self._expr(node, Level.VALUE)

    # ------------------------------------------------------------------------------------------------ declarations

    def _function(self, node: ast.Function) -> Iterator[str]:
        parameters = f"; {self._names(node.parameters)}" if node.parameters else ""
        yield f"function {node.name}({self._names(node.arguments)}{parameters}):"
        yield from _indented(_doc(node.doc))
        yield from _indented(self._block(node.body))

    def _transform(self, node: ast.Transform) -> Iterator[str]:
        arguments = f"({self._names(node.arguments)})" if node.arguments else ""
        yield f"transform {node.name}{arguments}:"
        yield from _apart([*self._declared(node), *map(self._edit, node.edits)])

    def _optimizer(self, node: ast.Optimizer) -> Iterator[str]:
        base = f" extends {node.base}" if node.base else ""
        applies = f" with {', '.join(map(self._application, node.applies))}" if node.applies else ""
        flat = f" over flat {self.notation.name(ast.Symbol('θ'), ast.Time.NONE)}" if node.flat else ""
        yield f"optimizer {node.name}{base}{applies}{flat}:"
        sections = self._declared(node)
        if node.body:
            header = "for each step do" if node.each_step else f"for t = 1 to {self.sign('…')} do"
            sections.append([header, *_indented(self._block(node.body))])
        sections += map(self._edit, node.edits)
        if node.returns is not None:
            sections.append([f"return {self._expr(node.returns, Level.OR)}"])
        yield from _apart(sections)

    def _declared(self, node: ast.Transform | ast.Optimizer) -> list[list[str]]:
        """The sections that stand first: the doc string, the inputs and the states."""
        sections = [list(_doc(node.doc))]
        if node.inputs:
            sections.append(["input:", *_indented(self._inputs(node.inputs))])
        if node.states:
            sections.append(["initialize:", *_indented(_aligned([self._state(s) for s in node.states]))])
        return sections

    def _edit(self, node: ast.Edit) -> list[str]:
        occurrence = "" if node.occurrence is None else f" ({node.occurrence})"
        return [f"{node.place} {self._name(node.name)}{occurrence}:", *_indented(self._block(node.body))]

    def _application(self, node: ast.Application) -> str:
        arguments = ", ".join(self._expr(a, Level.OR) for a in node.arguments)
        return f"{node.transform}({arguments})" if arguments else node.transform

    def _inputs(self, inputs: Sequence[ast.Input]) -> Iterator[str]:
        lines: list[list[ast.Input]] = []
        for declaration in inputs:
            if lines and _is_bare(declaration) and _is_bare(lines[-1][0], declaration.keyword_only):
                lines[-1].append(declaration)
            else:
                lines.append([declaration])
        starred = False
        rows = [self._input(line) for line in lines]
        texts = _aligned([(head, "" if _is_long(where) else where, doc) for head, where, doc in rows])
        for line, (_, where, _), text in zip(lines, rows, texts, strict=True):
            if line[0].keyword_only and not starred:
                starred = True
                yield "*"
            yield text
            if _is_long(where):
                yield INDENT + where

    def _input(self, line: Sequence[ast.Input]) -> tuple[str, str, str]:
        """The columns of one line: what it is, its constraints, its text."""
        node = line[0]
        head = self._names(name for declaration in line for name in declaration.names)
        if node.python_name is not None:
            head += f" ({node.python_name})"
        if node.choices:
            head += f" {self.sign('∈')} {{{', '.join(map(_string, node.choices))}}}"
        if node.defaults is not None:
            head += f" {':=' if node.fixed else '='} {', '.join(self._expr(d, Level.SUM) for d in node.defaults)}"
        where = "where " + ", ".join(map(self._constraint, node.constraints)) if node.constraints else ""
        return head, where, f"-- {node.doc}" if node.doc else ""

    def _constraint(self, node: ast.Constraint) -> str:
        message = "" if node.message is None else f" else {_string(node.message)}"
        return self._expr(node.condition, Level.OR) + message

    def _state(self, node: ast.State) -> tuple[str, ...]:
        value = "" if node.value is None else f" {self.sign('←')} {self._expr(node.value, Level.SUM)}"
        key = "" if node.key is None else f" ({node.key})"
        shape = "" if node.shape is None else f": {self._expr(node.shape, Level.SUM)}"
        tails = [] if node.condition is None else [f"if {self._expr(node.condition, Level.OR)}"]
        tails += ["at construction"] if node.eager else []
        return self._name(node.name) + value + key + shape, " ".join(tails)

    # -------------------------------------------------------------------------------------------------- statements

    def _block(self, body: Iterable[ast.Stmt]) -> Iterator[str]:
        for stmt in body:
            match stmt:
                case ast.Assign(targets, ast.Cases(cases), None):
                    yield from self._brace(f"{self._names(targets)} {self.sign('←')} ", cases)
                case ast.Assign(targets, value, where):
                    condition = "" if where is None else f" where {self._expr(where, Level.OR)}"
                    yield f"{self._names(targets)} {self.sign('←')} {self._expr(value, Level.OR)}{condition}"
                case ast.If(branches, orelse):
                    for i, branch in enumerate(branches):
                        yield f"{'else if' if i else 'if'} {self._expr(branch.condition, Level.OR)}"
                        yield from _indented(self._block(branch.body))
                    if orelse:
                        yield "else"
                        yield from _indented(self._block(orelse))
                case ast.ForElements(inner):
                    yield f"for i = 0, 1, {self.sign('…')}, d-1 do"
                    yield from _indented(self._block(inner))
                case ast.ForSupport(name, inner):
                    yield f"for i in support({self._name(name)}) do"
                    yield from _indented(self._block(inner))
                case ast.ForRange(name, first, last, inner, down):
                    first_text, last_text = self._expr(first, Level.SUM), self._expr(last, Level.SUM)
                    yield f"for {self._name(name)} = {first_text} {'down ' if down else ''}to {last_text} do"
                    yield from _indented(self._block(inner))
                case ast.Repeat(count, inner, up_to=up_to):
                    yield f"repeat {'up to ' if up_to else ''}{self._expr(count, Level.SUM)} times"
                    yield from _indented(self._block(inner))
                case ast.While(condition, inner):
                    yield f"while {self._expr(condition, Level.OR)} do"
                    yield from _indented(self._block(inner))
                case ast.Break():
                    yield "break"
                case ast.Append(value, history):
                    yield f"append {self._expr(value, Level.OR)} to {self._name(history)}"
                case ast.Return(ast.Tuple(())):
                    yield "return"
                case ast.Return(value):
                    yield f"return {self._expr(value, Level.OR)}"

    def _brace(self, start: str, cases: tuple[ast.Case, ...]) -> Iterator[str]:
        """A brace over several lines, its conditions one below the other."""
        for i, line in enumerate(_aligned([self._case(case) for case in cases])):
            yield (" " * columns(start) if i else start) + line

    def _case(self, case: ast.Case) -> tuple[str, str]:
        condition = "otherwise" if case.condition is None else f"if {self._expr(case.condition, Level.OR)}"
        return f"{self.sign('{')} {self._expr(case.value, Level.OR)}", condition

    # ------------------------------------------------------------------------------------------------- expressions

    def _expr(self, expr: ast.Expr, least: Level) -> str:
        """``expr``, in brackets if it binds less tightly than ``least``."""
        level, text = self._form(expr)
        return f"({text})" if level < least else text

    def _form(self, expr: ast.Expr) -> tuple[Level, str]:
        match expr:
            case ast.Name():
                return Level.POSTFIX if expr.symbol.superscript else Level.ATOM, self._name(expr)
            case ast.Number():
                return Level.SIGN if expr.value < 0 else Level.JUXTAPOSED, self._number(expr)
            case ast.Bool(value):
                return Level.ATOM, "true" if value else "false"
            case ast.String(value):
                return Level.ATOM, _string(value)
            case ast.NoneLiteral():
                return Level.ATOM, "none"
            case ast.StepTime():
                return Level.ATOM, "t"
            case ast.Gradient():
                return Level.ATOM, f"{self.sign('∇')}f_t({self.notation.name(ast.Symbol('θ'), ast.Time.PREVIOUS)})"
            case ast.Unary("-", operand):
                return Level.SIGN, "-" + self._expr(operand, Level.JUXTAPOSED)
            case ast.Unary("not", operand):
                return Level.NOT, "not " + self._expr(operand, Level.NOT)
            case ast.Unary(_, operand):
                return Level.POSTFIX, self._expr(operand, Level.ATOM) + self.sign("ᵀ")
            case ast.Binary():
                return self._binary(expr)
            case ast.Compare(operands, ops):
                rest = (f" {self.sign(op)} {self._expr(o, Level.SUM)}" for op, o in zip(ops, operands[1:], strict=True))
                return Level.COMPARE, self._expr(operands[0], Level.SUM) + "".join(rest)
            case ast.Call():
                return self._call(expr)
            case ast.Tuple(items):
                return Level.OR, ", ".join(self._expr(item, Level.OR) for item in items)
            case ast.Cases(cases):
                return Level.VALUE, " ".join(" ".join(self._case(case)) for case in cases)
            case ast.Running(op, body):
                return Level.POSTFIX, f"{self.sign('∏' if op == '*' else '∑')}_{{i=1}}^{{t}} {self._indexed(body)}"

    def _binary(self, expr: ast.Binary) -> tuple[Level, str]:
        left, right = expr.left, expr.right
        match expr.op:
            case "or":
                chained = isinstance(left, ast.Binary) and left.op == "or"
                # `and` inside `or` gets brackets that the grammar would not need
                return (
                    Level.OR,
                    f"{self._expr(left, Level.OR if chained else Level.NOT)} or {self._expr(right, Level.NOT)}",
                )
            case "and":
                return Level.AND, f"{self._expr(left, Level.AND)} and {self._expr(right, Level.NOT)}"
            case "+" | "-":
                return Level.SUM, f"{self._expr(left, Level.SUM)} {expr.op} {self._expr(right, Level.PRODUCT)}"
            case "*":
                return self._product(left, right)
            case "/" if self.notation.fraction:
                return Level.FACTOR, self.notation.fraction.format(
                    self._expr(left, Level.OR), self._expr(right, Level.OR)
                )
            case "/" if _is_literal(left) and _is_literal(right):
                return Level.PRODUCT, f"{self._expr(left, Level.PRODUCT)}/{self._expr(right, Level.JUXTAPOSED)}"
            case "/" | "@" | "mod":
                divisor = self._expr(right, Level.JUXTAPOSED if _is_number(right) else Level.FACTOR)
                return Level.PRODUCT, f"{self._expr(left, Level.PRODUCT)} {expr.op} {divisor}"
            case _:
                base = self._expr(left, Level.JUXTAPOSED if _is_literal(left) else Level.ATOM)
                return Level.JUXTAPOSED if _is_literal(left) else Level.POSTFIX, base + self._exponent(right)

    def _product(self, left: ast.Expr, right: ast.Expr) -> tuple[Level, str]:
        """Factors side by side where that can be read; else, after a quotient or before a number, with a dot."""
        if self._form(left)[0] is Level.PRODUCT or _is_number(right):
            return (
                Level.PRODUCT,
                f"{self._expr(left, Level.PRODUCT)} {self.sign('·')} {self._expr(right, Level.JUXTAPOSED)}",
            )
        return Level.JUXTAPOSED, f"{self._expr(left, Level.JUXTAPOSED)} {self._expr(right, Level.FACTOR)}"

    def _exponent(self, expr: ast.Expr) -> str:
        match expr:
            case ast.Number(int() as value) if value >= 0 and self.notation.raised:
                return "".join(_RAISED[digit] for digit in str(value))
            case ast.Number(int() as value) if 0 <= value <= 9 or (value >= 0 and not self.notation.exponent):
                return f"^{value}"
            case ast.StepTime():
                return "^t"
            case _ if self.notation.exponent and not _WORD.fullmatch(inside := self._expr(expr, Level.OR)):
                return self.notation.exponent.format(inside)
            case ast.Name(ast.Symbol(base, subscript="", superscript=""), ast.Time.NONE) if (
                len(base) == 1 and base != "T" and len(self._name(expr)) == 1
            ):
                return "^" + self._name(expr)
            case _:
                return f"^({self._expr(expr, Level.OR)})"

    def _call(self, expr: ast.Call) -> tuple[Level, str]:
        plain = len(expr.arguments) == 1 and not expr.parameters and not expr.over
        if plain and expr.function in self.notation.fences:
            opening, closing = self.notation.fences[expr.function]
            inside = self._expr(expr.arguments[0], Level.OR)
            if not any(bar in inside for bar in BARS):
                return Level.ATOM, opening + inside + closing
        if plain and expr.function == "sqrt":
            return self._root(expr.arguments[0])
        arguments = ", ".join(self._expr(a, Level.OR) for a in expr.arguments)
        if expr.over:
            arguments += f"{', ' if arguments else ''}over {expr.over}"
        if expr.parameters:
            arguments += "; " + ", ".join(self._expr(p, Level.OR) for p in expr.parameters)
        return Level.ATOM, f"{expr.function}({arguments})"

    def _root(self, operand: ast.Expr) -> tuple[Level, str]:
        root = self.notation.root
        if "{" in root:
            return Level.ATOM, root.format(self._expr(operand, Level.OR))
        if not root:
            return Level.ATOM, f"sqrt({self._expr(operand, Level.OR)})"
        return Level.FACTOR, root + self._expr(operand, Level.JUXTAPOSED if _is_literal(operand) else Level.ATOM)

    def _indexed(self, body: ast.Expr) -> str:
        """What is multiplied or added up: a name with the index ``i`` for its time, if it has no other subscript."""
        match body:
            case ast.Name(symbol, ast.Time.NOW) if len(symbol.base) == 1 and not symbol.subscript:
                return self.notation.name(replace(symbol, subscript="i"), ast.Time.NONE)
            case _:
                return self._expr(body, Level.ATOM)

    def _number(self, node: ast.Number) -> str:
        return self.sign("∞") if node.value == math.inf else node.text or repr(node.value)

    def _name(self, node: ast.Name) -> str:
        return self.notation.name(node.symbol, node.time)

    def _names(self, names: Iterable[ast.Name]) -> str:
        return ", ".join(map(self._name, names))


# -------------------------------------------------------------------------------------------------------- helpers


def _lines(lines: Iterable[str]) -> str:
    return "".join(line + "\n" for line in lines)


def _indented(lines: Iterable[str]) -> Iterator[str]:
    return (INDENT + line if line else line for line in lines)


def _apart(sections: Iterable[list[str]]) -> Iterator[str]:
    """The sections of a declaration, indented, with an empty line between two."""
    for i, section in enumerate(filter(None, sections)):
        if i:
            yield ""
        yield from _indented(section)


def _import(node: ast.Import) -> str:
    file = node.file if _IDENTIFIER.fullmatch(node.file) else _string(node.file)
    return f"import {node.name} from {file}\n"


def _doc(text: str) -> Iterator[str]:
    if text:
        lines = f'"""{text}'.split("\n")
        yield from [*lines, '"""'] if len(lines) > 1 else [lines[0] + '"""']


def _is_long(where: str) -> bool:
    """Whether constraints get a line of their own."""
    return len(where) > 60


def _is_bare(node: ast.Input, keyword_only: bool | None = None) -> bool:
    """Whether an input is a word and nothing else, so that it can share a line with others (of ``keyword_only``)."""
    bare = ast.Input(node.names[:1], None, None, keyword_only=node.keyword_only, span=node.span)
    word = len(node.names[0].symbol.base) > 1
    return node == bare and word and keyword_only in (None, node.keyword_only)


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Rows of cells with each column at one place; a cell that nothing follows takes no part in the widths."""
    widths = [0] * max(map(len, rows), default=0)
    for row in rows:
        for i, cell in enumerate(row):
            if any(row[i + 1 :]):
                widths[i] = max(widths[i], columns(cell))
    return ["".join(_padded(c, w + 4 if w else 0) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]


def columns(text: str) -> int:
    """How many columns ``text`` takes: a combining accent takes none."""
    return sum(not unicodedata.combining(c) for c in text)


def _padded(text: str, width: int) -> str:
    return text + " " * (width - columns(text))


def _is_literal(expr: ast.Expr) -> bool:
    return isinstance(expr, ast.Number) and expr.value >= 0


def _is_number(expr: ast.Expr) -> bool:
    """A number or a power of one: it can stand only first among factors side by side."""
    return _is_literal(expr) or (isinstance(expr, ast.Binary) and expr.op == "^" and _is_literal(expr.left))


def _string(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
