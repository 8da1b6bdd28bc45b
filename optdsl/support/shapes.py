"""Tensors as matrices, and the shapes of states that have a value per row, per column, per matrix or per tensor."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor

from . import facts
from .layout import Strides


def matrices(param: Tensor) -> tuple[int, int, int]:
    """How many matrices ``param`` is, their rows and their columns."""
    return prod(param.shape[:-2]), facts.rows(param), facts.cols(param)


def small_shape(param: Tensor, space: str) -> tuple[int, ...]:
    """The shape of a state of ``param`` that has one value for each of ``space``."""
    _, rows, cols = matrices(param)
    batches = param.shape[:-2]
    return {"tensor": (), "matrices": (*batches, 1, 1), "rows": (*batches, rows, 1), "cols": (*batches, 1, cols)}[space]


def contiguous_strides(tensor: Tensor) -> Strides:
    """The strides in which a contiguous tensor of that shape is walked."""
    return torch.empty(tensor.shape, device="meta").stride()
