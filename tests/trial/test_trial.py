"""``optdsl try``: what it runs, reports and saves."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from optdsl.cli import trying
from optdsl.cli.app import app
from optdsl.compiler import check_files
from optdsl.loader import load
from optdsl.trial import command
from optdsl.trial.problems import PROBLEMS, quadratic, rosenbrock
from optdsl.trial.run import Contestant, best_outcome, breaks_at_zero, run, state_bytes, step_times

SPECS = Path(__file__).parents[2] / "specs"
ADAM = Contestant("Adam", torch.optim.Adam)
SGD = Contestant("SGD", torch.optim.SGD)


def test_the_functions_are_least_where_they_say() -> None:
    assert rosenbrock(torch.tensor([1.0, 1.0])) == 0
    assert quadratic(torch.zeros(4)) == 0
    assert rosenbrock(torch.tensor([0.9, 1.1])) > 0 < quadratic(torch.full((4,), 0.1))


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda p: p.name)
def test_runs_start_alike_and_get_somewhere(problem) -> None:  # type: ignore[no-untyped-def]
    problem = replace(problem, steps=60)
    first, again = (run(ADAM, problem, 1e-2) for _ in range(2))
    assert first == again
    assert first.value < first.losses[0]
    assert (first.score is not None) == (problem.name == "digits")
    assert len(first.path) == (60 if problem.name == "Rosenbrock" else 0)


def test_a_rate_that_diverges_is_not_the_best() -> None:
    problem = PROBLEMS[1]
    assert math.isinf(run(SGD, problem, 1.0).value)
    assert best_outcome(SGD, problem, (1.0, 1e-3)).lr == 1e-3


def test_state_and_time() -> None:
    assert round(state_bytes(ADAM)) == 8
    assert state_bytes(SGD) == 0
    times = step_times([ADAM])
    assert {("Adam", "for-loop"), ("Adam", "foreach")} <= times.keys()
    assert all(t > 0 for t in times.values())


def test_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "PROBLEMS", tuple(replace(p, steps=20) for p in PROBLEMS))
    result = CliRunner().invoke(app, ["try", str(SPECS / "adam.opt"), "-o", str(tmp_path), "--lr", "0.01"])
    assert result.exit_code == 0, result.output
    assert {p.name for p in tmp_path.iterdir()} == {"rosenbrock.png", "quadratic.png", "digits.png"}
    lines = result.stdout.splitlines()
    results = {
        name: line.split()[-3:] for name in ("Adam", "torch Adam") for line in lines if line.startswith(f"  {name} ")
    }
    assert results["Adam"] and "lr 0.01" in result.stdout


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trying, "_NEEDED", {"no_such_module": "some-package"})
    result = CliRunner().invoke(app, ["try", str(SPECS / "adam.opt")])
    assert result.exit_code == 1
    assert "E808" in result.output and "some-package" in result.output


def test_a_spec_with_mistakes_is_not_run(tmp_path: Path) -> None:
    broken = tmp_path / "broken.opt"
    broken.write_text("optimizer Broken:\n")
    result = CliRunner().invoke(app, ["try", str(broken), "-o", str(tmp_path / "out")])
    assert result.exit_code == 1 and "error[" in result.output
    assert not (tmp_path / "out").exists()


def test_what_has_no_default_is_told(tmp_path: Path) -> None:
    spec = tmp_path / "open.opt"
    text = (SPECS / "sgd.opt").read_text(encoding="utf-8")
    spec.write_text(text.replace("γ (lr) = 1e-3 ", "γ (lr) ").replace("μ (momentum) = 0 ", "μ (momentum) "), "utf-8")
    result = CliRunner().invoke(app, ["try", str(spec)])
    assert result.exit_code == 1
    assert "`SGD` cannot be tried: `lr` and `momentum` have no default" in result.output


def test_a_shipped_spec_is_found_again() -> None:
    (unit,) = check_files(["adam"]).units
    assert load(unit.source.name).Adam.__name__ == load("adam").Adam.__name__ == "Adam"


def test_a_division_of_zero_by_zero_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = tmp_path / "bare.opt"
    adam = (SPECS / "adam.opt").read_text(encoding="utf-8")
    assert "(√v̂_t + ε)" in adam
    adam = "".join(line for line in adam.splitlines(keepends=True) if "(eps)" not in line)
    spec.write_text(adam.replace("(√v̂_t + ε)", "√v̂_t").replace("optimizer Adam", "optimizer Bare"), "utf-8")
    assert breaks_at_zero(Contestant("Bare", load(spec).Bare))
    assert not breaks_at_zero(ADAM)
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["try", str(spec), "--lr", "0.01"])
    assert result.exit_code == 0
    assert "Bare makes an element nan whose gradient is 0" in result.output
    assert "torch Adam makes" not in result.output
