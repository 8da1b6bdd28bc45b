"""The grammar has no conflicts, and its compiled form is kept safely between runs."""

from __future__ import annotations

import logging
import os
import pickle
from pathlib import Path

import lark
import pytest

from optdsl.resources import grammar_text
from optdsl.syntax import grammar

TEXT = "\noptimizer X :\n"


class Bomb:
    """What a tampered cache would hold."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("exploded",)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder; every call of ``grammar.parser`` reads it anew."""
    monkeypatch.setenv("OPTDSL_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(grammar, "parser", grammar.parser.__wrapped__)
    return tmp_path / "cache"


def accepts(parser: lark.Lark) -> set[str]:
    interactive = parser.parse_interactive("")
    return interactive.accepts()


def test_no_conflicts(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="lark"):
        lark.Lark(grammar_text(), parser="lalr", postlex=grammar._AlwaysAccept(), strict=True)
    assert not [r for r in caplog.records if "conflict" in r.getMessage().lower()]


def test_second_run_reads_what_the_first_wrote(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = grammar.parser()
    (file,) = cache.iterdir()
    monkeypatch.setattr(grammar, "compile_grammar", lambda text: pytest.fail("compiled again"))
    assert accepts(grammar.parser()) == accepts(compiled)
    assert [file] == list(cache.iterdir())


def test_another_grammar_is_another_file(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grammar.parser()
    monkeypatch.setattr(grammar, "grammar_text", lambda: grammar_text() + "\n// changed\n")
    grammar.parser()
    assert len(list(cache.iterdir())) == 2


@pytest.mark.parametrize("content", [b"", b"nonsense", pickle.dumps({"data": {}, "memo": {}}), pickle.dumps(Bomb())])
def test_damaged_file_is_replaced(cache: Path, content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    compiled = grammar.parser()
    (file,) = cache.iterdir()
    file.write_bytes(content)
    assert accepts(grammar.parser()) == accepts(compiled)
    assert not (tmp_path / "exploded").exists()
    monkeypatch.setattr(grammar, "compile_grammar", lambda text: pytest.fail("compiled again"))
    assert accepts(grammar.parser()) == accepts(compiled)


def test_folder_that_cannot_be_made(cache: Path) -> None:
    cache.write_text("a file where the folder should be")
    assert accepts(grammar.parser()) == {"IMPORT", "FUNCTION", "TRANSFORM", "OPTIMIZER", "$END"}


@pytest.mark.parametrize("call", ["tempfile.mkstemp", "os.replace"])
def test_folder_that_cannot_be_written(cache: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError

    module, function = call.split(".")
    monkeypatch.setattr(getattr(grammar, module), function, refuse)
    assert accepts(grammar.parser()) == {"IMPORT", "FUNCTION", "TRANSFORM", "OPTIMIZER", "$END"}
    monkeypatch.undo()
    assert not list(cache.iterdir())


def test_cache_folder_of_each_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPTDSL_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    monkeypatch.setenv("LOCALAPPDATA", "/l")
    for platform, start in {"linux": Path("/x/optdsl"), "win32": Path("/l/optdsl"), "darwin": Path.home()}.items():
        monkeypatch.setattr(grammar.sys, "platform", platform)
        assert grammar.cache_directory().is_relative_to(start)
