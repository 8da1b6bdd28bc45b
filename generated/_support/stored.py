# Compiled by optdsl 0.1.0 (part of every package). Do not edit.
"""Optimizers whose step goes over the stored entries of sparse gradients and leaves everything else as it is."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from .fused import Bucket
from .grouping import Batch
from .optimizer import BaseOptimizer, Keys
from .sparse import stored_rows, write_back


class StoredOptimizer(BaseOptimizer):
    """Base of the generated optimizers that update the stored entries of a gradient.

    Of a dense gradient every entry is stored. Parameters are dense and real. How many entries are stored is known to
    the host alone, so a step needs it: the step count is a Python number, as in torch's own sparse optimizer, and no
    graph can capture a step.
    """

    _needs_sparse: ClassVar[bool] = False
    """Whether dense gradients are refused."""
    _is_constructed = False

    # ------------------------------------------------------------------------------------------------- construction

    def __init__(self, params: ParamsT, defaults: dict[str, Any]) -> None:
        super().__init__(params, defaults)
        self._check_params(range(len(self.param_groups)))
        self._is_constructed = True

    @torch._disable_dynamo
    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a param group, as :meth:`torch.optim.Optimizer.add_param_group` does; its arguments are checked too."""
        super().add_param_group(param_group)
        if self._is_constructed:
            try:
                self._check_params([len(self.param_groups) - 1])
            except ValueError:
                self.param_groups.pop()
                raise

    def _check_params(self, groups: range | list[int]) -> None:
        """Raise ValueError for parameters that are sparse or complex."""
        for kind, why, refused in (
            ("Sparse", "requires dense parameter tensors", lambda param: param.is_sparse),
            ("Complex", "does not support complex parameters", Tensor.is_complex),
        ):
            indices = [[g, i] for g in groups for i, p in enumerate(self.param_groups[g]["params"]) if refused(p)]
            if indices:
                raise ValueError(f"{kind} params at indices {indices}: {type(self).__name__} {why}")

    @classmethod
    def _check_group(cls, group: dict[str, Any]) -> None:
        super()._check_group(group)
        for flag, why in (
            ("capturable", "how many entries a gradient stores is known to the host alone"),
            ("differentiable", "autograd does not follow a step of the stored entries"),
        ):
            if group[flag]:
                raise RuntimeError(f"{cls.__name__} does not support `{flag}`: {why}")

    @property
    def _step_supports_amp_scaling(self) -> bool:
        """No: GradScaler unscales the stored values, and the host knows whether there is a step to count."""
        return False

    # -------------------------------------------------------------------------------------------------------- state

    @staticmethod
    def _scalar(key: str, value: Any, param: Tensor, group: dict[str, Any]) -> Any:
        return int(value) if key == "step" else BaseOptimizer._scalar(key, value, param, group)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._is_constructed = True

    # --------------------------------------------------------------------------------------------------------- step

    @torch._disable_dynamo
    def _update(self, group: dict[str, Any]) -> None:
        super()._update(group)

    def _check_gradients(self, grads: list[Tensor], group: dict[str, Any]) -> None:
        if self._needs_sparse and not all(grad.is_sparse for grad in grads):
            name = type(self).__name__
            twin = name.removeprefix("Sparse")
            advice = f", please consider {twin} instead" if twin != name and hasattr(torch.optim, twin) else ""
            raise RuntimeError(f"{name} does not support dense gradients{advice}")

    def _collect(self, group: dict[str, Any], keys: Keys) -> tuple[Batch, bool]:
        """What a step of ``group`` works on; it is counted here, since its tensors are copies of rows."""
        batch, has_complex = super()._collect(group, keys)
        if self._counts_steps:
            for param in batch.params:
                self.state[param]["step"] += 1
            batch.steps = [self.state[param]["step"] for param in batch.params]
        return batch, has_complex

    def _advance(self, steps: list[Any]) -> None:
        """They have been counted already."""

    def _update_sparse(self, group: dict[str, Any], keys: Keys, batch: Batch, foreach: bool, has_complex: bool) -> None:
        """The update of the stored entries: their rows are copied, updated as any tensors are, and put back."""
        rows, places = stored_rows(batch, self._per_element(keys))
        self._update_on_host(group, keys, rows, foreach, has_complex)
        write_back(rows, batch, places, self._per_element(keys))

    # -------------------------------------------------------------------------------------------------------- fused

    def _fused_update(self) -> None:
        """One step of all fused parameter groups. No plan is kept: each gradient stores other entries."""
        self._fused_update_anew([group for group in self.param_groups if group["fused"]], None, None)

    def _buckets(self, group: dict[str, Any], keys: Keys) -> list[Bucket]:
        """As for any optimizer; the kernel reads the step counts from the device, and counts for itself."""
        buckets = super()._buckets(group, keys)
        for bucket in buckets:
            before = [step - 1.0 for step in bucket.steps]
            bucket.steps = list(torch.tensor(before, dtype=torch.float32, device=bucket.params[0].device).unbind())
        return buckets
