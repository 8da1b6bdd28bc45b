"""E104-E106, E504: every symbol has a Python identifier of its own, and no name means something else in Python."""

from __future__ import annotations

import keyword
from collections.abc import Iterator

from optdsl.check.collect import argument_name, is_parameter
from optdsl.check.model import Buffer, CheckedOptimizer, Hyperparameter, Local, SymbolTable
from optdsl.check.vocabulary import CODE_NAMES, MODULE_NAMES, RESERVED_ARGUMENTS, taken_by_python
from optdsl.ir.nodes import TORCH_FLAGS
from optdsl.source import Diagnostic, Label, Span
from optdsl.syntax import ast
from optdsl.syntax.names import display

_Entry = Hyperparameter | Buffer | Local


def check(subject: CheckedOptimizer) -> Iterator[Diagnostic]:
    yield from _optimizer_name(subject.optimizer)
    yield from _arguments(subject.optimizer)
    yield from _keys(subject.table)
    yield from _lists(subject.table)
    yield from _variables(subject.table)
    yield from _clashes(subject.table)


def _optimizer_name(optimizer: ast.Optimizer) -> Iterator[Diagnostic]:
    taken = taken_by_python(optimizer.name)
    if taken or optimizer.name in MODULE_NAMES or optimizer.name.startswith("_"):
        where = "in Python" if taken else "in the generated code"
        yield Diagnostic(
            "E105",
            f"`{optimizer.name}` already means something {where}",
            optimizer.name_span,
            help="the optimizer becomes a class of this name; give it another one",
        )


def _arguments(optimizer: ast.Optimizer) -> Iterator[Diagnostic]:
    for declaration in optimizer.inputs:
        if is_parameter(declaration):
            continue
        name = declaration.python_name or (argument_name(declaration) if len(declaration.names) == 1 else "")
        span = declaration.python_name_span or declaration.names[0].span
        if keyword.iskeyword(name):
            yield Diagnostic(
                "E105",
                f"`{name}` is a Python keyword and cannot name an argument",
                span,
                help=f"write another Python name in brackets, such as `({name}_)`",
            )
        elif name in RESERVED_ARGUMENTS:
            yield Diagnostic(
                "E106",
                f"every optimizer has `{name}` of its own",
                span,
                help="give the argument another Python name in brackets",
            )
        elif name in CODE_NAMES and name not in TORCH_FLAGS:
            yield Diagnostic(
                "E106",
                f"`{name}` already means something in the generated code",
                span,
                help="give the argument another Python name in brackets",
            )


def _keys(table: SymbolTable) -> Iterator[Diagnostic]:
    for buffer in table.buffers.values():
        key, state = buffer.identifier, buffer.declaration
        span = state.key_span or state.name.span
        if key == "step":
            yield Diagnostic(
                "E503",
                "the state key `step` is the step count's",
                span,
                help="give the state another key, or declare the step count itself: `t ← 0 (step)`",
            )
        elif keyword.iskeyword(key) or key in CODE_NAMES:
            what = "is a Python keyword" if keyword.iskeyword(key) else "already means something in the generated code"
            yield Diagnostic("E504", f"`{key}` {what} and cannot be a state key", span, help="choose another key")


def _lists(table: SymbolTable) -> Iterator[Diagnostic]:
    """The list of a state's tensors, ``exp_avgs`` for ``exp_avg``, is a variable too."""
    entries: tuple[_Entry, ...] = (*table.hyperparameters.values(), *table.buffers.values())
    taken = {entry.identifier for entry in entries} | CODE_NAMES
    for buffer in table.buffers.values():
        plural = f"{buffer.identifier}s"
        if plural in taken or keyword.iskeyword(plural):
            span = buffer.declaration.key_span or buffer.declaration.name.span
            message = f"the tensors of the state would be called `{plural}`, which already means something"
            yield Diagnostic("E504", message, span, help="choose another key")


def _variables(table: SymbolTable) -> Iterator[Diagnostic]:
    """Names that no one has chosen: of locals, and of the several values of one argument."""
    shared = [entry for entry in table.hyperparameters.values() if len(entry.declaration.names) > 1]
    clashing: list[_Entry] = [entry for entry in shared if entry.identifier in CODE_NAMES]
    clashing += [entry for entry in table.locals.values() if entry.identifier in MODULE_NAMES]
    for entry in clashing:
        symbol, span = _symbol_and_place(entry)
        message = f"`{symbol}` is `{entry.identifier}` in Python, which means something else in the generated code"
        yield Diagnostic("E105", message, span, help="rename it")


def _clashes(table: SymbolTable) -> Iterator[Diagnostic]:
    """Two symbols with one identifier. Equal keys and equal argument names have rules of their own."""
    owners: dict[str, tuple[str, _Entry | None]] = {"param": ("θ", None)}
    entries: tuple[_Entry, ...] = (*table.hyperparameters.values(), *table.buffers.values(), *table.locals.values())
    for entry in entries:
        symbol, span = _symbol_and_place(entry)
        shown, other = owners.setdefault(entry.identifier, (symbol, entry))
        if other is entry or (type(other) is type(entry) and not isinstance(entry, Local) and other is not None):
            continue
        labels = () if other is None else (Label(_symbol_and_place(other)[1], "the other one"),)
        yield Diagnostic(
            "E104",
            f"`{symbol}` and `{shown}` are both `{entry.identifier}` in Python",
            span,
            help="rename one of them",
            labels=labels,
        )


def _symbol_and_place(entry: _Entry) -> tuple[str, Span]:
    match entry:
        case Hyperparameter(name=name):
            return display(name.symbol, ast.Time.NONE), name.span
        case Local(first=name):
            return display(name.symbol, name.time), name.span
        case Buffer(declaration=declaration):
            return display(declaration.name.symbol), declaration.name.span
