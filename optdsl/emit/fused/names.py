"""Names for emitted values: readable ones for scalar expressions, and unique ones for everything."""

from __future__ import annotations

import re
from collections.abc import Iterable

from optdsl.ir.nodes import Const, Expr, Hyper, Op, ParamFact, Present, Ref, StateValue, Time

LONGEST = 40
"""A description longer than this is no help to the reader."""


class Names:
    """Hands out each name once."""

    def __init__(self, taken: Iterable[str]):
        self._taken = set(taken)

    def take(self, wanted: str) -> str:
        """``wanted``, or ``wanted_2``, ``wanted_3``, … if it is taken."""
        name, number = wanted, 1
        while name in self._taken:
            number += 1
            name = f"{wanted}_{number}"
        self._taken.add(name)
        return name


def describe(scalar: Expr) -> str:
    """An identifier that says what ``scalar`` is: ``bias_correction1``, ``lr_times_weight_decay``."""
    name = _description(scalar)
    return name if len(name) <= LONGEST and name.isidentifier() else "scalar"


_NUMBERS = {"0": "zero", "1": "one", "2": "two"}
_WORDS = {
    "add": "plus",
    "sub": "minus",
    "mul": "times",
    "div": "over",
    "pow": "to_the",
    "lt": "below",
    "le": "at_most",
    "gt": "above",
    "ge": "at_least",
    "eq": "is",
    "ne": "is_not",
    "and": "and",
    "or": "or",
}


def _description(x: Expr) -> str:
    match x:
        case Hyper(name) | ParamFact(name):
            return name
        case Time():
            return "step"
        case StateValue(key):
            return key
        case Present(key):
            return f"{key}_present"
        case Ref():
            return x.identifier
        case Const(value):
            return _NUMBERS.get(repr(value)) or re.sub(r"\W", "_", str(value).replace("-", "minus_")).lower()
        case Op("sub", (Const(1), Op("pow", (Hyper(name), Time())))):
            return "bias_correction" + name[len(name.rstrip("0123456789")) :]
        case Op(op, (a, b)) if op in _WORDS:
            return f"{_description(a)}_{_WORDS[op]}_{_description(b)}"
        case Op("neg", (a,)):
            return f"minus_{_description(a)}"
        case Op(op, args):
            return "_".join((op, *map(_description, args)))
    raise TypeError(f"not an expression: {x!r}")
