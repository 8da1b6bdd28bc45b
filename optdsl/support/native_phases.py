"""Runs a generated native kernel of a step that reduces tensors: passes over each, and small jobs between them."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from . import facts
from .fused import Bucket
from .layout import Strides
from .native import Dtypes, Launch, NativeOptimizer, launches
from .native_source import JOBS_DRIVER
from .shapes import contiguous_strides, matrices, small_shape

ROW = 4096
"""How many elements a row has of a tensor that is walked as a vector."""


@dataclass(frozen=True)
class PhasedNativeOptimizer(NativeOptimizer):
    """A kernel of a step that reduces tensors.

    ``matrix`` says under which flags tensors are walked as matrices. ``flag_facts`` are what flags depend on (``dim``,
    ``rows``, …), ``facts`` what the kernel reads of each parameter as numbers. ``small_states``: the space of each
    tensor state that is not shaped like the parameter.
    """

    driver: ClassVar[str] = JOBS_DRIVER
    further: ClassVar[tuple[Any, ...]] = (ctypes.c_void_p, ctypes.c_void_p)

    matrix: Callable[[dict[str, bool]], bool] = lambda flags: False
    flag_facts: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    small_states: Mapping[str, str] = field(default_factory=dict)

    def is_number(self, name: str) -> bool:
        return super().is_number(name) or self.small_states.get(name) == "tensor"

    def launch(self, dtypes: Dtypes, flags: dict[str, bool], lists: list[list[Tensor]]) -> Launch:
        return PhasedLaunch(self, dtypes, flags, lists)

    @torch.no_grad()
    def step(self, buckets: Sequence[Bucket], grad_scale: Tensor | None, found_inf: Tensor | None) -> None:
        """Makes one step of all ``buckets``. Raises RuntimeError for tensors of which this process has a part only."""
        if any(hasattr(param, "to_local") for bucket in buckets for param in bucket.params):
            raise RuntimeError("`fused=True` does not support distributed tensors for an optimizer that reduces them")
        if found_inf is not None and found_inf.item():
            return
        scale = None if grad_scale is None else float(grad_scale.item())
        for bucket in buckets:
            for known, positions in self.kinds(bucket).items():
                facts_known = dict(zip(self.flag_facts, known, strict=True))
                flags = self.flags(bucket.hypers, bucket.present, facts_known)  # type: ignore[call-arg]
                self.make_states(bucket, positions, flags)
                for launch in launches(self, part_of(bucket, positions), flags):
                    launch.run(self.numbers(bucket.hypers), scale)

    def kinds(self, bucket: Bucket) -> dict[tuple[float, ...], list[int]]:
        """The parameters that agree in the facts that flags depend on."""
        kinds: dict[tuple[float, ...], list[int]] = {}
        for i, param in enumerate(bucket.params):
            kinds.setdefault(tuple(getattr(facts, name)(param) for name in self.flag_facts), []).append(i)
        return kinds

    def make_states(self, bucket: Bucket, positions: Sequence[int], flags: dict[str, bool]) -> None:
        """Gives the parameters at ``positions`` the states that this step assigns for the first time."""
        assigned = self.assigned(flags)
        for values, name in zip(bucket.states, self.states, strict=True):
            if assigned.get(name):
                for i in positions:
                    if values and values[i] is None:
                        values[i] = self.new_state(name, bucket.params[i])

    def new_state(self, name: str, param: Tensor) -> Tensor:
        space = self.small_states.get(name)
        return torch.zeros_like(param) if space is None else param.new_zeros(small_shape(param, space))


def part_of(bucket: Bucket, positions: Sequence[int]) -> Bucket:
    """``bucket`` with the tensors at ``positions`` alone."""

    def of(values: Sequence[Any]) -> list[Any]:
        return [values[i] for i in positions] if values else []

    states = tuple(map(of, bucket.states))
    return replace(bucket, params=of(bucket.params), grads=of(bucket.grads), states=states, steps=of(bucket.steps))


def in_rows(param: Tensor) -> tuple[int, int, int]:
    """A tensor that is walked as a vector: one matrix of rows of :data:`ROW` elements; the last may be shorter."""
    return 1, -(-param.numel() // ROW), ROW


class PhasedLaunch(Launch):
    """One call of a kernel of several jobs."""

    optimizer: PhasedNativeOptimizer

    def walk(self, param: Tensor) -> Strides:
        """Matrices are walked row by row: what is laid out otherwise (as channels last) is copied at every step."""
        return contiguous_strides(param) if self.optimizer.matrix(self.flags) else super().walk(param)

    def strides_of(self, name: str, tensors: Sequence[Tensor], walked: Sequence[Strides]) -> Sequence[Strides]:
        return list(map(contiguous_strides, tensors)) if name in self.optimizer.small_states else walked

    def further(self) -> tuple[Any, ...]:
        params = self.lists[0]
        as_matrix = self.optimizer.matrix(self.flags)
        shapes = [n for param in params for n in (*(matrices if as_matrix else in_rows)(param), param.numel())]
        numbers = [float(getattr(facts, name)(param)) for name in self.optimizer.facts for param in params]
        return (ctypes.c_int64 * len(shapes))(*shapes), (ctypes.c_double * len(numbers))(*numbers)
