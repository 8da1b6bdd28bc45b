"""Time and memory of L-BFGS beside torch's: ``python benchmarks/lbfgs.py [--write]``.

Both make the same steps from the same point, in turns; a step is as many iterations as its arguments allow. The loss
costs next to nothing, so that what is measured is the optimizer. Memory is the most that three steps hold above what
was held before the first, in vectors of the size of θ.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from generated import LBFGS

RESULTS = Path(__file__).parent / "results" / "lbfgs.md"
SIZES = (1_000, 100_000, 4_000_000)
SEARCHES = (None, "strong_wolfe")
ROUNDS = 9


class Held(TorchDispatchMode):
    """Counts the bytes of the storages that are alive, among those that were made under it."""

    def __init__(self) -> None:
        super().__init__()
        self.alive: dict[int, tuple[object, int]] = {}
        self.most = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, tuple | list) else (out,):
            if isinstance(tensor, Tensor):
                storage = tensor.untyped_storage()
                self.alive[storage._cdata] = (
                    torch.multiprocessing.reductions.StorageWeakRef(storage),
                    storage.nbytes(),
                )
        self.alive = {key: held for key, held in self.alive.items() if not held[0].expired()}  # type: ignore[attr-defined]
        self.most = max(self.most, sum(size for _, size in self.alive.values()))
        return out


class Problem:
    """A quadratic with spread eigenvalues, its gradient written down."""

    def __init__(self, cls: type[torch.optim.Optimizer], size: int, search: str | None):
        generator = torch.Generator().manual_seed(0)
        self.x = torch.randn(size, generator=generator).requires_grad_()
        self.weights = torch.logspace(0, 3, size)
        self.x.grad = torch.empty_like(self.x)
        self.optimizer = cls([self.x], max_iter=8, history_size=8, tolerance_change=0, tolerance_grad=0, lr=0.5,
                             line_search_fn=search)  # fmt: skip

    @torch.no_grad()
    def closure(self) -> float:
        assert self.x.grad is not None
        torch.mul(self.weights, self.x, out=self.x.grad)
        return float(self.x.dot(self.x.grad))

    def step(self) -> None:
        self.optimizer.step(self.closure)


def times(make: Callable[[], tuple[Problem, Problem]], repetitions: int) -> list[float]:
    """Median seconds of a step of each problem, measured in turns; ``repetitions`` begin anew."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(repetitions):
        problems = make()
        for problem in problems:
            problem.step()
            problem.step()
        for turn in range(ROUNDS):
            for i in (0, 1) if turn % 2 else (1, 0):
                start = time.perf_counter()
                problems[i].step()
                seconds[i].append(time.perf_counter() - start)
    return [statistics.median(s) for s in seconds]


def memory(problem: Problem) -> float:
    """The most that the first three steps hold, in vectors of the size of θ."""
    held = Held()
    with held:
        for _ in range(3):
            problem.step()
    return held.most / (problem.x.numel() * problem.x.element_size())


def table() -> str:
    rows = [
        "| θ | line search | torch, ms | ours, ms | ratio | torch, vectors | ours, vectors |",
        "|---:|---|" + "---:|" * 5,
    ]
    for size in SIZES:
        for search in SEARCHES:
            make: Callable[[], tuple[Problem, Problem]] = lambda size=size, search=search: (  # noqa: E731
                Problem(torch.optim.LBFGS, size, search),
                Problem(LBFGS, size, search),
            )
            theirs, ours = times(make, max(1, min(20, 400_000 // size)))
            vectors = [memory(problem) for problem in make()] if size >= 100_000 else []
            rows.append(
                f"| {size:,} | {search or 'none'} | {theirs * 1e3:.2f} | {ours * 1e3:.2f} | {ours / theirs:.2f} "
                f"| {' | '.join(f'{v:.1f}' for v in vectors) or '| '} |"
            )
    return "\n".join(rows) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    options = parser.parse_args()
    text = table()
    print(text, end="")
    if options.write:
        RESULTS.write_text(f"{HEADER}\n{text}", "utf-8")


HEADER = f"""\
# L-BFGS beside torch's

`python benchmarks/lbfgs.py --write`: torch {torch.__version__}, {torch.get_num_threads()} thread(s) of a shared CPU.
A step is 8 iterations with a history of 8; times are medians of {ROUNDS} steps, taken in turns. Memory is the most
that is held at once in three steps, in vectors of the size of θ, state included.
"""

if __name__ == "__main__":
    main()
