# Compiled by optdsl 0.1.0 (part of every package). Do not edit.
"""What is known of a tensor without looking at its elements."""

from __future__ import annotations

import torch
from torch import Tensor


def dim(x: Tensor) -> int:
    """How many dimensions it has."""
    return x.dim()


def rows(x: Tensor) -> int:
    """The size of the dimension before the last; 1 if there is none."""
    return x.size(-2) if x.dim() > 1 else 1


def cols(x: Tensor) -> int:
    """The size of the last dimension; 1 if there is none."""
    return x.size(-1) if x.dim() > 0 else 1


def numel(x: Tensor) -> int:
    """How many elements it has."""
    return x.numel()


def machine_epsilon(x: Tensor) -> float:
    """The distance from 1 to the next number of its dtype."""
    return torch.finfo(x.dtype).eps
