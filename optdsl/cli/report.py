"""Printing diagnostics, in the format that the user asked for."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from enum import StrEnum

from optdsl.render import render_github, render_json, render_text
from optdsl.source import Diagnostic, Severity


class ErrorFormat(StrEnum):
    TEXT = "text"
    JSON = "json"
    GITHUB = "github"


def report(diagnostics: Sequence[Diagnostic], error_format: ErrorFormat) -> None:
    """Print ``diagnostics``: text to stderr with a count at the end; JSON lines and workflow commands to stdout."""
    match error_format:
        case ErrorFormat.JSON:
            for diagnostic in diagnostics:
                print(render_json(diagnostic))
        case ErrorFormat.GITHUB:
            for diagnostic in diagnostics:
                print(render_github(diagnostic))
        case ErrorFormat.TEXT if diagnostics:
            color = sys.stderr.isatty()
            for diagnostic in diagnostics:
                print(render_text(diagnostic, color), end="\n\n", file=sys.stderr)
            print(_count(diagnostics), file=sys.stderr)


def _count(diagnostics: Sequence[Diagnostic]) -> str:
    errors = sum(d.severity is Severity.ERROR for d in diagnostics)
    counts = ((errors, "error"), (len(diagnostics) - errors, "warning"))
    return ", ".join(f"{n} {what}{'s' * (n != 1)}" for n, what in counts if n)
