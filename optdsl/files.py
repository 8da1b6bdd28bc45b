"""Reading specs: from a path to a :class:`Source`, or to a diagnostic that says why not."""

from __future__ import annotations

import os
from pathlib import Path

from optdsl.resources import spec_names, spec_text
from optdsl.source import Diagnostic, Source, Span

SUFFIX = ".opt"


def read_source(path: str | Path) -> Source | Diagnostic:
    """The spec at ``path``; E801 if it cannot be read, E802 if it is not UTF-8."""
    try:
        data = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return Diagnostic("E801", f"cannot read the spec: {reason[:1].lower()}{reason[1:]}", whole_file(path))
    try:
        return Source(str(path), data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return Diagnostic(
            "E802",
            f"the spec is not UTF-8: line {line} has the byte 0x{data[error.start]:02x}",
            whole_file(path),
            help="save the file as UTF-8",
        )


def read_import(file: str, importer: Source) -> Source | Diagnostic | None:
    """The spec that ``import NAME from file`` means: the one beside ``importer``, else the shipped one, else None."""
    name = file.removesuffix(SUFFIX)
    beside = Path(os.path.normpath(Path(importer.name).parent / f"{name}{SUFFIX}"))
    if beside.is_file():
        return read_source(beside)
    if name in spec_names():
        return Source(f"<optdsl>/{name}{SUFFIX}", spec_text(name))
    return None


def whole_file(path: str | Path) -> Span:
    """The span of a diagnostic that speaks of a file as a whole."""
    return Span(Source(str(path), ""), 0, 0)
