"""Optimizer steps on a GPU: ``python benchmarks/gpu.py``; the options are those of ``cpu.py``."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.cpu import main
from benchmarks.steps import Device

if __name__ == "__main__":
    if not torch.cuda.is_available():
        sys.exit("there is no GPU here")
    main(Device("cuda", torch.cuda.get_device_name(), torch.cuda.synchronize), "gpu.json")
