"""Walks over the syntax tree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from optdsl.ir.nodes import PARAM_FACTS
from optdsl.syntax import ast


def children(expr: ast.Expr) -> tuple[ast.Expr, ...]:
    """The expressions directly inside ``expr``, from left to right."""
    match expr:
        case ast.Unary(operand=operand):
            return (operand,)
        case ast.Binary(left=left, right=right):
            return left, right
        case ast.Compare(operands=operands):
            return operands
        case ast.Call(arguments=arguments, parameters=parameters):
            return *arguments, *parameters
        case ast.Cases(cases=cases):
            return tuple(e for case in cases for e in (case.value, case.condition) if e is not None)
        case ast.Running(body=body):
            return (body,)
        case ast.Tuple(items=items):
            return items
        case _:
            return ()


def walk(expr: ast.Expr) -> Iterator[ast.Expr]:
    """``expr`` and everything inside it, outermost first, from left to right."""
    yield expr
    for child in children(expr):
        yield from walk(child)


def read(expr: ast.Expr) -> Iterator[ast.Expr]:
    """``expr`` and everything inside it whose value counts: what is asked for its shape is left out."""
    yield expr
    if not (isinstance(expr, ast.Call) and expr.function in PARAM_FACTS):
        for child in children(expr):
            yield from read(child)


def names(expr: ast.Expr) -> Iterator[ast.Name]:
    """Every occurrence of a name in ``expr``."""
    return (e for e in walk(expr) if isinstance(e, ast.Name))


def statements(body: tuple[ast.Stmt, ...]) -> Iterator[ast.Stmt]:
    """Every statement of ``body``, those inside blocks included, in order."""
    for stmt in body:
        yield stmt
        for block in blocks(stmt):
            yield from statements(block)


def blocks(stmt: ast.Stmt) -> tuple[tuple[ast.Stmt, ...], ...]:
    """The blocks directly inside ``stmt``."""
    match stmt:
        case ast.If(branches=branches, orelse=orelse):
            return *(branch.body for branch in branches), orelse
        case ast.Loop(body=body):
            return (body,)
        case _:
            return ()


def whole(optimizer: ast.Optimizer) -> tuple[ast.Stmt, ...]:
    """The step, and behind it what the optimizer returns."""
    returned = optimizer.returns
    return optimizer.body if returned is None else (*optimizer.body, ast.Return(returned, returned.span))


def own_expressions(stmt: ast.Stmt) -> tuple[ast.Expr, ...]:
    """The expressions that ``stmt`` itself evaluates, those of its inner statements left out.

    The ``where`` of an assignment is not among them: it says of what kind the value is.
    """
    match stmt:
        case ast.Assign(value=value):
            return (value,)
        case ast.If(branches=branches):
            return tuple(branch.condition for branch in branches)
        case ast.Repeat(count=count):
            return (count,)
        case ast.ForRange(first=first, last=last):
            return first, last
        case ast.While(condition=condition):
            return (condition,)
        case ast.Append(value=value):
            return (value,)
        case ast.Return(value=value):
            return (value,)
        case _:
            return ()


def expressions(body: tuple[ast.Stmt, ...]) -> Iterator[ast.Expr]:
    """Every expression of ``body``, outermost first, in order."""
    for stmt in statements(body):
        for expr in own_expressions(stmt):
            yield from walk(expr)


def assignments(body: tuple[ast.Stmt, ...]) -> Iterator[tuple[ast.Name, ast.Assign]]:
    """Every name that ``body`` assigns, with the statement that does it, in order."""
    for stmt in statements(body):
        if isinstance(stmt, ast.Assign):
            for target in stmt.targets:
                yield target, stmt


def called(body: tuple[ast.Stmt, ...], functions: Mapping[str, ast.Function]) -> Iterator[ast.Function]:
    """Those of ``functions`` that ``body`` calls, directly or through others, each once."""
    seen: set[str] = set()
    todo = [body]
    while todo:
        for expr in expressions(todo.pop()):
            if isinstance(expr, ast.Call) and expr.function in functions and expr.function not in seen:
                seen.add(expr.function)
                todo.append(functions[expr.function].body)
                yield functions[expr.function]


def is_procedure(function: ast.Function, functions: Mapping[str, ast.Function]) -> bool:
    """Whether ``function`` cannot be inlined: it has loops, several ways out or results, or calls itself."""
    for stmt in statements(function.body):
        match stmt:
            case ast.Repeat() | ast.While() | ast.ForRange() | ast.Break() | ast.Append():
                return True
            case ast.Return(value=value) if stmt is not function.body[-1] or isinstance(value, ast.Tuple):
                return True
            case ast.Assign(targets=targets) if len(targets) > 1:
                return True
    others = {name: other for name, other in functions.items() if name != function.name}
    return any(inner.name == function.name or is_procedure(inner, others) for inner in called(function.body, functions))


def inlined(body: tuple[ast.Stmt, ...], functions: Mapping[str, ast.Function]) -> Iterator[ast.Function]:
    """Those of ``functions`` that are inlined in ``body``: the procedures, and what they call, are not among them."""
    simple = {name: function for name, function in functions.items() if not is_procedure(function, functions)}
    return called(body, simple)
