"""Reductions of one tensor, over all of it or over one of its last two dimensions.

Over all, the result is 0-dimensional and of at least single precision. Over ``dim`` (-2: one value per column is left,
-1: one per row) that dimension stays, with one entry, and the dtype is the tensor's. A vector is one row, a number one
element.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor


def wide(dtype: torch.dtype) -> torch.dtype:
    """The dtype in which numbers that are reduced from tensors of ``dtype`` are kept."""
    return torch.float32 if dtype in (torch.float16, torch.bfloat16) else dtype


def _matrix(x: Tensor, dim: int) -> Tensor:
    """``x`` with at least ``-dim`` dimensions: a vector is one row."""
    return x.reshape((1,) * (-dim - x.dim()) + x.shape)


def _like(result: Tensor, x: Tensor, dim: int) -> Tensor:
    return result.reshape(x.shape) if x.dim() < -dim else result


def _extremum(fold: Callable[..., Tensor], of_none: float, x: Tensor, dim: int | None) -> Tensor:
    if dim is None:
        value = fold(x) if x.numel() else x.new_full((), of_none)
        return value.to(wide(x.dtype))
    matrix = _matrix(x, dim)
    if matrix.size(dim):
        return _like(fold(matrix, dim, keepdim=True), x, dim)
    return _like(matrix.sum(dim, keepdim=True).fill_(of_none), x, dim)


def sum(x: Tensor, dim: int | None = None) -> Tensor:
    if dim is None:
        return x.sum(dtype=wide(x.dtype))
    return _like(_matrix(x, dim).sum(dim, keepdim=True), x, dim)


def mean(x: Tensor, dim: int | None = None) -> Tensor:
    if dim is None:
        return x.mean(dtype=wide(x.dtype))
    return _like(_matrix(x, dim).mean(dim, keepdim=True), x, dim)


def norm(x: Tensor, dim: int | None = None) -> Tensor:
    """The Euclidean norm of all elements, not of a matrix."""
    if dim is None:
        return torch.linalg.vector_norm(x, dtype=wide(x.dtype))
    return _like(torch.linalg.vector_norm(_matrix(x, dim), dim=dim, keepdim=True), x, dim)


def rms(x: Tensor, dim: int | None = None) -> Tensor:
    """The square root of the mean of the squares."""
    count = x.numel() if dim is None else _matrix(x, dim).size(dim)
    return norm(x, dim).div(count**0.5)


def amax(x: Tensor, dim: int | None = None) -> Tensor:
    """The greatest element; minus infinity of none."""
    return _extremum(torch.amax, -math.inf, x, dim)


def amin(x: Tensor, dim: int | None = None) -> Tensor:
    """The least element; infinity of none."""
    return _extremum(torch.amin, math.inf, x, dim)


def over_rest(fold: Callable[..., Tensor], x: Tensor) -> Tensor:
    """``fold``, one of the above, over all dimensions but the first; they stay, with one entry."""
    sizes = x.shape or (1,)
    matrix = x.reshape(sizes[0], math.prod(sizes[1:]))
    return fold(matrix, dim=-1).reshape(x.shape[:1] + (1,) * (x.dim() - 1))
