"""Functions and steps of imperative code, with all that they call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from optdsl.check import walk
from optdsl.check.collect import is_torch_flag
from optdsl.check.imperative.expressions import identifier
from optdsl.check.imperative.statements import Statements
from optdsl.check.imperative.values import Known, Names, Sequence, variable
from optdsl.check.model import PARAMETER, Buffer, CheckedOptimizer, Report
from optdsl.ir import nodes as ir
from optdsl.ir.nodes import Type
from optdsl.ir.procedures import POINT, Code, Kept, Procedure
from optdsl.source import Diagnostic, Severity, Span
from optdsl.syntax import ast
from optdsl.syntax.names import display

ROUNDS = 12
"""How often a body is read at most until its types are known; each round finds at least one more."""

Given = Type | ir.Ref | Sequence
"""What an argument of a call is: a value of some type, θ itself, or a history."""


@dataclass
class Instance:
    """A function called with arguments of certain kinds; ``results`` is None until they are found out."""

    function: ast.Function
    name: str
    given: tuple[Given, ...]
    results: tuple[Type, ...] | None = None
    procedure: Procedure | None = None
    active: bool = False


@dataclass
class Procedures:
    """The functions that imperative code calls, each read once for every kind of arguments."""

    functions: Mapping[str, ast.Function]
    report: Report
    flat: bool
    instances: dict[tuple[str, tuple[Given, ...]], Instance] = field(default_factory=dict)
    whole: set[str] = field(default_factory=set)

    def call(self, function: ast.Function, args: tuple[ir.Expr, ...], span: Span) -> tuple[ir.Expr, ...] | None:
        """The results of a call; None while they are not known, because the function is just being read."""
        instance = self.called(function, tuple(POINT if a == POINT else variable(a.type) for a in args), span)
        if instance is None or instance.results is None:
            return None
        passed = tuple(a for a in args if a != POINT)
        return tuple(ir.Call(instance.name, passed, result) for result in instance.results)

    def called(self, function: ast.Function, given: tuple[Given, ...], span: Span) -> Instance | None:
        """The function as it is called with such arguments; None where those are not its own."""
        wanted = (*function.arguments, *function.parameters)
        if len(given) != len(wanted):
            names = ", ".join(display(n.symbol) for n in wanted)
            message = f"these are not the arguments of `{function.name}`: {names}"
            self.report.add(Diagnostic("E103", message, span))
            return None
        instance = self.instance(function, given)
        if instance.results is None and not instance.active:
            self.read(instance)
        return instance

    def instance(self, function: ast.Function, given: tuple[Given, ...]) -> Instance:
        key = function.name, given
        if key not in self.instances:
            alike = [i for i in self.instances.values() if i.function is function]
            twin = next((i for i in alike if self.kinds(i.given) == self.kinds(given)), None)
            number = len({i.name for i in alike}) + 1
            name = twin.name if twin else function.name if number == 1 else f"{function.name}_{number}"
            self.instances[key] = Instance(function, name, given)
        return self.instances[key]

    def kinds(self, given: tuple[Given, ...]) -> tuple[object, ...]:
        """What a function's code depends on: which arguments are tensors, and over flat θ of which shape."""
        shapes = (g.shape if self.flat and isinstance(g, Type) else None for g in given)
        kinds = ((g.dtype, g.is_tensor) if isinstance(g, Type) else g for g in given)
        return tuple(zip(kinds, shapes, strict=True))

    def read(self, instance: Instance) -> None:
        """Read the function until its results are known: a recursive call is of an unknown type at first."""
        instance.active = True
        function = instance.function
        for _ in range(ROUNDS):
            body, code = self.body(instance)
            results = _results(body, function)
            known = results is not None and results == instance.results
            instance.results = results
            if known or not body.unknown:
                break
        instance.active = False
        if instance.results is None:
            if not self.report.diagnostics:
                self.report.add(
                    Diagnostic("E734", f"it cannot be told what `{function.name}` returns", _title(function))
                )
            return
        arguments = tuple(
            ir.Ref(_argument(name), g)
            for name, g in zip((*function.arguments, *function.parameters), instance.given, strict=True)
            if isinstance(g, Type)
        )
        instance.procedure = Procedure(instance.name, arguments, code, instance.results, function.doc)

    def body(self, instance: Instance) -> tuple[_Body, Code]:
        function = instance.function
        body = _Body(self.functions, self.report, self.flat, procedures=self)
        for name, given in zip((*function.arguments, *function.parameters), instance.given, strict=True):
            body.names.known[_argument(name)] = given
            body.names.sure.add(_argument(name))
        code = body.code(function.body)
        if body.names.reached:
            help = "end it with `return` and its value"
            message = f"`{function.name}` does not return a value on every path"
            self.report.add(Diagnostic("E216", message, _title(function), help=help))
        return body, code

    @property
    def found(self) -> tuple[Procedure, ...]:
        """Every procedure, once, those that are called first of all last."""
        by_name = {i.name: i.procedure for i in reversed(self.instances.values()) if i.procedure is not None}
        return tuple(reversed(by_name.values()))


@dataclass
class _Body(Statements):
    """The body of a function or of a step."""

    procedures: Procedures = field(kw_only=True)

    def call_of(
        self, call: ast.Call, function: ast.Function, args: tuple[ir.Expr | None, ...]
    ) -> tuple[ir.Expr, ...] | None:
        given = tuple(a for a in args if a is not None)
        if len(given) < len(args):
            return None
        results = self.procedures.call(function, given, call.span)
        self.unknown |= results is None
        return results


def _argument(name: ast.Name) -> str:
    return identifier(name.symbol, name.time)


def _title(function: ast.Function) -> Span:
    return replace(function.span, end=function.span.start + len(function.span.text.split("\n")[0]))


def _results(body: _Body, function: ast.Function) -> tuple[Type, ...] | None:
    """The types of what ``body`` returns, by those of its returns that are known."""
    known = [tuple(v.type for v in values if v is not None) for values in body.returned if None not in values]
    if not known:
        return None
    first = known[0]
    for other in known[1:]:
        alike = len(first) == len(other) and all(
            a.dtype is b.dtype and a.is_tensor == b.is_tensor and a.shape == b.shape
            for a, b in zip(first, other, strict=True)
        )
        if not alike:
            help = "every `return` of a function gives values of the same kinds"
            body.error("E723", f"`{function.name}` returns now this, now that", _title(function), help)
            return None
        first = tuple(replace(a, rate=max(a.rate, b.rate)) for a, b in zip(first, other, strict=True))
    return tuple(map(variable, first))


# ------------------------------------------------------------------------------------------------- flat optimizers


@dataclass(frozen=True)
class FlatStep:
    """The step of an optimizer over flat θ, ready for lowering."""

    code: Code
    kept: tuple[Kept, ...]
    procedures: tuple[Procedure, ...]
    whole: frozenset[str]


def flat_step(subject: CheckedOptimizer, report: Report) -> FlatStep | None:
    """The step of ``subject``, an optimizer over flat θ; None where there is a mistake in it."""
    optimizer, table = subject.optimizer, subject.table
    procedures = Procedures(subject.functions, report, True)
    states = {b.identifier: _state(b, subject, report) for b in table.buffers.values()}
    types: dict[str, Known | None] = {key: known for key, (known, _) in states.items()}
    for _ in range(ROUNDS):
        body = _Body(subject.functions, report, True, table, procedures=procedures)
        sure = {b.identifier for b in table.buffers.values() if not b.optional}
        body.names = Names(dict(types), sure)
        code = body.code(optimizer.body)
        found: dict[str, Known | None] = {key: body.names.known.get(key) for key in types}
        if found == types:
            break
        types = found
    kept = []
    for buffer in table.buffers.values():
        known, (_, state) = types[buffer.identifier], states[buffer.identifier]
        entry = known.entry if isinstance(known, Sequence) else known
        if isinstance(entry, Type):
            kept.append(replace(state, type=entry))
        elif not report.diagnostics:
            name = buffer.declaration.name
            report.add(Diagnostic("E508", f"`{display(name.symbol)}` never gets a value", name.span))
    errors = any(d.severity is Severity.ERROR for d in report.diagnostics)
    whole = frozenset(
        body.whole
        | procedures.whole
        | {e.name for k in kept if k.size for e in ir.walk(k.size) if isinstance(e, ir.Hyper)}
    )
    return None if errors else FlatStep(code, tuple(kept), procedures.found, whole)


def _state(buffer: Buffer, subject: CheckedOptimizer, report: Report) -> tuple[Known | None, Kept]:
    """What the state is at first, and its declaration; the type there is a stand-in."""
    state, key = buffer.declaration, buffer.identifier
    symbol = display(state.name.symbol)
    unknown = ir.real(ir.Rate.STEP)
    values = Statements(subject.functions, report, True, subject.table)
    match state.value:
        case None:
            return None, Kept(key, symbol, "value", unknown)
        case ast.Call(function="history" | "table" as kind, arguments=(size,)):
            number = values.count(size)
            limit = ir.Const(0) if number is None else number
            history = kind == "history"
            return Sequence(key, None, history, limit if history else None), Kept(
                key, symbol, kind, unknown, None, limit
            )
        case value:
            initial = values.scalar(value)
            if initial is None:
                return None, Kept(key, symbol, "value", unknown)
            return variable(initial.type), Kept(key, symbol, "value", variable(initial.type), initial)


def check_flat(subject: CheckedOptimizer) -> Iterator[Diagnostic]:
    """E720-E734 and what else holds of the step of an optimizer over flat θ."""
    report = Report()
    optimizer = subject.optimizer
    yield from _sections(optimizer)
    flat_step(subject, report)
    yield from report.diagnostics


def _sections(optimizer: ast.Optimizer) -> Iterator[Diagnostic]:
    if optimizer.body and not optimizer.each_step:
        place = optimizer.name_span
        yield Diagnostic(
            "E731", "the step of an optimizer over flat θ counts no `t`", place, help="write `for each step do`"
        )
    for declaration in optimizer.inputs:
        if is_torch_flag(declaration):
            message = f"an optimizer over flat θ has no `{display(declaration.names[0].symbol)}`"
            yield Diagnostic("E732", message, declaration.span, help="leave the line out")
    for state in optimizer.states:
        if state.condition is not None or state.eager or state.shape is not None:
            message = "a state of an optimizer over flat θ has neither a condition nor a shape"
            yield Diagnostic("E732", message, state.span, help="it takes no memory until it is assigned")
    calls = [e for e in walk.expressions(optimizer.body) if isinstance(e, ast.Call)]
    if optimizer.body and not any(call.function == "evaluate" for call in calls):
        help = "a step begins with `f, g ← evaluate(θ)`"
        yield Diagnostic("E609", f"`{optimizer.name}` never evaluates the loss", optimizer.name_span, help=help)
    if optimizer.body and not any(t.symbol == PARAMETER for t, _ in walk.assignments(optimizer.body)):
        help = "a step assigns θ: `θ ← θ + α d`"
        yield Diagnostic("E608", f"`{optimizer.name}` never updates θ", optimizer.name_span, help=help)
