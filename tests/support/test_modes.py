"""``train()`` and ``eval()``: what an optimizer returns, where that is not the parameter it trains."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import optdsl

HEAD = """
optimizer Averaging:
    input:
        γ (lr) = 0.1
        κ (weight) = 0.25
        slow = false

    initialize:
        x_0 ← θ_0 (average)
        y_0 ← 0 (other) if slow

    for t = 1 to … do
        g_t ← ∇f_t(θ_{t-1})
        θ_t ← θ_{t-1} - γ g_t
        x_t ← x_{t-1} + κ (θ_t - x_{t-1})
        if slow
            y_t ← 0.5 (y_{t-1} + θ_t)

"""
FUNCTION = """
function mixed(θ, x, y; κ, slow):
    if slow
        θ ← 2 θ + y
    return x + κ (θ - x)
"""
LINEAR = "    return x_t + κ (θ_t - x_t)\n"
KEPT = "    return x_t\n"
SHAPED = "    return (θ_t - mean(x_t, over cols)) / numel(θ)\n"
REDUCED = "    return θ_t - mean(θ_t) mean(x_t)\n"
COUNTED = "    return (θ_t t - x_t) / (1 + t)\n"


def compiled(folder: Path, returns: str) -> Any:
    path = folder / "averaging.opt"
    path.write_text(HEAD + returns, encoding="utf-8")
    return optdsl.load(path).Averaging


def trained(optimizer: Any, params: list[Tensor], steps: int = 3) -> None:
    generator = torch.Generator().manual_seed(1)
    for _ in range(steps):
        for param in params:
            param.grad = torch.randn(param.shape, dtype=param.dtype, generator=generator)
        optimizer.step()


def a_parameter(seed: int = 0) -> Tensor:
    return torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).requires_grad_()


@pytest.mark.parametrize("returns", (LINEAR, KEPT, SHAPED, REDUCED, COUNTED))
def test_what_is_returned_and_back(returns: str, tmp_path: Path) -> None:
    params = [a_parameter(), a_parameter(1)]
    optimizer = compiled(tmp_path, returns)(params)
    trained(optimizer, params)
    before = [param.detach().clone() for param in params]
    optimizer.eval()
    for param, θ in zip(params, before, strict=True):
        x = optimizer.state[param]["average"]
        expected = {
            LINEAR: x + 0.25 * (θ - x),
            KEPT: x,
            SHAPED: (θ - x.mean(1, keepdim=True)) / 12,
            REDUCED: θ - θ.mean() * x.mean(),
            COUNTED: (3 * θ - x) / 4,
        }
        torch.testing.assert_close(param.detach(), expected[returns])
    optimizer.train()
    for param, θ in zip(params, before, strict=True):
        torch.testing.assert_close(param.detach(), θ)
        assert "training_param" not in optimizer.state[param]


def test_a_parameter_that_is_kept_comes_back_exactly(tmp_path: Path) -> None:
    param = a_parameter()
    optimizer = compiled(tmp_path, KEPT)([param])
    trained(optimizer, [param])
    before = param.detach().clone()
    optimizer.eval()
    other = a_parameter(2)
    again = type(optimizer)([other])
    again.load_state_dict(optimizer.state_dict())
    with torch.no_grad():
        other.copy_(param)
    for one in (optimizer, again):
        one.train()
    assert torch.equal(param, before)
    assert torch.equal(other, before)


def test_a_step_in_evaluation_is_refused(tmp_path: Path) -> None:
    param = a_parameter()
    optimizer = compiled(tmp_path, LINEAR)([param])
    optimizer.eval()
    param.grad = torch.ones_like(param)
    with pytest.raises(RuntimeError, match=r"Averaging is in evaluation mode; call train\(\) before step\(\)"):
        optimizer.step()
    optimizer.train()
    optimizer.step()


def test_what_has_made_no_step_stays(tmp_path: Path) -> None:
    params = [a_parameter(), a_parameter(1)]
    optimizer = compiled(tmp_path, COUNTED)(params)
    before = [param.detach().clone() for param in params]
    params[0].grad = torch.ones_like(params[0])
    optimizer.step()
    optimizer.eval()
    assert not torch.equal(params[0], before[0])
    assert torch.equal(params[1], before[1])


def test_the_mode_is_in_the_checkpoint_and_that_of_new_groups(tmp_path: Path) -> None:
    param = a_parameter()
    optimizer = compiled(tmp_path, LINEAR)([param])
    trained(optimizer, [param])
    assert optimizer.state_dict()["param_groups"][0]["train_mode"] is True
    optimizer.eval()
    saved = deepcopy(optimizer.state_dict())
    assert saved["param_groups"][0]["train_mode"] is False
    again = type(optimizer)([a_parameter()])
    again.load_state_dict(saved)
    with pytest.raises(RuntimeError, match="evaluation mode"):
        again.step()
    optimizer.add_param_group({"params": [a_parameter(1)]})
    assert [group["train_mode"] for group in optimizer.param_groups] == [False, False]
    optimizer.train()
    trained(optimizer, [param])


def test_an_older_checkpoint_is_of_training(tmp_path: Path) -> None:
    optimizer = compiled(tmp_path, LINEAR)([a_parameter()])
    saved = optimizer.state_dict()
    del saved["param_groups"][0]["train_mode"]
    optimizer.eval()
    optimizer.load_state_dict(saved)
    assert optimizer.param_groups[0]["train_mode"] is True


@pytest.mark.parametrize("slow", (False, True))
def test_a_flag_decides(slow: bool, tmp_path: Path) -> None:
    path = tmp_path / "averaging.opt"
    text = FUNCTION + HEAD.replace("(other) if slow", "(other)").replace("if slow\n            y_t", "y_t")
    path.write_text(text + "    return mixed(θ_t, x_t, y_t; κ, slow)\n", encoding="utf-8")
    param = a_parameter()
    optimizer = optdsl.load(path).Averaging([param], slow=slow)
    trained(optimizer, [param])
    θ = param.detach().clone()
    x, y = (optimizer.state[param][key] for key in ("average", "other"))
    optimizer.eval()
    torch.testing.assert_close(param.detach(), x + 0.25 * ((2 * θ + y if slow else θ) - x))
    optimizer.train()
    torch.testing.assert_close(param.detach(), θ)


def test_fused_steps_have_modes_too(tmp_path: Path) -> None:
    returns = "    return (1 - κ) θ_t + κ |x_t|\n"
    param = a_parameter()
    optimizer = compiled(tmp_path, returns)([param], slow=True, fused=True)
    trained(optimizer, [param])
    θ = param.detach().clone()
    optimizer.eval()
    torch.testing.assert_close(param.detach(), 0.75 * θ + 0.25 * optimizer.state[param]["average"].abs())
