"""``optdsl build``: native kernels of a package, compiled ahead so that it can be shipped to where no compiler is."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from itertools import product
from pathlib import Path
from types import ModuleType
from typing import Any

PACKAGE = "_optdsl_built"
"""What the package is called while its kernels are compiled."""


class DType(StrEnum):
    """Dtypes of parameters."""

    FLOAT32 = "float32"
    FLOAT64 = "float64"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


def build_kernels(folder: Path, modules: Sequence[str], dtypes: Sequence[DType]) -> list[Path]:
    """Compiles the kernels of the optimizers in ``modules`` of the package at ``folder``, for every set of flags.

    Returns the files, which are in ``_native`` beside the modules. Raises RuntimeError without a C compiler.
    """
    import torch

    _import(PACKAGE, folder / "__init__.py", [str(folder)])
    kernels = [_import(f"{PACKAGE}._{module}_native", folder / f"_{module}_native.py") for module in modules]

    def jobs() -> Iterator[tuple[Any, Any, dict[str, bool]]]:
        for kernel, dtype in product(kernels, dtypes):
            for values in product((False, True), repeat=len(kernel.OPTIMIZER.flag_names)):
                flags = dict(zip(kernel.OPTIMIZER.flag_names, values, strict=True))
                yield kernel.OPTIMIZER, getattr(torch, dtype), flags

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(lambda job: job[0].build(folder / "_native", *job[1:]), jobs()))


def _import(name: str, path: Path, submodules: list[str] | None = None) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path, submodule_search_locations=submodules)
    assert spec is not None and spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
