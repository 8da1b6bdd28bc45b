# Compiled by optdsl 0.1.0 (part of every package). Do not edit.
"""Making state tensors, and what becomes of them in a checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import _get_scalar_dtype

from .reductions import wide


def scalar_state(value: float | Tensor, param: Tensor, group: dict[str, Any]) -> Tensor:
    """A 0-dim state of ``param``, such as its step count.

    It is float32 (float64 if that is the default dtype and the group is not fused). It lives on the CPU, where reading
    it costs nothing, unless the step has to run without the host.
    """
    device = param.device if group["capturable"] or group["fused"] else torch.device("cpu")
    dtype = _get_scalar_dtype(is_fused=group["fused"])
    if isinstance(value, Tensor):
        return value.reshape(()).to(device, dtype, copy=True)
    return torch.tensor(value, dtype=dtype, device=device)


def full_state(value: float | Tensor, param: Tensor) -> Tensor:
    """A state like ``param``, filled with ``value``; both parts of complex numbers are."""
    state = torch.empty_like(param, memory_format=torch.preserve_format)
    if isinstance(value, Tensor):
        value = value.reshape(())
    (torch.view_as_real(state) if state.is_complex() else state).fill_(value)
    return state


def copied_state(param: Tensor) -> Tensor:
    """A state that begins as a copy of ``param``."""
    return torch.empty_like(param, memory_format=torch.preserve_format).copy_(param.detach())


def computed_state(value: Callable[[Tensor], Tensor], param: Tensor) -> Tensor:
    """A state like ``param``, with what ``value`` makes of it, or of its real view."""
    state = torch.empty_like(param, memory_format=torch.preserve_format)
    view = torch.view_as_real(state) if state.is_complex() else state
    view.copy_(value(torch.view_as_real(param.detach().resolve_conj()) if param.is_complex() else param.detach()))
    return state


def number_state(value: float | Tensor, param: Tensor) -> Tensor:
    """A 0-dim state of ``param`` that follows from its elements: on its device, of at least single precision."""
    dtype = wide(param.dtype.to_real())
    if isinstance(value, Tensor):
        return value.detach().reshape(()).to(param.device, dtype, copy=True)
    return torch.tensor(value, dtype=dtype, device=param.device)


def matrix_state(value: float | Tensor, param: Tensor, rows: int, cols: int) -> Tensor:
    """A state filled with ``value``: of the given size in the last two dimensions, of ``param``'s in those before."""
    sizes = (rows, cols)[2 - min(param.dim(), 2) :]  # a vector is one row
    state = param.new_empty((*param.shape[:-2], *sizes))
    return state.copy_(value.detach()) if isinstance(value, Tensor) else state.fill_(value)


def first_state(value: float | Tensor, param: Tensor) -> Tensor:
    """A state filled with ``value``: of ``param``'s first dimension, with one entry in all others."""
    state = param.new_empty(param.shape[:1] + (1,) * (param.dim() - 1))
    return state.copy_(value.detach()) if isinstance(value, Tensor) else state.fill_(value)


def as_real(tensor: Tensor | None) -> Tensor | None:
    """``tensor``, or the real view of a complex one; an absent state stays None."""
    return torch.view_as_real(tensor.resolve_conj()) if tensor is not None and tensor.is_complex() else tensor


def write_real(tensor: Tensor | None, real: Tensor | None) -> None:
    """Put ``real``, what :func:`as_real` has made of ``tensor``, into it where it is a copy: of a conjugate view."""
    if tensor is not None and real is not None and tensor.is_conj():
        tensor.copy_(torch.view_as_complex(real))


def increment(steps: list[Tensor]) -> None:
    """Add 1 to every step count."""
    if steps and steps[0].is_cpu and not torch.compiler.is_compiling():
        # On the CPU this is a loop, which would make a tensor of a number again for each step count.
        torch._foreach_add_(steps, torch.tensor(1.0, device="cpu"), alpha=1.0)
    elif steps:
        torch._foreach_add_(steps, 1)


def detach_state(optimizer: torch.optim.Optimizer, state_dict: dict[str, Any]) -> dict[str, Any]:
    """A load_state_dict pre-hook that keeps the optimizer's state apart from ``state_dict``.

    Tensors are cloned, and dense (torch's momentum of sparse gradients is not). Scalar states become Python numbers,
    which loading does not cast to the parameter's dtype; ``__setstate__`` makes them tensors again.
    """
    scalar_states: tuple[str, ...] = (
        *optimizer._scalar_states,  # type: ignore[attr-defined]
        *optimizer._device_scalars,  # type: ignore[attr-defined]
    )

    def detached(key: str, value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        if key in scalar_states:
            return value.item()
        return value.to_dense() if value.is_sparse else value.clone()

    state = {
        param: {key: detached(key, value) for key, value in values.items()} if isinstance(values, dict) else values
        for param, values in state_dict["state"].items()
    }
    return {**state_dict, "state": state}
