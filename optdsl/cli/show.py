"""``optdsl show``: what the compiler has made of a spec by some stage, as text."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from enum import Enum, StrEnum

from optdsl.check.walk import called
from optdsl.compiler import Unit, emit
from optdsl.emit.latex import annotated
from optdsl.emit.markdown import markdown
from optdsl.emit.procedures.flat import emit_step
from optdsl.emit.python import emit_functions, selected
from optdsl.emit.reading import reading
from optdsl.ir.cost import Configuration, costs
from optdsl.ir.passes.folds import obstacles
from optdsl.ir.printer import program_text
from optdsl.ir.procedure_printer import flat_text
from optdsl.ir.procedures import FlatProgram
from optdsl.source import Span
from optdsl.syntax import ast
from optdsl.syntax.printer import unparse


class Stage(StrEnum):
    """Where to stop."""

    AST = "ast"
    FLAT = "flat"
    IR = "ir"
    LOOP = "loop"
    FOREACH = "foreach"
    TRITON = "triton"
    NATIVE = "native"
    CLASS = "class"
    LATEX = "latex"
    MARKDOWN = "markdown"


def show_stage(unit: Unit, stage: Stage) -> str:
    """The text of ``unit`` at ``stage``."""
    variants = (Stage.IR, Stage.LOOP, Stage.FOREACH, Stage.TRITON, Stage.NATIVE)
    if isinstance(unit.program, FlatProgram) and stage in variants:
        return show_flat(unit.program, stage)
    match stage:
        case Stage.AST:
            return tree(unit.checked.optimizer)
        case Stage.FLAT:
            return flat(unit)
        case Stage.IR:
            return program_text(unit.program)
        case Stage.LOOP:
            return emit_functions(unit.program).single_tensor
        case Stage.FOREACH:
            return emit_functions(unit.program).multi_tensor
        case Stage.TRITON | Stage.NATIVE:
            return kernels(unit, stage) or without_kernel(unit, *obstacles(unit.program))
        case Stage.CLASS:
            return emit([unit])[unit.class_file]
        case Stage.LATEX:
            return annotated(unit.checked.optimizer, unit.checked.functions.values())
        case Stage.MARKDOWN:
            return markdown(unit.checked.optimizer)


def show_flat(program: FlatProgram, stage: Stage) -> str:
    """An optimizer over flat θ: its IR, or its one variant, which works on all parameters at once."""
    match stage:
        case Stage.IR:
            return flat_text(program)
        case Stage.LOOP:
            return emit_step(program)
        case _:
            return f"# {program.name} has one variant, in which all parameters are one vector.\n"


def kernels(unit: Unit, backend: str) -> str:
    """The modules of the fused step, one after another; "" if there are none."""
    return "\n\n".join(
        text for path, text in emit([unit]).items() if path.endswith(f"_{backend}.py") and "/" not in path
    )


def without_kernel(unit: Unit, *reasons: str) -> str:
    """What is shown in place of a fused kernel that there is not, for ``reasons`` in words that go on after "it"."""
    return f"# {unit.program.name} has no such kernel: it {' and '.join(reasons)}.\n"


def flat(unit: Unit) -> str:
    """A spec that says the same and stands alone: with all that is inherited, edits made and transforms applied."""
    checked = unit.checked
    functions = tuple(called(checked.optimizer.body, checked.functions))
    return unparse(ast.Module((), functions, (replace(checked.optimizer, base=None),)))


def show_reading(unit: Unit) -> str:
    """Every statement fully bracketed, with its type."""
    return reading(unit.checked)


def show_cost(unit: Unit) -> str:
    """Whole tensors read and written per step and variant, as a table for each configuration that matters."""
    if isinstance(unit.program, FlatProgram):
        return f"{unit.program.name}: how often tensors are read and written depends on the loss.\n"
    rows = costs(unit.program, selected(unit.program))
    what = "tensors of stored entries" if unit.program.stored_only else "whole tensors"
    table = [[f"{unit.program.name}: {what} read and written", *rows[0].accesses]]
    table += [[_title(row), *map(str, row.accesses.values())] for row in rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    table.insert(1, ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])])
    return "\n".join(
        f"| {first:<{widths[0]}} | "
        + " | ".join(f"{cell:>{w}}" for cell, w in zip(rest, widths[1:], strict=True))
        + " |"
        for first, *rest in table
    )


def _title(configuration: Configuration) -> str:
    title = ", ".join(f"{name}={value!r}" for name, value in configuration.settings.items()) or "defaults"
    return title if configuration.dim is None else f"{title}, {configuration.dim} dimensions"


def tree(node: object, indent: str = "") -> str:
    """A syntax tree with one field per line; fields without content are left out."""
    if isinstance(node, tuple):
        return "".join(f"\n{indent}- {tree(item, indent + '  ')}" for item in node)
    if isinstance(node, Enum):
        return node.name
    if not is_dataclass(node):
        return repr(node)
    out = type(node).__name__
    for field in fields(node):
        value = getattr(node, field.name)
        if not isinstance(value, Span) and value not in (None, "", ()):
            out += f"\n{indent}  {field.name}: {tree(value, indent + '  ')}"
    return out
