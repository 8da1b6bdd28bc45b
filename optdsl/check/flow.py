"""E211-E217, W201: what is assigned where, along every path through a step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from optdsl.check import conditions, walk
from optdsl.check.model import Buffer, CheckedOptimizer, Hyperparameter, Local, Parameter, SymbolTable, local_key
from optdsl.ir.nodes import PARAM_FACTS, DType
from optdsl.source import Diagnostic, Label, Severity
from optdsl.syntax import ast
from optdsl.syntax.ast import Time
from optdsl.syntax.names import display

Key = tuple[ast.Symbol, bool]


@dataclass(frozen=True)
class Assigned:
    """Where a name was last assigned, and whether every path here has assigned it."""

    place: ast.Name
    always: bool


Paths = dict[Key, Assigned]


def check(subject: CheckedOptimizer) -> Iterator[Diagnostic]:
    flow = _Flow(subject.table, frozenset(subject.table.locals))
    for declaration in subject.optimizer.inputs:
        for constraint in declaration.constraints:
            yield from flow.reads(constraint.condition)
    for state in subject.optimizer.states:
        yield from flow.initial(state)
    yield from flow.block(walk.whole(subject.optimizer))
    yield from _never_read(subject)
    for buffer in subject.table.buffers.values():
        if buffer.optional:
            yield from _always_assigned(buffer, subject)
    for function in walk.inlined(walk.whole(subject.optimizer), subject.functions):
        yield from _function(function)


@dataclass
class _Flow:
    """Follows the statements of a body; ``table`` is None in a function, where every name is a local."""

    table: SymbolTable | None
    ever_assigned: frozenset[Key]
    """The locals that some statement assigns."""

    assigned: Paths = field(default_factory=dict)
    facts: frozenset[conditions.Fact] = frozenset()
    present: frozenset[ast.Symbol] = frozenset()
    """States without initial value that a step test has shown to be there."""

    def block(self, body: tuple[ast.Stmt, ...]) -> Iterator[Diagnostic]:
        for stmt in body:
            yield from self.statement(stmt)

    def statement(self, stmt: ast.Stmt) -> Iterator[Diagnostic]:
        match stmt:
            case ast.Assign(targets=targets, value=value):
                yield from self.reads(value, stmt)
                for target in targets:
                    yield from self.lost_update(target, value)
                    yield from self.exists(target)
                    self.assigned[local_key(target)] = Assigned(target, True)
            case ast.If():
                yield from self.branch(stmt)
            case ast.Loop(body=body):
                yield from self.block(body)
            case ast.Return(value=value):
                yield from self.reads(value, stmt)

    def initial(self, state: ast.State) -> Iterator[Diagnostic]:
        """The condition of a state, and its initial value where that holds."""
        outer = self.facts
        if state.condition is not None:
            yield from self.reads(state.condition)
            self.facts |= conditions.known(state.condition)
        if state.value is not None:
            yield from self.reads(state.value)
        self.facts = outer

    def branch(self, stmt: ast.If) -> Iterator[Diagnostic]:
        first, rest = stmt.branches[0], stmt.branches[1:]
        yield from self.reads(first.condition, stmt)
        before, outer = dict(self.assigned), (self.facts, self.present)
        self.enter(first.condition, True, stmt)
        present = [self.present]
        yield from self.block(first.body)
        then, self.assigned = self.assigned, before
        self.facts, self.present = outer
        self.enter(first.condition, False, stmt)
        present.append(self.present)
        if rest:
            yield from self.branch(ast.If(rest, stmt.orelse, stmt.span))
        else:
            yield from self.block(stmt.orelse)
        self.facts, self.present = outer
        self.assigned = _joined((then, self.assigned), present)

    def cases(self, cases: ast.Cases, stmt: ast.Stmt | None) -> Iterator[Diagnostic]:
        outer = self.facts, self.present
        for case in cases.cases:
            inside = self.facts, self.present
            if case.condition is not None:
                yield from self.reads(case.condition, stmt)
                self.enter(case.condition, True, stmt)
            yield from self.reads(case.value, stmt)
            self.facts, self.present = inside
            if case.condition is not None:
                self.enter(case.condition, False, stmt)
        self.facts, self.present = outer

    def enter(self, condition: ast.Expr, holds: bool, stmt: ast.Stmt | None) -> None:
        """Notes what is known on one side of ``condition``, which decides within ``stmt``."""
        facts = conditions.known(condition, holds)
        if self.table is not None and stmt is not None and conditions.is_later_step(facts):
            guarded = conditions.guarded(stmt, self.table, self.facts)
            self.present |= {buffer.declaration.name.symbol for buffer in guarded}
        self.facts |= facts

    # ---------------------------------------------------------------------------------------------------- reads

    def reads(self, expr: ast.Expr, stmt: ast.Stmt | None = None) -> Iterator[Diagnostic]:
        """The names that ``stmt`` (or a declaration) reads in its ``expr``."""
        match expr:
            case ast.Name():
                yield from self.read(expr)
            case ast.Cases():
                yield from self.cases(expr, stmt)
            case ast.Call(function=function, arguments=(ast.Name() as asked,)) if function in PARAM_FACTS:
                if self.table is None or isinstance(self.table.lookup(asked), Local):
                    yield from self.read(asked)
            case ast.Binary() if (brace := conditions.fallback(expr, self.table)) is not None:
                yield from self.cases(brace, stmt)
            case ast.Binary(op="and" | "or" as op, left=left, right=right):
                yield from self.reads(left, stmt)
                outer, self.facts = self.facts, self.facts | conditions.known(left, holds=op == "and")
                yield from self.reads(right, stmt)
                self.facts = outer
            case ast.Compare(operands=(ast.Name(), ast.NoneLiteral())):
                return
            case _:
                for child in walk.children(expr):
                    yield from self.reads(child, stmt)

    def read(self, name: ast.Name) -> Iterator[Diagnostic]:
        if self.table is None:
            yield from self.read_local(name)
            return
        match self.table.lookup(name):
            case Hyperparameter() as entry:
                yield from self.is_not_none(name, entry)
            case Local(first=first) if first.time is name.time:
                yield from self.read_local(name, first)
            case Buffer() as buffer if name.time in (Time.NOW, Time.PREVIOUS, Time.INITIAL):
                missing = list(self.exists(name))
                yield from missing
                if not missing and buffer.optional:
                    yield from self.is_present(name, buffer)

    def read_local(self, name: ast.Name, first: ast.Name | None = None) -> Iterator[Diagnostic]:
        assigned = self.assigned.get(local_key(name))
        shown = display(name.symbol, name.time)
        if assigned is None and local_key(name) in self.ever_assigned:
            labels = () if first is None else (Label(first.span, "assigned here"),)
            yield Diagnostic("E211", f"`{shown}` is read before it is assigned", name.span, labels=labels)
        elif assigned is not None and not assigned.always:
            yield Diagnostic(
                "E211",
                f"`{shown}` is not assigned on every path to here",
                name.span,
                help=f"assign `{shown}` in the other case too, or before the `if`",
                labels=(Label(assigned.place.span, "assigned only under a condition"),),
            )

    def is_not_none(self, name: ast.Name, entry: Hyperparameter) -> Iterator[Diagnostic]:
        """A number that may be none is read where it is known to be one."""
        optional = isinstance(entry.default, ast.NoneLiteral) and entry.dtype is DType.REAL
        present = ast.Compare((name, ast.NoneLiteral()), ("is not",))
        if optional and not conditions.implies(self.facts, present):
            yield Diagnostic(
                "E217",
                f"`{display(name.symbol)}` may be `none` here",
                name.span,
                help=f"read it under `if {display(name.symbol)} is not none`",
                labels=(Label(entry.name.span, "its default is `none`"),),
            )

    def exists(self, name: ast.Name) -> Iterator[Diagnostic]:
        """A state that exists under a flag is touched only where the flag holds."""
        buffer = self.table.lookup(name) if self.table is not None else None
        condition = buffer.declaration.condition if isinstance(buffer, Buffer) else None
        if condition is None or (isinstance(condition, ast.Name) and not self.is_flag(condition)):
            return
        if not conditions.implies(self.facts, condition):
            yield Diagnostic(
                "E214",
                f"`{display(name.symbol, name.time)}` exists only if `{condition.span.text}`",
                name.span,
                help=f"use it under `if {condition.span.text}`",
                labels=(Label(condition.span, "declared with this condition"),),
            )

    def is_flag(self, name: ast.Name) -> bool:
        entry = self.table.lookup(name) if self.table is not None else None
        return isinstance(entry, Hyperparameter) and entry.dtype is DType.BOOL

    def is_present(self, name: ast.Name, buffer: Buffer) -> Iterator[Diagnostic]:
        """A state without initial value is read where an earlier step, or this one, has assigned it."""
        assigned = self.assigned.get(local_key(name))
        if name.symbol in self.present or (name.time is Time.NOW and assigned is not None and assigned.always):
            return
        shown, symbol = display(name.symbol, name.time), display(name.symbol)
        yield Diagnostic(
            "E213",
            f"`{shown}` has no value in the first step",
            name.span,
            help=f"read it under `if t > 1`, or give it a first value: `{display(name.symbol, Time.INITIAL)} ← 0`",
            labels=(Label(buffer.declaration.name.span, f"`{symbol}` has no initial value"),),
        )

    def lost_update(self, target: ast.Name, value: ast.Expr) -> Iterator[Diagnostic]:
        """``x_t ← … x_{t-1} …`` after ``x_t`` was assigned, and is not read: the first update is lost."""
        entry = self.table.lookup(target) if self.table is not None else None
        earlier = self.assigned.get(local_key(target))
        if not isinstance(entry, Buffer | Parameter) or earlier is None or target.time is not Time.NOW:
            return
        now = display(target.symbol, Time.NOW)
        reads = [name for name in walk.read(value) if isinstance(name, ast.Name) and name.symbol == target.symbol]
        if any(name.time is Time.NOW for name in reads):
            return
        for name in reads:
            if name.time is Time.PREVIOUS:
                yield Diagnostic(
                    "E212",
                    f"this drops the earlier update of `{now}`",
                    name.span,
                    note=f"`{display(name.symbol, name.time)}` is the value from before the step, not the updated one",
                    help=f"write `{now}` to go on from the earlier update",
                    labels=(Label(earlier.place.span, f"`{now}` is already updated here"),),
                )
                return


def _joined(sides: tuple[Paths, Paths], present: Sequence[frozenset[ast.Symbol]]) -> Paths:
    """What is assigned after a branch: always, where each side always assigns, or has a value from an earlier step."""
    joined: Paths = {}
    for key in {**sides[0], **sides[1]}:
        places = [side.get(key) for side in sides]
        kept = (key[0] in symbols for symbols in present)
        always = all((place is not None and place.always) or k for place, k in zip(places, kept, strict=True))
        joined[key] = Assigned(next(place.place for place in places if place is not None), always)
    return joined


def _never_read(subject: CheckedOptimizer) -> Iterator[Diagnostic]:
    """A local that is assigned for nothing."""
    names = (e for e in walk.expressions(walk.whole(subject.optimizer)) if isinstance(e, ast.Name))
    read = {entry.identifier for entry in map(subject.table.lookup, names) if isinstance(entry, Local)}
    for local in subject.table.locals.values():
        if local.identifier not in read and local.identifier != "grad":
            shown = display(local.first.symbol, local.first.time)
            message = f"`{shown}` is assigned and never read"
            yield Diagnostic("W201", message, local.first.span, severity=Severity.WARNING)


def _always_assigned(buffer: Buffer, subject: CheckedOptimizer) -> Iterator[Diagnostic]:
    """Every step leaves a value behind for a state that has no initial one."""
    declaration = buffer.declaration
    facts = conditions.known(declaration.condition) if declaration.condition is not None else frozenset()
    symbol = declaration.name.symbol
    places = [target for target, _ in walk.assignments(subject.optimizer.body) if target.symbol == symbol]
    if places and not _assigns(subject.optimizer.body, symbol, facts):
        yield Diagnostic(
            "E215",
            f"`{display(symbol)}` has no initial value, and a step may leave it without one",
            declaration.name.span,
            help=f"assign `{display(symbol, Time.NOW)}` on every path, or give it a first value: "
            f"`{display(symbol, Time.INITIAL)} ← 0`",
            labels=(Label(places[0].span, "assigned only under a condition"),),
        )


def _assigns(body: tuple[ast.Stmt, ...], symbol: ast.Symbol, facts: frozenset[conditions.Fact]) -> bool:
    """True if ``symbol`` certainly has a value after ``body`` where ``facts`` hold: from it, or an earlier step."""
    return conditions.is_later_step(facts) or any(_statement_assigns(stmt, symbol, facts) for stmt in body)


def _statement_assigns(stmt: ast.Stmt, symbol: ast.Symbol, facts: frozenset[conditions.Fact]) -> bool:
    match stmt:
        case ast.Assign(targets=targets):
            return any(target.symbol == symbol for target in targets)
        case ast.If(branches=branches, orelse=orelse):
            for branch in branches:
                if conditions.implies(facts, branch.condition):
                    return _assigns(branch.body, symbol, facts)
                if not conditions.implies(facts, branch.condition, holds=False):
                    inside = facts | conditions.known(branch.condition)
                    if not _assigns(branch.body, symbol, inside):
                        return False
                facts |= conditions.known(branch.condition, False)
            return _assigns(orelse, symbol, facts)
        case ast.Loop(body=body):
            return _assigns(body, symbol, facts)
        case _:
            return False


def _function(function: ast.Function) -> Iterator[Diagnostic]:
    """A function assigns what it reads, and ends in its one ``return``."""
    given = (*function.arguments, *function.parameters)
    ever_assigned = frozenset(local_key(target) for target, _ in walk.assignments(function.body))
    flow = _Flow(None, ever_assigned, {local_key(name): Assigned(name, True) for name in given})
    yield from flow.block(function.body)
    if not function.body or not isinstance(function.body[-1], ast.Return):
        yield Diagnostic(
            "E216",
            f"`{function.name}` does not end in a `return`",
            function.span,
            help="the last line of a function is `return` and its value",
        )
