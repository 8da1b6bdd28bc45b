"""What every generated optimizer shares: all of ``torch.optim``'s contract that does not depend on the algorithm."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from types import ModuleType
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim.optimizer import (
    ParamsT,
    _default_to_fused_or_foreach,
    _get_capturable_supported_devices,
    _use_grad_for_differentiable,
)

from . import facts
from .arguments import FLAGS, check_flags, check_tensor_argument, to_device, to_number
from .fused import Bucket, GroupPlan, backend, supported_devices
from .grouping import Batch, States
from .meeting import Update, run_together
from .sparse import stored_rows, write_back
from .state import as_real, detach_state, increment, number_state, scalar_state, write_real

Keys = tuple[str | None, ...]
"""Keys of the states, in the order in which the functions take them; None for one that a group does not use."""


def _check_graph_capture(optimizer: torch.optim.Optimizer) -> None:
    """Refuse to be captured in a graph unless all groups are capturable; torch 2.9 has this by another name."""
    if hasattr(optimizer, "_accelerator_graph_capture_health_check"):
        optimizer._accelerator_graph_capture_health_check()
    else:
        optimizer._cuda_graph_capture_health_check()


class BaseOptimizer(torch.optim.Optimizer):
    """Base of the generated optimizers.

    A subclass says, in the attributes and methods below, what is peculiar to its algorithm: the checks of its
    arguments, its state, and the functions that do one step. ``group`` is a parameter group, or the defaults of one.
    """

    _module: ClassVar[str]
    """Name of the module that holds the class; its fused kernels are in modules beside it."""
    _counts_steps: ClassVar[bool] = True
    """Whether the state has the step count ``step``."""
    _reads_step: ClassVar[bool] = True
    """Whether the functions take the step count, as ``step``."""
    _scalar_states: ClassVar[tuple[str, ...]] = ()
    """Keys of states that are one number per parameter."""
    _late_states: ClassVar[tuple[str, ...]] = ()
    """Keys of states without initial value, absent until a step assigns them."""
    _device_scalars: ClassVar[tuple[str, ...]] = ()
    """Keys of states that are one number per parameter, on its device."""
    _shaped_states: ClassVar[tuple[str, ...]] = ()
    """Keys of states that a parameter has or lacks because of its shape."""
    _facts: ClassVar[tuple[str, ...]] = ()
    """What the functions are told about the parameters that they work on, by the names of ``_support.facts``."""
    _needs_elements: ClassVar[bool] = False
    """Whether a parameter without elements makes no step and has no state: its sizes, which are asked for, would be
    divided by."""
    _kernels: ClassVar[tuple[str, ...]] = ("triton", "native")
    """The back ends that have fused kernels for it."""
    _unfused_because: ClassVar[str] = ""
    """Why there are none, where there are none: words that go on after "it"."""
    _takes_complex: ClassVar[bool] = True
    """Whether a complex parameter can be updated as two real numbers per element."""
    _meets: ClassVar[bool] = False
    """Whether something is reduced over all parameters. The functions are generators then: each yields its part of such
    a reduction and is sent the whole."""
    _eager: ClassVar[bool] = False
    """Whether the state is created with the parameter group rather than at the first step."""

    @staticmethod
    def _check_arguments(group: dict[str, Any]) -> None:
        """Raise ValueError for an argument that is out of its range."""

    @staticmethod
    def _check_param(param: Tensor, group: dict[str, Any]) -> None:
        """Raise ValueError for a parameter that ``group`` does not take."""

    @staticmethod
    def _hyperparameters(group: dict[str, Any]) -> dict[str, Any]:
        """The scalars that the functions take, by keyword."""
        raise NotImplementedError  # every compiled class has its own

    @staticmethod
    def _state_keys(group: dict[str, Any]) -> Keys:
        """Keys of the states, in order; None for one that ``group`` does not use."""
        return ()

    @staticmethod
    def _init_state(state: dict[str, Any], param: Tensor, group: dict[str, Any]) -> None:
        """Put the initial values into ``state``, which has the step count already."""

    @staticmethod
    def _functions() -> tuple[Callable[..., None], Callable[..., None], Callable[..., None], Callable[..., None]]:
        """One step as a function: single-tensor, multi-tensor, capturable and differentiable."""
        raise NotImplementedError  # every compiled class has its own

    @classmethod
    def _check_sparse(cls, group: dict[str, Any]) -> None:
        """Raise RuntimeError if ``group`` cannot take sparse gradients."""
        twin = f"Sparse{cls.__name__}"
        advice = f", please consider {twin} instead" if hasattr(torch.optim, twin) else ""
        raise RuntimeError(f"{cls.__name__} does not support sparse gradients{advice}")

    @staticmethod
    def _updates_rows(group: dict[str, Any]) -> bool:
        """Whether a step changes nothing where a sparse gradient stores nothing; else such gradients become dense."""
        return False

    # ------------------------------------------------------------------------------------------------- construction

    def __init__(self, params: ParamsT, defaults: dict[str, Any]) -> None:
        self._plans: dict[int, GroupPlan | None] = {}
        self._waiting: list[tuple[Update, Callable[[], None]]] = []
        self._check_group(defaults)
        super().__init__(params, defaults)

    @classmethod
    def _check_group(cls, group: dict[str, Any]) -> None:
        for name, value in group.items():
            check_tensor_argument(name, value)
        cls._check_arguments(group)
        check_flags(group)
        if group["fused"] and not cls._kernels:
            raise RuntimeError(f"`fused=True` is not available for {cls.__name__}: it {cls._unfused_because}")

    @torch._disable_dynamo
    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a param group, as :meth:`torch.optim.Optimizer.add_param_group` does; its arguments are checked too."""
        if isinstance(param_group, dict):
            self._check_group({name: param_group.get(name, default) for name, default in self.defaults.items()})
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        try:
            for param in group["params"]:
                self._check_param(param, group)
        except ValueError:
            self.param_groups.pop()
            raise
        if self._eager:
            for param in filter(self._may_step, group["params"]):
                self._create_state(param, group)

    @property
    def _step_supports_amp_scaling(self) -> bool:
        """Whether ``step`` unscales the gradients, so that GradScaler leaves them alone."""
        return bool(self.defaults["fused"])

    # -------------------------------------------------------------------------------------------------------- state

    def _may_step(self, param: Tensor) -> bool:
        """Whether ``param`` is one that steps change."""
        return param.numel() > 0 or not self._needs_elements

    def _create_state(self, param: Tensor, group: dict[str, Any]) -> None:
        state = self.state[param]
        if self._counts_steps:
            state["step"] = self._scalar("step", 0.0, param, group)
        self._init_state(state, param, group)

    @staticmethod
    def _scalar(key: str, value: Any, param: Tensor, group: dict[str, Any]) -> Any:
        """A new or loaded step count or scalar state as the state of ``param`` holds it."""
        if isinstance(value, Tensor) and value.is_floating_point():
            return value
        return scalar_state(float(value), param, group)

    def share_memory(self) -> None:
        """Move the state that exists so far to shared memory."""
        for state in self.state.values():
            for value in state.values():
                if isinstance(value, Tensor):
                    value.share_memory_()

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._plans, self._waiting = {}, []
        for group in self.param_groups:
            for flag, default in FLAGS.items():
                group.setdefault(flag, default)
            for param in group["params"]:
                param_state = self.state.get(param, {})
                for key in ("step", *self._scalar_states):
                    if key in param_state:
                        param_state[key] = self._scalar(key, param_state[key], param, group)
                for key in self._device_scalars:
                    if key in param_state and not isinstance(param_state[key], Tensor):
                        param_state[key] = number_state(float(param_state[key]), param)

    @torch._disable_dynamo
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load the optimizer state, as :meth:`torch.optim.Optimizer.load_state_dict` does.

        The state shares no memory with ``state_dict``, and scalar states keep their dtype whatever the parameters' is.
        """
        handle = self.register_load_state_dict_pre_hook(detach_state)
        try:
            super().load_state_dict(state_dict)
        finally:
            handle.remove()

    # --------------------------------------------------------------------------------------------------------- step

    @_use_grad_for_differentiable
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Perform a single optimization step.

        Args:
            closure (Callable, optional): A closure that reevaluates the model and returns the loss.
        """
        _check_graph_capture(self)

        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()

        self._waiting = []  # a step that failed may have left some
        for group in self.param_groups:
            if not group["fused"]:
                self._update(group)
        self._meet()
        if any(group["fused"] for group in self.param_groups):
            if torch.compiler.is_compiling():
                self._fused_update_outside_graphs()
            else:
                self._fused_update()

        return loss

    def _init_group(
        self, group: dict[str, Any], params: list[Tensor], grads: list[Tensor], *states_and_steps: list[Any]
    ) -> bool:
        """Fill the lists with what a step of ``group`` works on; create state where there is none.

        They are the parameters that have a gradient, their gradients, a list per state and the step counts. Returns
        whether any parameter is complex.
        """
        for param in group["params"]:
            if (grad := param.grad) is not None and self._may_step(param):
                params.append(param)
                grads.append(grad)
        self._check_gradients(grads, group)
        if group["fused"]:
            for device, dtype in {(param.device, param.dtype) for param in params}:
                _check_fused_support(device, dtype, supported_devices(self._kernels))

        *states, steps = states_and_steps
        keys = self._state_keys(group)
        if self._counts_steps or any(keys):
            param_states = [self.state[param] for param in params]
            for param, state in zip(params, param_states, strict=True):
                if not state:
                    self._create_state(param, group)
            for key, values in zip(keys, states, strict=True):
                if key in self._late_states or key in self._shaped_states:
                    values += [state.get(key) for state in param_states]
                elif key is not None:
                    values += [state[key] for state in param_states]
            if self._counts_steps:
                steps += [state["step"] for state in param_states]
        if group["differentiable"] and any(step.requires_grad for step in steps):
            raise RuntimeError("`requires_grad` is not supported for `step` in differentiable mode")
        has_complex = any(dtype.is_complex for dtype in {param.dtype for param in params})
        if has_complex and not self._takes_complex:
            raise RuntimeError(f"{type(self).__name__} does not support complex parameters")
        return has_complex

    def _check_gradients(self, grads: list[Tensor], group: dict[str, Any]) -> None:
        """Raise RuntimeError for gradients that ``group`` cannot take."""
        if any(grad.is_sparse for grad in grads):
            if group["fused"]:
                raise RuntimeError("`fused` does not support sparse gradients")
            self._check_sparse(group)

    def _collect(self, group: dict[str, Any], keys: Keys) -> tuple[Batch, bool]:
        """What a step of ``group`` works on, and whether any parameter is complex.

        ``_init_group`` and its protocol are those of torch's own optimizers, for which ``torch.compile`` has special
        support: it runs the method, and knows which tensors the lists then hold.
        """
        batch = Batch(states=[[] for _ in keys])
        has_complex = self._init_group(group, batch.params, batch.grads, *batch.states, batch.steps)
        return batch, has_complex

    def _update(self, group: dict[str, Any]) -> None:
        """One step of ``group``, which is not fused."""
        if getattr(self, "grad_scale", None) is not None or getattr(self, "found_inf", None) is not None:
            raise AssertionError("Expected grad_scale and found_inf to be None")
        keys = self._state_keys(group)
        batch, has_complex = self._collect(group, keys)
        if not batch.params:
            return
        foreach = group["foreach"]
        if foreach is None and group["fused"] is None:
            _, foreach = _default_to_fused_or_foreach(batch.params, group["differentiable"], use_fused=False)
        if foreach and group["differentiable"]:
            raise AssertionError("_foreach ops don't support autograd")
        columns: list[Sequence[Hashable]] = [[grad.is_sparse for grad in batch.grads]]
        if self._facts:
            columns.append([tuple(self._known(param).items()) for param in batch.params])
        if self._meets and not foreach:
            columns.append(range(len(batch.params)))
        for part in batch.split(columns):
            if part.grads[0].is_sparse:
                self._update_sparse(group, keys, part, foreach, has_complex)
            else:
                self._update_dense(group, keys, part, foreach, has_complex)

    def _update_sparse(self, group: dict[str, Any], keys: Keys, batch: Batch, foreach: bool, has_complex: bool) -> None:
        """The update by sparse gradients, one parameter after another whatever ``foreach`` says, as in torch."""
        if group["capturable"] or group["differentiable"] or not self._updates_rows(group):
            batch.grads = [grad.to_dense() for grad in batch.grads]
            self._update_dense(group, keys, batch, False, has_complex)
        else:
            rows, places = stored_rows(batch, self._per_element(keys))
            self._update_dense(group, keys, rows, False, has_complex)
            write_back(rows, batch, places, self._per_element(keys))

    def _per_element(self, keys: Keys) -> list[bool]:
        """Which states are shaped as their parameter."""
        return [key is not None and key not in self._scalar_states for key in keys]

    def _update_dense(self, group: dict[str, Any], keys: Keys, batch: Batch, foreach: bool, has_complex: bool) -> None:
        if group["capturable"] and not group["differentiable"]:
            self._update_on_device(group, keys, batch, foreach, has_complex)
        else:
            self._update_on_host(group, keys, batch, foreach, has_complex)

    def _update_on_host(
        self, group: dict[str, Any], keys: Keys, batch: Batch, foreach: bool, has_complex: bool
    ) -> None:
        """The update with step counts and scalar states read on the host: one call for all tensors that share them."""
        single_tensor, multi_tensor, _, differentiable = self._functions()
        hypers = self._hyperparameters(group)
        if group["differentiable"]:
            function = differentiable
            hypers = {name: to_device(value, batch.params[0].device) for name, value in hypers.items()}
        else:
            function = multi_tensor if foreach else single_tensor
            hypers = {name: to_number(value) for name, value in hypers.items()}

        self._advance(batch.steps)
        columns = self._presence(keys, batch.states)
        columns += [[value.item() for value in values] for values in self._scalars(keys, batch.states)]
        if self._reads_step:
            columns.append([to_number(step) for step in batch.steps])
        if foreach:
            columns.append([(param.device, param.dtype) for param in batch.params])
        for part in batch.split(columns):
            if self._reads_step:
                hypers["step"] = to_number(part.steps[0])
            self._call(function, keys, part, hypers, has_complex)

    def _advance(self, steps: list[Any]) -> None:
        """Add 1 to the step counts."""
        increment(steps)

    def _update_on_device(
        self, group: dict[str, Any], keys: Keys, batch: Batch, foreach: bool, has_complex: bool
    ) -> None:
        """The update with step counts and scalar states left on the device, as a graph can capture it."""
        columns = self._presence(keys, batch.states)
        if not foreach:
            columns.append(list(range(len(batch.params))))
        if not torch.compiler.is_compiling():
            self._check_capturable(keys, batch, _get_capturable_supported_devices(supports_xla=not foreach))
            columns.append([(param.device, param.dtype) for param in batch.params])

        increment(batch.steps)
        _, _, capturable, _ = self._functions()
        hypers = self._hyperparameters(group)
        for part in batch.split(columns):
            scalars = {name: to_device(value, part.params[0].device) for name, value in hypers.items()}
            if self._reads_step:
                scalars["step"] = torch.stack(part.steps)
            self._call(capturable, keys, part, scalars, has_complex, in_place=True)

    def _call(
        self,
        function: Callable[..., Any],
        keys: Keys,
        batch: Batch,
        scalars: dict[str, Any],
        has_complex: bool,
        in_place: bool = False,
    ) -> None:
        """Call ``function``, which takes real tensors and may put new ones into the lists of late states.

        ``in_place``: a state that was there stays at its address, where a captured graph will look for it.
        """
        tensors: list[list[Any]] = [batch.params, batch.grads, *batch.states]
        if has_complex:
            tensors = [[as_real(tensor) for tensor in values] for values in tensors]
        late = [
            (key, values, list(values))
            for key, values in zip(keys, tensors[2:], strict=True)
            if key in self._late_states
        ]

        def finish() -> None:
            if has_complex:
                for param, real in zip(batch.params, tensors[0], strict=True):
                    write_real(param, real)
            for key, values, before in late:
                if in_place and before[0] is not None:
                    if values[0] is not before[0]:
                        torch._foreach_copy_(before, values)
                else:
                    self._keep(key, batch.params, values, before)

        running = function(*tensors, **self._known(batch.params[0]), **scalars)
        if running is None:
            finish()
        else:
            self._waiting.append((running, finish))

    def _known(self, param: Tensor) -> dict[str, float]:
        """The facts about ``param`` that the functions are told, by keyword."""
        return {f"param_{fact}": getattr(facts, fact)(param) for fact in self._facts}

    def _meet(self) -> None:
        """Make the updates that wait for each other."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            run_together([update for update, _ in waiting])
        for _, finish in waiting:
            finish()

    def _keep(self, key: str | None, params: list[Tensor], values: list[Any], before: list[Any]) -> None:
        """Make the ``values`` that a step gave to the state ``key``, where they are new, part of the state."""
        for param, value, old in zip(params, values, before, strict=True):
            if value is not old:
                self.state[param][key] = torch.view_as_complex(value) if param.is_complex() else value

    def _presence(self, keys: Keys, states: States) -> list[Sequence[Hashable]]:
        """For every state without initial value, whether each parameter lacks it."""
        return [
            [value is None for value in values]
            for key, values in zip(keys, states, strict=True)
            if key in self._late_states
        ]

    def _of_some_shapes(self, keys: Keys, states: States) -> list[list[Any]]:
        """The lists of states that a parameter lacks because of its shape alone."""
        return [
            values
            for key, values in zip(keys, states, strict=True)
            if key in self._shaped_states and key not in self._late_states
        ]

    def _scalars(self, keys: Keys, states: States) -> list[list[Any]]:
        """The lists of the scalar states."""
        return [values for key, values in zip(keys, states, strict=True) if key in self._scalar_states]

    def _check_capturable(self, keys: Keys, batch: Batch, devices: list[str]) -> None:
        """Raise AssertionError unless everything is on one of the ``devices`` that can capture a graph."""
        lists = [batch.params, *self._scalars(keys, batch.states)]
        names = ["params", *(f"{key}s" for key in keys if key in self._scalar_states)]
        if self._counts_steps:
            lists.append(batch.steps)
            names.append("state_steps")
        for tensors in zip(*lists, strict=True):
            types = {tensor.device.type for tensor in tensors}
            if len(types) > 1 or not types.issubset(devices):
                listed = " and ".join(names) if len(names) < 3 else f"{', '.join(names[:-1])}, and {names[-1]}"
                raise AssertionError(f"If capturable=True, {listed} must be on supported devices: {devices}.")

    # -------------------------------------------------------------------------------------------------------- fused

    @torch._disable_dynamo
    def _fused_update_outside_graphs(self) -> None:
        """:meth:`_fused_update`, which ``torch.compile`` does not look into. Else it is called without this detour."""
        self._fused_update()

    def _fused_update(self) -> None:
        """One step of all fused parameter groups: by the plans kept of them, where these still hold."""
        grad_scale, found_inf = getattr(self, "grad_scale", None), getattr(self, "found_inf", None)
        changed = [
            group
            for i, group in enumerate(self.param_groups)
            if group["fused"] and not self._follow_plan(i, grad_scale, found_inf)
        ]
        if changed:
            self._fused_update_anew(changed, grad_scale, found_inf)
            for i, group in enumerate(self.param_groups):
                if any(group is other for other in changed):
                    self._plans[i] = self._plan(group)

    def _follow_plan(self, i: int, grad_scale: Tensor | None, found_inf: Tensor | None) -> bool:
        """Whether there is a plan for group ``i`` that holds; the step has been made by it then."""
        plan = self._plans.get(i)
        group = self.param_groups[i]
        if plan is None or plan.keys != self._state_keys(group):
            return False
        if found_inf is not None and found_inf.item():
            return True
        scale = None if grad_scale is None else grad_scale.item()
        return plan.step(group, self.state, self._hyperparameters(group), scale)

    def _plan(self, group: dict[str, Any]) -> GroupPlan | None:
        """A plan for the next steps of ``group``, from the back end of its device."""
        keys = self._state_keys(group)
        buckets = self._buckets(group, keys)
        devices = {bucket.params[0].device.type for bucket in buckets}
        if len(devices) != 1:
            return None
        make_plan = getattr(self._backend(devices.pop()), "plan_group", None)
        return None if make_plan is None else make_plan(group, keys, self.state, buckets)

    def _backend(self, device_type: str) -> ModuleType:
        package, _, module = self._module.rpartition(".")
        return backend(package, module, device_type)

    def _fused_update_anew(
        self, groups: list[dict[str, Any]], grad_scale: Tensor | None, found_inf: Tensor | None
    ) -> None:
        """One step of fused parameter ``groups``, with one call per type of device."""
        buckets: dict[str, list[tuple[Keys, Bucket]]] = {}
        for group in groups:
            keys = self._state_keys(group)
            for bucket in self._buckets(group, keys):
                buckets.setdefault(bucket.params[0].device.type, []).append((keys, bucket))

        for device_type, keyed in buckets.items():
            self._backend(device_type).fused_step([bucket for _, bucket in keyed], grad_scale, found_inf)
            for keys, bucket in keyed:
                for key, values in zip(keys, bucket.states, strict=True):
                    if key in self._late_states and not all(bucket.present):
                        self._keep(key, bucket.params, values, [None] * len(values))

    def _buckets(self, group: dict[str, Any], keys: Keys) -> list[Bucket]:
        """The tensors of a fused parameter group, in buckets of equal device, dtypes and presence of states."""
        batch, _ = self._collect(group, keys)
        if not batch.params:
            return []
        hypers = self._hyperparameters(group)
        columns = self._presence(keys, batch.states)
        columns += [[value is None for value in values] for values in self._of_some_shapes(keys, batch.states)]
        columns.append([(p.device, p.dtype, g.dtype) for p, g in zip(batch.params, batch.grads, strict=True)])
        buckets = []
        for part in batch.split(columns):
            for values in self._of_some_shapes(keys, part.states):
                if values[0] is None:
                    values.clear()
            present = [key in keys and part.states[keys.index(key)][0] is not None for key in self._late_states]
            scalars = {name: to_device(value, part.params[0].device) for name, value in hypers.items()}
            buckets.append(Bucket(part.params, part.grads, tuple(part.states), part.steps, tuple(present), scalars))
        return buckets


def _check_fused_support(device: torch.device, dtype: torch.dtype, devices: tuple[str, ...]) -> None:
    """Raise RuntimeError unless there can be a fused step of parameters of that kind, on one of ``devices``."""
    if device.type not in devices or not dtype.is_floating_point:
        raise RuntimeError(
            "`fused=True` requires all the params to be floating point Tensors of "
            f"supported devices: {list(devices)} but {dtype} and {device.type}"
        )
