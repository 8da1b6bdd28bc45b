r"""The algorithm box: what goes in, what is initialised, the step, and what it returns.

One row of ``\begin{aligned}`` per line of the spec, ruled off as in the doc strings of ``torch.optim``. The gradient's
line shows what ``maximize`` does, which no spec says.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence

from optdsl.emit.latex.expressions import escaped, expression, name, quoted, word
from optdsl.emit.latex.fixed import inline_fixed
from optdsl.syntax import ast

RULE = r"&\rule{110mm}{0.4pt}"
WIDE, TIGHT = r"\\", r"\\[-1.ex]"
"""How a row ends: with the usual space below it, or with less (next to a rule)."""

ROW_WIDTH = 62
"""How many letters, about, fit in one row of a list."""
SOURCE_WIDTH = 100
"""Where the LaTeX source is folded; its row ends are aligned to it."""

_HELD = "\x00"
"""Stands for a blank that is no place to fold."""

HIDDEN_FLAGS = frozenset({"foreach", "fused", "capturable", "differentiable"})
"""Arguments that choose how the step is run, not what it does."""


def latex(optimizer: ast.Optimizer) -> str:
    r"""``optimizer``, its ``extends`` resolved, as ``\begin{aligned}`` … ``\end{aligned}``.

    The text holds no blank line and no double quote: it can stand in a raw doc string.
    """
    optimizer = inline_fixed(optimizer)
    header = _list(r"\textbf{input}      : ", _inputs(optimizer.inputs, optimizer.flat))
    header += _list(r"\textbf{initialize} : ", _states(optimizer.states))
    times = r"\textbf{each step}" if optimizer.each_step else r"t=1 \: \textbf{to} \: \ldots"
    step = [rf"&\textbf{{for}} \: {times} \: \textbf{{do}}", *_block(optimizer.body, 1)]
    returned = [] if optimizer.returns is None else [rf"&\bf{{return}} \:  {expression(optimizer.returns)}", RULE]
    rows = [
        *((row, WIDE) for row in (RULE, *header[:-1])),
        (header[-1], TIGHT),
        *((row, WIDE) for row in (RULE, *step)),
        *((row, TIGHT) for row in (RULE, *returned)),
    ]
    lines = (line for row, end in rows for line in _folded(row, end))
    return "\n".join([r"\begin{aligned}", *lines, r"\end{aligned}"])


def _inputs(inputs: Sequence[ast.Input], flat: bool) -> Iterator[str]:
    yield r"\theta_0 \text{ (params)}"
    yield r"f(\theta) \text{ (objective)}"
    words = [i.names[0].symbol.base for i in inputs]
    for declaration, base in zip(inputs, words, strict=True):
        if base in HIDDEN_FLAGS or base == "θ":
            continue
        symbols = ", ".join(map(expression, declaration.names))
        if declaration.choices:
            symbols += rf" \in \{{{', '.join(map(quoted, declaration.choices))}\}}"
        yield symbols + _label(declaration.python_name)
    if "maximize" not in words and not flat:
        yield word("maximize")


def _states(states: Iterable[ast.State]) -> Iterator[str]:
    for state in states:
        if state.value is not None and state.name.symbol != ast.Symbol("t"):
            yield rf"{name(state.name)} \leftarrow {expression(state.value)}{_label(state.key)}"


def _label(identifier: str | None) -> str:
    return "" if identifier is None else rf" \text{{ ({escaped(identifier.replace('_', ' '))})}}"


def _list(title: str, items: Iterable[str]) -> list[str]:
    """``items`` with commas between them, on as many rows as they need."""
    rows: list[list[str]] = []
    for item in items:
        if not rows or sum(map(_visible_width, (*rows[-1], item))) > ROW_WIDTH:
            rows.append([])
        rows[-1].append(item)
    heads = [title, *[r"\hspace{13mm}      "] * len(rows)]
    texts = ["&" + head + r", \: ".join(row) + "," for head, row in zip(heads, rows, strict=False)]
    return [*texts[:-1], *(text.removesuffix(",") for text in texts[-1:])]


def _visible_width(latex_text: str) -> int:
    """About how many letters wide ``latex_text`` is when it is typeset."""
    plain = re.sub(r"\\(text|textit|mathrm)\b", "", latex_text)
    return len(re.sub(r"\\[A-Za-z]+|\\.", "x", plain).replace("{", "").replace("}", "").replace(" ", "")) + 2


def _block(body: Iterable[ast.Stmt], depth: int) -> Iterator[str]:
    def row(text: str, extra: int = 0) -> str:
        return rf"&\hspace{{{5 * (depth + extra)}mm}}{text}"

    for stmt in body:
        match stmt:
            case ast.Assign((target,), ast.Gradient(), where):
                gradient = expression(stmt.value) + _where(where)
                yield row(r"\textbf{if} \: \textit{maximize}:")
                yield row(rf"{name(target)} \leftarrow -{gradient}", 1)
                yield row(r"\textbf{else}")
                yield row(rf"{name(target)} \leftarrow {gradient}", 1)
            case ast.Assign(targets, value, where):
                yield row(rf"{', '.join(map(name, targets))} \leftarrow {expression(value)}{_where(where)}")
            case ast.If(branches, orelse):
                for i, branch in enumerate(branches):
                    yield row(rf"\textbf{{{'else if' if i else 'if'}}} \: {expression(branch.condition)}")
                    yield from _block(branch.body, depth + 1)
                if orelse:
                    yield row(r"\textbf{else}")
                    yield from _block(orelse, depth + 1)
            case ast.ForElements(inner):
                yield row(r"\textbf{for} \: i = 0, 1, \ldots, d-1 \: \textbf{do}")
                yield from _block(inner, depth + 1)
            case ast.ForSupport(target, inner):
                support = rf"\mathrm{{support}}({name(target)})"
                yield row(rf"\textbf{{for}} \: i \: \textbf{{in}} \: {support} \: \textbf{{do}}")
                yield from _block(inner, depth + 1)
            case ast.Repeat(count, inner, up_to=up_to):
                repeat = "repeat up to" if up_to else "repeat"
                yield row(rf"\textbf{{{repeat}}} \: {expression(count)} \: \textbf{{times}}")
                yield from _block(inner, depth + 1)
            case ast.ForRange(target, first, last, inner, down):
                ends = rf"{expression(first)} \: \textbf{{{'down to' if down else 'to'}}} \: {expression(last)}"
                yield row(rf"\textbf{{for}} \: {name(target)} = {ends} \: \textbf{{do}}")
                yield from _block(inner, depth + 1)
            case ast.While(condition, inner):
                yield row(rf"\textbf{{while}} \: {expression(condition)} \: \textbf{{do}}")
                yield from _block(inner, depth + 1)
            case ast.Break():
                yield row(r"\textbf{break}")
            case ast.Append(value, target):
                yield row(rf"\textbf{{append}} \: {expression(value)} \: \textbf{{to}} \: {name(target)}")
            case ast.Return(ast.Tuple(())):
                yield row(r"\textbf{return}")
            case ast.Return(value):
                yield row(rf"\textbf{{return}} \: {expression(value)}")


def _folded(row: str, end: str) -> list[str]:
    r"""``row`` as lines of the source, the last with ``end`` at the right; ``\text{…}`` stays on one line."""
    unbroken = re.sub(r"\\text\{[^{}]*\}|\\: ", lambda text: text[0].replace(" ", _HELD), row)
    lines = textwrap.wrap(
        unbroken,
        SOURCE_WIDTH - len(TIGHT) - 1,
        initial_indent="     ",
        subsequent_indent="         ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    lines[-1] = f"{lines[-1]:<{SOURCE_WIDTH - len(end)}}{end}"
    return [line.replace(_HELD, " ") for line in lines]


def _where(condition: ast.Expr | None) -> str:
    """What a line says of the value that it assigns."""
    return "" if condition is None else rf" \quad \textbf{{where}} \: {expression(condition)}"
