"""A box as the text of a spec: its rows, translated, with every place kept.

The text is what the page says and no more; :mod:`optdsl.importer.mend` makes of it what the language asks for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from optdsl.importer.header import InputItem, StateItem, identifier, is_parameter, read_inputs, read_states
from optdsl.importer.mathematics import translate
from optdsl.importer.names import Context, read_name, skip, split
from optdsl.importer.nodes import TEXT_COMMANDS, Node, meaningful, plain
from optdsl.importer.notes import Notes
from optdsl.importer.rows import OPENERS, Row
from optdsl.importer.writer import Writer
from optdsl.source import Diagnostic, Source, Span
from optdsl.syntax.vocabulary import FUNCTIONS

INDENT = "    "

_WORDS = ("to", "down to", "up to", "times", "do")
"""What stands between the formulas of a loop."""


@dataclass
class Box:
    """The text of a spec, and what was found out on the way.

    ``parameter`` is what the page calls θ; ``flags`` are inputs that stand in the box as words; ``stubs`` are functions
    that it calls and does not define; ``from_zero``: its steps are counted from 0.
    """

    writer: Writer
    parameter: str
    flags: frozenset[str]
    stubs: frozenset[str]
    from_zero: bool
    diagnostics: list[Diagnostic]


@dataclass
class _Sections:
    inputs: list[InputItem] = field(default_factory=list)
    states: list[StateItem] = field(default_factory=list)
    step: list[Row] = field(default_factory=list)
    returns: Row | None = None
    loop: Row | None = None


def write_box(source: Source, rows: Sequence[Row], name: str, doc: str, notes: Notes | None) -> Box:
    """The spec that ``rows`` spell. ``notes``, written by the compiler, take the place of the header."""
    context = Context(source, functions=set(notes.functions) if notes else set())
    if notes:
        context.choices = notes.choices
        context.flat = notes.flat
    context.index = _index(rows)
    context.parameter = _parameter(rows, context)
    context.declared = _declared(rows, context)
    if notes:
        context.declared |= notes.words
    sections = _sections(rows, context)
    body = _step(sections, context)
    out = Writer(source)
    if notes:
        out.append(notes.writer)
    else:
        for function, counts in context.unknown.items():
            _stub(out, function, *counts)
        out.write(f"optimizer {name}:\n", 0, 0)
        if doc:
            out.write(f'{INDENT}"""{doc}"""\n', 0, 0)
        _header(out, sections, context)
    out.append(body)
    flags = frozenset(item.names[0].text for item in sections.inputs if item.flag)
    stubs = frozenset(() if notes else context.unknown)
    from_zero = sections.loop is not None and re.search(r"= ?0\b", plain(sections.loop.nodes)) is not None
    return Box(out, context.parameter, flags, stubs, from_zero, context.diagnostics)


# ------------------------------------------------------------------------------------------------- what rows are for


def _index(rows: Sequence[Row]) -> str:
    """The letter that counts the steps."""
    for row in rows:
        if row.keyword in ("for", "while"):
            found = re.match(r"(?:each )?([A-Za-z]) ?(?:=|in\b|gets|leftarrow|←)", plain(row.nodes))
            return found[1] if found and row.keyword == "for" else "t"
    return "t"


def _parameter(rows: Sequence[Row], context: Context) -> str:
    """What the box calls the parameter: the argument of the gradient."""
    probe = Context(context.source, index=context.index)
    for row in rows:
        if any(n.is_command(r"\nabla") for n in row.nodes):
            translate(row.nodes, probe)
            break
    return probe.parameter


def _declared(rows: Sequence[Row], context: Context) -> set[str]:
    """The words of several letters that stand for values: inputs, and what is assigned."""
    words: set[str] = set()
    probe = Context(context.source, index=context.index)
    for row in rows:
        if row.keyword == "input":
            words |= {n.base for item in read_inputs(row.nodes, probe) for n in item.names}
        elif row.keyword in ("", "initialize"):
            for part in _statements(row.nodes):
                read = read_name(part, skip(part, 0), probe)
                if read is not None:
                    words.add(read[0].base)
    return {word for word in words if len(word) > 1 and word not in FUNCTIONS}


def _sections(rows: Sequence[Row], context: Context) -> _Sections:
    out = _Sections()
    for row in rows:
        if out.loop is None and row.keyword == "input":
            out.inputs += read_inputs(row.nodes, context)
        elif out.loop is None and row.keyword == "initialize":
            out.states += read_states(row.nodes, context)
        elif row.keyword in ("output", "input", "initialize", "end"):
            continue
        elif out.loop is None and (row.keyword in ("for", "while") or _is_endless(row)):
            out.loop = row
        elif out.loop is None and not row.keyword:
            out.states += read_states(row.nodes, context)
        elif row.keyword == "return" and (out.loop is None or row.depth <= out.loop.depth):
            out.returns = row
        else:
            out.step.append(row)
    return out


def _is_endless(row: Row) -> bool:
    r"""``\REPEAT … \UNTIL{…}``, where no number says how often."""
    return row.keyword == "repeat" and not plain(row.nodes)


# ----------------------------------------------------------------------------------------------------------- header


def _header(out: Writer, sections: _Sections, context: Context) -> None:
    inputs = [i for i in sections.inputs if i.names and not is_parameter(i, context)]
    if inputs:
        out.write(f"{INDENT}input:\n", 0, 0)
    seen: set[str] = set()
    for item in inputs:
        names = [n for n in item.names if n.text not in seen]
        seen |= {n.text for n in names}
        if names:
            _input(out, item, context)
    states = [s for s in sections.states if s.name.base not in ("θ", "t", context.index, context.parameter)]
    if states:
        out.write(f"{INDENT}initialize:\n", 0, 0)
    for state in states:
        out.write(INDENT * 2, state.name.start, state.name.start)
        out.write(state.name.text, state.name.start, state.name.end)
        out.write(" ← ", state.name.end, state.name.end)
        out.append(translate(state.value, context))
        key = identifier(state.label)
        if key:
            out.write(f" ({key})", state.start, state.end)
        out.write("\n", state.name.end, state.name.end)


def _input(out: Writer, item: InputItem, context: Context) -> None:
    out.write(INDENT * 2, item.names[0].start, item.names[0].start)
    for i, name in enumerate(item.names):
        out.write(", " if i else "", name.start, name.start)
        out.write(name.text, name.start, name.end)
    if item.python_name and not item.flag and item.python_name != item.names[0].text:
        out.write(f" ({item.python_name})", item.start, item.end)
    if item.choices:
        quoted = ", ".join('"' + c.replace("\\", "").replace('"', "") + '"' for c in item.choices)
        out.write(f" ∈ {{{quoted}}}", item.start, item.end)
    if item.default and len(item.names) == 1:
        out.write(" = ", item.names[0].end, item.names[0].end)
        out.append(translate(item.default, context))
    out.write("\n", item.names[-1].end, item.names[-1].end)


def _stub(out: Writer, name: str, arguments: int, parameters: int) -> None:
    """A function that the page calls and does not define."""
    letters = [f"x{i}" for i in range(1, arguments + 1)] if arguments > 1 else ["x"]
    more = "; " + ", ".join(f"p{i}" for i in range(1, parameters + 1)) if parameters else ""
    out.write(f"function {name}({', '.join(letters)}{more}):\n{INDENT}return {letters[0]}\n\n", 0, 0)


# -------------------------------------------------------------------------------------------------------------- step


def _step(sections: _Sections, context: Context) -> Writer:
    out = Writer(context.source)
    rows = sections.step
    if sections.loop is not None or rows:
        place = sections.loop or rows[0]
        header = "for each step do" if context.flat else "for t = 1 to … do"
        out.write(f"{INDENT}{header}\n", place.start, place.end)
    levels: list[float] = []
    opened = False
    elements: list[int] = []
    for row in rows:
        if not levels or (row.depth > levels[-1] and opened):
            levels.append(row.depth)
        while len(levels) > 1 and row.depth < levels[-1] and row.depth <= (levels[-2] + levels[-1]) / 2:
            levels.pop()
        while elements and len(levels) <= elements[-1]:
            elements.pop()
        context.elements = bool(elements)
        opened = row.keyword in OPENERS
        lines = _row(row, context)
        for line in lines:
            out.write(INDENT * (1 + len(levels)), row.start, row.start)
            out.append(line)
            out.write("\n", row.end, row.end)
        opened = opened and bool(lines)
        if row.keyword == "for" and not context.flat:
            elements.append(len(levels))
    context.elements = False
    if sections.returns is not None:
        row = sections.returns
        out.write(f"{INDENT}return ", row.start, row.start)
        out.append(translate(_formula(row.nodes), context))
        out.write("\n", row.end, row.end)
    elif not context.flat:
        end = len(context.source.text.rstrip())
        out.write(f"{INDENT}return θ_t\n", end, end)
    return out


def _row(row: Row, context: Context) -> list[Writer]:
    """The lines of the spec that a row of the step becomes."""
    line = Writer(context.source)
    if context.flat and row.keyword in ("for", "while", "repeat", "break", "append", "return"):
        return [_imperative(row, context)]
    match row.keyword:
        case "if" | "else if":
            line.write(row.keyword + " ", row.start, row.start)
            line.append(translate(_trimmed(_formula(row.nodes, condition=True)), context))
            return [line]
        case "else":
            line.write("else", row.start, row.end)
            return [line]
        case "for":
            text = plain(row.nodes)
            if "support" in text:
                line.write("for ", row.start, row.start)
                line.append(translate(_trimmed(row.nodes), context))
                line.write(" do", row.end, row.end)
            elif re.match(r"(?!i\b)[A-Za-z] ?=", text):
                _inner_loop(row, context)
                return []
            else:
                line.write("for i = 0, 1, …, d-1 do", row.start, row.end)
            return [line]
        case "repeat" if _is_endless(row):
            _inner_loop(row, context)
            return []
        case "repeat":
            line.write("repeat ", row.start, row.start)
            line.append(translate(_trimmed(row.nodes), context))
            return [line]
        case "while":
            _inner_loop(row, context)
            return []
        case "return":
            line.write("return ", row.start, row.start)
            line.append(translate(_trimmed(_formula(row.nodes)), context))
            return [line]
    _condition_in_words(row, context)
    written = (_statement(part, row, context) for part in _statements(row.nodes))
    return [line for line in written if line is not None]


def _imperative(row: Row, context: Context) -> Writer:
    """A loop, or one of the short statements, of an optimizer over flat θ."""
    line = Writer(context.source)
    line.write(row.keyword, row.start, row.start)
    part: list[Node] = []
    for node in (*_imperative_words(row.nodes), None):
        if isinstance(node, Node):
            part.append(node)
            continue
        if _trimmed(part):
            line.write(" ", row.start, row.start)
            line.append(translate(_trimmed(part), context))
        part = []
        if node is not None:
            line.write(f" {node}", row.end, row.end)
    return line


def _imperative_words(nodes: Sequence[Node]) -> Iterator[Node | str]:
    """``nodes``, those that set ``to``, ``down to``, ``up to``, ``times`` or ``do`` in bold as that text."""
    at = 0
    while at < len(nodes):
        group = nodes[at + 1] if at + 1 < len(nodes) else None
        words = plain(group.children) if group is not None and group.kind == "group" else ""
        if nodes[at].is_command(r"\textbf", r"\bf") and words in _WORDS:
            yield words
            at += 2
        elif nodes[at].kind in ("word", "text") and nodes[at].text in ("up", "to"):
            yield nodes[at].text
            at += 1
        else:
            yield nodes[at]
            at += 1


def _inner_loop(row: Row, context: Context) -> None:
    message = "a loop inside the step has no counterpart in the language"
    help_ = "the outermost loop is the one over the steps; write what a round of this one does, or import that alone"
    context.report("E703", message, row.start, row.end, help_)


def _condition_in_words(row: Row, context: Context) -> None:
    """Reports ``$x_t \\gets a$ if $t > 1$``: prose is left out, and this would change the meaning."""
    nodes = meaningful(row.nodes)
    formulas = [i for i, n in enumerate(nodes) if n.kind not in ("text", "dollar", "space")]
    for i, node in enumerate(nodes):
        between = formulas and formulas[0] < i < formulas[-1]
        if node.kind == "text" and between and re.match(r"(?:if|when|unless|else|otherwise)\b", node.text):
            help_ = r"write it as `\If{…} … \Else … \EndIf`"
            context.report("E703", "a condition behind an assignment is not read", node.start, node.end, help_)
            return


def _statement(nodes: Sequence[Node], row: Row, context: Context) -> Writer | None:
    """One assignment; None where there is nothing to say (the counting of steps, or prose)."""
    nodes = _trimmed(nodes)
    at = next((i for i, n in enumerate(nodes) if n.is_command(r"\leftarrow", r"\gets", r"\longleftarrow")), None)
    if at is None:
        at = next((i for i, n in enumerate(nodes) if n.is_char("=")), None)
    if at is None:
        if not _is_prose(nodes):
            place = Span(context.source, nodes[0].start, nodes[-1].end)
            context.diagnostics.append(Diagnostic("E702", "this row assigns nothing", place))
        return None
    target, value = nodes[:at], nodes[at + 1 :]
    if plain(target) == context.index:
        return None
    out = translate(target, context)
    out.write(" ← ", nodes[at].start, nodes[at].end)
    out.append(translate(value, context))
    return out


def _is_prose(nodes: Sequence[Node]) -> bool:
    """Whether a row holds words and nothing else."""
    return all(
        n.kind in ("space", "text", "dollar", "word")
        or n.is_char(",.:;-'()")
        or n.text in TEXT_COMMANDS
        or (n.kind == "group" and _is_prose(n.children))
        for n in nodes
    )


def _statements(nodes: Sequence[Node]) -> list[list[Node]]:
    """The assignments of a row: apart where a comma, or prose, stands before the next one."""
    parts: list[list[Node]] = []
    targets: list[Node] = []
    for part in split(_formula(nodes), ","):
        comma = [Node("char", ",", part[0].start, part[0].start)] if part else []
        if any(map(_assigns, part)):
            parts.append([*targets, *(comma if targets else []), *part])
            targets = []
        elif parts:
            parts[-1] += [*comma, *part]
        else:
            targets += [*(comma if targets else []), *part]
    return [*parts, *([targets] if targets else [])]


def _formula(nodes: Sequence[Node], condition: bool = False) -> list[Node]:
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
            behind_prose = bool(re.search(r"[A-Za-z]", text)) and any(n.kind not in ("text", "dollar") for n in out)
        elif depth == 0 and (not behind_prose or any(map(_assigns, piece))):
            out += piece
    return out


def _pieces(nodes: Sequence[Node]) -> list[list[Node]]:
    """``nodes`` apart at prose: each piece is one text, or a formula."""
    pieces: list[list[Node]] = []
    for node in nodes:
        if not pieces or node.kind == "text" or pieces[-1][0].kind == "text":
            pieces.append([])
        pieces[-1].append(node)
    return pieces


def _assigns(node: Node) -> bool:
    return node.is_command(r"\leftarrow", r"\gets", r"\longleftarrow") or node.is_char("=")


def _trimmed(nodes: Sequence[Node]) -> list[Node]:
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
