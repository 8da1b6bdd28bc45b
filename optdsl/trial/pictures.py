"""Pictures of a trial: paths over a function's contours, and loss curves."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch

from optdsl.trial.problems import Problem, rosenbrock
from optdsl.trial.run import Outcome


def save(directory: Path, problem: Problem, outcomes: Mapping[str, Outcome]) -> Path:
    """Draws every contestant's best run on ``problem`` (its path too, where there are two variables)."""
    traced = any(outcome.path for outcome in outcomes.values())
    figure, axes = plt.subplots(1, 1 + traced, figsize=(6.4 * (1 + traced), 4.8), squeeze=False, layout="constrained")
    curves = axes[0][0]
    for name, outcome in outcomes.items():
        label = name if outcome.lr is None else f"{name}, lr {outcome.lr:g}"
        curves.plot([max(x, 1e-12) if math.isfinite(x) else math.nan for x in outcome.losses], label=label)
    curves.set(yscale="log", xlabel="step", ylabel="loss", title=problem.name)
    curves.set_ylim(top=100 * max(outcome.losses[0] for outcome in outcomes.values()))
    curves.legend()
    if traced:
        _contours(axes[0][1], outcomes)
    path = directory / f"{problem.name.lower()}.png"
    figure.savefig(path, dpi=120)
    plt.close(figure)
    return path


def _contours(axes: plt.Axes, outcomes: Mapping[str, Outcome]) -> None:
    x, y = torch.meshgrid(torch.linspace(-2, 2, 200), torch.linspace(-1, 3, 200), indexing="xy")
    axes.contour(x, y, rosenbrock(torch.stack((x, y), -1)).log1p(), levels=20, cmap="Greys")
    for name, outcome in outcomes.items():
        axes.plot(*zip(*outcome.path, strict=True), marker=".", markersize=3, linewidth=1, label=name)
    axes.plot(1, 1, "k*", markersize=10)
    axes.set(xlim=(-2, 2), ylim=(-1, 3), xlabel="x", ylabel="y", title="the way")
    axes.legend()
