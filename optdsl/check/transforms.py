"""E630, E631, E633-E635: transforms, and those that an optimizer applies.

A transform sees its parameters, which stand for what its application gives, and the names that it declares or assigns
itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from optdsl.check import walk
from optdsl.check.model import PARAMETER, Report
from optdsl.check.suggest import did_you_mean
from optdsl.source import Diagnostic, Label
from optdsl.syntax import ast
from optdsl.syntax.names import display

Functions = Mapping[str, ast.Function]


@dataclass(frozen=True)
class Known:
    """A transform and the functions that it can call."""

    transform: ast.Transform
    functions: Functions


@dataclass(frozen=True)
class Applied:
    """A transform where an optimizer applies it."""

    application: ast.Application
    known: Known

    @property
    def transform(self) -> ast.Transform:
        return self.known.transform


# ------------------------------------------------------------------------------------------------- the definition


def check(transform: ast.Transform) -> Iterator[Diagnostic]:
    """What is wrong with ``transform``, wherever it is applied."""
    if not transform.edits:
        yield Diagnostic(
            "E633",
            f"`{transform.name}` changes nothing",
            transform.name_span,
            help="say what becomes of the update under `update u_t:`, or of the gradient under `gradient g_t:`",
        )
    parameters = {name.symbol: name for name in transform.arguments}
    for name in own_names(transform):
        if name.symbol in parameters:
            label = Label(parameters[name.symbol].span, "the parameter")
            message = f"`{display(name.symbol)}` is a parameter of `{transform.name}` and is only read"
            yield Diagnostic("E635", message, name.span, help="take another name", labels=(label,))
        elif name.symbol == PARAMETER:
            updated = next((e.name for e in transform.edits if e.place == "update"), None)
            shown = "u_t" if updated is None else display(updated.symbol, updated.time)
            message = "a transform does not assign θ"
            yield Diagnostic("E635", message, name.span, help=f"change `{shown}`, which is subtracted from θ")
    seen = {name.symbol for name in own_names(transform)} | {PARAMETER}
    for expr in _expressions(transform):
        if not isinstance(expr, ast.Name) or expr.symbol in seen:
            continue
        parameter, shown = parameters.get(expr.symbol), display(expr.symbol, expr.time)
        if parameter is None:
            names = [display(symbol) for symbol in (*parameters, *seen)]
            yield Diagnostic(
                "E634",
                f"`{shown}` is neither a parameter of `{transform.name}` nor declared or assigned in it",
                expr.span,
                help=did_you_mean(display(expr.symbol), names) or "a transform sees its own names alone; pass it in",
            )
        elif parameter.time is not expr.time:
            written = display(parameter.symbol, parameter.time)
            label = Label(parameter.span, "the parameter")
            message = f"`{shown}` is not the parameter `{written}`"
            yield Diagnostic("E634", message, expr.span, help="a parameter has one time", labels=(label,))


def own_names(transform: ast.Transform) -> Iterator[ast.Name]:
    """Every name that ``transform`` declares or assigns."""
    yield from (name for declaration in transform.inputs for name in declaration.names)
    yield from (state.name for state in transform.states)
    for edit in transform.edits:
        yield edit.name
        yield from (target for target, _ in walk.assignments(edit.body))


def _expressions(transform: ast.Transform) -> Iterator[ast.Expr]:
    """Every expression of ``transform``, defaults left out."""
    for constraint in (c for declaration in transform.inputs for c in declaration.constraints):
        yield from walk.walk(constraint.condition)
    for expr in (e for state in transform.states for e in (state.value, state.condition) if e is not None):
        yield from walk.walk(expr)
    for edit in transform.edits:
        yield from walk.expressions(edit.body)


# ------------------------------------------------------------------------------------------------ the application


def resolve(
    optimizer: ast.Optimizer, known: Mapping[str, Known], others: Iterable[str], missing: set[str], report: Report
) -> list[Applied] | None:
    """The transforms that ``optimizer`` applies; None where one is not there, or not of that many arguments.

    ``others`` are the optimizers and functions that could be meant by mistake, ``missing`` failed imports.
    """
    found: list[Applied] = []
    for application in optimizer.applies:
        name = application.transform
        if name in known:
            transform = known[name].transform
            if len(application.arguments) == len(transform.arguments):
                found.append(Applied(application, known[name]))
            else:
                report.add(_arguments(application, transform))
        elif name not in missing:
            report.add(_unknown(application, known, name in others))
    return found if len(found) == len(optimizer.applies) else None


def _unknown(application: ast.Application, known: Iterable[str], is_other: bool) -> Diagnostic:
    name = application.transform
    if is_other:
        message, mend = f"`{name}` is not a transform", "an optimizer is extended, a function is called"
    else:
        message = f"there is no transform `{name}`"
        mend = did_you_mean(name, known) or f"define it, or import it: `import {name} from transforms`"
    return Diagnostic("E630", message, application.name_span, help=mend)


def _arguments(application: ast.Application, transform: ast.Transform) -> Diagnostic:
    names = ", ".join(display(n.symbol, n.time) for n in transform.arguments)
    call = f"{transform.name}({names})" if names else transform.name
    return Diagnostic(
        "E631",
        f"these are not the arguments of `{transform.name}`",
        application.span,
        help=f"apply it as `{call}`",
        labels=(Label(transform.name_span, "defined here"),),
    )
