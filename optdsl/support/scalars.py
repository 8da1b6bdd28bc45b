"""Elementary functions of a Python number or a tensor, whichever a hyperparameter turns out to be.

Used by the capturable and differentiable variants, where learning rates, step counts and what follows from them may
be tensors (0-dim, or one entry per parameter). Arguments broadcast as torch's do; the result is a number only if every
argument is.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

Scalar = float | Tensor


def sqrt(x: Scalar) -> Scalar:
    return x.sqrt() if isinstance(x, Tensor) else x**0.5


def exp(x: Scalar) -> Scalar:
    return x.exp() if isinstance(x, Tensor) else math.exp(x)


def log(x: Scalar) -> Scalar:
    return x.log() if isinstance(x, Tensor) else math.log(x)


def floor(x: Scalar) -> Scalar:
    return x.floor() if isinstance(x, Tensor) else math.floor(x)


def sign(x: Scalar) -> Scalar:
    return x.sign() if isinstance(x, Tensor) else float((x > 0) - (x < 0))


def maximum(x: Scalar, y: Scalar) -> Scalar:
    if isinstance(x, Tensor) and isinstance(y, Tensor):
        return torch.maximum(x, y)
    if isinstance(x, Tensor):
        return x.clamp(min=y)
    return y.clamp(min=x) if isinstance(y, Tensor) else max(x, y)


def minimum(x: Scalar, y: Scalar) -> Scalar:
    if isinstance(x, Tensor) and isinstance(y, Tensor):
        return torch.minimum(x, y)
    if isinstance(x, Tensor):
        return x.clamp(max=y)
    return y.clamp(max=x) if isinstance(y, Tensor) else min(x, y)


def where(condition: bool | Tensor, x: Scalar, y: Scalar, like: Tensor | None = None) -> Scalar:
    """``x`` where ``condition`` holds, else ``y``; with ``like``, always a tensor of its shape.

    Two numbers under a condition that is a tensor become tensors of ``like``'s dtype, float64 without it.
    """
    if not isinstance(condition, Tensor):
        chosen = x if condition else y
        return chosen if like is None or _is_shaped(chosen, like) else full_like(like, chosen)
    if not isinstance(x, Tensor) and not isinstance(y, Tensor):
        dtype = torch.float64 if like is None else like.dtype
        x = torch.tensor(x, dtype=dtype, device=condition.device)
    return torch.where(condition, x, y)


def _is_shaped(x: Scalar, like: Tensor) -> bool:
    return isinstance(x, Tensor) and x.shape == like.shape


def logical_not(x: bool | Tensor) -> bool | Tensor:
    return x.logical_not() if isinstance(x, Tensor) else not x


def rounded(x: Scalar, dtype: torch.dtype) -> Scalar:
    """``x`` as near as ``dtype`` has it, in the dtype that it is in; of a tensor always a new one."""
    if isinstance(x, Tensor):
        return x.to(dtype, copy=True).to(x.dtype)
    return torch.tensor(x, dtype=dtype, device="cpu").item()


def tensor(x: Scalar, like: Tensor) -> Tensor:
    """``x`` as a tensor on the device of ``like``, of at least single precision."""
    if isinstance(x, Tensor):
        return x
    dtype = torch.promote_types(like.dtype, torch.float32)
    return torch.full((), x, dtype=dtype, device=like.device)


def full_like(tensor: Tensor, x: Scalar, dtype: torch.dtype | None = None) -> Tensor:
    """``x`` everywhere, in ``tensor``'s shape and (unless given) dtype; autograd follows ``x``."""
    dtype = dtype or tensor.dtype
    return x.to(dtype).expand_as(tensor).clone() if isinstance(x, Tensor) else torch.full_like(tensor, x, dtype=dtype)
