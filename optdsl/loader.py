"""``optdsl.load``: a spec compiled in memory and imported, without a file being written."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import itertools
import linecache
import re
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import CodeType, ModuleType

from optdsl.compiler import compile_files
from optdsl.render import render_text
from optdsl.source import DiagnosticError


def load(path: str | Path) -> ModuleType:
    """Compile the spec at ``path`` and return a module that holds its optimizer classes.

    Tracebacks, debuggers and ``inspect.getsource`` show the compiled text. Every call compiles afresh and returns a new
    module with new classes; an optimizer of it can be pickled and unpickled within the process.

    Raises :class:`optdsl.DiagnosticError`, whose text shows every mistake, if the spec has any; warns of the rest.
    Importing the result needs torch.
    """
    result = compile_files([path])
    if not result.ok:
        raise DiagnosticError(result.diagnostics)
    for diagnostic in result.diagnostics:
        warnings.warn(render_text(diagnostic), stacklevel=2)
    stem = re.sub(r"\W", "_", Path(path).stem, flags=re.ASCII)
    return importlib.import_module(_MEMORY.add(f"_optdsl_{stem}", Path(path).name, result.files))


class _MemoryImporter(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Finds and loads packages whose files are texts in memory."""

    def __init__(self) -> None:
        self._files: dict[str, tuple[str, str]] = {}  # module → (file name to show, text)
        self._count = itertools.count(1)

    def add(self, prefix: str, spec: str, files: Mapping[str, str]) -> str:
        """Make ``files`` (path → text) importable; the name of their package is new and starts with ``prefix``."""
        package = f"{prefix}_{next(self._count)}"
        for path, text in files.items():
            parts = path.removesuffix(".py").split("/")
            if parts[-1] == "__init__":
                parts.pop()
            shown = f"<{spec} compiled by optdsl, {package}>/{path}"
            self._files[".".join([package, *parts])] = (shown, text)
            linecache.cache[shown] = (len(text), None, text.splitlines(keepends=True), shown)
        if self not in sys.meta_path:
            sys.meta_path.append(self)
        return package

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in self._files:
            return None
        spec = importlib.machinery.ModuleSpec(
            fullname, self, origin=self._files[fullname][0], is_package=self.is_package(fullname)
        )
        spec.has_location = True
        return spec

    def is_package(self, fullname: str) -> bool:
        return self._files[fullname][0].endswith("__init__.py")

    def get_source(self, fullname: str) -> str:
        return self._files[fullname][1]

    def get_code(self, fullname: str) -> CodeType:
        return compile(self._files[fullname][1], self._files[fullname][0], "exec", dont_inherit=True)


_MEMORY = _MemoryImporter()
