r"""Names in formulas: letters and words with their accents and scripts, in whatever order a page has them.

``g^2_t``, ``\widehat{m_t}``, ``\widehat{\beta}_{2_t}``, ``\textbf{b}_t``, ``state\_sum_t``, ``\Delta x_t``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from optdsl.importer.nodes import TEXT_COMMANDS, Node, meaningful, plain
from optdsl.source import Diagnostic, Source, Span
from optdsl.syntax.vocabulary import ACCENTS, GREEK, LATEX_ACCENTS, LATEX_SYMBOLS


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

    ``index`` is the letter that counts the steps; ``elements`` is true inside a loop over elements; ``declared`` are
    words that name values; ``flat`` is true for an optimizer over flat θ; ``unknown`` functions are called and defined
    nowhere: their number of arguments and of parameters.
    """

    source: Source
    index: str = "t"
    elements: bool = False
    declared: set[str] = field(default_factory=set)
    functions: set[str] = field(default_factory=set)
    choices: dict[str, str] = field(default_factory=dict)
    unknown: dict[str, tuple[int, int]] = field(default_factory=dict)
    parameter: str = ""
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
            ahead = at
            while ahead < len(nodes) and nodes[ahead].kind == "space":
                ahead += 1
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

    def _base(self, nodes: Sequence[Node], at: int) -> tuple[Name, int] | None:
        if at >= len(nodes):
            return None
        node = nodes[at]
        if node.kind == "word":
            return Name(node.text.replace(r"\_", "_"), node.start, node.end), at + 1
        if node.kind != "command":
            return None
        symbol = LATEX_SYMBOLS.get(node.text, "")
        if symbol in GREEK.values():
            name = Name(symbol, node.start, node.end)
            following = nodes[at + 1 : at + 3]
            letter = next((n for n in following if n.kind != "space"), None)
            if symbol == "Δ" and letter is not None and letter.kind == "word" and len(letter.text) == 1:
                name.subscripts.append(letter.text)
                name.end = letter.end
                return name, nodes.index(letter, at) + 1
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
            if part and not (self.context.elements and part == "i"):
                name.subscripts.append(part)

    def _superscript(self, name: Name, script: tuple[Node, ...], node: Node) -> None:
        inside = [n for n in script if n.kind != "space"]
        text = "".join(plain(inside).split())
        if self.context.elements and text == "i":
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
        parts, current = [], list[Node]()
        for node in (*meaningful(script), None):
            if node is None or node.is_char(",_"):
                parts.append(self._time("".join(map(self._script_text, current))))
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
