"""A package of native kernels made from programs, and access to what a loaded optimizer's package holds."""

from __future__ import annotations

import importlib
import itertools
from types import ModuleType

from optdsl.emit.native import emit_native
from optdsl.ir.nodes import Program
from tests.torch_parity.cases import Case
from tests.triton.harness import Package

_NUMBER = itertools.count()


class NativePackage(Package):
    """A package whose kernels are native."""

    def add(self, program: Program) -> ModuleType:
        module = f"_{program.name.lower()}_{next(_NUMBER)}_native"
        (self.folder / f"{module}.py").write_text(emit_native(program))
        return self.module(module)


def support(case: Case, name: str) -> ModuleType:
    """The module ``_support.<name>`` of the package that holds the case's optimizer."""
    return importlib.import_module(f"{package_of(case)}._support.{name}")


def kernels(case: Case) -> ModuleType:
    """The native kernels of the case's optimizer."""
    return importlib.import_module(f"{package_of(case)}._{case.name.lower()}_native")


def package_of(case: Case) -> str:
    return case.ours.__module__.rpartition(".")[0]
