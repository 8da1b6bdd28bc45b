"""E632, E636, E637: what becomes of an optimizer that applies transforms, or changes the update that it inherits.

Names of a transform that mean something else in the optimizer are renamed, so that a transform fits every optimizer.
The statement that updates θ is split: what it subtracts gets a name, and the statements of all transforms, one behind
the other, may change it before it is subtracted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import count

from optdsl.check import rewrite, walk
from optdsl.check.collect import argument_name, collect, declares_step, state_key
from optdsl.check.edits import Body, NoUpdate, header, updates
from optdsl.check.model import STEP_COUNT, Buffer, Hyperparameter, Local, Report
from optdsl.check.transforms import Applied, Functions, check, own_names
from optdsl.source import Diagnostic, Label, Span
from optdsl.syntax import ast
from optdsl.syntax.ast import Symbol, Time
from optdsl.syntax.names import python_name


def change(
    whole: ast.Optimizer, optimizer: ast.Optimizer, applied: list[Applied], functions: Functions, report: Report
) -> tuple[ast.Optimizer, Functions] | None:
    """``whole`` with its update changed as ``optimizer`` says, by an edit of its own or by transforms; and the
    functions that it can call then. None where there is a mistake, which is reported.

    ``whole`` is ``optimizer`` with what it inherits; where it extends another, its inputs are the inherited ones alone.
    """
    given_again = optimizer.inputs if optimizer.base is not None else ()
    applying = _Applying(whole, given_again, _Namespace.of(whole, optimizer), dict(functions), report)
    asked = [(edit, header(edit)) for edit in optimizer.edits if edit.place == "update"]
    for edit, _ in asked:
        applying.update, applying.update_body = edit.name, edit.body
    for one in applied:
        applying.apply(one)
        asked += [(edit, one.application.span) for edit in one.transform.edits if edit.place == "update"]
    if applying.sound:
        applying.rewrite(asked[0][1] if asked else optimizer.span)
    return (applying.optimizer, applying.functions) if applying.sound else None


@dataclass
class _Namespace:
    """The symbols and Python names that mean something already."""

    symbols: set[Symbol]
    identifiers: set[str]

    @classmethod
    def of(cls, whole: ast.Optimizer, optimizer: ast.Optimizer) -> _Namespace:
        """What means something in ``optimizer``, which with all that it inherits is ``whole``."""
        updates = [edit for edit in optimizer.edits if edit.place == "update"]
        body = (*whole.body, *(stmt for edit in updates for stmt in edit.body))
        table = collect(replace(whole, inputs=(*whole.inputs, *optimizer.inputs), body=body))
        entries: tuple[Hyperparameter | Buffer | Local, ...] = (
            *table.hyperparameters.values(),
            *table.buffers.values(),
            *table.locals.values(),
        )
        arguments = {argument_name(declaration) for declaration in (*whole.inputs, *optimizer.inputs)}
        given = (n.symbol for a in optimizer.applies for e in a.arguments for n in walk.names(e))
        symbols = {STEP_COUNT, *table.symbols, *given, *(edit.name.symbol for edit in updates)}
        return cls(symbols, {"param", "grad", *arguments, *(entry.identifier for entry in entries)})

    def free(self, symbol: Symbol) -> Symbol:
        """``symbol``, or one like it, that means nothing yet; from now on it does."""
        candidates = (symbol if n == 1 else _numbered(symbol, n) for n in count(1))
        chosen = next(c for c in candidates if c not in self.symbols and python_name(c) not in self.identifiers)
        self.symbols.add(chosen)
        self.identifiers.add(python_name(chosen))
        return chosen


def _numbered(symbol: Symbol, n: int) -> Symbol:
    """``u₂`` for ``u``, ``β₃`` for ``β₂``, ``x_min2`` for ``x_min``, ``mask2`` for ``mask``."""
    if len(symbol.base) > 1:
        return replace(symbol, base=f"{symbol.base}{n}")
    if symbol.subscript.isdigit():
        return replace(symbol, subscript=str(int(symbol.subscript) + n - 1))
    word = symbol.subscript.isascii() and symbol.subscript.isalpha()
    return replace(symbol, subscript=f"{symbol.subscript if word else ''}{n}")


@dataclass
class _Applying:
    """An optimizer while transforms are applied to it: what they bring, and what becomes of its step."""

    optimizer: ast.Optimizer
    given_again: tuple[ast.Input, ...]
    """The inputs of the extending optimizer itself, which may be meant for what a transform brings."""

    namespace: _Namespace
    functions: dict[str, ast.Function]
    report: Report
    update: ast.Name | None = None
    """The name of the update; all transforms share it."""

    update_body: Body = ()
    gradient: ast.Name | None = None
    """The name of the gradient, where some transform changes it."""

    gradient_body: Body = ()
    sound: bool = True

    def apply(self, applied: Applied) -> None:
        """Add what ``applied`` brings; its statements wait in :attr:`gradient_body` and :attr:`update_body`."""
        transform = applied.transform
        problems = list(check(transform))
        for diagnostic in problems:
            self._report(diagnostic)
        if problems or not self._owns_its_names(applied):
            return
        self._add_functions(applied)
        renaming = _Renaming(applied, self)
        inputs = tuple(renaming.input(d) for d in transform.inputs)
        states = tuple(renaming.state(s) for s in transform.states)
        self.optimizer = replace(
            self.optimizer, inputs=(*self.optimizer.inputs, *inputs), states=(*self.optimizer.states, *states)
        )
        for edit in transform.edits:
            name_of = self.update_name if edit.place == "update" else self.gradient_name
            renaming.exchange(edit.name, name_of(edit.name))
        for edit in transform.edits:
            if edit.place == "update":
                self.update_body += renaming.body(edit.body)
            else:
                self.gradient_body += renaming.body(edit.body)

    def update_name(self, wanted: ast.Name) -> ast.Name:
        """The name of the update; the first that is asked for gives it one like ``wanted``."""
        if self.update is None:
            self.update = replace(wanted, symbol=self.namespace.free(wanted.symbol))
        return self.update

    def _report(self, diagnostic: Diagnostic) -> None:
        self.sound = False
        self.report.add(diagnostic)

    def _owns_its_names(self, applied: Applied) -> bool:
        """Whether the argument names and state keys that a transform brings are not there already."""
        sound = True
        transform, own = applied.transform, self.optimizer
        arguments = [(argument_name(d), d.python_name_span or d.names[0].span) for d in transform.inputs]
        keys = [(state_key(s), s.key_span or s.name.span) for s in transform.states if not declares_step(s)]
        known_arguments = {argument_name(d): d.python_name_span or d.names[0].span for d in own.inputs}
        known_keys = {state_key(s): s.key_span or s.name.span for s in own.states}
        clashes = [("input", name, span, known_arguments[name]) for name, span in arguments if name in known_arguments]
        clashes += [("state", key, span, known_keys[key]) for key, span in keys if key in known_keys]
        for kind, name, span, other in clashes:
            sound = False
            mend = (
                f"give one of the inputs another Python name, or make it a parameter of `{transform.name}` and pass it"
                if kind == "input"
                else "give one of the states another key"
            )
            self._report(
                Diagnostic(
                    "E632",
                    f"`{transform.name}` brings the {kind} `{name}`, which is there already",
                    applied.application.span,
                    help=mend,
                    labels=(Label(span, "what it brings"), Label(other, "what is there")),
                )
            )
        return sound

    def _add_functions(self, applied: Applied) -> None:
        """The functions that a transform calls; one that means something else in the optimizer cannot be added."""
        for edit in applied.transform.edits:
            for function in walk.called(edit.body, applied.known.functions):
                other = self.functions.setdefault(function.name, function)
                if other != function:
                    self._report(
                        Diagnostic(
                            "E637",
                            f"`{applied.transform.name}` calls another function `{function.name}` "
                            f"than `{self.optimizer.name}`",
                            applied.application.span,
                            help="rename one of them",
                            labels=(
                                Label(function.span, f"`{applied.transform.name}` calls this one"),
                                Label(other.span, f"`{self.optimizer.name}` calls this one"),
                            ),
                        )
                    )

    def gradient_name(self, wanted: ast.Name) -> ast.Name:
        """The name of the gradient: the one that the step gives it, else one like ``wanted``."""
        if self.gradient is None:
            named = _naming_gradient(self.optimizer.body)
            self.gradient = named.targets[0] if named else replace(wanted, symbol=self.namespace.free(wanted.symbol))
        return self.gradient

    def rewrite(self, place: Span) -> None:
        """Put what waits where it belongs: behind the gradient, and into the update. ``place`` asks for the latter."""
        body = self.optimizer.body
        if self.gradient is not None:
            body = _with_gradient(body, self.gradient, self.gradient_body)
        if self.update is not None:
            try:
                new = {id(update.stmt): update.by_way_of(self.update, self.update_body) for update in updates(body)}
            except NoUpdate as problem:
                message = "a step may update θ once, or go on to update it again"
                mend = "give what is subtracted a name in each branch, and subtract it in one statement"
                self._report(Diagnostic("E636", message, place, help=mend, labels=problem.places))
                return
            body = rewrite.exchange(body, new)
        self.optimizer = replace(self.optimizer, body=body)


def _mentions_gradient(body: Body) -> bool:
    return any(isinstance(expr, ast.Gradient) for expr in walk.expressions(body))


def _naming_gradient(body: Body) -> ast.Assign | None:
    """The statement ``g_t ← ∇f_t(θ_{t-1})``, where that is the only one that speaks of the gradient."""
    match [stmt for stmt in body if _mentions_gradient((stmt,))]:
        case [ast.Assign(targets=(_,), value=ast.Gradient()) as stmt]:
            return stmt
        case _:
            return None


def _with_gradient(body: Body, name: ast.Name, change: Body) -> Body:
    """``body`` with the gradient called ``name`` and changed, before anything reads it."""
    named = _naming_gradient(body)
    if named is not None:
        return rewrite.exchange(body, {id(named): (named, *change)})
    first = next((i for i, stmt in enumerate(body) if _mentions_gradient((stmt,))), len(body))
    start = ast.Assign((name,), ast.Gradient(name.span), None, name.span)

    def read(leaf: ast.Name | ast.Gradient) -> ast.Expr:
        return name if isinstance(leaf, ast.Gradient) else leaf

    return *body[:first], start, *change, *rewrite.names(body[first:], read, rewrite.same)


class _Renaming:
    """What the names of a transform are in the optimizer that it is applied to."""

    def __init__(self, applied: Applied, target: _Applying):
        transform = applied.transform
        self.given = dict(zip((n.symbol for n in transform.arguments), applied.application.arguments, strict=True))
        self.symbols: dict[Symbol, Symbol] = {}
        self.named: dict[Symbol, ast.Name] = {}
        again = {argument_name(d): d.names for d in target.given_again}
        inherited = {name.symbol for declaration in target.optimizer.inputs for name in declaration.names}
        for declaration in transform.inputs:
            others = again.get(argument_name(declaration), ())
            if len(others) != len(declaration.names) or any(other.symbol in inherited for other in others):
                self.symbols |= {n.symbol: target.namespace.free(n.symbol) for n in declaration.names}
            else:
                self.symbols |= {n.symbol: o.symbol for n, o in zip(declaration.names, others, strict=True)}
        named = {edit.name.symbol for edit in transform.edits}
        for name in own_names(transform):
            if name.symbol not in self.symbols and name.symbol not in named | {STEP_COUNT}:
                self.symbols[name.symbol] = target.namespace.free(name.symbol)

    def exchange(self, name: ast.Name, other: ast.Name) -> None:
        """Let ``name``, of the transform, be ``other`` of the optimizer."""
        self.named[name.symbol] = other

    def write(self, name: ast.Name) -> ast.Name:
        if name.symbol in self.named:
            other = self.named[name.symbol]
            same_time = name.time in (Time.NONE, Time.NOW)
            return replace(name, symbol=other.symbol, time=other.time if same_time else name.time)
        return replace(name, symbol=self.symbols.get(name.symbol, name.symbol))

    def read(self, leaf: ast.Name | ast.Gradient) -> ast.Expr:
        if isinstance(leaf, ast.Gradient):
            return leaf
        return self.given[leaf.symbol] if leaf.symbol in self.given else self.write(leaf)

    def body(self, body: Body) -> Body:
        return rewrite.names(body, self.read, self.write)

    def input(self, declaration: ast.Input) -> ast.Input:
        """``declaration`` in the optimizer: its symbols may be other ones, its Python name is not."""
        names = tuple(map(self.write, declaration.names))
        renamed = names != declaration.names
        return replace(
            declaration,
            names=names,
            python_name=argument_name(declaration) if renamed else declaration.python_name,
            constraints=tuple(map(self._constraint, declaration.constraints)),
        )

    def _constraint(self, constraint: ast.Constraint) -> ast.Constraint:
        return replace(constraint, condition=rewrite.expression(constraint.condition, self.read))

    def state(self, state: ast.State) -> ast.State:
        """``state`` in the optimizer: its symbol may be another one, its key is not."""
        name = self.write(state.name)
        return replace(
            state,
            name=name,
            key=state.key if name == state.name else state_key(state),
            value=rewrite.optional(state.value, self.read),
            condition=rewrite.optional(state.condition, self.read),
            shape=rewrite.optional(state.shape, self.read),
        )
