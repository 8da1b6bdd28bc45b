r"""From the LaTeX of a page to a spec.

::

    source ──nodes──▶ tree ──rows──▶ lines ──box──▶ text of a spec ──parse──▶ Module ──mend──▶ Module ──marks──▶ text

Every stage keeps its places: what the parser and the checker say of the spec points into the LaTeX.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from types import MappingProxyType

from optdsl.importer.box import write_box
from optdsl.importer.marks import marked
from optdsl.importer.mend import mend, simplified, without_maximize
from optdsl.importer.nodes import read_nodes
from optdsl.importer.notes import read_notes
from optdsl.importer.rows import rows_of
from optdsl.importer.tree import relocated
from optdsl.source import Diagnostic, Severity, Source, Span
from optdsl.syntax import ast, parse
from optdsl.syntax.printer import unparse

NOT_COMPILED, DROPPED_UPDATE, DEFAULT_ORDER = "E905", "E212", "E404"
"""Codes of the checker: a concept that is not compiled; ``θ_{t-1}`` read too late; a default before none."""

_BOX = re.compile(r"\\begin\{(aligned|align\*?|alignat\*?|algorithmic|algorithm2e|algorithm\*?)\}")
_STEPS = re.compile(r"\\nabla(?![A-Za-z])|\\(?:for|while|repeat)(?![A-Za-z])|\{(?:for|while|repeat)\b", re.IGNORECASE)
"""What the box of an optimizer has, and a formula that is set apart has not."""
_SIGNS = re.compile(_BOX.pattern + r"|\\(?:leftarrow|gets|longleftarrow)(?![A-Za-z])")
"""What an algorithm has, and prose has not."""
_CAPTION = re.compile(
    r"\\(?:caption|TitleOfAlgo)\{\s*(?:The\s|Our\s|Proposed\s)?\s*"
    r"(?:\\(?:text(?:sc|bf|it|tt|rm|sf)?|emph)\{)?\s*([A-Za-z][A-Za-z0-9]*(?:-[A-Za-z0-9]+)*)"
    r"(?:[^\n()]*\((?:\\[a-z]+\{)?\s*([A-Z][A-Za-z0-9-]*)\}?\))?"
)
"""The first word of a caption, and one in brackets that stands for many."""


@dataclass(frozen=True)
class Imported:
    """A spec read from LaTeX: its text and its tree (None where the box cannot be read), and what is to be said.

    The diagnostics point into the LaTeX. Where there is a text, they are warnings.
    """

    text: str | None
    module: ast.Module | None
    diagnostics: tuple[Diagnostic, ...]


def read_latex(
    source: Source,
    name: str = "",
    doc: str = "",
    defaults: Mapping[str, object] = MappingProxyType({}),
    algorithm: int | None = None,
) -> Imported:
    """The spec that an algorithm of ``source`` spells. Never raises.

    ``algorithm`` counts from 1; without it, the first is read, and others are told of. ``name`` (else that of the
    caption or the file) and ``doc`` are the optimizer's, ``defaults`` its arguments'.
    """
    notes = read_notes(source)
    places = _algorithms(source.text, notes.end if notes else 0)
    if algorithm is not None and not 1 <= algorithm <= len(places):
        return Imported(None, None, (_no_such(source, algorithm, places),))
    start, end = places[(algorithm or 1) - 1]
    nodes, diagnostics = read_nodes(source, start, end)
    rows = rows_of(nodes)
    if not rows or not _SIGNS.search(source.text, start, end):
        what = Diagnostic("E702", "there is no algorithm here", Span(source, start, start), help=_HELP)
        return Imported(None, None, (*diagnostics, what))
    caption = _caption(source, start, end, alone=len(places) == 1)
    box = write_box(source, rows, name or caption or _file_name(source), doc, notes)
    found = [*diagnostics, *box.diagnostics]
    if algorithm is None and len(places) > 1 and not notes:
        found.append(_others(source, places))
    parsed = parse(Source(source.name, box.writer.text))
    found += _not_following(map(box.writer.diagnostic, parsed.diagnostics), diagnostics, box.diagnostics)
    if parsed.module is None or diagnostics or any(d.severity is Severity.ERROR for d in box.diagnostics):
        return Imported(None, None, _ordered(found))
    read: ast.Module = relocated(parsed.module, box.writer.back)
    if len(read.optimizers) != 1:
        message = f"the notes above the box declare {len(read.optimizers)} optimizers"
        found.append(Diagnostic("E702", message, box.writer.span(0, 1), help="declare one: `% optimizer NAME:`"))
        return Imported(None, None, _ordered(found))
    (optimizer,) = read.optimizers
    if notes:
        module = replace(read, optimizers=(without_maximize(optimizer),))
        text = unparse(module)
    else:
        mended = mend(optimizer, box, defaults)
        module = replace(read, optimizers=(mended.optimizer,))
        text = marked(module, mended, box.stubs)
    found += _checked(module, filled_in=notes is not None)
    return Imported(text, module, _ordered(found))


_HELP = r"an `aligned`, `algorithmic` or `algorithm2e` environment is read, with `\leftarrow` or `\gets` in its rows"


def _algorithms(text: str, start: int) -> list[tuple[int, int]]:
    """Where each algorithm begins and ends; one, all of the text, if no environment can be told."""
    found: list[tuple[int, int]] = []
    at = start
    while (begin := _BOX.search(text, at)) is not None:
        end = text.find(rf"\end{{{begin[1]}}}", begin.end())
        at = len(text) if end < 0 else end
        found.append((begin.start(), at))
    return [place for place in found if _STEPS.search(text, *place)] or found[:1] or [(start, len(text))]


def _others(source: Source, places: Sequence[tuple[int, int]]) -> Diagnostic:
    """That there are more algorithms than the first."""
    message = f"there are {len(places)} algorithms here, and this is the first"
    help_ = f"choose with `--algorithm`: {_listed(source, places)}"
    first = Span(source, places[0][0], _line_end(source, places[0][0]))
    return Diagnostic("W701", message, first, help=help_, severity=Severity.WARNING)


def _no_such(source: Source, algorithm: int, places: Sequence[tuple[int, int]]) -> Diagnostic:
    message = f"there is no algorithm {algorithm} here"
    return Diagnostic("E705", message, Span(source, 0, 0), help=f"there is {_listed(source, places)}")


def _listed(source: Source, places: Sequence[tuple[int, int]]) -> str:
    """``1 (Adam, line 3) or 2 (AdaMax, line 40)``."""
    alone = len(places) == 1
    listed = [
        f"{i} ({', '.join(filter(None, (_caption(source, *place, alone), f'line {_line(source, place[0])}')))})"
        for i, place in enumerate(places, 1)
    ]
    return " or ".join(filter(None, (", ".join(listed[:-1]), listed[-1])))


def _line(source: Source, at: int) -> int:
    return source.line_column(at)[0]


def _line_end(source: Source, at: int) -> int:
    end = source.text.find("\n", at)
    return len(source.text) if end < 0 else end


def _not_following(
    parsed: Iterable[Diagnostic], braces: Sequence[Diagnostic], formulas: Sequence[Diagnostic]
) -> Iterator[Diagnostic]:
    """What the parser says, but for what may follow from a mistake already reported: a brace, or one of the line."""
    lines = {d.span.source.line_column(d.span.start)[0] for d in formulas}
    for diagnostic in parsed if not braces else ():
        if diagnostic.span.source.line_column(diagnostic.span.start)[0] not in lines:
            yield diagnostic


def _caption(source: Source, start: int, end: int, alone: bool) -> str:
    """The optimizer's name in the caption of a box, or of the one box that there is; empty if there is none."""
    caption = _CAPTION.search(source.text, start, end) or (_CAPTION.search(source.text) if alone else None)
    word = (caption[2] or caption[1]).replace("-", "") if caption else ""
    return word[:1].upper() + word[1:]


def _file_name(source: Source) -> str:
    """The optimizer's name, of the file."""
    words = [] if source.name.startswith("<") else re.findall(r"[A-Za-z0-9]+", PurePath(source.name).stem)
    name = "".join(word[0].upper() + word[1:] for word in words)
    return name if name[:1].isalpha() else "Imported"


def _checked(module: ast.Module, filled_in: bool) -> list[Diagnostic]:
    """What the checker says of the spec, as warnings: the text is there, to be gone on with.

    Where something in it is not compiled, the checker does not look at the flow of values. The slips of pages are in
    the flow, so it is looked at without what is not compiled. ``filled_in``: no default is missing.
    """
    from optdsl.check import analyse

    found = list(analyse(module, _no_imports).diagnostics)
    if any(d.code == NOT_COMPILED for d in found):
        found += [d for d in analyse(simplified(module), _no_imports).diagnostics if d.code == DROPPED_UPDATE]
    ignored = () if filled_in else (DEFAULT_ORDER,)
    return [replace(d, severity=Severity.WARNING, fix=None) for d in found if d.code not in ignored]


def _no_imports(statement: ast.Import) -> ast.Module | Diagnostic:
    return Diagnostic("E801", "a box imports nothing", statement.span)


def _ordered(found: list[Diagnostic]) -> tuple[Diagnostic, ...]:
    return tuple(dict.fromkeys(sorted(found, key=lambda d: (d.span.start, d.span.end, d.code))))
