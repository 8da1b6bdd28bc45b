"""What every part of the translation of formulas needs: where it writes, numbers, and the scripts behind values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from optdsl.importer.names import Context, Name, group_or_node, skip
from optdsl.importer.nodes import Node, meaningful, plain
from optdsl.importer.writer import Writer

FRACTIONS = (r"\frac", r"\dfrac", r"\tfrac", r"\nicefrac", r"\sfrac")

ORDERS = {"1": "1", "2": "2", "F": "2", "infty": "∞", "\\infty": "∞", "∞": "∞"}
"""Subscripts of norms."""

ONES = "ones_"
"""How the name of a vector of ones begins, whose product is a sum: ``1_m``."""


@dataclass
class Translator:
    """Writes a formula to ``out``; ``after_value``: what was written last ends in a value."""

    context: Context
    out: Writer
    after_value: bool = False

    def _node(self, nodes: Sequence[Node], at: int) -> int:
        """Translate what begins at ``nodes[at]``; the index behind it."""
        raise NotImplementedError  # the whole translation has it, in mathematics.py

    def run(self, nodes: Sequence[Node]) -> None:
        nodes = _single_tokens(meaningful(nodes))
        at = 0
        while at < len(nodes):
            at = self._node(nodes, at)

    def write(self, text: str, node: Node, value: bool = False) -> None:
        self.out.write(text, node.start, node.end)
        self.after_value = value

    def _number(self, nodes: Sequence[Node], at: int) -> int:
        node = nodes[at]
        if node.text == "1" and (ones := self._ones(nodes, at)):
            return ones
        if node.text == "10" and (power := self._power_of_ten(nodes, at + 1)):
            self._literal(f"1e{power[0]}", node, nodes[power[1] - 1].end)
            return power[1]
        ahead = skip(nodes, at + 1)
        if ahead < len(nodes) and nodes[ahead].is_command(r"\times"):
            ten = skip(nodes, ahead + 1)
            power = self._power_of_ten(nodes, ten + 1) if ten < len(nodes) and nodes[ten].text == "10" else None
            if power:
                self._literal(f"{node.text}e{power[0]}", node, nodes[power[1] - 1].end)
                return power[1]
        self._literal(node.text, node, node.end)
        return self._scripts(nodes, at + 1)

    def _power_of_ten(self, nodes: Sequence[Node], at: int) -> tuple[str, int] | None:
        """The integer that is an exponent at ``nodes[at]``, and the index behind it."""
        if at + 1 >= len(nodes) or not nodes[at].is_char("^"):
            return None
        script, behind, _ = group_or_node(nodes, at + 1)
        text = "".join(plain(script).split()).replace("−", "-")
        return (text, behind) if re.fullmatch(r"-?\d+", text) else None

    def _ones(self, nodes: Sequence[Node], at: int) -> int | None:
        r"""``1_m`` or ``1^\top_n``: a vector of ones."""
        subscript, transposed, behind = "", False, at + 1
        while behind + 1 < len(nodes) and nodes[behind].is_char("_^"):
            script, after, _ = group_or_node(nodes, behind + 1)
            text = plain(script)
            if nodes[behind].text == "_":
                subscript = text
            elif text in ("top", "T", "intercal"):
                transposed = True
            else:
                return None
            behind = after
        if not re.fullmatch(r"[a-z]", subscript):
            return None
        self.out.write(f" {ONES}{subscript}{'^T' if transposed else ''} ", nodes[at].start, nodes[behind - 1].end)
        self.after_value = True
        return behind

    def _literal(self, text: str, node: Node, end: int) -> None:
        self.out.write(" · " if self.after_value else "", node.start, node.start)
        self.out.write(text, node.start, end)
        self.after_value = True

    def _write_name(self, name: Name) -> None:
        if name.base == self.context.index and self.context.index != "t" and name.text == name.base:
            name.base = "t"
        self.out.write(" ", name.start, name.start)
        self.out.write(name.text, name.start, name.end)
        self.after_value = True
        self._exponent(name)

    def _exponent(self, name: Name) -> None:
        if name.transposed:
            self.out.write("^T", name.end, name.end)
        elif name.power is not None:
            self._raise(name.power, name.end)

    def _raise(self, script: Sequence[Node], place: int) -> None:
        self.out.write("^(", place, place)
        self.after_value = False
        self.run(script)
        self.out.write(")", place, place)
        self.after_value = True

    def _scripts(self, nodes: Sequence[Node], at: int, stray: bool = False) -> int:
        """Exponents behind a bracket or a number. ``stray``: there is nothing that they could belong to."""
        at = skip(nodes, at) if not stray else at
        while at < len(nodes) and nodes[at].is_char("^_"):
            script, behind, node = group_or_node(nodes, at + 1)
            order = ORDERS.get(plain(script)) if nodes[at].text == "_" and at else None
            if order is not None and nodes[at - 1].is_command(r"\|", r"\Vert", r"\rVert"):
                self.out.write(f"_{order}", nodes[at].start, nodes[at].end)
            elif node is not None and nodes[at].text == "_" and nodes[at - 1].is_command(r"\|", r"\Vert", r"\rVert"):
                help_ = r"write `\|x\|`, `\|x\|_1` or `\|x\|_\infty`"
                self.context.report("E703", "this norm is not read", nodes[at].start, node.end, help_)
            elif node is None or nodes[at].text == "_":
                end = node.end if node else nodes[at].end
                self.context.report("E703", "this subscript belongs to no name", nodes[at].start, end)
            elif plain(script) in ("top", "T", "intercal"):
                self.out.write("^T", nodes[at].start, node.end)
            else:
                self._raise(script, nodes[at].start)
            at = skip(nodes, behind)
        return at

    def _bracketed(self, nodes: Sequence[Node]) -> None:
        self.after_value = False
        self.run(nodes)


def _single_tokens(nodes: Sequence[Node]) -> list[Node]:
    r"""``nodes`` with the arguments of fractions and roots apart, as TeX takes them: ``\frac12`` is ``\frac{1}{2}``."""
    out: list[Node] = []
    waiting = 0
    for node in nodes:
        rest = node
        while waiting and rest.kind in ("number", "word") and len(rest.text) > 1:
            if rest.kind == "number" and not rest.text.isdigit():
                break
            out.append(Node(rest.kind, rest.text[0], rest.start, rest.start + 1))
            rest = Node(rest.kind, rest.text[1:], rest.start + 1, rest.end)
            waiting -= 1
        out.append(rest)
        waiting -= waiting > 0 and rest.kind != "space"
        if node.kind == "command" and (node.text in FRACTIONS or node.text == r"\sqrt"):
            waiting = 2 if node.text in FRACTIONS else 1
    return out


def term_end(nodes: Sequence[Node], at: int) -> int:
    """The index behind the term at ``nodes[at]``, where a sum or a relation goes on, or a bracket closes."""
    depth = 0
    for i in range(at, len(nodes)):
        depth += (nodes[i].is_char("([") or nodes[i].is_command(r"\{")) - (
            nodes[i].is_char(")]") or nodes[i].is_command(r"\}")
        )
        if depth < 0 or (depth == 0 and i > at and nodes[i].is_char("+-=<>,;")):
            return i
    return len(nodes)
