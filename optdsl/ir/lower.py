"""Lowering: from a checked optimizer to its IR program.

What is decided here, once for every target: names become SSA names; ``maximize`` negates the gradient first; a
condition that is known when the step is set up, or per step, becomes an ``If``, one per element a ``select``; ``t >
1`` around a state without initial value asks whether the state is there; ``∏`` and ``∑`` over the steps become
states; functions are inlined; fixed inputs are constants, and the branches that they decide are gone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import reduce

from optdsl.check import conditions, stored, walk
from optdsl.check.collect import declares_step, local_identifier, running_key
from optdsl.check.imperative import Procedures, flat_step
from optdsl.check.model import Buffer, CheckedOptimizer, Hyperparameter, Local, Parameter, Report
from optdsl.check.types import REDUCED_OVER
from optdsl.check.vocabulary import NORMS, REDUCTIONS, reduces
from optdsl.ir import nodes as ir
from optdsl.ir import signature
from optdsl.ir.fold import fold
from optdsl.ir.passes.rewrite import expanded
from optdsl.ir.procedures import FlatProgram
from optdsl.ir.solve import inverse
from optdsl.ir.vectors import refusing_vectors
from optdsl.source import Span
from optdsl.syntax import ast
from optdsl.syntax.names import display, python_name

BINARY = {"+": "add", "-": "sub", "*": "mul", "/": "div", "^": "pow", "@": "matmul", "and": "and", "or": "or"}
COMPARE = {"=": "eq", "≠": "ne", "<": "lt", "≤": "le", ">": "gt", "≥": "ge", "is": "eq", "is not": "ne"}
START = {"*": ir.Const(1), "+": ir.Const(0)}
"""What a running product or sum is before the first step."""


def lower(checked: CheckedOptimizer) -> ir.Program:
    """The program of ``checked``, as it is written: no pass has run on it."""
    optimizer = checked.optimizer
    if optimizer.flat:
        return _flat(checked)
    body = _Body(checked)
    arguments = signature.arguments(optimizer.inputs, checked.table, body.expr)
    checks = signature.checks(optimizer.inputs, checked.table, arguments, body.expr)
    states = tuple(s for b in checked.table.buffers.values() if (s := _state(b, body)) is not None)
    body.prologue()
    body.statements(optimizer.body)
    states += tuple(body.running_states.values())
    block = tuple(body.block)
    evaluation = body.evaluation(optimizer.returns)
    program = ir.Program(
        name=optimizer.name,
        doc=optimizer.doc,
        arguments=arguments,
        checks=checks,
        states=states,
        body=block,
        param=body.values["param"],
        new_states=tuple((s.key, body.values[s.key]) for s in states),
        stored_only=any(True for _ in stored.loops(optimizer)),
        needs_sparse=stored.needs_sparse(optimizer),
        param_checks=signature.param_checks(optimizer.inputs, optimizer.name, body.expr),
        counts_steps=_reads_time(block, evaluation) or any(declares_step(s) for s in optimizer.states),
        evaluation=evaluation,
        procedures=body.procedures.found,
        source=optimizer.span.source,
    )
    return refusing_vectors(program)


def _flat(checked: CheckedOptimizer) -> FlatProgram:
    """The program of an optimizer over flat θ: its step was read when it was checked."""
    optimizer, report = checked.optimizer, Report()
    body = _Body(checked)
    arguments = signature.arguments(optimizer.inputs, checked.table, body.expr)
    step = flat_step(checked, report)
    assert step is not None, f"checked programs have no mistakes: {report.diagnostics}"
    whole = set(step.whole)
    for scalar in (scalar for argument in arguments for scalar in argument.scalars if scalar.default is not None):
        read = {e.name for e in ir.walk(scalar.default or ir.Const(None)) if isinstance(e, ir.Hyper)}
        if read and read <= whole and isinstance(scalar.default, ir.Op) and scalar.default.op == "floor":
            whole.add(scalar.name)
    return FlatProgram(
        name=optimizer.name,
        doc=optimizer.doc,
        arguments=arguments,
        checks=signature.checks(optimizer.inputs, checked.table, arguments, body.expr),
        states=(),
        body=(),
        param=ir.Param(),
        new_states=(),
        procedures=step.procedures,
        source=optimizer.span.source,
        code=step.code,
        kept=step.kept,
        whole=frozenset(whole),
    )


def _state(buffer: Buffer, body: _Body) -> ir.State | None:
    """The state of ``buffer``; None where fixed inputs decide that it never exists."""
    declaration = buffer.declaration
    condition = None if declaration.condition is None else body.expr(declaration.condition)
    if isinstance(condition, ir.Const):
        if not condition.value:
            return None
        condition = None
    initial = None if declaration.value is None else body.closed(declaration.value)
    symbol = display(declaration.name.symbol)
    return ir.State(buffer.identifier, symbol, buffer.rate, initial, condition, declaration.eager, buffer.shape)


def _reads_time(block: ir.Block, evaluation: ir.Evaluation | None) -> bool:
    values = [s.value if isinstance(s, ir.Let) else s.condition for s in ir.statements(block)]
    values += [evaluation.value] if evaluation is not None else []
    return any(isinstance(e, ir.Time) for value in values for e in ir.walk(value))


def _is_atom(value: ir.Expr) -> bool:
    return not isinstance(value, ir.Op | ir.Call)


@dataclass(frozen=True)
class _Arm:
    """One side of a branch: its statements, what every name is after it, which names it assigned, and its value."""

    block: ir.Block
    values: dict[str, ir.Expr]
    assigned: dict[str, None]
    result: ir.Expr | None


class _Body:
    """Lowers statements one after another into ``block``; ``values`` says what every identifier currently is."""

    def __init__(self, checked: CheckedOptimizer):
        self.table = checked.table
        self.functions = checked.functions
        self.procedures = Procedures(checked.functions, Report(), flat=False)
        self.block: list[ir.Stmt] = []
        self.values = self.initial_values()
        self.state_keys = set(self.values)
        self.running_states: dict[str, ir.State] = {}
        self._running: dict[tuple[str, ir.Expr], str] = {}
        self._versions: Counter[str] = Counter()
        self._assigned: dict[str, None] = {}
        self._facts: frozenset[conditions.Fact] = frozenset()
        self._masked = False
        self._guarded: tuple[Buffer, ...] = ()
        self._function: ast.Function | None = None

    def initial_values(self) -> dict[str, ir.Expr]:
        """What every identifier is when a step begins."""
        states = {b.identifier: ir.StateValue(b.identifier, b.rate, b.shape) for b in self.table.buffers.values()}
        return {"param": ir.Param(), **states}

    # ----------------------------------------------------------------------------------------------- SSA names

    def fresh(self, identifier: str) -> str:
        self._versions[identifier] += 1
        return f"{identifier}.{self._versions[identifier]}"

    def let(self, identifier: str, value: ir.Expr, state: str | None = None, span: Span | None = None) -> ir.Ref:
        stmt = ir.Let(self.fresh(identifier), value, state, span)
        self.block.append(stmt)
        return stmt.ref

    def state_of(self, identifier: str) -> str | None:
        """The state that an assignment to ``identifier`` gives a new value here, if it is one.

        What is assigned under a condition per element becomes the state's value by the ``select`` that follows.
        """
        if self._masked or self._function is not None or identifier not in self.state_keys:
            return None
        return identifier

    def assign(self, identifier: str, value: ir.Expr, span: Span) -> None:
        """Makes ``value`` what ``identifier`` is from here on. A plain copy into a local needs no statement."""
        if value == self.values.get(identifier):
            return
        state = self.state_of(identifier)
        if state is not None or not _is_atom(value):
            value = self.let(identifier, value, state, span)
        self.set(identifier, value)

    def set(self, identifier: str, value: ir.Expr) -> None:
        self.values[identifier] = value
        self._assigned[identifier] = None

    # ---------------------------------------------------------------------------------------------- statements

    def prologue(self) -> None:
        """The gradient, negated under ``maximize``."""
        raw = ir.Let("grad.0", ir.Grad())
        negated = ir.Let("grad.1", ir.Op("neg", (raw.ref,)))
        merge = ir.Merge("grad.2", negated.ref, raw.ref)
        self.block += [raw, ir.If(ir.Hyper("maximize", ir.DType.BOOL), (negated,), (), (merge,))]
        self.gradient = merge.ref
        self._versions["grad"] = 2

    def statements(self, body: tuple[ast.Stmt, ...]) -> None:
        for stmt in body:
            self.statement(stmt)

    def statement(self, stmt: ast.Stmt) -> None:
        match stmt:
            case ast.Assign(targets=(target,), value=value, span=span):
                self._guarded = self.guarded(stmt)
                if isinstance(value, ast.Cases) and self.takes_branch(value):
                    self.branch(_as_if(stmt, value))
                else:
                    self.assign(self.identifier(target), self.assigned(value), span)
            case ast.If():
                self.branch(stmt)
            case ast.ForElements(body=body) | ast.ForSupport(body=body):
                self.statements(body)
            case _:
                raise AssertionError(f"checked programs have no {type(stmt).__name__} here")

    def assigned(self, value: ast.Expr) -> ir.Expr:
        """The value of an assignment, which is the statement that a call of a procedure needs."""
        function = self.functions.get(value.function) if isinstance(value, ast.Call) else None
        if function is not None and isinstance(value, ast.Call) and walk.is_procedure(function, self.functions):
            return self.procedure(function, value)
        return self.expr(value)

    def guarded(self, stmt: ast.Stmt) -> tuple[Buffer, ...]:
        return () if self._function else conditions.guarded(stmt, self.table, self._facts)

    def branch(self, stmt: ast.If) -> None:
        """``if`` and what follows it; each ``else if`` is an ``if`` in the ``else`` before it."""
        first, rest = stmt.branches[0], stmt.branches[1:]
        self._guarded = self.guarded(stmt)
        condition = self.expr(first.condition)

        def then() -> None:
            self.statements(first.body)

        def orelse() -> None:
            if rest:
                self.branch(replace(stmt, branches=rest))
            else:
                self.statements(stmt.orelse)

        if isinstance(condition, ir.Const):
            (then if condition.value else orelse)()
            return
        if condition.type.rate >= ir.Rate.TENSOR:
            self.masked(condition, then, orelse, stmt.span)
        else:
            self.conditional(condition, first.condition, then, orelse, stmt.span)

    def arm(self, facts: frozenset[conditions.Fact], emit: Callable[[], ir.Expr | None]) -> _Arm:
        """What ``emit`` lowers to, kept apart: nothing of it shows outside the returned arm but the versions used."""
        outer = self.block, self.values, self._assigned, self._facts, self._guarded
        self.block, self.values, self._assigned, self._facts = [], dict(self.values), {}, self._facts | facts
        result = emit()
        arm = _Arm(tuple(self.block), self.values, self._assigned, result)
        self.block, self.values, self._assigned, self._facts, self._guarded = outer
        return arm

    def conditional(
        self,
        condition: ir.Expr,
        written: ast.Expr,
        then: Callable[[], None],
        orelse: Callable[[], None],
        span: Span,
    ) -> None:
        """A structured branch, and a merge of every name that either side assigned and both leave defined."""
        arms = (
            self.arm(conditions.known(written), then),
            self.arm(conditions.known(written, False), orelse),
        )
        merges = []
        for identifier, a, b in self.differing(arms):
            merge = ir.Merge(self.fresh(identifier), a, b, self.state_of(identifier))
            merges.append(merge)
            self.set(identifier, _merged(merge, condition))
        if merges or arms[0].block or arms[1].block:
            self.block.append(ir.If(condition, arms[0].block, arms[1].block, tuple(merges), span))

    def masked(self, condition: ir.Expr, then: Callable[[], None], orelse: Callable[[], None], span: Span) -> None:
        """A branch decided by tensors: both sides are computed, and each element takes its own."""
        if not _is_atom(condition):
            condition = self.let("mask", condition, None, span)
        outer, self._masked = self._masked, True
        arms = self.arm(frozenset(), then), self.arm(frozenset(), orelse)
        self._masked = outer
        self.block += [*arms[0].block, *arms[1].block]
        for identifier, a, b in self.differing(arms):
            self.assign(identifier, fold("select", condition, a, b), span)

    def differing(self, arms: tuple[_Arm, _Arm]) -> Iterator[tuple[str, ir.Expr, ir.Expr]]:
        """Each name that the arms leave with two values, in order of assignment; takes over what they agree on."""
        for identifier in {**arms[0].assigned, **arms[1].assigned}:
            a, b = (arm.values.get(identifier) for arm in arms)
            if a is None or b is None:
                self.values.pop(identifier, None)
            elif a == b:
                self.set(identifier, a)
            else:
                yield identifier, a, b

    # ------------------------------------------------------------------------------------------------- names

    def identifier(self, name: ast.Name) -> str:
        """The identifier of what ``name`` stands for."""
        if self._function is not None:
            return local_identifier(name, self._function, self.table)
        entry = self.table.lookup(name)
        if entry is None:
            raise AssertionError(f"checked programs declare {name}")
        return entry.identifier

    def name(self, name: ast.Name) -> ir.Expr:
        if self._function is not None:
            return self.values[self.identifier(name)]
        match self.table.lookup(name):
            case Hyperparameter() as entry if entry.fixed and entry.default is not None:
                return self.expr(entry.default)
            case Hyperparameter(identifier=identifier, dtype=dtype):
                return ir.Hyper(identifier, dtype)
            case Parameter() if name.time in (ast.Time.PREVIOUS, ast.Time.INITIAL):
                return ir.Param()
            case Buffer(identifier=identifier, rate=rate, shape=shape) if name.time is ast.Time.PREVIOUS:
                return ir.StateValue(identifier, rate, shape)
            case Parameter(identifier=identifier) | Buffer(identifier=identifier) | Local(identifier=identifier):
                return self.values[identifier]
            case None:
                raise AssertionError(f"checked programs declare {name}")

    # ------------------------------------------------------------------------------------------- expressions

    def expr(self, expr: ast.Expr) -> ir.Expr:
        match expr:
            case ast.Number(value=value) | ast.Bool(value=value) | ast.String(value=value):
                return ir.Const(value)
            case ast.NoneLiteral():
                return ir.Const(None)
            case ast.StepTime():
                return ir.Time()
            case ast.Gradient():
                return self.gradient
            case ast.Name():
                return self.name(expr)
            case ast.Unary(op=op, operand=operand):
                return fold({"-": "neg"}.get(op, op), self.expr(operand))
            case ast.Binary() if (brace := self.fallback(expr)) is not None:
                return self.cases(brace.cases, brace.span)
            case ast.Binary(op="mod", left=left, right=right):
                dividend, divisor = self.expr(left), self.expr(right)
                return fold("sub", dividend, fold("mul", divisor, fold("floor", fold("div", dividend, divisor))))
            case ast.Binary(op=op, left=left, right=right):
                return fold(BINARY[op], self.expr(left), self.expr(right))
            case ast.Compare():
                return self.compare(expr)
            case ast.Call():
                return self.call(expr)
            case ast.Cases(cases=cases, span=span):
                return self.cases(cases, span)
            case ast.Running():
                return self.running(expr)
            case ast.Tuple():
                raise AssertionError("several values stand in procedures alone")

    def closed(self, expr: ast.Expr) -> ir.Expr:
        """``expr`` outside the step: one tree, without statements before it."""
        arm = self.arm(frozenset(), lambda: self.expr(expr))
        if arm.result is None:
            raise AssertionError("an expression has a value")
        return expanded(arm.block, arm.result)

    def evaluation(self, returned: ast.Expr | None) -> ir.Evaluation | None:
        """What the optimizer returns, after the step: θ and the states are what a step begins with."""
        final, self.values = self.values, self.initial_values()
        value = ir.Param() if returned is None else self.closed(returned)
        self.values = final
        return None if value == ir.Param() else ir.Evaluation(value, inverse(value))

    def compare(self, expr: ast.Compare) -> ir.Expr:
        step = conditions.step_test(expr)
        if step is not None and self._guarded:
            tests: list[ir.Expr] = [ir.Present(buffer.identifier) for buffer in self._guarded]
            present = reduce(lambda a, b: fold("and", a, b), tests)
            return present if step is conditions.Step.LATER else fold("not", present)
        operands = [self.expr(operand) for operand in expr.operands]
        pairs = [fold(COMPARE[op], *operands[i : i + 2]) for i, op in enumerate(expr.ops)]
        return reduce(lambda a, b: fold("and", a, b), pairs)

    def call(self, expr: ast.Call) -> ir.Expr:
        function = self.functions.get(expr.function)
        if function is not None and walk.is_procedure(function, self.functions):
            name = python_name(ast.Symbol(function.name.lower()))
            return self.let(name, self.procedure(function, expr), None, expr.span)
        if function is not None:
            return self.inline(function, expr)
        arguments = [self.expr(a) for a in expr.arguments]
        if reduces(expr):
            return self.reduction(f"{REDUCTIONS[expr.function]}_{REDUCED_OVER[expr.over]}", arguments[0], expr.span)
        if expr.function in NORMS:
            return ir.Op(NORMS[expr.function], (fold("abs", arguments[0]),))
        if expr.function in ir.PARAM_FACTS:
            return _fact(expr.function, arguments[0].type.shape)
        if expr.function == "identity":
            return ir.Op("identity", (_fact("rows", arguments[0].type.shape),))
        if expr.function == "clamp":
            value, low, high = arguments
            return fold("min", fold("max", value, low), high)
        if len(arguments) == 1:
            return fold(expr.function, arguments[0])
        return reduce(lambda a, b: fold(expr.function, a, b), arguments)

    def reduction(self, op: str, operand: ir.Expr, span: Span) -> ir.Expr:
        """A reduction; one over all parameters has a statement of its own, at which all of them meet."""
        value = ir.Op(op, (operand,))
        return self.let("total", value, None, span) if ir.REDUCTIONS[op].over == "parameters" else value

    def fallback(self, expr: ast.Binary) -> ast.Cases | None:
        return conditions.fallback(expr, None if self._function is not None else self.table)

    def procedure(self, function: ast.Function, call: ast.Call) -> ir.Expr:
        """A call of a function that is not inlined, of atoms; it gets a statement of its own."""
        names = (*function.arguments, *function.parameters)
        given: list[ir.Expr] = []
        for name, argument in zip(names, (*call.arguments, *call.parameters), strict=True):
            value = self.expr(argument)
            given.append(value if _is_atom(value) else self.let(python_name(name.symbol), value, None, call.span))
        results = self.procedures.call(function, tuple(given), call.span)
        assert results is not None, f"checked programs call {function.name} as it is"
        return results[0]

    def inline(self, function: ast.Function, call: ast.Call) -> ir.Expr:
        """The value of a call: the function's statements on the arguments, in names of its own."""
        given = [self.expr(a) for a in (*call.arguments, *call.parameters)]
        outer = self.values, self._assigned, self._function, self._guarded
        self.values, self._assigned, self._function, self._guarded = {}, {}, function, ()
        for name, value in zip((*function.arguments, *function.parameters), given, strict=True):
            self.assign(self.identifier(name), value, call.span)
        *body, last = function.body
        self.statements(tuple(body))
        if not isinstance(last, ast.Return):
            raise AssertionError("checked functions end in a return")
        result = self.expr(last.value)
        self.values, self._assigned, self._function, self._guarded = outer
        return result

    def takes_branch(self, expr: ast.Cases) -> bool:
        """True if the value of ``expr`` comes out of an ``If``: tensors that are chosen per group or step."""
        versions = self._versions.copy()
        trial = self.arm(frozenset(), lambda: self.expr(expr))
        self._versions = versions
        last = trial.block[-1] if trial.block else None
        return isinstance(last, ir.If) and any(trial.result == _merged(m, last.condition) for m in last.merges)

    def cases(self, cases: tuple[ast.Case, ...], span: Span) -> ir.Expr:
        """The value of a brace: of scalars, or chosen per element, a ``select``; else what an ``If`` merges."""
        first, rest = cases[0], cases[1:]
        if first.condition is None:
            return self.expr(first.value)
        condition = self.expr(first.condition)
        if isinstance(condition, ir.Const):
            return self.expr(first.value) if condition.value else self.cases(rest, span)
        then = self.arm(conditions.known(first.condition), lambda: self.expr(first.value))
        orelse = self.arm(conditions.known(first.condition, False), lambda: self.cases(rest, span))
        if then.result is None or orelse.result is None:
            raise AssertionError("both arms have a value")
        asks_presence = any(isinstance(e, ir.Present) for e in ir.walk(condition))
        scalar = not (then.result.type.is_tensor or orelse.result.type.is_tensor or asks_presence)
        if scalar or condition.type.rate >= ir.Rate.TENSOR:
            self.block += [*then.block, *orelse.block]
            return fold("select", condition, then.result, orelse.result)
        blocks, values = [], []
        for block, value in ((then.block, then.result), (orelse.block, orelse.result)):
            self.block, outer = list(block), self.block
            values.append(value if _is_atom(value) else self.let("term", value, None, span))
            blocks.append(tuple(self.block))
            self.block = outer
        merge = ir.Merge(self.fresh("term"), values[0], values[1])
        self.block.append(ir.If(condition, blocks[0], blocks[1], (merge,), span))
        return _merged(merge, condition)

    def running(self, expr: ast.Running) -> ir.Expr:
        """``∏ x_i`` or ``∑ x_i`` up to this step: the state that holds it, brought up to date where it first stands."""
        summand = self.expr(expr.body)
        written = (expr.op, summand)
        if written not in self._running:
            key = running_key(expr)
            number = sum(k == key or k.startswith(f"{key}_") for k in self.running_states)
            key = f"{key}_{number + 1}" if number else key
            rate, shape = max(summand.type.rate, ir.Rate.STEP), summand.type.shape
            self.running_states[key] = ir.State(key, expr.span.text, rate, START[expr.op], shape=shape)
            self._running[written] = key
            self.state_keys.add(key)
            self.assign(key, fold(BINARY[expr.op], ir.StateValue(key, rate, shape), summand), expr.span)
        return self.values[self._running[written]]


def _as_if(stmt: ast.Assign, value: ast.Cases) -> ast.If:
    """``x ← { a if c …`` as the ``if`` that assigns ``x`` on every side."""
    assigns = [(case.condition, replace(stmt, value=case.value)) for case in value.cases]
    branches = tuple(ast.Branch(c, (assign,), assign.span) for c, assign in assigns if c is not None)
    return ast.If(branches, tuple(assign for c, assign in assigns if c is None), stmt.span)


def _merged(merge: ir.Merge, condition: ir.Expr) -> ir.Ref:
    """The merged value; what a condition per step chooses is itself a value per step."""
    type = merge.ref.type
    return ir.Ref(merge.name, replace(type, rate=max(type.rate, condition.type.rate)))


def _fact(name: str, shape: ir.Shape) -> ir.Expr:
    """What ``name`` says of a tensor of ``shape``, in terms of θ."""
    if name not in ("rows", "cols"):
        return ir.ParamFact(name)
    extent = shape.rows if name == "rows" else shape.cols
    return ir.Const(1) if extent is ir.Extent.ONE else ir.ParamFact(extent.value)
