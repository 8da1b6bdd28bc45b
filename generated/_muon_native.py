# Compiled by optdsl 0.1.0 from muon.opt (sha256 7d1f67cdeda2). Do not edit.
"""Muon, fused around what torch makes: each kernel is one launch for all tensors.

    kernel  momentum_buffer, temporary_B_tilde
    torch   temporary_O = NS(temporary_B_tilde, a, b, c, eps, ns_steps)
    kernel  param
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from . import _muon_1_native, _muon_2_native
from ._support import foreach
from ._support.fused import Bucket
from ._support.segments import Lists, Made, Segment, SegmentedOptimizer
from .muon import _NS


def _temporary_O(lists: Lists, hypers: Mapping[str, Any]) -> list[Tensor]:
    return foreach.batched(
        _NS, lists["temporary_B_tilde"], hypers["a"], hypers["b"], hypers["c"], hypers["eps"], hypers["ns_steps"]
    )


OPTIMIZER = SegmentedOptimizer(
    pieces=(
        Segment(
            _muon_1_native.fused_step,
            states=("momentum_buffer", "temporary_B_tilde"),
            makes=("temporary_B_tilde",),
            reads_grad=True,
        ),
        Made("temporary_O", _temporary_O),
        Segment(_muon_2_native.fused_step, states=("temporary_O",)),
    ),
    states=("momentum_buffer",),
    scalar_states=(),
    facts=("rows", "cols"),
)


def fused_step(buckets: list[Bucket], grad_scale: Tensor | None = None, found_inf: Tensor | None = None) -> None:
    """Makes one step of every tensor in ``buckets``, states and step counts included.

    ``grad_scale``: what the gradients have been multiplied by; they are divided by it, in place too. ``found_inf``: if
    it is not 0, nothing changes.
    """
    OPTIMIZER.step(buckets, grad_scale, found_inf)
