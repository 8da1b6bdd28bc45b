"""Steps with products and procedures in them, fused around these: as the for-loop, on both back ends."""

from __future__ import annotations

import copy
import functools
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

import optdsl
from optdsl.compiler import check_files
from optdsl.ir.nodes import StateValue
from optdsl.ir.passes.segments import Made, Segment, cut
from tests.triton.harness import faithful_interpreter, load_fused

HERE = Path(__file__).parent
SPECS = {"Muon": HERE.parent.parent / "specs" / "muon.opt", "Braided": HERE / "braided.opt"}
CONFIGURATIONS: list[tuple[str, dict[str, Any]]] = [
    ("Muon", {}),
    ("Muon", {"nesterov": False, "adjust_lr_fn": "match_rms_adamw"}),
    ("Muon", {"maximize": True, "weight_decay": 0.0}),
    ("Braided", {}),
    ("Braided", {"square": False}),
    ("Braided", {"maximize": True}),
]
SHAPES = ((3, 4), (4, 3), (3, 4), (1, 5), (5, 1), (70, 33))

pytestmark = pytest.mark.filterwarnings("ignore:(divide by zero|invalid value):RuntimeWarning")
every_configuration = pytest.mark.parametrize(("name", "kwargs"), CONFIGURATIONS, ids=str)
every_optimizer = pytest.mark.parametrize("name", SPECS)


@functools.cache
def module(name: str, backend: str) -> ModuleType:
    return load_fused(SPECS[name]) if backend == "triton" else optdsl.load(SPECS[name])


@pytest.fixture(params=["native", "triton"])
def made(name: str, request: pytest.FixtureRequest) -> Iterator[Callable[..., torch.optim.Optimizer]]:
    """The class, whose kernels for the CPU are C, or those of a GPU in Triton's interpreter."""
    with faithful_interpreter():
        yield getattr(module(name, request.param), name)


def parameters(dtype: torch.dtype = torch.float64) -> list[Tensor]:
    generator = torch.Generator().manual_seed(3)
    params = [0.3 * torch.randn(shape, generator=generator, dtype=torch.float64) for shape in SHAPES]
    params.append(params[0].t().clone().t())
    return [param.to(dtype).requires_grad_() for param in params]


def give_gradients(params: list[Tensor], step: int, scale: float = 1.0) -> None:
    generator = torch.Generator().manual_seed(100 + step)
    for param in params:
        grad = torch.randn(param.shape, generator=generator, dtype=torch.float64)
        param.grad = (scale * grad).to(param.dtype)


def train(optimizer: torch.optim.Optimizer, steps: range) -> torch.optim.Optimizer:
    for step in steps:
        give_gradients([param for group in optimizer.param_groups for param in group["params"]], step)
        optimizer.step()
    return optimizer


def assert_equal_results(ours: torch.optim.Optimizer, others: torch.optim.Optimizer, rtol: float) -> None:
    for our_group, other_group in zip(ours.param_groups, others.param_groups, strict=True):
        for our, other in zip(our_group["params"], other_group["params"], strict=True):
            torch.testing.assert_close(our, other, rtol=rtol, atol=rtol)
            assert ours.state[our].keys() == others.state[other].keys()
            for key, value in others.state[other].items():
                torch.testing.assert_close(ours.state[our][key], value, rtol=rtol, atol=rtol)


def tolerance(name: str) -> float:
    """A last bit of what Newton-Schulz is given may decide how it is rounded to bfloat16."""
    return 2e-2 if name == "Muon" else 1e-6


@every_configuration
def test_as_the_loop(made: Callable[..., torch.optim.Optimizer], name: str, kwargs: dict[str, Any]) -> None:
    fused, loop = (
        train(made(parameters(), lr=0.05, **kwargs, **variant), range(4))
        for variant in ({"fused": True}, {"foreach": False})
    )
    assert_equal_results(fused, loop, tolerance(name))


@every_optimizer
def test_groups_and_dtypes(made: Callable[..., torch.optim.Optimizer], name: str) -> None:
    optimizers = []
    for variant in ({"fused": True}, {"foreach": False}):
        groups = [
            {"params": parameters(torch.float32), "lr": torch.tensor(0.02)},
            {"params": parameters(), "maximize": True},
        ]
        optimizers.append(train(made(groups, lr=0.05, **variant), range(3)))
    assert_equal_results(*optimizers, rtol=max(tolerance(name), 1e-4))


@every_optimizer
def test_the_same_step_has_the_same_bits(made: Callable[..., torch.optim.Optimizer], name: str) -> None:
    first, second = (train(made(parameters(torch.float32), fused=True), range(3)) for _ in range(2))
    assert_equal_results(first, second, 0)


@every_optimizer
def test_gradients_are_unscaled_once(made: Callable[..., torch.optim.Optimizer], name: str) -> None:
    scaled, plain = (made(parameters(), lr=0.05, fused=True) for _ in range(2))
    for step in range(3):
        for optimizer, scale in ((scaled, 8.0), (plain, 1.0)):
            give_gradients(optimizer.param_groups[0]["params"], step, scale)
        scaled.grad_scale, scaled.found_inf = torch.tensor(8.0), torch.tensor(0.0)
        scaled.step()
        plain.step()
        for ours, theirs in zip(*(o.param_groups[0]["params"] for o in (scaled, plain)), strict=True):
            torch.testing.assert_close(ours.grad, theirs.grad)
    assert_equal_results(scaled, plain, tolerance(name))


@every_optimizer
def test_an_infinite_gradient_skips_all_of_the_step(made: Callable[..., torch.optim.Optimizer], name: str) -> None:
    optimizer = train(made(parameters(), fused=True), range(2))
    params = optimizer.param_groups[0]["params"]
    before = copy.deepcopy((params, optimizer.state_dict()["state"]))
    give_gradients(params, 2, float("inf"))
    optimizer.grad_scale, optimizer.found_inf = torch.tensor(8.0), torch.tensor(1.0)
    optimizer.step()
    torch.testing.assert_close((params, optimizer.state_dict()["state"]), before, rtol=0, atol=0)


@every_optimizer
def test_copies_and_checkpoints_go_on(made: Callable[..., torch.optim.Optimizer], name: str) -> None:
    """Of a fused optimizer as of one that is not, and from one to the other."""
    fused = train(made(parameters(), fused=True), range(2))
    plain = made([param.detach().clone().requires_grad_() for param in fused.param_groups[0]["params"]])
    saved = pickle.loads(pickle.dumps(fused.state_dict()))
    saved["param_groups"][0]["fused"] = None
    plain.load_state_dict(saved)
    copied = copy.deepcopy(fused)
    for optimizer in (fused, plain, copied):
        train(optimizer, range(2, 4))
    assert_equal_results(copied, fused, 0)
    assert_equal_results(fused, plain, tolerance(name))


def test_muon_is_two_launches_around_newton_schulz() -> None:
    first, made, second = cut(check_files([SPECS["Muon"]]).units[0].program)
    assert isinstance(first, Segment) and isinstance(made, Made) and isinstance(second, Segment)
    assert first.reads_grad and not second.reads_grad
    assert [state.key for state in first.program.states] == ["momentum_buffer", *first.makes]
    assert [state.key for state in second.program.states] == [made.name]


def test_a_state_is_written_when_its_old_value_has_been_read() -> None:
    """torch is given the momentum of the step before, so that the second kernel writes the new one."""
    program = check_files([SPECS["Braided"]]).units[0].program
    kernels = [piece.program for piece in cut(program) if isinstance(piece, Segment)]
    written = [
        {state.key for state in kernel.states if dict(kernel.new_states)[state.key] != StateValue(state.key)}
        for kernel in kernels
    ]
    assert [("momentum" in keys, "weight" in keys) for keys in written] == [
        (False, False),
        (True, False),
        (False, True),
    ]


def test_a_product_in_a_branch_is_not_cut_around() -> None:
    made = optdsl.load(HERE / "through_branch.opt").ThroughBranch
    with pytest.raises(RuntimeError, match="`fused=True` is not available for ThroughBranch: it multiplies matrices"):
        made([torch.zeros(2, 2, requires_grad=True)], fused=True)
