"""Reductions as kernels make them: a sum, a largest or a smallest element, and scalar work around it.

A mean is a sum over a count, a norm the root of a sum of squares. What is left are :data:`FOLDS` over at least two
elements' extent, each of a tensor.
"""

from __future__ import annotations

from collections.abc import Iterator

from optdsl.ir.nodes import (
    FULL,
    MATRIX_OPERATIONS,
    REDUCTIONS,
    Call,
    Const,
    Expr,
    Extent,
    Op,
    ParamFact,
    Program,
    Shape,
    children,
    div,
    mul,
    power,
    walk,
    with_children,
)
from optdsl.ir.passes.rewrite import expressions, map_program

FOLDS = ("sum", "amax", "amin")
"""The folds that stay; each is associative, so that parts of a tensor can be folded first."""

FUSABLE_SHAPES = (FULL, Shape(Extent.ROWS, Extent.ONE), Shape(Extent.ONE, Extent.COLS), Shape(Extent.ONE, Extent.ONE))


def is_fold(x: Expr) -> bool:
    """Whether ``x`` is a reduction."""
    return isinstance(x, Op) and x.op in REDUCTIONS


UNFUSED = {"parameters": "parameters", "rest": "dimensions but the first"}
"""What no kernel reduces over, in words."""


def expand_reductions(program: Program) -> Program:
    """The same step with no reductions but ``{sum,amax,amin}_{all,rows,cols}``, and outer products as products."""
    return map_program(program, _expanded)


def obstacles(program: Program) -> tuple[str, ...]:
    """What of ``program`` no fused kernel does, in words that go on after "it …"."""
    found = dict.fromkeys(o for x in expressions(expand_reductions(program)) for o in _obstacles(x))
    if program.stored_only and not program.is_elementwise:
        found["updates stored entries only, and not element by element"] = None
    if any(state.shape not in FUSABLE_SHAPES for state in program.states):
        found["has tensors of other shapes"] = None
    return tuple(found)


def _obstacles(x: Expr) -> Iterator[str]:
    for node in walk(x):
        match node:
            case Call(function):
                yield f"calls the procedure `{function}`"
            case Op("matmul"):
                yield "multiplies matrices"
            case Op("transpose"):
                yield "transposes matrices"
            case Op(op) if op in MATRIX_OPERATIONS:
                yield f"computes `{op}` of matrices"
            case Op(op) if op in REDUCTIONS and REDUCTIONS[op].over in UNFUSED:
                yield f"reduces over all {UNFUSED[REDUCTIONS[op].over]}"
            case _ if node.type.is_tensor and node.type.shape not in FUSABLE_SHAPES:
                yield "has tensors of other shapes"


def _expanded(x: Expr) -> Expr:
    x = with_children(x, tuple(map(_expanded, children(x))))
    match x:
        case Op("matmul", (a, b)) if a.type.shape.cols is Extent.ONE:
            return mul(a, b)
        case Op(op, (operand,)) if op in REDUCTIONS and REDUCTIONS[op].over not in UNFUSED:
            return _reduction(REDUCTIONS[op].fold, REDUCTIONS[op].over, operand)
        case _:
            return x


def _reduction(fold: str, over: str, x: Expr) -> Expr:
    count = _count(x.type.shape, over)
    if not x.type.is_tensor or count == Const(1):
        return _of_equal(fold, count, x)
    match fold:
        case "mean":
            return div(Op(f"sum_{over}", (x,)), count)
        case "norm":
            return Op("sqrt", (Op(f"sum_{over}", (power(x, Const(2)),)),))
        case "rms":
            return Op("sqrt", (div(Op(f"sum_{over}", (power(x, Const(2)),)), count),))
        case _:
            return Op(f"{fold}_{over}", (x,))


def _of_equal(fold: str, count: Expr, x: Expr) -> Expr:
    """The reduction of ``count`` elements that are all ``x``."""
    match fold:
        case "sum":
            return x if count == Const(1) else mul(count, x)
        case "norm":
            size = Op("abs", (x,))
            return size if count == Const(1) else mul(Op("sqrt", (count,)), size)
        case "rms":
            return Op("abs", (x,))
        case _:
            return x


def _count(shape: Shape, over: str) -> Expr:
    """How many elements of a tensor of ``shape`` are reduced to one."""
    facts: dict[Extent, Expr] = {Extent.ONE: Const(1), Extent.ROWS: ParamFact("rows"), Extent.COLS: ParamFact("cols")}
    if over == "rows":
        return facts[shape.rows]
    if over == "cols":
        return facts[shape.cols]
    count: Expr = ParamFact("numel")
    missing = [fact for own, fact in ((shape.rows, "rows"), (shape.cols, "cols")) if own is Extent.ONE]
    for fact in missing:
        count = div(count, ParamFact(fact))
    return count
