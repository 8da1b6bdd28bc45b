"""The jobs of a step that reduces tensors, as the text of their kernels: what each reads, computes and writes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from optdsl.emit.fused.conditions import ALWAYS, NEVER, Flags, Formula, both, either, negated
from optdsl.emit.fused.demands import Demands, made_by
from optdsl.emit.fused.names import Names
from optdsl.emit.fused.scalars import Split
from optdsl.emit.fused.traffic import Key
from optdsl.emit.triton.printer import KernelPrinter
from optdsl.emit.triton.tile import Statements, names_of_tensors
from optdsl.emit.triton.variables import assign_variables
from optdsl.ir.nodes import Expr, Grad, Program, Ref
from optdsl.ir.passes.phases import Fold, Job, Schedule, Space, Step

NAMES = frozenset(
    "tl table n_tensors tensor block_tensor block_chunk block column scalars scratch grad_scale found_inf scale first "
    "limit first_batch first_row first_col n_batches n_rows n_cols panel part parts span offsets pitch batch row col "
    "batch_mask col_mask row_mask panel_mask mask row_parts col_parts n_panels n_tiles narrow_first scalar row_first "
    "col_first position tile_first addresses wide element count float divide square_root minimum maximum sign power "
    "integer_power as_stored tile_pointer ceil_divide FLAT COMPUTE VECTOR BATCHES ROWS COLS WIDTH DEPTH sum_over "
    "sum_all sum_parts maximum_over maximum_all maximum_parts minimum_over minimum_all minimum_parts NARROW_ROWS "
    "NARROW_COLS".split()
)
"""Names that the kernels use for themselves."""

PLACES = {
    Space.TENSOR: "tensor",
    Space.MATRICES: "matrices",
    Space.ROWS: "rows",
    Space.COLS: "cols",
    Space.ELEMENTS: "elements",
}


@dataclass(frozen=True)
class Slot:
    """A place in the scratch memory: the values of ``space``, or (``parts``) what a pass folded for them."""

    name: str
    space: Space
    parts: bool


@dataclass(frozen=True)
class Line:
    """``text``, under the flags ``when`` ("" for always)."""

    text: str
    when: str = ""


@dataclass(frozen=True)
class Kernel:
    """One job. ``doc`` says what it does; ``active`` under which flags there is anything to do, in Python on the host.

    ``addresses`` are (key, when) of the tensors that it touches, ``slots`` the same of places in the scratch memory,
    ``columns`` the scalars, ``wide`` the keys of the tensors shaped like θ. ``unscales``: it may be the first to read
    the gradient, and divides it by the scale. ``feeds_rows``, ``feeds_cols``: it folds for rows, for columns.
    ``before``, ``inside`` and ``after``: the lines around and in the loop of a pass; a small job has ``inside`` only.
    """

    name: str
    doc: str
    space: Space
    active: str
    addresses: tuple[tuple[str, str], ...]
    slots: tuple[tuple[str, str], ...]
    columns: tuple[str, ...]
    feeds_rows: bool
    feeds_cols: bool
    before: tuple[Line, ...]
    inside: tuple[Line, ...]
    after: tuple[Line, ...]
    wide: tuple[str, ...]
    unscales: bool

    @property
    def is_pass(self) -> bool:
        return self.space is Space.ELEMENTS

    @property
    def address_names(self) -> list[str]:
        return [f"{k}_address" for k, _ in self.addresses]

    @property
    def slot_names(self) -> list[str]:
        return [slot for slot, _ in self.slots]

    @property
    def arguments(self) -> list[str]:
        """What a panel is given, besides where it is."""
        return [*self.address_names, *self.slot_names, *self.columns]

    def words(self, text: str) -> set[str]:
        """The names in its lines, and in ``text``."""
        return set(re.findall(r"\w+", " ".join([text, *(line.text for line in self.inside)])))

    @property
    def wide_addresses(self) -> list[str]:
        return [f"{k}_address" for k in self.wide] or ["first * 16"]


@dataclass(frozen=True)
class Phases:
    """The kernels in order. ``host_flags`` are the flags that the host asks for; in Python on the host, ``matrix`` says
    under which of them rows and columns matter, ``assigned`` under which a step assigns each state."""

    kernels: tuple[Kernel, ...]
    slots: tuple[Slot, ...]
    host_flags: frozenset[str]
    matrix: str
    assigned: Mapping[str, str]
    helpers: frozenset[str]


def build_phases(program: Program, split: Split, schedule: Schedule, flags: Flags) -> Phases:
    """Kernel code of ``schedule``, whose scalars are ``split.columns``."""
    return _Builder(program, split, schedule, flags).run()


@dataclass
class _Builder:
    program: Program
    split: Split
    schedule: Schedule
    flags: Flags
    helpers: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.step: Step = self.schedule.step
        self.columns = {column.name for column in self.split.columns}
        self.demands = Demands(self.program, self.schedule, self.flags)
        self.written = self.demands.written
        self.needed = self.demands.needed
        self.home, self.spaces, self.space_of = self.demands.home, self.demands.spaces, self.demands.space_of
        self.names = Names(NAMES | names_of_tensors(self.program) | self.columns | set(self.flags.order))
        self.slots = {
            slot: Slot(
                self.names.take(f"{slot[0].partition('.')[0]}_{'parts' if slot[1] else 'values'}"), space, slot[1]
            )
            for slot, space in self.demands.slots.items()
        }
        self.totals: dict[str, str] = {}
        """The variable in which a pass gathers each fold."""

    def run(self) -> Phases:
        jobs = list(enumerate(self.schedule.jobs))
        demands = self.demands.jobs
        self.unscales: dict[int | None, Formula] = {}
        unscaled = NEVER
        for i, job in jobs:
            reads = demands[i].needed[Grad()]
            self.unscales[job.number] = both(reads, negated(unscaled))
            unscaled = either(unscaled, reads)
        kernels = tuple(
            self.a_pass(job, demands[i].needed, demands[i].results)
            if job.number is not None
            else self.a_small_job(i, job, demands[i].needed, demands[i].results)
            for i, job in jobs
        )
        assigned = {k: self.on_host(when) for k, when in self.written.items()}
        matrix = self.demands.matrix
        formulas = [matrix, *self.written.values(), *(demands[i].active for i, _ in jobs)]
        host_flags = frozenset(flag for formula in formulas for term in formula for flag, _ in term)
        return Phases(
            kernels, tuple(self.slots.values()), host_flags, self.on_host(matrix), assigned, frozenset(self.helpers)
        )

    def slot_of(self, name: str, parts: bool = False) -> str:
        """The variable of the pointer to a place in the scratch memory; "" if there is no such place."""
        slot = self.slots.get((name, parts))
        return "" if slot is None else slot.name

    # ----------------------------------------------------------------------------------------------------------- passes

    def a_pass(self, job: Job, needed: Mapping[Key, Formula], results: Mapping[Expr, Formula]) -> Kernel:
        tensors = {self.step.old(k): k for k in self.step.results} | {Grad(): "grad"}
        inputs, kept = self.inputs(job, needed, tensors)
        variables = self.variables(job, inputs, [*results, *kept])
        printer = KernelPrinter(variables, self.flags, "COMPUTE", self.helpers)
        stored_as = {
            name: f"{k}_dtype" for later in self.schedule.passes for name, k in later.loaded.items() if k in job.writes
        }

        touched: dict[str, Formula] = {}
        slots: dict[str, Formula] = {}
        before: list[Line] = []
        pointers: list[Line] = []
        loads: list[Line] = []
        for k in inputs:
            when = needed[k]
            if when == NEVER or k in self.columns:
                continue
            guard = self.flags.text(when)
            space = Space.ELEMENTS if isinstance(k, str) and k in job.loaded else self.space_of(k)
            if space is Space.ELEMENTS:
                tensor = job.loaded[k] if isinstance(k, str) else tensors[k]
                touched[tensor] = either(touched.get(tensor, NEVER), when)
                text = f"tl.load({tensor}_ptr, mask=mask).to(COMPUTE)"
                loads.append(Line(f"{variables[k]} = {text}" + (f" if {guard} else 0.0" if guard else "")))
                continue
            if isinstance(k, str):
                pointer = slot = self.slot_of(k)
                slots[slot] = either(slots.get(slot, NEVER), when)
            else:
                touched[tensors[k]] = either(touched.get(tensors[k], NEVER), when)
                pointer = f"{tensors[k]}_address.to(tl.pointer_type({tensors[k]}_dtype))"
            assert space is not None
            line = Line(
                f"{variables[k]} = tl.load({pointer}{_INDEX[space]}{_MASK[space]}).to(COMPUTE)"
                + (f" if {guard} else 0.0" if guard else "")
            )
            (loads if space is Space.ROWS else before).append(line)

        inside = [Line(text) for text in Statements(printer, needed, stored_as).block(job.block, ALWAYS)]
        after: list[Line] = []
        shape = "[COLS]" if self.demands.matrix == NEVER else "[BATCHES, ROWS, COLS]"
        for fold in job.folds:
            when = self.needed[fold.name]
            if when == NEVER:
                continue
            guard = self.flags.text(when)
            slot = self.slot_of(fold.name, parts=True)
            slots[slot] = either(slots.get(slot, NEVER), when)
            helper, identity = _FOLDS[fold.fold]
            value = f"tl.where(mask, {printer.value(fold.operand)}, {identity})"
            total = self.total(fold)
            if fold.space is Space.ROWS:
                self.helpers.add(f"{helper}_over")
                inside.append(Line(f"{total} = {helper}_over({value}, 2)", guard))
                inside.append(Line(f"tl.store({slot} + row_parts + row_index, {total}, mask=row_mask)", guard))
                continue
            before.append(Line(f"{total} = tl.full({shape}, {identity}, COMPUTE)", guard))
            folded = f"{total} + {value}" if helper == "sum" else f"{helper}({total}, {value})"
            if helper != "sum":
                self.helpers.add(helper)
            inside.append(Line(f"{total} = {folded}", guard))
            if fold.space is Space.COLS:
                self.helpers.add(f"{helper}_over")
                after.append(Line(f"{total} = {helper}_over({total}, 1)", guard))
                after.append(Line(f"tl.store({slot} + col_parts + col_index, {total}, mask=panel_mask)", guard))
            else:
                self.helpers.add(f"{helper}_all")
                after.append(Line(f"tl.store({slot} + part, {helper}_all({total}))", guard))
        for k in job.writes:
            when = self.written[k]
            if when != NEVER:
                touched[k] = either(touched.get(k, NEVER), when)
                inside.append(Line(f"tl.store({k}_ptr, {printer.value(self.step.results[k])}, mask=mask)",
                                   self.flags.text(when)))  # fmt: skip
        wide = tuple(k for k in touched if k == "grad" or self.step.spaces[k] is Space.ELEMENTS)
        for k in wide:
            pointers.append(Line(f"{k}_ptr = tile_pointer({k}_address, {k}_dtype, tile_first, VECTOR) + offsets",
                                 self.flags.text(touched[k])))  # fmt: skip
        self.helpers.add("tile_pointer")
        unscaling: list[Line] = []
        unscales = self.unscales[job.number]
        if unscales != NEVER:
            self.helpers |= {"divide", "as_stored"}
            guard = _and(self.flags.text(unscales), "scale is not None")
            unscaling = [
                Line(f"{variables[Grad()]} = as_stored(divide({variables[Grad()]}, scale), grad_dtype)", guard),
                Line(f"tl.store(grad_ptr, {variables[Grad()]}, mask=mask)", guard),
            ]
        active = either(*results.values())
        return Kernel(
            name=f"pass_{job.number}",
            doc=self.doc_of_pass(job, touched, needed),
            space=Space.ELEMENTS,
            active=self.on_host(active),
            addresses=tuple((k, self.flags.text(when)) for k, when in touched.items()),
            slots=tuple((slot, self.flags.text(when)) for slot, when in slots.items()),
            columns=tuple(c.name for c in self.split.columns if needed[c.name] != NEVER),
            before=tuple(before),
            inside=(*pointers, *loads, *unscaling, *inside),
            after=tuple(after),
            wide=wide,
            unscales=unscales != NEVER,
            feeds_rows=Space.ROWS in {fold.space for fold in job.folds},
            feeds_cols=Space.COLS in {fold.space for fold in job.folds},
        )

    def doc_of_pass(self, job: Job, touched: Mapping[str, Formula], needed: Mapping[Key, Formula]) -> str:
        reads = {k: needed[Grad() if k == "grad" else self.step.old(k)] for k in touched}
        for name, k in job.loaded.items():
            reads[k] = either(reads[k], needed[name])
        read = [self.under(k, when) for k, when in reads.items() if when != NEVER]
        fed = [self.under(fold.name.partition(".")[0], self.needed[fold.name]) for fold in job.folds
               if self.needed[fold.name] != NEVER]  # fmt: skip
        parts = [f"reads {_listed(read)}"] if read else []
        parts += [f"feeds {_listed(fed)}"] if fed else []
        written = [self.under(k, self.written[k]) for k in job.writes if self.written[k] != NEVER]
        parts += [f"writes {_listed(written)}"] if written else []
        return "; ".join(parts)

    def under(self, name: str, when: Formula) -> str:
        """``name``, with the flags that it depends on."""
        text = self.flags.text(when)
        return f"{name} (if {text})" if text else name

    def total(self, fold: Fold) -> str:
        """The variable in which a pass gathers ``fold``."""
        if fold.name not in self.totals:
            self.totals[fold.name] = self.names.take(f"{fold.name.partition('.')[0]}_total")
        return self.totals[fold.name]

    # ------------------------------------------------------------------------------------------------------- small jobs

    def a_small_job(self, i: int, job: Job, needed: Mapping[Key, Formula], results: Mapping[Expr, Formula]) -> Kernel:
        tensors = {self.step.old(k): k for k in self.step.results}
        inputs, _ = self.inputs(job, needed, tensors)
        kept = [column.ref for column in self.split.columns]
        variables = self.variables(job, inputs, [*results, *kept])
        printer = KernelPrinter(variables, self.flags, "COMPUTE", self.helpers)
        touched: dict[str, Formula] = {}
        slots: dict[str, Formula] = {}
        lines: list[Line] = []
        own = {fold.name: fold for fold in job.folds}
        for k in inputs:
            when = needed[k]
            if when == NEVER or k in self.columns:
                continue
            guard = self.flags.text(when)
            suffix = f" if {guard} else 0.0" if guard else ""
            if isinstance(k, str) and k in own:
                fold = own[k]
                slot = self.source_slot(fold)
                slots[slot] = either(slots.get(slot, NEVER), when)
                helper = f"{_FOLDS[fold.fold][0]}_parts"
                self.helpers.add(helper)
                position, count, stride = _source(fold)
                lines.append(Line(
                    f"{variables[k]} = {helper}({slot}, {position}, {count}, {stride}, mask, COMPUTE, WIDTH, DEPTH)"
                    + suffix
                ))  # fmt: skip
                continue
            space = self.space_of(k)
            assert space is not None
            if isinstance(k, str):
                pointer = self.slot_of(k)
                slots[pointer] = either(slots.get(pointer, NEVER), when)
            else:
                touched[tensors[k]] = either(touched.get(tensors[k], NEVER), when)
                pointer = f"{tensors[k]}_address.to(tl.pointer_type({tensors[k]}_dtype))"
            index = " + element, mask=mask" if space is job.space else _SMALL_INDEX[space, job.space]
            lines.append(Line(f"{variables[k]} = tl.load({pointer}{index}).to(COMPUTE)" + suffix))
        lines += [Line(text) for text in Statements(printer, needed).block(job.block, ALWAYS)]
        for name, ref in made_by(job):
            slot = self.slot_of(name)
            if slot and self.needed[name] != NEVER and name in {n for n, j in self.home.items() if j == i}:
                slots[slot] = either(slots.get(slot, NEVER), self.needed[name])
                lines.append(Line(f"tl.store({slot} + element, {printer.value(ref)}, mask=mask)",
                                  self.flags.text(self.needed[name])))  # fmt: skip
        for k in job.writes:
            when = self.written[k]
            if when != NEVER:
                touched[k] = either(touched.get(k, NEVER), when)
                pointer = f"{k}_address.to(tl.pointer_type({k}_dtype))"
                lines.append(Line(f"tl.store({pointer} + element, {printer.value(self.step.results[k])}, mask=mask)",
                                  self.flags.text(when)))  # fmt: skip
        active = either(*results.values())
        made = [name.partition(".")[0] for name, _ in made_by(job) if self.needed[name] != NEVER]
        active_text = self.flags.text(active)
        return Kernel(
            name=f"{PLACES[job.space]}_{i}",
            doc=f"makes, for each {_ONE[job.space]}, {_listed(dict.fromkeys([*made, *job.writes]))}"
            + (f" (if {active_text})" if active_text else ""),
            space=job.space,
            active=self.on_host(active),
            addresses=tuple((k, self.flags.text(when)) for k, when in touched.items()),
            slots=tuple((slot, self.flags.text(when)) for slot, when in slots.items()),
            columns=tuple(c.name for c in self.split.columns if needed[c.name] != NEVER),
            before=(),
            inside=tuple(lines),
            after=(),
            wide=(),
            unscales=False,
            feeds_rows=False,
            feeds_cols=False,
        )

    def source_slot(self, fold: Fold) -> str:
        if fold.source is Space.ELEMENTS:
            return self.slot_of(fold.name, parts=True)
        assert isinstance(fold.operand, Ref)
        return self.slot_of(fold.operand.name)

    # ------------------------------------------------------------------------------------------------------------ names

    def inputs(
        self, job: Job, needed: Mapping[Key, Formula], tensors: Mapping[Expr, str]
    ) -> tuple[dict[Key, str], list[Expr]]:
        """The values that ``job`` is given, with the names wanted for them; and those read anew by no iteration."""
        inputs: dict[Key, str] = {c.name: c.name for c in self.split.columns if needed[c.name] != NEVER}
        kept: list[Expr] = [c.ref for c in self.split.columns if needed[c.name] != NEVER]
        own = job.defines if job.number is None else frozenset()
        fold_names = {fold.name for fold in job.folds}
        for k, when in needed.items():
            if when == NEVER:
                continue
            if isinstance(k, str):
                if k in job.loaded:
                    inputs[k] = job.loaded[k]
                elif k in self.home and (k not in own or k in fold_names):
                    inputs[k] = k.partition(".")[0]
                    if job.number is not None and self.spaces[k] is not Space.ROWS:
                        kept.append(dict(made_by(self.schedule.jobs[self.home[k]]))[k])
            elif k in tensors:
                inputs[k] = tensors[k]
                if job.number is not None and self.space_of(k) in (Space.COLS, Space.MATRICES, Space.TENSOR):
                    kept.append(k)
        return inputs, kept

    def variables(self, job: Job, inputs: Mapping[Key, str], results: list[Expr]) -> Mapping[Key, str]:
        reserved = (
            NAMES | names_of_tensors(self.program) | set(self.flags.order) | {s.name for s in self.slots.values()}
        )
        reserved |= {self.total(fold) for fold in job.folds}
        return assign_variables(job.block, inputs, results, reserved)

    def on_host(self, when: Formula) -> str:
        return self.flags.text(when, 'flags["{}"]') or "True"


_FOLDS = {"sum": ("sum", "0.0"), "amax": ("maximum", 'float("-inf")'), "amin": ("minimum", 'float("inf")')}
"""The helper of a fold, and what it makes of nothing."""

_INDEX = {Space.TENSOR: "", Space.MATRICES: " + first_batch + batch", Space.ROWS: " + row_first + row_index",
          Space.COLS: " + col_first + col_index"}  # fmt: skip
_MASK = {Space.TENSOR: "", Space.MATRICES: ", mask=batch_mask", Space.ROWS: ", mask=row_mask",
         Space.COLS: ", mask=col_mask"}  # fmt: skip
"""How a pass finds a value of a smaller space."""

_SMALL_INDEX = {
    **{(Space.TENSOR, space): "" for space in (Space.MATRICES, Space.ROWS, Space.COLS)},
    (Space.MATRICES, Space.ROWS): " + element // n_rows, mask=mask",
    (Space.MATRICES, Space.COLS): " + element // n_cols, mask=mask",
}
"""How a small job finds a value of a smaller space still."""

_ONE = {Space.TENSOR: "tensor", Space.MATRICES: "matrix", Space.ROWS: "row", Space.COLS: "column"}


def _source(fold: Fold) -> tuple[str, str, str]:
    """Where the parts of element ``element`` of a fold's result begin, how many they are, and how far apart."""
    match fold.source, fold.space:
        case Space.ELEMENTS, Space.ROWS:
            return "element", "ceil_divide(n_cols, COLS)", "n_batches.to(tl.int64) * n_rows"
        case Space.ELEMENTS, Space.COLS:
            return "element", "ceil_divide(n_rows, span)", "n_batches.to(tl.int64) * n_cols"
        case Space.ELEMENTS, _:
            return "element", "parts", "1"
        case Space.ROWS, Space.MATRICES:
            return "element * n_rows", "n_rows", "1"
        case Space.COLS, Space.MATRICES:
            return "element * n_cols", "n_cols", "1"
        case Space.ROWS, _:
            return "element", "n_batches * n_rows", "1"
        case Space.COLS, _:
            return "element", "n_batches * n_cols", "1"
        case _:
            return "element", "n_batches", "1"


def _and(a: str, b: str) -> str:
    """Both conditions, in Python."""
    return b if not a else f"({a}) and {b}" if " or " in a else f"{a} and {b}"


def _listed(items: Iterable[str]) -> str:
    return ", ".join(items)
