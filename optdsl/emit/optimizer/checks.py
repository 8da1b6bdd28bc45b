"""Checks of the constructor's arguments, in torch's form: ``if not 0 <= lr: raise ValueError(…)``."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from optdsl.emit.optimizer.quoting import f_string, literal
from optdsl.emit.optimizer.values import group_value, unpack
from optdsl.emit.python.expressions import HostPrinter
from optdsl.ir.nodes import (
    Argument,
    Check,
    Const,
    Expr,
    Hyper,
    MessagePart,
    Op,
    ParamFact,
    ParamSize,
    Program,
    Scalar,
    walk,
)
from optdsl.ir.vectors import SIZES

NEGATED = {"eq": "ne", "ne": "eq"}
NEGATED_FACTS = NEGATED | {"lt": "ge", "ge": "lt", "le": "gt", "gt": "le"}
MIRRORED = {"gt": "lt", "ge": "le"}
SYMBOLS = {"lt": "<", "le": "<=", "gt": ">", "ge": ">="}


def check_lines(program: Program) -> Iterator[str]:
    """The statements that raise ValueError for an argument out of its range; none if there is nothing to check."""
    choices = [argument for argument in program.arguments if argument.choices and not argument.fixed]
    yield from _named(program, _read(program.checks) | {argument.scalars[0].name for argument in choices})
    for check in program.checks:
        yield f"if {_violation(check.condition)}:"
        yield f"    raise ValueError({_message(check.message)})"
    for argument in choices:
        name = argument.scalars[0].name
        yield f"if {name} not in ({', '.join(['None', *map(literal, argument.choices)])}):"
        yield f"    raise ValueError({_message((f'Invalid {argument.name} value: ', argument.scalars[0]))})"


def param_check_lines(program: Program) -> Iterator[str]:
    """The statements that raise ValueError for a parameter that the optimizer does not take."""
    yield from _named(program, _read(program.param_checks))
    for check in program.param_checks:
        violation = _violation(check.condition)
        yield f"if param.numel() and ({violation}):" if _divides_by_a_size(check.condition) else f"if {violation}:"
        yield f"    raise ValueError({_message(check.message)})"


def _named(program: Program, names: set[str]) -> Iterator[str]:
    """The statements that give the values in ``group`` the names that checks read."""
    for argument in program.arguments:
        if len(argument.scalars) == 1 and argument.scalars[0].name in names:
            yield f"{argument.scalars[0].name} = {group_value(program, argument.scalars[0].name)}"
    yield from unpack(program, names)


def _read(checks: tuple[Check, ...]) -> set[str]:
    """The scalars that the checks read or show."""
    names = {node.name for check in checks for node in walk(check.condition) if isinstance(node, Hyper)}
    return names | {part.name for check in checks for part in check.message if isinstance(part, Scalar)}


def _message(parts: tuple[MessagePart, ...]) -> str:
    shown: list[tuple[bool, str]] = []
    for part in parts:
        match part:
            case Scalar(name=name):
                shown.append((True, name))
            case Argument(name=name):
                shown.append((True, f"group['{name}']"))
            case ParamSize():
                shown.append((True, "param.size()"))
            case _:
                shown.append((False, part))
    return f_string(shown)


def _name(expr: Expr) -> str:
    match expr:
        case Hyper(name):
            return name
        case ParamFact(name):
            return f"facts.{name}(param)"
        case _:
            raise ValueError(f"not known before the step: {expr}")


_print = HostPrinter(_name)


def _violation(condition: Expr) -> str:
    """The condition of the ``if`` that raises: a range is negated as a whole, so that NaN is out of it."""
    operands = _chain(condition)
    if operands is not None:
        return f"not {operands}"
    return _print(_negated(condition))


def _chain(condition: Expr) -> str | None:
    """A comparison, or several that share operands, as Python chains them: ``0 <= beta1 < 1``; None for others."""
    links = _conjuncts(condition)
    if not all(isinstance(link, Op) and link.op in SYMBOLS for link in links):
        return None
    comparisons = [link for link in links if isinstance(link, Op)]
    if len(comparisons) == 1 and comparisons[0].op in MIRRORED and isinstance(comparisons[0].args[1], Const):
        (left, right), op = comparisons[0].args, MIRRORED[comparisons[0].op]
        return f"{_print.within(right, 4)} {SYMBOLS[op]} {_print.within(left, 4)}"
    if any(a.args[1] != b.args[0] for a, b in pairwise(comparisons)):
        return None
    rest = "".join(f" {SYMBOLS[link.op]} {_print.within(link.args[1], 4)}" for link in comparisons)
    return f"{_print.within(comparisons[0].args[0], 4)}{rest}"


def _conjuncts(condition: Expr) -> list[Expr]:
    if isinstance(condition, Op) and condition.op == "and":
        return [conjunct for arg in condition.args for conjunct in _conjuncts(arg)]
    return [condition]


def _negated(condition: Expr) -> Expr:
    """Where ``condition`` does not hold; no comparison with NaN does."""
    match condition:
        case Op("not", (a,)):
            return a
        case Op("and", (a, b)):
            return Op("or", (_negated(a), _negated(b)))
        case Op("or", (a, b)):
            return Op("and", (_negated(a), _negated(b)))
        case Op(op, args) if negated := (NEGATED if _reads_hypers(condition) else NEGATED_FACTS).get(op):
            return Op(negated, args)
        case _:
            return Op("not", (condition,))


def _divides_by_a_size(expr: Expr) -> bool:
    """Whether there is a quotient in ``expr`` that a parameter without elements does not have."""
    divisors = (node.args[1] for node in walk(expr) if isinstance(node, Op) and node.op == "div")
    return any(isinstance(node, ParamFact) and node.name in SIZES for divisor in divisors for node in walk(divisor))


def _reads_hypers(expr: Expr) -> bool:
    """Whether ``expr`` depends on hyperparameters, which may be NaN."""
    return any(isinstance(node, Hyper) for node in walk(expr))
