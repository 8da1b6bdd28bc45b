"""From text to syntax tree: spelling, then the grammar with its layout, then the builder."""

from __future__ import annotations

from dataclasses import dataclass

from lark import Token
from lark.exceptions import UnexpectedCharacters, UnexpectedToken

from optdsl.source import Diagnostic, Source, Span
from optdsl.syntax import ast, grammar
from optdsl.syntax.build import Builder
from optdsl.syntax.layout import Layout, LayoutError
from optdsl.syntax.spelling import spell


@dataclass(frozen=True)
class Parsed:
    """What a source says. ``module`` is None where there is a syntax error; ``comments`` lie between the tokens."""

    module: ast.Module | None
    diagnostics: tuple[Diagnostic, ...]
    comments: tuple[Span, ...] = ()


def parse(source: Source) -> Parsed:
    """Parse one ``.opt`` file. Never raises: every mistake is a diagnostic."""
    spelled = spell(source)
    layout = Layout(spelled)
    interactive = grammar.parser().parse_interactive(spelled.text)
    last = Token("_NL", "", 0, end_pos=0)
    for raw in interactive.lexer_thread.lex(interactive.parser_state):
        last = raw
        for token in layout.feed(raw):
            interactive.feed_token(token)
    for token in layout.finish(last):
        interactive.feed_token(token)
    tree = interactive.feed_eof()
    builder = Builder(spelled)
    module = builder.transform(tree)
    diagnostics = (*spelled.diagnostics, *layout.diagnostics, *builder.diagnostics)
    return Parsed(None if diagnostics else module, diagnostics, spelled.comments)
