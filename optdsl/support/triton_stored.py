"""Launches a generated Triton kernel for the stored rows of sparse gradients, of all tensors of a step at once.

What is stored differs from step to step, so nothing is kept between steps but the compiled kernels.
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
import triton  # type: ignore[import-untyped]
import triton.language as tl  # type: ignore[import-untyped]
from torch import Tensor

from .arguments import to_float
from .fused import Bucket
from .layout import check_no_overlap, is_one_block
from .sparse import Place, place_of
from .triton_launch import (
    PREPARE_LANES,
    WARPS,
    Dtypes,
    FusedOptimizer,
    compute_dtype,
    constants,
    on_device,
    taken,
    warp_size,
)

CHUNK = 1024
"""Stored elements that one program updates."""


@triton.jit
def row_places(first, offsets, mask, index, width, VECTOR: tl.constexpr, SIZE: tl.constexpr):
    """Where the stored elements ``first + offsets`` are in their tensor.

    Element e is in stored row e // width, which is row ``index[e // width]`` of the tensor. With VECTOR > 1, ``width``
    and ``first`` are multiples of it, so that VECTOR elements in a row are side by side.
    """
    row = first // width
    column = first - row * width + offsets
    if width < SIZE:
        passed = column.to(tl.int32) // width.to(tl.int32)
    else:  # no more than one row ends here, and no division is needed
        passed = (column >= width).to(tl.int32)
    places = (tl.load(index + row + passed, mask=mask, other=0) - passed) * width + column
    if VECTOR > 1:
        places = tl.max_contiguous(tl.multiple_of(places, VECTOR), VECTOR)
    return places


@triton.jit
def row_pointers(address, dtype: tl.constexpr, places, VECTOR: tl.constexpr):
    """Pointers to the elements at ``places`` of the tensor at ``address``, known to be aligned to VECTOR elements.

    The hint is given here, as in ``tile_pointer``; on the address it would be lost, which nothing is added to.
    """
    pointers = address.to(tl.pointer_type(dtype)) + places
    if VECTOR > 1:
        pointers = tl.multiple_of(pointers, VECTOR * dtype.primitive_bitwidth // 8)
    return pointers


@dataclass
class StoredRows:
    """One parameter as a launch sees it: ``values`` to be stepped with rows ``index`` of ``tensors``.

    ``tensors`` are the parameter and its states, in the order of the address table and contiguous; where one of the
    ``originals`` is not, they are copies of the rows, which ``put_back`` returns.
    """

    values: Tensor
    index: Tensor
    place: Place
    originals: list[Tensor]
    tensors: list[Tensor]

    @classmethod
    def of(cls, grad: Tensor, originals: list[Tensor]) -> StoredRows:
        """A dense gradient is one stored row: the whole tensor."""
        if grad.is_sparse:
            grad = grad.coalesce()
            place, values = place_of(grad), grad.values().resolve_neg().contiguous()
        else:
            nowhere = torch.zeros(0, 1, dtype=torch.int64, device=grad.device)
            place, values = Place(nowhere, nowhere.new_zeros(1)), grad.unsqueeze(0).resolve_neg().contiguous()
        if all(map(is_one_block, originals)):
            return cls(values, place.flat.contiguous(), place, originals, originals)
        for tensor in originals:
            check_no_overlap(tensor)
        index = torch.arange(len(values), device=grad.device)
        return cls(values, index, place, originals, [place.gather(tensor).contiguous() for tensor in originals])

    @property
    def width(self) -> int:
        """Elements of a row."""
        return self.values.shape[1:].numel()

    def put_back(self) -> None:
        if self.tensors is not self.originals:
            for tensor, updated in zip(self.originals, self.tensors, strict=True):
                self.place.scatter(tensor, updated)


class StoredFusedOptimizer(FusedOptimizer):
    """A generated kernel whose step is for the stored entries of a gradient, all of them if it is dense.

    Rows of the address table: number of stored elements, row of hyperparameters, elements of a row, index of the rows,
    first program, then ``lists``.
    """

    @torch.no_grad()
    def step(self, buckets: Sequence[Bucket], grad_scale: Tensor | None, found_inf: Tensor | None) -> None:
        """Makes one step of all ``buckets``; see ``fused_step`` of the generated module."""
        if grad_scale is not None or found_inf is not None:
            raise RuntimeError("a step over stored entries does not unscale gradients")
        classes: dict[Any, list[tuple[int, int]]] = {}
        for b, bucket in enumerate(buckets):
            flags = tuple(self.flags(bucket.hypers, bucket.present).items())
            lists = self.lists(bucket)
            for i, param in enumerate(bucket.params):
                dtypes: Dtypes = tuple(tensors[i].dtype if tensors else None for tensors in lists)
                classes.setdefault((param.device, dtypes, flags), []).append((b, i))
        for (device, dtypes, flags), members in classes.items():
            with on_device(device):
                self._launch(buckets, members, device, dtypes, dict(flags))

    def _launch(
        self,
        buckets: Sequence[Bucket],
        members: list[tuple[int, int]],
        device: torch.device,
        dtypes: Dtypes,
        flags: dict[str, bool],
    ) -> None:
        """Makes the step of ``members``, the tensors (bucket, position in it) that can share a launch."""
        tensor_rows = [row for row, name in enumerate(self.names) if row != 1 and not self.is_scalar(name)]
        lists = [self.lists(bucket) for bucket in buckets]
        stored = [
            StoredRows.of(buckets[b].grads[i], [lists[b][row][i] for row in tensor_rows if lists[b][row]])
            for b, i in members
        ]
        for rows in stored:
            torch.autograd.graph.increment_version(rows.originals)

        addresses: list[list[int]] = [[] for _ in self.names]
        for (b, i), rows in zip(members, stored, strict=True):
            tensors = iter(rows.tensors)
            for row, values in enumerate(lists[b]):
                if row == 1:
                    address = rows.values.data_ptr()
                elif not values:
                    address = 0
                else:
                    address = (next(tensors) if row in tensor_rows else values[i]).data_ptr()
                addresses[row].append(address)
        sizes = [rows.values.numel() for rows in stored]
        first, *later = accumulate((-(-size // CHUNK) for size in sizes), initial=0)
        groups = [b for b, _ in members]
        widths, indices = [max(rows.width, 1) for rows in stored], [rows.index.data_ptr() for rows in stored]
        table = torch.tensor([sizes, groups, widths, indices, [first, *later[:-1]], *addresses], device="cpu").to(
            device
        )

        count = len(members)
        known = constants(self, dtypes, flags, warp_size(device)) | {"CHUNK": CHUNK}
        scalars = None
        if self.prepare is not None:
            scalars = torch.empty(count * self.row_size, dtype=compute_dtype(dtypes), device=device)
            self.prepare[(-(-count // PREPARE_LANES),)](
                table, count, self._hypers(buckets, device), scalars, None,
                **taken(self.prepare, known), num_warps=WARPS, enable_fp_fusion=True,
            )  # fmt: skip
        if later[-1]:
            self.kernel[(later[-1],)](
                table, count, scalars, **taken(self.kernel, known), num_warps=WARPS, enable_fp_fusion=True
            )
        for rows in stored:
            rows.put_back()

    def _hypers(self, buckets: Sequence[Bucket], device: torch.device) -> Tensor:
        """The hyperparameters on the device, a row for each bucket."""
        values = [bucket.hypers[name] for bucket in buckets for name in self.hypers]
        numbers = [0.0 if isinstance(value, Tensor) else to_float(value) for value in values]
        hypers = torch.tensor(numbers, dtype=torch.float64, device="cpu").to(device)
        for i, value in enumerate(values):
            if isinstance(value, Tensor):
                hypers[i].copy_(value.reshape(()))
        return hypers
