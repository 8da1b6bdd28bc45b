"""Counts of whole-tensor accesses, per configuration."""

from dataclasses import replace

import pytest

from optdsl.emit.python import selected
from optdsl.ir.cost import costs
from optdsl.ir.nodes import Const, Program, Rate, State, StateValue
from tests.ir_samples import ADAM, SGD


def counted(program: Program) -> dict[str, dict[str, int]]:
    """Accesses per variant for each configuration, named by what differs from the defaults."""
    return {" ".join(c.settings): dict(c.accesses) for c in costs(program, selected(program))}


@pytest.mark.parametrize(
    ("program", "configuration", "torch_foreach", "minimum"),
    [
        (ADAM, "", 18, 7),
        (ADAM, "weight_decay decoupled_weight_decay", 20, 7),
        (ADAM, "amsgrad", 21, 9),
        (SGD, "", 3, 3),
        (SGD, "momentum", 8, 5),
    ],
)
def test_no_more_than_torch_and_what_one_pass_needs(
    program: Program, configuration: str, torch_foreach: int, minimum: int
) -> None:
    accesses = counted(program)[configuration]
    assert accesses["foreach"] <= torch_foreach
    assert accesses["for-loop"] <= torch_foreach
    assert accesses["minimum"] == minimum


def test_only_switches_that_matter_are_combined() -> None:
    """Decoupling without decay changes nothing; maximize stands alone."""
    configurations = counted(ADAM)
    assert "decoupled_weight_decay" not in configurations
    assert [name for name in configurations if "maximize" in name] == ["maximize"]


def test_a_state_that_nothing_changes_is_neither_read_nor_written() -> None:
    untouched = State("idle", "i", Rate.ELEMENT, Const(0))
    new_states = (*ADAM.new_states, ("idle", StateValue("idle")))
    program = replace(ADAM, states=(*ADAM.states, untouched), new_states=new_states)
    assert counted(program)[""]["minimum"] == 7
