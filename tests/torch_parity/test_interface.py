"""Constructors, groups, hooks and closures: what a program that uses an optimizer sees of it."""

from __future__ import annotations

import copy
import inspect
import pickle
import re
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.testing._internal.common_optimizers import OptimizerErrorEnum

from tests.torch_parity.cases import CASES, FUSED, Case, assert_agree, every_case, gradients, train

FLAGS = {"maximize": False, "foreach": None, "capturable": False, "differentiable": False, "fused": None}


def split_signature(cls: type) -> tuple[list[tuple[str, Any]], dict[str, Any]]:
    """Positional parameters in order, and keyword-only ones, with their defaults."""
    entries = inspect.signature(cls).parameters.values()
    positional = [(p.name, p.default) for p in entries if p.kind is p.POSITIONAL_OR_KEYWORD]
    return positional, {p.name: p.default for p in entries if p.kind is p.KEYWORD_ONLY}


@every_case
def test_signature(case: Case) -> None:
    positional, keywords = split_signature(case.ours)
    torchs_positional, torchs_keywords = split_signature(case.torchs)
    assert positional == torchs_positional
    assert keywords == {**{k: v for k, v in FLAGS.items() if k not in dict(positional)}, **torchs_keywords}


@every_case
def test_defaults(case: Case) -> None:
    ours, torchs = (cls(case.parameters(torch.float32)) for cls in (case.ours, case.torchs))
    assert ours.defaults == {**FLAGS, **torchs.defaults}
    torch.testing.assert_close(ours.state_dict()["state"], torchs.state_dict()["state"], rtol=0, atol=0)
    assert repr(ours).splitlines()[0] == repr(torchs).splitlines()[0]


def error_inputs() -> list[Any]:
    return [
        pytest.param(case, entry, id=f"{case}-{entry.optimizer_error_input.desc}")
        for case in CASES
        for entry in case.info.optim_error_inputs_func(device="cpu", dtype=torch.float32)
    ]


@pytest.mark.parametrize(("case", "entry"), error_inputs())
def test_errors(case: Case, entry: Any) -> None:
    """torch's own error inputs: equal types and texts."""
    given = entry.optimizer_error_input
    if issubclass(entry.error_type, Warning):
        with pytest.warns(entry.error_type, match=entry.error_regex):
            case.ours(given.params, **given.kwargs)
        return
    params = case.parameters(torch.float32) if given.params is None else given.params

    def fail(cls: type[torch.optim.Optimizer]) -> None:
        its_params = copy.deepcopy(params)
        optimizer = cls(its_params, **given.kwargs)
        if entry.error_on is OptimizerErrorEnum.STEP_ERROR:
            for param, given_param in zip(its_params, params, strict=True):
                param.grad = None if given_param.grad is None else given_param.grad.clone()
            optimizer.step()

    with pytest.raises(entry.error_type) as torchs:
        fail(case.torchs)
    if any(text in str(torchs.value) for text in case.accepts):
        fail(case.ours)
        return
    with pytest.raises(entry.error_type) as ours:
        fail(case.ours)
    assert str(ours.value) == str(torchs.value)


@every_case
def test_errors_of_flags(case: Case) -> None:
    params = case.parameters(torch.float32)
    with pytest.raises(RuntimeError, match=r"`fused` and `foreach` cannot be `True` together\."):
        case.ours(params, fused=True, foreach=True)
    with pytest.raises(RuntimeError, match="`fused` does not support `differentiable`"):
        case.ours(params, fused=True, differentiable=True)
    with pytest.raises(ValueError, match="optimizer got an empty parameter list"):
        case.ours([])


@every_case
def test_nan_is_refused_where_torch_refuses_it(case: Case) -> None:
    params = case.parameters(torch.float32)

    def message(cls: type[torch.optim.Optimizer], kwargs: dict[str, Any]) -> str:
        try:
            cls(params, **kwargs)
        except ValueError as error:
            return str(error)
        return ""

    for name, default in case.torchs(params).defaults.items():
        numbers = default if isinstance(default, tuple) else (default,)
        if isinstance(default, bool) or not all(x is None or isinstance(x, int | float) for x in numbers):
            continue
        for i in range(len(numbers)):
            changed = (*numbers[:i], float("nan"), *numbers[i + 1 :])
            kwargs = {name: changed if isinstance(default, tuple) else changed[0]}
            if case.accepted(kwargs) and (torchs := message(case.torchs, kwargs)):
                assert message(case.ours, kwargs) == torchs


@every_case
def test_a_group_is_checked_too(case: Case) -> None:
    params = case.parameters(torch.float32)
    with pytest.raises(ValueError, match=re.escape(case.lr_error.format(-1))):
        case.ours([{"params": params, "lr": -1}])
    optimizer = case.ours(params[:2])
    with pytest.raises(ValueError, match=re.escape(case.lr_error.format(-1))):
        optimizer.add_param_group({"params": params[2:], "lr": -1})
    with pytest.raises(TypeError, match="param_group must be a dict"):
        optimizer.add_param_group(params)
    assert len(optimizer.param_groups) == 1


@every_case
def test_a_range_does_not_hold_nan(case: Case) -> None:
    with pytest.raises(ValueError, match=re.escape(case.lr_error.format("nan"))):
        case.ours(case.parameters(torch.float32), lr=float("nan"))


@pytest.mark.parametrize("case", [case for case in FUSED if not case.needs_sparse], ids=str)
def test_fused_needs_a_device_with_a_kernel(case: Case) -> None:
    param = torch.zeros(3, 1, requires_grad=True, device="meta")
    param.grad = torch.zeros_like(param)
    with pytest.raises(RuntimeError, match="`fused=True` requires all the params to be floating point Tensors of"):
        case.ours([param], fused=True).step()


@every_case
def test_named_parameters(case: Case) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 3, bias=False), torch.nn.Linear(3, 1, bias=False))
    optimizer = case.ours(model.named_parameters())
    assert optimizer.param_groups[0]["param_names"] == ["0.weight", "1.weight"]
    assert optimizer.state_dict()["param_groups"][0]["param_names"] == ["0.weight", "1.weight"]


@pytest.mark.parametrize("variant", ({}, {"foreach": True}, {"fused": True}), ids=lambda v: "".join(v) or "for-loop")
@every_case
def test_the_default_device_is_not_that_of_a_step(case: Case, variant: dict[str, Any]) -> None:
    if variant.get("fused") and "native" not in case.ours._kernels:
        pytest.skip("no fused step on the CPU")
    expected = case.trained(case.ours, torch.float32, variant, steps=4)
    params = case.parameters(torch.float32)
    optimizer = case.ours(params, **variant)
    for step in range(4):
        for param, grad in zip(params, gradients(params, step, case.needs_sparse), strict=True):
            param.grad = grad
        with torch.device("meta"):
            optimizer.step()
    assert assert_agree(optimizer, expected, rtol=0.0)


@every_case
def test_closure(case: Case) -> None:
    param = torch.ones(3, 1, requires_grad=True)
    optimizer = case.ours([param], lr=0.1)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = (param**2).sum()
        loss.backward()
        case.prepare([param])
        return loss

    with torch.no_grad():
        losses = [optimizer.step(closure).item() for _ in range(3)]
    assert losses == sorted(losses, reverse=True) and losses[0] == 3.0
    assert optimizer.step() is None


@every_case
def test_step_leaves_the_gradient_and_the_grad_mode_alone(case: Case) -> None:
    optimizer = case.trained(case.ours, torch.float32, {}, steps=1)
    params = optimizer.param_groups[0]["params"]
    train(optimizer, range(1, 2))
    grads = [None if p.grad is None else p.grad.clone() for p in params]
    optimizer.step()
    for param, grad in zip(params, grads, strict=True):
        assert (param.grad is None) if grad is None else torch.equal(param.grad.to_dense(), grad.to_dense())
        assert param.requires_grad and param.is_leaf
    assert torch.is_grad_enabled()


@every_case
def test_step_writes_in_place(case: Case) -> None:
    for foreach in (False, True):
        optimizer = case.trained(case.ours, torch.float32, {"foreach": foreach}, steps=2)
        states = [[v for v in state.values() if isinstance(v, torch.Tensor)] for state in optimizer.state.values()]
        tensors = [optimizer.param_groups[0]["params"], *states]
        places = [[tensor.data_ptr() for tensor in values] for values in tensors]
        train(optimizer, range(10, 12))
        assert places == [[tensor.data_ptr() for tensor in values] for values in tensors]


@every_case
def test_states_are_laid_out_as_their_parameter(case: Case) -> None:
    optimizer = case.trained(case.ours, torch.float32, {}, steps=2)
    for param, state in optimizer.state.items():
        values = [value for value in state.values() if isinstance(value, torch.Tensor)]
        assert all(value.stride() == param.stride() for value in values if value.shape == param.shape)


@every_case
def test_hooks(case: Case) -> None:
    """All of torch's hooks, in torch's order."""
    calls: list[str] = []

    def note(text: str) -> Callable[..., None]:
        return lambda *args: calls.append(text)

    optimizer = case.ours(case.parameters(torch.float32))
    handles = [
        optimizer.register_step_pre_hook(note("pre")),
        optimizer.register_step_post_hook(note("post")),
        register_optimizer_step_pre_hook(note("global pre")),
        register_optimizer_step_post_hook(note("global post")),
        optimizer.register_state_dict_pre_hook(note("state_dict pre")),
        optimizer.register_state_dict_post_hook(note("state_dict post")),
        optimizer.register_load_state_dict_pre_hook(note("load pre")),
        optimizer.register_load_state_dict_post_hook(note("load post")),
    ]
    optimizer.step()
    optimizer.load_state_dict(optimizer.state_dict())
    for handle in handles:
        handle.remove()
    optimizer.step()
    step = ["global pre", "pre", "post", "global post"]
    assert calls == [*step, "state_dict pre", "state_dict post", "load pre", "load post"]


@every_case
def test_scheduler(case: Case) -> None:
    optimizers = []
    for cls in (case.ours, case.torchs):
        optimizer = cls(case.parameters(torch.float64), lr=0.5)
        scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
        for step in range(6):
            train(optimizer, range(step, step + 1))
            scheduler.step()
        optimizers.append(optimizer)
    assert_agree(*optimizers, rtol=case.tolerance(torch.float64))


@every_case
def test_grad_scaler(case: Case) -> None:
    """Steps with an infinite gradient are skipped, the others are those of unscaled gradients."""
    param = torch.ones(3, 1, requires_grad=True)
    plain = param.detach().clone().requires_grad_()
    ours, reference = case.ours([param], lr=0.1), case.torchs([plain], lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0, growth_interval=1000)
    for factor in (1.0, float("inf"), 2.0):
        for optimizer in (ours, reference):
            optimizer.zero_grad()
        scaler.scale((param * factor).sum()).backward()
        case.prepare([param])
        scaler.step(ours)
        scaler.update()
        if factor < float("inf"):
            (plain * factor).sum().backward()
            case.prepare([plain])
            reference.step()
    assert_agree(ours, reference, rtol=1e-6)


@pytest.mark.parametrize("twin", (copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))), ids=("deepcopy", "pickle"))
@every_case
def test_copies_go_on_alone(case: Case, twin: Callable[[Any], Any]) -> None:
    optimizer = case.trained(case.ours, torch.float64, {}, steps=3)
    before = copy.deepcopy(optimizer.state_dict())
    copied = twin(optimizer)
    train(copied, range(3, 6))
    torch.testing.assert_close(optimizer.state_dict(), before, rtol=0, atol=0)
    train(optimizer, range(3, 6))
    assert_agree(optimizer, copied, rtol=0.0)


@every_case
def test_no_warnings(case: Case) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        case.trained(case.ours, torch.float32, {}, steps=2)


@every_case
def test_source_of_the_class_can_be_shown(case: Case) -> None:
    assert inspect.getsource(case.ours).startswith(f"class {case.name}(")
    assert "Args:" in (inspect.getdoc(case.ours) or "")
