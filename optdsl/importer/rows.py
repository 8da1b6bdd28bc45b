r"""The lines of an algorithm, from any of the environments in which papers write them.

``aligned`` (the doc strings of ``torch.optim``), ``algorithmic`` and ``algpseudocode`` (``\State``, ``\If … \EndIf``),
and ``algorithm2e`` (``\KwIn``, ``\eIf{}{}{}``, ``\;``) all become rows: how deep, which keyword, and the rest.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace

from optdsl.importer.nodes import TEXT_COMMANDS, Node, meaningful, plain

KEYWORDS = {
    "input": r"inputs?|require[sd]?|given|hyper-?parameters?|parameters?|data",
    "initialize": r"initiali[sz](?:e|ation|ing)|init|set",
    "output": r"outputs?|ensure|result",
    "for": r"for(?:\s?each|\s?all)?",
    "while": r"while",
    "if": r"if",
    "else if": r"else\s?if|elif|elsif",
    "else": r"else|otherwise",
    "repeat": r"repeat",
    "break": r"break",
    "append": r"append",
    "return": r"return",
    "end": r"end(?:\s?(?:for|if|while))?|until",
}
"""What a row can begin with, and how pages write it."""

OPENERS = frozenset({"for", "while", "if", "else if", "else", "repeat"})
"""Keywords that open a block."""

_WORDS = [(keyword, re.compile(rf"({pattern})(?![A-Za-z])", re.IGNORECASE)) for keyword, pattern in KEYWORDS.items()]
_MILLIMETRES = re.compile(r"(\d+(?:\.\d+)?)\s*(mm|em|cm|pt|ex)?")
_UNITS = {"mm": 1.0, "cm": 10.0, "em": 3.5, "ex": 1.5, "pt": 0.35}


@dataclass(frozen=True)
class Row:
    """One line of an algorithm. ``depth`` orders indentations; ``keyword`` is one of KEYWORDS or empty."""

    depth: float
    keyword: str
    nodes: tuple[Node, ...]
    start: int
    end: int


def rows_of(nodes: Sequence[Node]) -> list[Row]:
    """The rows of a box, in whichever environment it is written."""
    commands = {n.text.lower() for n in nodes if n.kind == "command"}
    environments = {n.text for n in nodes if n.kind == "begin"}
    if commands & {r"\state", r"\statex", r"\require"} or "algorithmic" in environments:
        rows = list(_Algorithmic(nodes).rows())
    elif _algorithm2e(nodes):
        rows = list(_algorithm2e_rows(nodes, 0))
    else:
        rows = _joined(list(_aligned_rows(nodes)))
    return _to_the_end([part for row in rows for part in _conditional(_uncommented(row))])


def _uncommented(row: Row) -> Row:
    r"""``row`` without what stands behind ``\triangleright``, a remark."""
    at = next((i for i, n in enumerate(row.nodes) if n.is_command(*_REMARKS)), len(row.nodes))
    return replace(row, nodes=row.nodes[:at])


_REMARKS = (r"\triangleright", r"\rhd", r"\vartriangleright")


def _conditional(row: Row) -> Iterator[Row]:
    """``row``, or what ``if … then … else …`` on one line says on several."""
    then = _word(row.nodes, 0, "then") if row.keyword in ("if", "else if") else None
    if then is None or not meaningful(row.nodes[then[1] :]) or not plain(meaningful(row.nodes[then[1] :])).strip(" :"):
        yield row
        return
    inner = row.depth + 0.5
    otherwise = _word(row.nodes, then[1], "else", "otherwise")
    yield replace(row, nodes=row.nodes[: then[0]])
    yield Row(inner, "", row.nodes[then[1] : otherwise[0] if otherwise else None], row.start, row.end)
    if otherwise:
        yield Row(row.depth, "else", (), row.start, row.end)
        yield Row(inner, "", row.nodes[otherwise[1] :], row.start, row.end)


def _word(nodes: Sequence[Node], start: int, *words: str) -> tuple[int, int] | None:
    """Where one of ``words`` stands among ``nodes``, and the index behind it."""
    for at in range(start, len(nodes)):
        node = nodes[at]
        following = nodes[at + 1] if at + 1 < len(nodes) else None
        if node.kind in ("text", "word") and node.text.strip(" ,;:").split(" ")[0] in words:
            return at, at + 1
        if node.kind == "command" and node.text in TEXT_COMMANDS and following is not None:
            if following.kind == "group" and plain(following.children).strip(" ,;:") in words:
                return at, at + 2
    return None


def _joined(rows: Sequence[Row]) -> list[Row]:
    """``rows`` with those that only go on put to the one before."""
    out: list[Row] = []
    for row in rows:
        last = out[-1] if out else None
        body = meaningful(row.nodes)
        first = next((n for n in body if n.kind != "space"), None)
        goes_on = first is not None and (
            first.is_char("+-/=),") or first.is_command(r"\cdot", r"\times", r"\odot", r"\leftarrow", r"\gets")
        )
        heads = last is not None and last.keyword in ("input", "initialize", "output")
        if last is not None and not row.keyword and (goes_on or heads) and last.keyword not in ("else", "repeat"):
            comma = (Node("space", " ", row.start, row.start),)
            out[-1] = Row(last.depth, last.keyword, (*last.nodes, *comma, *row.nodes), last.start, row.end)
            continue
        out.append(row)
    return out


def _to_the_end(rows: Sequence[Row]) -> list[Row]:
    """``rows`` up to the ``return`` of the algorithm itself: what follows is no part of it."""
    least = 0.0
    for i, row in enumerate(rows):
        least = min(least, row.depth) if i else row.depth
        if row.keyword == "return" and row.depth <= least:
            return list(rows[: i + 1])
    return list(rows)


# -------------------------------------------------------------------------------------------------------- keywords


def leading_keyword(nodes: Sequence[Node], bare: bool = True) -> tuple[str, list[Node]]:
    """The keyword that ``nodes`` begin with, if any, and the rest of them.

    ``bare``: it need not be set in bold (``if`` among formulas, a word of prose).
    """
    nodes = list(nodes)
    at = 0
    while at < len(nodes) and (nodes[at].kind in ("space", "dollar") or nodes[at].is_char("&")):
        at += 1
    if at >= len(nodes):
        return "", nodes
    node, behind = nodes[at], at + 1
    if node.kind == "command" and node.text in TEXT_COMMANDS and behind < len(nodes):
        while behind < len(nodes) and nodes[behind].kind == "space":
            behind += 1
        if behind >= len(nodes):
            return "", nodes
        node = nodes[behind]
        inside = list(node.children) if node.kind == "group" else [node]
        keyword, rest = _keyword(inside)
        behind += 1
    elif node.kind == "group" and node.children and node.children[0].kind == "command":
        keyword, rest = leading_keyword(node.children)
    elif bare and node.kind in ("word", "text"):
        keyword, rest = _keyword([node])
    else:
        return "", nodes
    if not keyword:
        return "", nodes
    tail = [*rest, *nodes[behind:]]
    following = next((i for i, n in enumerate(tail) if n.kind != "space"), len(tail))
    if following < len(tail) and tail[following].is_char(":"):
        tail = tail[following + 1 :]
    if keyword == "else":
        second, rest = leading_keyword(tail)
        if second == "if":
            return "else if", rest
    return keyword, tail


def _keyword(nodes: Sequence[Node]) -> tuple[str, list[Node]]:
    """The keyword that a text begins with, and the nodes behind it."""
    text = plain(nodes)
    for keyword, pattern in _WORDS:
        match = pattern.match(text)
        if match is not None:
            words = len(match.group().split())
            rest, seen = list(nodes), 0
            if len(rest) == 1 and rest[0].kind == "text":
                return keyword, [Node("text", text[match.end() :].strip(" :"), rest[0].start, rest[0].end)]
            while rest and seen < words:
                seen += rest.pop(0).kind == "word"
            return keyword, rest
    return "", list(nodes)


# --------------------------------------------------------------------------------------------------------- aligned


def _aligned_rows(nodes: Sequence[Node]) -> Iterator[Row]:
    row: list[Node] = []
    skip = 0
    for i, node in enumerate((*nodes, None)):
        if skip:
            skip -= 1
            continue
        if node is not None and not node.is_command(r"\\", r"\cr", r"\newline"):
            if node.kind not in ("begin", "end"):
                row.append(node)
            continue
        skip = 0 if node is None else _row_end(nodes, i + 1)
        if (made := _aligned_row(row)) is not None:
            yield made
        row = []


def _row_end(nodes: Sequence[Node], at: int) -> int:
    r"""How many nodes the ``[-1.ex]`` behind a ``\\`` has."""
    if at < len(nodes) and nodes[at].is_char("["):
        for length in range(1, 12):
            if at + length < len(nodes) and nodes[at + length].is_char("]"):
                return length + 1
    return 0


_NESTED = 1000.0
"""A block of pseudocode is deeper than any space in front of a line."""


def _aligned_row(nodes: Sequence[Node]) -> Row | None:
    depth, at = _indentation(nodes, ("space", "dollar"))
    rest = nodes[at:]
    if not rest or rest[0].is_command(r"\rule", r"\hrule", r"\hline"):
        return None
    keyword, content = leading_keyword(rest)
    return Row(depth, keyword, tuple(content), rest[0].start, rest[-1].end)


def _indentation(nodes: Sequence[Node], blank: tuple[str, ...] = ("space",)) -> tuple[float, int]:
    """How far a row is indented, and the index behind what says so."""
    depth, at = 0.0, 0
    while at < len(nodes):
        node = nodes[at]
        if node.is_command(r"\hspace", r"\hspace*") and at + 1 < len(nodes) and nodes[at + 1].kind == "group":
            depth += _length(plain(nodes[at + 1].children))
            at += 2
        elif node.is_command(r"\quad", r"\qquad"):
            depth += 5 * (1 + (node.text == r"\qquad"))
            at += 1
        elif node.kind in blank or node.is_char("&") or node.is_command(r"\:", r"\,", r"\;", "\\ "):
            at += 1
        else:
            break
    return depth, at


def _length(text: str) -> float:
    match = _MILLIMETRES.search(text)
    return float(match[1]) * _UNITS[match[2] or "mm"] if match else 0.0


# ------------------------------------------------------------------------------------------------------ pseudocode


def prose(nodes: Sequence[Node]) -> list[Node]:
    r"""``nodes`` with everything outside ``$…$`` as nodes of kind ``text``; unchanged where there is no ``$``."""
    if not any(n.kind == "dollar" or n.is_command(r"\(") for n in nodes):
        return list(nodes)
    out: list[Node] = []
    words: list[Node] = []
    inside = False

    def flush() -> None:
        text = plain(words)
        before, after = re.match(r"[,;]", text), re.search(r"[,;]$", text[1:])
        if before:
            out.append(Node("char", ",", words[0].start, words[0].end))
        if rest := text.strip(",; "):
            out.append(Node("text", rest, words[0].start, words[-1].end))
        if after:
            out.append(Node("char", ",", words[-1].start, words[-1].end))
        words.clear()

    for node in meaningful(nodes):
        if node.kind == "dollar" or node.is_command(r"\(", r"\)"):
            flush()
            inside = not inside
            out.append(Node("dollar", node.text, node.start, node.end))
        elif inside:
            out.append(node)
        else:
            words.append(node)
    flush()
    return out


class _Algorithmic:
    r"""Reads ``\State … \If{…} … \EndIf``, in capitals or not."""

    STRUCTURE = frozenset(
        "state statex require ensure input output if elsif elseif else endif for forall endfor while endwhile repeat "
        "until return loop endloop procedure endprocedure function endfunction".split()
    )
    OPENS = frozenset({"if", "for", "forall", "while", "repeat", "loop", "procedure", "function"})
    CLOSES = frozenset({"endif", "endfor", "endwhile", "until", "endloop", "endprocedure", "endfunction"})
    NAMES = {"require": "input", "ensure": "output", "elsif": "else if", "elseif": "else if", "forall": "for"}  # noqa: RUF012

    def __init__(self, nodes: Sequence[Node]):
        self.nodes = nodes

    def rows(self) -> Iterator[Row]:
        depth = 0
        for command, content in self._pieces():
            name = command.text[1:].lower()
            end = content[-1].end if content else command.end
            if name in self.CLOSES:
                depth = max(0, depth - 1)
                continue
            if name in ("procedure", "function", "loop"):
                continue
            inner = depth - (name in ("else", "elsif", "elseif"))
            indent = 0.0
            if name in ("state", "statex"):
                indent, at = _indentation(content)
                keyword, rest = leading_keyword(prose(content[at:]))
                rest = prose(rest)
            else:
                keyword, rest = self.NAMES.get(name, name), prose(self._unwrapped(content))
                if keyword == "input" and (second := leading_keyword(rest))[0] in ("initialize", "input"):
                    keyword, rest = second
            yield Row(max(inner, 0) * _NESTED + indent, keyword, tuple(rest), command.start, end)
            depth += name in self.OPENS

    def _pieces(self) -> Iterator[tuple[Node, list[Node]]]:
        command: Node | None = None
        content: list[Node] = []
        for node in self.nodes:
            structural = node.kind == "command" and node.text[1:].lower() in self.STRUCTURE and node.text != r"\forall"
            if structural or node.kind in ("begin", "end"):
                if command is not None:
                    yield command, content
                command, content = (node if structural else None), []
            else:
                content.append(node)
        if command is not None:
            yield command, content

    def _unwrapped(self, content: Sequence[Node]) -> list[Node]:
        r"""The argument of ``\If{…}``, with what stands behind it."""
        first = next((i for i, n in enumerate(content) if n.kind != "space"), None)
        if first is None or content[first].kind != "group":
            return list(content)
        return [*content[first].children, *content[first + 1 :]]


# ----------------------------------------------------------------------------------------------------- algorithm2e

_HEADS = {
    r"\KwIn": "input", r"\KwData": "input", r"\KwInput": "input", r"\KwRequire": "input", r"\Input": "input",
    r"\Parameter": "input", r"\KwOut": "output", r"\KwResult": "output", r"\KwOutput": "output", r"\Output": "output",
    r"\KwInit": "initialize", r"\Initialize": "initialize",
}  # fmt: skip
_BLOCKS = {
    r"\For": "for", r"\ForEach": "for", r"\ForAll": "for", r"\While": "while", r"\If": "if", r"\uIf": "if",
    r"\lIf": "if", r"\ElseIf": "else if", r"\uElseIf": "else if", r"\lElseIf": "else if", r"\lFor": "for",
    r"\Repeat": "while",
}  # fmt: skip
_ELSES = frozenset({r"\Else", r"\uElse", r"\lElse"})
_RETURNS = frozenset({r"\Return", r"\KwRet", r"\Ret"})


_REMARK_ENDS = (r"\tcp*", r"\tcc*")
"""A remark at the end of a line, which ends the line."""


def _behind_remark(nodes: Sequence[Node], at: int) -> int:
    r"""The index behind ``[r]{…}`` at ``nodes[at]``."""
    while at < len(nodes) and nodes[at].kind != "group":
        at += 1
    return min(at + 1, len(nodes))


def _algorithm2e(nodes: Sequence[Node]) -> bool:
    commands = {*_HEADS, *_BLOCKS, *_ELSES, *_RETURNS, r"\eIf"}
    return any(n.kind == "command" and n.text in commands for n in nodes)


def _algorithm2e_rows(nodes: Sequence[Node], depth: int) -> Iterator[Row]:
    statement: list[Node] = []
    at = 0
    while at < len(nodes):
        node = nodes[at]
        at += 1
        if node.kind == "command" and (node.text in _BLOCKS or node.text in _ELSES or node.text == r"\eIf"):
            yield from _statement(statement, depth)
            statement = []
            at = yield from _block(nodes, at - 1, depth)
        elif node.kind == "command" and node.text in _HEADS:
            yield from _statement(statement, depth)
            statement = []
            group, at = _group(nodes, at)
            if group is not None:
                keyword, rest = leading_keyword(prose(group.children))
                keyword = keyword if keyword == "initialize" else _HEADS[node.text]
                yield Row(depth, keyword, tuple(prose(rest)), node.start, group.end)
        elif node.kind == "command" and node.text in _RETURNS:
            yield from _statement(statement, depth)
            group, at = _group(nodes, at)
            rest = list(group.children) if group else []
            while group is None and at < len(nodes) and not nodes[at].is_command(r"\;"):
                rest.append(nodes[at])
                at += 1
            yield Row(depth, "return", tuple(prose(rest)), node.start, rest[-1].end if rest else node.end)
            statement = []
        elif node.is_command(r"\;", r"\\", *_REMARK_ENDS):
            yield from _statement(statement, depth)
            statement = []
            if node.text in _REMARK_ENDS:
                at = _behind_remark(nodes, at)
        elif node.kind not in ("begin", "end"):
            statement.append(node)
    yield from _statement(statement, depth)


def _statement(nodes: Sequence[Node], depth: int) -> Iterator[Row]:
    nodes = [n for n in nodes if n.kind != "space"] and list(nodes)
    if nodes and nodes[0].kind == "command" and nodes[0].text.startswith((r"\Set", r"\DontPrint", r"\Lines")):
        return
    if meaningful(nodes) and plain(meaningful(nodes)):
        keyword, rest = leading_keyword(prose(nodes))
        yield Row(depth, keyword, tuple(prose(rest)), nodes[0].start, nodes[-1].end)


def _block(nodes: Sequence[Node], at: int, depth: int) -> Generator[Row, None, int]:
    """The rows of a command with a block; returns the index behind it."""
    command = nodes[at]
    condition: Node | None = None
    at += 1
    if command.text not in _ELSES:
        condition, at = _group(nodes, at)
    keyword = "else" if command.text in _ELSES else _BLOCKS.get(command.text, "if")
    content = prose(condition.children) if condition else []
    yield Row(depth, keyword, tuple(content), command.start, condition.end if condition else command.end)
    body, at = _group(nodes, at)
    if body is not None:
        yield from _algorithm2e_rows(body.children, depth + 1)
    if command.text == r"\eIf":
        body, at = _group(nodes, at)
        yield Row(depth, "else", (), command.start, command.end)
        if body is not None:
            yield from _algorithm2e_rows(body.children, depth + 1)
    return at


def _group(nodes: Sequence[Node], at: int) -> tuple[Node | None, int]:
    """The group at or behind ``nodes[at]``, and the index behind it; None (and ``at``) where there is none."""
    ahead = at
    while ahead < len(nodes) and nodes[ahead].kind == "space":
        ahead += 1
    if ahead < len(nodes) and nodes[ahead].kind == "group":
        return nodes[ahead], ahead + 1
    return None, at
