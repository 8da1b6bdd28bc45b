"""The grammar and the specs are found in a checkout and in an installed package."""

from __future__ import annotations

from pathlib import Path

import pytest

from optdsl import resources

ROOT = Path(__file__).parent.parent


def test_checkout() -> None:
    assert resources.grammar_text() == (ROOT / "grammars" / "opt.lark").read_text(encoding="utf-8")
    assert {"adam", "adamw", "sgd"} <= set(resources.spec_names())
    assert resources.spec_text("adam") == (ROOT / "specs" / "adam.opt").read_text(encoding="utf-8")


def test_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder, name in (("grammars", "opt.lark"), ("specs", "mine.opt")):
        (tmp_path / "_data" / folder).mkdir(parents=True)
        (tmp_path / "_data" / folder / name).write_text(name, encoding="utf-8")
    monkeypatch.setattr(resources, "files", lambda package: tmp_path)
    monkeypatch.setattr(resources, "_root", resources._root.__wrapped__)
    assert resources.grammar_text() == "opt.lark"
    assert resources.spec_names() == ("mine",)
    assert resources.spec_text("mine") == "mine.opt"


@pytest.mark.parametrize("name", ["nothing", "../pyproject", "adam.opt"])
def test_unknown_spec(name: str) -> None:
    with pytest.raises(FileNotFoundError, match="no spec called"):
        resources.spec_text(name)
