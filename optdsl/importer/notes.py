"""The notes that the compiler writes above a box: :mod:`optdsl.emit.latex.notes`, read back."""

from __future__ import annotations

import re
from dataclasses import dataclass

from optdsl.emit.latex.expressions import escaped
from optdsl.importer.writer import Writer
from optdsl.source import Source
from optdsl.syntax import parse
from optdsl.syntax.layout import defined_functions

_BEGINS = re.compile(r"^% (?:optimizer|function)\b", re.MULTILINE)
_LINE = re.compile(r"%(?: ([^\n]*)|[ \t]*)(?:\n|$)")


@dataclass(frozen=True)
class Notes:
    """The notes of a box: their text, where they end, and the words that they declare."""

    writer: Writer
    end: int
    functions: frozenset[str]
    choices: dict[str, str]
    words: frozenset[str]
    flat: bool


def read_notes(source: Source, start: int = 0) -> Notes | None:
    """The first notes from offset ``start`` on, if there are any."""
    begins = _BEGINS.search(source.text, start)
    if begins is None:
        return None
    writer = Writer(source)
    at = begins.start()
    while (line := _LINE.match(source.text, at)) and at < len(source.text):
        text = line[1] or ""
        writer.write(text + "\n", at + 2, max(at + 2, line.end()), verbatim=True)
        at = line.end()
    parsed = parse(Source(source.name, writer.text))
    optimizers = parsed.module.optimizers if parsed.module else ()
    inputs = [i for optimizer in optimizers for i in optimizer.inputs]
    states = [s for optimizer in optimizers for s in optimizer.states]
    words = {n.symbol.base for i in inputs for n in i.names} | {s.name.symbol.base for s in states}
    choices = {escaped(c): c for i in inputs for c in i.choices}
    long_words = frozenset(w for w in words if len(w) > 1)
    return Notes(
        writer, at, defined_functions(writer.text), choices, long_words, any(optimizer.flat for optimizer in optimizers)
    )
