"""How the compiler reads a spec: every name with what it is, every statement fully bracketed and typed.

For the author who wonders whether ``a b^2 / c`` is what was meant: ``optdsl show --reading``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from optdsl.check import walk
from optdsl.check.model import CheckedOptimizer, Report
from optdsl.check.types import TypeChecker, hyperparameter_type
from optdsl.ir.nodes import FULL, DType, Rate, Type
from optdsl.syntax import ast
from optdsl.syntax.printer import columns, unparse

INDENT = "    "

RATES = {
    Rate.CONSTANT: "",
    Rate.GROUP: " per group",
    Rate.STEP: " per step",
    Rate.TENSOR: " per tensor",
    Rate.ELEMENT: " per element",
}
DTYPES = {DType.REAL: "number", DType.BOOL: "flag", DType.CHOICE: "choice"}

Row = tuple[str, str]
"""What is read, and its type."""


def reading(checked: CheckedOptimizer) -> str:
    """The reading of one optimizer (``extends`` resolved), a line per name and per statement."""
    optimizer, table = checked.optimizer, checked.table
    checker = TypeChecker(table, checked.functions, Report())
    sections = {
        "inputs": [
            (f"{unparse(h.name)} is {h.identifier}", _type(hyperparameter_type(h)))
            for h in table.hyperparameters.values()
        ],
        "states": [
            (_state(b.declaration, b.identifier), _type(Type(DType.REAL, b.rate, b.shape)))
            for b in table.buffers.values()
        ],
        "step": list(_block(walk.whole(optimizer), checker)),
    }
    if optimizer.flat:  # a variable has a type of its own at every place, and the IR shows it
        sections = {title: [(text, "") for text, _ in rows] for title, rows in sections.items()}
    width = max((columns(text) for rows in sections.values() for text, _ in rows), default=0)
    lines = [optimizer.name]
    for title, rows in sections.items():
        lines += [INDENT + title] if rows else []
        lines += [f"{INDENT * 2}{text}{' ' * (width - columns(text))}  {type_}".rstrip() for text, type_ in rows]
    return "\n".join(lines) + "\n"


def _state(state: ast.State, identifier: str) -> str:
    initial = "absent at first" if state.value is None else f"← {bracketed(state.value)}"
    condition = "" if state.condition is None else f" if {bracketed(state.condition)}"
    return f"{unparse(state.name)} ({identifier}) {initial}{condition}"


def _type(type_: Type | None) -> str:
    """``: number per group``, ``: tensor``, …; nothing where the type is not known."""
    if type_ is None:
        return ""
    if type_.is_tensor and type_.dtype is DType.REAL:
        return ": tensor" if type_.shape == FULL else f": tensor {type_.shape}"
    return f": {DTYPES[type_.dtype]}{RATES[type_.rate]}"


def _block(body: Iterable[ast.Stmt], checker: TypeChecker) -> Iterator[Row]:
    """The rows of ``body``; ``checker`` comes to know the types that it assigns."""
    for stmt in body:
        match stmt:
            case ast.Assign(targets, value, where):
                condition = "" if where is None else f" where {bracketed(where)}"
                yield f"{', '.join(map(unparse, targets))} ← {bracketed(value)}{condition}", _type(checker.expr(value))
                checker.statement(stmt)
            case ast.If(branches, orelse):
                for i, branch in enumerate(branches):
                    condition = bracketed(branch.condition)
                    yield f"{'else if' if i else 'if'} {condition}", _type(checker.condition(branch.condition))
                    yield from _indented(_block(branch.body, _fork(checker)))
                if orelse:
                    yield "else", ""
                    yield from _indented(_block(orelse, _fork(checker)))
                checker.statement(stmt)
            case ast.ForElements(inner):
                yield "for every element i", ""
                yield from _indented(_block(inner, checker))
            case ast.ForSupport(name, inner):
                yield f"for every element i that {unparse(name)} stores", ""
                yield from _indented(_block(inner, checker))
            case ast.Repeat(count, inner):
                yield f"repeat {bracketed(count)} times", ""
                yield from _indented(_block(inner, checker))
            case ast.ForRange(name, first, last, inner, down):
                ends = f"{bracketed(first)} {'down ' if down else ''}to {bracketed(last)}"
                yield f"for {unparse(name)} = {ends}", ""
                yield from _indented(_block(inner, checker))
            case ast.While(condition, inner):
                yield f"while {bracketed(condition)}", ""
                yield from _indented(_block(inner, checker))
            case ast.Break():
                yield "break", ""
            case ast.Append(value, name):
                yield f"append {bracketed(value)} to {unparse(name)}", ""
            case ast.Return(ast.Tuple(())):
                yield "return", ""
            case ast.Return(value):
                yield f"return {bracketed(value)}", _type(checker.expr(value))


def _fork(checker: TypeChecker) -> TypeChecker:
    """A checker for one side of a branch: what it learns there, the other side does not know."""
    return replace(checker, types=dict(checker.types))


def _indented(rows: Iterable[Row]) -> Iterator[Row]:
    return ((INDENT + text, type_) for text, type_ in rows)


def bracketed(expr: ast.Expr) -> str:
    """``expr`` with brackets around every operation but the outermost."""
    text = _bracketed(expr)
    return text[1:-1] if isinstance(expr, ast.Unary | ast.Binary | ast.Compare | ast.Cases | ast.Running) else text


def _bracketed(expr: ast.Expr) -> str:
    match expr:
        case ast.Unary("transpose", operand):
            return f"({_bracketed(operand)}ᵀ)"
        case ast.Unary(op, operand):
            return f"({op}{' ' if op.isalpha() else ''}{_bracketed(operand)})"
        case ast.Binary("^", left, right):
            return f"({_bracketed(left)}^{_bracketed(right)})"
        case ast.Binary(op, left, right):
            return f"({_bracketed(left)} {'·' if op == '*' else op} {_bracketed(right)})"
        case ast.Compare(operands, ops):
            rest = "".join(f" {op} {_bracketed(o)}" for op, o in zip(ops, operands[1:], strict=True))
            return f"({_bracketed(operands[0])}{rest})"
        case ast.Call(function, arguments, parameters, over):
            inside = ", ".join([*map(bracketed, arguments), *([f"over {over}"] if over else [])])
            inside += f"; {', '.join(map(bracketed, parameters))}" if parameters else ""
            return f"{function}({inside})"
        case ast.Tuple(items):
            return ", ".join(map(bracketed, items))
        case ast.Cases(cases):
            return f"({'; '.join(map(_case, cases))})"
        case ast.Running(op, body):
            return f"({'product' if op == '*' else 'sum'} of {_bracketed(body)} over the steps 1, …, t)"
        case _:
            return unparse(expr)


def _case(case: ast.Case) -> str:
    return bracketed(case.value) + (" otherwise" if case.condition is None else f" if {bracketed(case.condition)}")
