"""The element work of a step as C: each torch operation of the for-loop variant, on one element.

What follows from that: the arithmetic, its order and its fused multiply-adds are those of the for-loop variant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import reduce

from optdsl.emit.fused.names import Names
from optdsl.emit.native.printer import LARGEST_POWER
from optdsl.emit.native.scalars import Scalars, branch_lines
from optdsl.ir.instructions import Branch, Code, Instruction, instructions
from optdsl.ir.nodes import Const, DType, Expr

_COMPARISONS = {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}
_ARITHMETIC = {"sub": "-", "mul": "*", "div": "/"}
_LOGIC = {"logical_and": "&&", "logical_or": "||"}
_FUNCTIONS = {
    "sqrt": "SQRT",
    "abs": "ABS",
    "exp": "EXP",
    "log": "LOG",
    "floor": "FLOOR",
    "sign": "sign",
    "maximum": "maximum",
    "minimum": "minimum",
    "bfloat16": "through_bf16",
    "float32": "through_f32",
}

_MOVES = ("clone", "alias", "store", "copy", "choose", "where")
"""Operations whose result is of the kind of their last operand."""


class Elements:
    """Prints ``code``. ``variables`` says how its variables are called in C; those of ``truths`` are truth values."""

    def __init__(self, code: Code, scalars: Scalars, names: Names):
        self.code = code
        self.scalars = scalars
        used = dict.fromkeys(v for i in instructions(code) for v in (i.target, *i.operands))
        self.variables: Mapping[str, str] = {v: names.take(v) for v in used}
        self.truths = _truth_values(code)

    def lines(self) -> list[str]:
        return list(self._lines(self.code))

    def _lines(self, code: Code) -> Iterator[str]:
        for item in code:
            if isinstance(item, Branch):
                condition = self.scalars.condition(item.condition)
                yield from branch_lines(condition, list(self._lines(item.then)), list(self._lines(item.orelse)))
            else:
                target, value = self.variables[item.target], self.value(item)
                if target != value:
                    yield f"{target} = {value};"

    def value(self, i: Instruction) -> str:
        operands = [self.variables[o] for o in i.operands]
        scalars = [self.scalars.element(s) for s in i.scalars]
        values = [*operands, *scalars]
        match i.op, len(operands), len(scalars):
            case "add", 2, 0:
                return f"{operands[0]} + {operands[1]}"
            case "add", 1, 1:
                return f"{operands[0]} + {scalars[0]}"
            case "add", 2, 1:
                return f"MULTIPLY_ADD({operands[1]}, {scalars[0]}, {operands[0]})"
            case "addcmul", 3, _:
                product = [*scalars, operands[1]]
                return f"MULTIPLY_ADD({' * '.join(product)}, {operands[2]}, {operands[0]})"
            case "addcdiv", 3, _:
                return f"{operands[0]} + {' * '.join([*scalars, operands[1]])} / {operands[2]}"
            case "lerp", 2, 1:
                return f"lerp({', '.join(values)})"
            case "pow", 1, 1:
                return _power(operands[0], i.scalars[0], scalars[0])
            case "pow", 2, 0:
                return f"POW({', '.join(values)})"
            case "rpow", 1, 1:
                return f"POW({scalars[0]}, {operands[0]})"
            case "clamp", 1, 2:
                return f"at_most(at_least({operands[0]}, {scalars[0]}), {scalars[1]})"
            case "maximum", 1, 1:
                return f"at_least({', '.join(values)})"
            case "minimum", 1, 1:
                return f"at_most({', '.join(values)})"
            case "neg", 1, 0:
                return f"-{operands[0]}"
            case "reciprocal", 1, 0:
                return f"1 / {operands[0]}"
            case "rsqrt", 1, 0:
                return f"1 / SQRT({operands[0]})"
            case "logical_not", 1, 0:
                return f"!{operands[0]}"
            case "where", _, _:
                tensors, numbers = iter(operands), iter(scalars)
                condition, a, b = (next(tensors) if kind == "t" else next(numbers) for kind in i.layout)
                return f"{condition} ? {a} : {b}"
            case "choose", 2, 1:
                return f"({scalars[0]}) ? {operands[0]} : {operands[1]}"
            case "full_like", _, 1:
                return scalars[0]
            case (("clone" | "alias" | "store"), 1, 0):
                return operands[0]
            case "copy", 2, 0:
                return operands[1]
        a, *rest = values
        if i.op in _ARITHMETIC:
            return f"{a} {_ARITHMETIC[i.op]} {rest[0]}"
        if i.op in _COMPARISONS:
            return f"{a} {_COMPARISONS[i.op]} {rest[0]}"
        if i.op in _LOGIC:
            return f"{a} {_LOGIC[i.op]} ({rest[0]})"
        return f"{_FUNCTIONS[i.op]}({', '.join(values)})"

    def locals(self) -> list[tuple[str, str]]:
        """(C type, name) of every variable."""
        return [("int" if v in self.truths else "REAL", name) for v, name in self.variables.items()]

    # ------------------------------------------------------------------------------------------------------ traffic

    def touched(self, key: str) -> str:
        """When ``key`` is read or written, over conditions of the code."""
        return self._when(self.code, lambda i: key in (i.target, *i.operands), self.scalars.condition)

    def written(self, key: str) -> str:
        """When ``key`` gets a new value."""
        return self._when(self.code, lambda i: i.target == key, self.scalars.condition)

    def assigned(self, key: str, text: Callable[[Expr], str]) -> str:
        """As ``written``, in Python; ``text`` prints a condition."""
        return self._when(
            self.code,
            lambda i: i.target == key,
            text,
            both="{} and {}",
            neither="not {}",
            either=" or ",
            constants=("False", "True"),
        )

    def _when(
        self,
        code: Code,
        holds: Callable[[Instruction], bool],
        condition: Callable[[Expr], str],
        both: str = "{} && {}",
        neither: str = "!{}",
        either: str = " || ",
        constants: tuple[str, str] = ("0", "1"),
    ) -> str:
        never, always = constants

        def conjunction(a: str, b: str) -> str:
            return a if b == always else f"({both.format(a, b)})"

        def visit(code: Code) -> str:
            found = []
            for item in code:
                if not isinstance(item, Branch):
                    if holds(item):
                        return always
                    continue
                then, orelse = visit(item.then), visit(item.orelse)
                if then == orelse == always:
                    return always
                text = condition(item.condition)
                if " " in text:
                    text = f"({text})"
                if then != never:
                    found.append(conjunction(text, then))
                if orelse != never:
                    found.append(conjunction(neither.format(text), orelse))
            found = list(dict.fromkeys(found))
            if not found:
                return never
            return found[0] if len(found) == 1 else f"({either.join(found)})"

        return visit(code)


def _power(base: str, exponent: Expr, text: str) -> str:
    match exponent:
        case Const(0.5):
            return f"SQRT({base})"
        case Const(-1):
            return f"1 / {base}"
        case Const(n) if isinstance(n, int | float) and n == int(n) and 1 <= n <= LARGEST_POWER:
            return reduce("{0} * {1}".format, [base] * int(n)) if n <= 3 else f"integer_power({base}, {int(n)})"
        case _:
            return f"POW({base}, {text})"


def _truth_values(code: Code) -> frozenset[str]:
    """The variables that hold truth values."""
    truths: set[str] = set()
    while True:
        before = len(truths)
        for i in instructions(code):
            if i.op == "where" and "t" not in i.layout[1:]:
                moved = i.scalars[-1].type.dtype is DType.BOOL
            else:
                moved = i.op in _MOVES and i.operands[-1] in truths
            if moved or i.op in _COMPARISONS or i.op.startswith("logical_"):
                truths.add(i.target)
        if len(truths) == before:
            return frozenset(truths)
