"""``fused=True`` through the class, its kernels run by Triton's interpreter on the CPU."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from types import ModuleType

import pytest
import torch
import triton

from tests.torch_parity.cases import FUSED, Case, assert_agree, every_fused_case, stepped_negated_views, train
from tests.triton.harness import faithful_interpreter

pytestmark = pytest.mark.filterwarnings("ignore:(divide by zero|invalid value):RuntimeWarning")


@pytest.fixture(autouse=True)
def cpu_has_a_kernel(case: Case, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The CPU counts among the devices with fused kernels."""
    monkeypatch.setitem(support(case, "fused").BACKENDS, "cpu", "triton")
    with faithful_interpreter(), triton.knobs.runtime.scope():
        triton.knobs.runtime.interpret = True
        yield


def support(case: Case, name: str) -> ModuleType:
    package = case.ours.__module__.rpartition(".")[0]
    return importlib.import_module(f"{package}._support.{name}")


@every_fused_case
def test_agrees_with_the_loop(case: Case) -> None:
    """Two groups, gradients that are None, the first ones late."""
    optimizers = []
    for cls, fused in ((case.ours, True), (case.torchs, None)):
        params = case.parameters(torch.float32)
        groups = [{"params": params[:3], "lr": 0.5}, {"params": params[3:], **case.accepted({"maximize": True})}]
        optimizers.append(cls(groups, **({"fused": True} if fused else {})))
        train(optimizers[-1], range(3))
    assert_agree(*optimizers, rtol=max(5e-6, case.foreach_rtol))


@pytest.mark.parametrize("case", [case for case in FUSED if not case.needs_sparse], ids=str)
def test_grad_scaler_leaves_unscaling_to_the_kernel(case: Case) -> None:
    """A step with an infinite gradient changes nothing, be it the first one."""
    param = torch.ones(3, 1, requires_grad=True)
    plain = param.detach().clone().requires_grad_()
    ours, reference = case.ours([param], lr=0.1, fused=True), case.torchs([plain], lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0, growth_interval=1000)
    for factor in (float("inf"), 1.0, float("inf"), 2.0):
        for optimizer in (ours, reference):
            optimizer.zero_grad()
        scaler.scale((param * factor).sum()).backward()
        assert torch.isinf(param.grad).all() or torch.equal(param.grad, factor * scaler.get_scale() * torch.ones(3, 1))
        scaler.step(ours)
        scaler.update()
        if factor < float("inf"):
            (plain * factor).sum().backward()
            reference.step()
    torch.testing.assert_close(param, plain, rtol=5e-6, atol=0)


@every_fused_case
def test_checkpoint_moves_between_fused_and_not(case: Case) -> None:
    fused = case.trained(case.ours, torch.float32, {"fused": True}, steps=2)
    plain = case.ours([p.detach().clone().requires_grad_() for p in fused.param_groups[0]["params"]])
    state_dict = fused.state_dict()
    state_dict["param_groups"][0]["fused"] = None
    plain.load_state_dict(state_dict)
    for optimizer in (fused, plain):
        train(optimizer, range(2, 4))
    assert_agree(fused, plain, rtol=5e-6)


@every_fused_case
def test_negated_views(case: Case) -> None:
    assert_agree(*stepped_negated_views(case), rtol=max(5e-6, case.foreach_rtol))


@every_fused_case
def test_a_fused_group_beside_one_that_is_not(case: Case) -> None:
    optimizers = []
    for fused in (True, None):
        params = case.parameters(torch.float32)
        optimizers.append(case.ours([{"params": params[:3], "fused": fused}, {"params": params[3:]}]))
        train(optimizers[-1], range(2))
    assert_agree(*optimizers, rtol=5e-6)
