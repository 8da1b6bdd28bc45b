"""The fused Triton target: kernels that make the step of all tensors of an optimizer at once.

A step in which each element stands for itself is one kernel; one that reduces tensors is a few (:mod:`.phases`).
"""

from __future__ import annotations

import itertools
import re
import textwrap
from collections.abc import Iterable

from jinja2 import Template

from optdsl.emit.fused.conditions import Flags
from optdsl.emit.fused.names import Names
from optdsl.emit.fused.scalars import Split, split
from optdsl.emit.templates import template
from optdsl.emit.triton import stored
from optdsl.emit.triton.lines import fitted
from optdsl.emit.triton.phases import NAMES, PLACES, Kernel, Line, build_phases
from optdsl.emit.triton.prepare import NAMES as PREPARE_NAMES
from optdsl.emit.triton.prepare import Prepare, build_prepare
from optdsl.emit.triton.printer import host_text
from optdsl.emit.triton.tile import NAMES as TILE_NAMES
from optdsl.emit.triton.tile import Tile, build_tile, names_of_tensors, tensor_keys
from optdsl.ir.nodes import PARAM_FACTS, Let, ParamFact, Program, statements, walk
from optdsl.ir.passes.folds import expand_reductions
from optdsl.ir.passes.phases import Space, schedule, step_of

__all__ = ["emit_kernel"]

FIRST_ROWS = ("number of elements", "row of hyperparameters")
"""Labels of the first rows of the address table."""

KERNEL_NAMES = frozenset("start position addresses column block_tensor block_chunk CHUNK BLOCK".split())
"""Names that the kernel uses for itself."""


def emit_kernel(program: Program) -> str:
    """The module ``_<optimizer>_triton``, of which callers use ``fused_step(buckets, grad_scale, found_inf)``.

    ``program`` is as the lowering left it: nothing has been selected or hoisted. No
    :func:`~optdsl.ir.passes.folds.obstacles` are in it.
    """
    return fitted(_elementwise(program) if program.is_elementwise else _phased(program))


def _elementwise(program: Program) -> str:
    first_rows = stored.ROWS if program.stored_only else FIRST_ROWS
    names = Names(
        KERNEL_NAMES | stored.NAMES | TILE_NAMES | PREPARE_NAMES | names_of_tensors(program) | set(tensor_keys(program))
    )
    parts = split(program, names)
    flags = Flags(names)
    for stmt in (*statements(parts.body), *parts.scalars):
        flags.meet(stmt.value if isinstance(stmt, Let) else stmt.condition)
    tile = build_tile(program, parts, flags)
    prepare = build_prepare(program, parts, flags)
    tile_flags = _mentioned(flags, _texts_of_tile(tile))
    prepare_flags = _mentioned(flags, _texts_of_prepare(prepare))
    dtypes = [f"{t.key}_dtype" for t in tile.tensors]
    absentable = tuple(s.key for s in program.states if s.initial is None)
    row_keys = ("param", "grad", *(s.key for s in program.states), *(("step",) if program.counts_steps else ()))
    host = [(flag, host_text(x, absentable)) for x, flag in flags.by_expression.items()]
    helpers = tile.helpers | (prepare.helpers if prepare else set()) | {"tile_pointer"}
    return _template(stored.TEMPLATE if program.stored_only else "kernel.py.jinja").render(
        _shared(program, parts, prepare, prepare_flags),
        imports_math=any("math." in text for _, text in host),
        helpers=sorted(helpers if program.stored_only else helpers | {"divide"}),
        row_labels=[*first_rows, *row_keys],
        rows={key: row for row, key in enumerate(row_keys, start=len(first_rows))},
        addresses=[f"{t.key}_address" for t in tile.tensors],
        tile_constants=[*tile_flags, *dtypes],
        tensors=tile.tensors,
        grad=next(t for t in tile.tensors if t.key == "grad"),
        lines=tile.lines,
        flags=[(flag, text) for flag, text in host if flag in {*tile_flags, *prepare_flags}],
        late_states=[(t.key, t.assigned) for t in tile.tensors if t.key in absentable],
    )


def _phased(program: Program) -> str:
    program = expand_reductions(program)
    names = Names(
        NAMES | PREPARE_NAMES | names_of_tensors(program) | {"param", "grad", *(s.key for s in program.states)}
    )
    parts = split(program, names)
    flags = Flags(names)
    for stmt in (*statements(parts.body), *parts.scalars):
        flags.meet(stmt.value if isinstance(stmt, Let) else stmt.condition)
    plan = schedule(step_of(program, parts.body, parts.param, parts.new_states))
    phases = build_phases(program, parts, plan, flags)
    prepare = build_prepare(program, parts, flags)
    prepare_flags = _mentioned(flags, _texts_of_prepare(prepare))
    mentioned = {k.name: _mentioned(flags, _texts_of_job(k)) for k in phases.kernels}
    dtypes = {k.name: [f"{address}_dtype" for address, _ in k.addresses] for k in phases.kernels}
    used = {*prepare_flags, *(flag for own in mentioned.values() for flag in own), *phases.host_flags}
    absentable = tuple(s.key for s in program.states if s.initial is None)
    host = [(flag, host_text(x, absentable)) for x, flag in flags.by_expression.items() if flag in used]
    keys = ("param", "grad", *(s.key for s in program.states), *(("step",) if program.counts_steps else ()))
    labels = [
        *FIRST_ROWS,
        *GEOMETRY.values(),
        *(f"{s.name} in the scratch memory: {SIZES[s.parts, s.space]}" for s in phases.slots),
        *keys,
    ]
    first = len(FIRST_ROWS) + len(GEOMETRY)
    geometry = {name: row for row, name in enumerate(GEOMETRY, start=len(FIRST_ROWS))}
    flat_only = phases.matrix == "False"
    facts = {n.name for flag in flags.by_expression for n in walk(flag) if isinstance(n, ParamFact)}
    return _template("phases.py.jinja").render(
        _shared(program, parts, prepare, prepare_flags),
        imports_math=any("math." in text for _, text in host),
        helpers=sorted({"ceil_divide"} | phases.helpers | (prepare.helpers if prepare else set())),
        kernels=phases.kernels,
        job_lines=list(_job_lines(phases.kernels)),
        flat_only=flat_only,
        place=[] if flat_only else PLACE,
        tile_constants=["COMPUTE", "VECTOR", "COLS"] if flat_only else TILE,
        narrow_constants=["COMPUTE", "1", "COLS // 2"] if flat_only else NARROW_TILE,
        constants={k.name: mentioned[k.name] + dtypes[k.name] for k in phases.kernels},
        row_labels=labels,
        rows={key: row for row, key in enumerate([*(s.name for s in phases.slots), *keys], start=first)},
        geometry=geometry,
        fact_rows={"numel": 0} | {name: geometry[name] for name in ("dim", "rows", "cols")},
        facts=facts,
        flag_facts=tuple(name for name in PARAM_FACTS if name in facts),
        places=PLACES,
        counts=COUNTS,
        slots=phases.slots,
        matrix=phases.matrix,
        small_states={k: PLACES[space] for k, space in plan.step.spaces.items() if space is not Space.ELEMENTS},
        flags=host,
        late_states=[(k, phases.assigned[k]) for k in absentable],
    )


GEOMETRY = {
    "batches": "number of matrices",
    "rows": "rows of each",
    "cols": "columns of each",
    "span": "span: how many rows a program walks, or elements where the tensor is flat",
    "parts": "parts of a reduction of the whole tensor",
    "dim": "number of dimensions",
}
"""Rows of the table that say how a tensor is walked."""

PLACE = "first_batch first_row first_col n_batches n_rows n_cols panel".split()
"""Where a panel is in its tensor."""

TILE = "FLAT COMPUTE VECTOR BATCHES ROWS COLS".split()
NARROW_TILE = "FLAT COMPUTE 1 BATCHES NARROW_ROWS NARROW_COLS".split()

SIZES = {
    (False, Space.TENSOR): "one",
    (False, Space.MATRICES): "one for each matrix",
    (False, Space.ROWS): "one for each row",
    (False, Space.COLS): "one for each column",
    (True, Space.TENSOR): "two for each chunk",
    (True, Space.ROWS): "one for every COLS columns of each row",
    (True, Space.COLS): "one for every ``span`` rows of each column",
}
"""How many numbers a slot holds, by whether they are parts."""

COUNTS = {
    Space.TENSOR: "1",
    Space.MATRICES: "n_batches",
    Space.ROWS: "n_batches.to(tl.int64) * n_rows",
    Space.COLS: "n_batches.to(tl.int64) * n_cols",
}
"""How many values a tensor has in each space."""


def _shared(program: Program, parts: Split, prepare: Prepare | None, prepare_flags: list[str]) -> dict[str, object]:
    """What both templates need."""
    return {
        "name": program.name,
        "prefix": f"_{program.name.lower()}",
        "columns": [column.name for column in parts.columns],
        "prepare": prepare,
        "prepare_constants": [
            *prepare_flags,
            *(["step_dtype"] if program.counts_steps else []),
            *(f"{s.key}_dtype" for s in program.scalar_states),
            *(["MACHINE_EPSILON"] if prepare and "machine_epsilon" in dict(prepare.facts) else []),
        ],
        "advanced": [
            *(["step counts"] if program.counts_steps else []),
            *(["scalar states"] if program.scalar_states else []),
        ],
        "state_keys": tuple(s.key for s in program.states),
        "scalar_keys": tuple(s.key for s in program.scalar_states),
        "counts_steps": program.counts_steps,
        "facts": None,
        "fact_rows": {},
    }


def _texts_of_job(kernel: Kernel) -> Iterable[str]:
    for line in (*kernel.before, *kernel.inside, *kernel.after):
        yield line.text
        yield line.when
    for _, when in (*kernel.addresses, *kernel.slots):
        yield when


def _job_lines(kernels: Iterable[Kernel]) -> Iterable[str]:
    """Every job on a line, or more."""
    width = max(len(k.name) for k in kernels)
    for k in kernels:
        yield from textwrap.wrap(f"{k.name:<{width}}  {k.doc}", 116, subsequent_indent=" " * (width + 2))


def _imported(module: str, names: list[str]) -> str:
    line = f"from {module} import {', '.join(names)}"
    return line if len(line) <= 120 else f"from {module} import (\n    " + ",\n    ".join(names) + ",\n)"


def _code(lines: Iterable[Line], indent: int) -> Iterable[str]:
    """``lines``, those under the same flags in one branch."""
    for when, group in itertools.groupby(lines, key=lambda line: line.when):
        if when:
            yield f"{' ' * indent}if {when}:"
        for line in group:
            yield f"{' ' * (indent + 4 * bool(when))}{line.text}"


def _texts_of_tile(tile: Tile) -> Iterable[str]:
    yield from tile.lines
    for tensor in tile.tensors:
        yield from (tensor.result, tensor.read or "", tensor.written or "")


def _texts_of_prepare(prepare: Prepare | None) -> Iterable[str]:
    if prepare is not None:
        yield from prepare.lines
        yield from prepare.columns
        for state in prepare.states:
            yield from (state.exists, state.read, state.result or "")


def _mentioned(flags: Flags, texts: Iterable[str]) -> list[str]:
    """The flags that ``texts`` mention, in order."""
    words = set(re.findall(r"\w+", " ".join(texts)))
    return [flag for flag in flags.order if flag in words]


def _wrapped(items: Iterable[str], indent: int = 4) -> str:
    """Arguments, a comma after each, filled into lines that start at column ``indent``."""
    text = " ".join(f"{item}," for item in items)
    return textwrap.fill(text, 120 - indent, break_long_words=False).replace("\n", "\n" + " " * indent)


def _template(name: str) -> Template:
    return template(f"triton/{name}", wrapped=_wrapped, code=_code, imported=_imported)
