"""``optdsl new``: what it writes is formatted, compiles, passes its own test, and never replaces a file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from optdsl.cli.app import app
from optdsl.compiler import check_files
from optdsl.fmt import format_source
from optdsl.scaffold import class_name, scaffold
from optdsl.source import Source

ROOT = Path(__file__).parent.parent.parent


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["new", *arguments], catch_exceptions=False)


def test_the_files_are_good_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("lion").exit_code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lion.opt", "test_lion.py"]
    checked = check_files(["lion.opt"])
    assert checked.diagnostics == ()
    assert [unit.program.name for unit in checked.units] == ["Lion"]
    text = Path("lion.opt").read_text(encoding="utf-8")
    assert format_source(Source("lion.opt", text)).text == text


def test_its_test_passes_and_means_something(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "test_tiger.py"]
    assert run("tiger", "-o", str(tmp_path / "tiger.opt")).exit_code == 0
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "12 passed" in done.stdout
    test = tmp_path / "test_tiger.py"
    test.write_text(test.read_text().replace("start[i], [", "0.9 * start[i], ["))
    assert subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True).returncode == 1


def test_the_written_python_is_formatted() -> None:
    (text,) = (text for path, text in scaffold("Lion", Path("lion.opt")).items() if path.suffix == ".py")
    for command in (["check", "--select", "B,C4,E,F,I,PIE,RUF,UP,W"], ["format", "--check"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--line-length", "120", "--stdin-filename", "test_lion.py", "-"]
        done = subprocess.run(ruff, input=text, cwd="/", capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("taken", ["lion.opt", "test_lion.py"])
def test_nothing_is_replaced(taken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path(taken).write_text("mine")
    refused = run("lion")
    assert refused.exit_code == 1 and "E809" in refused.output and taken in refused.output
    assert [path.name for path in tmp_path.iterdir()] == [taken]
    assert Path(taken).read_text() == "mine"


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    refused = run("lion", "-o", str(tmp_path / "no" / "lion.opt"))
    assert refused.exit_code == 1 and "E808" in refused.output


def test_names(tmp_path: Path) -> None:
    assert [class_name(name) for name in ("lion", "AdamW", "my-opt", "schedule_free_sgd", "Q2")] == [
        "Lion", "AdamW", "MyOpt", "ScheduleFreeSgd", "Q2",
    ]  # fmt: skip
    assert [class_name(name) for name in ("", "2fast", "löwe", "a.b", "a/b")] == [None] * 5
    assert run("2fast").exit_code == 2
    assert run("lion", "-o", str(tmp_path / "lion.py")).exit_code == 2
    clash = run("exception", "-o", str(tmp_path / "e.opt"))
    assert clash.exit_code == 1 and "E105" in clash.output and not list(tmp_path.iterdir())
