"""A box as the text of a spec: its rows, translated, with every place kept.

The text is what the page says and no more; :mod:`optdsl.importer.mend` makes of it what the language asks for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from optdsl.importer.header import (
    InputItem,
    StateItem,
    identifier,
    initial,
    is_initial,
    is_parameter,
    read_inputs,
    read_states,
    untimed,
)
from optdsl.importer.mathematics import translate
from optdsl.importer.names import Context, read_name, skip
from optdsl.importer.nodes import Node, meaningful, plain
from optdsl.importer.notes import Notes
from optdsl.importer.roles import (
    Labels,
    assigned_names,
    declared_words,
    is_step,
    layer_letters,
    loop_labels,
    parameter_letter,
    step_bounds,
    step_index,
)
from optdsl.importer.rows import OPENERS, Row
from optdsl.importer.statements import formula_of, is_assignment, is_prose, one_gradient, statements, trimmed
from optdsl.importer.writer import Writer
from optdsl.source import Diagnostic, Severity, Source, Span

INDENT = "    "

_WORDS = ("to", "down to", "up to", "times", "do")
"""What stands between the formulas of a loop."""


@dataclass
class Box:
    """The text of a spec, and what was found out on the way.

    ``parameter`` is what the page calls θ; ``flags`` are inputs that stand in the box as words; ``bounds`` are names
    that say how many steps there are; ``stubs`` are functions that it calls and does not define; ``from_zero``: its
    steps are counted from 0.
    """

    writer: Writer
    parameter: str
    flags: frozenset[str]
    bounds: frozenset[str]
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
    context.index = step_index(rows)
    context.parameter = parameter_letter(rows, context)
    context.declared = declared_words(rows, context)
    if notes:
        context.declared |= notes.words
    context.labels = layer_letters(rows)
    sections = _sections(rows, context)
    functions = (i for i in sections.inputs if i.label.endswith("function") and not is_parameter(i, context))
    context.called = {name.text for item in functions for name in item.names}
    body = _step(sections, context)
    if len(context.points) > 1:
        start, end = list(context.points.values())[1]
        help_ = "a step has one gradient; what another step had is kept in a state, such as `g_{t-1}` beside `g_t`"
        context.report("E703", "this gradient is of another step than the one before", start, end, help_)
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
    bounds = step_bounds(sections.loop, context) if sections.loop is not None else frozenset()
    stubs = frozenset(() if notes else context.unknown)
    from_zero = sections.loop is not None and re.search(r"= ?0\b", plain(sections.loop.nodes)) is not None
    return Box(out, context.parameter, flags, bounds, stubs, from_zero, context.diagnostics)


# -------------------------------------------------------------------------------------------------------- sections


def _sections(rows: Sequence[Row], context: Context) -> _Sections:
    out = _Sections()
    looped = any(row.keyword in ("for", "while") or _is_endless(row) for row in rows)
    for row in rows:
        began = out.loop is not None or bool(out.step)
        assigns = any(map(is_assignment, row.nodes))
        if not began and row.keyword == "input":
            out.inputs += read_inputs(row.nodes, context)
        elif not began and row.keyword == "initialize":
            out.states += read_states(row.nodes, context)
        elif began and row.keyword in ("input", "initialize", "output") and assigns:
            out.step.append(replace(row, keyword=""))
        elif row.keyword in ("output", "input", "initialize", "end"):
            continue
        elif out.loop is None and (row.keyword in ("for", "while") or _is_endless(row)) and not out.step:
            out.loop = row
        elif not began and not row.keyword and (looped or not (assigns and is_step(row, context))):
            out.states += read_states(row.nodes, context)
        elif row.keyword == "return" and (out.loop is None or row.depth <= out.loop.depth):
            out.returns = row
        else:
            out.step.append(row)
    _move_states(out, context)
    return out


def _move_states(sections: _Sections, context: Context) -> None:
    """Initial values that stand among the inputs, ``m_0 = 0``, to the states."""
    probe = Context(context.source, index=context.index)
    assigned = {name.text for row in sections.step for name in assigned_names(row, probe)}
    kept: list[InputItem] = []
    states: list[StateItem] = []
    for i, item in enumerate(sections.inputs):
        name = item.names[0] if len(item.names) == 1 else None
        value = next((later.default for later in sections.inputs[i:] if later.default), [])
        if name is None or not value or not is_initial(name) or untimed(name) not in assigned:
            kept.append(item)
            continue
        states.append(StateItem(initial(name), value, start=name.start, end=name.start))
    sections.inputs[:] = kept
    sections.states[:0] = states


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
    labels: list[Labels] = []
    outside = context.labels
    for i, row in enumerate(rows):
        if not levels or (row.depth > levels[-1] and opened):
            levels.append(row.depth)
        while len(levels) > 1 and row.depth < levels[-1] and row.depth <= (levels[-2] + levels[-1]) / 2:
            levels.pop()
        labels = [label for label in labels if row.depth > label.depth]
        context.labels = outside | {label.letter for label in labels}
        opened = row.keyword in OPENERS
        if (
            row.keyword == "for"
            and not context.flat
            and (label := loop_labels(row, rows[i + 1 :], context)) is not None
        ):
            labels.append(label)
            if label.tensors:
                opened = False
                continue
        lines = _row(row, context)
        for line in lines:
            out.write(INDENT * (1 + len(levels)), row.start, row.start)
            out.append(line)
            out.write("\n", row.end, row.end)
        opened = opened and bool(lines)
    context.labels = outside
    if sections.returns is not None:
        row = sections.returns
        out.write(f"{INDENT}return ", row.start, row.start)
        formula = formula_of(row.nodes)
        returned = read_name(formula, skip(formula, 0), context)
        if returned is not None and returned[1] == len(formula) and returned[0].base == context.parameter:
            out.write(f"{context.parameter}_t", returned[0].start, returned[0].end)  # x_{T+1}
        else:
            out.append(translate(formula, context))
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
            line.append(translate(trimmed(formula_of(row.nodes, condition=True)), context))
            return [line]
        case "else":
            line.write("else", row.start, row.end)
            return [line]
        case "for":
            text = plain(row.nodes)
            if "support" in text:
                line.write("for ", row.start, row.start)
                line.append(translate(trimmed(row.nodes), context))
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
            line.append(translate(trimmed(row.nodes), context))
            return [line]
        case "while":
            _inner_loop(row, context)
            return []
        case "return":
            line.write("return ", row.start, row.start)
            line.append(translate(trimmed(formula_of(row.nodes)), context))
            return [line]
    _condition_in_words(row, context)
    _jump(row, context)
    written = (_statement(part, row, context) for part in statements(row.nodes))
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
        if trimmed(part):
            line.write(" ", row.start, row.start)
            line.append(translate(trimmed(part), context))
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


def _jump(row: Row, context: Context) -> None:
    """Reports ``continue`` and its like: passed over as prose, they would change the meaning."""
    if found := re.match(r"(?:continue|break|skip|go ?to|exit)\b", plain(row.nodes).lower()):
        help_ = r"put what follows under `\Else`"
        context.report("E703", f"`{found[0]}` is not read", row.start, row.end, help_)


def _is_partial(nodes: Sequence[Node], at: int) -> bool:
    at = skip(nodes, at)
    return at < len(nodes) and nodes[at].is_command(r"\partial")


def _statement(nodes: Sequence[Node], row: Row, context: Context) -> Writer | None:
    """One assignment; None where there is nothing to say (the counting of steps, or prose)."""
    nodes = trimmed(nodes)
    at = next((i for i, n in enumerate(nodes) if n.is_command(r"\leftarrow", r"\gets", r"\longleftarrow")), None)
    if at is None:
        at = next((i for i, n in enumerate(nodes) if n.is_char("=")), None)
    if at is None:  # g_t \in \partial f(x_t)
        subgradients = (i for i, n in enumerate(nodes) if n.is_command(r"\in") and _is_partial(nodes, i + 1))
        at = next(subgradients, None)
    if at is None:
        if not is_prose(nodes):
            place = Span(context.source, nodes[0].start, nodes[-1].end)
            first = next((n for n in row.nodes if n.kind not in ("space", "dollar")), None)
            said = first is not None and first.kind == "text"
            context.diagnostics.append(
                Diagnostic("W702", "this row is left out: it assigns nothing", place, severity=Severity.WARNING)
                if said
                else Diagnostic("E702", "this row assigns nothing", place)
            )
        return None
    target, value = nodes[:at], nodes[at + 1 :]
    target = target[: next((i for i, n in enumerate(target) if n.is_command(r"\in")), at)]
    if plain(target) == context.index:
        return None
    read = read_name(target, skip(target, 0), context)
    squared = read is not None and read[0].power is not None and plain(read[0].power) == "2"
    value = one_gradient(value)
    out = Writer(context.source)
    if read is not None and squared:  # b_t^2 = …
        out.write(read[0].text, read[0].start, read[0].end)
    else:
        out.append(translate(target, context))
    expected = read is not None and read[0].base == "E"
    if read is not None and not expected and read[1] < len(target) and target[read[1]].is_char("[("):
        message, help_ = "an assignment to some elements is not read", r"choose by `\begin{cases} … \end{cases}`"
        context.report("E703", message, nodes[0].start, nodes[at].start, help_)
        return None
    out.write(" ← √(" if squared else " ← ", nodes[at].start, nodes[at].end)
    out.append(translate(value, context))
    out.write(")" if squared else "", nodes[-1].end, nodes[-1].end)
    return out
