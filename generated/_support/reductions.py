# Compiled by optdsl 0.1.0 (part of every package). Do not edit.
"""Reductions of one tensor, over all of it or over one of its last two dimensions.

Over all, the result is 0-dimensional and of at least single precision. Over ``dim`` (-2: one value per column is left,
-1: one per row) that dimension stays, with one entry, and the dtype is the tensor's.
"""

from __future__ import annotations

import torch
from torch import Tensor


def wide(dtype: torch.dtype) -> torch.dtype:
    """The dtype in which numbers that are reduced from tensors of ``dtype`` are kept."""
    return torch.float32 if dtype in (torch.float16, torch.bfloat16) else dtype


def sum(x: Tensor, dim: int | None = None) -> Tensor:
    return x.sum(dtype=wide(x.dtype)) if dim is None else x.sum(dim, keepdim=True)


def mean(x: Tensor, dim: int | None = None) -> Tensor:
    return x.mean(dtype=wide(x.dtype)) if dim is None else x.mean(dim, keepdim=True)


def norm(x: Tensor, dim: int | None = None) -> Tensor:
    """The Euclidean norm of all elements, not of a matrix."""
    if dim is None:
        return torch.linalg.vector_norm(x, dtype=wide(x.dtype))
    return torch.linalg.vector_norm(x, dim=dim, keepdim=True)


def rms(x: Tensor, dim: int | None = None) -> Tensor:
    """The square root of the mean of the squares."""
    return norm(x, dim).div_((x.numel() if dim is None else x.size(dim)) ** 0.5)


def amax(x: Tensor, dim: int | None = None) -> Tensor:
    return x.amax().to(wide(x.dtype)) if dim is None else x.amax(dim, keepdim=True)


def amin(x: Tensor, dim: int | None = None) -> Tensor:
    return x.amin().to(wide(x.dtype)) if dim is None else x.amin(dim, keepdim=True)
