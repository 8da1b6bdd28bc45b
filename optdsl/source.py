"""Source text, places in it, and what the compiler has to say about them."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property


@dataclass(frozen=True)
class Source:
    """A spec's text and the name to show for it (a path, or ``<string>``).

    The text is kept exactly as read: spans are offsets into it.
    """

    name: str
    text: str = field(repr=False)

    @cached_property
    def line_starts(self) -> tuple[int, ...]:
        """Offset of the first character of every line."""
        return (0, *(i + 1 for i, c in enumerate(self.text) if c == "\n"))

    def line_column(self, offset: int) -> tuple[int, int]:
        """Line and column of ``offset``, both counted from 1; columns count code points."""
        line = bisect_right(self.line_starts, offset)
        return line, offset - self.line_starts[line - 1] + 1

    def line(self, number: int) -> str:
        """Text of line ``number`` (from 1), without its end."""
        start = self.line_starts[number - 1]
        end = self.text.find("\n", start)
        return self.text[start : len(self.text) if end < 0 else end].rstrip("\r")


@dataclass(frozen=True)
class Span:
    """The characters ``source.text[start:end]``."""

    source: Source = field(repr=False)
    start: int
    end: int

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]

    def __contains__(self, other: Span) -> bool:
        """Whether ``other`` lies within this one."""
        return self.source == other.source and self.start <= other.start and other.end <= self.end

    def to(self, other: Span) -> Span:
        """The span from the start of this one to the end of ``other`` (same source)."""
        return Span(self.source, self.start, other.end)


class Severity(Enum):
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True)
class Label:
    """A second place that a diagnostic points at, and what to say there."""

    span: Span
    text: str


@dataclass(frozen=True)
class Fix:
    """An edit that certainly mends the mistake: put ``replacement`` in place of ``span``."""

    span: Span
    replacement: str


@dataclass(frozen=True)
class Diagnostic:
    """One mistake (or warning), in the user's words.

    ``code`` is stable (``E012``); ``message`` says what is wrong in one line; ``note`` is shown under the caret;
    ``help`` says how to mend it.
    """

    code: str
    message: str
    span: Span
    note: str = ""
    help: str = ""
    labels: tuple[Label, ...] = ()
    fix: Fix | None = None
    severity: Severity = Severity.ERROR


class DiagnosticError(Exception):
    """Raised where the pipeline cannot go on; carries every diagnostic found so far. Its text shows them all."""

    def __init__(self, diagnostics: tuple[Diagnostic, ...]):
        super().__init__(diagnostics)
        self.diagnostics = diagnostics

    def __str__(self) -> str:
        from optdsl.render import render_all

        return "\n" + render_all(self.diagnostics)
