"""Imports and ``extends``: from a module to optimizers that stand alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from optdsl.check.collect import argument_name
from optdsl.check.model import Report
from optdsl.check.suggest import did_you_mean
from optdsl.source import Diagnostic, Label
from optdsl.syntax import ast
from optdsl.syntax.names import display

Load = Callable[[ast.Import], ast.Module | Diagnostic]
Functions = Mapping[str, ast.Function]


@dataclass(frozen=True)
class Flat:
    """An optimizer with all that it inherits, and the functions that it can call."""

    optimizer: ast.Optimizer
    functions: Functions


@dataclass
class Scope:
    """The optimizers and functions that a module defines or imports."""

    module: ast.Module
    optimizers: dict[str, tuple[ast.Optimizer, Scope]] = field(default_factory=dict)
    functions: dict[str, ast.Function] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)
    """Names whose import failed, which is reported already."""


def open_scope(module: ast.Module, load: Load, report: Report, importing: tuple[str, ...] = ()) -> Scope:
    """What ``module`` defines and imports; ``importing`` are the files whose imports led here."""
    scope = Scope(module)
    importing = (*importing, module.span.source.name)
    for statement in module.imports:
        _import(statement, scope, load, report, importing)
    for function in module.functions:
        earlier = scope.functions.get(function.name)
        if earlier is not None:
            _defined_twice("function", function, earlier, report)
        scope.functions.setdefault(function.name, function)
    for optimizer in module.optimizers:
        if optimizer.name in scope.optimizers:
            _defined_twice("optimizer", optimizer, scope.optimizers[optimizer.name][0], report)
        else:
            scope.optimizers[optimizer.name] = (optimizer, scope)
    return scope


def _defined_twice(
    kind: str, again: ast.Optimizer | ast.Function, first: ast.Optimizer | ast.Function, report: Report
) -> None:
    place, before = (d.name_span if isinstance(d, ast.Optimizer) else d.span for d in (again, first))
    report.add(
        Diagnostic(
            "E604",
            f"there are two {kind}s called `{again.name}`",
            place,
            help="give one of them another name",
            labels=(Label(before, "the first one"),),
        )
    )


def _import(statement: ast.Import, scope: Scope, load: Load, report: Report, importing: tuple[str, ...]) -> None:
    loaded = load(statement)
    if isinstance(loaded, Diagnostic):
        report.add(loaded)
        scope.missing.add(statement.name)
        return
    if loaded.span.source.name in importing:
        scope.missing.add(statement.name)
        route = " imports ".join(f"`{name}`" for name in (*importing, loaded.span.source.name))
        report.add(Diagnostic("E603", "these files import each other", statement.span, note=route))
        return
    inner = open_scope(loaded, load, report, importing)
    if statement.name in inner.optimizers:
        scope.optimizers[statement.name] = inner.optimizers[statement.name]
    elif statement.name in inner.functions:
        scope.functions.update(inner.functions)
    elif statement.name in inner.missing:
        scope.missing.add(statement.name)
    else:
        scope.missing.add(statement.name)
        report.add(
            Diagnostic(
                "E602",
                f"`{statement.file}` has no optimizer or function `{statement.name}`",
                statement.span,
                help=did_you_mean(statement.name, (*inner.optimizers, *inner.functions)),
            )
        )


def flatten(optimizer: ast.Optimizer, scope: Scope, report: Report, extending: tuple[str, ...] = ()) -> Flat | None:
    """``optimizer`` with what it inherits; None where its base cannot be found."""
    if optimizer.base is None:
        return Flat(optimizer, scope.functions)
    extending = (*extending, optimizer.name)
    found = scope.optimizers.get(optimizer.base)
    if found is None:
        if optimizer.base not in scope.missing:
            _unknown_base(optimizer, scope, report)
        return None
    base, base_scope = found
    if base_scope is scope and base.name in extending:
        _extend_each_other(extending[extending.index(base.name) :], scope, report)
        return None
    flat = flatten(base, base_scope, report, extending if base_scope is scope else ())
    if flat is None:
        return None
    inherited = flat.optimizer
    merged = replace(
        optimizer,
        doc=optimizer.doc or inherited.doc,
        inputs=_merge_inputs(inherited, optimizer, report),
        states=optimizer.states or inherited.states,
        body=optimizer.body or inherited.body,
        returns=optimizer.returns or inherited.returns,
        flat=optimizer.flat or inherited.flat,
    )
    return Flat(merged, {**flat.functions, **scope.functions})


def _extend_each_other(names: tuple[str, ...], scope: Scope, report: Report) -> None:
    """Reports a circle of optimizers, at the one that the file has first."""
    members = [scope.optimizers[name][0] for name in names]
    start = min(range(len(members)), key=lambda i: members[i].span.start)
    circle = [*members[start:], *members[:start], members[start]]
    place = circle[0].base_span or circle[0].span
    if len(names) == 1:
        report.add(Diagnostic("E601", f"`{names[0]}` extends itself", place))
        return
    route = " extends ".join(f"`{member.name}`" for member in circle)
    report.add(Diagnostic("E601", "these optimizers extend each other", place, route))


def _unknown_base(optimizer: ast.Optimizer, scope: Scope, report: Report) -> None:
    base = optimizer.base or ""
    others = [name for name in scope.optimizers if name != optimizer.name]
    mend = did_you_mean(base, others) or f"import it: `import {base} from {base.lower()}`"
    place = optimizer.base_span or optimizer.span
    report.add(Diagnostic("E600", f"there is no optimizer `{base}` to extend", place, help=mend))


def _merge_inputs(base: ast.Optimizer, optimizer: ast.Optimizer, report: Report) -> tuple[ast.Input, ...]:
    """The inputs of ``base``, as ``optimizer`` gives them again, and then those that it adds."""
    again: dict[int, ast.Input] = {}
    added: list[ast.Input] = []
    for declaration in optimizer.inputs:
        place = _inherited_place(declaration, base.inputs)
        if place is not None:
            again[place] = declaration
            continue
        if declaration.fixed:
            _fixes_nothing(declaration, base, report)
        added.append(declaration)
    kept = (_given_again(d, again[i]) if i in again else d for i, d in enumerate(base.inputs))
    return (*kept, *added)


def _inherited_place(declaration: ast.Input, inherited: tuple[ast.Input, ...]) -> int | None:
    """Which of the ``inherited`` inputs ``declaration`` gives again: the one with its Python name, or its symbols."""
    symbols = [n.symbol for n in declaration.names]
    for place, other in enumerate(inherited):
        if argument_name(other) == argument_name(declaration) or [n.symbol for n in other.names] == symbols:
            return place
    return None


def _given_again(inherited: ast.Input, again: ast.Input) -> ast.Input:
    """``again`` with what it leaves out taken from the input it replaces."""
    return replace(
        again,
        python_name=again.python_name or inherited.python_name,
        defaults=again.defaults or inherited.defaults,
        constraints=again.constraints or inherited.constraints,
        choices=again.choices or inherited.choices,
        keyword_only=inherited.keyword_only,
        doc=again.doc or inherited.doc,
    )


def _fixes_nothing(declaration: ast.Input, base: ast.Optimizer, report: Report) -> None:
    shown = ", ".join(display(n.symbol) for n in declaration.names)
    names = [text for d in base.inputs for text in (argument_name(d), *(display(n.symbol) for n in d.names))]
    report.add(
        Diagnostic(
            "E411",
            f"`{base.name}` has no input `{shown}` to fix",
            declaration.span,
            help=did_you_mean(argument_name(declaration), names) or did_you_mean(shown, names),
            labels=(Label(base.name_span, "inherits from here"),) if base.name_span else (),
        )
    )
