"""The scalar work of a step as C, done for a tensor if its step count or scalar states differ from its neighbour's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from optdsl.emit.fused.conditions import Flags, is_flag
from optdsl.emit.fused.names import Names, describe
from optdsl.emit.native.printer import ScalarPrinter, flag_text, number
from optdsl.ir.nodes import (
    Block,
    Const,
    DType,
    Expr,
    Hyper,
    If,
    Let,
    Op,
    ParamFact,
    Present,
    Program,
    Rate,
    Ref,
    StateValue,
    Time,
    children,
    with_children,
)
from optdsl.ir.passes import Split


@dataclass(frozen=True)
class Column:
    """A scalar that element code reads: ``name`` in the struct, ``text`` its value at the end of the scalar code.

    ``is_condition``: a truth value that only the step decides, for which the loop over the elements is specialised.
    """

    name: str
    text: str
    is_condition: bool


@dataclass(frozen=True)
class ScalarState:
    """A scalar state: the variable with its old value, the text of its new one, and (over macros) whether it is there
    and whether it has a value."""

    key: str
    variable: str
    result: str
    exists: str
    has_value: str


class Scalars:
    """Collects what element code reads, then prints the code that computes it."""

    def __init__(self, program: Program, split: Split, flags: Flags, reserved: Iterable[str]):
        self.program = program
        self.split = split
        self.flags = flags
        names = self.names = Names(reserved)
        self.column_names = Names(reserved)
        self.columns: dict[Expr, Column] = {}
        self.hypers: dict[str, str] = {}
        """Variables of the hyperparameters read, by name."""
        self.facts: dict[str, str] = {}
        """Variables of what is asked of θ, by name."""
        self.values: dict[str, Expr] = {}
        """What each name known to the host stands for, without references."""
        self.variables: dict[str, str] = {}
        """Variables of SSA names."""
        self.step = names.take("step")
        self.states = {s.key: names.take(s.key) for s in program.scalar_states}
        self.printer = ScalarPrinter(flags, self.resolve, self.name)
        self._learn(split.prelude)

    # --------------------------------------------------------------------------------------------------- references

    def _learn(self, block: Block) -> None:
        """Remembers what the host knows of ``block``'s names, and gives every name a variable."""
        for stmt in block:
            if isinstance(stmt, Let):
                self._define(stmt.name, stmt.value)
                continue
            self._learn(stmt.then)
            self._learn(stmt.orelse)
            for m in stmt.merges:
                self._define(m.name, Op("select", (stmt.condition, m.then, m.orelse)))

    def _define(self, name: str, value: Expr) -> None:
        resolved = self.resolve(value)
        if is_flag(resolved):
            self.values[name] = resolved
        self.variables[name] = self.names.take(name.partition(".")[0])

    def resolve(self, x: Expr) -> Expr:
        if isinstance(x, Ref):
            return self.values.get(x.name, x)
        return with_children(x, tuple(self.resolve(a) for a in children(x)))

    def name(self, x: Expr) -> str:
        match x:
            case Hyper(name):
                if name not in self.hypers:
                    self.hypers[name] = self.names.take(name)
                return self.hypers[name]
            case ParamFact(name):
                if name not in self.facts:
                    self.facts[name] = self.names.take(f"param_{name}")
                return self.facts[name]
            case Time():
                return self.step
            case StateValue(key):
                return self.states[key]
            case Ref(name):
                return self.variables[name]
        raise TypeError(f"no scalar: {x!r}")

    # ----------------------------------------------------------------------------------------------------- columns

    def element(self, x: Expr) -> str:
        """``x`` as element code reads it."""
        if x.type.dtype is DType.REAL:
            return f"(REAL){number(x.value)}" if isinstance(x, Const) else f"k.{self._column(x)}"
        return self.condition(x)

    def field(self, x: Expr) -> str:
        """``x`` as code reads it that is not specialised for conditions."""
        text = self.element(x)
        return f"k.{text}" if x in self.columns and self.columns[x].is_condition else text

    def condition(self, x: Expr) -> str:
        """A condition as element code reads it: over macros, or one that each step decides."""
        return self.printer.condition(x) or self._column(x)

    def _column(self, x: Expr) -> str:
        if x not in self.columns:
            is_condition = x.type.dtype is DType.BOOL
            self.columns[x] = Column(self.column_names.take(describe(x)), self.printer(x), is_condition)
        return self.columns[x].name

    # -------------------------------------------------------------------------------------------------------- code

    def lines(self) -> list[str]:
        return list(self._block(self.split.prelude))

    def _block(self, block: Block) -> Iterator[str]:
        for stmt in block:
            if isinstance(stmt, If):
                yield from self._branch(stmt)
            elif stmt.value.type.dtype is not DType.REAL and stmt.name in self.values:
                continue
            else:
                yield f"{self.variables[stmt.name]} = {self._value(stmt)};"

    def _value(self, let: Let) -> str:
        """The value of ``let``; that of a state is rounded to its dtype, and so are the operands of ``x ← x · s``."""
        if let.state is None:
            return self.printer(let.value)
        type_, old = f"{let.state.upper()}_T", StateValue(let.state, Rate.STEP)
        match let.value:
            case Op("mul" | "add" as op, (a, b)) if old in (a, b):
                symbol = {"mul": "*", "add": "+"}[op]
                text = f" {symbol} ".join(f"ROUND({type_}, {self.printer(x)})" for x in (a, b))
            case value:
                text = self.printer(value)
        return f"ROUND({type_}, {text})"

    def _branch(self, stmt: If) -> Iterator[str]:
        arms = []
        for block, values in (
            (stmt.then, [m.then for m in stmt.merges]),
            (stmt.orelse, [m.orelse for m in stmt.merges]),
        ):
            merged = zip(stmt.merges, values, strict=True)
            moves = [
                f"{self.variables[m.name]} = {self.printer(value)};"
                for m, value in merged
                if m.ref.type.dtype is DType.REAL or m.name not in self.values
            ]
            arms.append([*self._block(block), *moves])
        yield from branch_lines(self.printer(stmt.condition), *arms)

    @property
    def assigned(self) -> tuple[str, ...]:
        """The variables that the code assigns."""
        return tuple(self.variables.values())

    def scalar_states(self) -> list[ScalarState]:
        new = dict(self.split.program.new_states)
        states = []
        for s in self.program.scalar_states:
            exists = "1" if s.condition is None else flag_text(s.condition, self.flags)[0]
            present = "1" if s.initial is not None else flag_text(Present(s.key), self.flags)[0]
            has_value = " && ".join(f"({x})" for x in (exists, present) if x != "1") or "1"
            states.append(ScalarState(s.key, self.states[s.key], self.printer(new[s.key]), exists, has_value))
        return states

    def hypers_read(self) -> list[tuple[str, str]]:
        """(name, variable) of the numbers that the code takes from the group; to be asked for last."""
        return list(self.hypers.items())


def branch_lines(condition: str, then: list[str], orelse: list[str]) -> Iterator[str]:
    """``if (condition) { … } else { … }``; nothing where both sides are empty."""
    if not then and not orelse:
        return
    if not then:
        condition, then, orelse = f"!({condition})", orelse, []
    yield f"if ({condition}) {{"
    yield from (f"    {line}" for line in then)
    if orelse:
        yield "} else {"
        yield from (f"    {line}" for line in orelse)
    yield "}"
