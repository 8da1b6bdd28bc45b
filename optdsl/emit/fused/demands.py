"""Under which flags each value of a step that reduces tensors is needed, job by job: what nobody reads is not made."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from optdsl.emit.fused.conditions import ALWAYS, NEVER, Flags, Formula, both, either
from optdsl.emit.fused.traffic import Key, changes, needs
from optdsl.ir.nodes import DType, Expr, Grad, If, Param, Program, Rate, Ref, StateValue, Type, statements
from optdsl.ir.passes.phases import Job, Schedule, Space, space_of


@dataclass(frozen=True)
class Demand:
    """What one job needs, by flags, and the results that it makes."""

    needed: Mapping[Key, Formula]
    results: Mapping[Expr, Formula]

    @property
    def active(self) -> Formula:
        """When the job has anything to do."""
        return either(*self.results.values())


class Demands:
    """What is demanded of ``schedule``, a schedule of ``program``.

    ``written`` says when θ and each state get a new value; ``needed``, when a value that a small job makes is needed by
    jobs after it. ``home`` is the number of the small job that makes a value, ``spaces`` the space of that job.
    ``slots`` are the places in memory between jobs: of the values of a name, or (True) of the parts that a pass folds
    for it. ``matrix``: when rows and columns matter. ``jobs`` has a :class:`Demand` for each job.
    """

    def __init__(self, program: Program, schedule: Schedule, flags: Flags):
        self.schedule = schedule
        self.step = schedule.step
        self.flags = flags
        exists = {s.key: flags.formula(s.condition) for s in program.states if s.condition is not None}
        self.written = {
            k: both(exists.get(k, ALWAYS), changes(self.step.body, self.step.old(k), flags)(final))
            for k, final in self.step.results.items()
        }
        self.needed: dict[str, Formula] = defaultdict(lambda: NEVER)
        self.home = {name: i for i, job in enumerate(schedule.jobs) if job.number is None for name in job.defines}
        self.spaces = {name: schedule.jobs[i].space for name, i in self.home.items()}
        self.slots: dict[tuple[str, bool], Space] = {}
        self.matrix: Formula = NEVER
        self.jobs = [self._of(job) for job in reversed(schedule.jobs)][::-1]

    def _of(self, job: Job) -> Demand:
        """The demand of ``job``, after those of the jobs behind it."""
        results: dict[Expr, Formula] = {}

        def make(atom: Expr, when: Formula) -> None:
            if when != NEVER:
                results[atom] = either(results.get(atom, NEVER), when)

        for state in job.writes:
            make(self.step.results[state], self.written[state])
        if job.number is not None:
            for fold in job.folds:
                make(fold.operand, self.needed[fold.name])
        else:
            for name, ref in made_by(job):
                make(ref, self.needed[name])
        needed: dict[Key, Formula] = defaultdict(lambda: NEVER, needs(job.block, results, self.flags))
        for k, when in list(needed.items()):
            if isinstance(k, str) and k in self.home and k not in (job.defines if job.number is None else ()):
                self.needed[k] = either(self.needed[k], when)
                self.slots.setdefault((k, False), self.spaces[k])
            space = self.space_of(k)
            if space in (Space.MATRICES, Space.ROWS, Space.COLS):
                self.matrix = either(self.matrix, when)
        if job.number is None:
            for fold in job.folds:
                when = self.needed[fold.name] = either(self.needed[fold.name], needed[fold.name])
                needed[fold.name] = when
                if fold.source is Space.ELEMENTS:
                    self.slots.setdefault((fold.name, True), fold.space)
                else:
                    assert isinstance(fold.operand, Ref)
                    source = fold.operand.name
                    self.needed[source] = either(self.needed[source], when)
                    self.slots.setdefault((source, False), fold.source)
                if fold.space is not Space.TENSOR:
                    self.matrix = either(self.matrix, when)
            if job.space is not Space.TENSOR:
                self.matrix = either(self.matrix, *results.values())
        return Demand(needed, results)

    def space_of(self, k: Key) -> Space | None:
        """The space of a value that a job reads; None for a scalar and for what the job computes itself."""
        if isinstance(k, str):
            return self.spaces.get(k)
        return space_of(k.type) if isinstance(k, Param | Grad | StateValue) and k.type.rate > Rate.STEP else None


def made_by(job: Job) -> Iterator[tuple[str, Ref]]:
    """The values that a small job makes."""
    for fold in job.folds:
        yield fold.name, Ref(fold.name, Type(DType.REAL, Rate.ELEMENT))
    for stmt in statements(job.block):
        if isinstance(stmt, If):
            yield from ((m.name, m.ref) for m in stmt.merges)
        else:
            yield stmt.name, stmt.ref
