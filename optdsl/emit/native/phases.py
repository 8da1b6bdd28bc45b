"""The jobs of a step that reduces tensors as C: passes over the elements of a tensor, and small jobs between them.

A pass goes over the rows of a tensor in blocks, which threads may share. In a block, a sum of elements is gathered in
as many parts as a chunk has elements, and these in double; how it is summed depends on the tensor's shape alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from optdsl.emit.fused.conditions import ALWAYS, NEVER, Flags, Formula, both, given, negated
from optdsl.emit.fused.demands import Demand, Demands, made_by
from optdsl.emit.fused.names import Names
from optdsl.emit.fused.traffic import Key, key
from optdsl.emit.native.printer import ElementPrinter
from optdsl.emit.native.scalars import branch_lines
from optdsl.ir.nodes import (
    Block,
    DType,
    Expr,
    Grad,
    If,
    Program,
    Ref,
)
from optdsl.ir.passes.phases import Fold, Job, Schedule, Space

COUNTS = {
    Space.TENSOR: "1",
    Space.MATRICES: "s.batches",
    Space.ROWS: "s.batches * s.rows",
    Space.COLS: "s.batches * s.cols",
}
"""How many values a tensor has in each space."""

_IN_PASS = {
    Space.TENSOR: "0",
    Space.MATRICES: "b",
    Space.ROWS: "row",
    Space.COLS: "col",
    Space.ELEMENTS: "i",
}
"""Where a pass finds a value of each space."""

_IDENTITIES = {"sum": "0", "amax": "-INFINITY", "amin": "INFINITY"}
_FOLDED = {"sum": "{0} + {1}", "amax": "scalar_maximum({0}, {1})", "amin": "scalar_minimum({0}, {1})"}
_FOLDED_ELEMENTS = {"sum": "{0} + {1}", "amax": "maximum({0}, {1})", "amin": "minimum({0}, {1})"}


@dataclass(frozen=True)
class Load:
    """``variable`` of a job: the C expression ``text`` where ``when`` ("" for always) holds, else 0."""

    variable: str
    text: str
    when: str


@dataclass(frozen=True)
class Folding:
    """A reduction of elements: what a pass gathers for it, in ``lanes``, then in ``total``, then at ``target``."""

    fold: str
    space: str
    lanes: str
    total: str
    target: str
    value: str
    when: str

    @property
    def identity(self) -> str:
        return _IDENTITIES[self.fold]

    def folded(self, a: str, b: str) -> str:
        """Both parts as one, in double."""
        return _FOLDED[self.fold].format(a, b)

    def folded_elements(self, a: str, b: str) -> str:
        return _FOLDED_ELEMENTS[self.fold].format(a, b)


@dataclass(frozen=True)
class Write:
    """A value that is stored: at ``pointer``, in ``key``'s dtype (None: between jobs, as it is)."""

    pointer: str
    key: str | None
    value: str
    when: str


@dataclass
class Inputs:
    """What a job is given: the ``variables`` of values, and how they are loaded, by the space that each is in.

    ``numbers`` are values of whole tensors; ``tensors`` (keys) and ``places`` are what the job reads and writes, some
    of it twice.
    """

    variables: dict[Key, str] = field(default_factory=dict)
    loads: dict[str, list[Load]] = field(default_factory=lambda: {_word(space): [] for space in Space})
    numbers: list[str] = field(default_factory=list)
    tensors: list[str] = field(default_factory=list)
    places: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class JobText:
    """A job: what it is given, the variables that ``lines`` assign, and what comes of them.

    ``active`` says when there is anything to do; ``count`` is how many values a small job makes.
    """

    name: str
    space: str
    active: str
    given: Inputs
    locals: list[tuple[str, str]]
    lines: list[str]
    writes: list[Write]
    folds: Sequence[Folding] = ()
    count: str = ""


@dataclass(frozen=True)
class Place:
    """Memory between jobs, needed ``when``: ``count`` numbers of C type ``type``. ``is_of_cols``: each block of a pass
    gathers sums of columns for itself."""

    name: str
    type: str
    count: str
    when: str
    is_of_cols: bool = False


@dataclass(frozen=True)
class PhasesText:
    """``places`` are arrays, ``numbers`` (C type, name) variables of the whole tensor. ``matrix`` and ``assigned``: on
    the host, whether rows and columns matter, and whether each state without initial value gets one."""

    jobs: list[JobText]
    places: list[Place]
    numbers: list[tuple[str, str]]
    matrix: str
    assigned: Mapping[str, str]


def c_text(formula: Formula, flags: Flags) -> str:
    """``formula`` over macros; "" if it always holds."""
    text = flags.text(formula)
    return text.replace(" and ", " && ").replace(" or ", " || ").replace("not ", "!").replace("False", "0")


def build_phases(
    program: Program, schedule: Schedule, flags: Flags, columns: Mapping[str, Callable[[], str]], reserved: set[str]
) -> PhasesText:
    """C code of ``schedule``; ``columns`` say how element code reads each scalar, once it is known that it does."""
    return _Builder(program, schedule, flags, columns, reserved).run()


@dataclass
class _Builder:
    program: Program
    schedule: Schedule
    flags: Flags
    columns: Mapping[str, Callable[[], str]]
    reserved: set[str]
    numbers: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.step = self.schedule.step
        self.demands = Demands(self.program, self.schedule, self.flags)
        self.needed = self.demands.needed
        names = Names(self.reserved | set(self.flags.order))
        self.places: dict[tuple[str, bool], Place] = {}
        self.arrays: list[Place] = []
        for (name, parts), space in self.demands.slots.items():
            type_, wanted, when = ("double" if parts else "REAL"), name.partition(".")[0], self.c(self.needed[name])
            if space is Space.TENSOR:
                self.places[name, parts] = place = Place(names.take(wanted), type_, "1", when)
                self.numbers.append((type_, place.name))
                if parts:
                    self.arrays.append(Place(names.take(f"{place.name}_blocks"), type_, "t->blocks", when))
                continue
            of_cols = parts and space is Space.COLS
            count = f"(s.batches == 1 ? t->blocks + 1 : 1) * {COUNTS[space]}" if of_cols else COUNTS[space]
            variable = names.take(f"{wanted}_{'parts' if parts else 'values'}")
            self.places[name, parts] = Place(variable, type_, count, when, of_cols)
            self.arrays.append(self.places[name, parts])
        self.taken = self.reserved | set(self.flags.order) | {p.name for p in (*self.places.values(), *self.arrays)}
        self.tensors: dict[Expr, str] = {self.step.old(k): k for k in self.step.results} | {Grad(): "grad"}

    def run(self) -> PhasesText:
        demands = self.demands.jobs
        jobs = [
            self.a_pass(job, demands[i]) if job.number is not None else self.a_small_job(i, job, demands[i])
            for i, job in enumerate(self.schedule.jobs)
        ]
        assigned = {k: self.on_host(when) for k, when in self.demands.written.items()}
        return PhasesText(jobs, self.arrays, self.numbers, self.on_host(self.demands.matrix), assigned)

    def on_host(self, when: Formula) -> str:
        return self.flags.text(when, 'flags["{}"]') or "True"

    def c(self, when: Formula, known: Formula = ALWAYS) -> str:
        """``when`` over macros, where ``known`` holds."""
        return c_text(given(when, known), self.flags)

    # ------------------------------------------------------------------------------------------------------------- jobs

    def a_pass(self, job: Job, demand: Demand) -> JobText:
        names, known = Names(self.taken), demand.active
        inputs = self.inputs(job, demand, names, "", lambda space: _IN_PASS[space])
        code = _Code(self.flags, inputs.variables, demand.needed, names, self.stored_as(job))
        lines = list(code.block(job.block, known))
        folds = []
        for fold in job.folds:
            when = self.needed[fold.name]
            if when != NEVER:
                target = self.places[fold.name, True].name
                inputs.places += [target] if fold.space is not Space.TENSOR else []
                wanted = fold.name.partition(".")[0]
                lanes, total = names.take(f"{wanted}_lanes"), names.take(f"{wanted}_total")
                operand = code.text(fold.operand)
                folds.append(Folding(fold.fold, _word(fold.space), lanes, total, target, operand, self.c(when, known)))
        writes = []
        for k in job.writes:
            when = self.demands.written[k]
            if when != NEVER:
                inputs.tensors.append(k)
                writes.append(Write(f"{k}_p", k, code.text(self.step.results[k]), self.c(when, known)))
        return JobText(f"pass_{job.number}", "elements", self.c(known), inputs, code.locals, lines, writes, folds)

    def stored_as(self, job: Job) -> Mapping[str, str]:
        """The values that later passes load from the states that ``job`` writes."""
        return {
            name: f"{k.upper()}_T"
            for later in self.schedule.passes
            for name, k in later.loaded.items()
            if k in job.writes
        }

    def a_small_job(self, number: int, job: Job, demand: Demand) -> JobText:
        names, known = Names(self.taken), demand.active

        def index(space: Space) -> str:
            if space is Space.TENSOR:
                return "0"
            return "e" if space is job.space else f"e / s.{_word(job.space)}"

        inputs = self.inputs(job, demand, names, "t->", index)
        before = []
        for fold in job.folds:
            when = demand.needed[fold.name]
            if when == NEVER:
                continue
            variable = names.take(fold.name.partition(".")[0])
            inputs.variables[fold.name] = variable
            before += list(self.finished(fold, variable, self.c(when, known)))
        code = _Code(self.flags, inputs.variables, demand.needed, names, {})
        lines = [*before, *code.block(job.block, known)]
        writes = []
        for name, ref in made_by(job):
            when = self.needed[name]
            if when != NEVER and (name, False) in self.places and self.demands.home[name] == number:
                writes.append(Write(f"t->{self.places[name, False].name}", None, code.text(ref), self.c(when, known)))
        for k in job.writes:
            when = self.demands.written[k]
            if when != NEVER:
                writes.append(Write(f"t->{k}_p", k, code.text(self.step.results[k]), self.c(when, known)))
        space = _word(job.space)
        return JobText(space, space, self.c(known), inputs, code.locals, lines, writes, count=COUNTS[job.space])

    def finished(self, fold: Fold, variable: str, when: str) -> Iterator[str]:
        """The result of a reduction for value ``e``: as a pass has gathered it, or of the values of a larger space."""
        start = "" if not when else f"!({when}) ? 0 : "
        if fold.source is Space.ELEMENTS:
            parts = f"t->{self.places[fold.name, True].name}"
            part = parts if fold.space is Space.TENSOR else f"{parts}[e]"
            yield f"const REAL {variable} = {start}(REAL){part};"
            return
        source = f"t->{self.places[fold.operand.name, False].name}"  # type: ignore[union-attr]
        first, count = _source(fold)
        folded = _FOLDED[fold.fold].format(f"{variable}_all", f"{source}[{first} + n]")
        yield f"double {variable}_all = {_IDENTITIES[fold.fold]};"
        yield f"for (int64_t n = 0; n < {count}; n++)"
        yield f"    {variable}_all = {folded};"
        yield f"const REAL {variable} = {start}(REAL){variable}_all;"

    def inputs(self, job: Job, demand: Demand, names: Names, shared: str, index: Callable[[Space], str]) -> Inputs:
        """What ``job`` is given: ``shared`` is before the names of what jobs share, ``index`` is where it finds a value
        of each space."""
        given = Inputs()
        own = job.defines if job.number is None else frozenset()
        for k, when in demand.needed.items():
            if when == NEVER:
                continue
            if isinstance(k, str) and k in self.columns:
                given.variables[k] = self.columns[k]()
                continue
            if isinstance(k, str) and k in job.loaded:
                space, wanted = Space.ELEMENTS, job.loaded[k]
                given.tensors.append(wanted)
                text = f"LOAD({wanted}_p, i)"
            elif isinstance(k, str):
                if k not in self.demands.home or k in own:
                    continue
                space, place, wanted = self.demands.spaces[k], self.places[k, False].name, k.partition(".")[0]
                if space is Space.TENSOR:
                    given.variables[k] = f"{shared}{place}"
                    given.numbers.append(place)
                    continue
                given.places.append(place)
                text = f"{shared}{place}[{index(space)}]"
            elif k in self.tensors:
                found, wanted = self.demands.space_of(k), self.tensors[k]
                assert found is not None
                space = found
                given.tensors.append(wanted)
                text = f"LOAD({shared}{wanted}_p, {index(space)})"
            else:
                continue
            given.variables[k] = names.take(wanted)
            given.loads[_word(space)].append(Load(given.variables[k], text, self.c(when, demand.active)))
        return given


def _word(space: Space) -> str:
    return space.name.lower()


def _source(fold: Fold) -> tuple[str, str]:
    """Where the values begin that make element ``e`` of a fold's result, and how many they are."""
    match fold.source, fold.space:
        case Space.ROWS, Space.MATRICES:
            return "e * s.rows", "s.rows"
        case Space.COLS, Space.MATRICES:
            return "e * s.cols", "s.cols"
        case source, _:
            return "0", COUNTS[source]


class _Code:
    """Prints the statements of a job, leaving out what is not needed where it stands. ``variables`` has what is given.

    ``stored_as``: values that are rounded when assigned, to that element type.
    """

    def __init__(
        self,
        flags: Flags,
        variables: dict[Key, str],
        needed: Mapping[Key, Formula],
        names: Names,
        stored_as: Mapping[str, str],
    ):
        self.flags = flags
        self.variables = variables
        self.needed = needed
        self.names = names
        self.stored_as = stored_as
        self.text = ElementPrinter(flags, lambda atom: variables[key(atom)])
        self.locals: list[tuple[str, str]] = []
        """(C type, name) of every variable that is assigned."""

    def block(self, block: Block, path: Formula) -> Iterator[str]:
        """The lines of ``block``, which runs under the flags ``path``."""
        for stmt in block:
            if not isinstance(stmt, If):
                yield from self.assign(stmt.ref, stmt.value, path)
                continue
            holds = self.flags.formula(stmt.condition)
            then = list(self.arm(stmt.then, [(m.ref, m.then) for m in stmt.merges], both(path, holds)))
            orelse = list(self.arm(stmt.orelse, [(m.ref, m.orelse) for m in stmt.merges], both(path, negated(holds))))
            if both(path, negated(holds)) == NEVER:
                yield from then
            elif both(path, holds) == NEVER:
                yield from orelse
            else:
                yield from branch_lines(c_text(given(holds, path), self.flags), then, orelse)

    def arm(self, block: Block, moves: list[tuple[Ref, Expr]], path: Formula) -> Iterator[str]:
        yield from self.block(block, path)
        for ref, atom in moves:
            yield from self.assign(ref, atom, path)

    def assign(self, ref: Ref, value: Expr, path: Formula) -> Iterator[str]:
        needed = both(self.needed[ref.name], path)
        if needed == NEVER:
            return
        text = self.text(value)
        if ref.name in self.stored_as:
            text = f"ROUND_ELEMENT({self.stored_as[ref.name]}, {text})"
        if ref.name not in self.variables:
            self.variables[ref.name] = self.names.take(ref.identifier)
            self.locals.append(("int" if ref.type.dtype is DType.BOOL else "REAL", self.variables[ref.name]))
        line = f"{self.variables[ref.name]} = {text};"
        if needed == path:
            yield line
        else:
            yield from branch_lines(c_text(given(needed, path), self.flags), [line], [])
