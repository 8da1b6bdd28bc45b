"""Steps of embeddings by sparse gradients: ours beside torch.optim.SparseAdam, on equal tables.

    python benchmarks/sparse.py [--seconds 3] [--device cuda] [-o benchmarks/results/sparse.json]

A gradient is what ``nn.Embedding(sparse=True)`` leaves: a row for each look-up, the same one several times, not
coalesced. ``coalesced`` gradients show what a step costs beyond adding those up, which all variants do by the same
function of torch. Variants are timed in turn, round after round; medians are reported.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import generated
from benchmarks.cpu import processor
from benchmarks.steps import Device, in_turn

TABLES: dict[str, tuple[int, int, int, int]] = {
    f"{rows:,} × 64, {lookups:,} look-ups": (1, rows, 64, lookups)
    for rows in (10_000, 100_000, 1_000_000)
    for lookups in (rows // 1000, rows // 100, rows // 10)
}
TABLES["26 tables of 20,000 × 16, 2,048 look-ups each"] = (26, 20_000, 16, 2_048)
"""Number of tables, their rows, the width of a row, and look-ups in each."""

VARIANTS: dict[str, Callable[[list[Tensor]], torch.optim.Optimizer]] = {
    "torch": lambda params: torch.optim.SparseAdam(params),
    "for-loop": lambda params: generated.SparseAdam(params, foreach=False),
    "foreach": lambda params: generated.SparseAdam(params, foreach=True),
    "fused": lambda params: generated.SparseAdam(params, fused=True),
}


def gradient(param: Tensor, lookups: int, coalesced: bool, seed: int) -> Tensor:
    generator = torch.Generator(param.device).manual_seed(seed)
    rows = torch.randint(param.shape[0], (1, lookups), device=param.device, generator=generator)
    values = torch.randn(lookups, *param.shape[1:], device=param.device, generator=generator)
    grad = torch.sparse_coo_tensor(rows, values, param.shape, check_invariants=True)
    return grad.coalesce() if coalesced else grad


def measure(tables: int, rows: int, width: int, lookups: int, coalesced: bool, device: Device, seconds: float) -> Any:
    """Median seconds of a step, by variant."""
    steps = {}
    for variant, make in VARIANTS.items():
        params = [torch.zeros(rows, width, device=device.type, requires_grad=True) for _ in range(tables)]
        for i, param in enumerate(params):
            param.grad = gradient(param, lookups, coalesced, i)
        steps[variant] = make(params).step
        for _ in range(2):
            steps[variant]()
    device.synchronize()
    return {name: statistics.median(times) for name, times in in_turn(steps, device, seconds).items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0, help="for all variants of one line")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    if options.device == "cuda":
        device = Device("cuda", torch.cuda.get_device_name(), torch.cuda.synchronize)
    else:
        device = Device("cpu", processor(), lambda: None)

    results = []
    print("| | gradient | torch ms | " + " | ".join(f"{v}: times as fast" for v in VARIANTS if v != "torch") + " |")
    print("|---|---|---:|" + "---:|" * (len(VARIANTS) - 1))
    for name, table in TABLES.items():
        for coalesced in (False, True):
            seconds = measure(*table, coalesced, device, options.seconds)
            results.append({"tables": name, "coalesced": coalesced, "seconds": seconds})
            ratios = [f"{seconds['torch'] / seconds[v]:.2f}" for v in VARIANTS if v != "torch"]
            kind = "coalesced" if coalesced else "as autograd leaves it"
            print(f"| {name} | {kind} | {seconds['torch'] * 1e3:.2f} | {' | '.join(ratios)} |", flush=True)
    if options.output is not None:
        report = {
            "device": device.name,
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "python": platform.python_version(),
            "results": results,
        }
        options.output.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
