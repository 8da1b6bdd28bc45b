"""The base class, under optimizers that torch does not have."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
import torch

import optdsl

SIGN = """
optimizer SignDescent:
    \"\"\"Steps of one size, without any state.\"\"\"

    input:
        γ (lr)

    for t = 1 to … do
        g_t ← ∇f_t(θ_{t-1})
        θ_t ← θ_{t-1} - γ sign(g_t)

    return θ_t
"""

AVERAGES = """
optimizer Averages:
    \"\"\"Every kind of state: with and without initial value, scalar, under a flag, made early.\"\"\"

    input:
        γ (lr) = 0.1                    where γ ≥ 0
        κ (start) = 0.25
        mode ∈ {"fast", "slow"} = none
        keep = false

    initialize:
        c_0 ← κ (scale)
        m_0 ← κ (average) at construction
        b (first)
        l (last)                        if keep

    for t = 1 to … do
        g_t ← ∇f_t(θ_{t-1})
        c_t ← 0.5 c_{t-1} + 0.25 t
        if t > 1
            b_t ← 0.5 b_{t-1} + g_t
        else
            b_t ← g_t
        if keep
            if t > 1
                l_t ← l_{t-1} + g_t
            else
                l_t ← g_t
            g_t ← g_t + l_t
        if mode = "fast"
            g_t ← 2 g_t
        m_t ← m_{t-1} + c_t b_t
        θ_t ← θ_{t-1} - γ (m_t + g_t)

    return θ_t
"""


pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")


@pytest.fixture(scope="module")
def sign(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return load(tmp_path_factory.mktemp("sign") / "sign.opt", SIGN).SignDescent


@pytest.fixture(scope="module")
def averages(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return load(tmp_path_factory.mktemp("averages") / "averages.opt", AVERAGES).Averages


def load(path: Path, text: str) -> Any:
    path.write_text(text, encoding="utf-8")
    return optdsl.load(path)


def params(dtype: torch.dtype = torch.float64) -> list[torch.Tensor]:
    return [torch.full((2,), value, dtype=dtype, requires_grad=True) for value in (1.0, 2.0, 3.0)]


def step(optimizer: torch.optim.Optimizer, grads: list[float | None]) -> None:
    for param, grad in zip(optimizer.param_groups[0]["params"], grads, strict=True):
        param.grad = None if grad is None else torch.full_like(param, grad)
    optimizer.step()


@pytest.mark.parametrize("foreach", (False, True))
def test_no_state(sign: Any, foreach: bool) -> None:
    optimizer = sign(params(), 0.5, foreach=foreach)
    step(optimizer, [2.0, -3.0, None])
    assert [param[0].item() for param in optimizer.param_groups[0]["params"]] == [0.5, 2.5, 3.0]
    assert optimizer.state_dict()["state"] == {}


def test_an_argument_without_default_must_be_given(sign: Any) -> None:
    with pytest.raises(TypeError, match="lr"):
        sign(params())


def reference(grads: list[list[float | None]], start: float, keep: bool, fast: bool) -> list[float]:
    """The spec in Python, for the first element of every parameter."""
    values = [1.0, 2.0, 3.0]
    for i in range(3):
        scale, average, first, last, t = start, start, 0.0, 0.0, 0
        for grad in (each[i] for each in grads):
            if grad is None:
                continue
            t += 1
            scale = 0.5 * scale + 0.25 * t
            first = 0.5 * first + grad if t > 1 else grad
            if keep:
                last = last + grad if t > 1 else grad
                grad += last
            grad *= 2 if fast else 1
            average += scale * first
            values[i] -= 0.1 * (average + grad)
    return values


GRADS: list[list[float | None]] = [[1.0, None, -2.0], [0.5, 3.0, None], [None, 1.0, 1.0], [2.0, 2.0, 2.0]]


@pytest.mark.parametrize("variant", ({"foreach": False}, {"foreach": True}, {"differentiable": True}), ids=str)
@pytest.mark.parametrize("keep", (False, True))
def test_every_kind_of_state(averages: Any, keep: bool, variant: dict[str, Any]) -> None:
    """Parameters that differ in their step count, in a scalar state and in what they have are kept apart."""
    leaves = params()
    tensors = [leaf.clone() for leaf in leaves] if "differentiable" in variant else leaves
    optimizer = averages(tensors, keep=keep, mode="fast", **variant)
    with torch.no_grad() if "differentiable" not in variant else torch.enable_grad():
        for grads in GRADS:
            step(optimizer, grads)
    expected = reference(GRADS, 0.25, keep, fast=True)
    assert [param[0].item() for param in tensors] == pytest.approx(expected, rel=1e-7)
    keys = {"step", "scale", "average", "first"} | ({"last"} if keep else set())
    assert all(set(state) == keys for state in optimizer.state.values())
    assert [state["step"].item() for state in optimizer.state.values()] == [3, 3, 3]
    assert all(state["scale"].dtype is torch.float32 for state in optimizer.state.values())


def test_state_made_at_construction(averages: Any) -> None:
    first, *rest = params()
    optimizer = averages([first], start=0.5)
    optimizer.add_param_group({"params": rest, "start": 2.0})
    for param, start in zip((first, *rest), (0.5, 2.0, 2.0), strict=True):
        assert set(optimizer.state[param]) == {"step", "scale", "average"}
        assert optimizer.state[param]["scale"].item() == start
        torch.testing.assert_close(optimizer.state[param]["average"], torch.full_like(param, start).detach())
    optimizer.share_memory()
    assert all(value.is_shared() for state in optimizer.state.values() for value in state.values())


def test_choices(averages: Any) -> None:
    with pytest.raises(ValueError, match="Invalid mode value: medium"):
        averages(params(), mode="medium")


def test_a_start_in_a_tensor_is_followed_by_autograd(averages: Any) -> None:
    """Initial values that are hyperparameters, of a tensor state and of a scalar one, keep their graph."""
    start = torch.tensor(0.25, dtype=torch.float64, requires_grad=True)
    leaf = torch.ones(2, dtype=torch.float64)
    optimizer = averages([leaf], start=start, differentiable=True)
    step(optimizer, [1.0])
    assert leaf.grad_fn is not None
    (gradient,) = torch.autograd.grad(leaf.sum(), start)
    # d/dκ of -γ (κ + (κ/2 + 1/4) g), for two elements and g = 1
    assert gradient.item() == pytest.approx(-0.1 * 1.5 * 2)


PREVIOUS = """
optimizer Previous:
    \"\"\"Follows the change of the gradient.\"\"\"

    input:
        γ (lr) = 0.1

    initialize:
        p (previous_grad)

    for t = 1 to … do
        g_t ← ∇f_t(θ_{t-1})
        if t > 1
            d_t ← g_t - p_{t-1}
        else
            d_t ← g_t
        θ_t ← θ_{t-1} - γ d_t
        p_t ← g_t

    return θ_t
"""


@pytest.mark.parametrize("dtype", (torch.float64, torch.complex128))
@pytest.mark.parametrize("foreach", (False, True))
def test_a_captured_graph_finds_states_where_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, foreach: bool, dtype: torch.dtype
) -> None:
    """A graph goes on to read and write the addresses of the step that it was captured in."""
    module = load(tmp_path / "previous.opt", PREVIOUS)
    base = inspect.getmodule(module.Previous.__mro__[1])
    monkeypatch.setattr(base, "_get_capturable_supported_devices", lambda supports_xla=True: ["cpu"])
    optimizer = module.Previous(params(dtype), capturable=True, foreach=foreach)
    step(optimizer, [1.0, 2.0, 3.0])
    addresses = [state["previous_grad"].data_ptr() for state in optimizer.state.values()]
    step(optimizer, [4.0, 5.0, 6.0])
    after = [state["previous_grad"] for state in optimizer.state.values()]
    assert [value.data_ptr() for value in after] == addresses
    assert [value[0].real.item() for value in after] == [4.0, 5.0, 6.0]


CLIPPED = """
optimizer Clipped:
    input:
        γ (lr) = 0.5
    for t = 1 to … do
        g_t ← ∇f_t(θ_{t-1})
        n ← √sum(g_t², over all parameters)
        θ_t ← θ_{t-1} - γ g_t / max(n, 1)
    return θ_t
"""


@pytest.mark.parametrize("foreach", [False, True])
def test_a_failed_step_leaves_nothing_to_the_next(tmp_path: Path, foreach: bool) -> None:
    """The first group waits for the second, which refuses its gradient."""
    (tmp_path / "clipped.opt").write_text(CLIPPED)
    params = [torch.ones(2, requires_grad=True) for _ in range(2)]
    optimizer = optdsl.load(tmp_path / "clipped.opt").Clipped([{"params": [p]} for p in params], foreach=foreach)
    params[0].grad, params[1].grad = torch.ones(2), torch.ones(2).to_sparse()
    with pytest.raises(RuntimeError, match="does not support sparse gradients"):
        optimizer.step()
    params[1].grad = torch.ones(2)
    optimizer.step()
    torch.testing.assert_close(params, [torch.full((2,), 0.75)] * 2)
