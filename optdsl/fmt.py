"""The formatter: a spec in its one canonical form, comments and blank lines between groups kept.

The text is :func:`~optdsl.syntax.printer.unparse` of the tree. Where each comment goes follows from reading that text
again: its tree equals the tree of the original, so that each line of the one has its twin in the other. A comment on
a line of its own goes before the twin of the line below it, or, where it is indented deeper than that, behind the twin
of the line above; a comment behind code stays behind its twin.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise

from optdsl.source import Diagnostic, Source, Span
from optdsl.syntax import ast, parse
from optdsl.syntax.notation import UNICODE, Notation
from optdsl.syntax.printer import columns, unparse
from optdsl.syntax.spelling import spell

Key = tuple[str | int, ...]
"""Where in the tree a line comes from: the fields and places that lead to its node, or to the header of a block."""

GAP = 4
"""Columns between code and the comment behind it."""

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_FIRST_WORD = re.compile(r'"""|\*|[A-Za-z]+')


@dataclass(frozen=True)
class Formatted:
    """The canonical ``text`` of a source; None where it cannot be parsed, and ``diagnostics`` say why."""

    text: str | None
    diagnostics: tuple[Diagnostic, ...]


def format_source(source: Source, notation: Notation = UNICODE) -> Formatted:
    """``source`` in canonical form: the same tree and the same comments. Formatting the result changes nothing."""
    source = Source(source.name, source.text.replace("\r\n", "\n").replace("\r", "\n"))
    parsed = parse(source)
    if parsed.module is None:
        return Formatted(None, parsed.diagnostics)
    text = unicodedata.normalize("NFC", unparse(parsed.module, notation))
    again = Source(source.name, text)
    module = parse(again).module
    assert module == parsed.module, "the canonical text does not read as the same tree"
    return Formatted(_with_comments(source, parsed.module, parsed.comments, again, module), parsed.diagnostics)


# ------------------------------------------------------------------------------------------- the lines of a tree


@dataclass(frozen=True)
class _Line:
    """A physical line with code: where its code begins and ends in the source, and its indentation in columns."""

    start: int
    end: int
    indent: int


class _Lines:
    """The lines of a source that hold code; comments, blank lines and the inside of doc strings are left out."""

    def __init__(self, source: Source):
        spelled = spell(source)
        self.lines: list[_Line] = []
        self.words: list[str] = []
        inside = False  # of a doc string
        offset = 0
        for text in spelled.text.split("\n"):
            stripped = text.strip()
            was_inside = inside
            inside ^= text.count('"""') % 2 == 1
            if stripped and not was_inside:
                first = offset + text.index(stripped)
                span = spelled.span(first, first + len(stripped))
                word = _FIRST_WORD.match(stripped)
                self.lines.append(_Line(span.start, span.end, _indent(source, span.start)))
                self.words.append(word.group() if word else "")
            offset += len(text) + 1

    def at(self, offset: int) -> int:
        """Number of the line that ``offset`` lies in: the last that begins at or before it."""
        return max((i for i, line in enumerate(self.lines) if line.start <= offset), default=0)

    def header(self, word: str, before: int) -> int:
        """Number of the last line at or above line ``before`` that begins with ``word``."""
        return max(i for i in range(before + 1) if self.words[i] == word)


def _indent(source: Source, offset: int) -> int:
    line, column = source.line_column(offset)
    return len(source.line(line)[: column - 1].expandtabs(8))


def _keys(module: ast.Module, lines: _Lines) -> dict[Key, int]:
    """The line of every declaration, statement and header in the tree of ``module``."""
    keys: dict[Key, int] = {}

    def add(key: Key, span: Span) -> int:
        keys[key] = lines.at(span.start)
        return keys[key]

    def header(key: Key, word: str, below: int) -> None:
        keys[key] = lines.header(word, below)

    def block(body: Sequence[ast.Stmt], key: Key) -> None:
        for i, stmt in enumerate(body):
            statement(stmt, (*key, i))

    def statement(stmt: ast.Stmt, key: Key) -> None:
        add(key, stmt.span)
        match stmt:
            case ast.Assign(value=ast.Cases(cases)):
                for i, case in enumerate(cases):
                    add((*key, "case", i), case.span)
            case ast.If(branches, orelse):
                for i, branch in enumerate(branches):
                    add((*key, "branch", i), branch.condition.span)
                    block(branch.body, (*key, "branch", i))
                if orelse:
                    header((*key, "else"), "else", lines.at(orelse[0].span.start) - 1)
                    block(orelse, (*key, "else"))
            case ast.Loop(body=body):
                block(body, key)

    def declared(node: ast.Transform | ast.Optimizer, key: Key) -> None:
        first = add(key, node.span)
        if node.doc:
            keys[*key, "doc"] = min(i for i in range(first, len(lines.lines)) if lines.words[i] == '"""')
        for i, declaration in enumerate(node.inputs):
            at = add((*key, "input", i), declaration.span)
            if not i:
                header((*key, "input"), "input", at)
            if declaration.keyword_only and not (i and node.inputs[i - 1].keyword_only):
                header((*key, "input", "star"), "*", at)
        for i, state in enumerate(node.states):
            at = add((*key, "initialize", i), state.span)
            if not i:
                header((*key, "initialize"), "initialize", at)
        for i, edit in enumerate(node.edits):
            add((*key, "edit", i), edit.span)
            block(edit.body, (*key, "edit", i))

    def optimizer(node: ast.Optimizer, key: Key) -> None:
        declared(node, key)
        if node.body:
            header((*key, "step"), "for", lines.at(node.body[0].span.start) - 1)
            block(node.body, (*key, "step"))
        if node.returns is not None:
            add((*key, "return"), node.returns.span)

    for i, import_ in enumerate(module.imports):
        add(("import", i), import_.span)
    for i, function in enumerate(module.functions):
        first = add(("function", i), function.span)
        if function.doc:
            keys["function", i, "doc"] = min(j for j in range(first, len(lines.lines)) if lines.words[j] == '"""')
        block(function.body, ("function", i))
    for i, transform in enumerate(module.transforms):
        declared(transform, ("transform", i))
    for i, node in enumerate(module.optimizers):
        optimizer(node, ("optimizer", i))
    return keys


# ------------------------------------------------------------------------------------------------------- comments


@dataclass
class _Around:
    """What goes around one line of the canonical text.

    A comment ``before`` or ``after`` the line comes with whether an empty line is above it, one ``inside`` its
    statement with whether it stands behind code. The last one that does stays there; the others go above the line.
    """

    blank: bool = False
    before: list[tuple[bool, str]] = field(default_factory=list)
    inside: list[tuple[bool, str]] = field(default_factory=list)
    after: list[tuple[bool, int, str]] = field(default_factory=list)


class _Commenter:
    """Carries the comments and the empty lines of ``source`` over to its canonical text ``again``."""

    def __init__(self, source: Source, module: ast.Module, again: Source, twin: ast.Module):
        self.source = source
        self.old = _Lines(source)
        self.code = again.text.removesuffix("\n").split("\n")
        lines = _Lines(again)
        old, new = _keys(module, self.old), _keys(twin, lines)
        numbers = [again.line_column(line.start)[0] - 1 for line in lines.lines]
        self.first: dict[int, int] = {}  # line of the original → line of the canonical text
        self.last: dict[int, int] = {}
        for key in old:
            self.first.setdefault(old[key], numbers[new[key]])
            self.last[old[key]] = numbers[new[key]]
        self.known = sorted(self.first)
        heads = sorted({numbers[line] for line in new.values()})
        self.ends = {head: self._end(following) for head, following in pairwise((*heads, len(self.code)))}
        self.around = [_Around() for _ in self.code]

    def _end(self, following: int) -> int:
        """The last line with text before line ``following``."""
        return max(i for i in range(following) if self.code[i])

    def keep_blank_lines(self) -> None:
        """Between two lines that the original sets apart."""
        seen: set[int] = set()
        for line in self.known:
            number = self.first[line]
            if number not in seen and not self.code[number].lstrip().startswith(("else", "{", r"\{")):
                self.around[number].blank = self._is_below_blank(self.old.lines[line].start)
            seen.add(number)

    def place(self, comment: Span) -> None:
        """Find the line that ``comment`` belongs to."""
        above = [line for line in self.known if self.old.lines[line].start < comment.start]
        below = next((line for line in self.known if self.old.lines[line].start > comment.start), None)
        text = comment.text.rstrip()
        start = self.source.line_starts[self.source.line_column(comment.start)[0] - 1]
        if self.source.text[start : comment.start].strip():
            self._behind(self.last[above[-1]], text)
        elif above and self._goes_on(above[-1], comment.start):
            self.around[self.first[above[-1]]].inside.append((False, text))
        else:
            blank = self._is_below_blank(comment.start)
            owner = self._owner(above, _indent(self.source, comment.start))
            if below is not None and (owner is None or self._opens(above[-1], below) or not self._within(owner, below)):
                around = self.around[self.first[below]]
                if self.first[below] in map(self.first.get, above):  # lines that become one
                    around.inside.append((False, text))
                else:
                    around.before.append((blank, text))
            else:
                depth = 0 if owner is None else _blanks(self.code[self.last[owner]])
                self.around[self.ends[self.last[above[-1]]]].after.append((blank, depth, text))

    def _behind(self, number: int, text: str) -> None:
        """Put a comment behind line ``number``, or behind its last one where a text takes all of it."""
        code, end = self.code[number], self.ends[number]
        if code.lstrip().startswith('"""') or (_has_doc(code) and end > number):
            number = end
        self.around[number].inside.append((not _has_doc(self.code[number]), text))

    def _goes_on(self, line: int, offset: int) -> bool:
        """Whether the statement of ``line`` goes on behind ``offset``."""
        following = next((i for i, other in enumerate(self.old.lines) if other.start > offset), None)
        return offset < self.old.lines[line].end or (following is not None and following not in self.first)

    def _owner(self, above: Sequence[int], indent: int) -> int | None:
        """The innermost line around the last of ``above``, or that line itself, not indented deeper than ``indent``."""
        deepest = None
        for line in reversed(above):
            own = self.old.lines[line].indent
            if deepest is None or own < deepest:
                deepest = own
                if own <= indent:
                    return line
        return None

    def _opens(self, line: int, below: int) -> bool:
        return self.old.lines[below].indent > self.old.lines[line].indent

    def _within(self, owner: int, below: int) -> bool:
        """Whether the block that ``owner`` lies in ends before line ``below``."""
        return self.old.lines[owner].indent > self.old.lines[below].indent

    def _is_below_blank(self, offset: int) -> bool:
        line = self.source.line_column(offset)[0]
        return line > 1 and not self.source.line(line - 1).strip()

    def text(self) -> str:
        """The canonical text with everything that was placed."""
        out: list[tuple[str, str]] = []
        for number, code in enumerate(self.code):
            around = self.around[number]
            indent = " " * _blanks(code)
            behind = max((i for i, (is_behind, _) in enumerate(around.inside) if is_behind), default=None)
            inside = [comment for i, (_, comment) in enumerate(around.inside) if i != behind]
            for blank, comment in around.before:
                _add(out, indent + comment, blank)
            for i, comment in enumerate(inside):
                _add(out, indent + comment, around.blank and not i)
            _add(out, code, around.blank and not inside, "" if behind is None else around.inside[behind][1])
            for blank, depth, comment in around.after:
                _add(out, " " * depth + comment, blank)
        return "".join(f"{line}\n" for line in _aligned(out))


def _with_comments(
    source: Source, module: ast.Module, comments: Sequence[Span], again: Source, twin: ast.Module
) -> str:
    commenter = _Commenter(source, module, again, twin)
    commenter.keep_blank_lines()
    for comment in comments:
        commenter.place(comment)
    return commenter.text()


def _add(out: list[tuple[str, str]], line: str, blank: bool, comment: str = "") -> None:
    """One more line; an empty one before it, unless there is one or the line before opens the block."""
    if blank and out and out[-1][0] and _blanks(line) <= _blanks(out[-1][0]):
        out.append(("", ""))
    out.append((line, comment))


def _blanks(line: str) -> int:
    return len(line) - len(line.lstrip())


def _has_doc(line: str) -> bool:
    """Whether a line of code ends in a ``--`` text, behind which nothing can stand."""
    return "--" in _STRING.sub("", line)


def _aligned(lines: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Code with the comments behind it; those of one block, in lines that follow each other, are aligned."""
    for (commented, _), group in groupby(lines, key=lambda line: (bool(line[1]), _blanks(line[0]))):
        run = list(group)
        width = max(columns(code) for code, _ in run) + GAP
        for code, comment in run:
            yield code + " " * (width - columns(code)) + comment if commented else code
