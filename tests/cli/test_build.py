"""``optdsl build``: a package whose kernels need no compiler where it is used."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from optdsl.cli.app import app

ROOT = Path(__file__).parents[2]
SPEC = ROOT / "specs" / "adagrad.opt"

STEP = """
import torch
from built import Adagrad
param = torch.ones(3, requires_grad=True)
param.grad = torch.ones(3)
Adagrad([param], lr=0.5, fused=True).step()
assert param.tolist() == [0.5] * 3
"""


@pytest.mark.skipif(shutil.which("cc") is None, reason="compiles C")
def test_a_built_package_needs_no_compiler(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["build", str(SPEC), "-o", str(tmp_path / "built"), "--dtype", "float32"])
    assert result.exit_code == 0, result.output
    kernels = list((tmp_path / "built" / "_native").iterdir())
    assert f"{len(kernels)} kernels" in result.output
    environment = {**os.environ, "PATH": str(tmp_path), "PYTHONPATH": str(tmp_path)}
    environment["OPTDSL_CACHE_DIR"] = str(tmp_path / "cache")
    command = [sys.executable, "-c", STEP]
    assert subprocess.run(command, env=environment, capture_output=True, text=True).stderr == ""
    assert not (tmp_path / "cache").exists()


def test_without_a_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    result = CliRunner().invoke(app, ["build", str(SPEC), "-o", str(tmp_path / "built")])
    assert result.exit_code == 1
    assert "no C compiler was found" in result.output
