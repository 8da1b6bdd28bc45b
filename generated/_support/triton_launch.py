# Compiled by optdsl 0.1.0 (part of every package). Do not edit.
"""Launches a generated Triton kernel for all tensors of a step at once.

The first step of a set of tensors makes a :class:`Plan`: which tensors share a launch, in which order they are walked,
and tables on the device that say where each of them is. Later steps compare addresses, strides and hyperparameters
with those of the step before and upload only what changed; nothing waits for the device.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from .fused import Bucket
from .triton_layout import Strides, check_no_overlap, is_laid_out, laid_out, walking_strides

CHUNK = 4096
"""Elements of a tensor that one program updates."""
WARPS = 4
PREPARE_LANES = 128
"""Tensors whose scalars one program of the ``prepare`` kernel computes."""
PLANS = 16
"""Sets of tensors that an optimizer class remembers; the one not used for longest is forgotten."""

DTYPES = {
    torch.float16: tl.float16,
    torch.bfloat16: tl.bfloat16,
    torch.float32: tl.float32,
    torch.float64: tl.float64,
}


def tile_constants(dtypes: Iterable[torch.dtype], warp_size: int) -> dict[str, Any]:
    """How a kernel accesses tensors of ``dtypes``: 128 bits a thread for the widest of them, 8 elements a thread."""
    itemsize = max(dtype.itemsize for dtype in dtypes)
    return {"VECTOR": 16 // itemsize, "CHUNK": CHUNK, "BLOCK": 8 * WARPS * warp_size}


def compute_dtype(param: torch.dtype) -> torch.dtype:
    """The dtype in which parameters of dtype ``param`` are updated."""
    return torch.float64 if param is torch.float64 else torch.float32


@dataclass(frozen=True)
class FusedOptimizer:
    """A generated kernel, and what a launch must know of it.

    ``kernel`` makes the step of a chunk. ``prepare``, None for an optimizer without scalars, fills the ``row_size``
    scalars of each tensor from its row of ``hypers`` (float64), and advances step counts and ``scalar_states``.
    ``flags`` are the constants that the kernels are specialised for, given hyperparameters and presence of states.
    Rows of the address table: number of elements, row of hyperparameters, param, grad, ``states``, step count.
    """

    kernel: Any
    prepare: Any
    flags: Callable[[Mapping[str, Any], Sequence[bool]], dict[str, bool]]
    states: tuple[str, ...]
    scalar_states: tuple[str, ...]
    hypers: tuple[str, ...]
    row_size: int
    counts_steps: bool
    plans: OrderedDict[tuple[int, ...], Plan] = field(default_factory=OrderedDict, repr=False, compare=False)

    @torch.no_grad()
    def step(self, buckets: Sequence[Bucket], grad_scale: Tensor | None, found_inf: Tensor | None) -> None:
        """Makes one step of all ``buckets``; see ``fused_step`` of the generated module."""
        if _has_absent(buckets):
            if found_inf is not None and found_inf.item():
                return
            self.create_states(buckets)
        key = tuple(param.data_ptr() for bucket in buckets for param in bucket.params)
        flags = [self.flags(bucket.hypers, bucket.present) for bucket in buckets]
        plan = self.plans.get(key)
        if plan is None or not plan.fits(buckets, flags):
            plan = self.plans[key] = Plan(self, buckets, flags)
        self.plans.move_to_end(key)
        if len(self.plans) > PLANS:
            self.plans.popitem(last=False)
        plan.run(buckets, grad_scale, found_inf)

    @property
    def every_step(self) -> bool:
        """Whether ``prepare`` has work even if no hyperparameter changed."""
        return self.counts_steps or bool(self.scalar_states)

    def create_states(self, buckets: Sequence[Bucket]) -> None:
        """Replaces the ``None`` of absent states by new tensors, which the step assigns."""
        if _is_capturing():
            raise RuntimeError("a graph cannot capture the step that creates a state: make one step before capturing")
        for bucket in buckets:
            for name, values in zip(self.states, bucket.states, strict=True):
                for i, value in enumerate(values):
                    if value is None:
                        param = bucket.params[i]
                        values[i] = param.new_zeros(()).float() if name in self.scalar_states else torch.zeros_like(param)


def _has_absent(buckets: Sequence[Bucket]) -> bool:
    return any(values and values[0] is None for bucket in buckets for values in bucket.states)


def _is_capturing() -> bool:
    return torch.cuda.is_available() and torch.cuda.is_current_stream_capturing()


class Plan:
    """How one set of tensors is stepped: one :class:`Launch` for each class of tensors that can share one."""

    def __init__(self, optimizer: FusedOptimizer, buckets: Sequence[Bucket], flags: list[dict[str, bool]]):
        self.flags = flags
        self.strides = self._strides(buckets)
        self.dtypes = self._dtypes(buckets)
        classes: dict[Any, list[tuple[int, int]]] = {}
        for b, bucket in enumerate(buckets):
            lists = _lists(bucket)
            for i, param in enumerate(bucket.params):
                if param.numel():
                    dtypes = tuple(tensors[i].dtype if tensors else None for tensors in lists)
                    key = (param.device, dtypes, tuple(flags[b].items()))
                    classes.setdefault(key, []).append((b, i))
        self.launches = [
            Launch(optimizer, buckets, members, device, dtypes, dict(constants))
            for (device, dtypes, constants), members in classes.items()
        ]

    def fits(self, buckets: Sequence[Bucket], flags: list[dict[str, bool]]) -> bool:
        """Whether ``buckets``, whose parameters have the addresses of this plan's, are what it was made for."""
        return flags == self.flags and self._strides(buckets) == self.strides and self._dtypes(buckets) == self.dtypes

    @staticmethod
    def _strides(buckets: Sequence[Bucket]) -> list[Any]:
        """Shapes of the parameters, and strides of everything that is walked but the gradients."""
        signature: list[Any] = []
        for bucket in buckets:
            signature += [param.shape for param in bucket.params]
            for tensors in (bucket.params, *bucket.states):
                signature += map(Tensor.stride, tensors)
        return signature

    @staticmethod
    def _dtypes(buckets: Sequence[Bucket]) -> list[Any]:
        return [tensor.dtype for bucket in buckets for tensors in _lists(bucket) for tensor in tensors]

    def run(self, buckets: Sequence[Bucket], grad_scale: Tensor | None, found_inf: Tensor | None) -> None:
        for launch in self.launches:
            with _on_device(launch.device):
                launch.run(
                    buckets,
                    None if grad_scale is None else grad_scale.to(launch.device, non_blocking=True),
                    None if found_inf is None else found_inf.to(launch.device, non_blocking=True),
                )


def _lists(bucket: Bucket) -> list[list[Any]]:
    """The tensors of a bucket in the order of the address table's rows."""
    return [bucket.params, bucket.grads, *bucket.states, bucket.steps]
