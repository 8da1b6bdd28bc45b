"""The base of optimizers that take all parameters as one vector and evaluate the loss themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from .arguments import check_tensor_argument

Closure = Callable[[], Any]

SMALL = 1 << 16
"""A vector of fewer elements is copied in less time than one call takes."""


class Point:
    """θ: the parameters as one vector, and the loss there. Complex parameters count as pairs of real ones.

    ``first_loss`` is what the closure returned first, None before.
    """

    def __init__(self, params: Sequence[Tensor], closure: Closure) -> None:
        self.first_loss: Any = None
        self._params = params
        self._closure = closure
        self._real = [_real(param) for param in params]
        self._sizes = [param.numel() for param in self._real]
        self._origin: list[Tensor] | None = None

    def evaluate(self) -> tuple[float, Tensor]:
        """The loss and its gradient; a parameter without gradient counts as one that the loss does not depend on."""
        loss = self._closure()
        if self.first_loss is None:
            self.first_loss = loss
        return float(loss), torch.cat([_flat_gradient(param) for param in self._params])

    def evaluate_along(self, direction: Tensor, length: float | Tensor) -> tuple[float, Tensor]:
        """The loss and its gradient at θ + length · direction; θ stays where it is."""
        origin = self._remember()
        try:
            self._add(direction, length)
            return self.evaluate()
        finally:
            self._restore(origin)

    def evaluate_at(self, point: Tensor) -> tuple[float, Tensor]:
        """The loss and its gradient at ``point``; θ stays where it is."""
        origin = self._remember()
        try:
            self._copy(point)
            return self.evaluate()
        finally:
            self._restore(origin)

    def move(self, direction: Tensor, length: float | Tensor = 1) -> None:
        """θ ← θ + length · direction."""
        self._origin = None
        self._add(direction, length)

    def assign(self, point: Tensor) -> None:
        """θ ← ``point``."""
        self._origin = None
        self._copy(point)

    def value(self) -> Tensor:
        """θ as a vector of its own."""
        return torch.cat([param.reshape(-1) for param in self._real])

    def _parts(self, vector: Tensor) -> list[Tensor]:
        parts = vector.split_with_sizes(self._sizes)
        return [part.view_as(param) for part, param in zip(parts, self._real, strict=True)]

    def _add(self, direction: Tensor, length: float | Tensor) -> None:
        for param, part in zip(self._real, self._parts(direction), strict=True):
            param.add_(part, alpha=length)  # type: ignore[arg-type]  # one that is a Tensor holds one number

    def _copy(self, point: Tensor) -> None:
        for param, part in zip(self._real, self._parts(point), strict=True):
            param.copy_(part)

    def _remember(self) -> list[Tensor]:
        """The parameters as they are; kept until they move."""
        if self._origin is None:
            self._origin = [param.clone(memory_format=torch.preserve_format) for param in self._params]
        return self._origin

    def _restore(self, origin: list[Tensor]) -> None:
        for param, kept in zip(self._params, origin, strict=True):
            param.copy_(kept)


def _real(param: Tensor) -> Tensor:
    """``param`` in real numbers, to be written; of a conjugate view there are none, as torch says then."""
    return torch.view_as_real(param.detach()) if param.is_complex() else param.detach()


def _flat_gradient(param: Tensor) -> Tensor:
    """The gradient of ``param`` as a vector of real numbers."""
    if param.grad is None:
        return torch.zeros_like(_real(param), memory_format=torch.contiguous_format).reshape(-1)
    grad = param.grad.to_dense() if param.grad.is_sparse else param.grad
    return _real(grad.resolve_conj()).reshape(-1)


def append(history: list[Any], entry: Any, limit: int) -> None:
    """Put ``entry`` behind the others of ``history``, which keeps its last ``limit`` entries."""
    history.append(entry)
    del history[: max(0, len(history) - limit)]


def max_abs(x: Tensor) -> Tensor:
    """The largest absolute value in ``x``, 0 of none, without a copy of it where that is large."""
    if x.numel() < SMALL:
        return x.abs().max() if x.numel() else x.sum()
    least, largest = torch.aminmax(x)
    return torch.maximum(-least, largest)


def table(state: dict[str, Any], key: str, size: int) -> None:
    """See to it that ``state[key]`` has room for ``size`` entries, which are None until they are assigned."""
    entries = state.setdefault(key, [])
    entries += [None] * (size - len(entries))


class FlatOptimizer(torch.optim.Optimizer):
    """Base of the generated optimizers over all parameters as one vector: they have one parameter group.

    The state of all parameters is kept with the first one.
    """

    @staticmethod
    def _check_arguments(group: dict[str, Any]) -> None:
        """Raise ValueError for an argument that is out of its range."""

    @staticmethod
    def _init_state(state: dict[str, Any], group: dict[str, Any]) -> None:
        """Put the initial values into ``state`` where it lacks them."""

    @staticmethod
    def _minimize(point: Point, state: dict[str, Any], group: dict[str, Any]) -> None:
        """One step from ``point``."""
        raise NotImplementedError  # every compiled class has its own

    def __init__(self, params: ParamsT, defaults: dict[str, Any]) -> None:
        self._check_group(defaults)
        super().__init__(params, defaults)

    @classmethod
    def _check_group(cls, group: dict[str, Any]) -> None:
        for name, value in group.items():
            check_tensor_argument(name, value)
        cls._check_arguments(group)

    @torch._disable_dynamo
    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add the only parameter group, as :meth:`torch.optim.Optimizer.add_param_group` does; its arguments are
        checked too.
        """
        if self.param_groups:
            raise ValueError(f"{type(self).__name__} doesn't support per-parameter options (parameter groups)")
        if isinstance(param_group, dict):
            self._check_group({name: param_group.get(name, default) for name, default in self.defaults.items()})
        super().add_param_group(param_group)

    @torch._disable_dynamo
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load the optimizer state, as :meth:`torch.optim.Optimizer.load_state_dict` does; it shares no memory with
        ``state_dict``.
        """
        handle = self.register_load_state_dict_pre_hook(_apart)
        try:
            super().load_state_dict(state_dict)
        finally:
            handle.remove()

    @torch.no_grad()
    def step(self, closure: Closure) -> Any:  # type: ignore[override]
        """Perform a single optimization step.

        Args:
            closure (Callable): A closure that reevaluates the model and returns the loss.
        """
        (group,) = self.param_groups
        state = self.state[group["params"][0]]
        self._init_state(state, group)
        point = Point(group["params"], torch.enable_grad()(closure))
        self._minimize(point, state, group)
        return point.first_loss


def _apart(optimizer: torch.optim.Optimizer, state_dict: dict[str, Any]) -> dict[str, Any]:
    """A load_state_dict pre-hook: every tensor of the state is cloned. What is None is absent, as torch saves it."""

    def cloned(value: Any) -> Any:
        if isinstance(value, Tensor):
            return value.clone()
        return [cloned(entry) for entry in value] if isinstance(value, list) else value

    state = {
        key: {name: cloned(value) for name, value in values.items() if value is not None}
        for key, values in state_dict["state"].items()
    }
    return {**state_dict, "state": state}


def to_scalar(value: Any) -> Any:
    """A hyperparameter; one that is a Tensor of one element as a 0-dim one."""
    return value.reshape(()) if isinstance(value, Tensor) else value
