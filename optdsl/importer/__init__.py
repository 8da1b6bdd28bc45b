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
_SIGNS = re.compile(_BOX.pattern + r"|\\(?:leftarrow|gets|longleftarrow)(?![A-Za-z])")
"""What an algorithm has, and prose has not."""
_CAPTION = re.compile(r"\\(?:caption|TitleOfAlgo)\{\s*(?:\\textsc\{|\\textbf\{)?\s*([A-Za-z][A-Za-z0-9]*)")


@dataclass(frozen=True)
class Imported:
    """A spec read from LaTeX: its text and its tree (None where the box cannot be read), and what is to be said.

    The diagnostics point into the LaTeX. Where there is a text, they are warnings.
    """

    text: str | None
    module: ast.Module | None
    diagnostics: tuple[Diagnostic, ...]


def read_latex(
    source: Source, name: str = "", doc: str = "", defaults: Mapping[str, object] = MappingProxyType({})
) -> Imported:
    """The spec that the first algorithm of ``source`` spells. Never raises.

    ``name`` (else that of the caption or the file) and ``doc`` are the optimizer's, ``defaults`` its arguments'.
    """
    notes = read_notes(source)
    start, end = _extent(source.text, notes.end if notes else 0)
    nodes, diagnostics = read_nodes(source, start, end)
    rows = rows_of(nodes)
    if not rows or not _SIGNS.search(source.text, start, end):
        what = Diagnostic("E702", "there is no algorithm here", Span(source, start, start), help=_HELP)
        return Imported(None, None, (*diagnostics, what))
    box = write_box(source, rows, name or _name(source), doc, notes)
    found = [*diagnostics, *box.diagnostics]
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


def _extent(text: str, start: int) -> tuple[int, int]:
    """Where the first algorithm begins and ends; all of the text if no environment can be told."""
    begin = _BOX.search(text, start)
    if begin is None:
        return start, len(text)
    end = text.find(rf"\end{{{begin[1]}}}", begin.end())
    return begin.start(), len(text) if end < 0 else end


def _not_following(
    parsed: Iterable[Diagnostic], braces: Sequence[Diagnostic], formulas: Sequence[Diagnostic]
) -> Iterator[Diagnostic]:
    """What the parser says, but for what may follow from a mistake already reported: a brace, or one of the line."""
    lines = {d.span.source.line_column(d.span.start)[0] for d in formulas}
    for diagnostic in parsed if not braces else ():
        if diagnostic.span.source.line_column(diagnostic.span.start)[0] not in lines:
            yield diagnostic


def _name(source: Source) -> str:
    """The optimizer's name: of the caption, else of the file."""
    caption = _CAPTION.search(source.text)
    words = [] if source.name.startswith("<") else re.findall(r"[A-Za-z0-9]+", PurePath(source.name).stem)
    name = caption[1] if caption else "".join(word[0].upper() + word[1:] for word in words)
    return name[0].upper() + name[1:] if name[:1].isalpha() else "Imported"


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
