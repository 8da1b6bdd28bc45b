# Compiled by optdsl 0.1.0 (part of every package). Do not edit.
"""Constructor arguments: the flags that every optimizer has, and hyperparameters given as Tensors."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

FLAGS: dict[str, bool | None] = {
    "maximize": False,
    "foreach": None,
    "capturable": False,
    "differentiable": False,
    "fused": None,
}
"""The arguments that every optimizer has, and their defaults."""


def check_flags(group: dict[str, Any]) -> None:
    """Raise RuntimeError for flags of a parameter group that exclude each other."""
    if group["fused"]:
        if group["differentiable"]:
            raise RuntimeError("`fused` does not support `differentiable`")
        if group["foreach"]:
            raise RuntimeError("`fused` and `foreach` cannot be `True` together.")


def check_tensor_argument(name: str, value: Any) -> None:
    """Raise ValueError if argument ``name`` is a Tensor, or a tuple of them, that does not hold one number each."""
    if isinstance(value, Tensor):
        if value.numel() != 1:
            raise ValueError(f"Tensor {name} must be 1-element")
    elif isinstance(value, tuple | list):
        if len({isinstance(item, Tensor) for item in value if item is not None}) > 1:
            raise ValueError(f"{name} must be either both floats or both Tensors")
        for i, item in enumerate(value):
            check_tensor_argument(f"{name}[{i}]", item)


def to_number(value: Any) -> Any:
    """A Tensor hyperparameter as a Python number; anything else as it is."""
    return value.item() if isinstance(value, Tensor) else value


def to_float(value: Any) -> float:
    """A hyperparameter as the number that a kernel is given: 0 for none, which the kernel for none does not read."""
    return 0.0 if value is None else float(value)


def to_device(value: Any, device: torch.device) -> Any:
    """A Tensor hyperparameter as a 0-dim tensor on ``device``; anything else as it is.

    One on the CPU becomes a number for another device: reading it needs no synchronization there, moving it would.
    """
    if not isinstance(value, Tensor):
        return value
    if value.is_cpu and device.type != "cpu" and not torch.compiler.is_compiling():
        return value.item()
    return value.reshape(()).to(device, non_blocking=True)
