"""Flags: what is known when a kernel is launched, and formulas over them.

A flag is a truth value that the host knows: a boolean hyperparameter, a comparison of hyperparameters (``λ ≠ 0``), the
presence of a state. In a kernel it is a constant, so that code and memory traffic of the other case do not
exist. A :data:`Formula` says under which flags something is needed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from optdsl.emit.fused.names import Names, describe
from optdsl.ir.nodes import Const, DType, Expr, Op, Present, Rate, children

Formula = frozenset[frozenset[tuple[str, bool]]]
"""A disjunction of conjunctions of ``(flag, whether it holds)``."""

NEVER: Formula = frozenset()
ALWAYS: Formula = frozenset({frozenset()})


def either(*formulas: Formula) -> Formula:
    """The disjunction, without terms that others imply, and with ``a b ∨ a ¬b`` as ``a``."""
    terms = set().union(*formulas)
    while True:
        merged = {
            a - {literal} for a in terms for literal in a if (a - {literal}) | {(literal[0], not literal[1])} in terms
        }
        if merged <= terms:
            break
        terms |= merged
    return frozenset(t for t in terms if not any(other < t for other in terms))


def both(a: Formula, b: Formula) -> Formula:
    """The conjunction."""
    terms = (s | t for s in a for t in b)
    return either(frozenset(t for t in terms if not any((name, not holds) in t for name, holds in t)))


def given(a: Formula, known: Formula) -> Formula:
    """``a`` where ``known`` holds: without what ``known`` says for certain."""
    certain = frozenset.intersection(*known) if known else frozenset()
    terms = (term - certain for term in a)
    return either(frozenset(t for t in terms if not any((name, not holds) in certain for name, holds in t)))


def negated(a: Formula) -> Formula:
    result = ALWAYS
    for term in a:
        result = both(result, frozenset(frozenset({(name, not holds)}) for name, holds in term))
    return result


@dataclass
class Flags:
    """The flags met so far, named: ``AMSGRAD``, ``HAS_WEIGHT_DECAY``, ``MOMENTUM_BUFFER_PRESENT``."""

    names: Names
    by_expression: dict[Expr, str] = field(default_factory=dict)

    @property
    def order(self) -> tuple[str, ...]:
        """The names, in order of their first use."""
        return tuple(self.by_expression.values())

    def text(self, formula: Formula, flag: str = "{}") -> str:
        """``formula`` in Python, in which a flag is written as ``flag.format(name)``; "" if it always holds."""
        if not formula:
            return "False"
        rank = {name: i for i, name in enumerate(self.order)}
        terms = [
            " and ".join(
                f"{'' if holds else 'not '}{flag.format(name)}" for name, holds in sorted(t, key=lambda x: rank[x[0]])
            )
            for t in sorted(formula, key=lambda t: sorted((rank[name], not holds) for name, holds in t))
        ]
        return " or ".join(f"({t})" if len(terms) > 1 and " and " in t else t for t in terms)

    def meet(self, x: Expr) -> None:
        """Names every flag that ``x`` mentions."""
        if x.type.dtype is DType.BOOL and is_flag(x):
            self.formula(x)
        for child in children(x):
            self.meet(child)

    def formula(self, condition: Expr) -> Formula:
        """The flags under which ``condition`` (for which :func:`is_flag` holds) is true."""
        match condition:
            case Const(value):
                return ALWAYS if value else NEVER
            case Op("and", (a, b)):
                return both(self.formula(a), self.formula(b))
            case Op("or", (a, b)):
                return either(self.formula(a), self.formula(b))
            case Op("not", (a,)):
                return negated(self.formula(a))
            case _:
                return frozenset({frozenset({(self.name(condition), True)})})

    def name(self, atom: Expr) -> str:
        if atom not in self.by_expression:
            self.by_expression[atom] = self.names.take(_wanted_name(atom))
        return self.by_expression[atom]


def is_flag(condition: Expr) -> bool:
    """Whether the host knows ``condition`` (no references left in it) without reading the device."""
    match condition:
        case Op("and" | "or" | "not", args):
            return all(is_flag(a) for a in args)
        case Present():
            return True
        case _:
            return condition.type.rate <= Rate.GROUP


def _wanted_name(atom: Expr) -> str:
    match atom:
        case Op("ne", (x, Const(0))) if x.type.dtype is DType.REAL:
            return f"HAS_{describe(x)}".upper()
        case _:
            return describe(atom).upper()
