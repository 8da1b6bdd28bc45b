"""Runs an optimizer on a problem at several learning rates, and measures what its steps cost."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor

from optdsl.trial.problems import Problem

RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1)
"""Learning rates that are tried where none is asked for; the one that ends lowest counts."""

Optimizer = Callable[..., torch.optim.Optimizer]


@dataclass(frozen=True)
class Contestant:
    """An optimizer under trial: its name, its class, whether it takes a learning rate, and sparse gradients alone, and
    whether it evaluates the loss itself.
    """

    name: str
    optimizer: Optimizer
    takes_lr: bool = True
    needs_sparse: bool = False
    evaluates: bool = False

    def step(self, optimizer: torch.optim.Optimizer) -> None:
        """A step with the gradients that there are; whoever evaluates finds the same everywhere."""
        if self.evaluates:
            optimizer.step(lambda: 0.0)
        else:
            optimizer.step()

    def prepare(self, parameters: Iterable[Tensor]) -> None:
        """Makes the gradients what the optimizer takes: sparse ones store every entry."""
        for parameter in parameters if self.needs_sparse else ():
            if parameter.grad is not None:
                parameter.grad = parameter.grad.to_sparse()


@dataclass(frozen=True)
class Outcome:
    """One run: the loss before every step, the points on the way (of a function of two variables), the final score.

    ``value`` is the mean of the last tenth of the losses, infinite if one of them is not finite.
    """

    lr: float | None
    losses: tuple[float, ...]
    path: tuple[tuple[float, ...], ...]
    score: float | None

    @property
    def value(self) -> float:
        last = self.losses[-max(1, len(self.losses) // 10) :]
        mean = sum(last) / len(last)
        return mean if math.isfinite(mean) else math.inf


def best_outcome(
    contestant: Contestant, problem: Problem, rates: Iterable[float], each: Callable[[], None] = lambda: None
) -> Outcome:
    """The outcome at the learning rate that ends lowest; ``each`` is called after every run."""
    outcomes = []
    for lr in rates if contestant.takes_lr else (None,):
        outcomes.append(run(contestant, problem, lr))
        each()
    return min(outcomes, key=lambda o: o.value)


def run(contestant: Contestant, problem: Problem, lr: float | None) -> Outcome:
    """One run from the problem's start; it ends early once the loss is not finite."""
    attempt = problem.start()
    optimizer = contestant.optimizer(attempt.parameters, **({} if lr is None else {"lr": lr}))
    traced = len(attempt.parameters) == 1 and attempt.parameters[0].numel() == 2
    losses: list[float] = []
    path: list[tuple[float, ...]] = []

    def evaluate() -> float:
        if traced:
            path.append(tuple(attempt.parameters[0].tolist()))
        optimizer.zero_grad()
        loss = attempt.loss()
        losses.append(loss.item())
        loss.backward()
        contestant.prepare(attempt.parameters)
        return losses[-1]

    while len(losses) < problem.steps and (not losses or math.isfinite(losses[-1])):
        if contestant.evaluates:  # each of its evaluations counts, as a step of the others does
            optimizer.step(evaluate)
        elif math.isfinite(evaluate()):
            optimizer.step()
    del losses[problem.steps :], path[problem.steps :]
    if hasattr(optimizer, "eval"):
        optimizer.eval()  # what it returns, where that is not what it trains
    score = attempt.score() if attempt.score is not None and math.isfinite(losses[-1]) else None
    return Outcome(lr, tuple(losses), tuple(path), score)


def breaks_at_zero(contestant: Contestant) -> bool:
    """Whether a step makes an element nan whose gradient has always been 0, as ``m_t / √v_t`` without an ``ε`` does."""
    parameter = torch.ones(2, requires_grad=True)
    parameter.grad = torch.tensor([1.0, 0.0])
    contestant.prepare([parameter])
    contestant.step(contestant.optimizer([parameter]))
    return bool(parameter.isnan()[1])


# ------------------------------------------------------------------------------------------------------------- cost

SHAPES = ((256, 256), (256,), (256, 256), (256,), (256, 10), (10,)) * 4
"""The parameters whose step is timed: 24 tensors, 0.5 million elements."""

VARIANTS: Mapping[str, dict[str, Any]] = {
    "for-loop": {"foreach": False},
    "foreach": {"foreach": True},
    "fused": {"fused": True},
}
ROUNDS = 15


def _parameters() -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    parameters = [torch.randn(shape, generator=generator, requires_grad=True) for shape in SHAPES]
    for parameter in parameters:
        parameter.grad = torch.randn(parameter.shape, generator=generator)
    return parameters


def state_bytes(contestant: Contestant) -> float:
    """Bytes of state for each element of the parameters, after one step in float32."""
    parameters = _parameters()
    contestant.prepare(parameters)
    optimizer = contestant.optimizer(parameters)
    contestant.step(optimizer)
    entries = [x for state in optimizer.state.values() for x in state.values()]
    entries = [x for entry in entries for x in (entry if isinstance(entry, list) else [entry])]
    states = [x for x in entries if isinstance(x, Tensor)]
    elements = sum(p.numel() for p in parameters)
    return sum(x.numel() * x.element_size() for x in states if x.dim() or x.numel() > 1) / elements


def step_times(contestants: Iterable[Contestant]) -> dict[tuple[str, str], float]:
    """Seconds of one step, by contestant and variant: medians of interleaved rounds.

    A variant that cannot run here (``fused`` without a kernel for this device) has no entry.
    """
    ready: dict[tuple[str, str], torch.optim.Optimizer] = {}
    by_name = {contestant.name: contestant for contestant in contestants}
    for contestant in by_name.values():
        for variant, flags in VARIANTS.items():
            try:
                parameters = _parameters()
                contestant.prepare(parameters)
                optimizer = contestant.optimizer(parameters, **flags)
                contestant.step(optimizer)
            except (RuntimeError, TypeError):
                continue
            ready[contestant.name, variant] = optimizer
    seconds: dict[tuple[str, str], list[float]] = {key: [] for key in ready}
    for _ in range(ROUNDS):
        for key, optimizer in ready.items():
            start = time.perf_counter()
            by_name[key[0]].step(optimizer)
            seconds[key].append(time.perf_counter() - start)
    return {key: median(values) for key, values in seconds.items()}
