"""The schedule of steps that reduce: which passes there are, what they move, and that nothing is read too early."""

from __future__ import annotations

import pytest
from hypothesis import Phase, given, settings

from optdsl.emit.python import selected
from optdsl.ir.cost import costs
from optdsl.ir.nodes import Let, Program, Ref, StateValue, statements, walk
from optdsl.ir.passes.folds import obstacles
from optdsl.ir.passes.phases import Schedule, Space, schedule_of
from tests.reducing.programs import NAMES, program
from tests.strategies import programs


def jobs(name: str) -> list[tuple[str, set[str], set[str]]]:
    """For each job its space, the reductions that it feeds or finishes, by identifier, and what it writes."""
    return [
        (job.space.name, {fold.name.partition(".")[0] for fold in job.folds}, set(job.writes))
        for job in schedule_of(program(name)).jobs
    ]


def test_a_trust_ratio_takes_two_passes_and_states_are_written_by_the_first() -> None:
    norms = {"sum_all_param_squared", "sum_all_u_squared"}
    assert jobs("Lamb") == [
        ("ELEMENTS", norms, {"exp_avg", "exp_avg_sq"}),
        ("TENSOR", norms, set()),
        ("ELEMENTS", set(), {"param"}),
    ]
    last = schedule_of(program("Lamb")).passes[-1]
    assert set(last.loaded.values()) == {"exp_avg", "exp_avg_sq"}, "read back in place of the gradient"


def test_adafactor_reads_the_parameter_no_sooner_than_it_must() -> None:
    squares, norms = {"sum_cols_grad_squared", "sum_rows_grad_squared"}, {"sum_all_param_squared", "sum_all_U_squared"}
    assert jobs("Adafactor") == [
        ("ELEMENTS", squares, set()),
        ("ROWS", {"sum_cols_grad_squared"}, {"row_var"}),
        ("COLS", {"sum_rows_grad_squared"}, {"col_var"}),
        ("MATRICES", {"sum_rows_row_var"}, set()),
        ("ELEMENTS", norms, set()),
        ("TENSOR", norms, set()),
        ("ELEMENTS", set(), {"param", "variance"}),
    ]


@pytest.mark.parametrize(
    ("name", "dim", "minimum"),
    [
        ("Adafactor", 2, 6),
        ("Adafactor", 1, 8),
        ("Lamb", None, 10),
        ("StableAdamW", None, 9),
        ("Covers", 2, 3),
        ("Ranks", 2, 5),
        ("Ranks", 1, 3),
        ("Centred", 1, 6),
    ],
)
def test_traffic(name: str, dim: int | None, minimum: int) -> None:
    counted = costs(program(name), selected(program(name)))
    defaults = next(c for c in counted if not c.settings and c.dim == dim)
    assert defaults.accesses["minimum"] == minimum


@pytest.mark.parametrize("name", NAMES)
def test_jobs_read_what_is_there(name: str) -> None:
    assert_sound(schedule_of(program(name)))


@given(programs(beyond=True).filter(lambda program: not obstacles(program)))
@settings(max_examples=100, phases=(Phase.generate,))
def test_jobs_of_drawn_programs_read_what_is_there(program: Program) -> None:
    assert_sound(schedule_of(program))


def assert_sound(schedule: Schedule) -> None:
    """Every value is made by an earlier job or this one, every reduction is fed before it is finished, every state is
    written once, and none is read after it has been overwritten."""
    made: set[str] = set()
    fed: set[str] = set()
    written: set[str] = set()
    for job in schedule.jobs:
        own = {s.name for s in statements(job.block) if isinstance(s, Let)}
        own |= {m.name for s in statements(job.block) if not isinstance(s, Let) for m in s.merges}
        for fold in job.folds:
            if job.number is not None:
                fed.add(fold.name)
                assert not isinstance(fold.operand, Ref) or fold.operand.name in own | made | job.loaded.keys()
            elif fold.source is Space.ELEMENTS:
                assert fold.name in fed
            else:
                assert isinstance(fold.operand, Ref)
                assert fold.operand.name in made
        available = made | own | job.loaded.keys()
        if job.number is None:
            available |= {fold.name for fold in job.folds}
        assert set(job.loaded.values()) <= written
        for stmt in statements(job.block):
            atoms = walk(stmt.value) if isinstance(stmt, Let) else (a for m in stmt.merges for a in (m.then, m.orelse))
            for atom in atoms:
                if isinstance(atom, Ref) and atom.type.rate > 2:
                    assert atom.name in available
                assert not (isinstance(atom, StateValue) and atom.key in written)
        assert not written & set(job.writes)
        written |= set(job.writes)
        if job.number is None:
            made |= own | {fold.name for fold in job.folds}
    changed = {k for k, final in schedule.step.results.items() if final != schedule.step.old(k)}
    assert written == changed
