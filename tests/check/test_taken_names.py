"""What generated modules import is known to the checker, which keeps a spec's names from meaning it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import optdsl.support
from optdsl.check.vocabulary import CODE_NAMES, MODULE_NAMES
from optdsl.emit.optimizer import module
from optdsl.emit.procedures import flat

GENERATED = Path(__file__).parent.parent.parent / "generated"
MODULES = [path for path in sorted(GENERATED.glob("*.py")) if not path.name.startswith("_")]


def test_all_of_the_support_is_taken() -> None:
    assert set(optdsl.support.__all__) <= MODULE_NAMES
    assert {*module.SUPPORT, *flat.SUPPORT} <= set(optdsl.support.__all__)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_imports_are_taken(path: Path) -> None:
    imports = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {alias.asname or alias.name for node in imports for alias in node.names if node.col_offset == 0}
    assert names - {"annotations"} <= MODULE_NAMES <= CODE_NAMES
