"""Arguments fixed by ``:=``, put in place of their names: AdamW's box has no ``if decoupled_weight_decay``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from optdsl.syntax import ast

LITERALS = ast.Number | ast.Bool | ast.String | ast.NoneLiteral


def inline_fixed(optimizer: ast.Optimizer) -> ast.Optimizer:
    """``optimizer`` with every fixed input's value in its place, and the branches that this decides resolved."""
    values = {
        name: default
        for declaration in optimizer.inputs
        if declaration.fixed and declaration.defaults
        for name, default in zip(declaration.names, declaration.defaults, strict=True)
    }
    inputs = tuple(i for i in optimizer.inputs if not i.fixed)
    states = tuple(s for s in _substituted(optimizer.states, values) if _can_exist(s))
    body = _resolved(_substituted(optimizer.body, values))
    returns = _substituted(optimizer.returns, values)
    return replace(optimizer, inputs=inputs, states=states, body=body, returns=returns)


def _can_exist(state: ast.State) -> bool:
    return state.condition is None or _truth(state.condition) is not False


def _substituted(node: Any, values: Mapping[ast.Name, ast.Expr]) -> Any:
    """A node, or a tuple of nodes, with values for names."""
    if isinstance(node, tuple):
        return tuple(_substituted(child, values) for child in node)
    if isinstance(node, ast.Name):
        return values.get(node, node)
    if isinstance(node, ast.Stmt | ast.Expr | ast.Branch | ast.Case | ast.State):
        parts = [f.name for f in fields(node) if not f.name.endswith("span")]
        node = replace(node, **{part: _substituted(getattr(node, part), values) for part in parts})
    match node:
        case ast.Cases():
            return _chosen(node)
        case ast.Binary("and" | "or" as op, left, right):
            neutral = op == "and"
            return right if _truth(left) is neutral else left if _truth(right) is neutral else node
    return node


def _chosen(cases: ast.Cases) -> ast.Expr:
    """The brace without the lines that cannot hold; its value where only one is left."""
    left = []
    for case in cases.cases:
        truth = None if case.condition is None else _truth(case.condition)
        if truth is not False:
            left.append(replace(case, condition=None) if truth else case)
        if truth:
            break
    if left and left[0].condition is None:
        return left[0].value
    return replace(cases, cases=tuple(left) or cases.cases)


def _resolved(body: tuple[ast.Stmt, ...]) -> tuple[ast.Stmt, ...]:
    """``body`` without the branches whose condition is decided."""
    statements: list[ast.Stmt] = []
    for stmt in body:
        match stmt:
            case ast.If(branches, orelse):
                statements += _branches(stmt, branches, orelse)
            case ast.Loop():
                statements.append(replace(stmt, body=_resolved(stmt.body)))
            case _:
                statements.append(stmt)
    return tuple(statements)


def _branches(stmt: ast.If, branches: tuple[ast.Branch, ...], orelse: tuple[ast.Stmt, ...]) -> tuple[ast.Stmt, ...]:
    left = []
    for branch in branches:
        truth = _truth(branch.condition)
        if truth:
            orelse = branch.body
            break
        if truth is None:
            left.append(replace(branch, body=_resolved(branch.body)))
    orelse = _resolved(orelse)
    return (replace(stmt, branches=tuple(left), orelse=orelse),) if left else orelse


def _truth(condition: ast.Expr) -> bool | None:
    """Whether ``condition`` holds, or None where that is not decided by literals alone."""
    match condition:
        case ast.Bool(value):
            return value
        case ast.Unary("not", operand):
            truth = _truth(operand)
            return None if truth is None else not truth
        case ast.Binary("and" | "or" as op, left, right):
            truths = _truth(left), _truth(right)
            decisive = op == "or"
            if decisive in truths:
                return decisive
            return None if None in truths else not decisive
        case ast.Compare((left, right), (op,)) if isinstance(left, LITERALS) and isinstance(right, LITERALS):
            return _compare(_value(left), op, _value(right))
    return None


def _compare(left: Any, op: str, right: Any) -> bool | None:
    match op:
        case "=" | "is":
            return left == right
        case "≠" | "is not":
            return left != right
    if not isinstance(left, int | float) or not isinstance(right, int | float):
        return None
    return {"<": left < right, "≤": left <= right, ">": left > right, "≥": left >= right}[op]


def _value(literal: ast.Expr) -> Any:
    return None if isinstance(literal, ast.NoneLiteral) else literal.value  # type: ignore[union-attr]
