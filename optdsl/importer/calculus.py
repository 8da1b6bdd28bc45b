"""Gradients, derivatives, and sums and products over steps and elements, as the language writes them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from optdsl.importer.names import TIMES, Name, closing, group_or_node, is_label, read_name, skip, split
from optdsl.importer.nodes import Node, plain
from optdsl.importer.translator import Translator, term_end
from optdsl.syntax.vocabulary import LATEX_SYMBOLS

PROJECTION = ("a projection has no counterpart in the language", "leave it out: write what is projected alone")


class Calculus(Translator):
    """Translates what has a gradient, or runs over an index."""

    def _gradient(self, nodes: Sequence[Node], at: int) -> int:
        r"""``\nabla_{\theta} f_t(\theta_{t-1})``, whatever the objective is called; its argument is the parameter."""
        start = nodes[at].start
        behind = skip(nodes, at + 1)
        by: Sequence[Node] = ()
        while behind < len(nodes) and nodes[behind].is_char("_^"):
            by, behind, _ = group_or_node(nodes, behind + 1)
            behind = skip(nodes, behind)
        if behind < len(nodes) and nodes[behind].is_command(r"\sum", r"\frac"):  # of a mean over a minibatch
            end_of_term = term_end(nodes, behind)
            self._differentiated(by, start, nodes[end_of_term - 1].end)
            return end_of_term
        objective = read_name(nodes, behind, self.context)
        opening = skip(nodes, objective[1]) if objective else behind
        if opening >= len(nodes) or not (nodes[opening].is_char("([")):
            end = nodes[min(opening, len(nodes)) - 1].end
            if by and objective:
                self._differentiated(by, start, end)
                return objective[1]
            help_ = r"write `\nabla f_t(\theta_{t-1})`"
            self.context.report("E703", "this gradient names no parameter", start, end, help_)
            return opening
        bracket = closing(nodes, opening)
        self._differentiated(nodes[opening + 1 : bracket], start, nodes[min(bracket, len(nodes) - 1)].end)
        return min(bracket + 1, len(nodes))

    def _differentiated(self, by: Sequence[Node], start: int, end: int) -> None:
        """Write the gradient by the parameter that ``by`` begins with; behind it there may be the data."""
        argument = split(split(by, ";")[0], ",")[0]
        parameter = read_name(argument, skip(argument, 1 if by and by[0].is_command(r"\partial") else 0), self.context)
        if parameter is None:
            self.context.report("E703", "this gradient names no parameter", start, end)
        elif skip(argument, parameter[1]) < len(argument):
            help_ = "a step has one gradient, at the parameter: say in what the step computes where that is"
            self.context.report("E703", "this gradient is taken at another point than the parameter", start, end, help_)
        else:
            name = parameter[0]
            times = [s for s in name.subscripts if s in TIMES]
            if times:
                self.context.points.setdefault(times[0], (start, end))
            bare = Name(name.base, 0, 0, name.accent, [s for s in name.subscripts if s not in TIMES], name.superscript)
            self.context.parameter = self.context.parameter or bare.text
        self.out.write(" ∇f_t(θ_{t-1})", start, end)
        self.after_value = True

    def _is_derivative(self, above: Sequence[Node], below: Sequence[Node]) -> bool:
        r"""Whether a fraction is ``\frac{\partial L}{\partial \theta}``."""
        first = [part[skip(part, 0) : skip(part, 0) + 1] for part in (above, below)]
        return all(part and part[0].is_command(r"\partial") for part in first)

    def _derivative(self, nodes: Sequence[Node], at: int) -> int | None:
        r"""``\partial L / \partial \theta``, or ``\partial f(\theta)``, a subgradient; the index behind it, None where
        neither stands at ``nodes[at]``."""
        function = read_name(nodes, skip(nodes, at + 1), self.context)
        if function is not None and function[1] < len(nodes) and nodes[function[1]].is_char("("):
            return self._gradient(nodes, at)
        slash = next((i for i in range(at, len(nodes)) if nodes[i].is_char("/+-=,")), len(nodes))
        by = skip(nodes, slash + 1)
        if slash >= len(nodes) or not nodes[slash].is_char("/") or by >= len(nodes):
            return None
        parameter = read_name(nodes, skip(nodes, by + 1), self.context)
        if not nodes[by].is_command(r"\partial") or parameter is None:
            return None
        self._differentiated(nodes[by : parameter[1]], nodes[at].start, parameter[0].end)
        return parameter[1]

    def _running(self, nodes: Sequence[Node], at: int) -> int:
        r"""``\prod_{i=1}^{t} \mu_i``; up to ``t+1`` it is that, times ``\mu_{t+1}``."""
        node = nodes[at]
        scripts: dict[str, str] = {}
        behind = skip(nodes, at + 1)
        while behind < len(nodes) and nodes[behind].is_char("_^"):
            script, after, _ = group_or_node(nodes, behind + 1)
            scripts[nodes[behind].text] = "".join(plain(script).split())
            behind = skip(nodes, after)
        element = re.match(r"([a-z])(?:=|\Z)", scripts.get("_", ""))
        if node.text == r"\sum" and element and element[1] != self.context.index:
            operand = term_end(nodes, behind)
            if is_label(nodes[behind:operand], element[1]):
                return self._sum(element[1], nodes, at, behind, operand)
        lower = re.fullmatch(r"([a-z])=1", scripts.get("_", ""))
        upper = scripts.get("^", "").replace(self.context.index, "t")
        end = nodes[behind - 1].end
        sign = LATEX_SYMBOLS[node.text]
        if lower is None or upper not in ("t", "t+1"):
            message = f"`{node.text}` does not run over the steps"
            help_ = rf"write `{node.text}_{{i=1}}^{{t}}`"
            if node.text == r"\prod" and "^" not in scripts and "=" not in scripts.get("_", ""):
                message, help_ = PROJECTION
            self.context.report("E703", message, node.start, end, help_)
            return behind
        self.out.write(" (" if upper == "t+1" else " ", node.start, node.start)
        self.out.write(f"{sign}_{{{lower[1]}=1}}^{{t}} ", node.start, end)
        self.after_value = False
        body = read_name(nodes, behind, self.context)
        if body is None or lower[1] not in body[0].subscripts:
            if upper == "t+1":
                self.context.report("E703", f"`{node.text}` up to t+1 needs a name behind it", node.start, end)
            return behind
        name, behind = body
        index = name.subscripts.index(lower[1])
        if len(name.subscripts) > 1:  # \beta_{1,i}
            name.subscripts[index] = "t"
        self._write_name(name)
        if upper == "t+1":
            name.subscripts[index] = "t+1"
            self.out.write(")" if sign == "∏" else ") +", end, end)
            self._write_name(name)
        return behind

    def _sum(self, element: str, nodes: Sequence[Node], at: int, start: int, end: int) -> int:
        r"""``\sum_j g_{t,j}^2``, over the elements of a tensor."""
        outside = self.context.labels
        self.context.labels = outside | {element}
        self.out.write(" sum(", nodes[at].start, nodes[start - 1].end)
        self._bracketed(nodes[start:end])
        self.out.write(") ", nodes[end - 1].end, nodes[end - 1].end)
        self.after_value = True
        self.context.labels = outside
        return end
