"""What optimizers are tried on: two test functions and a small real classification."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

SEED = 0


@dataclass(frozen=True)
class Attempt:
    """Fresh parameters, the loss of the next step, and what to call the result when the last step is done."""

    parameters: list[Tensor]
    loss: Callable[[], Tensor]
    score: Callable[[], float] | None = None


@dataclass(frozen=True)
class Problem:
    """Something to minimise.

    ``start()`` makes fresh parameters and a ``loss`` to call before each step; the same at every call. ``best`` is the
    least value there is, if it is known. ``score()``, where there is one, is the accuracy on data not trained on.
    """

    name: str
    steps: int
    start: Callable[[], Attempt]
    best: float | None = None


def rosenbrock(point: Tensor) -> Tensor:
    """Rosenbrock's valley, ``(1 - x)² + 100 (y - x²)²``, of points ``[..., 2]``; 0 at (1, 1)."""
    x, y = point[..., 0], point[..., 1]
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


def quadratic(point: Tensor) -> Tensor:
    """``½ Σ κᵢ xᵢ²`` of points ``[..., n]``, curvatures κ from 1 to 1000; 0 at the origin."""
    curvatures = torch.logspace(0, 3, point.shape[-1])
    return 0.5 * (curvatures * point**2).sum(-1)


def _function(f: Callable[[Tensor], Tensor], start: tuple[float, ...]) -> Callable[[], Attempt]:
    def attempt() -> Attempt:
        point = torch.tensor(start, requires_grad=True)
        return Attempt([point], lambda: f(point))

    return attempt


def _digits() -> Attempt:
    """Handwritten digits, 8 × 8 (scikit-learn's): 1500 to train on in batches of 50, 297 to be scored on."""
    from sklearn.datasets import load_digits

    data = load_digits()
    images = torch.tensor(data.images, dtype=torch.float32).flatten(1) / 16
    labels = torch.tensor(data.target)
    generator = torch.Generator().manual_seed(SEED)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    for parameter in model.parameters():
        bound = parameter.shape[-1] ** -0.5
        nn.init.uniform_(parameter, -bound, bound, generator=generator)

    def batches() -> Iterator[Tensor]:
        while True:
            yield from torch.randperm(1500, generator=generator).split(50)

    batch = batches()

    def loss() -> Tensor:
        rows = next(batch)
        return nn.functional.cross_entropy(model(images[rows]), labels[rows])

    def accuracy() -> float:
        with torch.no_grad():
            return (model(images[1500:]).argmax(1) == labels[1500:]).double().mean().item()

    return Attempt(list(model.parameters()), loss, accuracy)


PROBLEMS = (
    Problem("Rosenbrock", 300, _function(rosenbrock, (-1.2, 1.0)), 0.0),
    Problem("quadratic", 300, _function(quadratic, (1.0, 1.0, 1.0, 1.0)), 0.0),
    Problem("digits", 300, _digits),
)
