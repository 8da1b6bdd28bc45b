"""Which configurations leave the very bits that torch.optim leaves, and how far the others are off.

    python benchmarks/agreement.py [--all] [--steps 25]

For every optimizer of ``generated`` that torch.optim has, every configuration that torch tests itself with, each dtype,
for-loop and foreach: the same steps on CPU with our class and with torch's, over parameters of several shapes (one not
contiguous, one without elements' dimensions, one whose gradient is None at times). Compared are parameters and states;
a difference is relative to the largest magnitude in the tensor.
"""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.testing._internal.common_optimizers import optim_db

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import generated

DTYPES = (torch.float64, torch.float32, torch.bfloat16)


@dataclass(frozen=True)
class Difference:
    """How far one configuration's tensors are from torch's: equal to the bit, and the largest relative difference."""

    configuration: str
    equal: bool
    relative: float


def parameters(dtype: torch.dtype) -> list[Tensor]:
    random = torch.Generator().manual_seed(0)

    def tensor(*shape: int) -> Tensor:
        return torch.randn(shape, generator=random, dtype=torch.float64).to(dtype)

    tensors = [tensor(10, 5), tensor(6, 4).t(), tensor(33), tensor(1), tensor()]
    return [t.requires_grad_() for t in tensors]


def train(
    optimizer_class: type[torch.optim.Optimizer], arguments: dict[str, Any], dtype: torch.dtype, steps: int
) -> Iterator[Tensor]:
    """Every parameter and state after ``steps`` steps with random gradients."""
    params = parameters(dtype)
    name = optimizer_class.__name__
    sparse = any(info.only_supports_sparse_grads for info in optim_db if info.optim_cls.__name__ == name)
    try:
        optimizer = optimizer_class(params, **arguments)
    except ValueError:  # one of matrices
        params = [param for param in params if param.dim() == 2]
        optimizer = optimizer_class(params, **arguments)
    random = torch.Generator().manual_seed(1)
    for step in range(steps):
        for i, param in enumerate(params):
            grad = torch.randn(param.shape, generator=random, dtype=torch.float64).to(dtype)
            param.grad = None if i == 2 and step % 5 == 0 else grad.to_sparse() if sparse else grad
        optimizer.step()
    for param in params:
        yield param.detach()
        yield from (torch.as_tensor(value) for _, value in sorted(optimizer.state[param].items()))


def compare(name: str, arguments: dict[str, Any], dtype: torch.dtype, steps: int, description: str) -> Difference:
    known = inspect.signature(getattr(torch.optim, name)).parameters
    taken = {argument: value for argument, value in arguments.items() if argument in known}
    theirs = train(getattr(torch.optim, name), taken, dtype, steps)
    ours = train(getattr(generated, name), arguments, dtype, steps)
    equal, relative = True, 0.0
    for a, b in zip(ours, theirs, strict=True):
        equal &= torch.equal(a, b)
        scale = b.double().abs().max().clamp(min=torch.finfo(torch.float64).tiny)
        relative = max(relative, ((a.double() - b.double()).abs().max() / scale).item())
    return Difference(description, equal, relative)


def configurations(name: str) -> list[tuple[str, dict[str, Any]]]:
    """What torch's own tests use, without what needs a GPU or a closure."""
    info = next(info for info in optim_db if info.optim_cls.__name__ == name)
    return [
        (config.desc, {**config.kwargs})
        for config in info.optim_inputs_func(device="cpu")
        if not config.kwargs.keys() & {"capturable", "fused"} and config.params is None
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="one line for every configuration that is not bit-equal")
    parser.add_argument("--steps", type=int, default=25)
    options = parser.parse_args()

    tested = {info.optim_cls.__name__ for info in optim_db if not info.step_requires_closure}
    names = [name for name in generated.__all__ if name in tested]
    print("| Optimizer | Variant | " + " | ".join(str(d).removeprefix("torch.") for d in DTYPES) + " |")
    print("|---" * (2 + len(DTYPES)) + "|")
    for name in names:
        for variant in ("for-loop", "foreach"):
            cells = []
            for dtype in DTYPES:
                results = [
                    compare(name, {**arguments, "foreach": variant == "foreach"}, dtype, options.steps, description)
                    for description, arguments in configurations(name)
                ]
                unequal = [r for r in results if not r.equal]
                worst = max((r.relative for r in unequal), default=0.0)
                cells.append(
                    f"{len(results) - len(unequal)} of {len(results)} equal"
                    + (f", others within {worst:.0e}" if unequal else "")
                )
                if options.all:
                    for result in unequal:
                        line = f"{name} {variant} {dtype}: {result.configuration}: {result.relative:.1e}"
                        print(line, file=sys.stderr)
            print(f"| {name} | {variant} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
