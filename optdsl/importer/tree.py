"""Rewriting syntax trees: what mending a box needs of every node."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from typing import Any

from optdsl.source import Span
from optdsl.syntax import ast

Rewrite = Callable[[Any], Any]

NODES = (
    ast.Name, ast.Number, ast.Bool, ast.String, ast.NoneLiteral, ast.StepTime, ast.Gradient, ast.Unary, ast.Binary,
    ast.Compare, ast.Call, ast.Case, ast.Cases, ast.Running, ast.Assign, ast.Branch, ast.If, ast.ForElements,
    ast.ForSupport, ast.ForRange, ast.Repeat, ast.While, ast.Break, ast.Append, ast.Return, ast.Tuple,
    ast.Constraint, ast.Input, ast.State, ast.Optimizer,
    ast.Function, ast.Module, ast.Import,
)  # fmt: skip


def rewritten(node: Any, rewrite: Rewrite) -> Any:
    """``node`` (or a tuple of nodes) with ``rewrite`` applied to every node in it, the innermost first."""
    if isinstance(node, tuple):
        return tuple(rewritten(child, rewrite) for child in node)
    if not isinstance(node, NODES):
        return node
    changed = {f.name: rewritten(getattr(node, f.name), rewrite) for f in fields(node) if not f.name.endswith("span")}
    return rewrite(replace(node, **changed))


def walk(node: Any) -> Iterator[Any]:
    """Every node in ``node`` (or a tuple of nodes), itself included, in the order of the text."""
    if isinstance(node, tuple):
        for child in node:
            yield from walk(child)
    elif isinstance(node, NODES):
        yield node
        for field in fields(node):
            if not field.name.endswith("span"):
                yield from walk(getattr(node, field.name))


def relocated(node: Any, place: Callable[[Span], Span]) -> Any:
    """``node`` (or a tuple of nodes) with every span put through ``place``."""
    if isinstance(node, tuple):
        return tuple(relocated(child, place) for child in node)
    if isinstance(node, Span):
        return place(node)
    if not isinstance(node, NODES):
        return node
    return replace(node, **{f.name: relocated(getattr(node, f.name), place) for f in fields(node)})
