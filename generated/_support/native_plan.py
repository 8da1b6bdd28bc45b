# Compiled by optdsl 0.1.0 (part of every package). Do not edit.
"""What stepping a parameter group takes, kept from one step to the next.

With many small tensors a step is bound by Python: most of its time would go into lists that are the same as before. A
:class:`NativePlan` keeps them, and each step only asks whether they still hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from operator import attrgetter, is_
from typing import Any

import torch
from torch import Tensor

from .fused import Bucket, GroupPlan, is_absent
from .native import Launch, NativeOptimizer, launches

try:
    from torch._C._dynamo import guards as _guards
except ImportError:  # It is a private part of torch, which does in C++ what otherwise is done in Python.
    _guards = None  # type: ignore[assignment]

States = Mapping[Tensor, dict[str, Any]]

_grad = attrgetter("grad")
_values = dict.values
_dtype_and_shape = attrgetter("dtype", "shape")


def remember_metadata(tensors: Sequence[Tensor]) -> Callable[..., bool]:
    """A function that tells whether as many tensors are strided, with the dtypes, shapes and strides of these."""
    if _guards is None:
        metadata = _metadata(tensors)
        return lambda *others: _metadata(others) == metadata
    sizes: Any = [list(tensor.size()) for tensor in tensors]
    strides: Any = [list(tensor.stride()) for tensor in tensors]
    return _guards.TensorGuards(*tensors, dynamic_dims_sizes=sizes, dynamic_dims_strides=strides).check


def _metadata(tensors: Sequence[Tensor | None]) -> list[Any] | None:
    if any(tensor is None or tensor.layout is not torch.strided for tensor in tensors):
        return None
    of_each = (_dtype_and_shape, Tensor.stride, Tensor.is_neg)
    return [of(tensor) for of in of_each for tensor in tensors]  # type: ignore[arg-type]


def _same(a: Sequence[Any], b: Sequence[Any]) -> bool:
    """Whether two sequences hold the same objects."""
    return len(a) == len(b) and all(map(is_, a, b))


class NativePlan:
    """The launches that step one parameter group, and all that they depend on. It keeps no gradient alive."""

    def __init__(
        self,
        optimizer: NativeOptimizer,
        group: Mapping[str, Any],
        keys: tuple[str | None, ...],
        state: States,
        buckets: Sequence[Bucket],
    ) -> None:
        """``state``: that of all groups. ``buckets``: the tensors of ``group`` that have gradients."""
        self.optimizer = optimizer
        self.keys = keys
        self.params = list(group["params"])
        stepped = {id(param) for bucket in buckets for param in bucket.params}
        self.idle = [param for param in self.params if id(param) not in stepped]
        self.state = state
        self.states = list(state.values())
        self.cases = [(bucket.present, optimizer.flags(bucket.hypers, bucket.present)) for bucket in buckets]
        self.parts = [
            _Part(launch, state)
            for bucket, (_, flags) in zip(buckets, self.cases, strict=True)
            for launch in launches(optimizer, bucket, flags)
        ]

    def step(self, group: Mapping[str, Any], state: States, hypers: Mapping[str, Any], scale: float | None) -> bool:
        """Makes the step of ``group``, or returns False if anything is no longer what the plan was made for."""
        if not (
            _same(group["params"], self.params)
            and state is self.state
            and _same(list(state.values()), self.states)
            and all(param.grad is None for param in self.idle)
            and all(self.optimizer.flags(hypers, present) == flags for present, flags in self.cases)
            and all(part.fits() for part in self.parts)
        ):
            return False
        numbers = self.optimizer.numbers(hypers)
        for part in self.parts:
            part.launch.run(numbers, scale)
        for part in self.parts:
            part.release()
        return True


class _Part:
    """A launch whose gradients are looked up anew, and whose other tensors must be the same ones at each step."""

    def __init__(self, launch: Launch, state: States) -> None:
        self.launch = launch
        params, grads, *states = launch.lists
        self.fits_metadata = remember_metadata([*params, *grads])
        self.states = [state[param] for param in params] if any(states) else []
        self.values = list(chain.from_iterable(map(_values, self.states)))
        self.tensors = [value for value in self.values if isinstance(value, Tensor)]
        self.addresses = list(map(Tensor.data_ptr, self.tensors))
        self.release()

    def fits(self) -> bool:
        """Whether the launch can be run again; says where the gradients and parameters are now."""
        launch = self.launch
        params = launch.lists[0]
        grads = list(map(_grad, params))
        if not (
            self.fits_metadata(*params, *grads)
            and _same(list(chain.from_iterable(map(_values, self.states))), self.values)
            and list(map(Tensor.data_ptr, self.tensors)) == self.addresses
        ):
            return False
        launch.lists[1] = grads
        launch.place(0, list(map(Tensor.data_ptr, params)))
        launch.place(1, list(map(Tensor.data_ptr, grads)))
        return True

    def release(self) -> None:
        """Lets the gradients go."""
        self.launch.lists[1] = []


def plan_group(
    optimizer: NativeOptimizer,
    group: Mapping[str, Any],
    keys: tuple[str | None, ...],
    state: States,
    buckets: Sequence[Bucket],
) -> GroupPlan | None:
    """A plan for the next steps of ``group``; None if the next one will differ from those after it."""
    for bucket in buckets:
        assigned = optimizer.assigned(optimizer.flags(bucket.hypers, bucket.present))
        for name, values in zip(optimizer.states, bucket.states, strict=True):
            if is_absent(values) and assigned[name]:
                return None
    return NativePlan(optimizer, group, keys, state, buckets) if buckets else None
