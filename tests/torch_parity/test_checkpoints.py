"""State dicts: torch's continue in ours, ours in torch's, and old ones load."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from typing import Any

import pytest
import torch

from tests.torch_parity.cases import Case, assert_agree, every_case, train

CONFIGURATIONS = (
    {},
    {"maximize": True, "foreach": True},
    {"weight_decay": 0.1},
    {"lr": torch.tensor(0.25, dtype=torch.float64)},
)


def saved(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """The state dict of ``optimizer``, through a file."""
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def skip_if_complex_is_refused(case: Case, dtype: torch.dtype) -> None:
    if dtype.is_complex and not case.info.supports_complex:
        pytest.skip("complex parameters are refused")


def continued(
    cls: type[torch.optim.Optimizer], source: torch.optim.Optimizer, kwargs: dict[str, Any]
) -> torch.optim.Optimizer:
    """An optimizer of copies of ``source``'s parameters that takes over its state."""
    params = [p.detach().clone().requires_grad_() for group in source.param_groups for p in group["params"]]
    optimizer = cls(params, **kwargs)
    optimizer.load_state_dict(saved(source))
    return optimizer


@pytest.mark.parametrize("dtype", (torch.float64, torch.complex64), ids=("float64", "complex64"))
@pytest.mark.parametrize("kwargs", CONFIGURATIONS, ids=("default", "foreach", "weight_decay", "tensor lr"))
@every_case
def test_a_checkpoint_of_torchs_goes_on_in_ours(case: Case, kwargs: dict[str, Any], dtype: torch.dtype) -> None:
    skip_if_complex_is_refused(case, dtype)
    torchs = case.trained(case.torchs, dtype, case.accepted(kwargs), steps=4)
    ours = continued(case.ours, torchs, {})
    for optimizer in (torchs, ours):
        train(optimizer, range(4, 8))
    assert_agree(ours, torchs, case.tolerance(dtype, kwargs))


@pytest.mark.parametrize("dtype", (torch.float64, torch.complex64), ids=("float64", "complex64"))
@pytest.mark.parametrize("kwargs", CONFIGURATIONS, ids=("default", "foreach", "weight_decay", "tensor lr"))
@every_case
def test_a_checkpoint_of_ours_goes_on_in_torchs(case: Case, kwargs: dict[str, Any], dtype: torch.dtype) -> None:
    """As one of torch's own does: loading casts its scalar states to the parameter's dtype."""
    skip_if_complex_is_refused(case, dtype)
    kwargs = case.accepted(kwargs)
    continued_twice = [
        continued(case.torchs, case.trained(cls, dtype, kwargs, steps=4), {}) for cls in (case.ours, case.torchs)
    ]
    for optimizer in continued_twice:
        train(optimizer, range(4, 8))
    assert_agree(*continued_twice, rtol=case.tolerance(dtype, kwargs))


@every_case
def test_group_keys_hold_those_of_torch(case: Case) -> None:
    ours, torchs = (case.trained(cls, torch.float32, {}, steps=2).state_dict() for cls in (case.ours, case.torchs))
    for our_group, their_group in zip(ours["param_groups"], torchs["param_groups"], strict=True):
        assert their_group.items() <= our_group.items()
    assert {k: list(v) for k, v in ours["state"].items()} == {k: list(v) for k, v in torchs["state"].items()}


@every_case
def test_loaded_state_is_a_copy(case: Case) -> None:
    source = case.trained(case.ours, torch.float64, {}, steps=4)
    state_dict = source.state_dict()
    before = copy.deepcopy(state_dict)
    optimizer = case.ours(case.parameters(torch.float64))
    optimizer.load_state_dict(state_dict)
    train(optimizer, range(4, 6))
    torch.testing.assert_close(state_dict, before, rtol=0, atol=0)


@every_case
def test_scalars_keep_their_dtype(case: Case) -> None:
    """Loading casts states to the parameter's dtype, but not those that are one number per parameter."""
    source = case.trained(case.ours, torch.bfloat16, {}, steps=4)
    optimizer = case.ours(case.parameters(torch.bfloat16))
    optimizer.load_state_dict(saved(source))
    for param, state in optimizer.state.items():
        for key, value in state.items():
            is_scalar = key == "step" or key in optimizer._scalar_states
            assert isinstance(value, int) or value.dtype is (torch.float32 if is_scalar else param.dtype)
    train(source, range(4, 6))
    train(optimizer, range(4, 6))
    for ours, theirs in zip(optimizer.state.values(), source.state.values(), strict=True):
        torch.testing.assert_close(
            [ours[key] for key in ours if key in ("step", *optimizer._scalar_states)],
            [theirs[key] for key in theirs if key in ("step", *optimizer._scalar_states)],
        )


@pytest.mark.parametrize("count", (int, float, torch.tensor), ids=lambda count: count.__name__)
@every_case
def test_older_checkpoints(case: Case, count: Callable[[Any], Any]) -> None:
    """Those of before an argument existed, and of before scalar states were tensors, or floating ones."""
    source = case.trained(case.torchs, torch.float64, {}, steps=4)
    state_dict = copy.deepcopy(source.state_dict())
    for group in state_dict["param_groups"]:
        for key in ("maximize", "foreach", "capturable", "differentiable", "fused"):
            group.pop(key, None)
    scalars = ("step", *case.ours._scalar_states)
    for state in state_dict["state"].values():
        state.update({key: torch.as_tensor(state[key]).item() for key in scalars if key in state})
        if "step" in state:
            state["step"] = count(int(state["step"]))

    optimizer = case.ours([p.detach().clone().requires_grad_() for p in source.param_groups[0]["params"]])
    optimizer.load_state_dict(state_dict)
    for key, value in case.ours(case.parameters(torch.float64)).defaults.items():
        assert optimizer.param_groups[0][key] == value
    for each in (source, optimizer):
        train(each, range(4, 6))
    assert_agree(optimizer, source, case.tolerance(torch.float64))


@every_case
def test_an_older_pickle(case: Case) -> None:
    optimizer = case.trained(case.ours, torch.float32, {}, steps=2)
    state = copy.deepcopy(optimizer.__getstate__())
    expected = copy.deepcopy(optimizer.param_groups[0])
    for key in list(state["param_groups"][0]):
        if key not in ("params", "lr"):
            del state["param_groups"][0][key]
    restored = case.ours.__new__(case.ours)
    restored.__setstate__(state)
    assert {k: v for k, v in restored.param_groups[0].items() if k != "params"} == {
        k: v for k, v in expected.items() if k != "params"
    }
    train(restored, range(2, 3))


@every_case
def test_default_dtype_float64(case: Case) -> None:
    torch.set_default_dtype(torch.float64)
    try:
        ours, torchs = (case.trained(cls, torch.float32, {}, steps=2) for cls in (case.ours, case.torchs))
    finally:
        torch.set_default_dtype(torch.float32)
    assert_agree(ours, torchs, case.tolerance(torch.float32))
