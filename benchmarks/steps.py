"""Times optimizer steps: torch's variants, ours, and those of other packages, on equal parameters.

What ``cpu.py`` and ``gpu.py`` share. All variants of an optimizer are timed in turn, round after round, in one process,
so that whatever else the machine does meanwhile falls on all of them; medians are reported. The minimal traffic of a
step is each gradient read once, each parameter and state read and written once; its rate is compared with that of an
in-place operation and of a copy, measured in the same run.
"""

from __future__ import annotations

import gc
import importlib
import inspect
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import optdsl
from optdsl.compiler import check_files
from optdsl.emit.python import selected
from optdsl.ir.cost import costs

SPECS = Path(__file__).parents[1] / "specs"
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}

_GPT2_BLOCK = (
    *((768,), (768,), (2304, 768), (2304,), (768, 768), (768,)),
    *((768,), (768,), (3072, 768), (3072,), (768, 3072), (768,)),
)
WORKLOADS: dict[str, tuple[tuple[int, ...], ...]] = {
    "one tensor of 50M": ((50_000_000,),),
    "GPT-2 small": ((50257, 768), (1024, 768), *_GPT2_BLOCK * 12, (768,), (768,)),
    "300 tiny tensors": ((64,), (32, 64)) * 150,
}
"""Shapes of the parameters."""

Optimizer = torch.optim.Optimizer


@dataclass
class Timing:
    """Median seconds of one step, and what moves at least in that time (bytes per second)."""

    seconds: float
    rounds: int
    bandwidth: float


@dataclass
class Result:
    """All variants of one optimizer on one workload."""

    optimizer: str
    workload: str
    dtype: str
    minimal_bytes: int
    timings: dict[str, Timing] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Device:
    """Where to measure. ``synchronize`` waits for what has been started there."""

    type: str
    name: str
    synchronize: Callable[[], None]


BESIDE_TORCHS = ("LAMB",)
"""Optimizers of the zoo that are measured too."""


def optimizers() -> list[str]:
    """The classes of the specs that come with the compiler, if torch has one of that name, and a few of the zoo."""
    classes = {name.lower(): name for name in dir(torch.optim)}
    torchs = [classes[path.stem] for path in sorted(SPECS.glob("*.opt")) if path.stem in classes]
    return [*torchs, *(name for name in BESIDE_TORCHS if spec_of(name).exists())]


def spec_of(name: str) -> Path:
    """The spec of an optimizer."""
    own = SPECS / f"{name.lower()}.opt"
    return own if own.exists() else SPECS / "zoo" / own.name


def accesses(name: str) -> dict[int | None, int]:
    """How many tensors a step must read and write, for parameters of one dimension and of two, or (None) of any."""
    (unit,) = (unit for unit in check_files([spec_of(name)]).units if unit.program.name == name)
    counted = costs(unit.program, selected(unit.program))
    return {c.dim: c.accesses["minimum"] for c in counted if not c.settings}


def variants(name: str, compiled: bool) -> dict[str, Callable[[list[Tensor]], Callable[[], Any]]]:
    """For each variant that can be had, what makes its ``step`` for given parameters."""
    ours = getattr(optdsl.load(spec_of(name)), name)
    torchs = getattr(torch.optim, name, None)

    def plain(cls: type[Optimizer], **kwargs: Any) -> Callable[[list[Tensor]], Callable[[], Any]]:
        return lambda params: cls(params, **kwargs).step

    def through_compiler(cls: type[Optimizer]) -> Callable[[list[Tensor]], Callable[[], Any]]:
        return lambda params: torch.compile(cls(params, foreach=True).step, fullgraph=False)

    found = {}
    if torchs is not None:
        found = {"torch for-loop": plain(torchs, foreach=False), "torch foreach": plain(torchs, foreach=True)}
        if "fused" in inspect.signature(torchs).parameters:
            found["torch fused"] = plain(torchs, fused=True)
        if compiled:
            found["torch.compile"] = through_compiler(torchs)
    found |= {
        "ours for-loop": plain(ours, foreach=False),
        "ours foreach": plain(ours, foreach=True),
        "ours fused": plain(ours, fused=True),
    }
    for package in ("optimi", "pytorch_optimizer"):
        try:
            module = importlib.import_module(package)
        except ImportError:
            continue
        cls = next((getattr(module, other) for other in dir(module) if other.lower() == name.lower()), None)
        if isinstance(cls, type):
            found[package] = lambda params, cls=cls: cls(params, lr=1e-3).step
    return found


def measure(
    name: str, workload: str, dtype: str, device: Device, seconds: float, compiled: bool, wanted: Sequence[str]
) -> Result:
    """Times every variant of optimizer ``name`` for about ``seconds`` altogether."""
    generator = torch.Generator(device.type).manual_seed(0)

    def random(shape: tuple[int, ...]) -> Tensor:
        return torch.randn(shape, device=device.type, generator=generator).to(DTYPES[dtype])

    params = [random(shape).requires_grad_() for shape in WORKLOADS[workload]]
    for param in params:
        param.grad = random(tuple(param.shape)) * 1e-3
    steps: dict[str, Callable[[], Any]] = {}
    result = Result(name, workload, dtype, 0)
    for variant, make in variants(name, compiled).items():
        if wanted and variant not in wanted:
            continue
        try:
            step = make(params)
            for _ in range(2):
                step()
            device.synchronize()
        except (RuntimeError, TypeError, ValueError) as error:
            result.failed[variant] = str(error).partition("\n")[0]
            continue
        steps[variant] = step
        owner = getattr(step, "__self__", None)
        if isinstance(owner, Optimizer):
            result.minimal_bytes = result.minimal_bytes or minimal_traffic(params, owner, accesses(name))
    times = in_turn(steps, device, seconds)
    for variant, values in times.items():
        median = statistics.median(values)
        result.timings[variant] = Timing(median, len(values), result.minimal_bytes / median)
    return result


def minimal_traffic(params: Iterable[Tensor], optimizer: Optimizer, accesses: Mapping[int | None, int]) -> int:
    """Bytes that a step must move.

    One pass reads a parameter, its gradient and its states, and writes all but the gradient; what more passes move,
    where ``accesses`` says that there are more, is counted in the parameter's dtype.
    """
    total = 0
    for param in params:
        states = [
            v for v in optimizer.state.get(param, {}).values() if isinstance(v, Tensor) and v.shape == param.shape
        ]
        states = [v for v in states if param.dim() or v.dtype == param.dtype]
        total += 3 * param.numel() * param.element_size() + sum(2 * v.numel() * v.element_size() for v in states)
        needed = accesses.get(min(param.dim(), 2), accesses.get(None, 0))
        total += max(0, needed - 3 - 2 * len(states)) * param.numel() * param.element_size()
    return total


def in_turn(steps: dict[str, Callable[[], Any]], device: Device, seconds: float) -> dict[str, list[float]]:
    """Times of each of ``steps``, made one after another in rounds; at least three rounds, at most 300."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    end = time.perf_counter() + seconds
    rounds = 0
    gc.collect()
    gc.disable()
    try:
        while steps and rounds < 300 and (rounds < 3 or time.perf_counter() < end):
            for name, step in steps.items():
                start = time.perf_counter()
                step()
                device.synchronize()
                times[name].append(time.perf_counter() - start)
            rounds += 1
    finally:
        gc.enable()
    return times


def bandwidths(device: Device) -> dict[str, float]:
    """Bytes per second of a copy and of an in-place operation on 50M float32 numbers."""
    a = torch.ones(50_000_000, device=device.type)
    b = torch.ones_like(a)
    size = 2 * a.numel() * a.element_size()
    times = in_turn({"copy": lambda: b.copy_(a), "in place": lambda: a.mul_(1.0)}, device, 2.0)
    return {name: size / statistics.median(values) for name, values in times.items()}


def run(
    device: Device,
    names: Sequence[str],
    workloads: Sequence[str],
    dtypes: Sequence[str],
    seconds: float,
    compiled: bool,
    wanted: Sequence[str],
    output: Path,
) -> None:
    """Measures everything asked for; writes ``output`` (JSON) and a plot beside it."""
    report: dict[str, Any] = {
        "device": device.name,
        "threads": torch.get_num_threads(),
        "load average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "optdsl": optdsl.__version__,
        "bandwidths": bandwidths(device),
        "results": [],
    }
    rates = ", ".join(f"{name} {rate / 1e9:.1f} GB/s" for name, rate in report["bandwidths"].items())
    print(f"{device.name}, {report['threads']} threads: {rates}")
    results = []
    for workload in workloads:
        for dtype in dtypes:
            for name in names:
                result = measure(name, workload, dtype, device, seconds, compiled, wanted)
                results.append(result)
                print(table(result, report["bandwidths"]["in place"]), flush=True)
                report["results"] = [asdict(r) for r in results]
                output.parent.mkdir(parents=True, exist_ok=True)
                output.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
                gc.collect()
    plot(results, device.name, output.with_suffix(".png"))


def table(result: Result, bandwidth: float) -> str:
    """One line per variant: time, ratio to torch's best, rate of the minimal traffic and its part of ``bandwidth``."""
    best = best_of_torch(result)
    lines = [f"{result.optimizer}, {result.workload}, {result.dtype}"]
    for variant, t in result.timings.items():
        ratio = f"{best / t.seconds:6.2f}x" if best else ""
        rate = f"{t.bandwidth / 1e9:6.1f} GB/s {t.bandwidth / bandwidth:5.0%}"
        lines.append(f"    {variant:18}{t.seconds * 1e3:10.3f} ms {ratio} {rate}")
    lines += [f"    {variant:18}{why}" for variant, why in result.failed.items()]
    return "\n".join(lines)


def best_of_torch(result: Result) -> float | None:
    """Seconds of the fastest of torch's own variants, without torch.compile."""
    return min((t.seconds for v, t in result.timings.items() if v.startswith("torch ")), default=None)


def plot(results: Sequence[Result], title: str, path: Path) -> None:
    """How many times as fast as torch's best variant each of ours is."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    panels = list(dict.fromkeys((r.workload, r.dtype) for r in results))
    figure, axes = plt.subplots(len(panels), 1, figsize=(9, 2.6 * len(panels)), squeeze=False)
    for axis, (workload, dtype) in zip(axes[:, 0], panels, strict=True):
        rows = [r for r in results if (r.workload, r.dtype) == (workload, dtype) and best_of_torch(r)]
        kinds = [k for k in ("ours for-loop", "ours foreach", "ours fused") if any(k in r.timings for r in rows)]
        for k, kind in enumerate(kinds):
            heights = [(best_of_torch(r) or 0.0) / r.timings[kind].seconds if kind in r.timings else 0.0 for r in rows]
            places = [i + (k - (len(kinds) - 1) / 2) * 0.27 for i in range(len(rows))]
            bars = axis.bar(places, heights, 0.25, label=kind)
            axis.bar_label(bars, fmt="%.1f", fontsize=6)
        axis.set_xticks(range(len(rows)), [r.optimizer for r in rows], fontsize=8)
        axis.axhline(1.0, color="black", linewidth=0.8)
        axis.set_ylabel("× torch's best")
        axis.set_title(f"{workload}, {dtype}", fontsize=9)
        axis.margins(y=0.15)
    axes[0, 0].legend(fontsize=7)
    figure.suptitle(title, fontsize=10)
    figure.tight_layout()
    figure.savefig(path, dpi=130)
