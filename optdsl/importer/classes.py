"""Optimizer classes that are written in Python: the algorithm box of their doc string, and the defaults they have.

The package that holds the class is imported, here and nowhere else.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType

from optdsl.source import Diagnostic, Source, Span
from optdsl.syntax.suggest import nearest

_DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")
_DIRECTIVE = re.compile(r"^[ \t]*\.\. ", re.MULTILINE)


@dataclass(frozen=True)
class Documented:
    """A class: its name, its doc string, the text before the box, and its arguments' defaults."""

    name: str
    source: Source
    summary: str
    defaults: Mapping[str, object]


def is_class_name(text: str) -> bool:
    """Whether ``text`` has the form ``package.Class``, and not that of a file name."""
    return _DOTTED.fullmatch(text) is not None and not text.endswith((".tex", ".txt", ".md", ".rst"))


def read_class(path: str) -> Documented | Diagnostic:
    """The class called ``path`` (``torch.optim.Adam``); E704 if there is none, or it has no doc string."""
    place = Span(Source(path, ""), 0, 0)
    module_name, _, name = path.rpartition(".")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # a package can fail in any way while it is imported
        package = module_name.partition(".")[0]
        missing = isinstance(error, ModuleNotFoundError) and error.name == package
        message = f"`{package}` is not installed" if missing else f"`{module_name}` cannot be imported: {error}"
        help_ = f"install it (`pip install {package}`), or give a .tex file" if missing else ""
        return Diagnostic("E704", message, place, help=help_)
    found = getattr(module, name, None)
    if not inspect.isclass(found):
        near = nearest(name, _classes(module))
        help_ = f"did you mean `{module_name}.{near}`?" if near else ""
        return Diagnostic("E704", f"`{module_name}` has no class `{name}`", place, help=help_)
    doc = inspect.getdoc(found)
    if not doc:
        return Diagnostic("E704", f"`{path}` has no doc string", place)
    directive = _DIRECTIVE.search(doc)
    summary = doc[: directive.start()].strip() if directive else ""
    return Documented(name, Source(path, doc), _plain(summary), _defaults(found))


def _classes(module: ModuleType) -> list[str]:
    return [name for name, value in vars(module).items() if inspect.isclass(value) and not name.startswith("_")]


def _plain(text: str) -> str:
    """``text`` as a doc string of a spec: nothing in it ends one."""
    return text.replace('"""', "'''").replace("\\", "").rstrip('"')


def _defaults(found: type) -> dict[str, object]:
    try:
        parameters = inspect.signature(found).parameters
    except (TypeError, ValueError):
        return {}
    return {p.name: p.default for p in parameters.values() if p.default is not inspect.Parameter.empty}
