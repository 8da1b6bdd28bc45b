# Compiled by optdsl 0.1.0 (part of every package). Do not edit.
"""Runs a generated native kernel on tensors of the CPU: all those of a bucket with equal dtypes in one call."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from .arguments import to_float
from .fused import Bucket, is_absent
from .layout import Strides, check_no_overlap, copy_back, is_laid_out, laid_out, walking_strides
from .native_build import build, load
from .native_source import DRIVER

DTYPES = {torch.float32: "F32", torch.float64: "F64", torch.bfloat16: "BF16", torch.float16: "F16"}
"""What the kernel's text calls an element type."""
PARALLEL = 16384
"""A step of fewer elements than this is made by one thread."""

Dtypes = tuple[torch.dtype | None, ...]
"""Dtype of each list of tensors, None for a state that is off."""

_is_forked = False


def _note_fork() -> None:
    global _is_forked
    _is_forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)


def threads(elements: int) -> int:
    """How many threads make a step of so many elements. In a forked child it is one: its parent's do not exist there,
    and OpenMP would wait for them."""
    return 1 if _is_forked or elements < PARALLEL else torch.get_num_threads()


@dataclass(frozen=True)
class Kernel:
    """A compiled kernel: its function, and the bytes that it needs for the scalars of one tensor."""

    step: Any
    scalars_size: int


@dataclass(frozen=True)
class NativeOptimizer:
    """A generated kernel's text, and what a launch must know of it.

    ``flags`` are the constants that the kernel is compiled for, given hyperparameters and presence of states;
    ``assigned`` says which of the states without initial value a step with certain flags assigns. ``hypers`` are those
    that the kernel reads as numbers.
    """

    name: str
    source: str
    flags: Callable[[Mapping[str, Any], Sequence[bool]], dict[str, bool]]
    flag_names: tuple[str, ...]
    states: tuple[str, ...]
    scalar_states: tuple[str, ...]
    hypers: tuple[str, ...]
    counts_steps: bool
    assigned: Callable[[dict[str, bool]], Mapping[str, bool]] = lambda flags: {}
    kernels: dict[Any, Kernel] = field(default_factory=dict, repr=False, compare=False)

    driver: ClassVar[str] = DRIVER
    """What the kernel's text goes on with: the work of all threads."""
    further: ClassVar[tuple[Any, ...]] = ()
    """Types of further arguments of the kernel."""

    @property
    def lists(self) -> tuple[str, ...]:
        """Names of the lists of tensors, in the order in which the kernel takes them."""
        return ("param", "grad", *self.states, *(("step",) if self.counts_steps else ()))

    def tensors(self, bucket: Bucket) -> list[list[Any]]:
        """The tensors of ``bucket`` in the order of ``lists``; a list is empty where a state is off or absent."""
        states = [[] if is_absent(values) else values for values in bucket.states]
        return [bucket.params, bucket.grads, *states, *([bucket.steps] if self.counts_steps else ())]

    def numbers(self, hypers: Mapping[str, Any]) -> list[float]:
        """What the kernel reads of the hyperparameters."""
        return [to_float(hypers[name]) for name in self.hypers]

    def macros(self, dtypes: Dtypes, flags: Mapping[str, bool], scaled: bool) -> dict[str, str]:
        param = dtypes[0]
        assert param is not None
        types = {f"{name.upper()}_T": DTYPES[dtype or param] for name, dtype in zip(self.lists, dtypes, strict=True)}
        real = "double" if param is torch.float64 else "float"
        return {**types, "REAL": real, "SCALED": str(int(scaled)), **{name: str(int(on)) for name, on in flags.items()}}

    def kernel(self, dtypes: Dtypes, flags: Mapping[str, bool], scaled: bool) -> Kernel:
        """The kernel for lists of these ``dtypes``. Raises RuntimeError where there is no working C compiler."""
        key = (dtypes, *flags.items(), scaled)
        if key not in self.kernels:
            library = load(self.name, self.source, self.macros(dtypes, flags, scaled), self.driver)
            size = library.scalars_size
            size.restype = ctypes.c_int64
            step = library.step
            step.restype = None
            pointer, int64 = ctypes.c_void_p, ctypes.c_int64
            step.argtypes = (int64, pointer, pointer, pointer, pointer, ctypes.c_double, ctypes.c_int, *self.further)
            self.kernels[key] = Kernel(step, size())
        return self.kernels[key]

    def build(self, folder: Path, dtype: torch.dtype, flags: Mapping[str, bool]) -> Path:
        """Compiles the kernel for parameters, gradients and states of ``dtype`` ahead, into ``folder``."""
        dtypes = tuple(torch.float32 if self.is_number(name) else dtype for name in self.lists)
        return build(self.name, self.source, self.macros(dtypes, flags, False), folder, self.driver)

    def is_number(self, name: str) -> bool:
        """Whether the tensors of list ``name`` are one number for each parameter, of single precision at least."""
        return name == "step" or name in self.scalar_states

    def launch(self, dtypes: Dtypes, flags: dict[str, bool], lists: list[list[Tensor]]) -> Launch:
        return Launch(self, dtypes, flags, lists)

    @torch.no_grad()
    def step(self, buckets: Sequence[Bucket], grad_scale: Tensor | None, found_inf: Tensor | None) -> None:
        """Makes one step of all ``buckets``; see ``fused_step`` of the generated module."""
        if found_inf is not None and found_inf.item():
            return
        scale = None if grad_scale is None else float(grad_scale.item())
        for bucket in buckets:
            flags = self.flags(bucket.hypers, bucket.present)
            for values, name in zip(bucket.states, self.states, strict=True):
                if is_absent(values) and self.assigned(flags)[name]:
                    values[:] = map(torch.zeros_like, bucket.params)
            for launch in launches(self, bucket, flags):
                launch.run(self.numbers(bucket.hypers), scale)


def launches(optimizer: NativeOptimizer, bucket: Bucket, flags: dict[str, bool]) -> list[Launch]:
    """One launch for each combination of dtypes in ``bucket``."""
    lists = optimizer.tensors(bucket)
    classes: dict[Dtypes, list[int]] = {}
    for i in range(len(bucket.params)):
        classes.setdefault(tuple(tensors[i].dtype if tensors else None for tensors in lists), []).append(i)
    if len(classes) == 1:
        (dtypes,) = classes
        return [optimizer.launch(dtypes, flags, lists)]
    return [
        optimizer.launch(dtypes, flags, [[tensors[i] for i in positions] if tensors else [] for tensors in lists])
        for dtypes, positions in classes.items()
    ]


class Launch:
    """One call of a kernel: the tensors of each list, and where they are.

    The kernel walks memory from an address on, so a parameter, its gradient and its states must be dense and have
    equal strides. Where they are not, the step works on dense copies, and what it writes is copied back.
    """

    def __init__(
        self, optimizer: NativeOptimizer, dtypes: Dtypes, flags: dict[str, bool], lists: list[list[Tensor]]
    ) -> None:
        self.optimizer = optimizer
        self.dtypes = dtypes
        self.flags = flags
        self.lists = lists
        self.count = len(lists[0])
        self.scalars: Any = None
        self.written = [
            row
            for row, (name, tensors) in enumerate(zip(optimizer.lists, lists, strict=True))
            if tensors and name not in ("grad", "step", *optimizer.scalar_states)
        ]
        """The lists whose tensors autograd may have saved, and must be told of new values."""
        self.misplaced: list[tuple[int, int, Strides]] = []
        """Which tensors a step works on copies of, and how these are laid out."""
        walked = [self.walk(param) for param in lists[0]]
        for row, (name, tensors) in enumerate(zip(optimizer.lists, lists, strict=True)):
            if not tensors or optimizer.is_number(name):
                continue
            for i, (tensor, strides) in enumerate(zip(tensors, self.strides_of(name, tensors, walked), strict=True)):
                if not is_laid_out(tensor, strides):
                    if row != 1:
                        check_no_overlap(tensor)
                    self.misplaced.append((row, i, strides))
        sums = [0]
        for param in lists[0]:
            sums.append(sums[-1] + param.numel())
        self.elements = sums[-1]
        self.offsets = (ctypes.c_int64 * len(sums))(*sums)
        self.addresses: list[list[int]] = [[0] * self.count for _ in lists]
        self.table: Any = (ctypes.c_void_p * (len(lists) * self.count))()
        self.hypers: Any = (ctypes.c_double * len(optimizer.hypers))()
        for row, tensors in enumerate(lists):
            self.place(row, list(map(Tensor.data_ptr, tensors)))

    def walk(self, param: Tensor) -> Strides:
        """In which strides the kernel walks a parameter."""
        return walking_strides(param)

    def strides_of(self, name: str, tensors: Sequence[Tensor], walked: Sequence[Strides]) -> Sequence[Strides]:
        """In which strides the kernel walks the tensors of list ``name``, of parameters that are ``walked`` so."""
        return walked

    def further(self) -> tuple[Any, ...]:
        """Further arguments of the kernel."""
        return ()

    def place(self, row: int, addresses: list[int]) -> None:
        """Says where the tensors of a list are now."""
        if addresses and addresses != self.addresses[row]:
            self.addresses[row] = addresses
            self.table[row * self.count : (row + 1) * self.count] = addresses

    def run(self, numbers: Sequence[float], scale: float | None) -> None:
        """Makes the step of the tensors in ``lists``, whose addresses have been said."""
        kernel = self.optimizer.kernel(self.dtypes, self.flags, scale is not None)
        for row in self.written if scale is None else (*self.written, 1):
            torch.autograd.graph.increment_version(self.lists[row])
        copies = [(row, i, laid_out(self.lists[row][i], strides)) for row, i, strides in self.misplaced]
        for row, i, copy in copies:
            self.table[row * self.count + i] = copy.data_ptr()
        if self.scalars is None:
            self.scalars = ctypes.create_string_buffer(self.count * kernel.scalars_size)
        self.hypers[:] = numbers
        kernel.step(
            self.count,
            self.offsets,
            self.table,
            self.hypers,
            self.scalars,
            1.0 if scale is None else scale,
            threads(self.elements),
            *self.further(),
        )
        for row, i, copy in copies:
            if row != 1 or scale is not None:
                copy_back(self.lists[row][i], copy)
