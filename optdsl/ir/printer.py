"""The IR as text, for people: ``optdsl show --stage ir``, and what a failing test prints.

A name with a version (``exp_avg.1``) is an SSA value; one without is a hyperparameter (``beta1``), or what the
parameter, the gradient or a state is when the step begins (``param``, ``grad``, ``exp_avg``). Brackets are the fewest
that keep the tree.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from optdsl.ir.nodes import (
    FULL,
    Argument,
    Block,
    Call,
    Const,
    DType,
    Expr,
    Grad,
    Hyper,
    If,
    Item,
    Let,
    Op,
    Param,
    ParamFact,
    Present,
    Program,
    Rate,
    Ref,
    Size,
    State,
    StateValue,
    Time,
    Type,
)

INFIX = {
    "or": (1, "or"),
    "and": (2, "and"),
    "eq": (4, "=="),
    "ne": (4, "!="),
    "lt": (4, "<"),
    "le": (4, "<="),
    "gt": (4, ">"),
    "ge": (4, ">="),
    "add": (5, "+"),
    "sub": (5, "-"),
    "mul": (6, "*"),
    "div": (6, "/"),
    "pow": (8, "^"),
}
"""Precedence and sign of the operations written between their operands; all associate to the left."""
PREFIX = {"not": (3, "not "), "neg": (7, "-")}
NON_ASSOCIATIVE = ("eq", "ne", "lt", "le", "gt", "ge", "pow")

RATES = {
    Rate.CONSTANT: "constant",
    Rate.GROUP: "per group",
    Rate.STEP: "per step",
    Rate.TENSOR: "per tensor",
    Rate.ELEMENT: "tensor",
}
DTYPES = {DType.REAL: "", DType.BOOL: " flag", DType.CHOICE: " choice"}

INDENT = "    "


def program_text(program: Program) -> str:
    """The whole program: its arguments, states, step, and what the step leaves behind."""
    lines = [f"program {program.name}({signature_text(program.arguments)})"]
    if program.states or program.counts_steps:
        lines.append("states")
        lines += [INDENT + _state(state) for state in program.states]
        lines += [f"{INDENT}step: counted"] if program.counts_steps else []
    entries = " of the stored entries of a sparse gradient" if program.needs_sparse else " of the stored entries"
    lines.append(f"step{entries if program.stored_only else ''}")
    lines += [INDENT + line for line in _block(program.body)]
    lines.append("leaves")
    finals = [("param", program.param), *program.new_states]
    lines += [f"{INDENT}{key} = {expr_text(value)}" for key, value in finals]
    if program.evaluation is not None:
        training = program.evaluation.training
        resumed = "kept" if training is None else expr_text(training)
        lines += ["evaluation", f"{INDENT}param = {expr_text(program.evaluation.value)}"]
        lines += ["training again", f"{INDENT}param = {resumed}"]
    return "\n".join(lines) + "\n"


def expr_text(expr: Expr) -> str:
    """One expression on one line."""
    return _expr(expr, 0)


def type_text(type_: Type) -> str:
    """``tensor``, ``per step``, ``per group flag``, …"""
    shape = "" if type_.shape == FULL else f" {type_.shape}"
    return RATES[type_.rate] + shape + DTYPES[type_.dtype]


def signature_text(arguments: tuple[Argument, ...]) -> str:
    parts = []
    starred = False
    for argument in arguments:
        if argument.keyword_only and not starred:
            starred = True
            parts.append("*")
        defaults = [expr_text(s.default) for s in argument.scalars if s.default is not None]
        value = f"({', '.join(defaults)})" if len(argument.scalars) > 1 else "".join(defaults)
        sign = " := " if argument.fixed else "="
        parts.append(f"{argument.name}{sign}{value}" if defaults else argument.name)
    return ", ".join(parts)


def _state(state: State) -> str:
    initial = "absent" if state.initial is None else f"= {expr_text(state.initial)}"
    condition = "" if state.condition is None else f" if {expr_text(state.condition)}"
    eager = ", at construction" if state.eager else ""
    shape = "" if state.shape == FULL else f" {state.shape}"
    return f"{state.key}: {RATES[state.rate]}{shape} {initial}{condition}{eager}"


def _block(block: Block) -> Iterator[str]:
    for stmt in block:
        match stmt:
            case Let(name, value, state):
                yield f"{name}: {type_text(value.type)} = {expr_text(value)}{_mark(state)}"
            case If(condition, then, orelse, merges):
                yield f"if {expr_text(condition)}"
                yield from (INDENT + line for line in _block(then))
                if orelse:
                    yield "else"
                    yield from (INDENT + line for line in _block(orelse))
                for m in merges:
                    yield f"merge {m.name} = {expr_text(m.then)} | {expr_text(m.orelse)}{_mark(m.state)}"


def _mark(state: str | None) -> str:
    return "" if state is None else f"  -> {state}"


def _expr(expr: Expr, least: int) -> str:
    """``expr``, in brackets if it binds less than ``least``."""
    match expr:
        case Const(str() as value):
            return json.dumps(value, ensure_ascii=False)
        case Const(int() | float() as value) if value < 0:
            return f"({value})" if least > PREFIX["neg"][0] else str(value)
        case Const(value):
            return "none" if value is None else str(value).lower()
        case Hyper(name) | Ref(name):
            return name
        case Time():
            return "t"
        case ParamFact(name):
            return f"{name}(param)"
        case Param():
            return "param"
        case Grad():
            return "grad"
        case StateValue(key):
            return key
        case Present(key):
            return f"present({key})"
        case Op(op, (left, right)) if op in INFIX:
            level, sign = INFIX[op]
            text = f"{_expr(left, level + (op in NON_ASSOCIATIVE))} {sign} {_expr(right, level + 1)}"
            return f"({text})" if level < least else text
        case Op(op, (operand,)) if op in PREFIX:
            level, sign = PREFIX[op]
            text = sign + _expr(operand, level)
            return f"({text})" if level < least else text
        case Size(dimension, tensor):
            return f"{dimension}({_expr(tensor, 0)})"
        case Item(sequence, place):
            return f"{sequence}[{place}]"
        case Op(op, args) | Call(op, args):
            return f"{op}({', '.join(_expr(a, 0) for a in args)})"
