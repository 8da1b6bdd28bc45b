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


def load(program: Program, folder: Path, interpret: bool) -> ModuleType:
    """The kernel module of ``program``, in a package of its own under ``folder``, for the interpreter or to compile."""
    package = f"fused_{next(_NUMBER)}"
    (folder / package).mkdir()
    (folder / package / "__init__.py").write_text("")
    shutil.copytree(SUPPORT, folder / package / "_support")
    module = f"_{program.name.lower()}_triton"
    (folder / package / f"{module}.py").write_text(emit_kernel(program))
    sys.path.insert(0, str(folder))
    try:
        with triton.knobs.runtime.scope():
            triton.knobs.runtime.interpret = interpret
            importlib.invalidate_caches()
            return importlib.import_module(f"{package}.{module}")
    finally:
        sys.path.remove(str(folder))


@contextmanager
def faithful_interpreter() -> Iterator[None]:
    """The interpreter with bfloat16 rounded to nearest (it truncates), and loop bounds that NumPy 2.4 accepts."""
    builder = interpreter.InterpreterBuilder
    cast_impl, patch_tensor = builder.cast_impl, interpreter._patch_lang_tensor

    def cast(self, src, dst_type):
        source, target = src.dtype.scalar, dst_type.scalar
        if target == tl.bfloat16 and source in (tl.float32, tl.float64):
            rounded = torch.from_numpy(np.ascontiguousarray(src.data, dtype=np.float32)).to(torch.bfloat16)
            return interpreter.TensorHandle(rounded.view(torch.int16).numpy().view(np.uint16), target)
        if source == tl.bfloat16 and target == tl.float64:
            return cast(self, cast(self, src, tl.float32), dst_type)
        return cast_impl(self, src, dst_type)

    def patched(tensor, scope):
        patch_tensor(tensor, scope)
        scope.set_attr(tensor, "__index__", lambda self: int(self.handle.data.item()))

    builder.cast_impl, interpreter._patch_lang_tensor = cast, patched
    try:
        yield
    finally:
        builder.cast_impl, interpreter._patch_lang_tensor = cast_impl, patch_tensor
