# Compiled by optdsl 0.1.0 (part of every package). Do not edit.
"""``torch._foreach_*`` with scalars that may live on the device.

torch's own take a Python number as ``alpha``, ``value`` or ``weight``. These also take a 0-dim tensor (a learning
rate), or a vector with one entry per tensor of the list (what follows from step counts), without reading it on the
host.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from . import reductions

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


def _stacked(xs: Tensors) -> Tensor:
    return torch.stack(list(xs))


def sum(xs: Tensors) -> Tensor:
    """The sum of each tensor, in one vector. (This and what follows: see :mod:`.reductions`.)"""
    return _stacked([reductions.sum(x) for x in xs])


def mean(xs: Tensors) -> Tensor:
    return _stacked([reductions.mean(x) for x in xs])


def norm(xs: Tensors) -> Tensor:
    return _stacked(torch._foreach_norm(xs, dtype=reductions.wide(xs[0].dtype)))


def rms(xs: Tensors) -> Tensor:
    norms = torch._foreach_norm(xs, dtype=reductions.wide(xs[0].dtype))
    torch._foreach_div_(norms, [x.numel() ** 0.5 for x in xs])
    return _stacked(norms)


def amax(xs: Tensors) -> Tensor:
    return _stacked([reductions.amax(x) for x in xs])


def amin(xs: Tensors) -> Tensor:
    return _stacked([reductions.amin(x) for x in xs])


def _equal_shapes(xs: Tensors) -> bool:
    return all(x.shape == xs[0].shape for x in xs)


def matmul(xs: Tensors, ys: Tensors) -> Tensors:
    """``x @ y``: one batched product where the shapes are equal."""
    if len(xs) > 1 and _equal_shapes(xs) and _equal_shapes(ys):
        return torch.matmul(_stacked(xs), _stacked(ys)).unbind()
    return [x @ y for x, y in zip(xs, ys, strict=True)]


def batched(function: Callable[..., Tensor], *arguments: Any) -> Tensors:
    """``function`` of each tensor of the lists among ``arguments``, called once: on tensors that are stacked.

    The lists are of equal length, the tensors of each of equal shape. A scalar is a number, or a vector with one entry
    for each tensor.
    """
    count = next(len(a) for a in arguments if isinstance(a, list | tuple))
    if count == 1:
        has_entries = [isinstance(a, list | tuple) or (isinstance(a, Tensor) and a.dim() > 0) for a in arguments]
        return [function(*(a[0] if entries else a for a, entries in zip(arguments, has_entries, strict=True)))]
    stacked = []
    for argument in arguments:
        if isinstance(argument, list | tuple):
            stacked.append(_stacked(argument))
        elif isinstance(argument, Tensor) and argument.dim():
            stacked.append(argument.reshape(-1, 1, 1))
        else:
            stacked.append(argument)
    return function(*stacked).unbind()
