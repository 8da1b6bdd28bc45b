"""The fused Triton target: one kernel that makes the step of all tensors of an optimizer at once."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from optdsl.emit.fused.conditions import Flags
from optdsl.emit.fused.names import Names
from optdsl.emit.triton import stored
from optdsl.emit.triton.lines import fitted
from optdsl.emit.triton.prepare import NAMES as PREPARE_NAMES
from optdsl.emit.triton.prepare import Prepare, build_prepare
from optdsl.emit.triton.printer import host_text
from optdsl.emit.triton.scalars import split
from optdsl.emit.triton.tile import NAMES as TILE_NAMES
from optdsl.emit.triton.tile import Tile, build_tile, names_of_tensors, tensor_keys
from optdsl.ir.nodes import Let, Program, statements

__all__ = ["emit_kernel"]

FIRST_ROWS = ("number of elements", "row of hyperparameters")
"""Labels of the first rows of the address table."""

KERNEL_NAMES = frozenset("start position addresses column block_tensor block_chunk CHUNK BLOCK".split())
"""Names that the kernel uses for itself."""


def emit_kernel(program: Program) -> str:
    """The module ``_<optimizer>_triton``, of which callers use ``fused_step(buckets, grad_scale, found_inf)``.

    ``program`` is elementwise, as the lowering left it: nothing has been selected or hoisted.
    """
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
    text = _template(stored.TEMPLATE if program.stored_only else "kernel.py.jinja").render(
        name=program.name,
        prefix=f"_{program.name.lower()}",
        imports_math=any("math." in text for _, text in host),
        helpers=sorted(helpers if program.stored_only else helpers | {"divide"}),
        row_labels=[*first_rows, *row_keys],
        rows={key: row for row, key in enumerate(row_keys, start=len(first_rows))},
        addresses=[f"{t.key}_address" for t in tile.tensors],
        columns=[column.name for column in parts.columns],
        tile_constants=[*tile_flags, *dtypes],
        tensors=tile.tensors,
        grad=next(t for t in tile.tensors if t.key == "grad"),
        lines=tile.lines,
        prepare=prepare,
        prepare_constants=[
            *prepare_flags,
            *(["step_dtype"] if program.counts_steps else []),
            *(f"{s.key}_dtype" for s in program.scalar_states),
        ],
        advanced=[
            *(["step counts"] if program.counts_steps else []),
            *(["scalar states"] if program.scalar_states else []),
        ],
        flags=[(flag, text) for flag, text in host if flag in {*tile_flags, *prepare_flags}],
        state_keys=tuple(s.key for s in program.states),
        scalar_keys=tuple(s.key for s in program.scalar_states),
        late_states=[t for t in tile.tensors if t.key in absentable],
        counts_steps=program.counts_steps,
    )
    return fitted(text)


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


def _python(names: tuple[str, ...]) -> str:
    """A tuple of strings, as ruff format would have it."""
    return "(" + ", ".join(f'"{name}"' for name in names) + ("," if len(names) == 1 else "") + ")"


@cache
def _template(name: str) -> Template:
    environment = Environment(
        loader=PackageLoader("optdsl.emit.triton", ""),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    environment.globals.update(wrapped=_wrapped, python=_python)
    return environment.get_template(name)
