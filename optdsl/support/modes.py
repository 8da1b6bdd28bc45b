"""Optimizers that train with other parameters than those that the model is to be evaluated with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .arguments import to_number
from .grouping import Batch
from .optimizer import BaseOptimizer, Keys
from .state import as_real, write_real

KEPT = "training_param"
"""The state that holds a parameter to go on training with, where that cannot be told from the one in evaluation."""


class TrainEvalOptimizer(BaseOptimizer):
    """Base of the generated optimizers that return something else than the parameters they train.

    :meth:`eval` makes the parameters, in place, what the optimizer returns, and :meth:`train` goes back. Every group
    says in ``train_mode`` how its parameters are, and so does a checkpoint. A parameter that has made no step is the
    same in both modes.
    """

    @staticmethod
    def _switches() -> tuple[Callable[..., None], Callable[..., None] | None]:
        """The functions that make parameters those of evaluation, and those of training again; None where the latter
        are kept meanwhile."""
        raise NotImplementedError  # every compiled class has its own

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a param group, in the mode in which the others are."""
        if isinstance(param_group, dict):
            param_group.setdefault("train_mode", all(group["train_mode"] for group in self.param_groups))
        super().add_param_group(param_group)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            group.setdefault("train_mode", True)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Perform a single optimization step, in training mode.

        Args:
            closure (Callable, optional): A closure that reevaluates the model and returns the loss.
        """
        if not all(group["train_mode"] for group in self.param_groups):
            raise RuntimeError(f"{type(self).__name__} is in evaluation mode; call train() before step()")
        return super().step(closure)

    @torch.no_grad()
    def train(self) -> None:
        """Make the parameters those to train, where they are those to evaluate."""
        for group in self.param_groups:
            if not group["train_mode"]:
                _, resume = self._switches()
                if resume is not None:
                    self._switch(group, resume)
                else:
                    for param in self._stepped(group):
                        param.copy_(self.state[param].pop(KEPT))
                group["train_mode"] = True

    @torch.no_grad()
    def eval(self) -> None:
        """Make the parameters those to evaluate, where they are those to train."""
        for group in self.param_groups:
            if group["train_mode"]:
                evaluate, resume = self._switches()
                if resume is None:
                    for param in self._stepped(group):
                        self.state[param][KEPT] = param.detach().clone(memory_format=torch.preserve_format)
                self._switch(group, evaluate)
                group["train_mode"] = False

    def _stepped(self, group: dict[str, Any]) -> list[Tensor]:
        """The parameters of ``group`` that have made a step, as far as their state tells."""
        keeps = self._counts_steps or any(self._state_keys(group))
        params = filter(self._may_step, group["params"])
        return [param for param in params if self.state.get(param) or not keeps]

    def _switch(self, group: dict[str, Any], function: Callable[..., None]) -> None:
        """Call ``function``, which writes to the parameters that it gets with their states."""
        keys: Keys = self._state_keys(group)
        params = self._stepped(group)
        if not params:
            return
        states = [[] if key is None else [self.state[param].get(key) for param in params] for key in keys]
        steps = [self.state[param]["step"] for param in params] if self._counts_steps else []
        batch = Batch(params, params, states, steps)  # there are no gradients
        columns = self._presence(keys, states)
        columns += [[value.item() for value in values] for values in self._scalars(keys, states)]
        columns += [[to_number(step) for step in steps], [(param.device, param.dtype) for param in params]]
        columns.append([tuple(self._known(param).items()) for param in params])
        hypers = {name: to_number(value) for name, value in self._hyperparameters(group).items()}
        for part in batch.split([column for column in columns if column]):
            if self._counts_steps:
                hypers["step"] = to_number(part.steps[0])
            tensors: list[list[Any]] = [part.params, *part.states]
            if any(param.is_complex() for param in part.params):
                tensors = [[as_real(tensor) for tensor in values] for values in tensors]
            function(*tensors, **self._known(part.params[0]), **hypers)
            for param, real in zip(part.params, tensors[0], strict=True):
                write_real(param, real)
