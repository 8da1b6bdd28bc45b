"""Times steps of Muon and Adafactor, ours (for-loop, foreach and fused) beside torch.optim's.

    python benchmarks/matrices.py [--rounds 15] [--device cpu] [--out benchmarks/results/matrices.json]

All variants of an optimizer step in turn, round after round, on equal parameters in one process; medians are compared.
torch has no foreach Muon: what is compared there is the for-loop. A ratio is torch's best time over ours.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import optdsl

SPECS = Path(__file__).resolve().parent.parent / "specs"
WORKLOADS = {
    "48 matrices of 64 × 64": ((64, 64),) * 48,
    "48 matrices of 128 × 256 and 256 × 128": ((128, 256), (256, 128)) * 24,
    "12 matrices of 512 × 512": ((512, 512),) * 12,
}
LARGE = {"a matrix of 4096 × 4096": ((4096, 4096),)}
"""Beyond the caches; products of it would take minutes."""
OPTIMIZERS = {"Muon": WORKLOADS, "Adafactor": WORKLOADS | LARGE}


def made(
    cls: type[torch.optim.Optimizer], shapes: tuple[tuple[int, ...], ...], device: str, **kwargs: bool
) -> Callable:
    """A function that makes one step."""
    generator = torch.Generator().manual_seed(0)
    params = [torch.randn(shape, generator=generator).to(device).requires_grad_() for shape in shapes]
    for param in params:
        param.grad = torch.randn(param.shape, generator=generator).to(device)
    return cls(params, **kwargs).step


def variants(name: str, shapes: tuple[tuple[int, ...], ...], device: str) -> dict[str, Callable]:
    ours = getattr(optdsl.load(SPECS / f"{name.lower()}.opt"), name)
    torchs = getattr(torch.optim, name)
    steps = {"torch for-loop": made(torchs, shapes, device)}
    if name != "Muon":
        steps = {
            f"torch {kind}": made(torchs, shapes, device, foreach=kind == "foreach") for kind in ("for-loop", "foreach")
        }
    for kind, kwargs in {
        "for-loop": {"foreach": False},
        "foreach": {"foreach": True},
        "fused": {"fused": True},
    }.items():
        steps[f"ours {kind}"] = made(ours, shapes, device, **kwargs)
    return steps


def measure(steps: dict[str, Callable], rounds: int, device: str) -> dict[str, float]:
    """Median milliseconds of each, taken in turn."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for round_ in range(rounds + 3):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            if device != "cpu":
                torch.cuda.synchronize()
            if round_ >= 3:
                times[name].append(1e3 * (time.perf_counter() - start))
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    results = []
    for name, workloads in OPTIMIZERS.items():
        for workload, shapes in workloads.items():
            times = measure(variants(name, shapes, arguments.device), arguments.rounds, arguments.device)
            best = min(value for variant, value in times.items() if variant.startswith("torch"))
            ratios = {variant: best / value for variant, value in times.items() if variant.startswith("ours")}
            results.append({"workload": workload, "optimizer": name, "milliseconds": times, "ratios": ratios})
            shown = ", ".join(f"{variant} {value:.2f} ms" for variant, value in times.items())
            print(f"{name}, {workload}: {shown}; " + ", ".join(f"{v} {r:.2f}×" for v, r in ratios.items()))
    if arguments.out is not None:
        about = {"torch": torch.__version__, "threads": torch.get_num_threads(), "machine": platform.processor()}
        arguments.out.write_text(json.dumps({"about": about, "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
