"""The templates of emitted modules, each beside the emitter that fills it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from optdsl.emit.lines import folded


def template(name: str, **functions: Callable[..., object]) -> Template:
    """The template ``name``, a path within ``optdsl/emit``, which may call ``functions``."""
    return _environment().get_template(name, globals=functions)


def tuple_text(names: Iterable[str]) -> str:
    """A tuple of strings, as ruff format would have it."""
    texts = [f'"{name}"' for name in names]
    return f"({texts[0]},)" if len(texts) == 1 else f"({', '.join(texts)})"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("optdsl.emit", ""),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    environment.filters["folded"] = folded
    environment.globals["tuple_text"] = tuple_text
    return environment
