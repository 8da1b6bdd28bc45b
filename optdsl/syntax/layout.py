"""Layout: from raw tokens to the tokens of the grammar.

Line breaks become ``_NL``, ``_INDENT`` and ``_DEDENT``, or nothing where a line goes on: inside brackets, before a
further ``{`` of a brace, and before a deeper line that opens with an operator, ``where`` or ``--``. Bars are told
apart as opening or closing, names of functions become ``CALLEE``, and the ``(`` of a state's key ``KEY_OPEN``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lark import Token

from optdsl.source import Diagnostic, Fix, Label, Span
from optdsl.syntax import tokens
from optdsl.syntax.spelling import Spelled
from optdsl.syntax.vocabulary import FUNCTIONS, RESERVED

MAX_DEPTH = 40
"""How deep brackets and blocks may be nested."""

TAB_WIDTH = 8
"""How many columns a tab reaches to, at most."""

ALWAYS_ACCEPTED = ("_NL", "BAR", "DBAR", "LPAR", "NAME")
"""Raw tokens that the lexer passes on in every state; layout decides what they mean."""

_DEFINED = re.compile(r"^[ \t]*(?:function[ \t]+(\w+)|import[ \t]+([\w, \t]+?)[ \t]+from\b)", re.MULTILINE)
_CONTINUES = re.compile(r"(?:[+/·⊙*@^≤≥<>=≠)\]},;⌋⌉‖-]|(?:and|or|where)\b)")
_KEY = re.compile(r"\(\s*[A-Za-z_]\w*(?:\s*,\s*[A-Za-z_]\w*)*\s*\)\s*(?:$|\n|:|--|if\b|otherwise\b|at\b)", re.MULTILINE)
_CLOSERS = {"RPAR": "LPAR", "RBRACE": "LBRACE", "RFLOOR": "LFLOOR", "RCEIL": "LCEIL"}
_WORDS = frozenset({"NAME", "NUMBER", "CALLEE", "IDENT"})
_VALUE_ENDS = frozenset(
    "NAME NUMBER RPAR RBRACE RBAR RDBAR RFLOOR RCEIL TRANSPOSE TRUE FALSE NONE STRING ROWS COLS ALL PARAMETERS".split()
)


class LayoutError(Exception):
    """The logical line cannot be read on: ``diagnostic`` says why."""

    def __init__(self, diagnostic: Diagnostic):
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


def defined_functions(text: str) -> frozenset[str]:
    """Names that ``text`` defines with ``function`` or imports."""
    names: set[str] = set()
    for match in _DEFINED.finditer(text):
        names.update(re.findall(r"\w+", match[1] or match[2]))
    return frozenset(names)


class Layout:
    """The layout state of one parse. ``diagnostics`` grows with mistakes that do not stop it."""

    def __init__(self, spelled: Spelled):
        self.spelled = spelled
        self.text = spelled.text
        self.functions = FUNCTIONS | defined_functions(spelled.text)
        self.diagnostics: list[Diagnostic] = []
        self.indents = [0]
        self.indent = 0  # of the current logical line
        self.brackets: list[Token] = []
        self.cases = False  # the current line has a brace of cases
        self.line: list[Token] = []  # tokens of the current logical line
        self.initialize: int | None = None  # indentation of the `initialize:` whose block we are in
        self.odd: dict[int, int] = {}  # widths that no block has, and the indentation they are taken for
        self.indentation = ""  # the character that this file indents with

    def feed(self, raw: Token) -> Iterator[Token]:
        """The grammar's tokens for one raw token.

        Raises:
            LayoutError: a bracket is closed that was not opened, or the line ends inside one.
        """
        if raw.type == "_NL":
            yield from self._line_break(raw)
            return
        token = self._classify(raw)
        self._check_apart(token)
        for part in self._bracket(token):
            self.line.append(part)
            yield part

    def finish(self, last: Token) -> Iterator[Token]:
        """The tokens that close every open block at the end of the file."""
        while len(self.indents) > 1:
            self.indents.pop()
            yield tokens.make("_DEDENT", "", tokens.end(last))

    def leave_block(self) -> int:
        """Forget the block that was just opened; the indentation of the one around it."""
        if len(self.indents) > 1:
            self.indents.pop()
        self.indent = self.indents[-1]
        return self.indent

    # ------------------------------------------------------------------------------------------------ within a line

    def _classify(self, raw: Token) -> Token:
        kind = raw.type
        if kind == "NAME" and raw.value in self.functions:
            kind = "CALLEE"
        elif kind == "NAME" and raw.value in RESERVED:
            kind = {"in": "_IN"}.get(raw.value, raw.value.upper())
        elif kind == "LPAR" and self._opens_key(raw):
            kind = "KEY_OPEN"
        if kind == "INITIALIZE" and not self.line:
            self.initialize = self.indent
        return raw if kind == raw.type else tokens.retyped(kind, raw)

    def _opens_key(self, raw: Token) -> bool:
        """Whether the bracket ``raw`` holds the keys of a state."""
        behind = bool(self.line) and self.line[-1].type != "CALLEE"
        return self.initialize is not None and behind and _KEY.match(self.text, tokens.start(raw)) is not None

    def _check_apart(self, token: Token) -> None:
        """Two names or numbers that touch were perhaps meant as one, perhaps as two."""
        last = self.line[-1] if self.line else None
        if last is None or last.end_pos != token.start_pos:
            return
        if last.type in _WORDS and (token.type in _WORDS or token.value.isalpha()):
            span = self.spelled.of(last).to(self.spelled.of(token))
            first = self.spelled.of(last)
            second = self.spelled.of(token)
            apart = f"{first.text} {second.text}"
            difference = last == "Δ"  # one name on paper
            help_ = f"put a space between the factors of a product: `{apart}`"
            if difference:
                help_ = f"write one name as `Δ_{second.text}`, a product as `{apart}`"
            fix = None if difference else Fix(span, apart)
            message = f"`{span.text}` runs two terms together"
            self.diagnostics.append(Diagnostic("E011", message, span, help=help_, fix=fix))

    def _bracket(self, token: Token) -> Iterator[Token]:
        kind = token.type
        if kind in ("BAR", "DBAR"):
            yield from self._bar(token)
        elif kind in ("LPAR", "KEY_OPEN", "POWER_BRACE", "LFLOOR", "LCEIL"):
            self._open(token)
            yield token
        elif kind == "LBRACE":
            if self.line and self.line[-1].type == "_IN":
                self._open(token)
            else:
                self.cases = True
            yield token
        elif kind in _CLOSERS:
            self._close(token)
            yield token
        else:
            yield token

    def _open(self, token: Token) -> None:
        self.brackets.append(token)
        if len(self.brackets) > MAX_DEPTH:
            span = self.spelled.of(token)
            raise LayoutError(
                Diagnostic("E008", f"brackets are nested more than {MAX_DEPTH} deep", span, help="name the parts")
            )

    def _close(self, token: Token) -> None:
        opener = self.brackets[-1] if self.brackets else None
        span = self.spelled.of(token)
        if opener is None:
            raise LayoutError(Diagnostic("E007", f"this `{span.text}` closes nothing", span))
        wanted = _CLOSERS[token.type]
        same = {"KEY_OPEN": "LPAR", "POWER_BRACE": "LBRACE"}.get(opener.type, opener.type)
        if same != wanted:
            begin = self.spelled.of(opener)
            raise LayoutError(
                Diagnostic(
                    "E007",
                    f"`{span.text}` does not close `{begin.text}`",
                    span,
                    labels=(Label(begin, "opened here"),),
                )
            )
        self.brackets.pop()

    def _bar(self, token: Token) -> Iterator[Token]:
        """A bar behind a value closes the bar that was opened last in the same brackets; any other opens one."""
        top = self.brackets[-1].type if self.brackets else ""
        behind_value = bool(self.line) and self.line[-1].type in _VALUE_ENDS
        if token.value == "||" and top == "LBAR" and behind_value:
            middle = tokens.start(token) + 1
            yield from self._bar(tokens.make("BAR", "|", middle - 1, middle))
            yield from self._bar(tokens.make("BAR", "|", middle, middle + 1))
            return
        left, right = ("LBAR", "RBAR") if token.type == "BAR" else ("LDBAR", "RDBAR")
        if top == left and behind_value:
            self.brackets.pop()
            yield tokens.retyped(right, token)
        else:
            opened = tokens.retyped(left, token)
            self._open(opened)
            yield opened

    # -------------------------------------------------------------------------------------------------- line breaks

    def _line_break(self, raw: Token) -> Iterator[Token]:
        blanks = raw.value.rpartition("\n")[2]
        indent = len(blanks.expandtabs(TAB_WIDTH))
        rest = tokens.end(raw)
        ends = rest >= len(self.text)
        if ends:
            indent = 0
        if self.line:
            if not ends and indent > self.indent and self._goes_on(rest):
                return
            if self.brackets:
                raise self._unclosed()
            yield raw
        self._begin_line()
        if not ends:
            self._check_blanks(raw, blanks)
            yield from self._indentation(rest, indent)

    def _goes_on(self, rest: int) -> bool:
        if self.brackets:
            return True
        if self.line[-1].type in ("COLON", "DO"):
            return False
        if self.text[rest] == "{" and self.cases:
            return True
        return _CONTINUES.match(self.text, rest) is not None

    def _begin_line(self) -> None:
        self.line = []
        self.brackets = []
        self.cases = False

    def _unclosed(self) -> LayoutError:
        opener = self.brackets[-1]
        span = self.spelled.of(opener)
        return LayoutError(Diagnostic("E007", f"this `{span.text}` is never closed", span))

    def _check_blanks(self, raw: Token, blanks: str) -> None:
        kinds = set(blanks)
        if not self.indentation and len(kinds) == 1:
            self.indentation = blanks[0]
        if kinds - {self.indentation or " "}:
            span = self.spelled.span(tokens.end(raw) - len(blanks), tokens.end(raw))
            self.diagnostics.append(
                Diagnostic(
                    "E009",
                    "this line mixes tabs and spaces in its indentation",
                    span,
                    note="the lines above are indented with " + ("tabs" if self.indentation == "\t" else "spaces"),
                    help="indent with four spaces",
                    fix=self._reindented(span),
                )
            )

    def _reindented(self, blanks: Span) -> Fix | None:
        """``blanks`` in the character that this file indents with, a tab for four spaces; None where that comes out
        uneven.
        """
        width = len(blanks.text.expandtabs(4))
        if self.indentation != "\t":
            return Fix(blanks, " " * width)
        return None if width % 4 else Fix(blanks, "\t" * (width // 4))

    def _indentation(self, at: int, indent: int) -> Iterator[Token]:
        """The tokens that open or close blocks before the line whose text begins at offset ``at``."""
        indent = self._level(at, indent)
        if self.initialize is not None and indent <= self.initialize:
            self.initialize = None
        self.indent = indent
        if indent > self.indents[-1]:
            self.indents.append(indent)
            if len(self.indents) > MAX_DEPTH:
                span = self.spelled.span(at, at)
                raise LayoutError(Diagnostic("E008", f"blocks are nested more than {MAX_DEPTH} deep", span))
            yield tokens.make("_INDENT", "", at)
        while indent < self.indents[-1]:
            closed = self.indents.pop()
            self.odd = {width: level for width, level in self.odd.items() if level != closed}
            yield tokens.make("_DEDENT", "", at)

    def _level(self, at: int, indent: int) -> int:
        """``indent``, or where no open block is indented so but deeper ones are, that of the nearest block."""
        if indent > self.indents[-1] or indent in self.indents:
            return indent
        if indent not in self.odd:
            nearest = min(reversed(self.indents), key=lambda level: abs(level - indent))
            self.odd[indent] = nearest
            width = f"{nearest} spaces" if self.indentation != "\t" else f"{nearest // TAB_WIDTH} tabs"
            line = self.text[at : self.text.index("\n", at)].rstrip()
            self.diagnostics.append(
                Diagnostic(
                    "E010",
                    "this line is indented like no block above it",
                    self.spelled.span(at, at + len(line)),
                    help=f"the nearest block is indented by {width}",
                )
            )
        return self.odd[indent]
