# Compiled by optdsl 0.1.0 (part of every package). Do not edit.
"""Steps over the stored rows of sparse gradients: gathered, updated as any tensors are, and scattered back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from .grouping import Batch

Place = tuple[Tensor, ...]
"""Indices of the rows that a gradient stores, one tensor per sparse dimension."""


def stored_rows(batch: Batch, per_element: Sequence[bool]) -> tuple[Batch, list[Place]]:
    """Copies of what a step over the stored rows of ``batch`` works on, and where in each parameter they belong.

    The gradients are sparse COO tensors, coalesced or not. ``per_element`` says of each state whether it is shaped as
    the parameter; other states, and step counts, are shared with ``batch``.
    """
    grads = [grad.coalesce() for grad in batch.grads]
    places = [grad.indices().unbind() for grad in grads]

    def rows(tensors: Sequence[Any]) -> list[Any]:
        return [tensor[place] for tensor, place in zip(tensors, places, strict=True)]

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
            tensor[place] = value
