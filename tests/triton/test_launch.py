"""The launcher: how many launches a step takes, what it uploads, and tensors that are not simply contiguous."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cache
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.triton.cases import Case, program
from tests.triton.harness import Package

pytestmark = pytest.mark.filterwarnings("ignore:(divide by zero|invalid value):RuntimeWarning")

ADAM = Case("Adam", 7).all_hypers | {"lr": 0.1}
SGD = Case("SGD", 5).all_hypers | {"lr": 0.1, "momentum": 0.5}


@pytest.fixture(scope="session")
def kernels(interpreted: Package):
    return cache(lambda name: interpreted.add(program(name)))


class Tensors:
    """Parameters and everything that Adam keeps for them."""

    def __init__(self, kernels: ModuleType, params: list[Tensor], hypers: dict[str, Any] = ADAM):
        self.kernels = kernels
        self.params = params
        self.twins = [param.clone().requires_grad_() for param in params]
        self.twin = torch.optim.Adam(self.twins, lr=hypers["lr"], foreach=False)
        self.exp_avgs = [torch.zeros_like(param) for param in params]
        self.exp_avg_sqs = [torch.zeros_like(param) for param in params]
        self.steps = [torch.zeros(()) for _ in params]
        self.hypers = dict(hypers)
        self.grads = [torch.randn(param.shape, dtype=param.dtype) for param in params]

    @property
    def bucket(self) -> Any:
        bucket = self.kernels.Bucket
        return bucket(self.params, self.grads, (self.exp_avgs, self.exp_avg_sqs, []), self.steps, (), self.hypers)

    def step(self, **scaling: Any) -> None:
        self.kernels.fused_step([self.bucket], **scaling)

    def check(self, steps: int = 2) -> None:
        """Makes ``steps`` with new gradients, here and in torch.optim."""
        for _ in range(steps):
            for twin, grad in zip(self.twins, self.grads, strict=True):
                twin.grad = grad.clone()
            self.step()
            self.twin.step()
        for param, twin in zip(self.params, self.twins, strict=True):
            torch.testing.assert_close(param, twin.detach(), rtol=1e-5, atol=1e-6)


@pytest.fixture(autouse=True)
def seed() -> Iterator[None]:
    torch.manual_seed(0)
    yield


def test_any_number_of_tensors_is_one_launch(kernels, launches: Counter[str]) -> None:
    shapes = [(i % 7 + 1, i % 3 + 1) for i in range(110)] + [(), (1,), (5000,), (0,)]
    tensors = Tensors(kernels("Adam"), [torch.randn(shape) for shape in shapes])
    tensors.check(steps=1)
    assert launches == {"_adam_prepare": 1, "_adam_kernel": 1}


def test_groups_share_a_launch(kernels, launches: Counter[str]) -> None:
    groups = [Tensors(kernels("Adam"), [torch.randn(5), torch.randn(3)], {**ADAM, "lr": lr}) for lr in (0.1, 0.01)]
    kernels("Adam").fused_step([group.bucket for group in groups])
    assert launches == {"_adam_prepare": 1, "_adam_kernel": 1}
    for group, lr in zip(groups, (0.1, 0.01), strict=True):
        for param, twin in zip(group.params, group.twins, strict=True):
            torch.testing.assert_close((param - twin).abs(), torch.full_like(param, lr), rtol=1e-3, atol=0)


def test_flags_and_dtypes_do_not_share_a_launch(kernels, launches: Counter[str]) -> None:
    module = kernels("Adam")
    buckets = [
        Tensors(module, [torch.randn(5)]).bucket,
        Tensors(module, [torch.randn(5)], {**ADAM, "maximize": True}).bucket,
        Tensors(module, [torch.randn(5, dtype=torch.float64)]).bucket,
    ]
    module.fused_step(buckets)
    assert launches == {"_adam_prepare": 3, "_adam_kernel": 3}


def test_scalars_without_steps_are_prepared_when_they_change(kernels, launches: Counter[str]) -> None:
    module, params, hypers = kernels("SGD"), [torch.zeros(5)], {**SGD, "momentum": 0}
    grads = [torch.ones(5)]
    for lr, prepared in ((0.1, 1), (0.1, 1), (0.2, 2), (0.2, 2)):
        module.fused_step([module.Bucket(params, grads, ([],), [], (False,), {**hypers, "lr": lr})])
        assert launches["_sgd_prepare"] == prepared
    torch.testing.assert_close(params[0], torch.full((5,), -0.6))


def test_tensors_of_different_age_share_a_launch(kernels, launches: Counter[str]) -> None:
    tensors = Tensors(kernels("Adam"), [torch.randn(5), torch.randn(6)])
    tensors.steps[1].fill_(9.0)
    state = {"step": torch.tensor(9.0), "exp_avg": torch.zeros(6), "exp_avg_sq": torch.zeros(6)}
    tensors.twin.state[tensors.twins[1]] = state
    tensors.check()
    assert launches == {"_adam_prepare": 2, "_adam_kernel": 2}
    assert [step.item() for step in tensors.steps] == [2.0, 11.0]


# ---------------------------------------------------------------------------------------------------------- uploads


def the_launch(module: ModuleType) -> Any:
    plan = next(reversed(module._OPTIMIZER.plans.values()))
    (launch,) = plan.launches
    return launch


def test_a_table_is_uploaded_only_when_an_address_changed(kernels) -> None:
    tensors = Tensors(kernels("Adam"), [torch.randn(20), torch.randn(3, 4)])
    tensors.check(1)
    launch = the_launch(tensors.kernels)
    table, hypers = launch.table.tensor, launch.hypers.tensor
    tensors.check(1)
    assert the_launch(tensors.kernels) is launch
    assert launch.table.tensor is table
    tensors.grads = [grad.clone() for grad in tensors.grads]
    tensors.hypers["lr"] = tensors.twin.param_groups[0]["lr"] = 0.05
    tensors.check(1)
    assert the_launch(tensors.kernels) is launch
    assert launch.table.tensor is not table
    assert launch.hypers.tensor is not hypers


def test_hyperparameters_on_the_device_are_read_there(kernels) -> None:
    tensors = Tensors(kernels("Adam"), [torch.randn(20)])
    tensors.hypers["lr"] = lr = torch.tensor([0.1])
    tensors.check(1)
    lr.mul_(0.5)
    tensors.twin.param_groups[0]["lr"] = 0.05
    tensors.check(1)
    assert the_launch(tensors.kernels).hypers.values[0] == 0.0, "the host has not read it"


def test_new_states_at_the_old_parameters(kernels) -> None:
    tensors = Tensors(kernels("Adam"), [torch.randn(4, 6).t()])
    tensors.check(1)
    tensors.exp_avgs = [exp_avg.clone(memory_format=torch.contiguous_format) for exp_avg in tensors.exp_avgs]
    tensors.check(2)
    assert tensors.exp_avgs[0].is_contiguous()
    torch.testing.assert_close(tensors.exp_avgs[0], tensors.twin.state[tensors.twins[0]]["exp_avg"])


def test_a_parameter_given_other_memory(kernels) -> None:
    param = torch.nn.Parameter(torch.randn(12))
    tensors = Tensors(kernels("Adam"), [param.detach()])
    tensors.check(1)
    tensors.params = [tensors.params[0].clone()]
    tensors.check(1)


def test_plans_are_forgotten(kernels) -> None:
    module = kernels("Adam")
    kept = [Tensors(module, [torch.randn(2)]) for _ in range(20)]
    for tensors in kept:
        tensors.step()
    assert len(module._OPTIMIZER.plans) == 16


# ----------------------------------------------------------------------------------------------------------- layouts


def test_wide_accesses_are_aligned(kernels, monkeypatch: pytest.MonkeyPatch) -> None:
    module = kernels("Adam")
    seen = []
    tile_pointer = module.tile_pointer

    def checked(address: Any, dtype: Any, first: Any, wide: int) -> Any:
        at = int(address.handle.data.item()) + int(first.handle.data.item()) * dtype.primitive_bitwidth // 8
        seen.append((at % 16 == 0, wide))
        return tile_pointer(address, dtype, first, wide)

    monkeypatch.setattr(module, "tile_pointer", checked)
    memory = torch.randn(9000)
    aligned = memory.data_ptr() % 16 // 4
    Tensors(module, [memory[aligned : aligned + 4107]]).check(1)
    assert set(seen) == {(True, 4), (True, 1), (False, 1)}.intersection(seen)
    assert Counter(seen)[True, 4] == 4 * 4, "four tiles of each of four tensors, less than one by one"
    seen.clear()
    Tensors(module, [memory[aligned + 1 : aligned + 2000]]).check(1)
    assert {wide for _, wide in seen} == {1}


@pytest.mark.parametrize(
    "param",
    (
        torch.randn(4, 6).t(),
        torch.randn(4, 6)[:, ::2],
        torch.randn(4, 6)[1:3],
        torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
        torch.randn(3, 1, 2)[:, :, :1],
        torch.randn(10)[1:],
    ),
    ids=("transposed", "strided", "rows", "channels_last", "size_1", "unaligned"),
)
def test_layouts(kernels, param: Tensor) -> None:
    """Gradients are contiguous here, whatever the parameters are."""
    tensors = Tensors(kernels("Adam"), [param, torch.randn(3)])
    strides = param.stride()
    tensors.check()
    assert tensors.params[0].stride() == strides


def test_elements_around_a_view_are_left_alone(kernels) -> None:
    memory = torch.zeros(40)
    Tensors(kernels("Adam"), [memory[3:20], memory[21:38:2]]).check(1)
    untouched = torch.ones(40, dtype=torch.bool)
    untouched[3:20] = untouched[21:38:2] = False
    assert memory[untouched].eq(0).all()
    assert memory[~untouched].ne(0).all()


def test_an_expanded_parameter_is_refused(kernels) -> None:
    tensors = Tensors(kernels("Adam"), [torch.randn(3, 1)])
    tensors.params[0] = tensors.params[0].expand(3, 4)
    before = tensors.params[0].clone()
    with pytest.raises(RuntimeError, match="more than one element of the written-to tensor refers to a single memory"):
        tensors.step()
    assert tensors.params[0].equal(before)
    assert tensors.steps[0] == 0


def test_an_expanded_gradient(kernels) -> None:
    tensors = Tensors(kernels("Adam"), [torch.randn(3, 4)])
    tensors.grads[0] = torch.full((1, 1), 512.0).expand(3, 4)
    tensors.step(grad_scale=torch.tensor([256.0]), found_inf=torch.tensor([0.0]))
    torch.testing.assert_close(tensors.grads[0], torch.full((3, 4), 2.0))
    torch.testing.assert_close(tensors.exp_avgs[0], torch.full((3, 4), 0.2))


def test_versions_are_counted(kernels) -> None:
    tensors = Tensors(kernels("Adam"), [torch.randn(3)])
    lists = (tensors.params, tensors.exp_avgs, tensors.exp_avg_sqs, tensors.steps)
    before = [values[0]._version for values in lists]
    tensors.step()
    assert all(values[0]._version > old for values, old in zip(lists, before, strict=True))
    assert tensors.grads[0]._version == 0


# ------------------------------------------------------------------------------------------------------------ states


def test_an_infinity_in_the_first_step_creates_no_state(kernels) -> None:
    module = kernels("SGD")
    params, grads, buffers = [torch.ones(5)], [torch.ones(5)], [None]
    bucket = module.Bucket(params, grads, (buffers,), [], (False,), SGD)
    module.fused_step([bucket], found_inf=torch.tensor([1.0]))
    assert buffers == [None]
    assert params[0].eq(1).all()
    module.fused_step([bucket], found_inf=torch.tensor([0.0]))
    assert buffers[0] is not None
    assert buffers[0].equal(grads[0])
    assert buffers[0].data_ptr() != grads[0].data_ptr()


def test_an_infinity_leaves_everything_as_it_was(kernels) -> None:
    tensors = Tensors(kernels("Adam"), [torch.randn(5), torch.randn(4)])
    tensors.check(1)
    lists = (tensors.params, tensors.grads, tensors.exp_avgs, tensors.exp_avg_sqs, tensors.steps)
    before = [tensor.clone() for values in lists for tensor in values]
    tensors.step(grad_scale=torch.tensor([2.0]), found_inf=torch.tensor([2.0]))
    assert all(a.equal(b) for a, b in zip(before, (t for values in lists for t in values), strict=True))
    tensors.check(1)


# ------------------------------------------------------------------------------------------------------------ blocks


def test_blocks_of_huge_tensors(kernels) -> None:
    block_map = __import__(f"{kernels('Adam').__package__}._support.triton_tables", fromlist=["*"]).block_map
    tensor, chunk = block_map([0, 1, 2**31 + 1000, 4096, 4097], 4096, torch.device("cpu"))
    assert tensor.dtype == chunk.dtype == torch.int32
    counts = tensor.bincount().tolist()
    assert counts == [0, 1, 2**19 + 1, 1, 2]
    assert chunk[tensor == 2].equal(torch.arange(2**19 + 1, dtype=torch.int32))
    assert chunk[-2:].tolist() == [0, 1]


# ------------------------------------------------------------------------------------------------------ distributed


@pytest.fixture
def mesh() -> Iterator[Any]:
    """A mesh of this process alone."""
    from torch import distributed
    from torch.distributed.device_mesh import init_device_mesh

    distributed.init_process_group("gloo", rank=0, world_size=1, store=distributed.HashStore())
    yield init_device_mesh("cpu", (1,))
    distributed.destroy_process_group()


def test_distributed_tensors(kernels, mesh: Any) -> None:
    from torch.distributed.tensor import Shard, distribute_tensor

    local = Tensors(kernels("Adam"), [torch.randn(6, 5)])
    tensors = Tensors(kernels("Adam"), [distribute_tensor(local.params[0].clone(), mesh, [Shard(0)])])
    for _ in range(2):
        tensors.grads = [distribute_tensor(local.grads[0], mesh, [Shard(0)])]
        tensors.step()
        local.step()
    assert tensors.params[0].to_local().equal(local.params[0])
    assert tensors.exp_avgs[0].to_local().equal(local.exp_avgs[0])
