"""A package of generated kernels to compile, and how often kernels are launched."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.triton.harness import Package


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Package:
    return Package(tmp_path_factory.mktemp("compiled"), interpret=False)


@pytest.fixture
def launches(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each kernel has been launched."""
    from triton.runtime.interpreter import InterpretedFunction

    counts: Counter[str] = Counter()
    run = InterpretedFunction.run

    def counted(self: Any, *args: Any, **kwargs: Any) -> Any:
        counts[self.fn.__name__] += 1
        return run(self, *args, **kwargs)

    monkeypatch.setattr(InterpretedFunction, "run", counted)
    return counts
