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
        return torch._foreach_addcmul(xs, ys, _each(alpha, xs))
    return torch._foreach_add(xs, ys, alpha=alpha)


def add_(xs: Tensors, ys: Tensors, alpha: Scalar) -> None:
    if isinstance(alpha, Tensor):
        torch._foreach_addcmul_(xs, ys, _each(alpha, xs))
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


def matmul(xs: Tensors, ys: Tensors) -> Tensors:
    """``x @ y``: one batched product for all of equal shapes."""
    return batched(torch.matmul, xs, ys)


MOST_STACKED = {"cpu": 2**17, "cuda": 2**22}
"""Up to how many elements a tensor is worked on together with others, by the type of its device."""


def batched(function: Callable[..., Tensor], *arguments: Any) -> list[Tensor]:
    """``function`` of each tensor of the lists among ``arguments``, in one call for all of equal shapes.

    ``function`` works on the last two dimensions. The lists are of equal length. Other arguments are numbers, or
    vectors with one entry for each tensor. Tensors that are work enough by themselves are not stacked, which would take
    their memory once more.
    """
    lists = [argument for argument in arguments if isinstance(argument, list | tuple)]
    places: dict[tuple[torch.Size, ...], list[int]] = {}
    for i, tensors in enumerate(zip(*lists, strict=True)):
        places.setdefault(tuple(x.shape for x in tensors), []).append(i)
    results: dict[int, Tensor] = {}
    for alike in places.values():
        first = lists[0][alike[0]]
        if len(alike) == 1 or first.numel() > MOST_STACKED.get(first.device.type, MOST_STACKED["cuda"]):
            for i in alike:
                results[i] = function(*(_entry(argument, i) for argument in arguments))
        else:
            together = function(*(_entries(argument, alike) for argument in arguments))
            results.update(zip(alike, together.unbind(), strict=True))
    return [results[i] for i in range(len(results))]


def _entry(argument: Any, i: int) -> Any:
    """What tensor ``i`` is worked on with."""
    per_tensor = isinstance(argument, list | tuple) or (isinstance(argument, Tensor) and argument.dim() > 0)
    return argument[i] if per_tensor else argument


def _entries(argument: Any, places: list[int]) -> Any:
    """What the tensors at ``places`` are worked on with, stacked; numbers are spread over the last two dimensions."""
    if isinstance(argument, list | tuple):
        return torch.stack([argument[i] for i in places])
    if isinstance(argument, Tensor) and argument.dim() > 0:
        return torch.stack([argument[i] for i in places]).reshape(-1, 1, 1)
    return argument
