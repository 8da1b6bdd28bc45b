"""What is proved of steps without gradient, against the interpreter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import Phase, given, settings

from optdsl.compiler import check_files
from optdsl.ir import interpret
from optdsl.ir.nodes import Const, Expr, Program, Rate, State
from optdsl.ir.procedures import FlatProgram
from optdsl.ir.sparse import sparse_support
from tests.strategies import Case, cases

SPECS = Path(__file__).parents[2] / "specs"

PROGRAMS = {
    unit.program.name: unit.program
    for unit in check_files(sorted(SPECS.glob("*.opt"))).units
    if not isinstance(unit.program, FlatProgram)
}


def holds(condition: Expr, hypers: dict[str, object]) -> bool:
    """Whether a condition on hyperparameters holds, as that of a state does."""
    return interpret.exists(State("", "", Rate.ELEMENT, None, condition), hypers, np.zeros(()))


HYPERS = ({}, {"weight_decay": 0.5}, {"momentum": 0.5}, {"weight_decay": 0.5, "momentum": 0.5}, {"maximize": True})


@pytest.mark.parametrize("hypers", HYPERS, ids=str)
def test_sgd_and_adagrad_take_sparse_gradients(hypers: dict[str, float]) -> None:
    for name, program in PROGRAMS.items():
        support = sparse_support(program)
        values = interpret.default_hypers(program, **hypers)
        plain = not values.get("weight_decay")
        rows = name == "Adagrad" or (name == "SGD" and not values["momentum"])
        assert holds(support.rows, values) == (rows and plain), name
        if name in ("SGD", "Adagrad"):
            assert holds(support.rest, values) == plain


def unchanged(program: Program, case: Case, first: bool) -> bool:
    """Whether a step without gradient leaves everything finite as it was."""
    state = interpret.initial_state(program, case.hypers, case.param, scalar_dtype=np.float64)
    param, t = case.param, 1
    if not first:
        for grad in case.grads:
            param, state = interpret.step(program, case.hypers, param, grad, state, t, scalar_dtype=np.float64)
            t += 1
    new_param, new_state = interpret.step(program, case.hypers, param, 0 * param, state, t, scalar_dtype=np.float64)
    pairs = [(param, new_param)]
    pairs += [(state.get(s.key, 0.0), new_state[s.key]) for s in program.tensor_states if s.key in new_state]
    return all(np.all((new == old) | ~np.isfinite(new)) for old, new in pairs)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@given(case=cases())
@settings(max_examples=300, phases=(Phase.generate,))
def test_what_is_said_to_stay_stays(case: Case) -> None:
    support = sparse_support(case.program)
    for condition, first in ((support.rows, False), (support.rest, True)):
        if condition != Const(False) and holds(condition, case.hypers):
            assert unchanged(case.program, case, first)
