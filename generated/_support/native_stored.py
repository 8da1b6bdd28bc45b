# Compiled by optdsl 0.1.0 (part of every package). Do not edit.
"""A native kernel run on the stored rows of sparse gradients."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from .fused import Bucket
from .grouping import Batch
from .layout import is_one_block
from .native import Dtypes, NativeOptimizer, threads
from .sparse import place_of, stored_rows, write_back

LEAST_BYTES = 64
"""Rows shorter than this are stepped as copies side by side, longer ones where they are,"""
LEAST_ELEMENTS = 16384
"""if there are so many elements in them: saying where they are takes longer than copying a few."""


class StoredNativeOptimizer(NativeOptimizer):
    """A generated kernel whose step is for the stored entries of a gradient, all of them if it is dense."""

    @torch.no_grad()
    def step(self, buckets: Sequence[Bucket], grad_scale: Tensor | None, found_inf: Tensor | None) -> None:
        """Makes one step of all ``buckets``; see ``fused_step`` of the generated module."""
        if grad_scale is not None or found_inf is not None:
            raise RuntimeError("a step over stored entries does not unscale gradients")
        for bucket in buckets:
            whole = Batch(bucket.params, bucket.grads, list(bucket.states), bucket.steps)
            whole.grads = [grad.coalesce() if grad.is_sparse else grad for grad in whole.grads]
            lists = self.tensors(replace(bucket, grads=whole.grads))
            kinds = [
                (self._kind(grad, lists, i), tuple(tensors[i].dtype if tensors else None for tensors in lists))
                for i, grad in enumerate(whole.grads)
            ]
            for part, (kind, dtypes) in zip(whole.split([kinds]), dict.fromkeys(kinds), strict=True):
                stepped = replace(bucket, params=part.params, grads=part.grads, states=tuple(part.states))
                stepped.steps = part.steps
                if kind == "dense":
                    super().step([stepped], None, None)
                elif kind == "copied":
                    self._step_copies(stepped, part)
                else:
                    self._step_in_place(stepped, dtypes)

    def _kind(self, grad: Tensor, lists: list[list[Tensor]], i: int) -> str:
        """How the step of tensor ``i`` of the ``lists`` is made."""
        if not grad.is_sparse:
            return "dense"
        values = grad.values()
        walked = (tensors[i] for name, tensors in self._walked(lists) if name != "grad")
        long = values.shape[1:].numel() * values.element_size() >= LEAST_BYTES and values.numel() >= LEAST_ELEMENTS
        return "in place" if long and is_one_block(values) and all(map(is_one_block, walked)) else "copied"

    def _walked(self, lists: list[list[Tensor]]) -> list[tuple[str, list[Tensor]]]:
        """Those of the lists whose tensors have a number per element."""
        scalars = ("step", *self.scalar_states)
        return [(n, tensors) for n, tensors in zip(self.lists, lists, strict=True) if tensors and n not in scalars]

    def _step_copies(self, bucket: Bucket, batch: Batch) -> None:
        """The rows are gathered, stepped and scattered."""
        per_element = [name not in self.scalar_states for name in self.states]
        rows, places = stored_rows(batch, per_element)
        super().step([replace(bucket, params=rows.params, grads=rows.grads, states=tuple(rows.states))], None, None)
        write_back(rows, batch, places, per_element)

    def _step_in_place(self, bucket: Bucket, dtypes: Dtypes) -> None:
        """The kernel takes each row for a tensor, and for each parameter one more without elements.

        That one counts a step that stores nothing. Every row has step count and scalar states of its own.
        """
        lists = self.tensors(bucket)
        kernel = self.kernel(dtypes, self.flags(bucket.hypers, bucket.present), False)
        walked = {name for name, _ in self._walked(lists)}
        tables, sizes, advanced = [], [], []
        for i, grad in enumerate(bucket.grads):
            values, flat = grad.values(), place_of(grad).flat
            count, width = len(flat), values.shape[1:].numel()
            counted = torch.arange(count + 1, device="cpu")
            placed = torch.cat((flat, flat.new_zeros(1)))
            sizes.append(torch.where(counted < count, width, 0))
            rows = []
            for name, tensors in zip(self.lists, lists, strict=True):
                if not tensors:
                    rows.append(torch.zeros_like(counted))
                elif name in walked:
                    tensor = values if name == "grad" else tensors[i]
                    rows.append((counted if name == "grad" else placed) * (width * tensor.element_size()))
                    rows[-1] += tensor.data_ptr()
                else:
                    own = tensors[i].repeat(count + 1)
                    advanced.append((tensors[i], own))
                    rows.append(counted * own.element_size() + own.data_ptr())
            tables.append(torch.stack(rows))
        table = torch.cat(tables, dim=1).contiguous()
        offsets = torch.cat((torch.zeros(1, dtype=torch.int64, device="cpu"), torch.cat(sizes).cumsum(0)))
        for name, tensors in self._walked(lists):
            if name != "grad":
                torch.autograd.graph.increment_version(tensors)
        kernel.step(
            table.shape[1],
            offsets.data_ptr(),
            table.data_ptr(),
            (ctypes.c_double * len(self.hypers))(*self.numbers(bucket.hypers)),
            ctypes.create_string_buffer(table.shape[1] * kernel.scalars_size),
            1.0,
            threads(int(offsets[-1])),
        )
        for tensor, own in advanced:
            tensor.copy_(own[-1])
