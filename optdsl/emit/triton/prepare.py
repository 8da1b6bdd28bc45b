"""The scalar work of a step as the text of the ``prepare`` kernel: one lane per tensor, in float64."""

from __future__ import annotations

from dataclasses import dataclass

from optdsl.emit.fused.conditions import ALWAYS, Flags, both
from optdsl.emit.fused.scalars import Split
from optdsl.emit.fused.traffic import Key, values
from optdsl.emit.triton.printer import KernelPrinter
from optdsl.emit.triton.tile import names_of_tensors
from optdsl.emit.triton.variables import assign_variables
from optdsl.ir.nodes import Expr, Hyper, Let, ParamFact, Present, Program, State, StateValue, Time

NAMES = frozenset(
    "tl tensor table n_tensors column row rows mask hypers group found_inf skip float hyper "
    "divide square_root minimum maximum sign power integer_power round_to SIZE".split()
)
"""Names that the prepare kernel uses for itself."""


@dataclass(frozen=True)
class ScalarState:
    """A scalar state: the variable that holds it when the step begins, the text of its new value (None: unchanged).

    ``exists`` says under which flags it is there, ``read`` under which it has a value, in Python ("" for always).
    """

    key: str
    variable: str
    result: str | None
    exists: str
    read: str


@dataclass(frozen=True)
class Prepare:
    """``lines`` compute the scalars from those read: ``hypers`` are (name, variable), ``step`` is the count's variable.

    ``facts`` are (name, variable) of what is read about the parameter, ``columns`` the texts of what a row holds.
    ``helpers`` are the support functions that the lines call.
    """

    hypers: tuple[tuple[str, str], ...]
    facts: tuple[tuple[str, str], ...]
    step: str | None
    states: tuple[ScalarState, ...]
    lines: tuple[str, ...]
    columns: tuple[str, ...]
    helpers: frozenset[str]

    @property
    def every_step(self) -> bool:
        """Whether there is work at every step, and not only when a hyperparameter changed."""
        return self.step is not None or bool(self.states)


def build_prepare(program: Program, split: Split, flags: Flags) -> Prepare | None:
    """Scalar code of ``program``; None if it has no scalars at all."""
    new = {s.key: split.new_states[s.key] for s in program.scalar_states}
    kept = [*(c.value for c in split.columns), *new.values()]
    if not (kept or program.counts_steps):
        return None
    read = [n for x in (*(let.value for let in split.scalars), *kept) for n in values(x)]
    hypers = [n for n in dict.fromkeys(read) if isinstance(n, Hyper)]
    inputs: dict[Key, str] = {Time(): "step"} if program.counts_steps else {}
    inputs |= {StateValue(s.key, s.rate): s.key for s in program.scalar_states}
    inputs |= {hyper: hyper.name for hyper in hypers}
    facts = [n for n in dict.fromkeys(read) if isinstance(n, ParamFact)]
    inputs |= {fact: fact.name for fact in facts}
    variables = assign_variables(split.scalars, inputs, kept, names_of_tensors(program) | NAMES | set(flags.order))
    printer = KernelPrinter(variables, flags, "tl.float64")
    lines = [_line(let, program, printer) for let in split.scalars]
    return Prepare(
        hypers=tuple((hyper.name, variables[hyper]) for hyper in hypers),
        facts=tuple((fact.name, variables[fact]) for fact in facts),
        step=variables[Time()] if program.counts_steps else None,
        states=tuple(_scalar_state(s, new[s.key], printer) for s in program.scalar_states),
        lines=tuple(line for line in lines if line),
        columns=tuple(printer.value(c.value) for c in split.columns),
        helpers=frozenset(printer.helpers),
    )


def _line(let: Let, program: Program, printer: KernelPrinter) -> str:
    """The assignment ``let``, or "" if its value is in that variable already. A state is rounded to its own dtype."""
    variable, text = printer.variables[let.name], printer.value(let.value)
    if let.state in {s.key for s in program.scalar_states}:
        text = f"round_to({text}, {let.state}_dtype)"
        printer.helpers.add("round_to")
    return "" if text == variable else f"{variable} = {text}"


def _scalar_state(state: State, new: Expr, printer: KernelPrinter) -> ScalarState:
    old = StateValue(state.key, state.rate)
    exists = ALWAYS if state.condition is None else printer.flags.formula(state.condition)
    present = ALWAYS if state.initial is not None else printer.flags.formula(Present(state.key))
    return ScalarState(
        key=state.key,
        variable=printer.variables[old],
        result=None if new == old else printer.value(new),
        exists=printer.flags.text(exists),
        read=printer.flags.text(both(exists, present)),
    )
