"""From any spelling to one: LaTeX and Unicode variants become the text that the grammar reads.

``\\beta_1``, ``β_1`` and ``β₁`` all become ``β_{1}`` or ``β_1``; ``\\frac{a}{b}`` becomes ``((a)/(b))``; hats become
combining characters; comments go. Every character keeps its way back to the original text, so that spans point there.
Strings and doc texts pass through as they are.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field

from lark import Token

from optdsl.source import Diagnostic, Fix, Source, Span
from optdsl.syntax import tokens
from optdsl.syntax.suggest import nearest
from optdsl.syntax.vocabulary import (
    ACCENT_NAMES,
    ACCENTS,
    CONFUSABLES,
    GREEK,
    IMPOSTORS,
    LATEX_ACCENTS,
    LATEX_SPACE,
    LATEX_SYMBOLS,
    LATEX_TEXT,
    SUBSCRIPTS,
    SUPERSCRIPTS,
)

_KNOWN = frozenset("∇√∏∑…←≤≥≠∈∞·⊙‖⌊⌋⌈⌉⊤" + "".join(GREEK.values()))
_MARKS = "\u0300-\u036f"
_SPECIAL = re.compile(
    rf'''
      (?P<docstring> """ (?: [\s\S]*? """ )? )
    | (?P<string>    " (?: [^"\\\r\n] | \\[^\r\n] )* "? )
    | (?P<comment>   \# [^\r\n]* )
    | (?P<doc>       -- [^\r\n]* )
    | (?P<newline>   \r\n? | \n )
    | (?P<ampersand> & )
    | (?P<latex>     \\ (?: [A-Za-z]+\*? | [\s\S]? ) )
    | (?P<brace>     [{{}}] )
    | (?P<sub>       [{"".join(SUBSCRIPTS)}]+ [{_MARKS}]* )
    | (?P<super>     [{"".join(SUPERSCRIPTS)}]+ )
    | (?P<cluster>   [ -~] [{_MARKS}]+ | [^\x00-\x7f] [{_MARKS}]* )
    | (?P<control>   [\x00-\x08\x0b\x0c\x0e-\x1f\x7f] )
    ''',
    re.VERBOSE,
)
_PLAIN = re.compile(r'["#\\{}\r\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|--|[^\x00-\x7f]')
_PLAIN_IN_CASES = re.compile(_PLAIN.pattern + r"|[&\n]")
_UPRIGHT = re.compile(r"\s*\{((?:[^{}\\\n]|\\_)*)\}")
_ACCENTED = re.compile(
    rf"\s*(\{{?)\s*(?:\\(?:{'|'.join(c[1:] for c in sorted(LATEX_TEXT))}){_UPRIGHT.pattern}"
    r"|(\\[A-Za-z]+|[A-Za-z]+|[^\x00-\x7f]))"
)
_CASES = re.compile(r"\s*\\(begin|end)\s*\{cases\}")
_GROUP = re.compile(r"\s*\{")
_SECTION = re.compile(r"\n(?=[ \t]*(?:input|initialize|for|return|optimizer|function|import|if|repeat)\b)")
_LATEX_COMMANDS = (*LATEX_SYMBOLS, *LATEX_SPACE, *LATEX_TEXT, *LATEX_ACCENTS, r"\frac", r"\sqrt", r"\begin", r"\end")


@dataclass(frozen=True)
class Spelled:
    """Canonical ``text`` of a source and the way back: piece ``i`` begins at ``starts[i]`` in the text and stands for
    ``source.text[originals[i][0]:originals[i][1]]``; it is a verbatim copy where ``verbatim[i]``.
    """

    source: Source
    text: str
    starts: tuple[int, ...]
    originals: tuple[tuple[int, int], ...]
    verbatim: tuple[bool, ...]
    comments: tuple[Span, ...]
    diagnostics: tuple[Diagnostic, ...]

    def span(self, start: int, end: int) -> Span:
        """The original characters behind ``text[start:end]``."""
        first = bisect_right(self.starts, start) - 1
        begin, stop = self.originals[first]
        if self.verbatim[first]:
            begin = min(begin + start - self.starts[first], stop)
        if end <= start:
            return Span(self.source, begin, begin)
        last = bisect_left(self.starts, end) - 1
        while last + 1 < len(self.starts) and self.starts[last + 1] == end and self._empty(last + 1):
            last += 1
        finish = self.originals[last][1]
        if self.verbatim[last]:
            finish = self.originals[last][0] + end - self.starts[last]
        return Span(self.source, begin, max(begin, finish))

    def of(self, token: Token) -> Span:
        """The original characters behind ``token``."""
        return self.span(tokens.start(token), tokens.end(token))

    def _empty(self, piece: int) -> bool:
        """Whether a piece stands for characters that the canonical text drops, such as a closing ``}``."""
        following = self.starts[piece + 1] if piece + 1 < len(self.starts) else len(self.text)
        begin, end = self.originals[piece]
        return following == self.starts[piece] and end == begin + 1 and self.source.text[begin] == "}"


@dataclass
class _Group:
    """An open brace: where it is, and what to write for the ``}`` that closes it."""

    kind: str
    offset: int


@dataclass
class _Speller:
    source: Source
    pieces: list[str] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    originals: list[tuple[int, int]] = field(default_factory=list)
    verbatim: list[bool] = field(default_factory=list)
    length: int = 0
    comments: list[Span] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    groups: list[_Group] = field(default_factory=list)
    in_cases: bool = False  # between \\begin{cases} and \\end{cases}

    def write(self, text: str, start: int, end: int, verbatim: bool = False) -> None:
        """Add ``text``, which stands for the original characters from ``start`` to ``end``."""
        self.pieces.append(text)
        self.starts.append(self.length)
        self.originals.append((start, end))
        self.verbatim.append(verbatim)
        self.length += len(text)

    def report(self, code: str, message: str, start: int, end: int, **more: object) -> None:
        self.diagnostics.append(Diagnostic(code, message, Span(self.source, start, end), **more))  # type: ignore[arg-type]

    def spell(self) -> Spelled:
        text = self.source.text
        at = 1 if text.startswith("\ufeff") else 0
        self.write("\n", at, at)
        while at < len(text):
            plain = (_PLAIN_IN_CASES if self.in_cases else _PLAIN).search(text, at)
            stop = plain.start() if plain else len(text)
            if plain and stop > at and "\u0300" <= text[stop] <= "\u036f" and " " <= text[stop - 1] <= "~":
                stop -= 1  # the mark belongs to the character before it
            if stop > at:
                self.write(text[at:stop], at, stop, verbatim=True)
            at = stop
            if plain:
                special = _SPECIAL.match(text, at)
                assert special is not None
                at = getattr(self, f"_{special.lastgroup}")(special)
        self.write("\n", len(text), len(text))
        return Spelled(
            self.source,
            "".join(self.pieces),
            tuple(self.starts),
            tuple(self.originals),
            tuple(self.verbatim),
            tuple(self.comments),
            tuple(self.diagnostics),
        )

    # ------------------------------------------------------------------ one method per group of _SPECIAL; each
    # writes what its match stands for and returns the offset to go on from

    def _docstring(self, match: re.Match[str]) -> int:
        start, end = match.span()
        text = match.group()
        if len(text) < 6:
            section = _SECTION.search(self.source.text, start)
            end = section.start() if section else len(self.source.text)
            self.report("E005", 'this `"""` is never closed', start, start + 3, help='end the text with `"""`')
            text = self.source.text[start:end].rstrip().rstrip('"') + '"""'
            if len(text) < 6:
                text = '""""""'
            self.write(text.replace("\r", ""), start, end)
            return end
        self.write(text, start, end, verbatim=True)
        return end

    def _string(self, match: re.Match[str]) -> int:
        start, end = match.span()
        text = match.group()
        if len(text) < 2 or not text.endswith('"'):
            self.report("E005", "this string is never closed", start, end, help='end it with `"` on the same line')
            self.write('""', start, end)
        else:
            self.write(text, start, end, verbatim=True)
        return end

    def _comment(self, match: re.Match[str]) -> int:
        self.comments.append(Span(self.source, *match.span()))
        return match.end()

    def _doc(self, match: re.Match[str]) -> int:
        self.write(match.group(), *match.span(), verbatim=True)
        return match.end()

    def _newline(self, match: re.Match[str]) -> int:
        self.write(" " if self.in_cases else "\n", *match.span())
        return match.end()

    def _ampersand(self, match: re.Match[str]) -> int:
        self.write(" ", *match.span())
        return match.end()

    def _control(self, match: re.Match[str]) -> int:
        return self._unreadable(match.start(), match.end())

    def _unreadable(self, start: int, end: int) -> int:
        text = self.source.text[start:end]
        name = unicodedata.name(text[0], "control character")
        code = " ".join(f"U+{ord(c):04X}" for c in text)
        self.report("E001", f"unexpected character {name} ({code})", start, end)
        self.write(" ", start, end)
        return end

    def _brace(self, match: re.Match[str]) -> int:
        start, end = match.span()
        if match.group() == "{":
            self.groups.append(_Group("plain", start))
            self.write("{", start, end)
            return end
        kind = self.groups.pop().kind if self.groups else "plain"
        if kind == "numerator":
            group = _GROUP.match(self.source.text, end)
            if group is None:
                self.report("E006", r"`\frac` needs two groups: `\frac{a}{b}`", start, end)
                self.write(")", start, end)
                self.write(")", end, end)
                return end
            self.groups.append(_Group("closing", start))
            self.write(")", start, end)
            self.write("/", end, group.end() - 1)
            self.write("(", group.end() - 1, group.end())
            return group.end()
        self.write({"closing": ")", "glue": ""}.get(kind, "}"), start, end)
        if kind == "closing":
            self.write(")", end, end)
        return end

    def _sub(self, match: re.Match[str]) -> int:
        text = match.group()
        script = "".join(SUBSCRIPTS.get(c, "") for c in text)
        marks = "".join(c for c in text if c not in SUBSCRIPTS)
        self.write(f"{marks}_{{{script}}}", *match.span())
        return match.end()

    def _super(self, match: re.Match[str]) -> int:
        self.write("^{" + "".join(SUPERSCRIPTS[c] for c in match.group()) + "}", *match.span())
        return match.end()

    def _cluster(self, match: re.Match[str]) -> int:
        start, end = match.span()
        text = unicodedata.normalize("NFC", match.group())
        if len(text) == 1:
            text = CONFUSABLES.get(text, text)
            if text in _KNOWN or text.isascii():
                self.write(text, start, end)
                return end
            if text in IMPOSTORS:
                return self._impostor(text, start, end)
        apart = unicodedata.normalize("NFD", text)
        base, marks = CONFUSABLES.get(apart[0], apart[0]), apart[1:]
        if marks in ACCENT_NAMES and (base in _KNOWN or base.isascii()) and base.isalpha():
            self.write(base + marks, start, end)
            return end
        return self._unreadable(start, end)

    def _impostor(self, character: str, start: int, end: int) -> int:
        meant = IMPOSTORS[character]
        self.report(
            "E002",
            f"{unicodedata.name(character)} (U+{ord(character):04X}) only looks like `{meant}`",
            start,
            end,
            help=f"type the ASCII character `{meant}`",
            fix=Fix(Span(self.source, start, end), meant),
        )
        self.write(" " if meant == '"' else meant, start, end)
        return end

    def _latex(self, match: re.Match[str]) -> int:
        start, end = match.span()
        command = match.group()
        source = self.source.text
        if cases := _CASES.match(source, start):
            opens = cases[1] == "begin"
            self.in_cases = opens
            self.write("{ " if opens else " ", start, cases.end())
            return cases.end()
        if self.in_cases and command == r"\\":
            self.write(" " if _CASES.match(source, end) else " { ", start, end)
        elif command in LATEX_SYMBOLS:
            self._command(LATEX_SYMBOLS[command], start, end)
        elif command in LATEX_SPACE:
            self.write(" ", start, end)
        elif command.rstrip("*") in LATEX_TEXT and (group := _UPRIGHT.match(source, end)):
            self._command(group[1].replace(r"\_", "_"), start, group.end())
            return group.end()
        elif command in LATEX_ACCENTS and (accented := _ACCENTED.match(source, end)):
            return self._accent(command, accented, start)
        elif command in (r"\frac", r"\dfrac", r"\tfrac") and (group := _GROUP.match(source, end)):
            self.groups.append(_Group("numerator", start))
            self._command("(", start, group.end() - 1)
            self.write("(", group.end() - 1, group.end())
            return group.end()
        elif command == r"\sqrt" and (group := _GROUP.match(source, end)):
            self.groups.append(_Group("closing", start))
            self._command("(√", start, group.end() - 1)
            self.write("(", group.end() - 1, group.end())
            return group.end()
        elif command == r"\sqrt":
            self._command("√", start, end)
        else:
            self._unknown_command(command, start, end)
        return end

    def _command(self, text: str, start: int, end: int) -> None:
        """Write what a command stands for; a backslash parts it from a letter or digit before it."""
        if text[:1].isalnum() and self.pieces and self.pieces[-1][-1:].isalnum():
            self.write(" ", start, start)
        self.write(text, start, end)

    def _accent(self, command: str, match: re.Match[str], start: int) -> int:
        opening, word, base = match.groups()
        letter = word.replace(r"\_", "_") if word else LATEX_SYMBOLS.get(base, base)
        letter = GREEK.get(letter, CONFUSABLES.get(letter, letter))
        accent = LATEX_ACCENTS[command]
        if opening:
            self.groups.append(_Group("glue", start))
        if len(letter) == 1 and letter.isalpha():
            self._command(letter + ACCENTS[accent], start, match.end())
        elif letter.isascii() and letter.replace("_", "").isalnum():
            self._command(f"{letter}_{accent}", start, match.end())
        else:
            self.report("E006", f"`{command}` needs one letter to stand on", start, match.end())
        return match.end()

    def _unknown_command(self, command: str, start: int, end: int) -> None:
        if command == "\\":
            self.report("E001", "unexpected character `\\`", start, end)
        elif (
            command in (r"\frac", r"\dfrac", r"\tfrac") or command.rstrip("*") in LATEX_TEXT or command in LATEX_ACCENTS
        ):
            shape = "{a}{b}" if "frac" in command else "{x}"
            self.report("E006", f"`{command}` needs its argument in braces: `{command}{shape}`", start, end)
        else:
            near = nearest(command, _LATEX_COMMANDS)
            fix = Fix(Span(self.source, start, end), near) if near else None
            help_ = f"did you mean `{near}`?" if near else ""
            self.report("E004", f"unknown LaTeX command `{command}`", start, end, help=help_, fix=fix)
        self.write(" ", start, end)


def spell(source: Source) -> Spelled:
    """The canonical text of ``source``, with a line break before and after it."""
    return _Speller(source).spell()
