"""Launches the generated kernels of a step that reduces tensors: one after another, each for all tensors at once.

How a tensor is cut into parts, and so in which order it is summed, depends on its own shape (and on whether its memory
is aligned), never on what else is in the launch.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from . import facts
from .fused import Bucket
from .layout import Strides
from .shapes import contiguous_strides, matrices, small_shape
from .triton_launch import CHUNK, WARPS, FusedOptimizer, Launch, taken
from .triton_tables import block_map, is_capturing, keep_for_graph

ROW_SPAN = 64
"""Rows that one program walks, at least; no column of a tall matrix has more than about :data:`MOST_PANELS` parts."""
MOST_PANELS = 128
MOST_CHUNKS = 4096
"""Parts of a flat tensor, about."""
PARTS_AT_ONCE = 1024
"""Parts, of all its values together, that a program of a small job reads at once."""
ALIGNMENT = 16
"""Every place in the scratch memory begins at a multiple of so many numbers."""


@dataclass(frozen=True)
class Job:
    """A kernel over ``space`` (``elements``, ``rows``, ``cols``, ``matrices``, ``tensor``), launched under flags for
    which ``active`` holds."""

    kernel: Any
    space: str
    active: Callable[[dict[str, bool]], bool]


@dataclass(frozen=True)
class Slot:
    """A place in the scratch memory: a number for each value of ``space``, or (``parts``) for each part of it."""

    name: str
    space: str
    parts: bool


@dataclass(frozen=True)
class Kind:
    """What tensors have in common that share a launch: the ``facts`` that flags depend on, and their ``tile`` (None for
    those walked as vectors)."""

    facts: tuple[float, ...]
    tile: tuple[int, int, int] | None = None


@dataclass(frozen=True)
class PhasedOptimizer(FusedOptimizer):
    """Generated kernels of a step that reduces tensors.

    ``matrix`` says under which flags tensors are walked as matrices. ``facts`` are what flags depend on (``dim``,
    ``rows``, …). ``small_states``: the space of each tensor state that is not shaped like the parameter.
    """

    jobs: tuple[Job, ...] = ()
    slots: tuple[Slot, ...] = ()
    matrix: Callable[[dict[str, bool]], bool] = lambda flags: False
    facts: tuple[str, ...] = ()
    small_states: Mapping[str, str] = field(default_factory=dict)

    def step(self, buckets: Any, grad_scale: Tensor | None, found_inf: Tensor | None) -> None:
        """Makes one step of all ``buckets``. Raises RuntimeError for tensors of which this process has a part only."""
        if any(hasattr(param, "to_local") for bucket in buckets for param in bucket.params):
            raise RuntimeError("`fused=True` does not support distributed tensors for an optimizer that reduces them")
        super().step(buckets, grad_scale, found_inf)

    def is_scalar(self, name: str) -> bool:
        return super().is_scalar(name) or self.small_states.get(name) == "tensor"

    def kinds(self, bucket: Bucket) -> list[Hashable]:
        kinds: list[Hashable] = []
        for param in bucket.params:
            kind = Kind(tuple(getattr(facts, name)(param) for name in self.facts))
            kinds.append(replace(kind, tile=tile(param)) if self.matrix(self.flags_of(bucket, kind)) else kind)
        return kinds

    def flags_of(self, bucket: Bucket, kind: Kind) -> dict[str, bool]:
        known = dict(zip(self.facts, kind.facts, strict=True))
        return self.flags(bucket.hypers, bucket.present, known)  # type: ignore[call-arg]

    def new_state(self, name: str, param: Tensor) -> Tensor:
        space = self.small_states.get(name)
        if space is None:
            return torch.zeros_like(param)
        return param.new_zeros(small_shape(param, space))

    def launch(self, *args: Any) -> Launch:
        return PhasedLaunch(self, *args)


def tile(param: Tensor) -> tuple[int, int, int]:
    """The smallest powers of two, up to some, that hold its matrices, their rows and columns.

    They decide about tiles: tensors whose matrices are large all have the same.
    """
    batches, rows, cols = (1 << max(size - 1, 0).bit_length() for size in matrices(param))
    rows, cols = min(rows, 1024), min(cols, 1024)
    if rows >= 8 and cols >= 128:
        rows, cols = 8, 128
    return min(batches, 1024) if rows * cols < 1024 else 1, rows, cols


def tile_shape(kind: tuple[int, int, int], size: int) -> tuple[int, int, int]:
    """A tile of ``size`` elements for matrices of ``kind``: matrices, rows (two at least), columns."""
    _, rows, cols = kind
    least = max(2, min(rows, 8))
    width = min(cols, size // least)
    height = max(2, min(rows, size // width)) if cols < 128 or rows < 8 else size // width
    return max(1, size // (width * height)) if height >= rows and width >= cols else 1, height, width


def tile_of(kind: Kind, size: int) -> dict[str, Any]:
    """What kernels are specialised for, for tensors of ``kind`` and tiles of ``size`` elements."""
    batches, rows, cols = (1, 1, size) if kind.tile is None else tile_shape(kind.tile, size)
    return {"FLAT": kind.tile is None, "BATCHES": batches, "ROWS": rows, "COLS": cols}


def width_of(space: str, tile: dict[str, Any]) -> dict[str, int]:
    """How many values one program of a job over ``space`` makes, and how many parts of each it reads at once."""
    small = tile["BATCHES"] > 1
    width = {"elements": 1, "tensor": 1, "matrices": 64 if small else 1, "rows": 128, "cols": 128}[space]
    return {"WIDTH": width, "DEPTH": PARTS_AT_ONCE // width}


class PhasedLaunch(Launch):
    """The launches of all jobs for tensors of one device, set of dtypes, set of flags and tile."""

    optimizer: PhasedOptimizer

    @property
    def is_flat(self) -> bool:
        return self.kind.tile is None

    def walk(self, param: Tensor) -> Strides:
        """Matrices are walked row by row: what is laid out otherwise (as channels last) is copied at every step."""
        return super().walk(param) if self.is_flat else contiguous_strides(param)

    def strides_of(self, row: int, i: int) -> Strides:
        name = self.optimizer.names[row]
        if name not in self.optimizer.small_states:
            return super().strides_of(row, i)
        return self.small_strides[name][i]

    def make_ready(self, params: list[Tensor], constants: dict[str, Any]) -> None:
        """Cuts the tensors into parts, and lays out the scratch memory."""
        tiles = tile_of(self.kind, constants["BLOCK"])
        batches, rows, cols = tiles["BATCHES"], tiles["ROWS"], tiles["COLS"]
        shapes = list(map(matrices, params))
        if self.is_flat:
            spans = [max(CHUNK, power_of_two(n / MOST_CHUNKS)) for n in self.sizes]
            blocks = [-(-n // span) for n, span in zip(self.sizes, spans, strict=True)]
        else:
            spans = [max(ROW_SPAN, rows, power_of_two(shape[1] / MOST_PANELS)) for shape in shapes]
            blocks = [
                -(-b // batches) * -(-r // span) * -(-c // cols) if b * r * c else 0
                for (b, r, c), span in zip(shapes, spans, strict=True)
            ]
        counts = {
            "elements": [n and blocks[i] for i, n in enumerate(self.sizes)],
            "tensor": [1] * len(shapes),
            "matrices": [b if n else 0 for (b, _, _), n in zip(shapes, self.sizes, strict=True)],
            "rows": [b * r for b, r, _ in shapes],
            "cols": [b * c for b, _, c in shapes],
        }
        parts = {
            "tensor": [2 * n for n in blocks],
            "rows": [-(-c // cols) * b * r for b, r, c in shapes],
            "cols": [-(-r // span) * b * c for (b, r, c), span in zip(shapes, spans, strict=True)],
        }
        dims = [param.dim() for param in params]
        self.geometry_rows = [*map(list, zip(*shapes, strict=True)), spans, parts["tensor"], dims]
        self.scratch_size = 0
        for slot in self.optimizer.slots:
            per_tensor = (parts if slot.parts else counts)[slot.space]
            offsets = []
            for n in per_tensor:
                offsets.append(self.scratch_size)
                if not self.is_flat or slot.space == "tensor":
                    self.scratch_size += -(-n // ALIGNMENT) * ALIGNMENT
            self.geometry_rows.append(offsets)
        self.scratch = torch.empty(self.scratch_size, dtype=self.rows.dtype, device=self.device)

        self.jobs = []
        maps: dict[str, tuple[Tensor, Tensor]] = {}
        for job in self.optimizer.jobs:
            if not job.active(self.flags):
                continue
            widths = width_of(job.space, tiles)
            if job.space not in maps:
                maps[job.space] = block_map(counts[job.space], widths["WIDTH"], self.device)
            self.jobs.append((job, maps[job.space], taken(job.kernel, {**constants, **tiles, **widths})))
        self.blocks = tuple(maps.values())  # type: ignore[assignment]

    def geometry(self) -> list[int]:
        return [value for row in self.geometry_rows for value in row]

    def _misplaced(self, lists: list[list[Tensor]]) -> list[tuple[int, int]]:
        small = self.optimizer.small_states
        self.small_strides = {
            name: list(map(contiguous_strides, tensors))
            for name, tensors in zip(self.optimizer.names, lists, strict=True)
            if name in small
        }
        return super()._misplaced(lists)

    def run_kernels(
        self, table: Tensor, rows: Tensor | None, grad_scale: Tensor | None, found_inf: Tensor | None
    ) -> None:
        scratch = self.scratch
        if is_capturing():
            scratch = torch.empty_like(scratch)
            keep_for_graph(scratch)
        for job, (block_tensor, block_chunk), constants in self.jobs:
            if not len(block_tensor):
                continue
            scaling = (grad_scale, found_inf) if job.space == "elements" else (found_inf,)
            job.kernel[(len(block_tensor),)](
                table, len(self.sizes), block_tensor, block_chunk, rows, scratch, *scaling,
                **constants, num_warps=WARPS, enable_fp_fusion=True,
            )  # fmt: skip


def power_of_two(least: float) -> int:
    """The smallest power of two that is ``least`` or more."""
    power = 1
    while power < least:
        power *= 2
    return power
