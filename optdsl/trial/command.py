"""The trial as a whole: contestants, runs with a progress bar, pictures, tables."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from optdsl.compiler import Unit
from optdsl.emit.python import selected
from optdsl.ir.cost import costs
from optdsl.ir.procedures import FlatProgram
from optdsl.loader import load
from optdsl.trial.pictures import save
from optdsl.trial.problems import PROBLEMS, Problem
from optdsl.trial.run import RATES, VARIANTS, Contestant, Outcome, best_outcome, breaks_at_zero, state_bytes, step_times

PEERS = (Contestant("torch Adam", torch.optim.Adam), Contestant("torch SGD", torch.optim.SGD))


def trial(units: Iterable[Unit], directory: Path, rates: tuple[float, ...] | None) -> None:
    """Try the optimizers of ``units`` beside torch's Adam and SGD, at ``rates`` or else at :data:`RATES`.

    Saves a picture per problem in ``directory`` and prints what became of each optimizer.
    """
    units = tuple(units)
    contestants = (*(_contestant(unit) for unit in units), *PEERS)
    outcomes = _run(contestants, rates or RATES)
    directory.mkdir(parents=True, exist_ok=True)
    pictures = [save(directory, problem, outcomes[problem.name]) for problem in PROBLEMS]
    console = Console()
    console.print(_results(contestants, outcomes))
    for contestant in filter(breaks_at_zero, contestants):
        text = f"  {contestant.name} makes an element nan whose gradient is 0: it divides 0 by 0. Is an ε missing?"
        console.print(text, highlight=False, soft_wrap=True)
    console.print(_costs(units, contestants))
    for picture in pictures:
        console.print(f"{picture}", highlight=False)


def _contestant(unit: Unit) -> Contestant:
    program = unit.program
    return Contestant(
        program.name,
        getattr(load(unit.source.name), program.name),
        any(a.name == "lr" and not a.fixed for a in program.arguments),
        program.needs_sparse,
        isinstance(program, FlatProgram),
    )


def _run(contestants: Iterable[Contestant], rates: tuple[float, ...]) -> dict[str, dict[str, Outcome]]:
    contestants = tuple(contestants)
    runs = sum(len(rates) if c.takes_lr else 1 for c in contestants) * len(PROBLEMS)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    outcomes: dict[str, dict[str, Outcome]] = {problem.name: {} for problem in PROBLEMS}
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=runs)
        for problem in PROBLEMS:
            for contestant in contestants:
                progress.update(task, description=f"{contestant.name} on {problem.name}")
                outcome = best_outcome(contestant, problem, rates, lambda: progress.advance(task))
                outcomes[problem.name][contestant.name] = outcome
    return outcomes


def _results(contestants: Iterable[Contestant], outcomes: Mapping[str, Mapping[str, Outcome]]) -> Table:
    table = Table(title="loss at the end (mean of the last tenth), at the best learning rate", box=SIMPLE)
    table.add_column("optimizer", no_wrap=True)
    for problem in PROBLEMS:
        table.add_column(problem.name, justify="right")
    for contestant in contestants:
        table.add_row(contestant.name, *(_result(p, outcomes[p.name][contestant.name]) for p in PROBLEMS))
    return table


def _result(problem: Problem, outcome: Outcome) -> str:
    rate = "" if outcome.lr is None else f"\nlr {outcome.lr:g}"
    if not math.isfinite(outcome.value):
        return "diverged"
    score = "" if outcome.score is None else f", {outcome.score:.1%} right"
    return f"{outcome.value:.2g}{score}{rate}"


def _costs(units: Iterable[Unit], contestants: Iterable[Contestant]) -> Table:
    contestants = tuple(contestants)
    counted_units = [unit for unit in units if not isinstance(unit.program, FlatProgram)]
    accesses = {unit.program.name: costs(unit.program, selected(unit.program))[0].accesses for unit in counted_units}
    times = step_times(contestants)
    table = Table(title="cost of a step: whole tensors read and written, state per element, time here", box=SIMPLE)
    table.add_column("optimizer", no_wrap=True)
    for heading in ("loop", "foreach", "least", "state", *(f"{v} µs" for v in ("loop", "foreach", "fused"))):
        table.add_column(heading, justify="right")
    for contestant in contestants:
        counted = accesses.get(contestant.name, {})
        tensors = [str(counted.get(key, "")) for key in ("for-loop", "foreach", "minimum")]
        micros = [f"{t * 1e6:.0f}" if (t := times.get((contestant.name, v))) is not None else "" for v in VARIANTS]
        table.add_row(contestant.name, *tensors, f"{state_bytes(contestant):.0f} B", *micros)
    return table
