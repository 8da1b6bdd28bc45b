"""Kernels of both back ends: Triton's in its interpreter, and native ones."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import ModuleType

import pytest

from tests.native.harness import NativePackage
from tests.reducing.programs import program


@pytest.fixture(scope="session", params=["triton", "native"])
def backend(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="session")
def kernels(
    backend: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], ModuleType]:
    """The module of kernels of one of the programs, by name."""
    if backend == "triton":
        package = request.getfixturevalue("interpreted")
    else:
        request.getfixturevalue("kernel_cache")
        package = NativePackage(tmp_path_factory.mktemp("native"), interpret=False)
    return cache(lambda name: package.add(program(name)))
