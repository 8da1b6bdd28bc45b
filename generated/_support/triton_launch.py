# Compiled by optdsl 0.1.0 (part of every package). Do not edit.
"""Launches a generated Triton kernel for all tensors of a step at once.

The first step of a set of tensors makes a :class:`Plan`: which tensors share a launch, in which order they are walked,
and tables on the device that say where each of them is. Later steps compare addresses, strides and hyperparameters
with those of the step before and upload only what changed; nothing waits for the device.
"""

from __future__ import annotations

import operator
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import torch
import triton.language as tl  # type: ignore[import-untyped]
from torch import Tensor

from .arguments import to_float
from .fused import Bucket, is_absent
from .layout import Strides, check_no_overlap, copy_back, is_laid_out, laid_out, walking_strides
from .triton_tables import Mirror, block_map, is_capturing, keep_for_graph

CHUNK = 4096
"""Elements of a tensor that one program updates."""
WARPS = 4
"""Warps of a program."""
PREPARE_LANES = 128
"""Tensors whose scalars one program of a ``prepare`` kernel computes."""
PLANS = 16
"""Sets of tensors that an optimizer remembers; the one not used for longest is forgotten."""

DTYPES = {
    torch.float16: tl.float16,
    torch.bfloat16: tl.bfloat16,
    torch.float32: tl.float32,
    torch.float64: tl.float64,
}

Dtypes = tuple[torch.dtype | None, ...]
"""Dtype of each list of tensors of a bucket, None for a state that is off."""


@dataclass(frozen=True)
class FusedOptimizer:
    """A generated kernel, and what a launch must know of it.

    ``kernel`` makes the step of a chunk. ``prepare``, None for an optimizer without scalars, fills the ``row_size``
    scalars of each tensor from its row of ``hypers`` (float64), and advances step counts and ``scalar_states``.
    ``flags`` are the constants that the kernels are specialised for, given hyperparameters and presence of states;
    ``assigned`` says which of the states without initial value a step with certain flags assigns.
    Rows of the address table: number of elements, row of hyperparameters, then ``lists``.
    """

    kernel: Any
    prepare: Any
    flags: Callable[[Mapping[str, Any], Sequence[bool]], dict[str, bool]]
    states: tuple[str, ...]
    scalar_states: tuple[str, ...]
    hypers: tuple[str, ...]
    row_size: int
    counts_steps: bool
    assigned: Callable[[dict[str, bool]], Mapping[str, bool]] = lambda flags: {}
    plans: OrderedDict[tuple[int, ...], Plan] = field(default_factory=OrderedDict, repr=False, compare=False)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the ``lists``."""
        return ("param", "grad", *self.states, *(("step",) if self.counts_steps else ()))

    def lists(self, bucket: Bucket) -> list[list[Any]]:
        """The tensors of ``bucket`` in the order of the table's rows; a list is empty where there is no state."""
        states = [[] if is_absent(values) else values for values in bucket.states]
        return [bucket.params, bucket.grads, *states, *([bucket.steps] if self.counts_steps else ())]

    def is_scalar(self, name: str) -> bool:
        """Whether the tensors of a list are 0-dim, rather than shaped like the parameter."""
        return name == "step" or name in self.scalar_states

    def kinds(self, bucket: Bucket) -> list[Hashable]:
        """What of each parameter of ``bucket`` asks for a launch of its own."""
        return [()] * len(bucket.params)

    def flags_of(self, bucket: Bucket, kind: Any) -> dict[str, bool]:
        """The constants that the kernels are specialised for, for the parameters of ``bucket`` of some kind."""
        return self.flags(bucket.hypers, bucket.present)

    def members_assigning(self, bucket: Bucket, state: str) -> list[int]:
        """Positions of the parameters of ``bucket`` to which a step would give a ``state``."""
        kinds = self.kinds(bucket)
        assigning = {kind for kind in set(kinds) if self.assigned(self.flags_of(bucket, kind))[state]}
        return [i for i, kind in enumerate(kinds) if kind in assigning]

    def new_state(self, name: str, param: Tensor) -> Tensor:
        """Memory for the state ``name`` of ``param``."""
        return torch.zeros_like(param)

    def launch(self, *args: Any) -> Launch:
        """A :class:`Launch` of these arguments."""
        return Launch(self, *args)

    @property
    def every_step(self) -> bool:
        """Whether ``prepare`` has work even if no hyperparameter changed."""
        return self.counts_steps or bool(self.scalar_states)

    @torch.no_grad()
    def step(self, buckets: Sequence[Bucket], grad_scale: Tensor | None, found_inf: Tensor | None) -> None:
        """Makes one step of all ``buckets``; see ``fused_step`` of the generated module."""
        created = [
            (bucket, i, which)
            for bucket in buckets
            for i, name in enumerate(self.states)
            if is_absent(bucket.states[i]) and (which := self.members_assigning(bucket, name))
        ]
        if created:
            # Only the device knows whether this step will be made; it is asked this once.
            if found_inf is not None and found_inf.item():
                return
            if is_capturing():
                raise RuntimeError("a graph cannot capture the step that creates a state: make one step before it")
            for bucket, i, which in created:
                for j in which:
                    bucket.states[i][j] = self.new_state(self.states[i], bucket.params[j])
        buckets = [_local(bucket) for bucket in buckets]
        key = tuple(param.data_ptr() for bucket in buckets for param in bucket.params)
        plan = self.plans.get(key)
        if plan is None or not plan.fits(buckets):
            plan = self.plans[key] = Plan(self, buckets)
        self.plans.move_to_end(key)
        if len(self.plans) > PLANS:
            self.plans.popitem(last=False)
        plan.run(buckets, grad_scale, found_inf)


def _local(bucket: Bucket) -> Bucket:
    """``bucket`` with this process's part of each distributed tensor."""
    if not any(hasattr(param, "to_local") for param in bucket.params):
        return bucket

    def parts(tensors: Sequence[Any]) -> list[Any]:
        return [tensor.to_local() if hasattr(tensor, "to_local") else tensor for tensor in tensors]

    states = tuple(map(parts, bucket.states))
    return replace(
        bucket, params=parts(bucket.params), grads=parts(bucket.grads), states=states, steps=parts(bucket.steps)
    )


class Plan:
    """How one set of tensors is stepped: one :class:`Launch` for each class of tensors that can share one."""

    def __init__(self, optimizer: FusedOptimizer, buckets: Sequence[Bucket]):
        self.optimizer = optimizer
        kinds = [optimizer.kinds(bucket) for bucket in buckets]
        self.kinds = [tuple(dict.fromkeys(own)) for own in kinds]
        self.flags = self._flags(buckets)
        self.signature = _signature(buckets)
        self.references = [weakref.ref(tensor) for tensor in _kept(buckets)]
        self.strides = _strides(buckets)
        classes: dict[Any, dict[int, list[int]]] = {}
        for b, bucket in enumerate(buckets):
            lists = optimizer.lists(bucket)
            for i, param in enumerate(bucket.params):
                dtypes: Dtypes = tuple(tensors[i].dtype if tensors else None for tensors in lists)
                flags = tuple(self.flags[b][kinds[b][i]].items())
                kind = (param.device, dtypes, flags, kinds[b][i])
                classes.setdefault(kind, {}).setdefault(b, []).append(i)
        self.launches = [
            optimizer.launch(buckets, members, device, dtypes, dict(flags), kind)
            for (device, dtypes, flags, kind), members in classes.items()
        ]

    def _flags(self, buckets: Sequence[Bucket]) -> list[dict[Any, dict[str, bool]]]:
        """For each bucket, the flags of each kind of parameter in it."""
        return [
            {kind: self.optimizer.flags_of(bucket, kind) for kind in own}
            for bucket, own in zip(buckets, self.kinds, strict=True)
        ]

    def fits(self, buckets: Sequence[Bucket]) -> bool:
        """Whether ``buckets``, whose parameters have the addresses of this plan's, are what it was made for.

        They are if the tensors are the same objects, in the same layout; else shapes and dtypes must be compared.
        """
        if len(buckets) != len(self.kinds) or _strides(buckets) != self.strides or self._flags(buckets) != self.flags:
            return False
        tensors = _kept(buckets)
        if len(tensors) == len(self.references) and all(map(operator.is_, (r() for r in self.references), tensors)):
            return True
        self.references = [weakref.ref(tensor) for tensor in tensors]
        return _signature(buckets) == self.signature

    def run(self, buckets: Sequence[Bucket], grad_scale: Tensor | None, found_inf: Tensor | None) -> None:
        """Makes the step."""
        for launch in self.launches:
            with on_device(launch.device):
                launch.run(
                    buckets,
                    None if grad_scale is None else grad_scale.to(launch.device, non_blocking=True),
                    None if found_inf is None else found_inf.to(launch.device, non_blocking=True),
                )


def _walked(buckets: Sequence[Bucket]) -> list[Any]:
    """Parameters and states."""
    walked: list[Any] = []
    for bucket in buckets:
        walked += bucket.params
        for values in bucket.states:
            walked += [] if is_absent(values) else values
    return walked


def _kept(buckets: Sequence[Bucket]) -> list[Tensor]:
    """The tensors that last from step to step: all but the gradients."""
    return _walked(buckets) + [step for bucket in buckets for step in bucket.steps]


def _strides(buckets: Sequence[Bucket]) -> list[Any]:
    """Strides of parameters and states; those of the gradients a launch looks at itself."""
    return list(map(Tensor.stride, _walked(buckets)))


def _signature(buckets: Sequence[Bucket]) -> list[Any]:
    """Shapes and dtypes that a plan depends on."""
    tensors = _kept(buckets) + [grad for bucket in buckets for grad in bucket.grads]
    return [param.shape for bucket in buckets for param in bucket.params] + [tensor.dtype for tensor in tensors]


class Launch:
    """A launch of the kernel, preceded by one of ``prepare``: tensors of one device, set of dtypes and set of flags.

    ``members`` are the tensors: for each bucket, by its index, their positions in it.
    """

    def __init__(
        self,
        optimizer: FusedOptimizer,
        buckets: Sequence[Bucket],
        members: dict[int, list[int]],
        device: torch.device,
        dtypes: Dtypes,
        flags: dict[str, bool],
        kind: Any,
    ):
        self.optimizer = optimizer
        self.members = members
        self.device = device
        self.dtypes = dtypes
        self.flags = flags
        self.kind = kind
        params, _, *others = self.gather(buckets)
        self.sizes = [param.numel() for param in params]
        self.strides = [self.walk(param) for param in params]
        self.misplaced = self._misplaced([params, [], *others])
        self.grad_layouts: list[Any] = []
        self.groups = [group for group, positions in enumerate(members.values()) for _ in positions]
        self.table = Mirror("q", torch.int64, device)
        self.hypers = Mirror("d", torch.float64, device)
        self.rows = torch.empty(len(params) * optimizer.row_size, dtype=compute_dtype(dtypes), device=device)
        values = self.constants()
        self.prepare_constants = taken(optimizer.prepare, values) if optimizer.prepare else {}
        self.make_ready(params, values)

    def walk(self, param: Tensor) -> Strides:
        """The strides in which a step walks ``param`` and what is shaped like it."""
        return walking_strides(param)

    def strides_of(self, row: int, i: int) -> Strides:
        """The strides in which a step walks tensor ``i`` of list ``row``."""
        return self.strides[i]

    def constants(self) -> dict[str, Any]:
        """What kernels are specialised for, by the name of their parameter."""
        return constants(self.optimizer, self.dtypes, self.flags, warp_size(self.device))

    def make_ready(self, params: list[Tensor], constants: dict[str, Any]) -> None:
        """Prepares what :meth:`run_kernels` needs."""
        self.blocks = block_map(self.sizes, CHUNK, self.device)
        self.kernel_constants = taken(self.optimizer.kernel, constants)

    def gather(self, buckets: Sequence[Bucket]) -> list[list[Tensor]]:
        """The tensors of this launch, in the lists of ``FusedOptimizer.lists``."""
        gathered: list[list[Tensor]] = [[] for _ in self.optimizer.names]
        for b, positions in self.members.items():
            whole = len(positions) == len(buckets[b].params)
            for into, tensors in zip(gathered, self.optimizer.lists(buckets[b]), strict=True):
                into += tensors if whole or not tensors else [tensors[i] for i in positions]
        return gathered

    # -------------------------------------------------------------------------------------------------------- layout

    def _misplaced(self, lists: list[list[Tensor]]) -> list[tuple[int, int]]:
        """Where (list, position) parameters and states are not laid out as the kernel walks them."""
        misplaced = []
        for row, (name, tensors) in enumerate(zip(self.optimizer.names, lists, strict=True)):
            for i, tensor in enumerate(() if self.optimizer.is_scalar(name) else tensors):
                if not is_laid_out(tensor, self.strides_of(row, i)):
                    check_no_overlap(tensor)
                    misplaced.append((row, i))
        return misplaced

    def lay_out(self, lists: list[list[Tensor]]) -> list[tuple[int, Tensor, Tensor]]:
        """Puts copies in the place of tensors that are laid out otherwise: (list, the tensor, its copy)."""
        layouts = [(grad.stride(), grad.is_neg()) for grad in lists[1]]
        if layouts != self.grad_layouts:
            self.grad_layouts = layouts
            self.misplaced_grads = [(1, i) for i, grad in enumerate(lists[1]) if not is_laid_out(grad, self.strides[i])]
        copies = []
        for row, i in (*self.misplaced, *self.misplaced_grads):
            tensor = lists[row][i]
            lists[row][i] = laid_out(tensor, self.strides_of(row, i))
            copies.append((row, tensor, lists[row][i]))
        return copies

    # ---------------------------------------------------------------------------------------------------------- step

    def run(self, buckets: Sequence[Bucket], grad_scale: Tensor | None, found_inf: Tensor | None) -> None:
        """Makes the step of this launch's tensors; ``grad_scale`` and ``found_inf`` are on its device."""
        lists = self.gather(buckets)
        written = [tensors for row, tensors in enumerate(lists) if row != 1 or grad_scale is not None]
        torch.autograd.graph.increment_version([tensor for tensors in written for tensor in tensors])
        copies = self.lay_out(lists)
        table, _ = self.table.show(self._table(lists))
        rows = self._prepared_rows(buckets, table, found_inf)
        self.run_kernels(table, rows, grad_scale, found_inf)
        for row, tensor, copy in copies:
            if row != 1 or grad_scale is not None:
                copy_back(tensor, copy)
        if is_capturing():
            keep_for_graph(table, rows, self.blocks)

    def run_kernels(
        self, table: Tensor, rows: Tensor | None, grad_scale: Tensor | None, found_inf: Tensor | None
    ) -> None:
        """Makes the step, scalars having been prepared."""
        block_tensor, block_chunk = self.blocks
        if len(block_tensor):
            self.optimizer.kernel[(len(block_tensor),)](
                table, len(self.sizes), block_tensor, block_chunk, rows, grad_scale, found_inf,
                **self.kernel_constants, num_warps=WARPS, enable_fp_fusion=True,
            )  # fmt: skip

    def _table(self, lists: list[list[Tensor]]) -> list[int]:
        """The address table, row after row."""
        table = [*self.sizes, *self.groups, *self.geometry()]
        for tensors in lists:
            table += map(Tensor.data_ptr, tensors) if tensors else [0] * len(self.sizes)
        return table

    def geometry(self) -> list[int]:
        """Rows of the table that stand before the addresses."""
        return []

    def _prepared_rows(self, buckets: Sequence[Bucket], table: Tensor, found_inf: Tensor | None) -> Tensor | None:
        """The scalars of this step, one row for each tensor. A graph has rows of its own, and fills them itself."""
        if self.optimizer.prepare is None:
            return None
        hypers, changed = self._shown_hypers(buckets)
        rows = self.rows
        if is_capturing():
            rows = torch.empty_like(rows)
            keep_for_graph(hypers)
        if changed or self.optimizer.every_step or rows is not self.rows:
            count = len(self.sizes)
            self.optimizer.prepare[(-(-count // PREPARE_LANES),)](
                table, count, hypers, rows, found_inf,
                **self.prepare_constants, num_warps=WARPS, enable_fp_fusion=True,
            )  # fmt: skip
        return rows

    def _shown_hypers(self, buckets: Sequence[Bucket]) -> tuple[Tensor, bool]:
        """The hyperparameters on the device, a row for each bucket, and whether any may have changed."""
        values = [buckets[b].hypers[name] for b in self.members for name in self.optimizer.hypers]
        on_device = {
            i: value
            for i, value in enumerate(values)
            if isinstance(value, Tensor) and value.device.type == self.device.type
        }
        hypers, changed = self.hypers.show([0.0 if i in on_device else to_float(v) for i, v in enumerate(values)])
        for i, value in on_device.items():
            hypers[i].copy_(value.reshape(()))
        return hypers, changed or bool(on_device)


def compute_dtype(dtypes: Dtypes) -> torch.dtype:
    """The dtype of the arithmetic for tensors of ``dtypes``."""
    return torch.float64 if dtypes[0] is torch.float64 else torch.float32


def constants(optimizer: FusedOptimizer, dtypes: Dtypes, flags: dict[str, bool], warp_size: int) -> dict[str, Any]:
    """What the kernels of ``optimizer`` are specialised for, by the name of their parameter.

    An access is one of 128 bits in the widest of the tensors; a thread makes two (one of 8 half-width elements) at a
    time in each.
    """
    named = dict(zip(optimizer.names, dtypes, strict=True))
    vector = 16 // max(d.itemsize for name, d in named.items() if d is not None and not optimizer.is_scalar(name))
    return {
        **flags,
        **{f"{name}_dtype": dtype and DTYPES[dtype] for name, dtype in named.items()},
        "COMPUTE": DTYPES[compute_dtype(dtypes)],
        "VECTOR": vector,
        "CHUNK": CHUNK,
        "BLOCK": min(8, 2 * vector) * WARPS * warp_size,
        "SIZE": PREPARE_LANES,
        "MACHINE_EPSILON": torch.finfo(dtypes[0]).eps if dtypes[0] else 0.0,
    }


def taken(kernel: Any, constants: dict[str, Any]) -> dict[str, Any]:
    """Those of ``constants`` that ``kernel`` takes."""
    return {name: constants[name] for name in kernel.arg_names if name in constants}


def warp_size(device: torch.device) -> int:
    return torch.cuda.get_device_properties(device).warp_size if device.type == "cuda" else 32


def on_device(device: torch.device) -> AbstractContextManager[None]:
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()
