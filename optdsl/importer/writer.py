"""Text that is made from pieces of another, with the way back: where every character comes from."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field, replace

from optdsl.source import Diagnostic, Label, Source, Span


@dataclass
class Writer:
    """Text under construction. Every piece stands for ``origin.text[start:end]``."""

    origin: Source
    pieces: list[str] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    places: list[tuple[int, int, bool]] = field(default_factory=list)  # start, end, whether it is a verbatim copy
    length: int = 0

    def write(self, text: str, start: int, end: int, verbatim: bool = False) -> None:
        if text:
            self.pieces.append(text)
            self.starts.append(self.length)
            self.places.append((start, end, verbatim))
            self.length += len(text)

    def append(self, other: Writer) -> None:
        """Add everything that ``other`` holds."""
        for text, (start, end, verbatim) in zip(other.pieces, other.places, strict=True):
            self.write(text, start, end, verbatim)

    def stripped(self) -> Writer:
        """A copy without blanks at its start."""
        out = Writer(self.origin)
        for text, (start, end, verbatim) in zip(self.pieces, self.places, strict=True):
            kept = text if out.pieces else text.lstrip()
            out.write(kept, start + (len(text) - len(kept) if verbatim else 0), end, verbatim)
        return out

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    def span(self, start: int, end: int) -> Span:
        """The characters of the origin behind ``text[start:end]``."""
        if not self.pieces:
            return Span(self.origin, 0, 0)
        first = max(0, bisect_right(self.starts, start) - 1)
        last = max(first, bisect_right(self.starts, max(start, end - 1)) - 1)
        begin, stop, verbatim = self.places[first]
        if verbatim:
            begin = min(begin + start - self.starts[first], stop)
        finish, verbatim = self.places[last][1:]
        if verbatim:
            finish = min(self.places[last][0] + end - self.starts[last], finish)
        if not self.origin.text[begin : max(begin, finish)].strip():
            return Span(self.origin, begin, begin)
        return Span(self.origin, begin, max(begin, finish))

    def diagnostic(self, found: Diagnostic) -> Diagnostic:
        """``found`` in the text, as one in the origin. Its fix, which would edit the text, is left out."""
        labels = tuple(Label(self.back(label.span), label.text) for label in found.labels)
        return replace(found, span=self.back(found.span), labels=labels, fix=None)

    def back(self, span: Span) -> Span:
        """The characters of the origin behind a span of the text."""
        return self.span(span.start, span.end)
