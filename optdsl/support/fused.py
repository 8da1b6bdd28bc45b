"""What a fused step is asked to do, and which back end does it on which device.

A generated optimizer gathers its tensors in :class:`Bucket` s and hands them to ``fused_step`` of the generated kernel
module that :data:`BACKENDS` names for the parameters' device.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from types import ModuleType
from typing import Any, Protocol

from torch import Tensor

BACKENDS: dict[str, str] = {"cuda": "triton", "cpu": "native"}
"""Back end by device type; a back end ``b`` of the optimizer in ``adam.py`` is the module ``_adam_b`` beside it."""


@dataclass(slots=True)
class Bucket:
    """Tensors of one parameter group that take the same step: equal device, dtypes, flags and presence of states.

    ``params``, ``grads``: n dense tensors each, real (a complex parameter comes as ``view_as_real``).
    ``states``: one list per state of the optimizer, in its order; empty where the group's flags switch the state off.
    A state not assigned so far is a list of n ``None``, which the step replaces by new tensors *in that list*.
    ``steps``: the n step counts (0-dim, on the parameters' device), empty if the optimizer keeps none. They are those
    before the step: the kernel advances them, and scalar states, unless ``found_inf``.
    ``present``: for each state without initial value, in order, whether it has been assigned.
    ``hypers``: every scalar hyperparameter by name; a 0-dim tensor on the parameters' device is read there, each step.
    """

    params: list[Tensor]
    grads: list[Tensor]
    states: tuple[list[Tensor | None], ...] = ()
    steps: list[Tensor] = field(default_factory=list)
    present: tuple[bool, ...] = ()
    hypers: dict[str, float | bool | str | Tensor | None] = field(default_factory=dict)


def is_absent(values: Sequence[Tensor | None]) -> bool:
    """Whether a state of a bucket has not been assigned so far."""
    return bool(values) and values[0] is None


class GroupPlan(Protocol):
    """What a back end may keep of a parameter group from step to step (``plan_group`` of its generated module).

    ``keys`` are the keys of the states that the plan was made for.
    """

    keys: tuple[str | None, ...]

    def step(
        self,
        group: Mapping[str, Any],
        state: Mapping[Tensor, dict[str, Any]],
        hypers: Mapping[str, Any],
        scale: float | None,
    ) -> bool:
        """Makes the step of ``group``, or returns False if anything is no longer what the plan was made for."""


def supported_devices(kernels: tuple[str, ...]) -> tuple[str, ...]:
    """Device types on which ``fused=True`` works for an optimizer with those ``kernels`` (back ends)."""
    return tuple(device for device, kind in BACKENDS.items() if kind in kernels)


def backend(package: str, optimizer: str, device_type: str) -> ModuleType:
    """The generated module whose ``fused_step`` serves ``optimizer`` (a module name, ``adam``) on ``device_type``.

    ``package`` is the generated package (``__package__`` of the caller). Raises RuntimeError, in torch's words, for a
    device without a back end.
    """
    if device_type not in BACKENDS:
        raise RuntimeError(
            "`fused=True` requires all the params to be floating point Tensors of "
            f"supported devices: {list(BACKENDS)} but {device_type}"
        )
    return import_module(f"._{optimizer}_{BACKENDS[device_type]}", package)
