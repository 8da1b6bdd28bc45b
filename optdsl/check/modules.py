"""Imports, ``extends`` and ``with``: from a module to optimizers that stand alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from optdsl.check import transforms
from optdsl.check.applying import change
from optdsl.check.collect import argument_name
from optdsl.check.edits import edited
from optdsl.check.model import Report
from optdsl.check.suggest import did_you_mean
from optdsl.source import Diagnostic, Label, Span
from optdsl.syntax import ast
from optdsl.syntax.names import display

Load = Callable[[ast.Import], ast.Module | Diagnostic]
Functions = Mapping[str, ast.Function]
Definition = ast.Optimizer | ast.Function | ast.Transform


@dataclass(frozen=True)
class Origin:
    """A text that an optimizer takes parts from: an optimizer that it extends, or a transform that it applies.

    ``label`` is for a mistake in that text that is not there by itself: it says where the text is used.
    """

    text: Span
    inherited: bool
    label: Label | None


@dataclass(frozen=True)
class Flat:
    """An optimizer with all that it inherits and applies, and the functions that it can call."""

    optimizer: ast.Optimizer
    functions: Functions
    origins: tuple[Origin, ...] = ()


@dataclass
class Scope:
    """The optimizers, functions and transforms that a module defines or imports."""

    module: ast.Module
    optimizers: dict[str, tuple[ast.Optimizer, Scope]] = field(default_factory=dict)
    functions: dict[str, ast.Function] = field(default_factory=dict)
    transforms: dict[str, transforms.Known] = field(default_factory=dict)
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
    for transform in module.transforms:
        known = scope.transforms.setdefault(transform.name, transforms.Known(transform, scope.functions))
        if known.transform is not transform:
            _defined_twice("transform", transform, known.transform, report)
    for optimizer in module.optimizers:
        if optimizer.name in scope.optimizers:
            _defined_twice("optimizer", optimizer, scope.optimizers[optimizer.name][0], report)
        else:
            scope.optimizers[optimizer.name] = (optimizer, scope)
    return scope


def _defined_twice(kind: str, again: Definition, first: Definition, report: Report) -> None:
    place, before = (d.span if isinstance(d, ast.Function) else d.name_span for d in (again, first))
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
    elif statement.name in inner.transforms:
        scope.transforms[statement.name] = inner.transforms[statement.name]
    elif statement.name in inner.missing:
        scope.missing.add(statement.name)
    else:
        scope.missing.add(statement.name)
        report.add(
            Diagnostic(
                "E602",
                f"`{statement.file}` has no optimizer, function or transform `{statement.name}`",
                statement.span,
                help=did_you_mean(statement.name, (*inner.optimizers, *inner.functions, *inner.transforms)),
            )
        )


def flatten(optimizer: ast.Optimizer, scope: Scope, report: Report, extending: tuple[str, ...] = ()) -> Flat | None:
    """``optimizer`` with what it inherits, its edits made and its transforms applied; None where that cannot be."""
    inherited = None
    if optimizer.base is not None:
        inherited = _inherited(optimizer, optimizer.base, scope, report, extending)
        if inherited is None:
            return None
    elif not optimizer.edits and not optimizer.applies:
        return Flat(optimizer, scope.functions)
    base = inherited.optimizer if inherited is not None else None
    is_changed = bool(optimizer.edits or optimizer.applies)
    if is_changed and (optimizer.flat or (base is not None and base.flat)):
        _not_over_flat(optimizer, report)
        return None
    others = (*scope.optimizers, *scope.functions)
    applied = transforms.resolve(optimizer, scope.transforms, others, scope.missing, report)
    body = edited(optimizer, base, report)
    if applied is None or body is None:
        return None
    whole = replace(optimizer, body=body, edits=(), applies=())
    if base is not None:
        whole = replace(
            whole,
            doc=optimizer.doc or base.doc,
            inputs=base.inputs,
            states=optimizer.states or base.states,
            returns=optimizer.returns or base.returns,
            flat=optimizer.flat or base.flat,
            each_step=optimizer.each_step if optimizer.body else base.each_step,
        )
    functions = {**(inherited.functions if inherited is not None else {}), **scope.functions}
    changed = change(whole, optimizer, applied, functions, report)
    if changed is None:
        return None
    whole, callable_functions = changed
    if base is not None:
        brought = whole.inputs[len(base.inputs) :]
        whole = replace(whole, inputs=_merge_inputs(base, brought, optimizer, report))
    inner = inherited.origins if inherited is not None else ()
    return Flat(whole, callable_functions, tuple(_origins(optimizer, base, inner, applied)))


def _not_over_flat(optimizer: ast.Optimizer, report: Report) -> None:
    """Edits and transforms change one gradient step; an optimizer over flat θ makes as many as it likes."""
    help = "a function can be shared: import it, and call it in the step"
    for application in optimizer.applies:
        message = f"`{application.transform}` cannot be applied to an optimizer over flat θ"
        report.add(Diagnostic("E735", message, application.span, help=help))
    for edit in optimizer.edits:
        message = f"`{edit.place}` cannot change the step of an optimizer over flat θ"
        place = Span(edit.span.source, edit.span.start, edit.name.span.end)
        report.add(Diagnostic("E735", message, place, help=help))


def _inherited(
    optimizer: ast.Optimizer, name: str, scope: Scope, report: Report, extending: tuple[str, ...]
) -> Flat | None:
    """What ``optimizer`` extends, which is called ``name``; None where it cannot be found."""
    extending = (*extending, optimizer.name)
    found = scope.optimizers.get(name)
    if found is None:
        if name not in scope.missing:
            _unknown_base(optimizer, scope, report)
        return None
    base, base_scope = found
    if base_scope is scope and base.name in extending:
        _extend_each_other(extending[extending.index(base.name) :], scope, report)
        return None
    return flatten(base, base_scope, report, extending if base_scope is scope else ())


def _origins(
    optimizer: ast.Optimizer,
    base: ast.Optimizer | None,
    inner: tuple[Origin, ...],
    applied: list[transforms.Applied],
) -> Iterator[Origin]:
    """The texts that ``optimizer`` takes parts from; ``inner`` are those of what it extends."""
    if base is not None:
        label = Label(optimizer.base_span or optimizer.span, f"`{optimizer.name}` changes it")
        changes = label if optimizer.edits or applied else None
        yield from (replace(origin, label=origin.label or changes) for origin in inner)
        yield Origin(base.span, True, changes)
    for one in applied:
        label = Label(one.application.span, f"`{one.transform.name}` is applied here")
        yield Origin(one.transform.span, False, label)


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


def _merge_inputs(
    base: ast.Optimizer, brought: tuple[ast.Input, ...], optimizer: ast.Optimizer, report: Report
) -> tuple[ast.Input, ...]:
    """The inputs of ``base`` and those ``brought`` by transforms, as ``optimizer`` gives them again, and then those
    that it adds. What a transform brings keeps its symbols.
    """
    inherited = (*base.inputs, *brought)
    again: dict[int, ast.Input] = {}
    added: list[ast.Input] = []
    for declaration in optimizer.inputs:
        place = _inherited_place(declaration, inherited)
        if place is not None:
            again[place] = declaration
            if place >= len(base.inputs) and len(declaration.names) == len(inherited[place].names):
                again[place] = replace(declaration, names=inherited[place].names)
            continue
        if declaration.fixed:
            _fixes_nothing(declaration, replace(base, inputs=inherited), report)
        added.append(declaration)
    kept = (_given_again(d, again[i]) if i in again else d for i, d in enumerate(inherited))
    return tuple(sorted((*kept, *added), key=lambda declaration: declaration.keyword_only))


def _inherited_place(declaration: ast.Input, inherited: tuple[ast.Input, ...]) -> int | None:
    """Which of the ``inherited`` inputs ``declaration`` gives again: the one with its Python name, or its symbols."""
    names = [argument_name(other) for other in inherited]
    if argument_name(declaration) in names:
        return names.index(argument_name(declaration))
    symbols = [[n.symbol for n in other.names] for other in inherited]
    own = [n.symbol for n in declaration.names]
    return symbols.index(own) if own in symbols else None


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
