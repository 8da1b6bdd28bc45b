# Compiled by optdsl 0.1.0 (part of every package). Do not edit.
"""Makes a step of which kernels make the elementwise parts, and torch the products and procedures between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from . import facts
from .fused import Bucket
from .layout import is_laid_out, laid_out, walking_strides

Lists = dict[str, list[Any]]
"""θ (``param``), states and temporaries by name: one tensor for each parameter."""
FusedStep = Callable[[list[Bucket], Tensor | None, Tensor | None], None]


@dataclass(frozen=True)
class Segment:
    """A kernel: its ``fused_step``, and the lists that it takes as states; it ``makes`` those that are temporaries.

    ``advances``: step counts and scalar states are left as the kernel leaves them. Of those before, which read them, it
    is copies that advance.
    """

    fused_step: FusedStep
    states: tuple[str, ...]
    makes: tuple[str, ...] = ()
    reads_grad: bool = False
    counts_steps: bool = False
    advances: bool = False


@dataclass(frozen=True)
class Made:
    """A list that torch makes: of lists, and hyperparameters (facts about the parameters are among them)."""

    name: str
    function: Callable[[Lists, Mapping[str, Any]], list[Tensor]]


@dataclass
class _Work:
    """The parameters of a bucket that agree in every fact, and what is known of their step so far."""

    bucket: Bucket
    lists: Lists = field(default_factory=dict)


@dataclass(frozen=True)
class SegmentedOptimizer:
    """The pieces of a step, in order. ``states`` are all states of the optimizer, ``facts`` what it asks of θ."""

    pieces: tuple[Segment | Made, ...]
    states: tuple[str, ...]
    scalar_states: tuple[str, ...]
    facts: tuple[str, ...]

    @torch.no_grad()
    def step(self, buckets: Sequence[Bucket], grad_scale: Tensor | None, found_inf: Tensor | None) -> None:
        """Makes one step of all ``buckets``; see ``fused_step`` of the generated module."""
        if found_inf is not None and found_inf.device.type == "cpu" and found_inf.item():
            return
        works = [work for bucket in buckets for work in self.works(bucket)]
        readers = [piece for piece in self.pieces if isinstance(piece, Segment) and piece.reads_grad]
        if grad_scale is not None and len(readers) > 1:
            for work in works:
                grads = work.bucket.grads
                torch._foreach_div_(grads, grad_scale.to(grads[0].device, non_blocking=True))
            grad_scale = None
        for piece in self.pieces:
            if isinstance(piece, Segment):
                for work in works:
                    self.make_room(work, piece.makes, found_inf is not None)
                taken = [self.taken(work, piece) for work in works]
                piece.fused_step(taken, grad_scale if piece.reads_grad else None, found_inf)
            else:
                for work in works:
                    work.lists[piece.name] = self.as_walked(work, piece.function(work.lists, work.bucket.hypers))

    def works(self, bucket: Bucket) -> list[_Work]:
        """``bucket``, split so that the facts are the same for all that torch and a kernel work on at once."""
        places: dict[tuple[float, ...], list[int]] = {}
        for i, param in enumerate(bucket.params):
            places.setdefault(tuple(getattr(facts, fact)(param) for fact in self.facts), []).append(i)
        works = []
        for known, positions in places.items():

            def of(values: Sequence[Any], positions: list[int] = positions) -> list[Any]:
                return [values[i] for i in positions] if values else []

            params, states = of(bucket.params), tuple(map(of, bucket.states))
            told = {f"param_{fact}": value for fact, value in zip(self.facts, known, strict=True)}
            part = Bucket(params, of(bucket.grads), states, of(bucket.steps), hypers={**bucket.hypers, **told})
            works.append(_Work(part, {"param": params, **dict(zip(self.states, states, strict=True))}))
        return works

    def make_room(self, work: _Work, names: Sequence[str], may_skip: bool) -> None:
        """Gives a segment the temporaries that it makes; they are finite where it ``may_skip`` making them."""
        new = torch.zeros_like if may_skip else torch.empty_like
        for name in names:
            work.lists[name] = [new(param) for param in work.bucket.params]

    def taken(self, work: _Work, segment: Segment) -> Bucket:
        """What ``segment`` works on."""
        bucket = work.bucket

        def scalars(values: list[Any]) -> list[Any]:
            return values if segment.advances or not values else list(torch.stack(values).unbind())

        states = (
            scalars(work.lists[name]) if name in self.scalar_states else work.lists[name] for name in segment.states
        )
        steps = scalars(bucket.steps) if segment.counts_steps else []
        return Bucket(bucket.params, bucket.grads, tuple(states), steps, hypers=bucket.hypers)

    def as_walked(self, work: _Work, made: list[Tensor]) -> list[Tensor]:
        """What torch made, each tensor that is shaped like its parameter laid out as a kernel walks the parameter."""
        return [
            laid_out(x, strides)
            if x.shape == param.shape and not is_laid_out(x, strides := walking_strides(param))
            else x
            for x, param in zip(made, work.bucket.params, strict=True)
        ]
