"""A program under given hyperparameters: branches that they decide are gone."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import replace

from optdsl.ir.nodes import Block, Const, Expr, Hyper, If, Op, Present, Program, Rate, Stmt, walk
from optdsl.ir.passes.rewrite import remove_dead_code, substitute_program

Value = int | float | bool | str | None

_FUNCTIONS: dict[str, Callable[..., Value]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    "pow": operator.pow,
    "min": min,
    "max": max,
    "neg": operator.neg,
    "sqrt": lambda x: x**0.5,
    "abs": abs,
    "sign": lambda x: (x > 0) - (x < 0),
    "exp": math.exp,
    "log": math.log,
    "floor": math.floor,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "eq": operator.eq,
    "ne": operator.ne,
    "and": lambda x, y: x and y,
    "or": lambda x, y: x or y,
    "not": operator.not_,
    "select": lambda c, x, y: x if c else y,
}


def evaluate(x: Expr, hypers: Mapping[str, Value]) -> Value:
    """The value of an expression over constants and hyperparameters, in Python numbers."""
    match x:
        case Const(value):
            return value
        case Hyper(name):
            return hypers[name]
        case Op(op, args):
            return _FUNCTIONS[op](*(evaluate(a, hypers) for a in args))
        case _:
            raise ValueError(f"{x} is not known before the step")


def defaults(program: Program) -> dict[str, Value]:
    """The default of every hyperparameter that has one; ``maximize`` is off."""
    values: dict[str, Value] = {"maximize": False}
    for scalar in program.scalars:
        if scalar.default is not None:
            values[scalar.name] = evaluate(scalar.default, values)
    return values


def specialize(program: Program, hypers: Mapping[str, Value]) -> Program:
    """``program`` without the branches that ``hypers`` decide, in the steady state (every state is present)."""
    copies: dict[str, Expr] = {}

    def block(statements: Block) -> Block:
        result: list[Stmt] = []
        for stmt in statements:
            if not isinstance(stmt, If):
                result.append(stmt)
                continue
            decided = _decide(stmt.condition, hypers)
            if decided is None:
                result.append(replace(stmt, then=block(stmt.then), orelse=block(stmt.orelse)))
            else:
                result += block(stmt.then if decided else stmt.orelse)
                copies.update({m.name: m.then if decided else m.orelse for m in stmt.merges})
        return tuple(result)

    program = program.with_body(block(program.body))
    while True:
        resolved = substitute_program(program, copies)
        if resolved == program:
            return remove_dead_code(program)
        program = resolved


def _decide(condition: Expr, hypers: Mapping[str, Value]) -> bool | None:
    match condition:
        case Present():
            return True
        case Op("not", (Present(),)):
            return False
    if condition.type.rate > Rate.GROUP or not all(n.name in hypers for n in walk(condition) if isinstance(n, Hyper)):
        return None
    return bool(evaluate(condition, hypers))
