"""Fixtures of the tests of native kernels, which are compiled into a cache of their own."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.native.harness import NativePackage


@pytest.fixture(scope="session", autouse=True)
def cache(kernel_cache: Path) -> Path:
    return kernel_cache


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> NativePackage:
    return NativePackage(tmp_path_factory.mktemp("native"), interpret=False)


@pytest.fixture
def two_threads():
    """Two threads, which make steps of many elements together."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)
