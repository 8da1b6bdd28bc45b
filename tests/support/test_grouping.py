"""Splitting the tensors of a step."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from optdsl.support.grouping import Batch


def batch(n: int) -> Batch:
    return Batch(
        params=[torch.tensor(float(i)) for i in range(n)],
        grads=[torch.tensor(-float(i)) for i in range(n)],
        states=[[], [None] * n, [torch.tensor(10.0 * i) for i in range(n)]],
        steps=[torch.tensor(100.0 * i) for i in range(n)],
    )


def test_nothing_is_copied_where_nothing_varies() -> None:
    whole = batch(3)
    assert whole.split([]) == [whole]
    assert whole.split([[True] * 3, ["a"] * 3])[0] is whole


@given(st.lists(st.tuples(st.integers(0, 2), st.booleans()), min_size=1, max_size=8))
def test_every_part_is_constant_and_none_is_lost(keys: list[tuple[int, bool]]) -> None:
    whole = batch(len(keys))
    parts = whole.split([[number for number, _ in keys], [flag for _, flag in keys]])
    found = []
    for part in parts:
        positions = [int(param) for param in part.params]
        assert len({keys[i] for i in positions}) == 1
        assert positions == sorted(positions)
        assert [grad.item() for grad in part.grads] == [-i for i in positions]
        assert part.states[0] == [] and part.states[1] == [None] * len(positions)
        assert [state.item() for state in part.states[2]] == [10 * i for i in positions]
        assert [step.item() for step in part.steps] == [100 * i for i in positions]
        found += positions
    assert len(parts) == len(set(keys))
    assert sorted(found) == list(range(len(keys)))
