"""The element work of a step as the text of a tile function: read, compute, write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from optdsl.emit.fused.conditions import ALWAYS, NEVER, Flags, Formula, both, either, given, negated
from optdsl.emit.fused.scalars import Split
from optdsl.emit.fused.traffic import Key, changes, needs
from optdsl.emit.triton.printer import KernelPrinter
from optdsl.emit.triton.variables import assign_variables
from optdsl.ir.nodes import Block, Expr, Grad, If, Param, Program, StateValue

NAMES = frozenset(
    "tl first count wide offsets mask scale grad_scale divide square_root minimum maximum sign power integer_power "
    "tile_pointer float COMPUTE VECTOR SIZE".split()
)
"""Names that the tile function uses for itself."""


@dataclass(frozen=True)
class Tensor:
    """θ, the gradient or a tensor state, as the tile function sees it.

    ``key`` is ``param``, ``grad`` or the state's key. ``variable`` holds its value when the step begins, ``result`` is
    the text of the value to store. ``read``, ``written`` and ``touched`` (either) say under which flags, in Python: ""
    for always, None for never. ``assigned`` is ``written`` on the host, over a dict ``flags``.
    """

    key: str
    variable: str
    result: str
    read: str | None
    written: str | None
    touched: str | None
    assigned: str


@dataclass(frozen=True)
class Tile:
    """``lines`` compute the results from the tensors read. ``helpers`` are the support functions they call."""

    tensors: tuple[Tensor, ...]
    lines: tuple[str, ...]
    helpers: frozenset[str]


def tensor_keys(program: Program) -> tuple[str, ...]:
    return ("param", "grad", *(s.key for s in program.tensor_states))


def build_tile(program: Program, split: Split, flags: Flags) -> Tile:
    """Tile code of ``program``, whose scalars are ``split.columns``."""
    keys = tensor_keys(program)
    old: dict[str, Expr] = {"param": Param(), "grad": Grad()}
    old |= {s.key: StateValue(s.key) for s in program.tensor_states}
    new = old | {"param": split.param} | {s.key: split.new_states[s.key] for s in program.tensor_states}
    exists = {s.key: flags.formula(s.condition) for s in program.tensor_states if s.condition is not None}
    written = {k: both(exists.get(k, ALWAYS), changes(split.body, old[k], flags)(new[k])) for k in keys}
    stored: dict[Expr, Formula] = {}
    for k in keys:
        stored[new[k]] = either(stored.get(new[k], NEVER), written[k])
    needed = needs(split.body, stored, flags)

    inputs: dict[Key, str] = {column.name: column.name for column in split.columns}
    inputs |= {old[k]: k for k in keys}
    kept = [new[k] for k in keys if written[k]] + [column.ref for column in split.columns]
    variables = assign_variables(split.body, inputs, kept, names_of_tensors(program) | NAMES | set(flags.order))
    printer = KernelPrinter(variables, flags, "COMPUTE")
    lines = tuple(Statements(printer, needed).block(split.body, ALWAYS))
    tensors = tuple(
        Tensor(
            key=k,
            variable=variables[old[k]],
            result=printer.value(new[k]),
            read=_python(needed[old[k]], flags),
            written=_python(written[k], flags),
            touched=_python(either(needed[old[k]], written[k]), flags),
            assigned=flags.text(written[k], 'flags["{}"]') or "True",
        )
        for k in keys
    )
    return Tile(tensors, lines, frozenset(printer.helpers))


def names_of_tensors(program: Program) -> set[str]:
    """What the kernels call the pointer, address and dtype of each tensor and scalar state."""
    keys = ("param", "grad", "step", *(s.key for s in program.states))
    return {f"{k}_{suffix}" for k in keys for suffix in ("ptr", "address", "dtype")}


def _python(formula: Formula, flags: Flags) -> str | None:
    return None if formula == NEVER else flags.text(formula)


@dataclass
class Statements:
    """Prints statements, leaving out values that are not needed where they stand.

    ``stored_as``: names whose values are rounded when assigned, to the dtype in that variable.
    """

    printer: KernelPrinter
    needed: Mapping[Key, Formula]
    stored_as: Mapping[str, str] = field(default_factory=dict)

    def block(self, block: Block, path: Formula) -> Iterator[str]:
        """The lines of ``block``, which runs under the flags ``path``."""
        for stmt in block:
            if isinstance(stmt, If):
                yield from self.branch(stmt, path)
            else:
                yield from self.assign(stmt.name, stmt.value, path)

    def assign(self, name: str, value: Expr, path: Formula) -> Iterator[str]:
        needed = both(self.needed[name], path)
        if needed == NEVER:
            return
        variable, text = self.printer.variables[name], self.printer.value(value)
        if name in self.stored_as and variable != text:
            self.printer.helpers.add("as_stored")
            text = f"as_stored({text}, {self.stored_as[name]})"
        if variable != text:
            line = f"{variable} = {text}"
            if needed == path:
                yield line
            else:
                yield f"if {self.printer.flags.text(given(needed, path))}:"
                yield from _indented([line])

    def branch(self, stmt: If, path: Formula) -> Iterator[str]:
        flags = self.printer.flags
        holds = flags.formula(stmt.condition)
        then = [*self.arm(stmt.then, [(m.name, m.then) for m in stmt.merges], both(path, holds))]
        orelse = [*self.arm(stmt.orelse, [(m.name, m.orelse) for m in stmt.merges], both(path, negated(holds)))]
        if then:
            yield f"if {flags.text(holds)}:"
            yield from _indented(then)
            if orelse:
                yield "else:"
                yield from _indented(orelse)
        elif orelse:
            yield f"if {flags.text(negated(holds))}:"
            yield from _indented(orelse)

    def arm(self, block: Block, moves: list[tuple[str, Expr]], path: Formula) -> Iterator[str]:
        yield from self.block(block, path)
        for name, atom in moves:
            yield from self.assign(name, atom, path)


def _indented(lines: list[str]) -> Iterator[str]:
    return (f"    {line}" for line in lines)
