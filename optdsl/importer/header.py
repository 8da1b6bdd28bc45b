r"""What a box says before its loop: the inputs and the initial values, with the words that stand beside them.

``\gamma \text{ (lr)}``, ``learning rate $\gamma$``, ``\beta_1, \beta_2 \text{ (betas)}``, ``\textit{amsgrad}``,
``\eta_{+/-} \text{ (etaplus, etaminus)}``, ``(a, b, c) \text{ (coefficients)}``; ``m_0 \leftarrow 0 \text{ (first
moment)}``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from optdsl.importer.names import Context, Name, closing, group_or_node, read_name, skip, split, without_comma
from optdsl.importer.nodes import TEXT_COMMANDS, Node, meaningful, plain

FIELD_NAMES = {
    "learning_rate": "lr", "step_size": "lr", "stepsize": "lr", "base_learning_rate": "lr", "epsilon": "eps",
    "initial_learning_rate": "lr", "epsilons": "eps", "weightdecay": "weight_decay",
    "weight_decay_coefficient": "weight_decay",
    "momentum_coefficient": "momentum", "momentum_factor": "momentum",
}  # fmt: skip
"""What torch calls the arguments that papers call otherwise."""

PARAMETERS = re.compile(
    r"(?:initial )?(?:model )?(?:param(?:eter)?s?|weights?)(?: vector)?"
    r"|(?:stochastic )?(?:objective|loss)(?: function)?"
    r"|(?:max(?:imum|imal)? )?(?:number of |total )?(?:training )?(?:steps|iterations|epochs)"
)
"""Labels of what every optimizer is given."""

MOST_WORDS = 4
"""A label with more words is an explanation, not a name."""


@dataclass
class InputItem:
    """One input of the box: its symbols, the label beside them, and a default or choices where they are given."""

    names: list[Name]
    label: str = ""
    start: int = 0
    end: int = 0
    default: list[Node] = field(default_factory=list)
    choices: list[str] = field(default_factory=list)
    flag: bool = False

    @property
    def python_name(self) -> str:
        """The label as an identifier, or nothing."""
        name = identifier(self.label)
        return FIELD_NAMES.get(name.removesuffix("s"), name) if len(self.names) == 1 else name


@dataclass
class StateItem:
    """One initial value: a name, what is assigned to it, and the label beside it."""

    name: Name
    value: list[Node]
    label: str = ""
    start: int = 0
    end: int = 0


GENERAL = re.compile(r"\b(?:hyper-?\s?param(?:eter)?s|constants|scalars)$|^(?:constant|scalar)$")
"""Labels that say nothing of what they name."""


_DEFAULT = re.compile(r"(?:by |in |the )?(?:default|e\.g\.|usually|typically|recommended)\b", re.IGNORECASE)
"""Labels that tell a default."""


def _names_one(label: str) -> bool:
    """Whether a label is that of one value: ``step size``, or ``step sizes`` one for each step, not ``decay rates``."""
    name = identifier(label)
    return bool(name) and (name.removesuffix("s") in FIELD_NAMES or not re.search(r"[^s]s$", label.strip().lower()))


def identifier(label: str) -> str:
    """``label`` as a Python name; empty where it is an explanation rather than a name."""
    label = re.sub(r"^initiali[sz]e\b|^the\b", "", label.lower().strip())
    words = re.findall(r"[A-Za-z0-9]+", re.sub(r"\s*_\s*(?=\d)", "", label))
    if not words or len(words) > MOST_WORDS or not words[0][0].isalpha():
        return ""
    name = "_".join(words)
    return FIELD_NAMES.get(name, name)


def is_parameter(item: InputItem, context: Context) -> bool:
    """Whether an input is the parameter or the objective, which every optimizer has."""
    if item.label and PARAMETERS.fullmatch(item.label.lower().strip()):
        return True
    return bool(item.names) and all(n.base == (context.parameter or "θ") for n in item.names)


# --------------------------------------------------------------------------------------------------------- inputs


def read_inputs(nodes: Sequence[Node], context: Context) -> list[InputItem]:
    """The inputs that a row of the header lists."""
    return list(_Inputs(meaningful(nodes), context).items())


class _Inputs:
    def __init__(self, nodes: list[Node], context: Context):
        self.nodes, self.context = nodes, context
        self.at = 0
        self.pending: list[InputItem] = []
        self.lead = ""

    def items(self) -> Iterator[InputItem]:
        while self.at < len(self.nodes):
            node = self.nodes[self.at]
            if (label := self._label()) is not None:
                yield from self._labelled(*label)
            elif node.kind == "text" and node.text == "and":
                self.at += 1
            elif node.kind == "text" and node.text.startswith(":") and self.pending:
                yield from self._explained(node)
            elif node.kind == "text":
                yield from self._flush()
                self.lead = node.text.strip(" ,;:.")
                self.at += 1
            elif flag := self._flag():
                yield from self._flush()
                yield flag
            elif node.is_char(";") or node.is_command(r"\\"):
                yield from self._flush()
                self.at += 1
            elif node.is_command(r"\in"):
                self.at += 1
                self._skip_set()
            elif node.is_char("=") or node.is_command(r"\gets", r"\leftarrow"):
                self.at += 1
                self._default()
            elif node.is_char("("):
                self._tuple()
            elif node.is_command(r"\{", r"\lbrace"):
                self._sequence()
            else:
                self._symbol()
        yield from self._flush()

    def _label(self) -> tuple[str, Node] | None:
        r"""``(lr)`` behind a symbol, as ``\text{(lr)}``, in prose, or in pieces: ``\text{(}\beta_2\text{ decay)}``."""
        start = self.at
        node = self.nodes[start]
        behind = start + 1
        if node.kind == "text":
            content = node.text
        elif node.is_command(r"\text", r"\textrm", r"\mbox", r"\mathrm") and behind < len(self.nodes):
            content = plain(self.nodes[behind].children or (self.nodes[behind],))
            behind += 1
        else:
            return None
        content = content.strip()
        if not content.startswith("("):
            return None
        while content.count("(") > content.count(")") and behind < len(self.nodes):
            content += " " + plain([self.nodes[behind]])
            behind += 1
        self.at = behind
        inside, _, rest = content[1:].partition(")")
        if rest.strip(" ,;.:") and node.kind == "text":
            self.nodes.insert(behind, Node("text", rest, node.end, node.end))
        return inside.strip(), Node("text", content, node.start, self.nodes[behind - 1].end)

    def _labelled(self, label: str, place: Node) -> Iterator[InputItem]:
        labels = [part.strip() for part in label.split(",")]
        names = [name for item in self.pending for name in item.names]
        if names and _DEFAULT.match(label):
            numbers = re.findall(r"\d+(?:\.\d+)?(?:[eE]-?\d+)?(?:\^-?\d+)?", re.sub(r"\s*([\^-])\s*", r"\1", label))
            for item, number in zip(reversed(self.pending), reversed(numbers), strict=False):
                item.default = [Node("number", number.replace("10^", "1e"), place.start, place.end)]
            yield from self._flush()
            return
        flags = [item for item in self.pending if item.flag]
        if flags or not names:
            yield from self._flush()
            return
        if len(labels) == len(names) > 1:
            for name, text in zip(names, labels, strict=True):
                yield InputItem([name], text, place.start, place.end)
        elif _names_one(label) and len({name.base for name in names}) > 1:  # β, α: learning rate
            *others, last = self.pending
            yield from others
            yield replace(last, label=label, start=place.start, end=place.end)
        else:
            first = self.pending[0]
            yield InputItem(names, label, place.start, place.end, first.default, first.choices)
        self.pending, self.lead = [], ""

    def _explained(self, node: Node) -> Iterator[InputItem]:
        r"""``$\alpha$: step size``; what follows in the row explains too."""
        yield from self._labelled(node.text[1:].partition("(")[0].strip(" ,;."), node)
        self.at = next((i for i in range(self.at, len(self.nodes)) if self.nodes[i].is_char(";")), len(self.nodes))

    def _flush(self) -> Iterator[InputItem]:
        """The symbols read so far, which no label follows: what precedes them names them, or nothing does."""
        named = [item for item in self.pending if not item.default] or self.pending
        names = [name for item in named for name in item.names]
        if self.lead and GENERAL.search(self.lead.lower()):
            yield from self.pending
        elif self.lead and len(names) > 1 and _names_one(self.lead) and len({name.base for name in names}) > 1:
            named[0].label = self.lead
            yield from self.pending
        elif self.lead and len(names) > 1 and identifier(self.lead) and not named[0].default:
            if len({name.base for name in names}) > 1:
                yield InputItem(names, self.lead, names[0].start, names[-1].end, named[0].default)
            else:  # decay rates β₁, β₂: the letter tells more
                yield from named
            yield from (item for item in self.pending if item not in named)
        else:
            for i, item in enumerate(self.pending):
                one = len(self.pending) == 1 or _names_one(self.lead)
                item.label = item.label or (self.lead if one and i == 0 else "")
                yield item
        self.pending, self.lead = [], ""

    def _flag(self) -> InputItem | None:
        r"""``\textit{amsgrad}`` or a bare word."""
        node = self.nodes[self.at]
        behind = self.at + 1
        if node.kind == "word" and len(node.text) > 1:
            word = node.text
        elif node.kind == "command" and node.text in TEXT_COMMANDS and behind < len(self.nodes):
            word = plain(self.nodes[behind].children or (self.nodes[behind],))
            behind += 1
        else:
            return None
        word = word.strip(" ,;").replace(r"\_", "_")
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]+", word):
            return None
        read = read_name(self.nodes, self.at, self.context)
        if read is not None and read[0].text != word:
            return None
        item = InputItem([Name(word, node.start, self.nodes[behind - 1].end)], flag=True)
        self.at = skip(self.nodes, behind)
        if self.at < len(self.nodes) and self.nodes[self.at].is_command(r"\in"):
            self.at += 1
            words = re.findall(r"``(.*?)''", self._set_text())
            item.choices = words
        return item

    def _symbol(self) -> None:
        read = read_name(self.nodes, self.at, self.context)
        if read is None:
            self.at += 1
            return
        name, behind = read
        self.at = behind
        following = skip(self.nodes, behind)
        if following < len(self.nodes) and self.nodes[following].is_char("("):  # the objective, f(θ)
            self.at = closing(self.nodes, following) + 1
            self.pending.append(InputItem([], "objective"))
            return
        self.pending += [InputItem([n], start=n.start, end=n.end) for n in _alternatives(name)]

    def _tuple(self) -> None:
        """``(a, b, c)``: symbols in brackets."""
        end = closing(self.nodes, self.at)
        inside = self.nodes[self.at + 1 : end]
        self.at = end + 1
        for part in split(inside, ","):
            read = read_name(part, skip(part, 0), self.context)
            if read is not None:
                self.pending.append(InputItem([read[0]], start=read[0].start, end=read[0].end))

    def _sequence(self) -> None:
        r"""``\{\alpha_t\}_{t=1}^T``: a value for every step."""
        self._tuple()
        while self.at + 1 < len(self.nodes) and self.nodes[self.at].is_char("_^"):
            self.at = group_or_node(self.nodes, self.at + 1)[1]

    def _set_text(self) -> str:
        start = self.at
        self._skip_set()
        source = self.context.source.text
        return source[self.nodes[start].start : self.nodes[self.at - 1].end] if self.at > start else ""

    def _skip_set(self) -> None:
        r"""Pass over what stands behind ``\in``: up to a label, or a comma outside brackets."""
        depth = 0
        while self.at < len(self.nodes):
            node = self.nodes[self.at]
            depth += node.is_char("([") or node.is_command(r"\{")
            if depth <= 0 and (node.is_char(",;") or node.kind in ("text", "dollar")):
                return
            if depth <= 0 and node.is_command(r"\text", r"\textit", r"\textrm"):
                return
            depth -= node.is_char(")]") or node.is_command(r"\}")
            self.at += 1

    def _default(self) -> None:
        start = self.at
        self._skip_set()
        if not self.pending:
            return
        value = without_comma(self.nodes[skip(self.nodes, start) : self.at])
        if value and value[0].is_char("("):  # (β₁, β₂) = (0.9, 0.999)
            parts = split(value[1 : closing(value, 0)], ",")
            if 1 < len(parts) <= len(self.pending):
                for item, part in zip(self.pending[-len(parts) :], parts, strict=True):
                    item.default = without_comma(part)
                return
        self.pending[-1].default = value


def _alternatives(name: Name) -> list[Name]:
    """``η_{+/-}`` is two names."""
    for i, subscript in enumerate(name.subscripts):
        parts = subscript.split("/")
        if len(parts) > 1 and all(parts):
            rest = name.subscripts
            return [
                Name(name.base, name.start, name.end, name.accent, [*rest[:i], part, *rest[i + 1 :]]) for part in parts
            ]
    return [name]


# --------------------------------------------------------------------------------------------------------- states


def read_states(nodes: Sequence[Node], context: Context) -> list[StateItem]:
    """The initial values that a row of the header gives."""
    items: list[StateItem] = []
    bare: list[Name] = []
    for part in _state_parts(meaningful(nodes)):
        label, place, rest = _split_label(part)
        start = next((i for i in range(len(rest)) if read_name(rest, i, context) is not None), None)
        if start is None:
            continue
        names: list[Name] = []
        at = value_at = start
        while (read := read_name(rest, at, context)) is not None:
            behind = skip(rest, read[1])
            if behind < len(rest) and rest[behind].is_command(r"\in"):  # m_0 \in \mathbb{R}^d \gets 0
                behind = next((i for i in range(behind, len(rest)) if _assigns(rest[i])), len(rest))
            if behind >= len(rest) or not _assigns(rest[behind]):
                break
            names.append(read[0])
            at = value_at = skip(rest, behind + 1)
        if not names:
            bare += [read[0]] if read is not None and skip(rest, read[1]) >= len(rest) else []
            continue
        within = next((i for i in range(value_at, len(rest)) if rest[i].is_command(r"\in")), len(rest))
        value = without_comma(rest[value_at:within])
        for name in (*bare, *names) if value else ():
            where = place or Node("text", "", name.start, name.end)
            items.append(StateItem(initial(name), value, label, where.start, where.end))
        bare = []
    return items


def _assigns(node: Node) -> bool:
    return node.is_char("=") or node.is_command(r"\leftarrow", r"\gets")


def is_initial(name: Name) -> bool:
    """Whether ``name`` is that of a first value, ``m_0``."""
    return any(BEFORE_THE_FIRST.fullmatch(s) for s in name.subscripts)


def untimed(name: Name) -> str:
    """The name of a first value without its time."""
    return replace(name, subscripts=[s for s in name.subscripts if not BEFORE_THE_FIRST.fullmatch(s)]).text


BEFORE_THE_FIRST = re.compile(r"0|-1|1-[a-z]")
"""Times before the first step: of a count from 1, from 0, and of every ``k``-th."""


def initial(name: Name) -> Name:
    """``g^0_{prev}`` is ``g_{prev,0}``."""
    if name.power is not None and plain(name.power) == "0":
        name.subscripts.append("0")
        name.power = None
    name.subscripts = ["0" if BEFORE_THE_FIRST.fullmatch(s) else s for s in name.subscripts]
    return name


def _state_parts(nodes: Sequence[Node]) -> Iterator[list[Node]]:
    """The assignments of a row: apart at commas."""
    apart = [Node("char", ",", n.start, n.end) if n.kind == "text" and n.text == "and" else n for n in nodes]
    for part in split(apart, ","):
        for piece in split(part, ";"):
            if any(n.kind != "space" for n in piece):
                yield piece


def _split_label(nodes: Sequence[Node]) -> tuple[str, Node | None, list[Node]]:
    """``nodes`` without the label and the prose among them."""
    rest: list[Node] = []
    label, place = "", None
    at = 0
    while at < len(nodes):
        node = nodes[at]
        behind = at + 1
        if node.kind == "text":
            content = node.text
            if any(map(_assigns, rest)) and re.match(r"[^()]*[A-Za-z]", content):  # of something else
                break
        elif node.is_command(r"\text", r"\textrm", r"\mbox") and behind < len(nodes):
            content = plain(nodes[behind].children or (nodes[behind],))
            behind += 1
        else:
            if node.kind != "dollar":
                rest.append(node)
            at += 1
            continue
        bracketed = re.fullmatch(r"[^()]*\(([^()]*)\)?[^()]*", content)
        before = content.split("(")[0].strip()
        if bracketed is not None and bracketed[1].strip():
            label, place = bracketed[1].strip(), Node("text", content, node.start, nodes[behind - 1].end)
            if re.fullmatch(r"[A-Za-z_]\w*", before) and node.kind != "text":  # \text{lr (learning rate)}
                rest.append(Node("word", before, node.start, nodes[behind - 1].end))
                label = ""
        elif node.kind != "text":
            rest += nodes[at:behind]
        at = behind
    return label, place, rest
