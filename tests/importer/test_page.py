"""The commands of ``docs/importing.md`` print what the page says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "importing.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^```console\n\$ ([^\n]+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A folder that looks like the root of the repository, to write into."""
    for name in ("specs", "tests"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "out").mkdir()
    return tmp_path


@pytest.mark.parametrize(("command", "output"), COMMANDS, ids=range(len(COMMANDS)))
def test_a_command(command: str, output: str, repository: Path) -> None:
    shell = f'optdsl() {{ "{sys.executable}" -m optdsl "$@"; }}\n{command}'
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        ["bash", "-c", shell], cwd=repository, env=environment, capture_output=True, text=True, encoding="utf-8"
    )
    shown = "\n".join(line.rstrip() for line in done.stdout.splitlines())
    expected = "\n".join(line.rstrip() for line in output.splitlines())
    assert shown.rstrip("\n") == expected.rstrip("\n"), done.stderr


def test_the_page_has_commands_and_the_algorithm_of_the_file() -> None:
    assert len(COMMANDS) == 5
    algorithm = re.search(r"```latex\n(.*?)```", PAGE, re.DOTALL)
    assert algorithm is not None
    assert algorithm[1] in (ROOT / "tests" / "importer" / "boxes" / "lion.tex").read_text(encoding="utf-8")
