"""New trees from old ones: names exchanged, the gradient exchanged, statements exchanged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from optdsl.syntax import ast

Read = Callable[[ast.Name | ast.Gradient], ast.Expr]
"""What stands for a name, or for the gradient, that is read."""

Write = Callable[[ast.Name], ast.Name]
"""What stands for a name that is assigned."""

Body = tuple[ast.Stmt, ...]


def expression(expr: ast.Expr, read: Read) -> ast.Expr:
    """``expr`` with every name in it exchanged."""

    def inside(*parts: ast.Expr) -> tuple[ast.Expr, ...]:
        return tuple(expression(part, read) for part in parts)

    match expr:
        case ast.Name() | ast.Gradient():
            return read(expr)
        case ast.Unary(operand=operand):
            return replace(expr, operand=expression(operand, read))
        case ast.Binary(left=left, right=right):
            return replace(expr, left=expression(left, read), right=expression(right, read))
        case ast.Compare(operands=operands):
            return replace(expr, operands=inside(*operands))
        case ast.Call(arguments=arguments, parameters=parameters):
            return replace(expr, arguments=inside(*arguments), parameters=inside(*parameters))
        case ast.Tuple(items=items):
            return replace(expr, items=inside(*items))
        case ast.Cases(cases=cases):
            return replace(expr, cases=tuple(_case(case, read) for case in cases))
        case ast.Running(body=body):
            return replace(expr, body=expression(body, read))
        case _:
            return expr


def _case(case: ast.Case, read: Read) -> ast.Case:
    return replace(case, value=expression(case.value, read), condition=optional(case.condition, read))


def optional(expr: ast.Expr | None, read: Read) -> ast.Expr | None:
    """``expr``, where there is one, with every name in it exchanged."""
    return None if expr is None else expression(expr, read)


def same(name: ast.Name) -> ast.Name:
    """Leaves a name as it is."""
    return name


def names(body: Body, read: Read, write: Write) -> Body:
    """``body`` with every name in it exchanged."""

    def block(inner: Body) -> Body:
        return names(inner, read, write)

    def statement(stmt: ast.Stmt) -> ast.Stmt:
        match stmt:
            case ast.Assign(targets=targets, value=value, where=where):
                assigned = tuple(map(write, targets))
                return replace(stmt, targets=assigned, value=expression(value, read), where=optional(where, read))
            case ast.If(branches=branches, orelse=orelse):
                inner = tuple(replace(b, condition=expression(b.condition, read), body=block(b.body)) for b in branches)
                return replace(stmt, branches=inner, orelse=block(orelse))
            case ast.ForElements(body=inner_body):
                return replace(stmt, body=block(inner_body))
            case ast.ForSupport(name=name, body=inner_body):
                return replace(stmt, name=write(name), body=block(inner_body))
            case ast.Repeat(count=count, body=inner_body):
                return replace(stmt, count=expression(count, read), body=block(inner_body))
            case ast.ForRange(name=name, first=first, last=last, body=inner_body):
                ends = expression(first, read), expression(last, read)
                return replace(stmt, name=write(name), first=ends[0], last=ends[1], body=block(inner_body))
            case ast.While(condition=condition, body=inner_body):
                return replace(stmt, condition=expression(condition, read), body=block(inner_body))
            case ast.Append(value=value, history=history):
                return replace(stmt, value=expression(value, read), history=write(history))
            case ast.Break():
                return stmt
            case ast.Return(value=value):
                return replace(stmt, value=expression(value, read))

    return tuple(map(statement, body))


def exchange(body: Body, new: Mapping[int, Body]) -> Body:
    """``body`` with the statements whose ``id`` is a key of ``new`` exchanged for what stands there, at any depth."""
    out: list[ast.Stmt] = []
    for stmt in body:
        match stmt:
            case _ if id(stmt) in new:
                out += new[id(stmt)]
            case ast.If(branches=branches, orelse=orelse):
                inner = tuple(replace(branch, body=exchange(branch.body, new)) for branch in branches)
                out.append(replace(stmt, branches=inner, orelse=exchange(orelse, new)))
            case ast.Loop(body=inner_body):
                out.append(replace(stmt, body=exchange(inner_body, new)))
            case _:
                out.append(stmt)
    return tuple(out)
