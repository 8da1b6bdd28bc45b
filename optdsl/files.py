"""Reading and writing specs: from a path to a :class:`Source`, or to a diagnostic that says why not."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from optdsl.resources import spec_names, spec_text
from optdsl.source import Diagnostic, Source, Span

SUFFIX = ".opt"
_SHIPPED = "<optdsl>/"


def read_source(path: str | Path) -> Source | Diagnostic:
    """The spec at ``path`` (``-``: the standard input); E801 if it cannot be read, E802 if it is not UTF-8."""
    try:
        data = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return Diagnostic("E801", f"cannot read the spec: {reason[:1].lower()}{reason[1:]}", whole_file(path))
    try:
        return Source("<stdin>" if path == "-" else str(path), data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return Diagnostic(
            "E802",
            f"the spec is not UTF-8: line {line} has the byte 0x{data[error.start]:02x}",
            whole_file(path),
            help="save the file as UTF-8",
        )


def read_spec(path: str | Path) -> Source | Diagnostic:
    """The spec at ``path``; where no such file is and it is a bare name, the shipped spec of that name (``adam``).

    A shipped spec is found again by the name of its source.
    """
    shipped = str(path).removeprefix(_SHIPPED).removesuffix(SUFFIX) if str(path).startswith(_SHIPPED) else str(path)
    if shipped in spec_names() and not Path(path).exists():
        return _shipped(shipped)
    source = read_source(path)
    name = str(path).removesuffix(SUFFIX)
    if isinstance(source, Diagnostic) and source.code == "E801" and name in spec_names():
        return replace(source, help=f"the spec that comes with optdsl is called `{name}`")
    return source


def _shipped(name: str) -> Source:
    """The spec of that name that comes with optdsl, or parts of specs.

    Raises:
        FileNotFoundError: there is none.
    """
    return Source(f"{_SHIPPED}{name}{SUFFIX}", spec_text(name))


def read_import(file: str, importer: Source) -> Source | Diagnostic | None:
    """The spec that ``import NAME from file`` means: the one beside ``importer``, else the shipped one, else None."""
    name = file.removesuffix(SUFFIX)
    beside = Path(os.path.normpath(Path(importer.name).parent / f"{name}{SUFFIX}"))
    if beside.is_file():
        return read_source(beside)
    try:
        return _shipped(name)
    except FileNotFoundError:
        return None


def specs_in(paths: Iterable[str | Path]) -> list[str]:
    """``paths``, with every folder among them replaced by the specs that lie in it, at any depth."""
    found: list[str] = []
    for path in map(Path, paths):
        found += map(str, sorted(path.rglob(f"*{SUFFIX}"))) if path.is_dir() else [str(path)]
    return list(dict.fromkeys(found))


def write_whole(path: str | Path, text: str) -> Diagnostic | None:
    """Write ``text`` to ``path``, all of it or (E808) nothing; a file that is there keeps its permissions."""
    target = Path(os.path.realpath(path))
    temporary: str | None = None
    try:
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        with os.fdopen(handle, "wb") as stream:
            stream.write(text.encode("utf-8"))
        os.chmod(temporary, target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~_umask())
        os.replace(temporary, target)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        return Diagnostic("E808", f"cannot write the file: {(error.strerror or str(error)).lower()}", whole_file(path))
    return None


def _umask() -> int:
    """The permissions that new files do not get. There is no way to read them but to set them."""
    umask = os.umask(0)
    os.umask(umask)
    return umask


def whole_file(path: str | Path) -> Span:
    """The span of a diagnostic that speaks of a file as a whole."""
    return Span(Source(str(path), ""), 0, 0)
