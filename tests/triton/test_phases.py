"""How kernels of steps that reduce tensors are launched."""

from __future__ import annotations

from functools import cache

import pytest

from tests.reducing.programs import Run, program
from tests.triton.harness import Package

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


@pytest.fixture(scope="session")
def kernels(interpreted: Package):
    return cache(lambda name: interpreted.add(program(name)))


def test_any_number_of_tensors_is_a_few_launches(kernels) -> None:
    run = Run(
        kernels("Adafactor"), program("Adafactor"), [(16 + i, 128 + i) for i in range(4)] + [(i,) for i in range(9)]
    )
    run.check(1)
    assert sorted(len(launch.jobs) for launch in run.launches) == [3, 7]
    run = Run(kernels("Lamb"), program("Lamb"), [(i + 1, i % 3 + 1) for i in range(20)] + [(), (7,)])
    run.check(1)
    assert [len(launch.jobs) for launch in run.launches] == [3]


def test_groups_share_a_launch(kernels) -> None:
    module, lamb = kernels("Lamb"), program("Lamb")
    groups = [Run(module, lamb, ((4, 5), (6,)), seed=seed, lr=lr) for seed, lr in ((1, 0.1), (2, 0.01))]
    for _ in range(2):
        for group in groups:
            group.new_gradients()
            group.expect()
        buckets = [bucket for group in groups for bucket, _ in group.buckets()]
        module.fused_step(buckets)
        assert len(groups[0].launches) == 1
    for group in groups:
        group.compare()
