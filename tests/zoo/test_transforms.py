"""Transforms of AdamW and SGD: what they do is done to torch's own from outside, before and after each step."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_, clip_grad_value_

import optdsl
from tests.torch_parity.cases import parameters
from tests.zoo.cases import gradients

STEPS = 12
LR = 0.05
BASES: dict[str, tuple[type[torch.optim.Optimizer], dict[str, Any]]] = {
    "AdamW": (torch.optim.AdamW, {"lr": LR, "weight_decay": 0}),
    "SGD": (torch.optim.SGD, {"lr": LR, "momentum": 0.9, "nesterov": True}),
}


def unchanged(params: list[Tensor]) -> None:
    """The gradients as they are."""


def same(update: Tensor, param: Tensor, grad: Tensor) -> Tensor:
    return update


def clip_each_norm(params: list[Tensor]) -> None:
    for param in params:
        clip_grad_norm_([param], 0.5)


def centralized(params: list[Tensor]) -> None:
    for param in params:
        if param.dim() > 1:
            assert param.grad is not None
            param.grad.sub_(param.grad.mean(dim=tuple(range(1, param.dim())), keepdim=True))


def coupled(params: list[Tensor]) -> None:
    for param in params:
        assert param.grad is not None
        param.grad.add_(param.detach(), alpha=0.1)


def trusted(update: Tensor, param: Tensor, grad: Tensor) -> Tensor:
    norms = param.norm(), update.norm()
    return LR * norms[0] * update / norms[1] if min(norms) > 0 else update


def cautious(update: Tensor, param: Tensor, grad: Tensor) -> Tensor:
    """As in the code that came with arXiv:2411.16085."""
    mask = (update * grad > 0).to(grad.dtype)
    return update * mask / mask.mean().clamp_(min=1e-3)


@dataclass(frozen=True)
class Transform:
    """What becomes of the gradients, in place, and of what a step of torch's subtracts from a parameter."""

    applied: str
    gradients: Callable[[list[Tensor]], Any] = unchanged
    update: Callable[[Tensor, Tensor, Tensor], Tensor] = same
    rtol: float = 1e-12

    @property
    def name(self) -> str:
        return self.applied.partition("(")[0]


TRANSFORMS = (
    Transform("clipped_gradient(0.5)", lambda params: clip_grad_value_(params, 0.5)),
    Transform("clipped_norm(0.5)", clip_each_norm, rtol=1e-5),  # torch adds 1e-6 to norms
    Transform("clipped_global_norm(2)", lambda params: clip_grad_norm_(params, 2), rtol=1e-5),
    Transform("centralized_gradient", centralized),
    Transform("coupled_decay(0.1)", coupled),
    Transform("decoupled_decay(γ, 0.1)", update=lambda u, x, g: u + LR * 0.1 * x),
    Transform("clipped_update(γ)", update=lambda u, x, g: u.clamp(-LR, LR)),
    Transform("sign_update(γ)", update=lambda u, x, g: LR * u.sign()),
    Transform("trust_ratio(γ)", update=trusted),
    Transform("cautious", update=cautious),
)


def tensors() -> list[Tensor]:
    """Parameters of all kinds, weights of a convolution among them."""
    kernel = torch.randn(4, 3, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    return [*parameters(torch.float64), kernel.requires_grad_()]


@functools.cache
def compiled(base: str, transform: Transform, folder: Path) -> Any:
    path = folder / f"{transform.name}_{base.lower()}.opt"
    path.write_text(
        f"import {base} from {base.lower()}\nimport {transform.name} from transforms\n"
        f"optimizer New extends {base} with {transform.applied}:\n    return θ_t\n",
        encoding="utf-8",
    )
    return optdsl.load(path).New


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("specs")


@pytest.mark.parametrize("foreach", (False, True), ids=("loop", "foreach"))
@pytest.mark.parametrize("transform", TRANSFORMS, ids=lambda transform: transform.name)
@pytest.mark.parametrize("base", BASES)
def test_a_transform(base: str, transform: Transform, foreach: bool, folder: Path) -> None:
    twin, kwargs = BASES[base]
    ours, theirs = tensors(), tensors()
    optimizer = compiled(base, transform, folder)(ours, **kwargs, foreach=foreach)
    reference = twin(theirs, **kwargs)
    for step in gradients(ours, STEPS):
        for one, other, grad in zip(ours, theirs, step, strict=True):
            one.grad, other.grad = grad.clone(), grad.clone()
        optimizer.step()
        before = [param.detach().clone() for param in theirs]
        transform.gradients(theirs)
        reference.step()
        with torch.no_grad():
            for param, old, grad in zip(theirs, before, step, strict=True):
                param.copy_(old - transform.update(old - param, old, grad))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=transform.rtol, atol=transform.rtol)


def test_every_transform_is_compared() -> None:
    text = (Path(optdsl.__file__).parents[1] / "specs" / "parts" / "transforms.opt").read_text(encoding="utf-8")
    shipped = {line.split()[1].partition("(")[0].rstrip(":") for line in text.splitlines() if line[:10] == "transform "}
    own_states = {"averaged_update", "look_ahead"}  # tests/check/test_edits.py writes them out
    assert shipped == {transform.name for transform in TRANSFORMS} | own_states


def test_lamb_is_adam_with_decay_and_a_trust_ratio(folder: Path) -> None:
    path = folder / "made.opt"
    path.write_text(
        "import Adam from adam\nimport decoupled_decay, trust_ratio from transforms\n"
        "optimizer Made extends Adam with decoupled_decay(γ, 0.1), trust_ratio(γ):\n    return θ_t\n",
        encoding="utf-8",
    )
    ours, theirs = parameters(torch.float64), parameters(torch.float64)
    made = optdsl.load(path).Made(ours, lr=LR, eps=1e-6)
    lamb = optdsl.load(Path(optdsl.__file__).parents[1] / "specs" / "zoo" / "lamb.opt").LAMB
    reference = lamb(theirs, lr=LR, weight_decay=0.1)
    for step in gradients(ours, STEPS):
        for one, other, grad in zip(ours, theirs, step, strict=True):
            one.grad, other.grad = grad, grad
        made.step()
        reference.step()
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)
