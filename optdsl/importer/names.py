r"""Names in formulas: letters and words with their accents and scripts, in whatever order a page has them.

``g^2_t``, ``\widehat{m_t}``, ``\widehat{\beta}_{2_t}``, ``\textbf{b}_t``, ``state\_sum_t``, ``\Delta x_t``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from optdsl.importer.nodes import TEXT_COMMANDS, Node, meaningful, plain
from optdsl.source import Diagnostic, Source, Span
from optdsl.syntax.vocabulary import ACCENTS, GREEK, LATEX_ACCENTS, LATEX_SYMBOLS

TIMES = frozenset({"t", "t-1", "t+1", "0"})
"""Subscripts that say when."""

ELEMENTS = frozenset("ijkl")
"""Letters that stand for one element, in ``v_t[i]``."""

ELEMENTWISE = (r"\circ", r"\odot")
"""What marks a power as one of each element, ``g^{\\circ 2}``."""


@dataclass
class Name:
    """A name with its scripts, as written: ``subscripts`` are texts, ``power`` the nodes of an exponent."""

    base: str
    start: int
    end: int
    accent: str = ""
    subscripts: list[str] = field(default_factory=list)
    superscript: str = ""
    power: tuple[Node, ...] | None = None
    transposed: bool = False

    @property
    def text(self) -> str:
        """The name as the language writes it."""
        text = self.base
        if self.accent:
            text += ACCENTS[self.accent] if len(self.base) == 1 else f"_{self.accent}"
        if self.subscripts:
            text += "_{" + ",".join(self.subscripts) + "}"
        return text + (f"^{{{self.superscript}}}" if self.superscript else "")


@dataclass
class Context:
    """What the reading of formulas needs to know of its box, and what it finds out.

    ``index`` is the letter that counts the steps; ``labels`` are those that tell elements or layers apart, inside a
    loop over them; ``declared`` are words that name values; ``flat`` is true for an optimizer over flat θ; ``unknown``
    functions are called and defined nowhere: their number of arguments and of parameters. ``called_gradient`` is the
    letter of a gradient that is written as a function of the parameter, ``g(θ)``; ``called`` are
    the letters that the box says to be functions; ``points`` are the times of the
    parameters by which the box differentiates, each with a place.
    """

    source: Source
    index: str = "t"
    labels: frozenset[str] = frozenset()
    declared: set[str] = field(default_factory=set)
    functions: set[str] = field(default_factory=set)
    choices: dict[str, str] = field(default_factory=dict)
    unknown: dict[str, tuple[int, int]] = field(default_factory=dict)
    parameter: str = ""
    called_gradient: str = ""
    called: set[str] = field(default_factory=set)
    points: dict[str, tuple[int, int]] = field(default_factory=dict)
    flat: bool = False
    diagnostics: list[Diagnostic] = field(default_factory=list)

    def report(self, code: str, message: str, start: int, end: int, help_: str = "") -> None:
        self.diagnostics.append(Diagnostic(code, message, Span(self.source, start, end), help=help_))


def read_name(nodes: Sequence[Node], at: int, context: Context) -> tuple[Name, int] | None:
    """The name that begins at ``nodes[at]``, and the index behind it; None if there is none."""
    return _Names(context).read(nodes, at)


def group_or_node(nodes: Sequence[Node], at: int) -> tuple[tuple[Node, ...], int, Node | None]:
    """The argument that begins at or behind ``nodes[at]``, without its braces; the index behind it."""
    while at < len(nodes) and nodes[at].kind == "space":
        at += 1
    if at >= len(nodes):
        return (), at, None
    node = nodes[at]
    return (node.children if node.kind == "group" else (node,)), at + 1, node


@dataclass
class _Names:
    context: Context

    def read(self, nodes: Sequence[Node], at: int) -> tuple[Name, int] | None:
        based = self._base(nodes, at)
        if based is None:
            return None
        name, at = based
        while True:
            ahead = skip(nodes, at)
            if ahead < len(nodes) and nodes[ahead].is_char("'"):
                name.superscript, at = "prime", ahead + 1
                name.end = nodes[ahead].end
                continue
            if ahead == at and (label := self._bracketed_label(nodes, at)):
                name.end, at = nodes[label - 1].end, label
                continue
            if ahead >= len(nodes) or not nodes[ahead].is_char("_^"):
                return name, at
            if name.power is not None and nodes[ahead].text == "^":
                return name, at
            script, at, node = group_or_node(nodes, ahead + 1)
            if node is None:
                return name, ahead
            name.end = node.end
            if nodes[ahead].text == "_":
                self._subscript(name, script)
            else:
                self._superscript(name, script, node)

    def _bracketed_label(self, nodes: Sequence[Node], at: int) -> int | None:
        """The index behind ``[i]``, or behind ``(i)`` inside a loop over ``i``, at ``nodes[at]``."""
        if at + 2 >= len(nodes) or nodes[at + 1].kind != "word" or nodes[at + 1].text in self.context.declared:
            return None
        brackets, letter = nodes[at].text + nodes[at + 2].text, nodes[at + 1].text
        element = brackets == "[]" and letter in ELEMENTS and letter != self.context.index
        return at + 3 if element or (brackets in ("[]", "()") and letter in self.context.labels) else None

    def _average(self, nodes: Sequence[Node], at: int) -> tuple[Name, int] | None:
        r"""``E[g^2]_t``, a running average: a name for each thing that is averaged, here ``E_{g,t}``."""
        node = nodes[at]
        base = plain(nodes[at : at + 2] if node.kind == "command" else nodes[at : at + 1])
        opening = at + 1 + (node.kind == "command")
        if base != "E" or opening >= len(nodes) or not nodes[opening].is_char("["):
            return None
        bracket = closing(nodes, opening)
        if bracket + 1 >= len(nodes) or not nodes[bracket + 1].is_char("_"):
            return None
        averaged = self.read(nodes[opening + 1 : bracket], skip(nodes[opening + 1 : bracket], 0))
        if averaged is None:
            return None
        of = averaged[0]
        letter = of.subscripts[0] if of.base == "Δ" and of.subscripts else of.base
        return Name("E", node.start, nodes[bracket].end, subscripts=[letter]), bracket + 1

    def _base(self, nodes: Sequence[Node], at: int) -> tuple[Name, int] | None:
        if at >= len(nodes):
            return None
        node = nodes[at]
        if (average := self._average(nodes, at)) is not None:
            return average
        if node.is_command(r"\ell"):
            return Name("l", node.start, node.end), at + 1
        if node.kind == "word":
            return Name(node.text.replace(r"\_", "_"), node.start, node.end), at + 1
        if node.kind != "command":
            return None
        symbol = LATEX_SYMBOLS.get(node.text, "")
        if symbol in GREEK.values():
            name = Name(symbol, node.start, node.end)
            following = nodes[at + 1 : at + 3]
            letter = next((n for n in following if n.kind != "space"), None)
            if symbol == "Δ" and letter is not None:
                place = nodes.index(letter, at)
                difference = self._base(nodes, place) if letter.kind in ("word", "command") else None
                if difference is not None and len(difference[0].base) == 1 and not difference[0].subscripts:
                    name.subscripts.append(difference[0].base)
                    name.end = difference[0].end
                    return name, difference[1]
            return name, at + 1
        if node.text in LATEX_ACCENTS:
            return self._accented(nodes, at)
        if node.text in TEXT_COMMANDS:
            inside, behind, group = group_or_node(nodes, at + 1)
            inside = tuple(n for n in inside if n.kind != "space")
            if group is None or not inside:
                return None
            inner = self.read(inside, 0)
            if inner is not None and inner[1] == len(inside):
                name = inner[0]
                name.start, name.end = node.start, group.end
                return name, behind
            if [n.kind for n in inside] == ["word", "number"] and inside[0].end == inside[1].start:  # NS5
                return Name(plain(inside), node.start, group.end), behind
        return None

    def _accented(self, nodes: Sequence[Node], at: int) -> tuple[Name, int] | None:
        node = nodes[at]
        inside, behind, group = group_or_node(nodes, at + 1)
        if group is None:
            return None
        if group.kind != "group" and group.kind == "command" and group.text in TEXT_COMMANDS:
            inner = self._base(nodes, nodes.index(group, at))
            behind = inner[1] if inner else behind
        else:
            inside = tuple(n for n in inside if n.kind != "space")
            read = self.read(inside, 0)
            inner = read if read is not None and read[1] == len(inside) else None
        if inner is None:
            return None
        name = inner[0]
        if name.accent:
            self.context.report("E012", f"`{name.base}` has two accents", node.start, group.end)
        name.accent = LATEX_ACCENTS[node.text]
        name.start, name.end = node.start, max(name.end, group.end)
        return name, behind

    # -------------------------------------------------------------------------------------------------------- scripts

    def _subscript(self, name: Name, script: Sequence[Node]) -> None:
        for part in self._parts(script):
            if part and part.strip("()") not in self.context.labels:
                name.subscripts.append(part)

    def _superscript(self, name: Name, script: tuple[Node, ...], node: Node) -> None:
        inside = [n for n in script if n.kind != "space"]
        text = "".join(plain(inside).split())
        layer = re.fullmatch(r"\(([a-z])\)", text)
        if text.strip("()") in self.context.labels or (layer and layer[1] not in (self.context.index, "t")):
            return
        if inside and inside[0].is_command(*ELEMENTWISE):
            self._superscript(name, tuple(inside[1:]), node)
            return
        if inside and all(n.is_command(r"\prime") or n.is_char("'") for n in inside):
            name.superscript = "prime"
            return
        if len(inside) == 1 and inside[0].is_command(r"\top", r"\intercal", r"\mathsf"):
            name.transposed = True
        elif text == "T" and inside[0].kind == "word":
            name.transposed = True
        elif text in ("(t)", "(t-1)", "(t+1)", f"({self.context.index})") or self._is_time(text):
            name.subscripts.append(self._time(text.strip("()")))
        elif re.fullmatch(r"[A-Za-z]{2,}", text) and not name.superscript and not _is_value_word(inside):
            name.superscript = text
        else:
            name.power = script if node.kind == "group" else (node,)

    def _is_time(self, text: str) -> bool:
        index = re.escape(self.context.index)
        return re.fullmatch(rf"\({index}[+-]1\)", text) is not None

    def _parts(self, script: Sequence[Node]) -> list[str]:
        parts, current = list[str](), list[Node]()
        for node in (*meaningful(script), None):
            if node is None or node.is_char(",_"):
                text = "".join(map(self._script_text, current))
                glued = re.fullmatch(rf"(\d+)({re.escape(self.context.index)}(?:[+-]1)?)", text)  # \beta_{1t}
                parts += [glued[1], self._time(glued[2])] if glued else [self._time(text)]
                current = []
            else:
                current.append(node)
        return parts

    def _time(self, text: str) -> str:
        """``text`` with ``t`` for the letter that counts the steps."""
        index = self.context.index
        if index != "t" and re.fullmatch(rf"{re.escape(index)}([+-]1)?", text):
            return "t" + text[len(index) :]
        return text

    def _script_text(self, node: Node) -> str:
        if node.kind == "space":
            return ""
        if node.kind == "command":
            if node.text == r"\ell":
                return "l"
            return LATEX_SYMBOLS.get(node.text, "" if node.text in TEXT_COMMANDS else node.text[1:])
        if node.kind == "group":
            return ("_" if node.text.startswith("_") else "") + "".join(map(self._script_text, node.children))
        return node.text.replace(r"\_", "_")


def _is_value_word(nodes: Sequence[Node]) -> bool:
    r"""Whether an exponent is a name that is a word: ``\textit{decay}``."""
    return bool(nodes) and nodes[0].is_command(r"\textit", r"\mathit")


# ------------------------------------------------------------------------------------------------ sequences of nodes


def without_comma(nodes: Sequence[Node]) -> list[Node]:
    """``nodes`` without the comma or full stop that ends a line of a page."""
    nodes = meaningful(nodes)
    while nodes and (nodes[-1].kind == "space" or nodes[-1].is_char(",.")):
        nodes.pop()
    return nodes


def skip(nodes: Sequence[Node], at: int) -> int:
    while at < len(nodes) and nodes[at].kind == "space":
        at += 1
    return at


def closing(nodes: Sequence[Node], opening: int) -> int:
    """The index of the bracket that closes ``nodes[opening]``; behind the last where none does."""
    depth = 0
    for at in range(opening, len(nodes)):
        if nodes[at].is_char("([") or nodes[at].is_command(r"\{"):
            depth += 1
        elif nodes[at].is_char(")]") or nodes[at].is_command(r"\}"):
            depth -= 1
            if depth == 0:
                return at
    return len(nodes)


def split(nodes: Sequence[Node], separator: str) -> list[list[Node]]:
    """``nodes`` apart at ``separator``, outside brackets."""
    parts: list[list[Node]] = [[]]
    depth = 0
    for node in nodes:
        depth += (node.is_char("([") or node.is_command(r"\{")) - (node.is_char(")]") or node.is_command(r"\}"))
        if node.is_char(separator) and depth <= 0:
            parts.append([])
        else:
            parts[-1].append(node)
    return parts


def is_label(nodes: Sequence[Node], letter: str) -> bool:
    """Whether ``letter`` only tells elements or layers apart among ``nodes``: ``x_{t,i}``, ``x^{(i)}``, ``x(i)``."""
    uses = list(_uses(nodes, letter))
    return bool(uses) and all(uses)


def _uses(nodes: Sequence[Node], letter: str) -> Iterator[bool]:
    """For each time that ``letter`` stands among ``nodes``, whether it is a label there."""
    at = 0
    while at < len(nodes):
        node = nodes[at]
        if node.is_char("_^") and at + 1 < len(nodes):
            script, behind, _ = group_or_node(nodes, at + 1)
            for part in split(script, ","):
                text = "".join(plain(part).split())
                greek = node.text == "^" and at and nodes[at - 1].kind in ("command", "number")
                if text == f"({letter})" or (text == letter and not greek):
                    yield True
                else:
                    yield from _uses(part, letter)
            at = behind
            continue
        brackets = plain([*nodes[at - 1 : at], *nodes[at + 1 : at + 2]]) if at else ""
        if node.kind == "word" and node.text == letter:
            yield brackets in ("[]", "()") and at > 1 and nodes[at - 2].kind in ("word", "group", "number", "command")
        elif node.children:
            yield from _uses(node.children, letter)
        at += 1
