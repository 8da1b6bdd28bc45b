"""The schedule of a step that reduces tensors: passes over the elements, and small jobs between them.

A value lives in a :class:`Space`: there is one of it per element, per row, per column, per matrix or per tensor. A
reduction goes from a space to a smaller one, and nothing that depends on its result can be computed in the pass that
feeds it. So a step is a sequence of :class:`Job` s, each over one space, and each a single launch for all tensors:

- A *pass* (a job over the elements) computes its values anew from θ, the gradient and the states: no temporary of the
  size of a tensor is ever stored. It folds its part of every reduction, and writes what can be written.
- A *small* job finishes reductions from their parts, and computes each of its values once; later jobs read them.

What is free in this is chosen for the fewest tensors read and written: in which pass a reduction is fed, and after
which pass a state holds its new value. A state that is written early is read back by later passes, in place of all
that its new value is made from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from itertools import product

from optdsl.ir.nodes import (
    FULL,
    REDUCTIONS,
    Block,
    Const,
    DType,
    Expr,
    Extent,
    Grad,
    If,
    Let,
    Op,
    Param,
    Program,
    Rate,
    Ref,
    Shape,
    StateValue,
    Type,
    children,
    statements,
    walk,
)
from optdsl.ir.passes.folds import expand_reductions, is_fold
from optdsl.ir.passes.rewrite import live_statements, names_read, substitute
from optdsl.ir.passes.scalars import predicate_step_branches

MOST_CHOICES = 512
"""Of more schedules than this only the neighbours of a few are tried."""


class Space(IntEnum):
    """What there is one value of."""

    TENSOR = 0
    MATRICES = 1
    """The matrices that a tensor of more than two dimensions is a batch of."""
    ROWS = 2
    COLS = 3
    ELEMENTS = 4


_SPACES = {
    FULL: Space.ELEMENTS,
    Shape(Extent.ROWS, Extent.ONE): Space.ROWS,
    Shape(Extent.ONE, Extent.COLS): Space.COLS,
    Shape(Extent.ONE, Extent.ONE): Space.MATRICES,
}


def space_of(type_: Type) -> Space:
    """The space of a value whose rate is at least ``TENSOR``."""
    return _SPACES[type_.shape] if type_.is_tensor else Space.TENSOR


@dataclass(frozen=True)
class Fold:
    """A reduction: ``name`` is its result, in ``space``; ``fold`` (``sum``, ``amax``, ``amin``) of the atom
    ``operand``, which is in ``source``."""

    name: str
    fold: str
    operand: Expr
    source: Space
    space: Space


@dataclass(frozen=True)
class Job:
    """One launch over ``space``.

    ``folds`` are the reductions that it finishes (a small job) or feeds (a pass). ``block`` computes its values.
    ``writes`` are the keys of the states (or ``param``) that it leaves with their new values. ``loaded``: names whose
    values a pass reads from a state that holds its new value already. ``number`` is that of the pass, else None.
    """

    space: Space
    block: Block
    folds: tuple[Fold, ...]
    writes: tuple[str, ...]
    loaded: Mapping[str, str] = field(default_factory=dict)
    number: int | None = None

    @property
    def defines(self) -> frozenset[str]:
        """The names of values that a small job computes."""
        names = {fold.name for fold in self.folds} if self.number is None else set()
        return frozenset(names | _defined(self.block))


@dataclass(frozen=True)
class Step:
    """A step without scalar work: what is assigned, and the final atoms of θ (``param``) and the states.

    ``spaces`` says in which space each of them is.
    """

    body: Block
    results: Mapping[str, Expr]
    spaces: Mapping[str, Space]

    def old(self, key: str) -> Expr:
        """The value of ``key`` when the step begins."""
        return next(leaf for leaf in _leaves_of(key, self.spaces[key]))


@dataclass(frozen=True)
class Schedule:
    """``step`` in the form in which every value lives in one space, and the jobs that make it."""

    step: Step
    jobs: tuple[Job, ...]

    @property
    def passes(self) -> tuple[Job, ...]:
        return tuple(job for job in self.jobs if job.number is not None)


def step_of(program: Program, body: Block, param: Expr, new_states: Mapping[str, Expr]) -> Step:
    """The step of ``program`` whose work on tensors is ``body``."""
    tensors = [s for s in program.states if s.rate >= Rate.TENSOR]
    spaces = {s.key: space_of(Type(DType.REAL, s.rate, s.shape)) for s in tensors}
    results = {"param": param} | {s.key: new_states[s.key] for s in tensors}
    return Step(body, results, {"param": Space.ELEMENTS, **spaces})


def schedule_of(program: Program) -> Schedule:
    """The schedule of ``program``, as lowered, with its scalar work left in the expressions."""
    program = predicate_step_branches(expand_reductions(program))
    return schedule(step_of(program, _on_tensors(program.body), program.param, dict(program.new_states)))


def schedule(step: Step) -> Schedule:
    """The schedule of ``step`` that moves the fewest tensors."""
    step = _Flattener(step).run()
    return _Scheduler(step).run()


def accesses(schedule: Schedule, decide: Callable[[Expr], bool | None]) -> int:
    """Whole tensors that the passes read and write, where ``decide`` says which conditions hold (None: unknown)."""
    step = schedule.step
    total = 0
    needed: set[str] = set()
    """The values that later jobs ask for."""
    for job in reversed(schedule.jobs):
        writes = [key for key in job.writes if _changes(step, key, decide)]
        wanted = [step.results[key] for key in writes]
        if job.number is None:
            wanted += [x for x in _names_made(job) if x.name in needed]
        else:
            wanted += [fold.operand for fold in job.folds if fold.name in needed]
        read = _reads(job.block, wanted, decide)
        needed |= {x.name for x in read if isinstance(x, Ref)}
        if job.number is None:
            finished = [fold.operand for fold in job.folds if fold.name in needed]
            needed |= {x.name for x in finished if isinstance(x, Ref)}
        else:
            total += len(_tensors(read, job.loaded)) + len(writes)
    return total


def _names_made(job: Job) -> Iterator[Ref]:
    """The values that ``job`` computes."""
    for stmt in statements(job.block):
        yield from (m.ref for m in stmt.merges) if isinstance(stmt, If) else (stmt.ref,)


# ------------------------------------------------------------------------------------------------------ normal form


def _leaves_of(key: str, space: Space) -> Iterator[Expr]:
    if key == "param":
        yield Param()
    shape = next((shape for shape, of in _SPACES.items() if of is space), FULL)
    yield StateValue(key, Rate.TENSOR if space is Space.TENSOR else Rate.ELEMENT, shape)


class _Flattener:
    """Gives a name to every value that is not in the space of the statement that reads it, and to every reduction."""

    def __init__(self, step: Step):
        self.step = step
        self.count = 0
        self.within: Let | None = None
        """The statement whose parts are being named."""

    def run(self) -> Step:
        body = self.block(_without_small_truths(self.step.body, {}), {})
        extra: list[Let] = []
        results = {}
        for key, final in self.step.results.items():
            results[key] = final
            space = self.step.spaces[key]
            there = isinstance(final, Ref) and space_of(final.type) is space
            if space is not Space.ELEMENTS and final != self.step.old(key) and not there:
                extra.append(Let(f"{key}.final", final))
                results[key] = extra[-1].ref
        body = live_statements((*body, *extra), set().union(*map(names_read, results.values())))
        return replace(self.step, body=body, results=results)

    def block(self, block: Block, known: dict[Expr, Expr]) -> Block:
        known = dict(known)
        result: list[Let | If] = []
        for stmt in block:
            if isinstance(stmt, If):
                arms = self.block(stmt.then, known), self.block(stmt.orelse, known)
                result.append(replace(stmt, then=arms[0], orelse=arms[1]))
            else:
                self.within = stmt
                value = self.whole(stmt.value, result, known)
                result.append(replace(stmt, value=value))
        return tuple(result)

    def whole(self, x: Expr, lets: list[Let | If], known: dict[Expr, Expr]) -> Expr:
        """``x`` with every part of another space named, in ``lets``."""
        match x:
            case Op(op, (operand,)) if is_fold(x):
                return Op(op, (self.operand(operand, lets, known),))
            case Op(op, args):
                return Op(op, tuple(self.part(a, space_of(x.type), lets, known) for a in args))
            case _:
                return x

    def part(self, x: Expr, space: Space, lets: list[Let | If], known: dict[Expr, Expr]) -> Expr:
        if x.type.rate <= Rate.STEP or not isinstance(x, Op):
            return x
        if space_of(x.type) is space and not is_fold(x):
            return self.whole(x, lets, known)
        if x.type.dtype is DType.BOOL:
            return Op("ne", (self.named(_number(x), lets, known), Const(0)))
        return self.named(x, lets, known)

    def operand(self, x: Expr, lets: list[Let | If], known: dict[Expr, Expr]) -> Expr:
        """The operand of a reduction: an element's value is an atom, a smaller one has been computed by some job."""
        is_ready = isinstance(x, Ref) or (not isinstance(x, Op) and space_of(x.type) is Space.ELEMENTS)
        return x if is_ready else self.named(x, lets, known)

    def named(self, x: Expr, lets: list[Let | If], known: dict[Expr, Expr]) -> Expr:
        if x not in known:
            value = self.whole(x, lets, known)
            self.count += 1
            let = Let(f"{_wanted_name(value, self.within)}.p{self.count}", value)
            lets.append(let)
            known[x] = let.ref
        return known[x]


def _without_small_truths(block: Block, numbers: dict[str, Expr]) -> Block:
    """``block`` with truth values of one for a row, a tensor, … as the numbers 1 and 0, for they are stored as such.

    ``numbers`` says what stands for a truth value that has been met.
    """
    result: list[Let | If] = []
    for stmt in block:
        if isinstance(stmt, If):
            arms = [list(_without_small_truths(arm, numbers)) for arm in (stmt.then, stmt.orelse)]
            merges = []
            for m in stmt.merges:
                atoms = [substitute(atom, numbers) for atom in (m.then, m.orelse)]
                if _is_small_truth(m.ref.type):
                    for i, arm in enumerate(arms):
                        arm.append(Let(f"{m.name}.{i}", _number(atoms[i])))
                        atoms[i] = Ref(f"{m.name}.{i}", replace(m.ref.type, dtype=DType.REAL))
                    numbers[m.name] = Op("ne", (Ref(m.name, replace(m.ref.type, dtype=DType.REAL)), Const(0)))
                merges.append(replace(m, then=atoms[0], orelse=atoms[1]))
            result.append(replace(stmt, then=tuple(arms[0]), orelse=tuple(arms[1]), merges=tuple(merges)))
            continue
        value = substitute(stmt.value, numbers)
        if _is_small_truth(stmt.value.type):
            value = _number(value)
            numbers[stmt.name] = Op("ne", (Ref(stmt.name, value.type), Const(0)))
        result.append(replace(stmt, value=value))
    return tuple(result)


def _is_small_truth(type_: Type) -> bool:
    return type_.dtype is DType.BOOL and type_.rate > Rate.STEP and space_of(type_) is not Space.ELEMENTS


def _number(truth: Expr) -> Expr:
    return Op("select", (truth, Const(1), Const(0)))


def _wanted_name(x: Expr, within: Let | None) -> str:
    match x:
        case Op(op, (Ref() as operand,)) if op in REDUCTIONS:
            return f"{op}_{operand.identifier}"
        case Op(op, (operand,)) if op in REDUCTIONS:
            return f"{op}_{_leaf_name(operand)}"
        case Op("pow", (operand, Const(2))) if not isinstance(operand, Op):
            return f"{_leaf_name(operand)}_squared"
        case Op():
            name = "step" if within is None or within.state == "param" else within.identifier
            return f"{name}_{'scale' if space_of(x.type) is Space.TENSOR else 'part'}"
        case _:
            return _leaf_name(x)


def _leaf_name(x: Expr) -> str:
    match x:
        case Ref():
            return x.identifier
        case StateValue(key):
            return key
        case Param():
            return "param"
        case Grad():
            return "grad"
        case _:
            return "value"


# ---------------------------------------------------------------------------------------------------------- choices


@dataclass(frozen=True)
class _Choice:
    """``fed``: the pass that feeds each reduction of elements; ``written``: the pass after which each tensor is new."""

    fed: Mapping[str, int]
    written: Mapping[str, int]


Position = tuple[int, int]
"""Of a small value: the number of passes before it, and of small jobs since; of an element's value: the first pass."""


class _Scheduler:
    def __init__(self, step: Step):
        self.step = step
        self.folds = {let.name: _fold(let) for let in _lets(step.body) if is_fold(let.value)}
        self.spaces = {let.name: space_of(let.value.type) for let in _lets(step.body)}
        self.spaces |= {m.name: space_of(m.ref.type) for stmt in statements(step.body) if isinstance(stmt, If)
                        for m in stmt.merges}  # fmt: skip
        for key, final in step.results.items():
            if isinstance(final, Ref) and step.spaces[key] is not Space.ELEMENTS:
                self.spaces[final.name] = step.spaces[key]
        self.elements = {name for name, space in self.spaces.items() if space is Space.ELEMENTS}
        self.changed = [
            key for key, final in step.results.items()
            if step.spaces[key] is Space.ELEMENTS and final != step.old(key)
        ]  # fmt: skip

    def run(self) -> Schedule:
        choice = self.choose()
        positions = self.positions(choice.fed)
        assert positions is not None
        count = self.passes(positions, choice)
        jobs: list[Job] = []
        for section in range(count + 1):
            jobs += self.small_jobs(section, positions)
            if section < count:
                jobs.append(self.pass_job(section, choice))
        return Schedule(self.step, tuple(self.with_small_writes(jobs)))

    # ----------------------------------------------------------------------------------------------- the best choice

    def choose(self) -> _Choice:
        soonest = self.positions({})
        assert soonest is not None
        feeding = [name for name, fold in self.folds.items() if fold.source is Space.ELEMENTS]
        first = {name: self.level(self.folds[name].operand, soonest) for name in feeding}
        last = self.passes(soonest, _Choice(first, {})) - 1
        options: dict[tuple[str, str], range] = {("fed", name): range(first[name], last + 1) for name in feeding}
        for key in self.changed:
            options["written", key] = range(self.level(self.step.results[key], soonest), last + 1)

        def cost(values: Mapping[tuple[str, str], int]) -> tuple[int, ...] | None:
            choice = self.choice(values)
            positions = self.positions(choice.fed)
            if positions is None or self.passes(positions, choice) > last + 1:
                return None
            moved = self.traffic(choice, positions)
            return None if moved is None else (moved, *(-value for value in values.values()))

        count = 1
        for values in options.values():
            count *= len(values)
        if count <= MOST_CHOICES:
            tried = [dict(zip(options, values, strict=True)) for values in product(*options.values())]
            best = min((t for t in tried if cost(t) is not None), key=lambda t: cost(t) or ())
        else:
            starts = [{o: r[i] for o, r in options.items()} for i in (0, -1)]
            starts.append({o: r[0] if o[0] == "fed" else r[-1] for o, r in options.items()})
            found = [self.descend(s, options, cost) for s in starts if cost(s) is not None]
            best = min(found, key=lambda t: cost(t) or ())
        return self.choice(best)

    def descend(
        self,
        values: dict[tuple[str, str], int],
        options: Mapping[tuple[str, str], range],
        cost: Callable[[Mapping[tuple[str, str], int]], tuple[int, ...] | None],
    ) -> dict[tuple[str, str], int]:
        """``values`` with one after another changed for the better, for as long as that helps."""
        best = cost(values)
        while True:
            before = values
            for option, possible in options.items():
                for value in possible:
                    tried = {**values, option: value}
                    reached = cost(tried)
                    if reached is not None and (best is None or reached < best):
                        values, best = tried, reached
            if values == before:
                return values

    def choice(self, values: Mapping[tuple[str, str], int]) -> _Choice:
        return _Choice(
            {name: value for (what, name), value in values.items() if what == "fed"},
            {name: value for (what, name), value in values.items() if what == "written"},
        )

    def traffic(self, choice: _Choice, positions: Mapping[str, Position]) -> int | None:
        """Tensors read and written; None if a pass would read what is no longer there, or write what is not yet."""
        total = 0
        for key, number in choice.written.items():
            if self.level(self.step.results[key], positions) > number:
                return None
        for number in range(self.passes(positions, choice)):
            job = self.pass_job(number, choice)
            wanted = [fold.operand for fold in job.folds] + [self.step.results[key] for key in job.writes]
            read = _reads(job.block, wanted, lambda condition: None)
            gone = {self.step.old(key) for key, written in choice.written.items() if written < number}
            if gone & read:
                return None
            total += len(_tensors(read, job.loaded)) + len(job.writes)
        return total

    def passes(self, positions: Mapping[str, Position], choice: _Choice) -> int:
        """How many passes there are."""
        final = [self.level(self.step.results[key], positions) for key in self.changed]
        return 1 + max([0, *final, *choice.fed.values(), *choice.written.values()])

    # ------------------------------------------------------------------------------------------------------ positions

    def positions(self, fed: Mapping[str, int]) -> dict[str, Position] | None:
        """Where each value is computed, if reductions are ``fed`` there (as soon as possible if not given).

        None if a reduction would be fed before its operand is known.
        """
        known: dict[str, Position] = {}

        def place(name: str, atoms: list[Expr]) -> None:
            space = self.spaces[name]
            read = [x for x in atoms if isinstance(x, Ref) and x.name in known]
            section = max((known[x.name][0] for x in read), default=0)
            if space is Space.ELEMENTS:
                known[name] = (section, 0)
                return
            ticks = [known[x.name][1] + (self.spaces[x.name] is not space) for x in read if known[x.name][0] == section]
            known[name] = (section, max(ticks, default=0))

        def visit(block: Block) -> bool:
            for stmt in block:
                if isinstance(stmt, If):
                    if not (visit(stmt.then) and visit(stmt.orelse)):
                        return False
                    for m in stmt.merges:
                        place(m.name, [m.then, m.orelse])
                elif stmt.name not in self.folds:
                    place(stmt.name, list(walk(stmt.value)))
                else:
                    fold = self.folds[stmt.name]
                    if fold.source is Space.ELEMENTS:
                        soonest = self.level(fold.operand, known)
                        if fed.get(stmt.name, soonest) < soonest:
                            return False
                        known[stmt.name] = (fed.get(stmt.name, soonest) + 1, 0)
                    else:
                        assert isinstance(fold.operand, Ref)
                        section, tick = known[fold.operand.name]
                        known[stmt.name] = (section, tick + 1)
            return True

        return known if visit(self.step.body) else None

    def level(self, x: Expr, positions: Mapping[str, Position]) -> int:
        """The first pass that knows ``x``."""
        return positions[x.name][0] if isinstance(x, Ref) and x.name in positions else 0

    # ----------------------------------------------------------------------------------------------------------- jobs

    def pass_job(self, number: int, choice: _Choice) -> Job:
        loaded: dict[str, str] = {}
        for key, written in choice.written.items():
            final = self.step.results[key]
            if written < number and isinstance(final, Ref):
                loaded |= dict.fromkeys(_names_of_final(self.step.body, final.name), key)
        block = _project(self.step.body, self.elements - loaded.keys() - self.folds.keys())
        folds = tuple(self.folds[name] for name, fed in choice.fed.items() if fed == number)
        writes = tuple(key for key, written in choice.written.items() if written == number)
        wanted = [fold.operand for fold in folds] + [self.step.results[key] for key in writes]
        block = live_statements(block, set().union(*map(names_read, wanted)))
        read = {x for x in _reads(block, wanted, lambda condition: None) if isinstance(x, Ref)}
        used = {name: key for name, key in loaded.items() if name in {x.name for x in read}}
        return Job(Space.ELEMENTS, block, folds, writes, used, number)

    def small_jobs(self, section: int, positions: Mapping[str, Position]) -> Iterator[Job]:
        at: dict[tuple[int, Space], set[str]] = {}
        for name, (own, tick) in positions.items():
            if own == section and name not in self.elements:
                at.setdefault((tick, self.spaces[name]), set()).add(name)
        for (_, space), names in sorted(at.items(), key=lambda item: item[0]):
            folds = tuple(fold for name, fold in self.folds.items() if name in names)
            yield Job(space, _project(self.step.body, names - self.folds.keys()), folds, ())

    def with_small_writes(self, jobs: list[Job]) -> list[Job]:
        """``jobs`` that also write states smaller than θ: where their new values are made, or last if later jobs read
        the old ones."""
        late: dict[Space, list[str]] = {}
        for key, space in self.step.spaces.items():
            final, old = self.step.results[key], self.step.old(key)
            if space is Space.ELEMENTS or final == old:
                continue
            assert isinstance(final, Ref)
            place = next(i for i, job in enumerate(jobs) if job.number is None and final.name in job.defines)
            after = jobs[place + 1 :]
            if jobs[place].space is space and not any(old in _block_leaves(job.block) for job in after):
                jobs[place] = replace(jobs[place], writes=(*jobs[place].writes, key))
            else:
                late.setdefault(space, []).append(key)
        return [*jobs, *(Job(space, (), (), tuple(keys)) for space, keys in late.items())]


# ------------------------------------------------------------------------------------------------------ blocks


def _on_tensors(block: Block) -> Block:
    """What of ``block`` is not scalar work."""
    result: list[Let | If] = []
    for stmt in block:
        if isinstance(stmt, Let):
            result += [stmt] if stmt.value.type.rate > Rate.STEP else []
            continue
        merges = tuple(m for m in stmt.merges if m.ref.type.rate > Rate.STEP)
        new = replace(stmt, then=_on_tensors(stmt.then), orelse=_on_tensors(stmt.orelse), merges=merges)
        result += [new] if new.then or new.orelse or new.merges else []
    return tuple(result)


def _lets(block: Block) -> Iterator[Let]:
    return (stmt for stmt in statements(block) if isinstance(stmt, Let))


def _fold(let: Let) -> Fold:
    assert isinstance(let.value, Op)
    (operand,) = let.value.args
    return Fold(let.name, REDUCTIONS[let.value.op].fold, operand, space_of(operand.type), space_of(let.value.type))


def _defined(block: Block) -> set[str]:
    names = set()
    for stmt in statements(block):
        names |= {stmt.name} if isinstance(stmt, Let) else {m.name for m in stmt.merges}
    return names


def _project(block: Block, names: set[str] | frozenset[str]) -> Block:
    """What of ``block`` assigns ``names``."""
    result: list[Let | If] = []
    for stmt in block:
        if isinstance(stmt, Let):
            if stmt.name in names:
                result.append(stmt)
            continue
        new = replace(
            stmt,
            then=_project(stmt.then, names),
            orelse=_project(stmt.orelse, names),
            merges=tuple(m for m in stmt.merges if m.name in names),
        )
        if new.then or new.orelse or new.merges:
            result.append(new)
    return tuple(result)


def _names_of_final(block: Block, name: str) -> Iterator[str]:
    """``name``, and the names that are it where they are assigned: what the arms of a branch merge into it."""
    yield name
    for stmt in statements(block):
        if isinstance(stmt, If):
            for m in stmt.merges:
                if m.name == name:
                    for atom, arm in ((m.then, stmt.then), (m.orelse, stmt.orelse)):
                        if isinstance(atom, Ref) and atom.name in _defined(arm):
                            yield from _names_of_final(arm, atom.name)


def _block_leaves(block: Block) -> set[Expr]:
    """The atoms that ``block`` reads anywhere."""
    read: set[Expr] = set()
    for stmt in statements(block):
        if isinstance(stmt, Let):
            read.update(x for x in walk(stmt.value) if not children(x))
        else:
            read.update(atom for m in stmt.merges for atom in (m.then, m.orelse))
    return read


def _reads(block: Block, wanted: list[Expr], decide: Callable[[Expr], bool | None]) -> frozenset[Expr]:
    """The atoms from outside ``block`` that ``wanted`` follows from."""
    read: set[Expr] = set()

    def need(x: Expr) -> None:
        match x:
            case Op("select", (condition, a, b)) if (holds := decide(condition)) is not None:
                need(a if holds else b)
            case Op(_, args):
                for a in args:
                    need(a)
            case _:
                read.add(x)

    def visit(block: Block) -> None:
        for stmt in reversed(block):
            if isinstance(stmt, Let):
                if stmt.ref in read:
                    read.discard(stmt.ref)
                    need(stmt.value)
                continue
            holds = decide(stmt.condition)
            for m in stmt.merges:
                if m.ref in read:
                    read.discard(m.ref)
                    if holds is not False:
                        need(m.then)
                    if holds is not True:
                        need(m.orelse)
            visit(stmt.orelse)
            visit(stmt.then)

    for x in wanted:
        need(x)
    visit(block)
    return frozenset(read)


def _tensors(read: frozenset[Expr], loaded: Mapping[str, str]) -> set[object]:
    """The whole tensors among what is read."""
    own = {x for x in read if isinstance(x, Param | Grad | StateValue) and space_of(x.type) is Space.ELEMENTS}
    return {*own, *(loaded[x.name] for x in read if isinstance(x, Ref) and x.name in loaded)}


def _changes(step: Step, key: str, decide: Callable[[Expr], bool | None]) -> bool:
    """Whether the step leaves another value in ``key``."""

    def origin(x: Expr, block: Block) -> Expr:
        """What ``x`` is but another name for."""
        if isinstance(x, Ref):
            for stmt in statements(block):
                if isinstance(stmt, Let):
                    if stmt.name == x.name:
                        return x if isinstance(stmt.value, Op) else origin(stmt.value, block)
                    continue
                for m in stmt.merges:
                    if m.name == x.name:
                        holds = decide(stmt.condition)
                        arms = [origin(a, block) for a, c in ((m.then, False), (m.orelse, True)) if holds is not c]
                        return arms[0] if all(arm == arms[0] for arm in arms) else x
        return x

    return origin(step.results[key], step.body) != step.old(key)
