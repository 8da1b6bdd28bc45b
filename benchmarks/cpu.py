"""Optimizer steps on the CPU: ``python benchmarks/cpu.py``; see ``--help``. Takes about a quarter of an hour."""

from __future__ import annotations

import argparse
import platform
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.steps import DTYPES, WORKLOADS, Device, optimizers, run


def processor() -> str:
    """The processor's name."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def arguments(default_output: Path) -> argparse.Namespace:
    """What to measure, from the command line."""
    parser = argparse.ArgumentParser(description="Times optimizer steps: torch's variants and ours.")
    parser.add_argument("-o", "--output", type=Path, default=default_output, help="JSON file; the plot goes beside it")
    parser.add_argument("--optimizers", nargs="*", default=optimizers())
    parser.add_argument("--workloads", nargs="*", default=list(WORKLOADS), choices=list(WORKLOADS))
    parser.add_argument("--dtypes", nargs="*", default=list(DTYPES), choices=list(DTYPES))
    parser.add_argument("--variants", nargs="*", default=[], help="only these (default: all)")
    parser.add_argument("--seconds", type=float, default=6.0, help="for all variants of an optimizer on a workload")
    parser.add_argument("--compile", action="store_true", help="torch.compile'd steps too")
    return parser.parse_args()


def main(device: Device, results: str) -> None:
    options = arguments(Path(__file__).parent / "results" / results)
    run(
        device,
        options.optimizers,
        options.workloads,
        options.dtypes,
        options.seconds,
        options.compile,
        options.variants,
        options.output,
    )


if __name__ == "__main__":
    torch.manual_seed(0)
    main(Device("cpu", processor(), lambda: None), "cpu.json")
