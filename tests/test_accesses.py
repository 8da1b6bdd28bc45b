"""``optdsl show --cost`` is what a step reads and writes when it runs, and no more than torch's own step does."""

from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
import torch

from benchmarks.accesses import count
from optdsl.compiler import Unit, check_files
from optdsl.emit.python import selected
from optdsl.ir.cost import Configuration, costs
from optdsl.ir.procedures import FlatProgram
from optdsl.loader import load

ROOT = Path(__file__).parent.parent
UNITS = [
    unit
    for unit in check_files(sorted((ROOT / "specs").glob("*.opt"))).units
    if not isinstance(unit.program, FlatProgram) and not unit.program.procedures
]
"""Those all of whose operations are counted: of a procedure only what it is given and what it returns are."""
CASES = [
    pytest.param(
        unit,
        configuration,
        id=f"{unit.program.name}-{'-'.join(configuration.settings) or 'defaults'}-{configuration.dim}",
    )
    for unit in UNITS
    for configuration in costs(unit.program, selected(unit.program))
]

DEAREST = {"ASGD": {"t0": 1}}
"""Arguments with which ten steps come to the dearer side of a branch decided per step, as the cost counts it."""

BOUNDS = {
    "SGD": 3, "Adam": 18, "AdamW": 20, "NAdam": 22, "RAdam": 22, "Adadelta": 27, "Rprop": 40, "RMSprop": 13,
    "Adagrad": 13, "Adafactor": 21, "Adamax": 16, "ASGD": 12, "SparseAdam": 28,
}  # fmt: skip
"""What torch's foreach step reads and writes under the defaults, in torch 2.13; of stored entries, what ours does."""


@cache
def compiled(spec: str) -> ModuleType:
    return load(spec)


@pytest.mark.parametrize("variant", ["for-loop", "foreach"])
@pytest.mark.parametrize(("unit", "configuration"), CASES)
def test_the_count_is_what_a_step_does_and_at_most_torchs(
    unit: Unit, configuration: Configuration, variant: str
) -> None:
    name = unit.program.name
    arguments = {**DEAREST.get(name, {}), **configuration.settings, "foreach": variant == "foreach"}
    counted = configuration.accesses[variant]
    sparse = unit.program.stored_only
    assert count(getattr(compiled(unit.source.name), name), arguments, sparse, configuration.dim) == counted
    if hasattr(torch.optim, name) and not sparse:
        assert counted <= count(getattr(torch.optim, name), arguments, dim=configuration.dim)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.program.name)
def test_the_count_stays_within_bounds(unit: Unit) -> None:
    """Whatever the installed torch does."""
    by_settings = {tuple(c.settings): c.accesses for c in costs(unit.program, selected(unit.program))}
    defaults = by_settings[()]
    assert max(defaults["for-loop"], defaults["foreach"]) <= BOUNDS[unit.program.name]
    if unit.program.name == "RMSprop":
        both = by_settings["centered", "momentum"]
        assert max(both["for-loop"], both["foreach"]) <= 24
