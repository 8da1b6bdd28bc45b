"""Plans are kept from step to step, and whatever has changed in between is noticed."""

from __future__ import annotations

import copy
import gc
import os
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.native.harness import kernels, support
from tests.native.test_numerics import assert_tensors_close
from tests.torch_parity.cases import CASES, ON_CPU, VECTORS_ON_CPU, Case

ADAM = next(case for case in CASES if case.name == "Adam")
PLANNED = [case for case in ON_CPU if not case.needs_sparse and hasattr(kernels(case), "plan_group")]
"""Of steps in which torch has a part there are no plans."""
Change = Callable[[torch.optim.Optimizer], Any]


def params_of(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [param for group in optimizer.param_groups for param in group["params"]]


def new_optimizer(case: Case, **variant: Any) -> torch.optim.Optimizer:
    generator = torch.Generator().manual_seed(3)
    params = [torch.randn(4, 5, generator=generator).requires_grad_() for _ in range(3)]
    groups = [{"params": params[:2]}, {"params": params[2:], "maximize": True}]
    return case.ours(groups, lr=0.1, **variant)


def step(optimizer: torch.optim.Optimizer, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for param in params_of(optimizer):
        param.grad = torch.randn(param.shape, generator=generator).to(param.dtype)
    optimizer.step()


def plans(optimizer: torch.optim.Optimizer) -> list[Any]:
    return [optimizer._plans[i] for i in range(len(optimizer.param_groups))]


def assert_equal_to_loop(case: Case, change: Change, steps: int = 3) -> None:
    """``change`` after some steps has the effect on a fused optimizer that it has on one that is not."""
    results = []
    for variant in ({"fused": True}, {"foreach": False}):
        optimizer = new_optimizer(case, **variant)
        for seed in range(3):
            step(optimizer, seed)
        if "fused" in variant:
            assert all(plan is not None for plan in plans(optimizer))
        optimizer = change(optimizer) or optimizer
        for seed in range(10, 10 + steps):
            step(optimizer, seed)
        results.append(optimizer)
    for fused, loop in zip(*map(params_of, results), strict=True):
        assert_tensors_close(fused, loop, 64)
        for key, value in results[1].state[loop].items():
            assert_tensors_close(results[0].state[fused][key], value, 64)


@pytest.mark.parametrize("case", PLANNED, ids=str)
def test_a_plan_is_made_and_kept(case: Case) -> None:
    optimizer = new_optimizer(case, fused=True)
    for seed in range(3):
        step(optimizer, seed)
    before = plans(optimizer)
    assert all(plan is not None for plan in before)
    for seed in range(3):
        step(optimizer, seed)
    assert all(plan is other for plan, other in zip(before, plans(optimizer), strict=True))


def swap_data(optimizer: torch.optim.Optimizer) -> None:
    param = params_of(optimizer)[0]
    param.data = torch.ones(4, 5)


def swap_data_for_a_transposed_view(optimizer: torch.optim.Optimizer) -> None:
    """The address stays the same."""
    param = params_of(optimizer)[0]
    param.data = param.data.view(5, 4).t()


def swap_data_for_another_dtype(optimizer: torch.optim.Optimizer) -> None:
    for param in params_of(optimizer)[:2]:
        param.grad = None
        for value in (param, optimizer.state[param]["exp_avg"], optimizer.state[param]["exp_avg_sq"]):
            value.data = value.data.double()


def change_a_value(optimizer: torch.optim.Optimizer) -> None:
    with torch.no_grad():
        params_of(optimizer)[0].mul_(2)


def move_state(optimizer: torch.optim.Optimizer) -> None:
    for state in optimizer.state.values():
        for value in state.values():
            value.data = value.data.clone() * 1.5


def replace_state(optimizer: torch.optim.Optimizer) -> None:
    state = optimizer.state[params_of(optimizer)[0]]
    for key, value in state.items():
        state[key] = value * 2


def replace_a_state_dict(optimizer: torch.optim.Optimizer) -> None:
    param = params_of(optimizer)[0]
    optimizer.state[param] = {key: value * 3 for key, value in optimizer.state[param].items()}


def forget_a_state(optimizer: torch.optim.Optimizer) -> None:
    del optimizer.state[params_of(optimizer)[0]]


def set_step_counts(optimizer: torch.optim.Optimizer) -> None:
    """They differ within a group from then on."""
    optimizer.state[params_of(optimizer)[0]]["step"].fill_(7)


def load(optimizer: torch.optim.Optimizer) -> None:
    optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))


def add_a_group(optimizer: torch.optim.Optimizer) -> None:
    optimizer.add_param_group({"params": [torch.ones(4, 5, requires_grad=True)], "lr": 0.01})


def add_a_parameter(optimizer: torch.optim.Optimizer) -> None:
    optimizer.param_groups[0]["params"].append(torch.ones(4, 5, requires_grad=True))


def change_learning_rates(optimizer: torch.optim.Optimizer) -> None:
    for group in optimizer.param_groups:
        group["lr"] = 0.5


def learning_rate_as_a_tensor(optimizer: torch.optim.Optimizer) -> None:
    for group in optimizer.param_groups:
        group["lr"] = torch.tensor(0.25)


def change_flags(optimizer: torch.optim.Optimizer) -> None:
    for group in optimizer.param_groups:
        group["maximize"] = not group["maximize"]
        group["weight_decay"] = 0.1


def share_memory(optimizer: torch.optim.Optimizer) -> None:
    optimizer.share_memory()


def deep_copy(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    return copy.deepcopy(optimizer)


CHANGES = (
    swap_data,
    swap_data_for_a_transposed_view,
    swap_data_for_another_dtype,
    change_a_value,
    move_state,
    replace_state,
    replace_a_state_dict,
    forget_a_state,
    set_step_counts,
    load,
    add_a_group,
    add_a_parameter,
    change_learning_rates,
    learning_rate_as_a_tensor,
    change_flags,
    share_memory,
    deep_copy,
)


@pytest.mark.parametrize("metadata", ["in C++", "in Python"])
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_changes_are_noticed(change: Change, metadata: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if metadata == "in Python":
        monkeypatch.setattr(support(ADAM, "native_plan"), "_guards", None)
    assert_equal_to_loop(ADAM, change)


def test_a_gradient_in_another_layout_is_noticed() -> None:
    results = []
    for variant in ({"fused": True}, {"foreach": False}):
        optimizer = new_optimizer(ADAM, **variant)
        for seed in range(3):
            step(optimizer, seed)
        for seed in range(3):
            for param in params_of(optimizer):
                grad = torch.randn(4, 5, generator=torch.Generator().manual_seed(seed))
                param.grad = torch.empty(5, 4).t().copy_(grad)
            optimizer.step()
        results.append(optimizer)
    for fused, loop in zip(*map(params_of, results), strict=True):
        assert_tensors_close(fused, loop, 64)


def test_gradients_come_and_go() -> None:
    results = []
    for variant in ({"fused": True}, {"foreach": False}):
        optimizer = new_optimizer(ADAM, **variant)
        for t in range(8):
            for i, param in enumerate(params_of(optimizer)):
                param.grad = torch.full_like(param, 1.0 + t) if t & (i + 1) else None
            optimizer.step()
        results.append(optimizer)
    for fused, loop in zip(*map(params_of, results), strict=True):
        assert_tensors_close(fused, loop, 64)
        assert torch.equal(results[0].state[fused]["step"], results[1].state[loop]["step"])


def test_a_plan_keeps_no_gradient_alive() -> None:
    optimizer = new_optimizer(ADAM, fused=True)
    for seed in range(3):
        step(optimizer, seed)
    storages = [weakref.ref(param.grad.untyped_storage()) for param in params_of(optimizer)]
    optimizer.zero_grad(set_to_none=True)
    gc.collect()
    assert [storage() for storage in storages] == [None] * 3


def test_autograd_notices_a_step_that_changes_what_it_has_saved() -> None:
    """Also when the step is a planned one."""
    optimizer = new_optimizer(ADAM, fused=True)
    for seed in range(3):
        step(optimizer, seed)
        param = params_of(optimizer)[0]
        saved = (param * param).sum()
        step(optimizer, seed)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            saved.backward()


@pytest.mark.parametrize("case", [case for case in VECTORS_ON_CPU if not case.needs_sparse], ids=str)
def test_grad_scaler(case: Case) -> None:
    """Unscaling is the kernel's work, in gradients too; a step with an infinite gradient changes nothing."""
    param = torch.ones(3, requires_grad=True)
    plain = param.detach().clone().requires_grad_()
    ours, reference = case.ours([param], lr=0.1, fused=True), case.ours([plain], lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0, growth_interval=1000)
    for factor in (float("inf"), 1.0, 3.0, float("inf"), 2.0, 0.5):
        for optimizer in (ours, reference):
            optimizer.zero_grad()
        scaler.scale((param * factor).sum()).backward()
        scaler.step(ours)
        scaler.update()
        if factor < float("inf"):
            (plain * factor).sum().backward()
            reference.step()
            assert torch.equal(param.grad, plain.grad)
    torch.testing.assert_close(param, plain, rtol=5e-6, atol=0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forked children on this platform")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_steps(two_threads: None) -> None:
    """With one thread: those of its parent do not exist in it."""
    param = torch.ones(100_000, requires_grad=True)
    optimizer = ADAM.ours([param], fused=True)
    for _ in range(3):
        param.grad = torch.ones(100_000)
        optimizer.step()
    expected = param.detach().clone()
    child = os.fork()
    if child == 0:
        optimizer.step()
        torch.set_num_threads(1)  # which torch's own operations need
        os._exit(0 if bool((param < expected).all()) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert torch.equal(param, expected)
