"""Fixtures of the tests against torch.optim."""

from __future__ import annotations

import sys

import pytest

from tests.torch_parity.cases import Case


@pytest.fixture
def cpu_is_capturable(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """The CPU counts among the devices that can capture a graph, for torch's optimizers and for ours."""
    assert case.module
    for name, module in list(sys.modules.items()):
        if name.startswith("torch.optim.") or name.endswith("._support.optimizer"):
            if hasattr(module, "_get_capturable_supported_devices"):
                monkeypatch.setattr(module, "_get_capturable_supported_devices", lambda supports_xla=True: ["cpu"])
