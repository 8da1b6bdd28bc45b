"""Prints the module of an optimizer over flat θ."""

from __future__ import annotations

import re
from collections.abc import Iterator

from optdsl.emit.lines import folded
from optdsl.emit.optimizer import signature
from optdsl.emit.optimizer.checks import check_lines
from optdsl.emit.optimizer.module import class_doc
from optdsl.emit.optimizer.quoting import docstring
from optdsl.emit.optimizer.values import group_value, printer, unpack
from optdsl.emit.procedures.functions import Writer, emit_procedures, taking_point
from optdsl.emit.python.expressions import HostPrinter
from optdsl.emit.templates import template
from optdsl.ir.nodes import Const, Hyper
from optdsl.ir.procedures import FlatProgram, expressions, steps

SUPPORT = ("append", "matrices", "max_abs", "scalars", "table", "to_scalar")
"""What a module may need of ``_support`` besides the base class and its point."""


def emit_flat_module(program: FlatProgram, algorithm: str = "") -> str:
    """The text of the module: imports, the class with its step, and the functions that the step calls."""
    functions = emit_procedures(program.procedures, flat=True)
    step = _step(program)
    setup = list(_setup(program))
    checks = list(check_lines(program))
    init_state = list(_init_state(program))
    used = set(re.findall(r"\b(\w+)[.(]", "\n".join([*functions, *step, *setup, *checks, *init_state])))
    return template("procedures/flat.py.jinja").render(
        name=program.name,
        uses_math="math" in used,
        uses_torch="torch" in used,
        support=["FlatOptimizer", "Point", *(name for name in SUPPORT if name in used)],
        doc=docstring(class_doc(program, algorithm), "    "),
        signature=list(signature.signature(program)),
        computed=list(_computed(program)),
        defaults=list(signature.defaults(program)),
        checks=checks,
        init_state=init_state,
        setup=setup,
        step=step,
        functions=functions,
    )


def emit_step(program: FlatProgram) -> str:
    """The step as a function, and those that it calls."""
    lines = [folded(f"    {line}") for line in (*_setup(program), *_step(program))]
    step = "\n".join(["def _minimize(point, state, group):", *lines])
    return "\n\n\n".join([step, *emit_procedures(program.procedures, flat=True)]) + "\n"


def _step(program: FlatProgram) -> list[str]:
    states = {kept.key: kept for kept in program.kept}
    return Writer(True, taking_point(program.procedures), states).block(program.code)


def _computed(program: FlatProgram) -> Iterator[tuple[str, str]]:
    """Arguments whose default follows from others, and that value."""
    show = HostPrinter(lambda expr: expr.name if isinstance(expr, Hyper) else str(expr))
    for argument in program.arguments:
        for scalar in argument.scalars:
            if scalar.default is not None and signature.is_computed(scalar):
                yield argument.name, show(scalar.default)


def _init_state(program: FlatProgram) -> Iterator[str]:
    show = printer(program)
    for kept in program.kept:
        match kept.kind:
            case "history":
                yield f'state.setdefault("{kept.key}", [])'
            case "table":
                yield f'table(state, "{kept.key}", {show(kept.size or Const(0))})'
            case _ if kept.initial is not None:
                yield f'state.setdefault("{kept.key}", {show(kept.initial)})'


def _setup(program: FlatProgram) -> Iterator[str]:
    """Statements that give names to the hyperparameters that the step reads, and to the histories."""
    read = [e for e in expressions(program.code) if isinstance(e, Hyper)]
    names = {e.name for e in read}
    tuples = list(unpack(program, names))
    together = {s.name for a in program.arguments if len(a.scalars) > 1 for s in a.scalars}
    yield from tuples
    for scalar in program.scalars:
        if scalar.name in names and scalar.name not in together:
            value = group_value(program, scalar.name)
            plain = scalar.name in program.whole or scalar.dtype.value != "real"
            yield f"{scalar.name} = {value if plain else f'to_scalar({value})'}"
    for kept in program.kept:
        if kept.kind != "value" and _mentions(program, kept.key):
            yield f'{kept.key} = state["{kept.key}"]'


def _mentions(program: FlatProgram, key: str) -> bool:
    parts: list[object] = [*expressions(program.code), *steps(program.code)]
    names = {getattr(part, "sequence", None) for part in parts} | {getattr(part, "history", None) for part in parts}
    targets = {getattr(t, "sequence", None) for part in parts for t in getattr(part, "targets", ())}
    return key in names | targets
