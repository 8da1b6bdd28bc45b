"""Updates that are made side by side, because something is reduced over the parameters of all of them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence

import torch
from torch import Tensor

Part = tuple[str, Tensor]
"""The name of a reduction, and its 0-dim value over the parameters of one update."""

Update = Generator[Part, Tensor, None]
"""An update that yields its part of each reduction, and is sent the whole."""

_FOLDS: dict[str, Callable[[Tensor], Tensor]] = {"sum": torch.sum, "amax": torch.amax, "amin": torch.amin}


def run_together(updates: Sequence[Update]) -> None:
    """Run ``updates`` to their ends, from one reduction to the next; all have the same reductions in the same order."""
    parts = [next(update) for update in updates]
    while parts:
        fold, first = parts[0]
        values = [value.to(first.device) for _, value in parts]
        dtype = max((value.dtype for value in values), key=lambda dtype: torch.finfo(dtype).bits)
        whole = _FOLDS[fold](torch.stack([value.to(dtype) for value in values]))
        answers = []
        for update, (_, value) in zip(updates, parts, strict=True):
            try:
                answers.append(update.send(whole.to(value.device, value.dtype)))
            except StopIteration:
                continue
        parts = answers
