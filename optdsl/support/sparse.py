"""Steps over the stored rows of sparse gradients: gathered, updated as any tensors are, and scattered back.

What a sparse gradient of a parameter of shape ``(*sparse, *dense)`` stores is ``nnz`` values of shape ``dense``, each
at an index into the ``sparse`` dimensions. These are called rows here, of whatever number of dimensions they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .grouping import Batch


@dataclass(frozen=True, slots=True)
class Place:
    """Where the rows of a coalesced gradient are: ``indices``, of shape (sparse dimensions, rows), none twice."""

    indices: Tensor
    flat: Tensor
    """The same, counting through the sparse dimensions."""

    def gather(self, tensor: Tensor) -> Tensor:
        """A copy of the rows of ``tensor``."""
        rows = self._rows(tensor)
        return tensor[tuple(self.indices)] if rows is None else rows.index_select(0, self.flat)

    def scatter(self, tensor: Tensor, values: Tensor) -> None:
        """Write ``values`` to the rows of ``tensor``."""
        rows = self._rows(tensor)
        if rows is None:
            tensor[tuple(self.indices)] = values
        else:
            rows.index_copy_(0, self.flat, values)

    def _rows(self, tensor: Tensor) -> Tensor | None:
        """``tensor`` seen as one row after another; None if it is laid out so that it cannot be."""
        sparse_dims = len(self.indices)
        if sparse_dims < 2:
            return tensor if sparse_dims else tensor.unsqueeze(0)
        if tensor.is_contiguous():
            return tensor.view(tensor.shape[:sparse_dims].numel(), *tensor.shape[sparse_dims:])
        return None


def place_of(grad: Tensor) -> Place:
    """Where the rows of ``grad``, which is coalesced, are."""
    indices = grad.indices()
    if len(indices) == 1:
        return Place(indices, indices[0])
    flat = torch.zeros(indices.shape[1], dtype=indices.dtype, device=indices.device)
    for size, index in zip(grad.shape, indices, strict=False):
        flat.mul_(size).add_(index)
    return Place(indices, flat)


def stored_rows(batch: Batch, per_element: Sequence[bool]) -> tuple[Batch, list[Place]]:
    """Copies of what a step over the stored rows of ``batch`` works on, and where in each parameter they belong.

    The gradients are sparse COO tensors, coalesced or not. ``per_element`` says of each state whether it is shaped as
    the parameter; other states, and step counts, are shared with ``batch``.
    """
    grads = [grad.coalesce() for grad in batch.grads]
    places = [place_of(grad) for grad in grads]

    def rows(tensors: Sequence[Any]) -> list[Any]:
        return [place.gather(tensor) for tensor, place in zip(tensors, places, strict=True)]

    states = [
        rows(values) if values and gathered else values
        for values, gathered in zip(batch.states, per_element, strict=True)
    ]
    return Batch(rows(batch.params), [grad.values() for grad in grads], states, batch.steps), places


def write_back(rows: Batch, batch: Batch, places: Sequence[Place], per_element: Sequence[bool]) -> None:
    """Put the updated ``rows`` into the tensors of ``batch``."""
    kept: list[tuple[list[Any], list[Any]]] = [(batch.params, rows.params)]
    kept += [
        (values, updated)
        for values, updated, gathered in zip(batch.states, rows.states, per_element, strict=True)
        if values and gathered
    ]
    for tensors, updated in kept:
        for tensor, value, place in zip(tensors, updated, places, strict=True):
            place.scatter(tensor, value)
