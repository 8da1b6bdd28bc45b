"""The compiled grammar, kept on disk between runs.

Compiling ``opt.lark`` takes most of a second; loading its tables takes milliseconds. They lie in the user's cache
folder under a name made from the grammar's text and the versions of Lark and Python, are written atomically, and are
read by an unpickler that knows no classes, so that a tampered file can hold wrong tables but no code. Where the folder
cannot be read or written the grammar is compiled anew.
"""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import lark

from optdsl.resources import grammar_text
from optdsl.syntax.layout import ALWAYS_ACCEPTED


class _AlwaysAccept:
    """What Lark asks of a post-lexer; the layout itself is run by the parse loop, which keeps it across errors."""

    always_accept = ALWAYS_ACCEPTED

    def process(self, stream: Any) -> Any:
        return stream


class _PlainUnpickler(pickle.Unpickler):
    """Reads dicts, lists, strings and numbers, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"unexpected {module}.{name} in the grammar cache")


def cache_directory() -> Path:
    """The user's cache folder for this tool: ``$OPTDSL_CACHE_DIR``, or the platform's place."""
    if given := os.environ.get("OPTDSL_CACHE_DIR"):
        return Path(given)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "optdsl" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "optdsl"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "optdsl"


def _cache_file(grammar: str) -> Path | None:
    key = "\0".join((grammar, lark.__version__, sys.version, *ALWAYS_ACCEPTED))
    try:
        return cache_directory() / f"grammar-{hashlib.sha256(key.encode()).hexdigest()[:24]}.tables"
    except RuntimeError:  # no home directory
        return None


def _load(file: Path) -> lark.Lark | None:
    """The parser whose tables ``file`` holds, or None where it holds none that fit."""
    try:
        tables = _PlainUnpickler(io.BytesIO(file.read_bytes())).load()
        return lark.Lark._load_from_dict(tables["data"], tables["memo"], postlex=_AlwaysAccept())
    except Exception:  # any damage to the file means one thing: compile the grammar again
        return None


def _plain(value: Any) -> Any:
    """``value`` with plain strings for Lark's tokens, which are strings too."""
    if isinstance(value, dict):
        return {_plain(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_plain, value))
    return str(value) if isinstance(value, str) else value


def _store(parser: lark.Lark, file: Path) -> None:
    """Write the tables of ``parser`` to ``file``, all at once; a folder that refuses is no error."""
    saved = io.BytesIO()
    parser.save(saved, exclude_options={"postlex"})
    saved.seek(0)
    content = pickle.dumps(_plain(pickle.load(saved)), protocol=pickle.HIGHEST_PROTOCOL)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=file.parent, suffix=".tmp")
    except OSError:
        return
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        os.replace(temporary, file)
    except OSError:
        os.unlink(temporary)


def compile_grammar(grammar: str) -> lark.Lark:
    """The LALR parser of ``grammar``, from its text."""
    return lark.Lark(
        grammar,
        parser="lalr",
        lexer="contextual",
        postlex=_AlwaysAccept(),
        propagate_positions=True,
        maybe_placeholders=True,
    )


@cache
def parser() -> lark.Lark:
    """The parser of the language."""
    grammar = grammar_text()
    file = _cache_file(grammar)
    loaded = _load(file) if file else None
    if loaded is not None:
        return loaded
    built = compile_grammar(grammar)
    if file:
        _store(built, file)
    return built
