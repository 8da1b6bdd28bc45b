# Compiled by optdsl 0.1.0 (part of every package). Do not edit.
"""A native kernel run on the stored rows of sparse gradients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from .fused import Bucket
from .grouping import Batch
from .native import NativeOptimizer
from .sparse import stored_rows, write_back


class StoredNativeOptimizer(NativeOptimizer):
    """A generated kernel whose step is for the stored entries of a gradient, all of them if it is dense."""

    @torch.no_grad()
    def step(self, buckets: Sequence[Bucket], grad_scale: Tensor | None, found_inf: Tensor | None) -> None:
        """Makes one step of all ``buckets``; see ``fused_step`` of the generated module."""
        per_element = [name not in self.scalar_states for name in self.states]
        for bucket in buckets:
            whole = Batch(bucket.params, bucket.grads, list(bucket.states), bucket.steps)
            for part in whole.split([[grad.is_sparse for grad in bucket.grads]]):
                rows, places = stored_rows(part, per_element) if part.grads[0].is_sparse else (part, [])
                stepped = replace(
                    bucket, params=rows.params, grads=rows.grads, states=tuple(rows.states), steps=rows.steps
                )
                super().step([stepped], grad_scale, found_inf)
                if rows is not part:
                    write_back(rows, part, places, per_element)
