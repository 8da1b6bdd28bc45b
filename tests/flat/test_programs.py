"""Optimizers over flat θ and matrix functions: what is emitted does what the interpreter says, whatever the spec."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import optdsl
from optdsl.cli.show import Stage, show_cost, show_reading, show_stage
from optdsl.compiler import Checked, Unit, check_files, check_source
from optdsl.emit.procedures.functions import emit_procedures
from optdsl.ir import machine
from optdsl.ir.interpret import default_hypers, run
from optdsl.ir.procedures import FlatProgram
from optdsl.source import Source
from optdsl.support import matrices, scalars
from optdsl.trial.problems import PROBLEMS
from optdsl.trial.run import Contestant, state_bytes
from optdsl.trial.run import run as trial_run

HERE = Path(__file__).parent
LBFGS = Path(__file__).parents[2] / "specs" / "lbfgs.opt"
SPECS = [str(HERE / "descent.opt"), str(LBFGS)]
UNITS = {unit.program.name: unit for unit in check_files(SPECS).units}
CLASSES = {name: getattr(optdsl.load(unit.source.name), name) for name, unit in UNITS.items()}


def rosenbrock(x: Tensor) -> Tensor:
    return (10 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def bowl(x: Tensor) -> Tensor:
    return (x**2 * torch.arange(1, x.numel() + 1)).sum() + x.sum() ** 4


def valued(loss: Any, point: np.ndarray, log: list[np.ndarray]) -> tuple[float, np.ndarray]:
    """Loss and gradient for the interpreter."""
    x = torch.tensor(point, requires_grad=True)
    log.append(np.array(point))
    value = loss(x)
    return float(value.detach()), torch.autograd.grad(value, x)[0].numpy()


@pytest.mark.parametrize("loss", [rosenbrock, bowl])
@pytest.mark.parametrize(
    ("name", "kwargs"),
    [
        ("BarzilaiBorwein", {}),
        ("BFGS", {}),
        ("LBFGS", {"max_iter": 6, "history_size": 3}),
        ("LBFGS", {"max_iter": 6, "history_size": 3, "line_search_fn": "strong_wolfe"}),
        ("LBFGS", {"max_iter": 8, "max_eval": 5, "lr": 0.02}),
    ],
    ids=str,
)
def test_the_class_does_what_the_interpreter_says(name: str, kwargs: dict[str, Any], loss: Any) -> None:
    program = UNITS[name].program
    assert isinstance(program, FlatProgram)
    start = torch.linspace(-0.8, 0.9, 6, dtype=torch.float64)
    parts = [start[:2].reshape(1, 2).clone().requires_grad_(), start[2:].clone().requires_grad_()]
    optimizer = CLASSES[name](parts, **kwargs)
    seen: list[np.ndarray] = []

    def closure() -> Tensor:
        optimizer.zero_grad()
        x = torch.cat([part.reshape(-1) for part in parts])
        seen.append(x.detach().numpy().copy())
        value = loss(x)
        value.backward()
        return value

    log: list[np.ndarray] = []
    point, state = start.numpy(), {}
    hypers = default_hypers(program, **kwargs)
    for _ in range(4):
        point, state = machine.step(program, hypers, point, state, lambda x: valued(loss, x, log))
        optimizer.step(closure)
        assert len(seen) == len(log)
        np.testing.assert_allclose(np.array(seen), np.array(log), rtol=1e-7, atol=1e-10)
    kept = optimizer.state_dict()["state"][0]
    for key, value in state.items():
        if not isinstance(value, list):
            ours = np.asarray(kept[key], dtype=np.float64)
            np.testing.assert_allclose(ours, np.reshape(value, ours.shape), rtol=1e-5, atol=1e-9)
        else:
            assert len(kept[key]) == len(value)


@pytest.mark.parametrize("name", ["BFGS", "BarzilaiBorwein"])
def test_they_converge(name: str) -> None:
    x = torch.linspace(-0.8, 0.9, 6, dtype=torch.float64).requires_grad_()
    optimizer = CLASSES[name]([x])

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = bowl(x)
        value.backward()
        return value

    for _ in range(60):
        optimizer.step(closure)
    assert float(closure().detach()) < 1e-9


@pytest.mark.parametrize("unit", UNITS.values(), ids=UNITS)
def test_every_stage_is_shown(unit: Unit) -> None:
    for stage in Stage:
        assert show_stage(unit, stage)
    assert "def _minimize" in show_stage(unit, Stage.LOOP)
    assert "one variant" in show_stage(unit, Stage.TRITON)
    assert show_cost(unit)
    assert "evaluate" in show_reading(unit)


def test_updates_in_place() -> None:
    """The two loops of L-BFGS change their own vector; what the state keeps is not changed."""
    text = show_stage(UNITS["LBFGS"], Stage.LOOP)
    assert "q.add_(old_dirs[i], alpha=-al[i])" in text
    assert "r.add_(old_stps[i], alpha=al[i] - beta)" in text
    assert text.count(".add_(") == 2


ALIASES = """\
optimizer Kept over flat θ:
    initialize:
        v (kept)

    for each step do
        f, g ← evaluate(θ)
        u ← -g
        {copy}
        u ← u - 2 g
        θ ← θ + 0.01 u
"""


@pytest.mark.parametrize("copy", ["v ← u", "v, w ← u, 1", "w ← u\n        v ← w"])
def test_a_shared_vector_is_not_changed(copy: str) -> None:
    unit = the_unit(ALIASES.format(copy=copy))
    assert ".add_(" not in show_stage(unit, Stage.LOOP)


def test_a_trial_counts_evaluations() -> None:
    contestant = Contestant("LBFGS", CLASSES["LBFGS"], evaluates=True)
    outcome = trial_run(contestant, PROBLEMS[0], 1.0)
    assert len(outcome.losses) == PROBLEMS[0].steps
    assert outcome.value < 1e-6
    assert state_bytes(contestant) == 8  # the direction and the last gradient


# ------------------------------------------------------------------------------------------------ matrix functions

NEWTON_SCHULZ = """\
function NS(X; a, b, c, ε, k):
    X ← bfloat16(X)
    if rows(X) > cols(X)
        return transpose(NS(transpose(X); a, b, c, ε, k))
    X ← X / max(‖X‖, ε)
    repeat k times
        A ← X @ Xᵀ
        X ← a X + (b A + c A @ A) @ X
    return X

optimizer Ortho:
    input:
        γ (lr) = 1e-3
        a, b, c (ns_coefficients) = 3.4445, -4.7750, 2.0315
        ε (eps) = 1e-7
        k (ns_steps) = 5

    for t = 1 to … do
        g_t ← ∇f_t(θ_{t-1})
        O_t ← NS(g_t; a, b, c, ε, k)
        θ_t ← θ_{t-1} - γ O_t

    return θ_t
"""
COEFFICIENTS = (3.4445, -4.7750, 2.0315, 1e-7, 5)


def the_unit(text: str) -> Unit:
    checked: Checked = check_source(Source("test.opt", text))
    assert checked.ok, [(d.code, d.message) for d in checked.diagnostics]
    return checked.units[0]


def compiled(unit: Unit) -> dict[str, Any]:
    """The emitted functions of the program's procedures."""
    names: dict[str, Any] = {"torch": torch, "matrices": matrices, "scalars": scalars}
    exec("\n\n".join(emit_procedures(unit.program.procedures, flat=False)), names)
    return names


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 5), (32, 16)])
def test_newton_schulz_is_torchs(shape: tuple[int, int]) -> None:
    from torch.optim._muon import _zeropower_via_newtonschulz

    torch.manual_seed(0)
    gradient = torch.randn(shape)
    function = compiled(the_unit(NEWTON_SCHULZ))["_NS"]
    expected = _zeropower_via_newtonschulz(gradient, COEFFICIENTS[:3], 5, 1e-7)
    assert torch.equal(function(gradient, *COEFFICIENTS), expected)


@pytest.mark.parametrize("batch", [(3,), (2, 3)])
@pytest.mark.parametrize("shape", [(6, 4), (4, 6)])
def test_a_batch_is_every_matrix_by_itself(shape: tuple[int, int], batch: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    function = compiled(the_unit(NEWTON_SCHULZ.replace("    X ← bfloat16(X)\n", "")))["_NS"]
    many = torch.randn(*batch, *shape, dtype=torch.float64)
    together = function(many, *COEFFICIENTS).reshape(-1, *shape)
    for one, result in zip(many.reshape(-1, *shape), together, strict=True):
        torch.testing.assert_close(function(one, *COEFFICIENTS), result, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (2, 6, 4)])
def test_the_interpreter_runs_matrix_functions(shape: tuple[int, ...]) -> None:
    unit = the_unit(NEWTON_SCHULZ.replace("    X ← bfloat16(X)\n", ""))
    gradient = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = compiled(unit)["_NS"](gradient, *COEFFICIENTS).numpy()
    (result,) = machine.call({p.name: p for p in unit.program.procedures}, "NS", (gradient.numpy(), *COEFFICIENTS))
    np.testing.assert_allclose(result, expected, rtol=1e-10, atol=1e-12)
    if len(shape) == 2:
        ((param, _),) = run(unit.program, default_hypers(unit.program), np.zeros(shape), [gradient.numpy()])
        np.testing.assert_allclose(param, -1e-3 * expected, rtol=1e-10, atol=1e-12)


def test_loops_and_branches_of_functions() -> None:
    text = NEWTON_SCHULZ.replace(
        NEWTON_SCHULZ[: NEWTON_SCHULZ.index("optimizer")],
        """\
function NS(X; a, b, c, ε, k):
    n ← 0
    for i = k down to 1 do
        if i = 2
            break
        n ← n + i
    while n > 1 do
        X ← X + n a
        n ← n / 2
    if k < 0 or c > 100
        return X
    else if rows(X) = cols(X)
        Y ← { X / b    if ‖X‖ > ε
            { X        otherwise
        return Y
    return max(X, 0) + |X| - mean(X, over rows) · c

""",
    )
    unit = the_unit(text)
    function = compiled(unit)["_NS"]
    for shape in [(3, 3), (2, 5)]:
        x = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        (result,) = machine.call({p.name: p for p in unit.program.procedures}, "NS", (x.numpy(), *COEFFICIENTS))
        np.testing.assert_allclose(function(x, *COEFFICIENTS).numpy(), result, rtol=1e-12)
