"""From text to syntax tree: spelling, then the grammar with its layout, then the builder.

A mistake does not end the parse. Where one token is missing or wrong the parser goes on with the right one; otherwise
it forgets the line (of a header, all but its keyword, so that the block below is still read) and goes on with the
next.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lark import Token, Tree
from lark.exceptions import UnexpectedCharacters, UnexpectedToken
from lark.parsers.lalr_parser_state import ParserState

from optdsl.source import Diagnostic, Source, Span
from optdsl.syntax import ast, grammar, tokens
from optdsl.syntax.build import Builder
from optdsl.syntax.errors import Mistake, double_equals, explain, explain_character
from optdsl.syntax.layout import TAB_WIDTH, Layout, LayoutError
from optdsl.syntax.spelling import spell
from optdsl.syntax.suggest import nearest


@dataclass(frozen=True)
class Parsed:
    """What a source says. ``module`` is None where there is a syntax error; ``comments`` lie between the tokens.

    ``repaired`` is then the module with what should stand in place of each mistake, for further mistakes to be looked
    for; None where something had to be left out.
    """

    module: ast.Module | None
    diagnostics: tuple[Diagnostic, ...]
    comments: tuple[Span, ...] = ()
    repaired: ast.Module | None = None


def parse(source: Source) -> Parsed:
    """Parse one ``.opt`` file. Never raises: every mistake is a diagnostic, in the order of the text."""
    reading = _Reading(source)
    tree = reading.run()
    builder = Builder(reading.spelled)
    module = builder.transform(tree) if tree is not None else None
    built = (d for d in builder.diagnostics if d.span.source.line_column(d.span.start)[0] not in reading.unreadable)
    found = (*reading.spelled.diagnostics, *reading.layout.diagnostics, *reading.diagnostics, *built)
    if not found and module == ast.Module((), (), ()):
        found = (Diagnostic("E003", "this file is empty", Span(source, 0, 0), help="begin with `optimizer NAME:`"),)
    unique = dict.fromkeys(sorted(found, key=lambda d: (d.span.start, d.span.end, d.code)))
    if not found:
        return Parsed(module, (), reading.spelled.comments)
    whole = not (reading.lost or reading.spelled.diagnostics or reading.layout.diagnostics)
    return Parsed(None, tuple(unique), reading.spelled.comments, module if whole else None)


_STAND_INS = {
    "optimizer": (("OPTIMIZER", "optimizer"), ("IDENT", "X"), ("COLON", ":")),
    "function": (
        ("FUNCTION", "function"),
        ("IDENT", "F"),
        ("LPAR", "("),
        ("NAME", "x"),
        ("RPAR", ")"),
        ("COLON", ":"),
    ),
    "transform": (("TRANSFORM", "transform"), ("IDENT", "X"), ("COLON", ":")),
    "replace": (("REPLACE", "replace"), ("NAME", "x"), ("COLON", ":")),
    "before": (("BEFORE", "before"), ("NAME", "x"), ("COLON", ":")),
    "after": (("AFTER", "after"), ("NAME", "x"), ("COLON", ":")),
    "gradient": (("GRADIENT", "gradient"), ("NAME", "g"), ("COLON", ":")),
    "update": (("UPDATE", "update"), ("NAME", "u"), ("COLON", ":")),
    "input": (("INPUT", "input"), ("COLON", ":")),
    "initialize": (("INITIALIZE", "initialize"), ("COLON", ":")),
    "if": (("IF", "if"), ("TRUE", "true")),
    "else if": (("ELSE", "else"), ("IF", "if"), ("TRUE", "true")),
    "else": (("ELSE", "else"),),
    "repeat": (("REPEAT", "repeat"), ("NUMBER", "1"), ("TIMES", "times")),
    "while": (("WHILE", "while"), ("TRUE", "true")),
    "for": (
        ("FOR", "for"),
        ("NAME", "t"),
        ("_EQUAL", "="),
        ("NUMBER", "1"),
        ("TO", "to"),
        ("ELLIPSIS", "…"),
        ("DO", "do"),
    ),
}
"""What a header that cannot be read is taken for, by its first word, so that its block is read."""

_FIRST_WORD = re.compile(r"(?:else[ \t]+if|elif|elseif|[A-Za-z]+)(?![A-Za-z0-9_])")
_SAME_HEADER = {"elif": "else if", "elseif": "else if", "def": "function", "class": "optimizer"}


class _Abandon(Exception):
    """The current line cannot be repaired."""


class _Stacks:
    """The stacks of the parser at one moment, to go back to.

    Lark lets lists grow in place when it reduces them, so their lengths are kept too.
    """

    def __init__(self, state: ParserState[Any]):
        self._states = list(state.state_stack)
        self._values = list(state.value_stack)
        self._lengths = [len(value.children) if isinstance(value, Tree) else 0 for value in self._values]

    def restore(self, state: ParserState[Any]) -> None:
        for value, length in zip(self._values, self._lengths, strict=True):
            if isinstance(value, Tree):
                del value.children[length:]
        state.state_stack[:], state.value_stack[:] = self._states, self._values


class _Reading:
    """One run of the parser over a source, with its recovery from mistakes."""

    def __init__(self, source: Source):
        self.spelled = spell(source)
        self.layout = Layout(self.spelled)
        self.diagnostics: list[Diagnostic] = []
        self.parser = grammar.parser().parse_interactive(self.spelled.text)
        self.state = self.parser.parser_state
        self.tree: Tree[Any] | None = None
        self.line_start = _Stacks(self.state)
        self.faulty = {self._line(d.span) for d in self.spelled.diagnostics}
        self.unreadable: set[int] = set()  # lines of which a character was left out
        self.misplaced = -1  # the last line that stood in no place of its kind
        self.lost = False  # whether something could not be read

    def run(self) -> Tree[Any] | None:
        """The parse tree, of what could be read where there are mistakes."""
        while True:
            raw: Token | None = None
            try:
                for raw in self.parser.lexer_thread.lex(self.state):
                    for token in self.layout.feed(raw):
                        self._feed(token)
                    if raw.type == "_NL":
                        self.line_start = _Stacks(self.state)
                break
            except LayoutError as error:
                self._report(error.diagnostic)
                self._abandon(raw)
            except _Abandon:
                self._abandon(raw)
            except UnexpectedToken as error:  # the lexer found a token that fits nowhere here
                self._read_on(error.token)
            except UnexpectedCharacters as error:
                self._skip_character(error.pos_in_stream or 0)
        return self._end()

    def _end(self) -> Tree[Any] | None:
        last = tokens.make("_NL", "", len(self.spelled.text))
        try:
            for token in (*self.layout.finish(last), tokens.retyped("$END", last)):
                self._feed(token)
        except _Abandon:
            self.lost = True
            return None
        return self.tree

    # ------------------------------------------------------------------------------------------------------ mistakes

    def _read_on(self, raw: Token) -> None:
        """Feed a token that the lexer would not pass on in this state."""
        try:
            for token in self.layout.feed(raw):
                self._feed(token)
        except LayoutError as error:
            self._report(error.diagnostic)
            self._abandon(raw)
        except _Abandon:
            self._abandon(raw)

    def _shift(self, token: Token) -> None:
        """Feed ``token`` to the parser; after the last one the tree is there."""
        self.tree = self.parser.feed_token(token)

    def _feed(self, token: Token) -> None:
        """Feed ``token``, or what should stand there instead.

        Raises:
            _Abandon: nothing would do.
        """
        try:
            self._shift(token)
        except UnexpectedToken:
            self._mend(token)
        else:
            if token.type == "_EQUAL" and token == "==":
                self._report(double_equals(self.spelled.of(token)))

    def _mend(self, token: Token) -> None:
        """Say what is wrong with ``token``, and feed what should stand in its place."""
        line = tuple(self.layout.line[:-1] if self.layout.line and self.layout.line[-1] is token else self.layout.line)
        mistake = Mistake(
            self.spelled,
            line,
            token,
            tuple(self.layout.brackets),
            frozenset(self.parser.accepts()),
            self.layout.functions,
        )
        explanation = explain(mistake)
        self._report(explanation.diagnostic)
        if explanation.repair is None or not self._fits(explanation.repair):
            raise _Abandon

    def _fits(self, run: Sequence[Token]) -> bool:
        """Feed all tokens of ``run``, or none."""
        before = _Stacks(self.state)
        try:
            for token in run:
                self._shift(token)
        except UnexpectedToken:
            before.restore(self.state)
            return False
        return True

    def _skip_character(self, position: int) -> None:
        """Report a character that begins no token, and read on behind it."""
        self.lost = True
        span = self.spelled.span(position, position + 1)
        self._report(explain_character(span))
        self.faulty.add(self._line(span))
        self.unreadable.add(self._line(span))
        self._move(position + 1)

    def _report(self, diagnostic: Diagnostic) -> None:
        """Keep ``diagnostic``, unless its line has an unreadable character or indentation, from which it may follow, or
        it says of a further line of a run that it is out of place.
        """
        line = self._line(diagnostic.span)
        if diagnostic.code == "E041":
            run_on = line == self.misplaced + 1
            self.misplaced = line
            if run_on:
                return
        if line not in self.faulty and not any(line == self._line(d.span) for d in self.layout.diagnostics):
            self.diagnostics.append(diagnostic)

    def _line(self, span: Span) -> int:
        return span.source.line_column(span.start)[0]

    # ------------------------------------------------------------------------------------------------------ recovery

    def _move(self, position: int) -> None:
        """Let the lexer go on at ``position``."""
        state = self.parser.lexer_thread.state
        assert state is not None
        state.line_ctr.char_pos = position

    def _abandon(self, raw: Token | None) -> None:
        """Forget the line that ``raw`` stands in, and go on where the next one can be read."""
        assert raw is not None
        self.lost = True
        text = self.spelled.text
        self.line_start.restore(self.state)
        line, self.layout.line = self.layout.line, []
        self.layout.brackets.clear()
        if raw.type == "_NL" and not line:  # the indentation itself is at fault
            end = self._skip_block(tokens.start(raw), self.layout.leave_block())
            self._move(end)
            return
        start = tokens.start(line[0] if line else raw)
        end = tokens.start(raw) if raw.type == "_NL" else text.find("\n", tokens.end(raw))
        if self._opens_block(end) and self._stand_in(start):
            self.layout.line = [tokens.make("COLON", ":", start)]
        else:
            end = self._skip_block(end, self.layout.indent)
        self._move(end)

    def _indent_at(self, newline: int) -> tuple[int, int]:
        """The indentation of the first line with text after ``newline``, and where that line's break is; (0, end of
        the text) where there is none.
        """
        text = self.spelled.text
        while 0 <= newline < len(text):
            following = text.find("\n", newline + 1)
            following = len(text) if following < 0 else following
            line = text[newline + 1 : following]
            if line.strip():
                return len(line.expandtabs(TAB_WIDTH)) - len(line.expandtabs(TAB_WIDTH).lstrip()), newline
            newline = following
        return 0, len(text)

    def _opens_block(self, newline: int) -> bool:
        return self._indent_at(newline)[0] > self.layout.indent

    def _skip_block(self, newline: int, indent: int) -> int:
        """The line break before the first line from ``newline`` on that is indented no deeper than ``indent``."""
        text = self.spelled.text
        while True:
            depth, newline = self._indent_at(newline)
            if depth <= indent:
                return newline
            newline = text.find("\n", newline + 1)

    def _stand_in(self, start: int) -> bool:
        """Read a plain header in place of the one that begins at ``start``, if it can be told which it was."""
        word = _FIRST_WORD.match(self.spelled.text, start)
        if word is None:
            return False
        text = " ".join(word.group().split())
        header = _SAME_HEADER.get(text, text if text in _STAND_INS else nearest(text, _STAND_INS))
        if header is None:
            return False
        return self._fits([tokens.make(kind, value, start) for kind, value in _STAND_INS[header]])
