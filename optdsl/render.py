"""Diagnostics as text for people (the line with a caret under it), as JSON and as GitHub workflow commands."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from optdsl.source import Diagnostic, Severity, Span

TAB_WIDTH = 4

Painter = Callable[[str, str], str]
"""Puts a style (a key of ``_STYLES``) on text."""

_BIDI_CONTROLS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


# ------------------------------------------------------------------------------------------------------------ text


def render_text(diagnostic: Diagnostic, color: bool = False) -> str:
    """``diagnostic`` as a terminal shows it, without a final newline; with ANSI colors if ``color``.

    ::

        error[E201]: `ρ` is not declared
         --> adam.opt:9:5
          |
        9 |     θ_t ← θ_{t-1} - ρ g_t
          |                     ^
          |
          = help: add it to `input:`
    """
    paint = _paint if color else _plain
    severity = "error" if diagnostic.severity is Severity.ERROR else "warning"
    marks = [_Mark(diagnostic.span, "", True), *(_Mark(label.span, label.text, False) for label in diagnostic.labels)]
    numbers = [mark.line for mark in marks if mark.span.source.text]
    margin = len(str(max(numbers, default=1)))
    gutter = paint(" " * margin + " |", "edge")

    out = [paint(f"{severity}[{diagnostic.code}]", severity) + paint(f": {visible(diagnostic.message)}", "message")]
    for i, source in enumerate(dict.fromkeys(mark.span.source for mark in marks)):
        inside = [mark for mark in marks if mark.span.source == source]
        out.append(paint(" " * margin + ("-->" if i == 0 else ":::"), "edge") + f" {_place(inside[0].span)}")
        if source.text:
            out.append(gutter)
            out += _snippet(inside, margin, severity, paint)
    remarks = [(kind, text) for kind, text in (("note", diagnostic.note), ("help", diagnostic.help)) if text]
    if remarks and numbers:
        out.append(gutter)
    for kind, text in remarks:
        first, *rest = visible(text).split("\n")
        out.append(paint(" " * margin + " =", "edge") + paint(f" {kind}:", "message") + f" {first}")
        out += [" " * (margin + 5 + len(kind)) + line for line in rest]
    return "\n".join(line.rstrip() for line in out)


def visible(text: str) -> str:
    """``text`` with everything that could steer a terminal or reorder the line made visible as U+FFFD."""
    return "".join("\ufffd" if _is_control(c) and c != "\n" else c for c in text)


def column_width(text: str, start: int = 0) -> int:
    """How many terminal columns ``text`` takes when it begins at column ``start`` (from 0; tabs stop every 4)."""
    column = start
    for c in text:
        column += TAB_WIDTH - column % TAB_WIDTH if c == "\t" else _width(c)
    return column - start


@dataclass(frozen=True)
class _Mark:
    """A span to underline, with what to say beside the underline."""

    span: Span
    text: str
    primary: bool

    @property
    def line(self) -> int:
        return self.span.source.line_column(self.span.start)[0]

    def underline(self) -> tuple[int, int]:
        """Terminal column (from 0) and width of the underline: the span's part on its first line, at least 1 wide."""
        line, column = self.span.source.line_column(self.span.start)
        text = self.span.source.line(line)
        end_line, end_column = self.span.source.line_column(self.span.end)
        end = end_column - 1 if end_line == line else len(text)
        left = column_width(text[: column - 1])
        return left, max(1, column_width(text[column - 1 : end], left))


def _snippet(marks: list[_Mark], margin: int, severity: str, paint: Painter) -> list[str]:
    """The marked lines of one source in order, each with its underlines below; gaps between them as ``...``."""
    source = marks[0].span.source
    out: list[str] = []
    last: int | None = None
    for number in sorted({mark.line for mark in marks}):
        if last is not None and number > last + 1:
            out.append(paint("...", "edge"))
        last = number
        out.append(paint(f"{number:>{margin}} |", "edge") + f" {_expanded(source.line(number))}")
        for mark in (mark for mark in marks if mark.line == number):
            left, width = mark.underline()
            style = severity if mark.primary else "edge"
            line = ("^" if mark.primary else "-") * width + (f" {visible(mark.text)}" if mark.text else "")
            out.append(paint(" " * margin + " |", "edge") + " " * (left + 1) + paint(line, style))
    return out


def _place(span: Span) -> str:
    if not span.source.text:
        return visible(span.source.name)
    line, column = span.source.line_column(span.start)
    return f"{visible(span.source.name)}:{line}:{column}"


def _expanded(line: str) -> str:
    """``line`` with tabs as spaces and control characters visible."""
    out: list[str] = []
    column = 0
    for c in line:
        out.append(" " * (TAB_WIDTH - column % TAB_WIDTH) if c == "\t" else visible(c))
        column += column_width(c, column)
    return "".join(out)


def _is_control(c: str) -> bool:
    return c in _BIDI_CONTROLS or unicodedata.category(c) in ("Cc", "Zl", "Zp")


def _width(c: str) -> int:
    if _is_control(c):
        return 1
    if unicodedata.category(c) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(c) in "WF" else 1


_STYLES = {"error": "1;31", "warning": "1;33", "message": "1", "edge": "1;34"}


def _paint(text: str, style: str) -> str:
    return f"\x1b[{_STYLES[style]}m{text}\x1b[0m"


def _plain(text: str, style: str) -> str:
    return text


# ------------------------------------------------------------------------------------------------------------ JSON


def render_json(diagnostic: Diagnostic) -> str:
    """``diagnostic`` as one JSON object on one line. Lines and columns count from 1, columns in code points."""
    data: dict[str, Any] = {
        "code": diagnostic.code,
        "severity": diagnostic.severity.value,
        "message": diagnostic.message,
        **_range(diagnostic.span),
        "note": diagnostic.note,
        "help": diagnostic.help,
        "labels": [{**_range(label.span), "text": label.text} for label in diagnostic.labels],
        "fix": diagnostic.fix and {**_range(diagnostic.fix.span), "replacement": diagnostic.fix.replacement},
    }
    return json.dumps(data, ensure_ascii=False)


def _range(span: Span) -> dict[str, Any]:
    line, column = span.source.line_column(span.start)
    end_line, end_column = span.source.line_column(span.end)
    return {
        "file": span.source.name,
        "line": line,
        "column": column,
        "end_line": end_line,
        "end_column": end_column,
    }


# ---------------------------------------------------------------------------------------------------------- GitHub


def render_github(diagnostic: Diagnostic) -> str:
    """``diagnostic`` as a workflow command that GitHub shows beside the changed line."""
    place = _range(diagnostic.span)
    properties = {
        "file": place["file"],
        "line": place["line"],
        "col": place["column"],
        "endLine": place["end_line"],
        "endColumn": place["end_column"],
        "title": f"optdsl {diagnostic.code}",
    }
    remarks = [f"{kind}: {text}" for kind, text in (("note", diagnostic.note), ("help", diagnostic.help)) if text]
    message = _escape("\n".join([diagnostic.message, *remarks]))
    settings = ",".join(
        f"{key}={_escape(str(value)).replace(':', '%3A').replace(',', '%2C')}" for key, value in properties.items()
    )
    return f"::{diagnostic.severity.value} {settings}::{message}"


def _escape(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


# ---------------------------------------------------------------------------------------------------------- report


def render_all(diagnostics: Iterable[Diagnostic], color: bool = False) -> str:
    """Every diagnostic as text, in order, with an empty line between them."""
    return "\n\n".join(render_text(diagnostic, color) for diagnostic in diagnostics)
