# Compiled by optdsl 0.1.0 (part of every package). Do not edit.
"""The tensors of a step, and how they are split so that one call serves all tensors that take the same step."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

States = list[list[Tensor | None]]
"""One list per state, in the optimizer's order, with one entry per parameter: None where the state is absent. A list is
empty where the parameter group does not use the state."""


@dataclass(slots=True)
class Batch:
    """Parameters with their gradients, states and step counts (empty if the optimizer counts no steps).

    A step count is a 0-dim tensor, or a number where the optimizer keeps it as one.
    """

    params: list[Tensor] = field(default_factory=list)
    grads: list[Tensor] = field(default_factory=list)
    states: States = field(default_factory=list)
    steps: list[Any] = field(default_factory=list)

    def split(self, columns: Sequence[Sequence[Hashable]]) -> list[Batch]:
        """Batches in each of which every column, with one entry per parameter, is constant.

        The order is kept. The lists are shared with this batch if nothing varies, else they are new.
        """
        varying = [column for column in columns if len(set(column)) > 1]
        if not varying:
            return [self]
        parts: dict[tuple[Hashable, ...], list[int]] = {}
        for i, key in enumerate(zip(*varying, strict=True)):
            parts.setdefault(key, []).append(i)
        return [
            Batch(
                params=[self.params[i] for i in part],
                grads=[self.grads[i] for i in part],
                states=[[values[i] for i in part] if values else [] for values in self.states],
                steps=[self.steps[i] for i in part] if self.steps else [],
            )
            for part in parts.values()
        ]
