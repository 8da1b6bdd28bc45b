"""E501-E510, W501: the lines of ``initialize:``."""

from __future__ import annotations

from collections.abc import Iterator

from optdsl.check import walk
from optdsl.check.collect import declares_step, running_key, state_key
from optdsl.check.evaluate import evaluate
from optdsl.check.model import PARAMETER, Buffer, CheckedOptimizer, Local, Parameter
from optdsl.ir.nodes import PARAM_FACTS, Rate
from optdsl.source import Diagnostic, Fix, Label, Severity
from optdsl.syntax import ast
from optdsl.syntax.names import display

_STARTS = (ast.Time.INITIAL, ast.Time.NONE)


def check(subject: CheckedOptimizer) -> Iterator[Diagnostic]:
    optimizer = subject.optimizer
    yield from _duplicates(optimizer)
    for state in optimizer.states:
        if declares_step(state):
            yield from _step_count(state)
        else:
            yield from _declaration(state, subject)
            yield from _number(state, subject)
            if not optimizer.flat and not _is_off(state, optimizer):
                yield from _use(state, subject)


def _duplicates(optimizer: ast.Optimizer) -> Iterator[Diagnostic]:
    inputs = {name.symbol: name for declaration in optimizer.inputs for name in declaration.names}
    symbols: dict[ast.Symbol, ast.Name] = {}
    keys: dict[str, ast.State] = {}
    for state in optimizer.states:
        name, shown = state.name, display(state.name.symbol)
        if declares_step(state):
            continue
        other = symbols.setdefault(name.symbol, name)
        if other is not name:
            yield Diagnostic(
                "E501", f"the state `{shown}` is declared twice", name.span, labels=(Label(other.span, "first here"),)
            )
            continue
        if name.symbol in inputs:
            label = Label(inputs[name.symbol].span, "the input")
            message = f"`{shown}` is an input and cannot be a state too"
            help_ = "rename one of them"
            if (written := inputs[name.symbol]).time is ast.Time.INITIAL:
                help_ = f"`{written.span.text}` is `{shown}` at time 0; give the input another letter"
            yield Diagnostic("E505", message, name.span, help=help_, labels=(label,))
        first = keys.setdefault(state_key(state), state)
        if first is not state:
            yield Diagnostic(
                "E502",
                f"two states have the key `{state_key(state)}`",
                state.key_span or name.span,
                help="every state has a key of its own in `state_dict`",
                labels=(Label(first.key_span or first.name.span, "the first one"),),
            )
    for expr in walk.expressions(optimizer.body):
        if isinstance(expr, ast.Running) and running_key(expr) in keys:
            key = running_key(expr)
            yield Diagnostic(
                "E502",
                f"two states have the key `{key}`",
                expr.span,
                note=f"a running product or sum is kept in a state; this one's key is `{key}`",
                help="leave out the declared state, or give it another key",
                labels=(Label(keys[key].key_span or keys[key].name.span, "the first one"),),
            )


def _step_count(state: ast.State) -> Iterator[Diagnostic]:
    if state.key not in (None, "step"):
        place = state.key_span or state.span
        fix = Fix(state.key_span, "step") if state.key_span else None
        yield Diagnostic("E509", "the key of the step count is `step`", place, help="write `t ← 0 (step)`", fix=fix)
    if not isinstance(state.value, ast.Number) or state.value.value != 0 or state.condition is not None:
        yield Diagnostic("E509", "the step count starts at 0", state.span, help="write `t ← 0 (step)`")


def _declaration(state: ast.State, subject: CheckedOptimizer) -> Iterator[Diagnostic]:
    shown = display(state.name.symbol)
    if state.name.symbol == PARAMETER:
        yield Diagnostic("E506", "θ is given to the optimizer and needs no `initialize:`", state.name.span)
        return
    if state.name.time not in _STARTS:
        first = display(state.name.symbol, ast.Time.INITIAL)
        yield Diagnostic(
            "E506",
            f"a state is initialized at time 0, not as `{state.name.span.text}`",
            state.name.span,
            help=f"write `{first}`",
            fix=Fix(state.name.span, first),
        )
    for expr in (state.value, state.condition):
        if expr is not None:
            yield from _known_at_start(expr, state, subject, expr is state.value)
    if state.condition is None and state.value is None and state.eager:
        yield Diagnostic(
            "E506",
            f"`{shown}` has no initial value to set `at construction`",
            state.span,
            help=f"write `{shown}_0 ← 0`",
        )


def _number(state: ast.State, subject: CheckedOptimizer) -> Iterator[Diagnostic]:
    """What is one number has a first value: only tensors can be absent."""
    symbol = state.name.symbol
    buffer = subject.table.buffers.get(symbol)
    targets = [target for target, _ in walk.assignments(subject.optimizer.body) if target.symbol == symbol]
    if buffer is not None and targets and state.value is None and buffer.rate is not Rate.ELEMENT:
        shown, first = display(symbol), display(symbol, ast.Time.INITIAL)
        yield Diagnostic(
            "E510",
            f"`{shown}` is a number, and has no first value",
            state.name.span,
            help=f"write `{first} ← 0`; where that value must not count, ask for the first step by `if t = 1`",
            labels=(Label(targets[0].span, "a number is assigned"),),
        )


def _is_initial_parameter(expr: ast.Expr) -> bool:
    return isinstance(expr, ast.Name) and expr.symbol == PARAMETER and expr.time is ast.Time.INITIAL


def _known_at_start(
    expr: ast.Expr, state: ast.State, subject: CheckedOptimizer, in_value: bool
) -> Iterator[Diagnostic]:
    """Conditions are made from inputs and what is known of θ without looking at it, initial values from θ_0 too."""
    fix = None
    match expr:
        case ast.Call(function=function) if function in PARAM_FACTS:
            return
        case ast.Name() if _is_initial_parameter(expr) and in_value:
            return
        case ast.Name(symbol=symbol, time=time) if symbol == PARAMETER and time is not ast.Time.INITIAL:
            message = f"`{expr.span.text}` is not known when `{display(state.name.symbol)}` is set up"
            fix = Fix(expr.span, display(PARAMETER, ast.Time.INITIAL))
        case ast.Name() if isinstance(subject.table.lookup(expr), Buffer | Local | Parameter):
            message = f"`{expr.span.text}` is not known when `{display(state.name.symbol)}` is set up"
        case ast.StepTime() | ast.Gradient():
            message = f"`{expr.span.text}` is not known when `{display(state.name.symbol)}` is set up"
        case _:
            for inner in walk.children(expr):
                yield from _known_at_start(inner, state, subject, in_value)
            return
    help = "initial values are made from inputs and `θ_0`, conditions from inputs alone"
    yield Diagnostic("E507", message, expr.span, help=help, fix=fix)


def _is_off(state: ast.State, optimizer: ast.Optimizer) -> bool:
    """Whether fixed inputs decide that the state never exists."""
    fixed = {
        name: evaluate(default, {})
        for declaration in optimizer.inputs
        if declaration.fixed and declaration.defaults is not None
        for name, default in zip(declaration.names, declaration.defaults, strict=False)
    }
    return state.condition is not None and evaluate(state.condition, fixed) is False


def _use(state: ast.State, subject: CheckedOptimizer) -> Iterator[Diagnostic]:
    """A state is assigned in the step, unless it holds where θ began, and read in it."""
    optimizer, symbol, shown = subject.optimizer, state.name.symbol, display(state.name.symbol)
    if not optimizer.body or symbol == PARAMETER:
        return
    is_anchor = symbol in subject.table.buffers and subject.table.buffers[symbol].is_anchor
    if not is_anchor and not any(target.symbol == symbol for target, _ in walk.assignments(optimizer.body)):
        yield Diagnostic(
            "E508",
            f"the state `{shown}` is never assigned in the step",
            state.name.span,
            help=f"assign `{display(symbol, ast.Time.NOW)}` in the step, or make `{shown}` an input",
        )
    elif not any(isinstance(e, ast.Name) and e.symbol == symbol for e in walk.expressions(walk.whole(optimizer))):
        yield Diagnostic(
            "W501",
            f"the state `{shown}` is assigned and never read",
            state.name.span,
            help=f"leave `{shown}` out, or use it in the update",
            severity=Severity.WARNING,
        )
