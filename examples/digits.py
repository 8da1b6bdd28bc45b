"""Train a small network on handwritten digits with ``generated.Adam`` and with ``torch.optim.Adam``, and compare.

Run from the root of the repository after ``optdsl compile specs/adam.opt`` (``make demo`` does both). Both runs start
from the same seed and see the same batches, so the losses and parameters must agree; the two curves are saved under
``out/``.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from sklearn.datasets import load_digits
from torch import Tensor, nn

from generated import Adam

EPOCHS, BATCH, SEED = 12, 64, 0
TOLERANCE = 1e-4
"""Largest difference allowed between the two runs' parameters: what rounding can grow to in this many steps."""


@dataclass(frozen=True)
class Run:
    """What one training run leaves behind: the loss of every step, the parameters, the accuracy on unseen digits."""

    losses: list[float]
    parameters: Tensor
    accuracy: float


def network() -> nn.Module:
    torch.manual_seed(SEED)
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * 4 * 4, 10),
    )


def digits() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Images ``[n, 1, 8, 8]`` in 0 … 1 and labels ``[n]``: 1500 to train on, 297 to test on."""
    data = load_digits()
    images = torch.tensor(data.images, dtype=torch.float32).unsqueeze(1) / 16
    labels = torch.tensor(data.target)
    return images[:1500], labels[:1500], images[1500:], labels[1500:]


def train(optimizer_class: type[torch.optim.Optimizer], progress: Progress, name: str) -> Run:
    images, labels, test_images, test_labels = digits()
    model = network()
    optimizer = optimizer_class(model.parameters(), lr=2e-3)
    order = torch.Generator().manual_seed(SEED)
    losses: list[float] = []
    task = progress.add_task(name, total=EPOCHS * -(-len(images) // BATCH), loss="")
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(images), generator=order).split(BATCH):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(images[batch]), labels[batch])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            progress.update(task, advance=1, loss=f"loss {losses[-1]:.5f}")
    model.eval()
    with torch.no_grad():
        accuracy = (model(test_images).argmax(1) == test_labels).double().mean().item()
    return Run(losses, nn.utils.parameters_to_vector(model.parameters()).detach(), accuracy)


def draw(ours: Run, theirs: Run, path: Path) -> None:
    """Save both loss curves in one picture, and below it their difference step by step."""
    figure, (top, bottom) = plt.subplots(2, 1, sharex=True, height_ratios=(3, 1), figsize=(8, 6), layout="constrained")
    top.semilogy(theirs.losses, color="tab:gray", linewidth=4, alpha=0.5, label="torch.optim.Adam")
    top.semilogy(ours.losses, color="tab:blue", linewidth=1, label="generated.Adam")
    top.set(ylabel="loss", title="Handwritten digits: one seed, two Adams")
    top.legend()
    bottom.plot([abs(a - b) for a, b in zip(ours.losses, theirs.losses, strict=True)], color="tab:red", linewidth=1)
    bottom.set(xlabel="step", ylabel="|difference|")
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=120)


def main() -> int:
    torch.set_num_threads(1)  # fastest for so small a network
    console = Console()
    columns = (TextColumn("{task.description:<18}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.fields[loss]}"), console=console) as progress:
        theirs = train(torch.optim.Adam, progress, "torch.optim.Adam")
        ours = train(Adam, progress, "generated.Adam")
    difference = (ours.parameters - theirs.parameters).abs().max().item()

    table = Table("", "first loss", "last loss", "accuracy on unseen digits")
    for name, run in (("torch.optim.Adam", theirs), ("generated.Adam", ours)):
        table.add_row(name, f"{run.losses[0]:.8f}", f"{run.losses[-1]:.8f}", f"{run.accuracy:.1%}")
    console.print(table)
    picture = Path("out/digits.png")
    draw(ours, theirs, picture)
    agree = difference <= TOLERANCE
    console.print(
        f"{'The parameters agree' if agree else '[bold red]THE PARAMETERS DISAGREE[/]'}: "
        f"largest difference {difference:.1e} of {ours.parameters.numel()} after {len(ours.losses)} steps"
    )
    console.print(f"Curves: {picture}")
    return 0 if agree else 1


if __name__ == "__main__":
    sys.exit(main())
