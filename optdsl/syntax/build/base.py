"""What all layers of the builder share: spans, reports, and marks of how an expression was written."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Any

from lark import Token, Tree
from lark.tree import Meta
from lark.visitors import Transformer_NonRecursive

from optdsl.source import Diagnostic, Span
from optdsl.syntax.spelling import Spelled

MAX_DEPTH = 100
"""How many operations deep an expression may be, so that whoever walks it can do so by recursion."""

_DEEPENING = frozenset(
    "additive divide dot matmul sign juxtapose juxtapose_power power braced transpose root running absolute norm floor "
    "ceil call arguments bracket compare or_ and_ not_ case otherwise cases".split()
)


@dataclass(frozen=True)
class Product:
    """Factors side by side, without brackets around them; ``first`` is where the first of them stands."""

    value: Any
    span: Span
    first: Span


@dataclass(frozen=True)
class Power:
    """A power without brackets around it."""

    value: Any
    span: Span


@dataclass(frozen=True)
class Over:
    """What a reduction runs over: ``rows``, ``cols``, ``all`` or ``all parameters``."""

    what: str
    span: Span


@dataclass(frozen=True)
class Part:
    """A clause of a declaration."""

    kind: str
    value: Any
    span: Span


def plain(node: Any) -> Any:
    """``node`` without the marks of how it was written."""
    return node.value if isinstance(node, Product | Power) else node


def count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def first_line(span: Span) -> Span:
    """The part of ``span`` in its first line."""
    return Span(span.source, span.start, span.start + len(span.text.split("\n")[0].rstrip()))


class Base(Transformer_NonRecursive):
    """Walks a parse tree from its leaves, without recursion, and lets the method of every rule build its node."""

    def __init__(self, spelled: Spelled):
        super().__init__()
        self.spelled = spelled
        self.diagnostics: list[Diagnostic] = []
        self.depths: dict[int, int] = {}  # of expressions, by identity
        self.kept: list[Any] = []  # keeps those identities theirs

    def _call_userfunc(self, tree: Tree[Any], new_children: list[Any] | None = None) -> Any:
        children = tree.children if new_children is None else new_children
        span = self._span(tree.meta)
        built = getattr(self, "_" + tree.data)(span, children)
        if tree.data in _DEEPENING:
            self._measure(built, children, span)
        return built

    def _measure(self, built: Any, children: list[Any], span: Span) -> None:
        """Note how deep an expression is, and report the innermost that is too deep."""
        below = max((self.depths.get(id(child), 0) for child in children), default=0)
        depth = below + max(1, len(children) - 1)
        self.depths[id(built)] = depth
        self.kept.append(built)
        if below <= MAX_DEPTH < depth:
            self._report(
                "E008",
                f"this expression is more than {MAX_DEPTH} operations deep",
                first_line(span),
                help="name parts of it in statements of their own",
            )

    def _span(self, meta: Meta) -> Span:
        if meta.empty:
            return self.spelled.span(0, 0)
        text = self.spelled.text[meta.start_pos : meta.end_pos]
        return self.spelled.span(meta.start_pos, meta.start_pos + max(1, len(text.rstrip())))

    def _at(self, token: Token) -> Span:
        return self.spelled.of(token)

    def _report(self, code: str, message: str, span: Span, **more: Any) -> None:
        self.diagnostics.append(Diagnostic(code, message, span, **more))

    def _word(self, token: Token) -> str:
        """A token that is an identifier, as written."""
        return str(token)

    def _text(self, token: Token) -> str:
        """The value of a string token."""
        return re.sub(r"\\(.)", r"\1", unicodedata.normalize("NFC", token[1:-1]))
