# Compiled by optdsl 0.1.0 (part of every package). Do not edit.
"""``torch._foreach_*`` with scalars that may live on the device.

torch's own take a Python number as ``alpha``, ``value`` or ``weight``. These also take a 0-dim tensor (a learning
rate), or a vector with one entry per tensor of the list (what follows from step counts), without reading it on the
host.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

Tensors = list[Tensor] | tuple[Tensor, ...]
Scalar = float | Tensor


def _each(scalar: Scalar, tensors: Tensors) -> Any:
    """``scalar`` as a ``_foreach_`` function takes it: a number, or one 0-dim tensor for each of ``tensors``."""
    if not isinstance(scalar, Tensor):
        return scalar
    return scalar.unbind() if scalar.dim() else [scalar] * len(tensors)


def mul(xs: Tensors, scalar: Scalar) -> Tensors:
    """``x * scalar``"""
    return torch._foreach_mul(xs, _each(scalar, xs))


def mul_(xs: Tensors, scalar: Scalar) -> None:
    torch._foreach_mul_(xs, _each(scalar, xs))


def div(xs: Tensors, scalar: Scalar) -> Tensors:
    """``x / scalar``"""
    return torch._foreach_div(xs, _each(scalar, xs))


def div_(xs: Tensors, scalar: Scalar) -> None:
    torch._foreach_div_(xs, _each(scalar, xs))


def add_scalar(xs: Tensors, scalar: Scalar) -> Tensors:
    """``x + scalar``"""
    return torch._foreach_add(xs, _each(scalar, xs))


def add_scalar_(xs: Tensors, scalar: Scalar) -> None:
    torch._foreach_add_(xs, _each(scalar, xs))


def add(xs: Tensors, ys: Tensors, alpha: Scalar) -> Tensors:
    """``x + alpha * y``"""
    if isinstance(alpha, Tensor):
        return torch._foreach_add(xs, mul(ys, alpha))
    return torch._foreach_add(xs, ys, alpha=alpha)


def add_(xs: Tensors, ys: Tensors, alpha: Scalar) -> None:
    if isinstance(alpha, Tensor):
        torch._foreach_add_(xs, mul(ys, alpha))
    else:
        torch._foreach_add_(xs, ys, alpha=alpha)


def addcmul(xs: Tensors, ys: Tensors, zs: Tensors, value: Scalar) -> Tensors:
    """``x + value * y * z``"""
    if isinstance(value, Tensor):
        return torch._foreach_addcmul(xs, mul(ys, value), zs)
    return torch._foreach_addcmul(xs, ys, zs, value=value)


def addcmul_(xs: Tensors, ys: Tensors, zs: Tensors, value: Scalar) -> None:
    if isinstance(value, Tensor):
        torch._foreach_addcmul_(xs, mul(ys, value), zs)
    else:
        torch._foreach_addcmul_(xs, ys, zs, value=value)


def addcdiv(xs: Tensors, ys: Tensors, zs: Tensors, value: Scalar) -> Tensors:
    """``x + value * y / z``"""
    if isinstance(value, Tensor):
        return torch._foreach_addcdiv(xs, mul(ys, value), zs)
    return torch._foreach_addcdiv(xs, ys, zs, value=value)


def addcdiv_(xs: Tensors, ys: Tensors, zs: Tensors, value: Scalar) -> None:
    if isinstance(value, Tensor):
        torch._foreach_addcdiv_(xs, mul(ys, value), zs)
    else:
        torch._foreach_addcdiv_(xs, ys, zs, value=value)


def lerp(xs: Tensors, ys: Tensors, weight: Scalar) -> Tensors:
    """``x + weight * (y - x)``"""
    return torch._foreach_lerp(xs, ys, _each(weight, xs))


def lerp_(xs: Tensors, ys: Tensors, weight: Scalar) -> None:
    torch._foreach_lerp_(xs, ys, _each(weight, xs))


def maximum(xs: Tensors, scalar: Scalar) -> Tensors:
    """The greater of ``x`` and ``scalar``."""
    return torch._foreach_maximum(xs, _each(scalar, xs))


def maximum_(xs: Tensors, scalar: Scalar) -> None:
    torch._foreach_maximum_(xs, _each(scalar, xs))


def minimum(xs: Tensors, scalar: Scalar) -> Tensors:
    """The lesser of ``x`` and ``scalar``."""
    return torch._foreach_minimum(xs, _each(scalar, xs))


def minimum_(xs: Tensors, scalar: Scalar) -> None:
    torch._foreach_minimum_(xs, _each(scalar, xs))


def pow(xs: Tensors, scalar: Scalar) -> Tensors:
    """``x ** scalar``"""
    return torch._foreach_pow(xs, _each(scalar, xs))


def pow_(xs: Tensors, scalar: Scalar) -> None:
    torch._foreach_pow_(xs, _each(scalar, xs))


def values(scalar: Scalar, tensors: Tensors) -> list[Any] | tuple[Any, ...]:
    """``scalar`` once for each of ``tensors``, for a comprehension over them."""
    return _each(scalar, tensors) if isinstance(scalar, Tensor) else [scalar] * len(tensors)


def assign(states: Tensors, scalar: Scalar) -> None:
    """Each 0-dim state takes its entry of ``scalar`` (or the one value for all)."""
    if isinstance(scalar, Tensor):
        torch._foreach_copy_(states, values(scalar, states))
    else:
        for state in states:
            state.fill_(scalar)
