r"""LaTeX source as a tree: words, numbers, commands, groups and ``cases``, each with its place.

Only what can be told without knowing what the text is about: comments are dropped, ``{…}`` becomes a group,
``\begin{cases} … \end{cases}`` one node. Unmatched braces are reported and passed over.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from optdsl.source import Diagnostic, Source, Span

MAX_DEPTH = 30
"""How deep groups may be nested."""

_TOKEN = re.compile(
    r"""
      (?P<comment> % [^\n]* \n? )
    | (?P<command> \\ (?: [A-Za-z]+ \*? | [\s\S] )? )
    | (?P<word>    [A-Za-z]+ (?: \\_ [A-Za-z0-9]+ )* )
    | (?P<number>  (?: \d+ (?: \. \d+ )? | \. \d+ ) (?: [eE] -? \d+ )? )
    | (?P<space>   [ \t\r\n~]+ )
    | (?P<open>    \{ )
    | (?P<close>   \} )
    | (?P<dollar>  \$\$? )
    | (?P<char>    [\s\S] )
    """,
    re.VERBOSE,
)
_ENVIRONMENT = re.compile(r"\s*\{([^{}\n]*)\}(?:\[[^\]\n]*\])?")


@dataclass(frozen=True)
class Node:
    r"""One piece of LaTeX.

    ``kind`` is ``word``, ``number``, ``command``, ``space``, ``dollar``, ``char``, ``group`` or ``cases`` (these two
    have ``children``), ``begin`` or ``end`` (``text`` is the environment's name), or ``text`` (prose between formulas).
    """

    kind: str
    text: str
    start: int
    end: int
    children: tuple[Node, ...] = ()

    def is_command(self, *names: str) -> bool:
        return self.kind == "command" and self.text in names

    def is_char(self, characters: str) -> bool:
        return self.kind == "char" and self.text in characters


@dataclass
class _Open:
    """A group that is being read."""

    kind: str
    start: int
    children: list[Node] = field(default_factory=list)


def read_nodes(source: Source, start: int = 0, end: int | None = None) -> tuple[tuple[Node, ...], list[Diagnostic]]:
    """The nodes of ``source.text[start:end]``, and what is wrong with its braces."""
    text = source.text
    end = len(text) if end is None else end
    diagnostics: list[Diagnostic] = []
    stack = [_Open("top", start)]

    def close(kind: str, at: int) -> None:
        done = stack.pop()
        stack[-1].children.append(Node(kind, text[done.start : at], done.start, at, tuple(done.children)))

    at = start
    while at < end:
        match = _TOKEN.match(text, at, end)
        assert match is not None
        kind, token, stop = str(match.lastgroup), match.group(), match.end()
        top = stack[-1]
        environment = _ENVIRONMENT.match(text, stop, end) if token in (r"\begin", r"\end") else None
        if environment is not None:
            stop = environment.end()
            name = environment[1].strip()
            if name.rstrip("*") not in ("cases", "dcases"):
                top.children.append(Node(token[1:], name, at, stop))
            elif token == r"\begin":
                if len(stack) > MAX_DEPTH:
                    diagnostics.append(_too_deep(Span(source, at, stop)))
                    break
                stack.append(_Open("cases", at))
            elif token == r"\end" and top.kind == "cases":
                close("cases", stop)
            else:
                diagnostics.append(_unmatched(Span(source, at, stop)))
        elif kind == "open":
            if len(stack) > MAX_DEPTH:
                diagnostics.append(_too_deep(Span(source, at, stop)))
                break
            stack.append(_Open("group", at))
        elif kind == "close":
            if top.kind == "group":
                close("group", stop)
            else:
                diagnostics.append(_unmatched(Span(source, at, stop)))
        elif kind != "comment":
            top.children.append(Node(kind, token, at, stop))
        at = stop
    while len(stack) > 1:
        opened = stack[-1]
        what = "{" if opened.kind == "group" else r"\begin{cases}"
        place = Span(source, opened.start, min(opened.start + len(what), end))
        diagnostics.append(Diagnostic("E701", f"this `{place.text}` is never closed", place))
        close(opened.kind, end)
    return tuple(stack[0].children), diagnostics


def _too_deep(span: Span) -> Diagnostic:
    return Diagnostic("E701", f"groups are nested more than {MAX_DEPTH} deep", span)


def _unmatched(span: Span) -> Diagnostic:
    return Diagnostic("E701", f"this `{span.text}` closes nothing", span)


def plain(nodes: Sequence[Node]) -> str:
    """What a reader sees of ``nodes``, roughly: letters, digits and signs, with single spaces."""
    out: list[str] = []
    for node in nodes:
        if node.kind in ("group", "cases"):
            out.append(plain(node.children))
        elif node.kind == "space" or node.text in (r"\,", r"\:", r"\;", r"\ ", r"\quad"):
            out.append(" ")
        elif node.kind == "command" and len(node.text) == 2 and not node.text[1].isalpha():
            out.append(node.text[1])
        elif node.kind == "command":
            out.append("" if node.text in TEXT_COMMANDS else node.text[1:])
        elif node.kind in ("word", "number", "char", "text"):
            out.append(node.text.replace(r"\_", "_"))
    return " ".join("".join(out).split())


TEXT_COMMANDS = frozenset(
    r"\textsuperscript \textsubscript \bfseries \itshape \ttfamily \scshape \upshape \sffamily "
    r"\text \textrm \textbf \textit \texttt \textsf \textsc \mbox \mathrm \mathbf \mathit \mathsf \mathtt \bf \it \rm "
    r"\emph \operatorname \operatorname* \boldsymbol \bm \mathcal \mathbb \mathds \mathbbm \mathscr \mathfrak "
    r"\ensuremath".split()
)
"""Commands that set their argument in some typeface."""

SPACING = frozenset(
    r"\left \right \middle \big \Big \bigg \Bigg \bigl \bigr \Bigl \Bigr \biggl \biggr \Biggl \Biggr \, \; \: \! \> "
    r"\quad \qquad \displaystyle \textstyle \limits \nolimits \nonumber \notag \noindent \smallskip \medskip "
    r"\centering \small \footnotesize \hfill \protect \allowbreak".split()
) | {"\\ ", "\\\n"}
"""Commands that only place or size what follows."""

SPACING_WITH_ARGUMENT = frozenset(
    r"\hspace \hspace* \vspace \vspace* \hphantom \phantom \label \tag \setlength \kern \mkern \tcp \tcc \tcp* \tcc* "
    r"\Comment \COMMENT \caption \footnote \color \SetAlgoLined \DontPrintSemicolon \LinesNumbered".split()
)
"""Commands that, with the group behind them, say nothing about the algorithm."""


def meaningful(nodes: Sequence[Node]) -> list[Node]:
    """``nodes`` without what only places: spacing, sizes of brackets, labels and comments of the page."""
    out: list[Node] = []
    skip_group = False
    for node in nodes:
        if skip_group and node.kind == "group":
            skip_group = False
            continue
        if node.kind == "command" and node.text in SPACING_WITH_ARGUMENT:
            skip_group = True
            continue
        if node.kind != "space":
            skip_group = False
        if (node.kind == "command" and node.text in SPACING) or node.kind == "space" or node.is_char("&"):
            if not (out and out[-1].kind == "space"):
                out.append(Node("space", " ", node.start, node.end))
        else:
            out.append(node)
    return out
