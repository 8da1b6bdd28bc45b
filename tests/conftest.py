"""Options and fixtures that every test can use, and how random ones are drawn.

A run of the suite draws the same examples each time, so that it says something about a change and not about luck.
``--hypothesis-profile random`` draws others each time (``make fuzz``).
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

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
