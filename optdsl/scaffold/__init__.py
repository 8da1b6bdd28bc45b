"""A starting point for a new optimizer: a commented spec that trains as it is, and its test."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

from jinja2 import StrictUndefined, Template

from optdsl.files import SUFFIX


def class_name(name: str) -> str | None:
    """The class that ``name`` names: ``lion`` → ``Lion``, ``my-opt`` → ``MyOpt``; None where it names none."""
    words = re.split(r"[-_ ]+", name)
    joined = "".join(word[:1].upper() + word[1:] for word in words)
    return joined if re.fullmatch(r"[A-Z][A-Za-z0-9]*", joined) else None


def default_path(name: str) -> Path:
    """Where the spec of the class ``name`` goes."""
    return Path(f"{name.lower()}{SUFFIX}")


def scaffold(name: str, path: Path) -> dict[Path, str]:
    """The files for a new optimizer, the class ``name``: its spec, at ``path``, and beside it the spec's test."""
    module = re.sub(r"\W", "_", path.stem, flags=re.ASCII)
    values = {"name": name, "file": path.name}
    return {
        path: _render("spec.opt.jinja", values),
        path.with_name(f"test_{module}.py"): _render("test.py.jinja", values),
    }


def _render(template: str, values: dict[str, str]) -> str:
    text = (files(__name__) / template).read_text(encoding="utf-8")
    return Template(text, undefined=StrictUndefined, keep_trailing_newline=True).render(values)
