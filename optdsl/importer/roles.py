"""What the letters of a box are for: the count of the steps, the parameter, layers, the number of steps."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from optdsl.importer.header import read_inputs
from optdsl.importer.mathematics import translate
from optdsl.importer.names import TIMES, Context, Name, is_label, read_name, skip
from optdsl.importer.nodes import Node, plain
from optdsl.importer.rows import Row
from optdsl.importer.statements import is_assignment, statements
from optdsl.syntax.vocabulary import FUNCTIONS


def step_index(rows: Sequence[Row]) -> str:
    """The letter that counts the steps."""
    for row in rows:
        if row.keyword == "for":
            found = re.match(r"(?:each )?([A-Za-z]) ?(?:=|in\b|gets|leftarrow|←)", plain(row.nodes))
            return found[1] if found else "t"
        if row.keyword == "while":
            break
    for row in rows:
        if found := re.fullmatch(r"\W*([a-z]) ?(?:=|gets|leftarrow|←) ?\1 ?\+ ?1\W*", plain(row.nodes)):
            return found[1]
    stepping = (re.search(r"_([a-z]) ?\+ ?1 ?(?:=|gets|leftarrow|←)", plain(row.nodes)) for row in rows)
    return next((found[1] for found in stepping if found), "t")


def step_bounds(loop: Row, context: Context) -> frozenset[str]:
    """The names in the head of the loop over the steps, ``T`` in ``for t = 1 to T``."""
    read = (read_name(loop.nodes, at, context) for at in range(len(loop.nodes)))
    return frozenset(name[0].text for name in read if name is not None)


def parameter_letter(rows: Sequence[Row], context: Context) -> str:
    """What the box calls the parameter: the argument of the gradient."""
    probe = Context(context.source, index=context.index)
    for row in rows:
        if any(has_command(n, r"\nabla", r"\partial") for n in row.nodes):
            translate(row.nodes, probe)
            break
    if probe.parameter:
        return probe.parameter
    assigned = [name.base for row in rows for name in assigned_names(row, probe)]
    for row in rows:
        if called := _called_gradient(row.nodes, assigned, probe):
            context.called_gradient = called[0]
            return called[1]
    return next((letter for letter in PARAMETER_LETTERS if letter in assigned), "")


def layer_letters(rows: Sequence[Row]) -> frozenset[str]:
    """The letters that the box says to stand ``for each layer l``."""
    said = (" ".join(" ".join(plain([n]) for n in row.nodes if n.kind != "dollar").split()) for row in rows)
    return frozenset(letter for text in said for letter in re.findall(r"\b(?:each|every|all) layers? ([a-z])\b", text))


PARAMETER_LETTERS = "θΘwWxXpφ"
"""What papers call the parameter, where the box does not say by what it differentiates; the likeliest first."""


def assigned_names(row: Row, context: Context) -> Iterator[Name]:
    """The names that a row assigns, without their times."""
    for part in statements(row.nodes) if row.keyword in ("", "initialize", "input") else ():
        read = read_name(part, skip(part, 0), context) if any(map(is_assignment, part)) else None
        if read is not None:
            yield replace(read[0], subscripts=[s for s in read[0].subscripts if s not in TIMES])


_GRADIENT = re.compile(r"[gG]|\w*[gG]rad(?:ient)?s?")
"""What a function is called that is the gradient."""


def _called_gradient(nodes: Sequence[Node], assigned: Sequence[str], context: Context) -> tuple[str, str] | None:
    """``g`` and ``θ`` of ``g(θ)``, where θ is assigned and g is not."""
    for at in range(len(nodes)):
        if nodes[at].kind == "group" and (inside := _called_gradient(nodes[at].children, assigned, context)):
            return inside
        function = read_name(nodes, at, context)
        if function is None or not _GRADIENT.fullmatch(function[0].base) or function[0].base in assigned:
            continue
        opening = function[1]
        if opening < len(nodes) and nodes[opening].is_char("("):
            argument = read_name(nodes, opening + 1, context)
            if argument is not None and argument[0].base in assigned and argument[0].base in PARAMETER_LETTERS:
                return function[0].base, argument[0].base
    return None


def has_command(node: Node, *commands: str) -> bool:
    return node.is_command(*commands) or any(has_command(child, *commands) for child in node.children)


def declared_words(rows: Sequence[Row], context: Context) -> set[str]:
    """The words of several letters that stand for values: inputs, and what is assigned."""
    words: set[str] = set()
    probe = Context(context.source, index=context.index)
    for row in rows:
        if row.keyword == "input":
            words |= {n.base for item in read_inputs(row.nodes, probe) for n in item.names}
        elif row.keyword in ("", "initialize"):
            for part in statements(row.nodes):
                read = read_name(part, skip(part, 0), probe)
                if read is not None:
                    words.add(read[0].base)
    return {word for word in words if len(word) > 1 and word not in FUNCTIONS}


def is_step(row: Row, context: Context) -> bool:
    """Whether a row assigns what belongs to a time: ``m_t``, ``θ_{t+1}``, or a gradient."""
    if any(has_command(n, r"\nabla", r"\partial") for n in row.nodes):
        return True
    parts = [part for part in statements(row.nodes) if any(map(is_assignment, part))]
    names = [read_name(part, skip(part, 0), context) for part in parts]
    return any(name is not None and {"t", "t+1"} & {*name[0].subscripts} for name in names)


# ------------------------------------------------------------------------------------------------ loops over labels


_TENSORS = re.compile(
    r"(?:each |every |all |the )*(?:layers?|param(?:eter)?s?|tensors?|weights?|blocks?|matri\w+|groups?)\b"
)
"""What a loop over the tensors says that it runs over."""


@dataclass(frozen=True)
class Labels:
    """A loop within the step whose ``letter`` tells elements, or else ``tensors``, apart.

    A step is one tensor's, and what a tensor decides it decides for each element: such a loop need not be written.
    """

    depth: float
    letter: str
    tensors: bool


def loop_labels(loop: Row, following: Sequence[Row], context: Context) -> Labels | None:
    """What the letter of a loop within the step tells apart; None where it counts."""
    text = " ".join(" ".join(plain([n]) for n in loop.nodes if n.kind != "dollar").split())
    body: list[Node] = []
    for row in following:
        if row.depth <= loop.depth:
            break
        body += [*row.nodes, Node("space", " ", row.end, row.end)]
    tensors = _TENSORS.match(text)
    found = _LETTER.match(text, tensors.end() if tensors else 0)
    letter = found[1] if found else ""
    if tensors or letter == context.parameter:
        return Labels(loop.depth, letter, tensors=True)
    if letter and is_label(body, letter):
        return Labels(loop.depth, letter, tensors=letter != "i" or f"({letter})" in plain(body))
    return Labels(loop.depth, letter, tensors=False) if letter == "i" else None


_LETTER = re.compile(r"\s*([A-Za-z]|theta)(?= ?(?:=|in\b|gets|leftarrow|,|$))")
"""The name that a loop runs over."""
