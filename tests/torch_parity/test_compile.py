"""``torch.compile`` of a step: as few graphs as torch's own optimizers take, and the same results."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend

from tests.torch_parity.cases import Case, assert_agree, every_case, gradients, parameters

VARIANTS = {"loop": {}, "foreach": {"foreach": True}}


def compiled(
    cls: type[torch.optim.Optimizer], kwargs: dict[str, Any], steps: int = 4
) -> tuple[torch.optim.Optimizer, int]:
    """An optimizer after steps that were compiled, and how many graphs that took."""
    torch._dynamo.reset()
    counter = CompileCounterWithBackend("aot_eager")
    params = [param for param in parameters(torch.float32) if param.numel()]
    optimizer = cls(params, **kwargs)
    step = torch.compile(optimizer.step, backend=counter)
    for i in range(steps):
        for param, grad in zip(params, gradients(params, 7), strict=True):
            param.grad = None if grad is None else (i + 1) * grad
        step()
    return optimizer, counter.frame_count


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
@every_case
def test_compiled_step(case: Case, variant: dict[str, Any]) -> None:
    kwargs = case.accepted({**variant, "weight_decay": 0.1})
    ours, graphs = compiled(case.ours, kwargs)
    torchs, torchs_graphs = compiled(case.torchs, kwargs)
    assert_agree(ours, torchs, rtol=5e-6)
    assert graphs <= torchs_graphs
