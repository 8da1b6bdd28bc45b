"""Reductions and matrix products in the form that the emitters take."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

from optdsl.ir.nodes import (
    REDUCTIONS,
    Block,
    Const,
    Expr,
    Extent,
    If,
    Let,
    Op,
    Program,
    Rate,
    Stmt,
    children,
    mul,
    power,
    statements,
    with_children,
)
from optdsl.ir.passes.rewrite import defined_names, map_program

_OF_SQUARES = {"sum": "norm", "mean": "rms"}


def simplify_reductions(program: Program) -> Program:
    """A mean of squares is a squared RMS, which no tensor of squares is made for; a product of a column and a row is
    elementwise."""
    return map_program(program, _simplified)


def _simplified(x: Expr) -> Expr:
    if not children(x):
        return x
    x = with_children(x, tuple(_simplified(a) for a in children(x)))
    match x:
        case Op(op, (Op("pow", (root, Const(2))),)) if op in REDUCTIONS and REDUCTIONS[op].over != "parameters":
            reduction = REDUCTIONS[op]
            fold = _OF_SQUARES.get(reduction.fold)
            if fold is None or not root.type.is_tensor:
                return x
            return power(Op(f"{fold}_{reduction.over}", (root,)), Const(2))
        case Op("matmul", (a, b)) if a.type.shape.cols is Extent.ONE:
            return mul(a, b)
        case _:
            return x


def name_reductions(program: Program) -> Program:
    """Every reduction to a scalar has a statement of its own."""
    return program.with_body(_Namer(program).block(program.body))


class _Namer:
    def __init__(self, program: Program):
        self.taken = {name for stmt in statements(program.body) for name in defined_names(stmt)}

    def block(self, block: Block) -> Block:
        result: list[Stmt] = []
        for stmt in block:
            if isinstance(stmt, If):
                result.append(replace(stmt, then=self.block(stmt.then), orelse=self.block(stmt.orelse)))
                continue
            named: list[Let] = []
            if stmt.state is None and _to_scalar(stmt.value):
                parts = tuple(self.named(part, stmt, named) for part in children(stmt.value))
                value = with_children(stmt.value, parts)
            else:
                value = self.named(stmt.value, stmt, named)
            result += [*named, replace(stmt, value=value)]
        return tuple(result)

    def named(self, x: Expr, within: Let, named: list[Let]) -> Expr:
        """``x`` with its reductions to scalars as references to statements that are added to ``named``."""
        args = tuple(self.named(a, within, named) for a in children(x))
        new = with_children(x, args) if args else x
        if not _to_scalar(new):
            return new
        fold = REDUCTIONS[new.op].fold if isinstance(new, Op) else ""
        name = next(name for n in count(1) if (name := f"{fold}.{n}") not in self.taken)
        self.taken.add(name)
        let = Let(name, new, span=within.span)
        named.append(let)
        return let.ref


def _to_scalar(x: Expr) -> bool:
    return isinstance(x, Op) and x.op in REDUCTIONS and x.type.rate is Rate.TENSOR
