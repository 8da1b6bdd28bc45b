"""Cuts a step around the products and procedures in it, so that all between them is elementwise and can be fused.

The pieces alternate: a :class:`Segment`, which is a program of its own, then what torch makes of tensors
(:class:`Made`), then a segment that reads the results, and so on. What passes from one piece to the next stands in
lists of tensors: the states wherever these will do, else temporaries.

A segment computes anew what it needs of the gradient, θ and the states. A state is written in the earliest segment that
knows its new value, unless its old one is still read later.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count

from optdsl.ir.nodes import (
    FULL,
    MATRIX_OPERATIONS,
    Argument,
    Block,
    Call,
    Const,
    Expr,
    Grad,
    Hyper,
    If,
    Let,
    Op,
    Param,
    ParamFact,
    Program,
    Rate,
    Ref,
    Scalar,
    State,
    StateValue,
    Stmt,
    Time,
    children,
    statements,
    walk,
    with_children,
)
from optdsl.ir.passes.rewrite import expanded, expressions, map_program, remove_dead_code, substitute_program


@dataclass(frozen=True)
class Segment:
    """An elementwise part of a step.

    The states of ``program`` are the lists that it touches; it ``makes`` some of them, which are temporaries. What it
    asks of θ are hyperparameters of it (:func:`fact_name`).
    """

    program: Program
    makes: tuple[str, ...]

    @property
    def reads_grad(self) -> bool:
        return any(n == Grad() for x in expressions(self.program) for n in walk(x))


@dataclass(frozen=True)
class Made:
    """The list ``name``, which torch makes by one operation, ``value``: of lists, which are ``StateValue`` s of their
    names (θ is ``param``), and of scalars that a parameter group knows."""

    name: str
    value: Expr


Piece = Segment | Made


def fact_name(fact: str) -> str:
    """The hyperparameter that tells a segment a fact about the parameters."""
    return f"param_{fact}"


def cut(program: Program) -> tuple[Piece, ...]:
    """The pieces of ``program`` (as lowered), in order; none if torch has nothing to make, or what is around that is
    not elementwise and shaped like θ."""
    if (
        program.stored_only
        or program.meets
        or not any(_is_made(n) for x in expressions(program) for n in walk(x))
        or any(s.initial is None or s.shape != FULL or s.rate is Rate.TENSOR for s in program.states)
    ):
        return ()
    try:
        pieces = _Cutter(program).run()
    except _Uncut:
        return ()
    return pieces if all(p.program.is_elementwise for p in pieces if isinstance(p, Segment)) else ()


def segments(program: Program) -> tuple[Segment, ...]:
    """Those of the pieces that are fused."""
    return tuple(piece for piece in cut(program) if isinstance(piece, Segment))


def segment_modules(program: Program, module: str) -> tuple[str, ...]:
    """What the modules of the segments' classes would be called if each were an optimizer, beside ``module``."""
    return tuple(f"{module}_{n + 1}" for n in range(len(segments(program))))


class _Uncut(Exception):
    """The program is of a kind that is not cut."""


class _Cutter:
    def __init__(self, program: Program):
        self.original = program
        self.old: dict[str, Expr] = {"param": Param(), **{s.key: StateValue(s.key) for s in program.tensor_states}}
        """θ and the states as they are when the step begins. In ``program`` references stand for them."""
        self.made: dict[str, Expr] = {}
        """What torch makes, by SSA name."""
        self.numbers = count()
        marked = map_program(program, self.marked)
        self.program = marked.with_body(tuple(new for stmt in marked.body for new in self.extracted(stmt)))
        self.level: dict[str, int] = {}
        """The segment after which each of ``made`` is made."""
        self.ready: dict[str, int] = {_old(key).name: 0 for key in self.old}
        """The segment from which on a name is known."""
        self.note_ready(self.program.body)
        self.count = max(self.level.values()) + 2
        results = {"param": self.program.param, **dict(self.program.new_states)}
        self.final = {key: results[key] for key in self.old if results[key] != _old(key)}
        self.written = {key: self.ready_of(x) for key, x in self.final.items()}
        """The segment that writes each of ``final``."""
        self.taken = {"param", "grad", "step", *(s.key.lower() for s in program.states)}
        self.taken |= {s.name.lower() for s in program.scalars}
        self.keys: dict[str, str] = {}
        """The temporaries, by the SSA name of their value."""
        self.passed: dict[Ref, int] = {}
        """The values that segments make for torch, and which segment does."""

    # ------------------------------------------------------------------------------------------------ what torch makes

    def marked(self, x: Expr) -> Expr:
        """``x`` with references for what was there when the step began."""
        match x:
            case Param():
                return _old("param")
            case StateValue(key) if key in self.old:
                return _old(key)
            case _:
                return with_children(x, tuple(map(self.marked, children(x))))

    def extracted(self, stmt: Stmt) -> Iterator[Stmt]:
        """``stmt``, after statements that name what torch makes for it, and of what."""
        if isinstance(stmt, If):
            if any(_is_made(n) for x in _read_in((stmt,)) for n in walk(x)):
                raise _Uncut
            yield stmt
            return
        before: list[Let] = []
        value = self.named(stmt.value, stmt.identifier, before)
        yield from before
        yield replace(stmt, value=value)

    def named(self, x: Expr, identifier: str, before: list[Let]) -> Expr:
        """``x`` with a name for each product and call in it, and for each tensor that these are made of."""
        x = with_children(x, tuple(self.named(a, identifier, before) for a in children(x)))
        if not _is_made(x):
            return x
        operands = []
        for a in children(x):
            if a.type.is_tensor and not isinstance(a, Ref):
                before.append(Let(f"{identifier}_of.cut{next(self.numbers)}", a))
                a = before[-1].ref
            operands.append(a)
        before.append(Let(f"{identifier}.cut{next(self.numbers)}", with_children(x, tuple(operands))))
        self.made[before[-1].name] = before[-1].value
        return before[-1].ref

    def note_ready(self, block: Block, least: int = 0) -> int:
        """Notes from which segment on, ``least`` or later, names of ``block`` are known; returns the last of these."""
        latest = least
        for stmt in block:
            if isinstance(stmt, If):
                inside = max(least, self.ready_of(stmt.condition))
                inside = max(self.note_ready(stmt.then, inside), self.note_ready(stmt.orelse, inside))
                inside = max(inside, *(self.ready_of(x) for m in stmt.merges for x in (m.then, m.orelse)), least)
                self.ready.update((m.name, inside) for m in stmt.merges)
                latest = max(latest, inside)
                continue
            if stmt.name in self.made:
                of = (self.level.get(a.name, self.ready[a.name]) for a in _tensors(stmt.value))
                self.level[stmt.name] = max(of, default=0)
                self.ready[stmt.name] = self.level[stmt.name] + 1
            else:
                self.ready[stmt.name] = max(least, self.ready_of(stmt.value))
            latest = max(latest, self.ready[stmt.name])
        return latest

    def ready_of(self, x: Expr) -> int:
        return max((self.ready[n.name] for n in walk(x) if isinstance(n, Ref)), default=0)

    # ---------------------------------------------------------------------------------------------------------- pieces

    def run(self) -> tuple[Piece, ...]:
        while True:
            makers = [self.maker(name) for name in self.made]
            programs = [self.segment(s) for s in range(self.count)]
            if not self.postpone(programs):
                break
            self.passed.clear()
        if not self.writes(self.count - 1):
            raise _Uncut
        pieces: list[Piece] = []
        number = count(1)
        for s, program in enumerate(programs):
            if self.writes(s):
                makes = tuple(self.key(ref.name) for ref, where in self.passed.items() if where == s)
                pieces.append(Segment(self.finished(program, next(number)), makes))
            pieces += [made for made, level in zip(makers, self.level.values(), strict=True) if level == s]
        return tuple(pieces)

    def writes(self, s: int) -> bool:
        """Whether segment ``s`` has anything to do."""
        return s in self.written.values() or s in self.passed.values()

    def postpone(self, programs: list[Program]) -> bool:
        """Lets every state be written no earlier than its old value is last read; returns whether any is now later."""
        before = dict(self.written)
        for key in self.written:
            old = _old(key)
            readers = [s for s, p in enumerate(programs) if any(n == old for x in expressions(p) for n in walk(x))]
            readers += [self.level[name] + 1 for name, value in self.made.items() if old in children(value)]
            self.written[key] = max(self.written[key], *readers, 0)
        return self.written != before

    def maker(self, name: str) -> Made:
        operands: list[Expr] = []
        for a in children(self.made[name]):
            if isinstance(a, Ref) and a.type.is_tensor:
                operands.append(StateValue(self.list_of(a, self.level[name]), shape=a.type.shape))
                continue
            scalar = _with_facts(expanded(self.program.body, a))
            if scalar.type.rate > Rate.GROUP:
                raise _Uncut
            operands.append(scalar)
        return Made(self.key(name), with_children(self.made[name], tuple(operands)))

    def list_of(self, ref: Ref, s: int) -> str:
        """The list in which torch finds a value after segment ``s``."""
        if ref.name in self.made:
            return self.key(ref.name)
        for key in self.old:
            if ref == _old(key) or (self.final.get(key) == ref and self.written[key] <= s):
                return key
        if ref.type.shape != FULL:
            raise _Uncut
        self.passed[ref] = min(s, self.passed.get(ref, s))
        return self.key(ref.name)

    def key(self, name: str) -> str:
        """The temporary that holds a value; no state and no hyperparameter is called so, in small letters either."""
        if name not in self.keys:
            wanted = f"temporary_{name.partition('.')[0]}"
            candidates = (wanted if n == 1 else f"{wanted}_{n}" for n in count(1))
            self.keys[name] = next(key for key in candidates if key.lower() not in self.taken)
            self.taken.add(self.keys[name].lower())
        return self.keys[name]

    def segment(self, s: int) -> Program:
        """What segment ``s`` does: its results are what it writes, θ ``Const(None)`` where it does not."""
        known: dict[str, Expr] = {}
        for name, value in self.made.items():
            if self.level[name] < s:
                known[name] = StateValue(self.key(name), shape=value.type.shape)
        for ref, where in self.passed.items():
            if where < s:
                known[ref.name] = StateValue(self.key(ref.name))
        for key, where in self.written.items():
            final = self.final[key]
            if where < s and isinstance(final, Ref):
                known[final.name] = self.old[key]
        results = {key: self.final[key] for key, where in self.written.items() if where == s}
        param = results.pop("param", Const(None))
        body = tuple(
            _unmarked(stmt, {*results, "param"} if param != Const(None) else {*results})
            for stmt in self.program.body
            if not (isinstance(stmt, Let) and stmt.name in self.made)
        )
        results |= {self.key(ref.name): ref for ref, where in self.passed.items() if where == s}
        program = replace(self.program, body=body, param=param, new_states=tuple(results.items()))
        program = remove_dead_code(substitute_program(program, known))
        scalars = {
            s.key: value for s in self.original.scalar_states for key, value in self.program.new_states if key == s.key
        }
        if s < self.count - 1 and not _reads_scalars(program):
            return replace(program, counts_steps=False)
        program = replace(self.program, body=body, param=param, new_states=tuple((results | scalars).items()))
        return remove_dead_code(substitute_program(program, known))

    def finished(self, program: Program, number: int) -> Program:
        """The program of a segment, with the states that it touches. Scalars advance in the last one, and in what reads
        them (which is given copies)."""
        program = substitute_program(program, {_old(key).name: value for key, value in self.old.items()})
        results = dict(program.new_states)
        read = {n.key for x in expressions(program) for n in walk(x) if isinstance(n, StateValue)}
        states = [*self.original.states, *(State(k, k, Rate.ELEMENT, Const(0)) for k in self.keys.values())]
        states = [
            replace(s, condition=None if s.condition is None else _with_facts(s.condition))
            for s in states
            if s.key in read | results.keys()
        ]
        facts = tuple(Argument(fact_name(f), (Scalar(fact_name(f), f"{f}(θ)", None),)) for f in self.original.facts)
        program = replace(
            program,
            name=f"{program.name}_{number}",
            arguments=(*program.arguments, *facts),
            states=tuple(states),
            param=Param() if program.param == Const(None) else program.param,
            new_states=tuple((s.key, results.get(s.key, StateValue(s.key, s.rate))) for s in states),
            evaluation=None,
        )
        return map_program(program, _with_facts)


def _old(key: str) -> Ref:
    """What stands for θ or a state as it is when the step begins."""
    return Ref(f"{key}.old", StateValue(key).type)


def _is_made(x: Expr) -> bool:
    return isinstance(x, Call) or (isinstance(x, Op) and x.op in MATRIX_OPERATIONS)


def _tensors(x: Expr) -> Iterator[Ref]:
    """The tensors that torch makes ``x`` of."""
    return (a for a in children(x) if isinstance(a, Ref) and a.type.is_tensor)


def _read_in(block: Block) -> Iterator[Expr]:
    for stmt in statements(block):
        yield stmt.value if isinstance(stmt, Let) else stmt.condition


def _reads_scalars(program: Program) -> bool:
    """Whether the step count or a scalar state is read."""
    nodes = (n for x in expressions(program) for n in walk(x))
    return any(isinstance(n, Time | StateValue) and n.type.rate is Rate.STEP for n in nodes)


def _with_facts(x: Expr) -> Expr:
    """``x`` with hyperparameters in place of facts about parameters."""
    if isinstance(x, ParamFact):
        return Hyper(fact_name(x.name))
    return with_children(x, tuple(map(_with_facts, children(x))))


def _unmarked(stmt: Stmt, written: set[str]) -> Stmt:
    """``stmt`` as one that gives no new value to θ and tensor states but those ``written``."""

    def state(name: str | None, value: Expr) -> str | None:
        return name if name in written or not value.type.is_tensor else None

    if isinstance(stmt, Let):
        return replace(stmt, state=state(stmt.state, stmt.value))
    return replace(
        stmt,
        then=tuple(_unmarked(s, written) for s in stmt.then),
        orelse=tuple(_unmarked(s, written) for s in stmt.orelse),
        merges=tuple(replace(m, state=state(m.state, m.ref)) for m in stmt.merges),
    )
