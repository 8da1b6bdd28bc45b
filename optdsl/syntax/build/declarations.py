"""Inputs, states, functions, transforms, optimizers and the module."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from typing import Any

from lark import Token

from optdsl.source import Fix, Span
from optdsl.syntax import ast
from optdsl.syntax.ast import Symbol, Time
from optdsl.syntax.build.base import Part, count, first_line, plain
from optdsl.syntax.build.statements import Statements

_SECTIONS = {"docstring": "doc string", "step": "`for t = 1 to … do`", "each step": "`for each step do`"}
"""What a section is called in messages, where it is not its word."""


def clean_doc(text: str) -> str:
    """A doc string without the indentation of its lines and the blank lines around it."""
    first, *rest = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    margin = min((len(line) - len(line.lstrip()) for line in rest if line.strip()), default=0)
    return "\n".join([first.strip(), *(line[margin:].rstrip() for line in rest)]).strip()


class Builder(Statements):
    """Builds the syntax tree of one parse; ``diagnostics`` holds what it has to say."""

    def _names(self, span: Span, children: list[Any]) -> tuple[ast.Name, ...]:
        return tuple(self._target(t) for t in children)

    def _python_name(self, span: Span, children: list[Any]) -> Part:
        return Part("python_name", self._word(children[0]), self._at(children[0]))

    def _choices(self, span: Span, children: list[Any]) -> tuple[str, ...]:
        return tuple(self._text(t) for t in children)

    def _values(self, span: Span, children: list[Any]) -> tuple[ast.Expr, ...]:
        return tuple(plain(c) for c in children)

    def _default(self, span: Span, children: list[Any]) -> Part:
        return Part("default", children[0], span)

    def _fixed(self, span: Span, children: list[Any]) -> Part:
        return Part("fixed", children[0], span)

    def _constraint(self, span: Span, children: list[Any]) -> ast.Constraint:
        condition, message = children
        return ast.Constraint(plain(condition), None if message is None else self._text(message), span)

    def _constraints(self, span: Span, children: list[Any]) -> tuple[ast.Constraint, ...]:
        return tuple(children)

    def _input(self, span: Span, children: list[Any]) -> list[ast.Input]:
        """One input, or one per name where several names share a line but no tuple argument."""
        names, python_name, choices, default, *clauses = children
        docs = [unicodedata.normalize("NFC", clause[2:].strip()) for clause in clauses if isinstance(clause, Token)]
        constraints = tuple(c for clause in clauses if not isinstance(clause, Token) for c in clause)
        defaults = None if default is None else default.value
        if defaults is not None and len(defaults) != len(names):
            self._report(
                "E022",
                f"{count(len(names), 'name')} but {count(len(defaults), 'default')}",
                default.span,
                help="give one default per name",
            )
            defaults = (defaults * len(names))[: len(names)]
        shared = ast.Input(
            names,
            None if python_name is None else python_name.value,
            defaults,
            constraints,
            choices or (),
            default is not None and default.kind == "fixed",
            False,
            " ".join(docs),
            span,
            None if python_name is None else python_name.span,
        )
        if len(names) == 1 or python_name is not None:
            return [shared]
        *others, last = (
            replace(shared, names=(name,), defaults=None if defaults is None else (defaults[i],), span=name.span)
            for i, name in enumerate(names)
        )
        return [*(replace(other, constraints=()) for other in others), last]

    def _star(self, span: Span, children: list[Any]) -> Part:
        return Part("star", None, span)

    def _inputs(self, span: Span, children: list[Any]) -> Part:
        inputs: list[ast.Input] = []
        keyword_only = False
        for child in children:
            if isinstance(child, list):
                inputs.extend(replace(i, keyword_only=keyword_only) for i in child)
            elif keyword_only:
                self._report("E023", "a second `*` among the inputs", child.span)
            else:
                keyword_only = True
        if keyword_only and not (inputs and inputs[-1].keyword_only):
            span = children[-1].span
            self._report("E025", "no input follows the `*`", span, help="remove it", fix=Fix(span, ""))
        return Part("input", tuple(inputs), span)

    def _key(self, span: Span, children: list[Any]) -> Part:
        """The key of every state of the line, each with its place."""
        return Part("key", [(self._word(c), self._at(c)) for c in children if c.type == "IDENT"], span)

    def _shape(self, span: Span, children: list[Any]) -> Part:
        return Part("shape", plain(children[0]), span)

    def _eager(self, span: Span, children: list[Any]) -> Part:
        return Part("eager", True, span)

    def _state_if(self, span: Span, children: list[Any]) -> Part:
        return Part("condition", plain(children[0]), span)

    def _state_otherwise(self, span: Span, children: list[Any]) -> Part:
        return Part("condition", None, span)

    def _state(self, span: Span, children: list[Any]) -> tuple[list[ast.State], bool]:
        """The states of one line, and whether their condition is ``otherwise``."""
        names, value, key, shape, *tail = children
        tails: dict[str, Part] = {}
        for part in tail:
            if part.kind in tails:
                self._report("E023", f"`{part.span.text}` comes twice", part.span)
            tails[part.kind] = part
        condition = tails.get("condition")
        keys = [(None, None)] * len(names) if key is None else key.value
        if len(keys) != len(names):
            message = f"{count(len(names), 'state')} but {count(len(keys), 'key')}"
            self._report("E022", message, key.span, help="give one key per state")
            keys = (keys * len(names))[: len(names)]
        states = [
            ast.State(
                name,
                None if value is None else plain(value),
                word,
                None if condition is None else condition.value,
                "eager" in tails,
                span if len(names) == 1 else name.span,
                place,
                None if shape is None else shape.value,
            )
            for name, (word, place) in zip(names, keys, strict=True)
        ]
        return states, condition is not None and condition.value is None

    def _initialize(self, span: Span, children: list[Any]) -> Part:
        states: list[ast.State] = []
        condition: ast.Expr | None = None
        for line, otherwise in children:
            if otherwise and condition is None:
                self._report("E024", "`otherwise` follows no state with a condition", line[0].span)
            elif otherwise:
                assert condition is not None
                line = [replace(s, condition=ast.Unary("not", condition, condition.span)) for s in line]
            elif line[0].condition is not None:
                condition = line[0].condition
            states += line
        return Part("initialize", tuple(states), span)

    def _step(self, span: Span, children: list[Any]) -> Part:
        index, *counts, body = children
        numbers = [str(c) for c in counts if c.type == "NUMBER"]
        if index != "t" or numbers not in (["1"], ["1", "2"]):
            self._report(
                "E021",
                "the step's loop counts `t` from 1",
                self._at(index).to(self._at(counts[-1])),
                help="write `for t = 1 to … do`",
            )
        return Part("step", body, span)

    def _each_step(self, span: Span, children: list[Any]) -> Part:
        return Part("each step", children[0], span)

    def _docstring(self, span: Span, children: list[Any]) -> Part:
        return Part("docstring", clean_doc(unicodedata.normalize("NFC", children[0][3:-3])), span)

    def _extends(self, span: Span, children: list[Any]) -> Part:
        return Part("extends", self._word(children[0]), self._at(children[0]))

    def _over_flat(self, span: Span, children: list[Any]) -> bool:
        name = self._target(children[0])
        if name.symbol != Symbol("θ") or name.time is not Time.NONE:
            self._report("E018", "only the parameters can be taken as one vector", span, help="write `over flat θ`")
        return True

    def _applies(self, span: Span, children: list[Any]) -> tuple[ast.Application, ...]:
        return tuple(children)

    def _application(self, span: Span, children: list[Any]) -> ast.Application:
        name, *arguments = children
        given = tuple(plain(a) for a in arguments if a is not None)
        return ast.Application(self._word(name), given, span, self._at(name))

    def _place(self, span: Span, children: list[Any]) -> str:
        return str(children[0])

    def _occurrence(self, span: Span, children: list[Any]) -> int:
        text = str(children[0])
        if not text.isdigit() or int(text) < 1:
            self._report("E026", "occurrences are counted 1, 2, …", span)
            return 1
        return int(text)

    def _edit(self, span: Span, children: list[Any]) -> ast.Edit:
        place, name, occurrence, body = children
        return ast.Edit(place, self._target(name), occurrence, body, span)

    def _gradient_edit(self, span: Span, children: list[Any]) -> ast.Edit:
        return ast.Edit("gradient", self._target(children[0]), None, children[1], span)

    def _update_edit(self, span: Span, children: list[Any]) -> ast.Edit:
        return ast.Edit("update", self._target(children[0]), None, children[1], span)

    def _sections(self, title: str, members: list[Any]) -> tuple[dict[str, Any], tuple[ast.Edit, ...]]:
        """The sections of the declaration that ``title`` names, each at most once, and its edits."""
        parts: dict[str, Any] = {}
        for member in members:
            if isinstance(member, ast.Edit):
                continue
            part = Part("return", member.value, member.span) if isinstance(member, ast.Return) else member
            if part.kind in parts or {part.kind, *parts} >= {"step", "each step"}:
                section = _SECTIONS.get(part.kind, f"`{part.kind}`")
                self._report("E023", f"a second {section} in {title}", first_line(part.span))
            else:
                parts[part.kind] = part.value
        return parts, tuple(member for member in members if isinstance(member, ast.Edit))

    def _transform(self, span: Span, children: list[Any]) -> ast.Transform:
        name, arguments, *members = children
        parts, edits = self._sections(f"transform `{name}`", members)
        return ast.Transform(
            self._word(name),
            arguments or (),
            parts.get("docstring", ""),
            parts.get("input", ()),
            parts.get("initialize", ()),
            edits,
            span,
            self._at(name),
        )

    def _optimizer(self, span: Span, children: list[Any]) -> ast.Optimizer:
        name, base, applies, flat, *members = children
        parts, edits = self._sections(f"optimizer `{name}`", members)
        return ast.Optimizer(
            self._word(name),
            None if base is None else base.value,
            parts.get("docstring", ""),
            parts.get("input", ()),
            parts.get("initialize", ()),
            parts.get("step", parts.get("each step", ())),
            parts.get("return"),
            bool(flat),
            span,
            self._at(name),
            None if base is None else base.span,
            edits,
            applies or (),
            "each step" in parts,
        )

    def _parameters(self, span: Span, children: list[Any]) -> tuple[ast.Name, ...]:
        return tuple(self._target(c) for c in children if c is not None)

    def _function_definition(self, span: Span, children: list[Any]) -> ast.Function:
        name, arguments, parameters, doc, *body = children
        return ast.Function(self._word(name), arguments, parameters or (), doc.value if doc else "", tuple(body), span)

    def _import_(self, span: Span, children: list[Any]) -> list[ast.Import]:
        *names, file = children
        path = self._text(file) if file.type == "STRING" else str(file)
        return [ast.Import(self._word(n), path, span) for n in names]

    def _start(self, span: Span, children: list[Any]) -> ast.Module:
        imports = [i for c in children if isinstance(c, list) for i in c]
        functions = [c for c in children if isinstance(c, ast.Function)]
        transforms = [c for c in children if isinstance(c, ast.Transform)]
        optimizers = [c for c in children if isinstance(c, ast.Optimizer)]
        whole = Span(self.spelled.source, 0, len(self.spelled.source.text))
        return ast.Module(tuple(imports), tuple(functions), tuple(optimizers), whole, tuple(transforms))
