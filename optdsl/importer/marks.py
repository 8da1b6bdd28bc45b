"""The canonical text of an imported spec, with comments at the places that its author has to fill in."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from optdsl.importer.mend import Mended
from optdsl.source import Source
from optdsl.syntax import ast, parse
from optdsl.syntax.printer import columns, unparse

MARK = "# fill in: "


def marked(module: ast.Module, mended: Mended, stubs: frozenset[str]) -> str:
    """The text of ``module``, whose one optimizer is ``mended``. It parses to ``module``."""
    text = unparse(module)
    parsed = parse(Source("", text)).module
    if parsed is None:
        return text
    remarks: dict[int, list[str]] = {}

    def mark(node: ast.Input | ast.State | ast.Stmt, remark: str) -> None:
        line, _ = node.span.source.line_column(node.span.start)
        remarks.setdefault(line, []).append(remark)

    for function in parsed.functions:
        if function.name in stubs:
            mark(function.body[-1], f"what `{function.name}` computes")
    for optimizer in parsed.optimizers:
        for declaration in optimizer.inputs:
            _input_marks(declaration, mended, mark)
        for state in optimizer.states:
            _state_marks(state, mended, mark)
    return _with_remarks(text, remarks)


def _input_marks(declaration: ast.Input, mended: Mended, mark: Callable[[ast.Input, str], None]) -> None:
    unnamed = declaration.python_name is None and len(declaration.names[0].symbol.base) == 1
    what = "defaults" if len(declaration.names) > 1 else "default"
    if declaration.names[0].symbol in mended.inputs:
        what += " (the box does not list this input)"
    known = declaration.names[0].symbol in mended.filled
    assumed = not known and declaration.defaults in (None, (ast.Bool(False),))
    if assumed or (unnamed and not known):
        mark(declaration, " and ".join(["Python name"] * unnamed + [what] * assumed))


def _state_marks(state: ast.State, mended: Mended, mark: Callable[[ast.State, str], None]) -> None:
    if state.name.symbol in mended.states:
        mark(state, "state key, and initial value if it has one")
    elif state.key is None and state.name.symbol != ast.Symbol("t"):
        mark(state, "state key")


def _with_remarks(text: str, remarks: Mapping[int, list[str]]) -> str:
    lines = text.split("\n")
    width = max((columns(lines[number - 1]) for number in remarks), default=0)
    for number, found in remarks.items():
        line = lines[number - 1]
        lines[number - 1] = line + " " * (width - columns(line)) + "    " + MARK + "; ".join(dict.fromkeys(found))
    return "\n".join(lines)
