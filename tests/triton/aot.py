"""What a generated kernel becomes on a GPU, seen by compiling it where there is none."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

NVIDIA_TOOLS = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
POINTERS = {
    "table": "*i64",
    "block_tensor": "*i32",
    "block_chunk": "*i32",
    "hypers": "*fp64",
    "grad_scale": "*fp32",
    "found_inf": "*fp32",
}

TARGETS = {
    "sm_80": GPUTarget("cuda", 80, 32),
    "sm_90": GPUTarget("cuda", 90, 32),
    "gfx942": GPUTarget("hip", "gfx942", 64),
}


@dataclass(frozen=True)
class Access:
    """One load or store instruction of a thread: how many bytes, and whether it reads."""

    bytes: int
    reads: bool


@dataclass(frozen=True)
class Binary:
    """A compiled kernel."""

    asm: dict[str, Any]
    is_nvidia: bool
    elements: int
    """How many elements a thread updates in one pass of the wide loop; half as many in the narrow one."""

    @cached_property
    def loops(self) -> tuple[list[Access], list[Access]]:
        """The accesses to tensors in the wide loop, and in the narrow one: those after the last wide access."""
        accesses = self.accesses
        widest = max(access.bytes for access in accesses)
        end = max(i for i, access in enumerate(accesses, start=1) if access.bytes == widest)
        return accesses[:end], accesses[end:]

    @property
    def accesses(self) -> list[Access]:
        """The accesses that have a mask."""
        return self._ptx_accesses() if self.is_nvidia else self._amdgcn_accesses()

    def widest(self, reads: bool) -> int:
        """How many accesses of 128 bits there are, of those that read or of those that write."""
        if self.is_nvidia:
            return self.accesses.count(Access(16, reads))
        what = "load" if reads else "store"
        return len(re.findall(rf"^\s+(?:buffer|global)_{what}_dwordx4 ", self.assembly, re.MULTILINE))

    @property
    def assembly(self) -> str:
        return self.asm["ptx" if self.is_nvidia else "amdgcn"]

    def _ptx_accesses(self) -> list[Access]:
        """Accesses to tensors have a mask, those to tables have none."""
        found = re.findall(r"^\s*@%p\d+ (ld|st)\.global(?:\.v(\d))?\.b(\d+)", self.asm["ptx"], re.MULTILINE)
        return [Access(int(count or 1) * int(bits) // 8, what == "ld") for what, count, bits in found]

    def _amdgcn_accesses(self) -> list[Access]:
        """Tensors are accessed as buffers, tables are not."""
        sizes = {"dwordx4": 16, "dwordx2": 8, "dword": 4, "ushort": 2, "short": 2}
        found = re.findall(r"^\s+buffer_(load|store)_(\w+?)(?:_d16\w*)? ", self.asm["amdgcn"], re.MULTILINE)
        return [Access(sizes[kind], what == "load") for what, kind in found]

    @cached_property
    def resources(self) -> dict[str, int]:
        """Bytes of stack, local and shared memory, and spilled registers: all zero where elements do not meet."""
        if self.is_nvidia:
            with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
                file.write(self.asm["cubin"])
                file.flush()
                usage = _run("cuobjdump", "-res-usage", file.name)
            found = re.findall(r"\b(STACK|SHARED|LOCAL):(\d+)", usage)
        else:
            found = re.findall(
                r"\.(vgpr_spill_count|sgpr_spill_count|group_segment_fixed_size|private_segment_fixed_size): +(\d+)",
                self.asm["amdgcn"],
            )
        assert found
        return {name: int(value) for name, value in found}

    @cached_property
    def sass(self) -> str:
        """The machine code of an NVIDIA binary."""
        with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
            file.write(self.asm["cubin"])
            file.flush()
            return _run("nvdisasm", "-c", file.name)


def _run(tool: str, *arguments: str) -> str:
    return subprocess.run([NVIDIA_TOOLS / tool, *arguments], capture_output=True, text=True, check=True).stdout


def compile_kernel(
    kernels: ModuleType,
    target: str,
    hypers: dict[str, Any],
    present: Iterable[bool] = (),
    dtype: torch.dtype = torch.float32,
    scaled: bool = False,
    which: str = "kernel",
    state_dtype: torch.dtype | None = None,
) -> Binary:
    """The kernel (or its ``prepare``) as it is launched for tensors of ``dtype`` with ``hypers``.

    ``state_dtype`` is that of the states, if another one.
    """
    optimizer = kernels._OPTIMIZER
    launch = __import__(f"{kernels.__package__}._support.triton_launch", fromlist=["*"])
    flags = optimizer.flags(hypers, tuple(present))
    shaped = dict.fromkeys(optimizer.states, state_dtype or dtype) | {"param": dtype, "grad": dtype}
    dtypes = tuple(torch.float32 if optimizer.is_scalar(name) else shaped[name] for name in optimizer.names)
    gpu = TARGETS[target]
    constants = launch.constants(optimizer, dtypes, flags, gpu.warp_size)
    function = getattr(optimizer, which)
    constants = {name: constants[name] for name in function.arg_names if name in constants}
    if not scaled:
        constants |= {name: None for name in ("grad_scale", "found_inf") if name in function.arg_names}
    return compile_function(function, constants, gpu, dtype, launch.WARPS)


def compile_jobs(
    kernels: ModuleType,
    target: str,
    hypers: dict[str, Any],
    shape: tuple[int, ...],
    present: tuple[bool, ...] = (),
    dtype: torch.dtype = torch.float32,
    scaled: bool = False,
) -> dict[str, Binary]:
    """The kernels that are launched for tensors of one ``shape``, for a step that reduces them, by name."""
    optimizer = kernels._OPTIMIZER
    phases = __import__(f"{kernels.__package__}._support.triton_phases", fromlist=["*"])
    launch = __import__(f"{kernels.__package__}._support.triton_launch", fromlist=["*"])
    bucket = kernels.Bucket([torch.empty(shape, dtype=dtype, device="meta")], [], present=present, hypers=hypers)
    (kind,) = optimizer.kinds(bucket)
    flags = optimizer.flags_of(bucket, kind)
    gpu = TARGETS[target]
    scalars = ("step", *optimizer.scalar_states)
    dtypes = tuple(torch.float32 if name in scalars else dtype for name in optimizer.names)
    constants = launch.constants(optimizer, dtypes, flags, gpu.warp_size)
    tile = phases.tile_of(kind, constants["BLOCK"])
    binaries = {}
    for job in optimizer.jobs:
        if job.active(flags):
            given = {**constants, **tile, **phases.width_of(job.space, tile)}
            given |= {} if scaled else {"grad_scale": None, "found_inf": None}
            given = {name: given[name] for name in job.kernel.arg_names if name in given}
            name = job.kernel.__name__.split("_", 2)[2]
            binaries[name] = compile_function(job.kernel, given, gpu, dtype, launch.WARPS, constants["BLOCK"])
    return binaries


def compile_function(
    function: Any, constants: dict[str, Any], gpu: GPUTarget, dtype: torch.dtype, warps: int, block: int = 0
) -> Binary:
    """A kernel as it is launched with ``constants``, for tensors of ``dtype``."""
    numbers = "*fp64" if dtype is torch.float64 else "*fp32"
    kinds = {**POINTERS, "rows": numbers, "scalars": numbers, "scratch": numbers, "n_tensors": "i32"}
    signature = {name: "constexpr" if name in constants else kinds[name] for name in function.arg_names}
    aligned = {(i,): [["tt.divisibility", 16]] for i, kind in enumerate(signature.values()) if kind.startswith("*")}
    binary = triton.compile(
        ASTSource(function, signature, constexprs=constants, attrs=aligned),
        target=gpu,
        options={"num_warps": warps, "enable_fp_fusion": True},
    )
    elements = constants.get("BLOCK", block) // (warps * gpu.warp_size)
    return Binary(binary.asm, gpu.backend == "cuda", elements)
