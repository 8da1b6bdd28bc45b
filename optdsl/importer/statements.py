"""The assignments of a row, without the prose around them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from optdsl.importer.names import group_or_node, skip, split
from optdsl.importer.nodes import TEXT_COMMANDS, Node, meaningful, plain


def one_gradient(value: list[Node]) -> list[Node]:
    r"""``value`` without the mean over a minibatch in ``\frac{1}{m} \sum_{i=1}^{m} \nabla f_i(\theta)``."""
    at = skip(value, 0)
    if at < len(value) and value[at].is_command(r"\frac", r"\tfrac", r"\dfrac"):
        above, behind, _ = group_or_node(value, at + 1)
        at = skip(value, group_or_node(value, behind)[1])
        if plain(above) != "1":
            return value
    elif value[at : at + 1] and value[at].text == "1" and skip(value, at + 1) < len(value):
        slash = skip(value, at + 1)
        at = skip(value, slash + 2) if value[slash].is_char("/") else at
    summed = at < len(value) and value[at].is_command(r"\sum")
    at += summed
    while summed and at + 1 < len(value) and value[at].is_char("_^"):
        at = skip(value, group_or_node(value, at + 1)[1])
    averaged = any(n.is_command(r"\sum") for n in value)
    return value[at:] if averaged and at < len(value) and value[at].is_command(r"\nabla") else value


def is_prose(nodes: Sequence[Node]) -> bool:
    """Whether a row holds words and nothing else."""
    return all(
        n.kind in ("space", "text", "dollar", "word")
        or n.is_char(",.:;-'()")
        or n.text in TEXT_COMMANDS
        or (n.kind == "group" and is_prose(n.children))
        for n in nodes
    )


def statements(nodes: Sequence[Node]) -> list[list[Node]]:
    """The assignments of a row: apart where a comma, or prose, stands before the next one."""
    parts: list[list[Node]] = []
    targets: list[Node] = []
    for part in split(formula_of(nodes), ","):
        comma = [Node("char", ",", part[0].start, part[0].start)] if part else []
        if any(map(is_assignment, part)):
            parts.append([*targets, *(comma if targets else []), *part])
            targets = []
        elif parts:
            parts[-1] += [*comma, *part]
        else:
            targets += [*(comma if targets else []), *part]
    return [*parts, *([targets] if targets else [])]


def formula_of(nodes: Sequence[Node], condition: bool = False) -> list[Node]:
    """``nodes`` without the prose between formulas and the ``$`` around them; in a ``condition`` some words count."""
    mathematics = any(n.kind == "dollar" for n in nodes)
    out: list[Node] = []
    for node in meaningful(nodes) if condition or not mathematics else _without_remarks(nodes):
        if node.kind == "text" and mathematics:
            if condition:
                out += [node] if re.fullmatch(r"and|or|not", node.text) or not out else []
            elif out and re.match(r"(?:,|;|and\b|then\b)", node.text):
                out.append(Node("char", ",", node.start, node.end))
        elif node.kind != "dollar":
            out.append(node)
    return out


def _without_remarks(nodes: Sequence[Node]) -> list[Node]:
    """``nodes`` without the formulas that only belong to prose: in its brackets, or behind it and no assignment."""
    out: list[Node] = []
    depth, behind_prose = 0, False
    for piece in _pieces(meaningful(nodes)):
        if piece[0].kind == "text":
            out += piece if depth == 0 else []
            text = piece[0].text
            depth = max(0, depth + text.count("(") - text.count(")"))
            if _GOES_ON.match(text) and out and not any(map(is_assignment, out)):
                out.clear()
            behind_prose = bool(re.search(r"[A-Za-z]", text)) and any(n.kind not in ("text", "dollar") for n in out)
        elif depth == 0 and (not behind_prose or any(map(is_assignment, piece))):
            out += piece
    return out


_GOES_ON = re.compile(
    r"(?:and |then )*(?:such that|so that|with|where|let|compute|set|update|calculate|obtain|get)\b|(?:and|then) form\b"
)
"""Prose that an assignment follows; what stands before it says what is given."""


def _pieces(nodes: Sequence[Node]) -> list[list[Node]]:
    """``nodes`` apart at prose: each piece is one text, or a formula."""
    pieces: list[list[Node]] = []
    for node in nodes:
        if not pieces or node.kind == "text" or pieces[-1][0].kind == "text":
            pieces.append([])
        pieces[-1].append(node)
    return pieces


def is_assignment(node: Node) -> bool:
    return node.is_command(r"\leftarrow", r"\gets", r"\longleftarrow") or node.is_char("=")


def trimmed(nodes: Sequence[Node]) -> list[Node]:
    """``nodes`` without the signs and words that only end a row."""
    nodes = meaningful(nodes)
    while nodes:
        last = nodes[-1]
        word = plain(nodes[-2:] if last.kind == "group" else nodes[-1:]).lower()
        if last.kind in ("space", "dollar") or last.is_char(",.;:") or last.is_command(r"\;", r"\\"):
            nodes.pop()
        elif word in ("do", "then", "times") and last.kind in ("word", "group", "text"):
            if word == "times":
                return nodes
            nodes = nodes[: -2 if last.kind == "group" and nodes[-2].kind == "command" else -1]
        else:
            break
    return nodes
