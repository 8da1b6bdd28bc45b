"""The package on disk: what it holds already, how it differs from what was compiled, and writing it all or nothing."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from optdsl.compiler import MARK
from optdsl.files import whole_file
from optdsl.source import Diagnostic

_EXPORT = re.compile(r"^from \.(\w+) import (\w+)$", re.MULTILINE)


@dataclass(frozen=True)
class Package:
    """The folder that a compiled package is written to.

    ``optimizers`` (class name → module) are those that it has so far. ``diagnostics`` say why it cannot be written to.
    """

    folder: Path
    optimizers: Mapping[str, str]
    diagnostics: tuple[Diagnostic, ...] = ()

    @classmethod
    def read(cls, folder: Path) -> Package:
        """The package at ``folder``, which need not exist. E805 if something else is there."""
        init = folder / "__init__.py"
        if folder.exists() and not folder.is_dir():
            return cls(folder, {}, (_not_ours(folder, "is not a folder"),))
        if not init.exists():
            return cls(folder, {})
        if not _is_ours(init):
            return cls(folder, {}, (_not_ours(init, "was not written by optdsl"),))
        exports = {name: module for module, name in _EXPORT.findall(_read(init))}
        return cls(folder, {name: module for name, module in exports.items() if (folder / f"{module}.py").is_file()})

    def conflicts(self, files: Mapping[str, str]) -> tuple[Diagnostic, ...]:
        """E805 for each of ``files`` in whose place something lies that optdsl has not written."""
        targets = (self.folder / path for path in files)
        return tuple(_not_ours(t, "was not written by optdsl") for t in targets if t.exists() and not _is_ours(t))

    def changed(self, files: Mapping[str, str]) -> dict[str, str]:
        """Those of ``files`` that differ from what is on disk."""
        return {path: text for path, text in files.items() if _read(self.folder / path) != text}

    def diff(self, files: Mapping[str, str]) -> str:
        """A unified diff from what is on disk to ``files``."""
        out: list[str] = []
        for path, text in files.items():
            target = self.folder / path
            old = _read(target)
            before = str(target) if target.exists() else "/dev/null"
            out += difflib.unified_diff(old.splitlines(True), text.splitlines(True), before, str(target))
        return "".join(out)

    def write(self, files: Mapping[str, str]) -> tuple[Diagnostic, ...]:
        """Write ``files``, all of them or (E806) none."""
        new: dict[Path, Path] = {}
        old: dict[Path, bytes | None] = {}
        try:
            for path, text in files.items():
                target = self.folder / path
                target.parent.mkdir(parents=True, exist_ok=True)
                new[target] = _temporary(target)
                new[target].write_bytes(text.encode("utf-8"))
            for target, temporary in new.items():
                old[target] = target.read_bytes() if target.exists() else None
                os.replace(temporary, target)
        except BaseException as error:
            for target, content in old.items():
                _restore(target, content)
            for temporary in new.values():
                temporary.unlink(missing_ok=True)
            if isinstance(error, OSError):
                place = whole_file(error.filename2 or error.filename or self.folder)
                return (Diagnostic("E806", f"cannot write the package: {error.strerror}", place),)
            raise
        return ()


def _is_ours(path: Path) -> bool:
    return _read(path).startswith(MARK)


def _read(path: Path) -> str:
    """Text of ``path``, exactly; empty where there is no such file."""
    return path.read_bytes().decode("utf-8", "replace") if path.is_file() else ""


def _temporary(target: Path) -> Path:
    """The name under which ``target`` is written before it takes its place."""
    return target.with_name(f".{target.name}.{os.getpid()}")


def _restore(target: Path, content: bytes | None) -> None:
    if content is None:
        target.unlink(missing_ok=True)
    else:
        target.write_bytes(content)


def _not_ours(path: Path, why: str) -> Diagnostic:
    return Diagnostic(
        "E805",
        f"the package cannot be written here: `{path}` {why}",
        whole_file(path),
        help="choose another folder with `-o`",
    )
