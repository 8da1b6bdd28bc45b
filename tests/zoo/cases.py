"""The zoo: optimizers that torch lacks, and what each is compared with. A further optimizer is one more case."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import pytorch_optimizer
import torch
from torch import Tensor

import optdsl
from optdsl.compiler import check_files
from optdsl.ir.nodes import TORCH_FLAGS, Program
from tests.torch_parity.cases import SPECS
from tests.zoo import papers

ZOO = SPECS / "zoo"
STEPS = 25

Result = list[tuple[Tensor, Mapping[str, Any]]]
"""Every parameter after the last step, and its states by our keys."""

Reference = Callable[[list[Tensor], list[list[Tensor]], dict[str, Any]], Result]
"""From parameters, their gradients in every step, and all of our arguments by name."""


@dataclass(frozen=True)
class Case:
    """An optimizer of ``specs/zoo``, a reference, and the arguments to compare them with.

    ``rtol``: how far float64 results may be apart.
    """

    name: str
    reference: Reference
    configurations: tuple[dict[str, Any], ...]
    rtol: float = 1e-10

    @property
    def spec(self) -> Path:
        return ZOO / f"{self.name.lower()}.opt"

    @property
    def module(self) -> ModuleType:
        return _load(self.spec)

    @property
    def ours(self) -> type[torch.optim.Optimizer]:
        return getattr(self.module, self.name)

    @property
    def program(self) -> Program:
        return _program(self.spec)

    def arguments(self, kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Every argument of the optimizer's own: ``kwargs``, else the default."""
        parameters = list(inspect.signature(self.ours).parameters.values())[1:]
        return {p.name: p.default for p in parameters if p.name not in TORCH_FLAGS} | dict(kwargs)


@functools.cache
def _load(spec: Path) -> ModuleType:
    return optdsl.load(spec)


@functools.cache
def _program(spec: Path) -> Program:
    return check_files([spec]).units[0].program


def gradients(params: list[Tensor], steps: int = STEPS) -> list[list[Tensor]]:
    """Made-up gradients of ``params`` in each step; the same in every call."""
    generator = torch.Generator().manual_seed(5)
    return [[torch.randn(p.shape, dtype=p.dtype, generator=generator) for p in params] for _ in range(steps)]


def published(
    name: str,
    arguments: Callable[..., dict[str, Any]] = dict,
    **states: Callable[[Mapping[str, Any]], Any],
) -> Reference:
    """The class ``name`` of pytorch_optimizer, its ``arguments`` from ours, and our ``states`` from its own, and from
    what it keeps in the parameter group, where they are not kept under the same key."""

    def reference(params: list[Tensor], grads: list[list[Tensor]], ours: dict[str, Any]) -> Result:
        optimizer = getattr(pytorch_optimizer, name)(params, foreach=False, **arguments(**ours))
        for step in grads:
            for param, grad in zip(params, step, strict=True):
                param.grad = grad.clone()  # it is written to
            optimizer.step()
        kept = [{**optimizer.param_groups[0], **optimizer.state[param]} for param in params]
        return [(p, {**s, **{key: of(s) for key, of in states.items()}}) for p, s in zip(params, kept, strict=True)]

    return reference


def paper(step: papers.Step) -> Reference:
    """The arithmetic of a paper, in NumPy."""

    def reference(params: list[Tensor], grads: list[list[Tensor]], ours: dict[str, Any]) -> Result:
        result: Result = []
        for i, param in enumerate(params):
            theta, state = param.detach().numpy().copy(), {}
            for t, grad in enumerate(grads, start=1):
                theta = step(theta, grad[i].numpy(), state, t, **ours)
            result.append((torch.tensor(theta), {key: torch.tensor(np.asarray(x)) for key, x in state.items()}))
        return result

    return reference


def jointly(step: papers.JointStep) -> Reference:
    """The arithmetic of a paper, in NumPy, of all parameters together."""

    def reference(params: list[Tensor], grads: list[list[Tensor]], ours: dict[str, Any]) -> Result:
        thetas: list[papers.Array] = [param.detach().numpy().copy() for param in params]
        states: list[papers.State] = [{} for _ in params]
        for t, grad in enumerate(grads, start=1):
            thetas = step(thetas, [g.numpy() for g in grad], states, t, **ours)
        return [
            (torch.tensor(theta), {key: torch.tensor(np.asarray(x)) for key, x in state.items()})
            for theta, state in zip(thetas, states, strict=True)
        ]

    return reference


def decoupled(**ours: Any) -> dict[str, Any]:
    """The arguments of a published optimizer whose weight decay can be of either kind."""
    return {**ours, "weight_decouple": True}


def coupled(**ours: Any) -> dict[str, Any]:
    return {**ours, "weight_decouple": False}


PLAIN: dict[str, Any] = {}
DECAY = {"lr": 0.1, "weight_decay": 0.2}

CASES = (
    Case("Lion", published("Lion", decoupled), (PLAIN, DECAY)),
    Case("Signum", published("SignSGD", decoupled), (PLAIN, DECAY, {"momentum": 0})),
    Case(
        "SGDW",
        published("SGDW", decoupled),
        (DECAY, {**DECAY, "momentum": 0.9, "dampening": 0.5}, {**DECAY, "momentum": 0.9, "nesterov": True}),
    ),
    Case(
        "AggMo",
        published(
            "AggMo",
            coupled,
            velocity1=lambda state: state["momentum_buffer"][0.0],
            velocity2=lambda state: state["momentum_buffer"][0.9],
            velocity3=lambda state: state["momentum_buffer"][0.99],
        ),
        (PLAIN, DECAY),
    ),
    Case("QHM", published("QHM", coupled), (PLAIN, DECAY)),
    Case("QHAdam", published("QHAdam", coupled), (PLAIN, {**DECAY, "nus": (0.8, 0.6)}), rtol=1e-6),  # 1 / c in float32
    Case("PNM", published("PNM", decoupled), (PLAIN, {**DECAY, "betas": (0.8, 0.5)})),
    Case(
        "AdaBelief",
        published("AdaBelief", lambda amsgrad, **ours: decoupled(**ours, ams_bound=amsgrad)),
        (PLAIN, {**DECAY, "amsgrad": True}),
    ),
    # The published class lets m start where v does, and corrects biases; the paper does neither.
    Case("Yogi", paper(papers.yogi), (PLAIN, DECAY)),
    Case(  # adds 1e-15 under the root
        "AdaBound",
        published("AdaBound", lambda amsbound, **ours: coupled(**ours, ams_bound=amsbound)),
        (PLAIN, {**DECAY, "gamma": 0.1}, {**DECAY, "gamma": 0.1, "amsbound": True}),
        rtol=1e-7,
    ),
    # The published class averages learning rates that the bias of m is divided out of; those of the paper are not.
    Case("AdaMod", paper(papers.adamod), (PLAIN, {**DECAY, "betas": (0.9, 0.99, 0.8)})),
    # The published class adds ε before it corrects the bias of v, and 1e-15 under the root.
    Case("DiffGrad", published("DiffGrad", coupled), ({"eps": 0}, {**DECAY, "eps": 0}), rtol=1e-7),
    Case("DiffGrad", paper(papers.diffgrad), ({"eps": 0.1},)),
    Case(  # adds 1e-15 under the root
        "LaProp",
        published(
            "LaProp",
            lambda centered_after, **ours: decoupled(**ours, steps_before_using_centered=centered_after),
            grad_avg=lambda state: state.get("exp_mean_avg_beta2"),
        ),
        (PLAIN, DECAY, {**DECAY, "centered": True}),
        rtol=1e-7,
    ),
    # The published class adds ε to the learning rate.
    Case(
        "MADGRAD",
        published("MADGRAD", lambda lr, eps, **ours: coupled(**ours, lr=lr - eps, eps=eps)),
        (PLAIN, DECAY, {**DECAY, "momentum": 0}),
    ),
    Case(
        "FTRL",
        published("FTRL", lambda lambda1, lambda2, **ours: {**ours, "lambda_1": lambda1, "lambda_2": lambda2}),
        (PLAIN, {"lr": 0.1, "beta": 1, "lambda1": 2, "lambda2": 0.1}),
    ),
    Case(
        "Adan",
        published(
            "Adan",
            lambda decay, **ours: {**ours, "weight_decouple": decay == "decoupled"},
            previous_grad=lambda state: -state["previous_grad"],
        ),
        (PLAIN, DECAY, {**DECAY, "decay": "decoupled"}),
    ),
    # The published class counts the gradient that starts v among the steps: its bounds are a step ahead of the paper's.
    Case(
        "ADOPT",
        published(
            "ADOPT",
            lambda decoupled_weight_decay, **ours: coupled(**ours, clip_lambda=lambda step: (step - 1) ** 0.25),
        ),
        (PLAIN, DECAY),
    ),
    # It decays θ in that step too, where the paper moves nothing.
    Case("ADOPT", paper(papers.adopt), (PLAIN, {**DECAY, "decoupled_weight_decay": True})),
    Case(
        "AdEMAMix",
        published("AdEMAMix", lambda warmup, **ours: decoupled(**ours, t_alpha_beta3=warmup)),
        (PLAIN, {**DECAY, "warmup": 15, "alpha": 8}),
    ),
    Case("Grams", published("Grams", decoupled), (PLAIN, DECAY)),
    # The published class corrects no biases and adds ε to a norm.
    Case("LAMB", paper(papers.lamb), (PLAIN, DECAY)),
    Case(
        "LARS",
        published("LARS"),
        (PLAIN, {**DECAY, "dampening": 0.5, "trust_coefficient": 0.1}, {**DECAY, "nesterov": True}, {"momentum": 0}),
    ),
    Case("StableAdamW", published("StableAdamW", decoupled), (PLAIN, DECAY)),
    Case(
        "NovoGrad",
        published(
            "NovoGrad",
            coupled,
            momentum_buffer=lambda state: state["moments"],
            norm_avg=lambda state: state["grads_ema"],
        ),
        (PLAIN, DECAY, {**DECAY, "grad_averaging": True}),
    ),
    Case(
        "CAME",
        published("CAME", lambda eps, **ours: decoupled(**ours, eps1=eps[0], eps2=eps[1])),
        (PLAIN, {**DECAY, "clip_threshold": 0.5}),
    ),
    # The published class sums up in float32.
    Case("Prodigy", jointly(papers.prodigy), (PLAIN, {**DECAY, "d0": 1e-3})),
    Case(  # scalar states in float32
        "ScheduleFreeSGD",
        published("ScheduleFreeSGD"),
        ({"lr": 0.1}, {**DECAY, "warmup_steps": 8, "r": 1}),
        rtol=1e-6,
    ),
    Case("ScheduleFreeAdamW", published("ScheduleFreeAdamW"), (PLAIN, {**DECAY, "warmup_steps": 8, "r": 1}), rtol=1e-6),
    # The published class wraps another optimizer.
    Case("Lookahead", paper(papers.lookahead), (PLAIN, {"lr": 0.1, "period": 3, "slow_step_size": 0.8})),
    # The published class evaluates the gradient twice, or clips something else.
    Case("MARS", paper(papers.mars), (PLAIN, {**DECAY, "gamma": 0.5})),
    Case("TAdam", paper(papers.tadam), (PLAIN, {"lr": 0.1, "dof": 3.0}), rtol=1e-6),  # a scalar state in float32
)


def configurations(cases: Iterable[Case]) -> pytest.MarkDecorator:
    """Runs a test with each of ``cases`` in each of its configurations."""
    return pytest.mark.parametrize(
        ("case", "kwargs"),
        [
            pytest.param(case, kwargs, id="-".join([case.name, *(f"{key}={value}" for key, value in kwargs.items())]))
            for case in cases
            for kwargs in case.configurations
        ],
    )
