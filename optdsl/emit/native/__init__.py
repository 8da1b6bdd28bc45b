"""The fused target for the CPU: C that makes the step of all tensors at once, compiled when it is first needed."""

from __future__ import annotations

import re
import textwrap
from dataclasses import replace
from functools import partial

from optdsl.emit.fused.conditions import Flags, is_flag
from optdsl.emit.fused.names import Names
from optdsl.emit.fused.scalars import split
from optdsl.emit.native.elements import Elements
from optdsl.emit.native.phases import build_phases
from optdsl.emit.native.printer import flag_text
from optdsl.emit.native.scalars import Scalars
from optdsl.emit.templates import template
from optdsl.emit.triton.printer import host_text
from optdsl.ir.instructions import Code, instructions
from optdsl.ir.nodes import PARAM_FACTS, Expr, Let, ParamFact, Present, Program, Rate, State, statements, walk
from optdsl.ir.passes import Split, optimize, split_scalars
from optdsl.ir.passes.folds import expand_reductions
from optdsl.ir.passes.phases import Space, schedule, step_of
from optdsl.ir.passes.rewrite import defined_names
from optdsl.ir.passes.select import LOOP, select

__all__ = ["emit_native"]

RESERVED = frozenset(
    # C
    "auto break case char const continue default do double else enum extern float for goto if inline int long register "
    "restrict return short signed sizeof static struct switch typedef union unsigned void volatile while asm typeof "
    # support/native_source.py, and what it includes
    "INLINE F32 F64 BF16 F16 REAL SCALED LOAD STORE NARROW LOAD_SCALAR ROUND ROUND_ELEMENT NEXT PREFETCH CHUNK "
    "PREFETCH_BYTES MULTIPLY_ADD FUSED_MULTIPLY_ADD SQRT ABS EXP LOG FLOOR POW NAN INFINITY lerp maximum minimum "
    "at_least at_most sign through_bf16 through_f32 integer_power scalar_maximum scalar_minimum scalar_sign pow "
    "sqrt fabs exp log floor scalars work prepare step_tensor step_elements element "
    # the template
    "i j k from to end tensor tensors addresses hypers grad_scale again previous".split()
)
"""Names that are taken in C."""

JOB_NAMES = frozenset(
    "NULL JOBS LARGE LEAST_BLOCK MOST_BLOCKS all b block blocks c chunks close_tensor col cut_into_blocks e "
    "end_pass facts first free is_pass j job k last left malloc n open_tensor part_of row rows run_job s shape "
    "span step_alone step_together t tensor work".split()
)
"""Names of the kernels of several jobs."""

SPECIALISED = 3
"""Up to so many conditions that a step decides, there is a loop for each of their combinations."""


def emit_native(program: Program) -> str:
    """The module ``_<optimizer>_native``, of which callers use ``fused_step(buckets, grad_scale, found_inf)``.

    ``program`` is as the lowering left it: the passes are run here. No :func:`~optdsl.ir.passes.folds.obstacles` are in
    it.
    """
    return _elementwise(program) if program.is_elementwise else _phased(program)


def _elementwise(program: Program) -> str:
    tensor_keys = ("param", "grad", *(s.key for s in program.tensor_states))
    lists = _lists(program)
    reserved = _reserved(lists)
    split = split_scalars(optimize(program))
    code = select(split, LOOP)
    flags = Flags(Names(reserved | _identifiers(program, code)))
    scalars = Scalars(program, split, flags, reserved)
    elements = Elements(code, scalars, Names(reserved))

    def host_condition(x: Expr) -> str:
        resolved = scalars.resolve(x)
        return host_text_over_flags(resolved, flags) if is_flag(resolved) else "True"

    lines = elements.lines()
    tensors = []
    for key in tensor_keys:
        if key not in elements.variables:
            continue
        state = program.state(key) if key not in ("param", "grad") else None
        exists = "1" if state is None else _exists(state, flags)
        tensors.append(
            {
                "key": key,
                "variable": elements.variables[key],
                "row": lists.index(key),
                "loaded": exists if state is None or state.initial is not None else _both(exists, _present(key, flags)),
                "touched": _both(exists, elements.touched(key)),
                "written": _both(exists, elements.written(key)) if key != "grad" else "0",
            }
        )
    late = [(s.key, elements.assigned(s.key, host_condition)) for s in program.tensor_states if s.initial is None]
    shared = _shared(program, scalars, lists)
    source = template("native/kernel.c.jinja").render(
        shared,
        lists=lists,
        tensors=tensors,
        conditions=(conditions := [c.name for c in scalars.columns.values() if c.is_condition]),
        specialised=len(conditions) <= SPECIALISED,
        locals=elements.locals(),
        lines=lines,
    )
    return _module(program, source, scalars, flags, late)


def _phased(program: Program) -> str:
    program = expand_reductions(program)
    lists = _lists(program)
    reserved = _reserved(lists) | JOB_NAMES
    names = Names(reserved)
    parts = split(program, names)
    flags = Flags(names)
    for stmt in (*statements(parts.body), *parts.scalars):
        flags.meet(stmt.value if isinstance(stmt, Let) else stmt.condition)
    plan = schedule(step_of(program, parts.body, parts.param, parts.new_states))
    on_host = replace(program, new_states=tuple(parts.new_states.items()))
    scalars = Scalars(on_host, Split(on_host, parts.scalars, ()), flags, reserved)
    columns = {column.name: partial(scalars.field, column.value) for column in parts.columns}
    phases = build_phases(program, plan, flags, columns, set(reserved))
    keys = ("param", "grad", *(s.key for s in program.states if s.rate >= Rate.TENSOR))
    shared = _shared(on_host, scalars, lists)
    text = template("native/phases.c.jinja").render(
        shared,
        tensors=keys,
        rows={key: lists.index(key) for key in keys},
        jobs=phases.jobs,
        places=phases.places,
        numbers=phases.numbers,
        facts=list(scalars.facts.items()),
    )
    source = "\n".join(
        part for line in text.split("\n") for part in (_fitted(line, 120) if len(line) > 120 else [line])
    )
    late = [(s.key, phases.assigned[s.key]) for s in program.states if s.initial is None]
    spaces = {k: space.name.lower() for k, space in plan.step.spaces.items() if space is not Space.ELEMENTS}
    return _module(
        program, source, scalars, flags, late, matrix=phases.matrix, small_states=spaces, facts=tuple(scalars.facts)
    )


def _lists(program: Program) -> tuple[str, ...]:
    return ("param", "grad", *(s.key for s in program.states), *(("step",) if program.counts_steps else ()))


def _reserved(lists: tuple[str, ...]) -> frozenset[str]:
    return RESERVED | {f"{key}_p" for key in lists} | {f"{key.upper()}_T" for key in lists}


def _shared(program: Program, scalars: Scalars, lists: tuple[str, ...]) -> dict[str, object]:
    """What the C of every step needs for its scalar work."""
    prelude = [part for line in scalars.lines() for part in _fitted(line)]
    scalar_states = scalars.scalar_states()
    return {
        "name": program.name,
        "columns": list(scalars.columns.values()),
        "variables": scalars.assigned,
        "prelude": prelude,
        "scalar_states": [(s, lists.index(s.key)) for s in scalar_states],
        "counts_steps": program.counts_steps,
        "step": scalars.step,
        "step_row": len(lists) - 1,
        "hypers": scalars.hypers_read(),
    }


def _module(
    program: Program,
    source: str,
    scalars: Scalars,
    flags: Flags,
    late: list[tuple[str, str]],
    **phases: object,
) -> str:
    """The Python module around the C ``source``; ``phases`` is what a step that reduces tensors has besides."""
    absentable = tuple(s.key for s in program.states if s.initial is None)
    host = [(flag, host_text(x, absentable)) for x, flag in flags.by_expression.items()]
    words = set(re.findall(r"\w+", " ".join([source, *(text for _, text in late), str(phases.get("matrix", ""))])))
    asked = {n.name for x in flags.by_expression for n in walk(x) if isinstance(n, ParamFact)}
    return template("native/kernel.py.jinja").render(
        name=program.name,
        module=program.name.lower(),
        source=source,
        flags=[(flag, text) for flag, text in host if flag in words],
        imports_math=any("math." in text for _, text in host),
        late=late,
        states=tuple(s.key for s in program.states),
        scalar_states=tuple(s.key for s in program.scalar_states),
        hypers=tuple(scalars.hypers),
        counts_steps=program.counts_steps,
        stored_only=program.stored_only,
        phases={**phases, "flag_facts": tuple(name for name in PARAM_FACTS if name in asked)} if phases else None,
    )


def _identifiers(program: Program, code: Code) -> set[str]:
    """Names that values may have: no macro may be called like one."""
    of_statements = {n.partition(".")[0] for s in statements(program.body) for n in defined_names(s)}
    of_code = {v for i in instructions(code) for v in (i.target, *i.operands)}
    return of_statements | of_code | {s.name for s in program.scalars} | {s.key for s in program.states}


def host_text_over_flags(condition: Expr, flags: Flags) -> str:
    """A condition that the host knows, in Python over a dict ``flags``."""
    return flags.text(flags.formula(condition), 'flags["{}"]') or "True"


def _exists(state: State, flags: Flags) -> str:
    return "1" if state.condition is None else flag_text(state.condition, flags)[0]


def _present(key: str, flags: Flags) -> str:
    return flag_text(Present(key), flags)[0]


def _both(a: str, b: str) -> str:
    """The conjunction of two conditions in C."""
    if "0" in (a, b):
        return "0"
    return " && ".join(f"({x})" if " || " in x else x for x in dict.fromkeys((a, b)) if x != "1") or "1"


def _fitted(line: str, width: int = 108) -> list[str]:
    """A line of C as lines of at most ``width`` columns; scalar code is indented further in the template."""
    indent = line[: len(line) - len(line.lstrip())] + "    "
    return textwrap.wrap(line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
