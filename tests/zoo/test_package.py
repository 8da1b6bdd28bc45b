"""The zoo as it is shipped: a folder of specs, each short, documented and compiled with the others."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from optdsl.compiler import check_files
from tests.zoo.cases import CASES, ZOO

SPECS = sorted(ZOO.glob("*.opt"))


def test_every_spec_has_a_case() -> None:
    assert {spec.stem for spec in SPECS} == {case.name.lower() for case in CASES}
    assert len(SPECS) >= 14


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.stem)
def test_a_spec_is_short_and_says_whose_it_is(spec: Path) -> None:
    lines = spec.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 45
    assert max(map(len, lines)) <= 120
    (unit,) = check_files([spec]).units
    assert re.search(r'et al\.|and \w+, "', unit.program.doc), "no paper"
    assert all(argument.doc for argument in unit.program.arguments if argument.scalars and not argument.fixed)


def test_the_zoo_compiles_to_one_package(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "optdsl", "compile", *map(str, SPECS), "-o", str(tmp_path / "zoo")]
    subprocess.run(command, check=True, capture_output=True)
    program = (
        "import torch, zoo\n"
        "for name in zoo.__all__:\n"
        "    param = torch.ones(3, requires_grad=True)\n"
        "    optimizer = getattr(zoo, name)([param], lr=0.1)\n"
        "    for _ in range(2):\n"
        "        param.square().sum().backward()\n"
        "        optimizer.step()\n"
        "    assert not torch.equal(param, torch.ones(3)), name\n"
        "print(*zoo.__all__)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) == {case.name for case in CASES}
