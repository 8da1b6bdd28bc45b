"""Generated kernels without a GPU: in Triton's interpreter, and compiled ahead of time."""

from __future__ import annotations

import importlib
import itertools
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
import triton
import triton.language as tl
from triton.runtime import interpreter

import optdsl
from optdsl.emit.triton import emit_kernel
from optdsl.ir.nodes import Program

SUPPORT = Path(optdsl.__file__).parent / "support"
_NUMBER = itertools.count()


class Package:
    """A package of generated kernels under ``folder``, with its own copy of the support modules."""

    def __init__(self, folder: Path, interpret: bool):
        self.name = f"fused_{next(_NUMBER)}"
        self.folder = folder / self.name
        self.interpret = interpret
        self.folder.mkdir()
        (self.folder / "__init__.py").write_text("")
        shutil.copytree(SUPPORT, self.folder / "_support")

    def add(self, program: Program) -> ModuleType:
        """The kernel module of ``program``, to run in the interpreter or to compile."""
        module = f"_{program.name.lower()}_{next(_NUMBER)}_triton"
        (self.folder / f"{module}.py").write_text(emit_kernel(program))
        return self.module(module)

    def module(self, name: str) -> ModuleType:
        """A module of the package, imported if it has not been."""
        sys.path.insert(0, str(self.folder.parent))
        try:
            with interpretation(self.interpret):
                importlib.invalidate_caches()
                return importlib.import_module(f"{self.name}.{name}")
        finally:
            sys.path.remove(str(self.folder.parent))


@contextmanager
def interpretation(on: bool) -> Iterator[None]:
    """Kernels defined here are made for the interpreter, or to be compiled."""
    with triton.knobs.runtime.scope():
        triton.knobs.runtime.interpret = on
        yield


def load_fused(spec: Path) -> ModuleType:
    """``optdsl.load(spec)``, with fused steps that run on the CPU, in the interpreter."""
    module = optdsl.load(spec)
    for optimizer in (module.__dict__[name] for name in module.__all__):
        package, _, name = optimizer.__module__.rpartition(".")
        with interpretation(True):
            importlib.import_module(f"{package}._{name}_triton")
        sys.modules[f"{package}._support.fused"].BACKENDS["cpu"] = "triton"
    return module


@contextmanager
def faithful_interpreter() -> Iterator[None]:
    """The interpreter, mended: bfloat16 is rounded to nearest (it truncates), scalar truth values can be broadcast
    (they become numbers), and loop bounds are what NumPy 2.4 accepts. Reductions are made by NumPy, not one by one."""
    builder = interpreter.InterpreterBuilder
    cast_impl, create_splat, patch_tensor = builder.cast_impl, builder.create_splat, interpreter._patch_lang_tensor

    def cast(self, src, dst_type):
        source, target = src.dtype.scalar, dst_type.scalar
        if target == tl.bfloat16 and source in (tl.float32, tl.float64):
            rounded = torch.from_numpy(np.ascontiguousarray(src.data, dtype=np.float32)).to(torch.bfloat16)
            return interpreter.TensorHandle(rounded.view(torch.int16).numpy().view(np.uint16), target)
        if source == tl.bfloat16 and target == tl.float64:
            return cast(self, cast(self, src, tl.float32), dst_type)
        return cast_impl(self, src, dst_type)

    def splat(self, ret_ty, arg):
        if arg.data.dtype == np.bool_:
            arg = interpreter.TensorHandle(arg.data, tl.int1)
        return create_splat(self, ret_ty, arg)

    def patched(tensor, scope):
        patch_tensor(tensor, scope)
        scope.set_attr(tensor, "__index__", lambda self: int(self.handle.data.item()))

    def reduce(self, input):
        fold = {"plus": np.sum, "maximum": np.max, "minimum": np.min}[self.combine_fn.fn.__name__]
        return (self.to_tensor(fold(input[0].handle.data, axis=self.axis, keepdims=self.keep_dims), input[0].dtype),)

    generic_reduce = interpreter.ReduceOps.generic_reduce
    builder.cast_impl, builder.create_splat, interpreter._patch_lang_tensor = cast, splat, patched
    interpreter.ReduceOps.generic_reduce = reduce
    try:
        yield
    finally:
        interpreter.ReduceOps.generic_reduce = generic_reduce
        builder.cast_impl, builder.create_splat, interpreter._patch_lang_tensor = cast_impl, create_splat, patch_tensor
