"""Every diagnostic of the checks has a code that says which rule it comes from, and an example."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
SHOWN_ELSEWHERE = {"E911", "E912"}
"""Shown by ``test_size``: their specs are too long to keep."""


def codes_of(path: Path) -> set[str]:
    """The codes that appear as literals in a module, its doc string left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    literals = (n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str))
    return {text for text in literals if len(text) == 4 and text[0] in "EW" and text[1:].isdigit()}


def test_every_code_has_a_broken_spec() -> None:
    codes = set().union(*(codes_of(path) for path in (ROOT / "optdsl" / "check").glob("*.py")))
    texts = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests" / "broken").rglob("*.txt"))
    assert {code for code in codes - SHOWN_ELSEWHERE if f"[{code}]" not in texts} == set()


def test_a_code_belongs_to_one_module() -> None:
    owners: dict[str, str] = {}
    for path in sorted((ROOT / "optdsl" / "check").glob("*.py")):
        for code in codes_of(path):
            assert owners.setdefault(code, path.name) == path.name
