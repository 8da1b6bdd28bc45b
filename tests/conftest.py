"""Options and fixtures that every test can use, and how random ones are drawn.

A run of the suite draws the same examples each time, so that it says something about a change and not about luck.
``--hypothesis-profile random`` draws others each time (``make fuzz``).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from tests.triton.harness import Package

settings.register_profile(
    "random", deadline=None, suppress_health_check=list(HealthCheck), report_multiple_bugs=False, print_blob=True
)
settings.register_profile("reproducible", settings.get_profile("random"), derandomize=True)
settings.load_profile("reproducible")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-goldens", action="store_true", help="write the expected texts anew instead of comparing")


@pytest.fixture
def update_goldens(request: pytest.FixtureRequest) -> bool:
    """True where expected texts are to be written, not compared."""
    return bool(request.config.getoption("--update-goldens"))


@pytest.fixture(scope="session")
def interpreter() -> Iterator[None]:
    """Triton's interpreter, mended."""
    from tests.triton.harness import faithful_interpreter

    with faithful_interpreter():
        yield


@pytest.fixture(scope="session")
def interpreted(interpreter: None, tmp_path_factory: pytest.TempPathFactory) -> Package:
    """A package of Triton kernels that run in the interpreter."""
    from tests.triton.harness import Package

    return Package(tmp_path_factory.mktemp("interpreted"), interpret=True)


@pytest.fixture(scope="session")
def kernel_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder that native kernels are compiled into, by child processes too."""
    if shutil.which("cc") is None:
        pytest.fail("these tests need a C compiler")
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPTDSL_CACHE_DIR", str(folder))
        yield folder / "native"
