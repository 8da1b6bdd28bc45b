# Compiled by optdsl 0.1.0 (part of every package). Do not edit.
"""In which order a kernel walks the elements of a tensor, and copies of tensors that are laid out differently.

A kernel walks memory from an address on, so a parameter, its gradient and its states must be dense and have equal
strides. Where they are not, the step works on dense copies, and what it writes is copied back.
"""

from __future__ import annotations

import torch
from torch import Tensor

Strides = tuple[int, ...]


def walking_strides(param: Tensor) -> Strides:
    """The strides in which a step walks ``param``: its own if it is dense, else those of a dense tensor like it.

    Raises RuntimeError, in torch's words, if elements of ``param`` share memory.
    """
    if torch.ops.aten.is_non_overlapping_and_dense(param):
        return param.stride()
    check_no_overlap(param)
    return torch.empty_like(param, device="meta").stride()


def check_no_overlap(tensor: Tensor) -> None:
    """Raise RuntimeError if two elements of ``tensor`` certainly share memory, as for an expanded tensor."""
    shared = any(size > 1 and stride == 0 for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    if shared:
        raise RuntimeError(
            "unsupported operation: more than one element of the written-to tensor refers to a single memory "
            "location. Please clone() the tensor before performing the operation."
        )


def is_laid_out(tensor: Tensor, strides: Strides) -> bool:
    """Whether walking ``tensor`` in ``strides`` meets its elements in order (a dimension of size 1 has no stride).

    A view of other numbers' negatives, which torch negates as it reads them, has none of its elements in memory.
    """
    own = tensor.stride()
    return not tensor.is_neg() and (
        own == strides
        or not tensor.numel()
        or all(size == 1 or a == b for size, a, b in zip(tensor.shape, own, strides, strict=True))
    )


def is_one_block(tensor: Tensor) -> bool:
    """Whether the elements of ``tensor`` are in memory one after another."""
    return tensor.is_contiguous() and not tensor.is_neg()


def laid_out(tensor: Tensor, strides: Strides) -> Tensor:
    """A copy of ``tensor`` in ``strides``."""
    return torch.empty_strided(tensor.shape, strides, dtype=tensor.dtype, device=tensor.device).copy_(tensor)


def copy_back(tensor: Tensor, copy: Tensor) -> None:
    """``tensor.copy_(copy)``, also where elements of ``tensor`` share memory: they are then written once."""
    for dim, (size, stride) in enumerate(zip(tensor.shape, tensor.stride(), strict=True)):
        if size > 1 and stride == 0:
            tensor, copy = tensor.narrow(dim, 0, 1), copy.narrow(dim, 0, 1)
    tensor.copy_(copy)
