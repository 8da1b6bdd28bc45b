"""Steps too large or too deep for the compiler are refused, not crashed on."""

from __future__ import annotations

from pathlib import Path

import pytest

from optdsl.compiler import check_files

STEP = """
optimizer Descent:
    input:
        γ (lr) = 1

    for t = 1 to … do
        g_t ← ∇f_t(θ_{t-1})
%s        θ_t ← θ_{t-1} - γ g_t

    return θ_t
"""


def codes(text: str, folder: Path) -> list[str]:
    path = folder / "spec.opt"
    path.write_text(text, encoding="utf-8")
    return [diagnostic.code for diagnostic in check_files([path]).diagnostics]


def chain(length: int) -> str:
    return "".join(f"        {'else ' * (i > 0)}if γ > {i}\n            g_t ← {i} g_t\n" for i in range(length))


def doubling(levels: int) -> str:
    functions = "function f0(x):\n    return 2 x\n\n"
    for i in range(1, levels + 1):
        functions += f"function f{i}(x):\n    return f{i - 1}(x) + f{i - 1}(x)\n\n"
    return functions + STEP % f"        g_t ← f{levels}(g_t)\n"


@pytest.mark.parametrize(("length", "expected"), [(60, []), (70, ["E912"]), (1000, ["E912"])])
def test_chains_of_else_if(length: int, expected: list[str], tmp_path: Path) -> None:
    assert codes(STEP % chain(length), tmp_path) == expected


@pytest.mark.parametrize(("levels", "expected"), [(5, []), (30, ["E911"])])
def test_functions_that_call_functions(levels: int, expected: list[str], tmp_path: Path) -> None:
    assert codes(doubling(levels), tmp_path) == expected


def test_powers_of_powers_are_not_computed(tmp_path: Path) -> None:
    assert codes(STEP % "        g_t ← (9^9)^(9^9) g_t\n", tmp_path) == []
