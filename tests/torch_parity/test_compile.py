"""``torch.compile`` of a step: as few graphs as torch's own optimizers take, and the same results."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend

from tests.torch_parity.cases import Case, assert_agree, every_case_on_cpu, every_dense_case, gradients

VARIANTS = {"loop": {}, "foreach": {"foreach": True}}


def compiled(
    case: Case, cls: type[torch.optim.Optimizer], kwargs: dict[str, Any], steps: int = 4
) -> tuple[torch.optim.Optimizer, int]:
    """An optimizer after steps that were compiled, and how many graphs that took."""
    torch._dynamo.reset()
    counter = CompileCounterWithBackend("aot_eager")
    params = [param for param in case.parameters(torch.float32) if param.numel()]
    optimizer = cls(params, **kwargs)
    step = torch.compile(optimizer.step, backend=counter)
    for i in range(steps):
        for param, grad in zip(params, gradients(params, 7), strict=True):
            param.grad = None if grad is None else (i + 1) * grad
        step()
    return optimizer, counter.frame_count


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
@every_dense_case
def test_compiled_step(case: Case, variant: dict[str, Any]) -> None:
    kwargs = case.accepted({**variant, "weight_decay": 0.1})
    ours, graphs = compiled(case, case.ours, kwargs)
    torchs, torchs_graphs = compiled(case, case.torchs, kwargs)
    assert_agree(ours, torchs, rtol=5e-6)
    assert graphs <= max(torchs_graphs, 1)  # torch gives up on one that reads a norm on the host


@pytest.mark.filterwarnings("ignore")
@every_case_on_cpu
def test_a_fused_step_in_a_compiled_function(case: Case) -> None:
    """No graph holds it; it is made between them."""
    torch._dynamo.reset()
    optimizers = [case.ours(case.parameters(torch.float32), fused=True) for _ in range(2)]
    params = [optimizer.param_groups[0]["params"] for optimizer in optimizers]

    def step(optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> torch.Tensor:
        optimizer.step()
        return loss + 1

    compiled_step = torch.compile(step, backend="eager")
    for i in range(4):
        for optimizer, tensors, function in zip(optimizers, params, (compiled_step, step), strict=True):
            for param, grad in zip(tensors, gradients(tensors, i, case.needs_sparse), strict=True):
                param.grad = grad
            assert function(optimizer, torch.tensor(float(i))) == i + 1
    assert_agree(*optimizers, rtol=0.0)


@pytest.mark.filterwarnings("ignore")
@every_dense_case
def test_a_learning_rate_in_a_tensor_needs_no_new_graph(case: Case) -> None:
    torch._dynamo.reset()
    counter = CompileCounterWithBackend("eager")
    lr = torch.tensor(0.125)
    ours, plain = case.ours(case.parameters(torch.float32), lr=lr), case.ours(case.parameters(torch.float32), lr=0.125)
    compiled_step = torch.compile(ours.step, backend=counter)
    graphs = []
    for i, value in enumerate((0.125, 0.25, 0.5, 0.0625)):
        lr.fill_(value)
        plain.param_groups[0]["lr"] = value
        for optimizer, step in ((ours, compiled_step), (plain, plain.step)):
            params = optimizer.param_groups[0]["params"]
            for param, grad in zip(params, gradients(params, 7), strict=True):
                param.grad = None if grad is None else (i + 1) * grad
            step()
        graphs.append(counter.frame_count)
    assert_agree(ours, plain, rtol=5e-6)
    assert graphs[1:] == [graphs[1]] * 3
