r"""Formulas of LaTeX as text of the language, piece by piece, so that its parser reads them and every place is kept.

``\frac`` and ``\sqrt`` become brackets, scripts are put in the language's order (``g^2_t``, ``\widehat{\beta}_{2_t}``),
``\mathcal{L}`` in a gradient is the objective, ``10^{-8}`` a number. What is not known is passed on: the parser says
what is wrong with it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from optdsl.importer.calculus import PROJECTION, Calculus
from optdsl.importer.names import Context, Name, closing, group_or_node, read_name, skip, split, without_comma
from optdsl.importer.nodes import TEXT_COMMANDS, Node, meaningful, plain
from optdsl.importer.translator import FRACTIONS
from optdsl.importer.writer import Writer
from optdsl.syntax.suggest import nearest
from optdsl.syntax.vocabulary import FUNCTIONS, LATEX_ACCENTS, LATEX_SYMBOLS, SYNONYMS

REDUCTIONS = frozenset({"sum", "mean", "norm", "RMS", "min", "max"})

WORDS = frozenset(
    "if otherwise and or not mod is none true false over rows cols all but first parameters where in for do repeat "
    "times".split()
)  # fmt: skip
"""Words that mean in a formula what they mean in the language."""

_LATEX = {
    **{c: s.strip() for c, s in LATEX_SYMBOLS.items()},
    **dict.fromkeys((r"\{", r"\lbrace", r"\lbrack"), "("),
    **dict.fromkeys((r"\}", r"\rbrace", r"\rbrack"), ")"),
    **dict.fromkeys((r"\vert", r"\lvert", r"\rvert", r"\mid"), "|"),
    **dict.fromkeys((r"\bmod", r"\mod", r"\%"), "mod"),
}
_CHARACTERS = {"[": "(", "]": ")", "−": "-"}
_COMMANDS = (*_LATEX, *FRACTIONS, r"\sqrt", *LATEX_ACCENTS, *TEXT_COMMANDS)


def translate(nodes: Sequence[Node], context: Context) -> Writer:
    """The text of a formula."""
    translator = _Translator(context, Writer(context.source))
    translator.run(nodes)
    return translator.out.stripped()


class _Translator(Calculus):
    def _node(self, nodes: Sequence[Node], at: int) -> int:
        """Translate what begins at ``nodes[at]``; the index behind it."""
        node = nodes[at]
        match node.kind:
            case "space":
                self.out.write(" ", node.start, node.start)
                return at + 1
            case "number":
                return self._number(nodes, at)
            case "group":
                if len(node.children) == 1 and node.children[0].kind == "number":
                    self._literal(node.children[0].text, node, node.end)
                else:
                    self.run(node.children)
                return self._scripts(nodes, at + 1)
            case "cases":
                self._cases(node)
                return at + 1
            case "word":
                return self._name(nodes, at)
            case "command":
                return self._command(nodes, at)
            case "text":
                self._prose(node.text, node)
                return at + 1
            case "dollar" | "begin" | "end":
                return at + 1
        if node.text in '"#\\`' or (not node.text.isprintable()):
            self.context.report("E703", f"`{node.text}` has no meaning in a formula", node.start, node.end)
            return at + 1
        if node.text == ")":
            self.write(")", node, value=True)
            return self._scripts(nodes, at + 1)
        if node.is_char("^_"):
            return self._scripts(nodes, at, stray=True)
        text = _CHARACTERS.get(node.text, node.text)
        text = f" {text} " if node.text in "+-" else text
        self.write(text, node, value=node.text in "]")
        return self._scripts(nodes, at + 1) if node.text in "]|" else at + 1

    # ---------------------------------------------------------------------------------------------------------- names

    def _name(self, nodes: Sequence[Node], at: int) -> int:
        read = read_name(nodes, at, self.context)
        if read is None:
            return at + 1
        name, behind = read
        word = name.base if name.base in self.context.functions else SYNONYMS.get(name.base, name.base)
        if word in WORDS and name.text == name.base:
            self.out.write(f" {word} ", name.start, name.end)
            self.after_value = word in ("true", "false", "none")
            return behind
        if name.base in ("True", "False", "None") and name.text == name.base:
            self.out.write(f" {name.base.lower()} ", name.start, name.end)
            self.after_value = True
            return behind
        opening = skip(nodes, behind)
        if called := self._called_gradient(name, nodes, behind):
            return called
        if expected := self._expectation(name, nodes, at, behind):
            return expected
        if self._is_projection(name, nodes, behind):
            self.context.report("E703", PROJECTION[0], name.start, name.end, PROJECTION[1])
        if opening == behind and len(name.base) == 1 and name.base not in (self.context.index, *self.context.functions):
            self._function_of_time(name, nodes, behind)
        called = opening < len(nodes) and (nodes[opening].is_char("([") or nodes[opening].is_command(r"\{"))
        if called and word in REDUCTIONS and name.subscripts in (["rows"], ["cols"]):
            return self._reduction(word, name, nodes, opening)
        if (
            called
            and name.base in ("clip", "Clip")
            and name.text == name.base
            and name.base not in self.context.functions
        ):
            return self._clip(name, nodes, opening)
        italic = nodes[at].is_command(r"\textit", r"\mathit")
        if called and len(name.base) > 1 and not italic and name.base not in self.context.declared:
            bare = not (name.accent or name.subscripts or name.superscript)
            if (word in FUNCTIONS or word in self.context.functions) and bare:
                self.out.write(f" {word}", name.start, name.end)
                self.after_value = False
                self._exponent(name)
                return behind
            if nodes[at].kind == "command" and nodes[at].text in TEXT_COMMANDS:
                return self._unknown_function(name, nodes, at, opening)
        if not called and word in FUNCTIONS and name.text == name.base and word != name.base:
            name.base = word
        self._write_name(name)
        return behind

    def _called_gradient(self, name: Name, nodes: Sequence[Node], opening: int) -> int | None:
        """``g(θ)``, where no page says ``∇``: the gradient."""
        if name.base != self.context.called_gradient or opening >= len(nodes) or not nodes[opening].is_char("("):
            return None
        bracket = closing(nodes, opening)
        self._differentiated(nodes[opening + 1 : bracket], name.start, nodes[min(bracket, len(nodes) - 1)].end)
        self._exponent(name)
        return self._scripts(nodes, min(bracket + 1, len(nodes)))

    def _expectation(self, name: Name, nodes: Sequence[Node], at: int, opening: int) -> int | None:
        r"""``\mathbb{E}[g_t]``, of which a step has one sample: ``g_t``."""
        if name.base != "E" or not (nodes[at].is_command(r"\mathbb") or name.text == "E"):
            return None
        if opening >= len(nodes) or not nodes[opening].is_char("["):
            return None
        bracket = closing(nodes, opening)
        self.run(nodes[opening + 1 : bracket])
        return min(bracket + 1, len(nodes))

    def _is_projection(self, name: Name, nodes: Sequence[Node], behind: int) -> bool:
        r"""``\Pi_{\mathcal{F}, \sqrt{V_t}}(…)``."""
        called = behind < len(nodes) and nodes[behind].is_char("([")
        return name.base in ("Π", "P") and called and any(s.isupper() for s in name.subscripts)

    def _function_of_time(self, name: Name, nodes: Sequence[Node], opening: int) -> None:
        r"""Reports ``\rho(t)``, which could be a product, and ``\phi(x)`` of a "scaling function" ``\phi``."""
        bracket = closing(nodes, opening) if opening < len(nodes) and nodes[opening].is_char("(") else len(nodes)
        of_time = bracket < len(nodes) and plain(nodes[opening + 1 : bracket]) == self.context.index
        if of_time or (bracket < len(nodes) and name.text in self.context.called):
            shown = self.context.source.text[name.start : nodes[bracket].end]
            help_ = "write the formula of a function, and a product without brackets"
            message = (
                f"`{shown}` {'could be a function of the step' if of_time else 'is a function that is not written out'}"
            )
            self.context.report("E703", message, name.start, nodes[bracket].end, help_)

    # ------------------------------------------------------------------------------------------------------ functions

    def _reduction(self, word: str, name: Name, nodes: Sequence[Node], opening: int) -> int:
        r"""``\mathrm{mean}_{\text{cols}}(x)`` is ``mean(x, over cols)``."""
        bracket = closing(nodes, opening)
        self.out.write(f" {word}(", name.start, nodes[opening].end)
        self._bracketed(nodes[opening + 1 : bracket])
        self.out.write(f", over {name.subscripts[0]})", name.start, name.end)
        self.after_value = True
        return self._scripts(nodes, min(bracket + 1, len(nodes)))

    def _clip(self, name: Name, nodes: Sequence[Node], opening: int) -> int:
        r"""``\mathrm{clip}(x, c)`` keeps ``x`` between ``-c`` and ``c``."""
        bracket = closing(nodes, opening)
        arguments = split(nodes[opening + 1 : bracket], ",")
        self.out.write(" clamp(", name.start, nodes[opening].end)
        for i, argument in enumerate(arguments if len(arguments) != 2 else [*arguments, arguments[1]]):
            below = len(arguments) == 2 and i == 1
            self.out.write(", " * (i > 0) + "-(" * below, name.end, name.end)
            self._bracketed(argument)
            self.out.write(")" * below, name.end, name.end)
        self.out.write(")", name.end, name.end)
        self.after_value = True
        return self._scripts(nodes, min(bracket + 1, len(nodes)))

    def _unknown_function(self, name: Name, nodes: Sequence[Node], at: int, opening: int) -> int:
        """A call of a function that nothing defines; scripts of its name become parameters."""
        bracket = closing(nodes, opening)
        inside = nodes[opening + 1 : bracket]
        arguments, parameters = split(inside, ";")[0], [n for part in split(inside, ";")[1:] for n in part]
        scripts: list[Node] = []
        ahead = skip(nodes, at + 2)
        while ahead < opening and nodes[ahead].is_char("^_"):
            script, ahead, _ = group_or_node(nodes, ahead + 1)
            brackets = [n for n in script if n.kind != "space" and not n.is_char("()")]
            scripts += [*([Node("char", ",", name.end, name.end)] if scripts else []), *brackets]
            ahead = skip(nodes, ahead)
        if scripts and parameters:
            scripts.append(Node("char", ",", name.end, name.end))
        parameters = [*scripts, *parameters]
        counts = len(split(arguments, ",")), len(split(parameters, ",")) if parameters else 0
        self.context.unknown.setdefault(name.base, counts)
        self.out.write(f" {name.base}(", name.start, nodes[opening].end)
        self.after_value = False
        self.run(arguments)
        if parameters:
            self.out.write("; ", name.end, name.end)
            self.after_value = False
            self.run(parameters)
        place = nodes[min(bracket, len(nodes) - 1)].end
        self.out.write(")", place, place)
        self.after_value = True
        return self._scripts(nodes, min(bracket + 1, len(nodes)))

    def _command(self, nodes: Sequence[Node], at: int) -> int:
        node = nodes[at]
        command = node.text
        if command in FRACTIONS:
            return self._fraction(nodes, at)
        if command == r"\sqrt":
            return self._root(nodes, at)
        if command == r"\nabla":
            return self._gradient(nodes, at)
        if command in LATEX_ACCENTS and (accented := group_or_node(nodes, at + 1))[2] is not None:
            if [n.text for n in accented[0]] == [r"\nabla"]:  # an estimate of the gradient
                return self._gradient(nodes, accented[1] - 1)
        if command == r"\langle":
            return self._inner_product(nodes, at)
        if command == r"\partial" and (derivative := self._derivative(nodes, at)):
            return derivative
        if command in (r"\prod", r"\sum"):
            return self._running(nodes, at)
        if command == r"\mathbin":
            script, behind, _ = group_or_node(nodes, at + 1)
            self.write(" @ " if any(n.is_command(r"\,") for n in script) else " · ", node)
            return behind
        if command in TEXT_COMMANDS and (indicator := self._indicator(nodes, at)):
            return indicator
        if command in TEXT_COMMANDS:
            return self._text(nodes, at)
        if read_name(nodes, at, self.context) is not None:
            return self._name(nodes, at)
        if command in LATEX_ACCENTS:
            self.context.report("E006", f"`{command}` needs one letter to stand on", node.start, node.end)
            return at + 1
        if command in (r"\\", r"\cr"):
            return at + 1
        symbol = _LATEX.get(command)
        if symbol is None:
            near = nearest(command, _COMMANDS)
            help_ = f"did you mean `{near}`?" if near else ""
            self.context.report("E004", f"unknown LaTeX command `{command}`", node.start, node.end, help_)
            return at + 1
        if symbol in FUNCTIONS:
            self.write(f" {symbol}", node)
            following = skip(nodes, at + 1)
            if following < len(nodes) and nodes[following].is_char("_"):
                _, behind, group = group_or_node(nodes, following + 1)
                help_ = rf"write `{command}(x, \text{{over rows}})`, `over cols`, or `over all`"
                message = f"what `{command}` runs over is not read"
                self.context.report("E703", message, node.start, group.end if group else node.end, help_)
                return behind
            if following < len(nodes) and nodes[following].kind == "group":
                self.context.report("E703", f"`{command}` needs brackets: `{command}(…)`", node.start, node.end)
            return at + 1
        self.write(f" {symbol} " if symbol not in "()" else symbol, node, value=symbol in (")", "∞", "⌋", "⌉"))
        return self._scripts(nodes, at + 1) if symbol in (")", "⌋", "⌉") else at + 1

    def _inner_product(self, nodes: Sequence[Node], at: int) -> int:
        r"""``\langle x, y \rangle``."""
        end = next((i for i in range(at, len(nodes)) if nodes[i].is_command(r"\rangle")), len(nodes))
        factors = split(nodes[at + 1 : end], ",")
        last = nodes[min(end, len(nodes) - 1)]
        if len(factors) != 2:
            self.context.report("E703", "this inner product is not read", nodes[at].start, last.end)
            return min(end + 1, len(nodes))
        self.out.write(" sum((", nodes[at].start, nodes[at].end)
        self._bracketed(factors[0])
        self.out.write(") · (", nodes[at].end, nodes[at].end)
        self._bracketed(factors[1])
        self.out.write("))", last.start, last.end)
        self.after_value = True
        return self._scripts(nodes, min(end + 1, len(nodes)))

    def _indicator(self, nodes: Sequence[Node], at: int) -> int | None:
        r"""``\mathbb{1}(x > 0)`` or ``\mathbb{I}[x > 0]``: one where that holds, else zero."""
        letter, behind, _ = group_or_node(nodes, at + 1)
        if plain(letter) not in ("1", "I", "𝟙") or not nodes[at].is_command(
            r"\mathbb", r"\mathbf", r"\mathds", r"\mathbbm"
        ):
            return None
        condition, end = nodes[behind + 1 : closing(nodes, behind)], closing(nodes, behind) + 1
        if behind < len(nodes) and nodes[behind].is_char("_"):
            condition, end, _ = group_or_node(nodes, behind + 1)
        elif behind >= len(nodes) or not (nodes[behind].is_char("([") or nodes[behind].is_command(r"\{")):
            return None
        if not any(
            n.is_char("<>=") or n.is_command(r"\leq", r"\le", r"\geq", r"\ge", r"\neq", r"\ne") for n in condition
        ):
            return None
        self.out.write(" ({ 1 if ", nodes[at].start, condition[0].start)
        self._bracketed([n for n in condition if not n.is_command(r"\{", r"\}")])
        place = nodes[min(end, len(nodes)) - 1].end
        self.out.write(" { 0 otherwise )", place, place)
        self.after_value = True
        return self._scripts(nodes, min(end, len(nodes)))

    def _fraction(self, nodes: Sequence[Node], at: int) -> int:
        node = nodes[at]
        above, behind, first = group_or_node(nodes, at + 1)
        below, behind, second = group_or_node(nodes, behind)
        if above and below and self._is_derivative(above, below):
            self._differentiated(below, node.start, nodes[behind - 1].end)
            return behind
        if first is None or second is None:
            message = f"`{node.text}` needs two groups: `{node.text}{{a}}{{b}}`"
            self.context.report("E006", message, node.start, node.end)
            return behind
        self.out.write(" ((", node.start, node.end)
        self._bracketed(above)
        self.out.write(")/(", first.end, second.start)
        self._bracketed(below)
        self.out.write("))", second.end, second.end)
        self.after_value = True
        return self._scripts(nodes, behind)

    def _root(self, nodes: Sequence[Node], at: int) -> int:
        node = nodes[at]
        degree: Sequence[Node] = ()
        ahead = skip(nodes, at + 1)
        if ahead < len(nodes) and nodes[ahead].is_char("["):
            bracket = closing(nodes, ahead)
            degree, at = nodes[ahead + 1 : bracket], min(bracket, len(nodes) - 1)
        inside, behind, group = group_or_node(nodes, at + 1)
        if group is None:
            self.context.report("E006", r"`\sqrt` needs its argument in braces: `\sqrt{x}`", node.start, node.end)
            return behind
        self.out.write(" ((" if degree else " (√(", node.start, node.end)
        self._bracketed(inside)
        self.out.write(")", group.end, group.end)
        if degree:
            self.out.write("^(1/(", node.start, node.end)
            self._bracketed(degree)
            self.out.write("))", node.start, node.end)
        self.out.write(")", group.end, group.end)
        self.after_value = True
        return self._scripts(nodes, behind)

    # ------------------------------------------------------------------------------------------------- words and cases

    def _text(self, nodes: Sequence[Node], at: int) -> int:
        r"""``\text{…}`` and its like: a name, a word of the language, a string, or a remark."""
        node = nodes[at]
        inside, behind, group = group_or_node(nodes, at + 1)
        if group is None:
            return at + 1
        source = self.context.source.text[inside[0].start : inside[-1].end] if inside else ""
        if source.strip().startswith("``") and source.strip().endswith("''"):
            self._string(source.strip()[2:-2], node.start, group.end)
            return behind
        content = plain(inside)
        if read_name(nodes, at, self.context) is not None:
            return self._name(nodes, at)
        if re.fullmatch(r"[0-9.]+", content):
            self._literal(content, node, group.end)
            return behind
        self._prose(content, Node("text", content, node.start, group.end))
        return behind

    def _prose(self, content: str, place: Node) -> None:
        content = re.sub(r"\([^()]*\)", " ", content)
        words = content.replace(",", " ").split()
        if words[:1] == ["over"]:
            before = "".join(self.out.pieces).rstrip()
            self.out.write("" if before.endswith(("(", ",")) else ", ", place.start, place.start)
        if not words or words[0] in WORDS or len(words) == 1:
            for word in words:
                self._name([Node("word", word, place.start, place.end)], 0)
            self.out.write(" ", place.end, place.end)

    def _string(self, escaped: str, start: int, end: int) -> None:
        text = self.context.choices.get(escaped)
        if text is None:
            text = re.sub(r"\\([{}$&#%_])", r"\1", escaped)
        quoted = text.replace("\\", "\\\\").replace('"', '\\"')
        self.out.write(f' "{quoted}" ', start, end)
        self.after_value = True

    def _cases(self, node: Node) -> None:
        rows: list[list[Node]] = [[]]
        for child in node.children:
            if child.is_command(r"\\"):
                rows.append([])
            else:
                rows[-1].append(child)
        rows = [row for row in rows if meaningful(row) and plain(row)]
        self.out.write(" (", node.start, node.start)
        for i, row in enumerate(rows):
            value, *condition = split(row, "&")
            value = without_comma(value)
            condition_nodes = [n for part in condition for n in part]
            self.out.write(" { ", row[0].start, row[0].start)
            self._bracketed(value)
            text = plain(condition_nodes).lower().strip(" ,.")
            start = condition_nodes[0].start if condition_nodes else row[-1].end
            if not text or text in ("otherwise", "else"):
                if text or i == len(rows) - 1:
                    self.out.write(" otherwise ", start, row[-1].end)
                continue
            self.out.write("" if re.match(r"if\b|otherwise\b", text) else " if ", start, start)
            self._bracketed(without_comma(condition_nodes))
        self.write(")", Node("char", ")", node.end, node.end), value=True)
