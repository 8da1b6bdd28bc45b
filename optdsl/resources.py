"""The files that come with the compiler: the grammar and the specs.

In a checkout they lie in ``grammars/`` and ``specs/`` beside the package; a wheel carries them in ``optdsl/_data``.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable


@cache
def _root() -> Traversable:
    """The folder that holds ``grammars`` and ``specs``."""
    package = files("optdsl")
    carried = package / "_data"
    return carried if carried.is_dir() else package / ".."


def grammar_text() -> str:
    """The text of ``opt.lark``."""
    return (_root() / "grammars" / "opt.lark").read_text(encoding="utf-8")


def spec_names() -> tuple[str, ...]:
    """The names of the specs that come with the compiler, sorted (``adam``, ``adamw``, ...)."""
    return tuple(sorted(f.name[: -len(".opt")] for f in (_root() / "specs").iterdir() if f.name.endswith(".opt")))


def spec_text(name: str) -> str:
    """The text of the spec called ``name``, or of the parts for specs called so (``transforms``).

    Raises:
        FileNotFoundError: there is no such spec.
    """
    for folder in (_root() / "specs", _root() / "specs" / "parts"):
        if f"{name}.opt" in (file.name for file in folder.iterdir()):
            return (folder / f"{name}.opt").read_text(encoding="utf-8")
    raise FileNotFoundError(f"no spec called {name!r} comes with optdsl")
