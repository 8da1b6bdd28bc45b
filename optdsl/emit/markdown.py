"""An optimizer as a page of Markdown: its text, its box, and tables of what it takes and what it keeps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from optdsl.emit.latex import latex
from optdsl.emit.latex.fixed import inline_fixed
from optdsl.syntax import ast
from optdsl.syntax.printer import unparse


def markdown(optimizer: ast.Optimizer) -> str:
    """``optimizer``, its ``extends`` resolved, as Markdown in GitHub's dialect (the box is a ``math`` block)."""
    shown = inline_fixed(optimizer)
    parts = [f"# {optimizer.name}", *_doc(optimizer.doc), f"```math\n{_box(optimizer)}\n```"]
    parts += _section("Arguments", ("Argument", "Symbol", "Default", "Where", ""), map(_input, shown.inputs))
    parts += _section("State", ("Key", "Symbol", "Initial value", "Exists if"), map(_state, shown.states))
    return "\n\n".join(parts) + "\n"


def _box(optimizer: ast.Optimizer) -> str:
    r"""The box without the distances after its rows, which MathJax does not read when they are ``-1.ex``."""
    return latex(optimizer).replace(r"\\[-1.ex]", r"\\")


def _doc(text: str) -> Iterable[str]:
    lines = (line.strip() for line in text.strip().splitlines())
    paragraphs = "\n".join(lines)
    return [_escaped(paragraphs)] if paragraphs else []


def _section(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterable[str]:
    """A table under its title; nothing where it would be empty."""
    table = [tuple(map(_cell, row)) for row in rows]
    if not table:
        return []
    lines = [head, ["---"] * len(head), *table]
    return [f"## {title}", "\n".join("| " + " | ".join(line) + " |" for line in lines)]


def _input(node: ast.Input) -> tuple[str, ...]:
    symbols = ", ".join(map(unparse, node.names))
    name = node.python_name or symbols
    choices = f"one of {', '.join(f'`{c}`' for c in node.choices)}" if node.choices else ""
    default = ", ".join(map(unparse, node.defaults or ()))
    where = ", ".join([*filter(None, [choices]), *(f"`{unparse(c.condition)}`" for c in node.constraints)])
    return f"`{name}`", symbols if symbols != name else "", default and f"`{default}`", where, node.doc


def _state(node: ast.State) -> tuple[str, ...]:
    value = "absent at first" if node.value is None else f"`{unparse(node.value)}`"
    condition = "" if node.condition is None else f"`{unparse(node.condition)}`"
    return f"`{node.key}`" if node.key else "", unparse(node.name), value, condition


def _cell(text: str) -> str:
    """``text`` as a cell: on one line, and nothing in it that ends the cell. Code keeps its characters."""
    code = text.count("`") >= 2
    return (" ".join(text.split()) if code else _escaped(" ".join(text.split()))).replace("|", r"\|")


def _escaped(text: str) -> str:
    """``text`` with what would act in Markdown or HTML made plain."""
    for character in r"\`*_<[#":
        text = text.replace(character, "&lt;" if character == "<" else "\\" + character)
    return text
