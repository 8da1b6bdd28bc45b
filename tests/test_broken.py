"""Broken specs: ``tests/broken/**/NAME.opt`` and, in ``NAME.txt`` beside it, exactly what the compiler says about it.

Specs in folders called ``parts`` are there to be imported by others. ``pytest tests/test_broken.py --update-goldens``
writes the expected texts anew; read every one of them before it is committed.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from optdsl.compiler import check_files
from optdsl.render import render_all

BROKEN = Path(__file__).parent / "broken"
CASES = sorted(path.relative_to(BROKEN) for path in BROKEN.rglob("*.opt") if path.parent.name != "parts")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.with_suffix("").as_posix())
def test_says_exactly(case: Path, monkeypatch: pytest.MonkeyPatch, update_goldens: bool) -> None:
    monkeypatch.chdir(BROKEN / case.parent)
    checked = check_files([case.name])
    text = render_all(checked.diagnostics) + "\n"
    expected = Path(case.stem + ".txt")
    if update_goldens:
        expected.write_text(text, encoding="utf-8")
    assert text == expected.read_text(encoding="utf-8")


def test_every_expected_text_has_its_spec() -> None:
    texts = {path.relative_to(BROKEN).with_suffix(".opt") for path in BROKEN.rglob("*.txt")}
    assert texts == set(CASES)
