"""Tables that kernels read on the device, and their upload without waiting for it."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

_KEPT: list[Any] = []
"""What captured graphs read when they are replayed: it must outlive them, and nothing may write to it."""


def is_capturing() -> bool:
    """Whether the current stream is being captured in a graph."""
    return torch.cuda.is_available() and torch.cuda.is_current_stream_capturing()


def keep_for_graph(*values: Any) -> None:
    """Keeps ``values`` for as long as the process lives, since no graph tells when it dies."""
    _KEPT.extend(values)


class Mirror:
    """A list of numbers on the host, and the same on the device: a new tensor whenever the numbers change.

    Nothing uploads to a tensor twice, so neither a kernel still queued nor a captured graph sees it change.
    ``typecode`` is the :mod:`array` code that fits ``dtype``.
    """

    def __init__(self, typecode: str, dtype: torch.dtype, device: torch.device):
        self.typecode = typecode
        self.dtype = dtype
        self.device = device
        self.values: list[Any] | None = None
        self.tensor = torch.empty(0, dtype=dtype, device=device)
        self.spare: Tensor | None = None
        """Pinned memory for an upload during capture, when none should be allocated."""

    def show(self, values: list[Any]) -> tuple[Tensor, bool]:
        """``values`` on the device, and whether they differ from those of the last call.

        During capture, what is uploaded is there only when the graph is replayed, and is not remembered.
        """
        if values == self.values:
            return self.tensor, False
        host = torch.frombuffer(array(self.typecode, values), dtype=self.dtype)
        if self.device.type == "cpu":
            self.values, self.tensor = values, host
        elif is_capturing():
            pinned = torch.empty_like(host, pin_memory=True) if self.spare is None else self.spare
            self.spare = None
            keep_for_graph(pinned)
            return pinned.copy_(host).to(self.device, non_blocking=True), True
        else:
            if self.tensor.numel():
                self.tensor.record_stream(torch.cuda.current_stream())
            self.values = values
            self.tensor = host.pin_memory().to(self.device, non_blocking=True)
            self.spare = torch.empty_like(host, pin_memory=True) if self.spare is None else self.spare
        return self.tensor, True


def block_map(sizes: Sequence[int], chunk: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """For each block of a launch, its tensor and which ``chunk`` elements of it: two int32 vectors.

    Every tensor of n elements has ⌈n / chunk⌉ blocks, one after another.
    """
    counts = torch.tensor([-(-size // chunk) for size in sizes], device="cpu")
    tensor = torch.repeat_interleave(counts)
    first = counts.cumsum(0) - counts
    within = torch.arange(len(tensor), device="cpu") - first[tensor]
    return tensor.to(device, torch.int32), within.to(device, torch.int32)
