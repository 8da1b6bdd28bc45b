"""Drawn IR programs written as specs: what the front end makes of the text must mean what the program means."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from typing import Any

from optdsl.check import walk as syntax
from optdsl.check.vocabulary import PARAM_FACTS
from optdsl.ir.nodes import (
    FULL,
    PER_COLUMN,
    PER_FIRST,
    PER_ROW,
    REDUCTIONS,
    Block,
    Const,
    DType,
    Expr,
    Hyper,
    If,
    Let,
    Op,
    Param,
    ParamFact,
    Present,
    Program,
    Ref,
    Scalar,
    State,
    StateValue,
    Time,
)
from optdsl.source import Source, Span
from optdsl.syntax import ast
from optdsl.syntax.ast import Symbol
from tests.strategies import CHOICES, SYMBOLS

NOWHERE = Span(Source("<drawn>", ""), 0, 0)

BINARY = {"add": "+", "sub": "-", "mul": "*", "div": "/", "pow": "^", "and": "and", "or": "or", "matmul": "@"}
COMPARE = {"lt": "<", "le": "≤", "gt": ">", "ge": "≥", "eq": "=", "ne": "≠"}

NAMES = {
    **{key: Symbol(text[0], subscript={"₁": "1", "₂": "2"}.get(text[1:], "")) for key, text in SYMBOLS.items()},
    **{key: Symbol(key) for key in ("amsgrad", "nesterov", "mode", "large", "denom", "u")},
    "param": Symbol("θ"),
    "grad": Symbol("g"),
    "m_hat": Symbol("m", "hat"),
    "rho": Symbol("ρ"),
    "trust": Symbol("τ"),
    "alpha": Symbol("α"),
}
TIMELESS = ("rho", "alpha", "large", "trust")
"""Locals that are written without a time."""


SHAPED = {
    PER_ROW: Op("mean_cols", (Param(),)),
    PER_COLUMN: Op("mean_rows", (Param(),)),
    PER_FIRST: Op("mean_rest", (Param(),)),
}
"""What has the shape of a state."""


def spec(program: Program) -> ast.Module:
    """The module that says what ``program``, drawn with ``spelled=True``, does."""
    _, _, *body = program.body  # after the gradient, and maximize, which no spec mentions
    gradient = ast.Assign((_name("grad", ast.Time.NOW),), ast.Gradient(NOWHERE), None, NOWHERE)
    optimizer = ast.Optimizer(
        name=program.name,
        base=None,
        doc=program.doc,
        inputs=tuple(_input(s) for s in program.scalars),
        states=tuple(_state(s) for s in program.states),
        body=(gradient, *_block(tuple(body))),
        returns=_name("param", ast.Time.NOW),
        span=NOWHERE,
    )
    return ast.Module((), (), (optimizer,), NOWHERE)


def _name(identifier: str, time: ast.Time = ast.Time.NONE) -> ast.Name:
    return ast.Name(NAMES[identifier], time, NOWHERE)


def _input(scalar: Scalar) -> ast.Input:
    assert scalar.default is not None
    name, default = _name(scalar.name), expr(scalar.default)
    is_word = name.symbol.base == scalar.name
    choices = CHOICES if scalar.dtype is DType.CHOICE else ()
    return ast.Input((name,), None if is_word else scalar.name, (default,), choices=choices, span=NOWHERE)


def _state(state: State) -> ast.State:
    absent = state.initial is None
    return ast.State(
        name=_name(state.key, ast.Time.NONE if absent else ast.Time.INITIAL),
        value=None if absent else _initial(state.initial),
        key=state.key,
        condition=None if state.condition is None else expr(state.condition),
        shape=None if state.shape == FULL else expr(SHAPED[state.shape]),
        span=NOWHERE,
    )


def _initial(value: Expr) -> ast.Expr:
    return _name("param", ast.Time.INITIAL) if value == Param() else expr(value)


def _block(block: Block, masked: bool = False) -> tuple[ast.Stmt, ...]:
    """``masked``: inside ``for i = 0, 1, …``, which a branch per element opens once."""
    statements: list[ast.Stmt] = []
    for stmt in block:
        match stmt:
            case Let(value=value, identifier=identifier):
                time = ast.Time.NONE if identifier in TIMELESS else ast.Time.NOW
                statements.append(ast.Assign((_name(identifier, time),), expr(value), None, NOWHERE))
            case If(condition) if condition.type.is_tensor and not masked:
                statements.append(ast.ForElements((_if(stmt, True),), NOWHERE))
            case If():
                statements.append(_if(stmt, masked))
    return tuple(statements)


def _if(stmt: If, masked: bool) -> ast.If:
    branch = ast.Branch(expr(stmt.condition), _block(stmt.then, masked), NOWHERE)
    orelse = _block(stmt.orelse, masked)
    match orelse:
        case (ast.If(branches, rest),):
            return ast.If((branch, *branches), rest, NOWHERE)
        case _:
            return ast.If((branch,), orelse, NOWHERE)


def expr(e: Expr) -> ast.Expr:
    """``e`` as a spec writes it."""
    match e:
        case Const(bool() as value):
            return ast.Bool(value, NOWHERE)
        case Const(None):
            return ast.NoneLiteral(NOWHERE)
        case Const(str() as value):
            return ast.String(value, NOWHERE)
        case Const(value):
            number = ast.Number(abs(value), "", NOWHERE)
            return ast.Unary("-", number, NOWHERE) if value < 0 else number
        case Hyper(name):
            return _name(name)
        case Time():
            return ast.StepTime(NOWHERE)
        case Param():
            return _name("param", ast.Time.PREVIOUS)
        case StateValue(key):
            return _name(key, ast.Time.PREVIOUS)
        case Present():
            return ast.Compare((ast.StepTime(NOWHERE), ast.Number(1, "1", NOWHERE)), (">",), NOWHERE)
        case Ref(identifier=identifier):
            return _name(identifier, ast.Time.NONE if identifier in TIMELESS else ast.Time.NOW)
        case Op("neg", (operand,)):
            return ast.Unary("-", expr(operand), NOWHERE)
        case Op("not", (operand,)):
            return ast.Unary("not", expr(operand), NOWHERE)
        case Op("select", (condition, then, orelse)):
            first = ast.Case(expr(then), expr(condition), NOWHERE)
            return ast.Cases((first, ast.Case(expr(orelse), None, NOWHERE)), NOWHERE)
        case Op(op, (operand,)) if op in REDUCTIONS:
            over = {"all": "all", "rows": "rows", "cols": "cols", "rest": "all but first"}[REDUCTIONS[op].over]
            function = {"rms": "RMS", "amax": "max", "amin": "min"}.get(REDUCTIONS[op].fold, REDUCTIONS[op].fold)
            return ast.Call(function, (expr(operand),), over=over, span=NOWHERE)
        case ParamFact(name):
            return ast.Call(name, (_name("param", ast.Time.PREVIOUS),), span=NOWHERE)
        case Op("transpose", (operand,)):
            return ast.Unary("transpose", expr(operand), NOWHERE)
        case Op(op, args) if op in BINARY:
            return ast.Binary(BINARY[op], expr(args[0]), expr(args[1]), NOWHERE)
        case Op(op, args) if op in COMPARE:
            return ast.Compare(tuple(map(expr, args)), (COMPARE[op],), NOWHERE)
        case Op(op, args):
            return ast.Call(op, tuple(map(expr, args)), span=NOWHERE)


def with_functions(module: ast.Module) -> ast.Module:
    """The same spec with the value of every assignment that computes something behind a function of its own.

    Not where it asks about a choice: only the step itself can. Nor where it asks what is known of θ: that reads no
    value in the step, but does as an argument.
    """
    functions: list[ast.Function] = []

    def called(value: ast.Expr) -> ast.Expr:
        leaves = tuple(dict.fromkeys(_leaves(value)))
        if any(isinstance(e, ast.Call) and e.function in PARAM_FACTS for e in syntax.walk(value)):
            return value
        if value in leaves or not 0 < len(leaves) <= len(ARGUMENTS) or _name("mode") in leaves:
            return value
        arguments = tuple(ast.Name(Symbol(letter), ast.Time.NONE, NOWHERE) for letter in ARGUMENTS[: len(leaves)])
        returned = ast.Return(_replaced(value, dict(zip(leaves, arguments, strict=True))), NOWHERE)
        functions.append(ast.Function(f"function{len(functions)}", arguments, (), "", (returned,), NOWHERE))
        return ast.Call(functions[-1].name, leaves, span=NOWHERE)

    def block(body: tuple[ast.Stmt, ...]) -> tuple[ast.Stmt, ...]:
        return tuple(map(statement, body))

    def statement(stmt: ast.Stmt) -> ast.Stmt:
        match stmt:
            case ast.Assign(value=value):
                return replace(stmt, value=called(value))
            case ast.If(branches, orelse):
                return replace(
                    stmt, branches=tuple(replace(b, body=block(b.body)) for b in branches), orelse=block(orelse)
                )
            case ast.ForElements(body):
                return replace(stmt, body=block(body))
        return stmt

    (optimizer,) = module.optimizers
    optimizer = replace(optimizer, body=block(optimizer.body))
    return replace(module, functions=tuple(functions), optimizers=(optimizer,))


ARGUMENTS = "abcdehkpqrsxyz"
"""Names for the arguments of functions."""


def _leaves(node: object) -> Iterator[ast.Expr]:
    """What ``node`` reads, in order."""
    if isinstance(node, ast.Name | ast.StepTime):
        yield node
    elif isinstance(node, tuple):
        for child in node:
            yield from _leaves(child)
    elif isinstance(node, ast.Expr | ast.Case):
        for field in fields(node):
            yield from _leaves(getattr(node, field.name))


def _replaced(node: Any, values: Mapping[ast.Expr, ast.Expr]) -> Any:
    """``node`` with ``values`` for what it reads."""
    if isinstance(node, ast.Name | ast.StepTime):
        return values[node]
    if isinstance(node, tuple):
        return tuple(_replaced(child, values) for child in node)
    if isinstance(node, ast.Expr | ast.Case):
        return replace(node, **{f.name: _replaced(getattr(node, f.name), values) for f in fields(node)})
    return node
