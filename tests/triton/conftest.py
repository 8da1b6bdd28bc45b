"""Packages of generated kernels: one for Triton's interpreter, one to compile."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.triton.harness import Package, faithful_interpreter


@pytest.fixture(scope="session")
def interpreter() -> Iterator[None]:
    with faithful_interpreter():
        yield


@pytest.fixture(scope="session")
def interpreted(interpreter: None, tmp_path_factory: pytest.TempPathFactory) -> Package:
    return Package(tmp_path_factory.mktemp("interpreted"), interpret=True)


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Package:
    return Package(tmp_path_factory.mktemp("compiled"), interpret=False)
