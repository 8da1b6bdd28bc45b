"""Every variant computes what the NumPy interpreter computes from the program."""

from __future__ import annotations

import importlib
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest
import torch
import triton
from torch import Tensor

from optdsl.ir.interpret import Tensors, default_hypers, initial_state, run, step_all
from optdsl.ir.nodes import Program
from optdsl.ir.vectors import needs_elements
from tests.torch_parity.cases import parameters
from tests.triton.harness import faithful_interpreter
from tests.zoo.cases import CASES, Case, configurations, gradients

VARIANTS = {
    "loop": {"foreach": False},
    "foreach": {"foreach": True},
    "capturable": {"capturable": True, "foreach": False},
    "capturable-foreach": {"capturable": True, "foreach": True},
    "differentiable": {"differentiable": True},
    "fused": {"fused": True},
}
RTOL = 1e-11
RTOL_FLOAT32_SCALARS = 1e-7
"""For kernels that keep scalar states in float32: as torch does, they round what is added to them too."""
IN_TRITON = ("AdaBound", "Adan", "ADOPT", "AdEMAMix", "CAME", "FTRL", "LAMB", "LARS", "NovoGrad", "PNM", "QHAdam")
"""Those that Triton's interpreter runs, which is slow: bounds, a state without initial value, a first step, an argument
that is none, masks, floors, scalar states; reductions of tensors, rows and columns, one kept in a state."""


@pytest.fixture(autouse=True)
def exact_scalars() -> Iterator[None]:
    """Step counts and scalar states in float64, so that capturable steps, where they are tensors, are as exact."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache of its own for compiled kernels."""
    if shutil.which("cc") is None:
        pytest.fail("these tests need a C compiler")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPTDSL_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def cpu_is_capturable(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """The CPU counts among the devices that can capture a graph."""
    for name in (f"{package(case)}._support.optimizer", case.ours.__module__):
        module = sys.modules[name]
        if hasattr(module, "_get_capturable_supported_devices"):
            monkeypatch.setattr(module, "_get_capturable_supported_devices", lambda supports_xla=True: ["cpu"])


@pytest.fixture
def triton_on_cpu(case: Case, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fused steps on the CPU are Triton's, run by its interpreter."""
    fused = importlib.import_module(f"{package(case)}._support.fused")
    monkeypatch.setitem(fused.BACKENDS, "cpu", "triton")
    with ExitStack() as stack:
        stack.enter_context(faithful_interpreter())
        stack.enter_context(triton.knobs.runtime.scope())
        triton.knobs.runtime.interpret = True
        yield


def package(case: Case) -> str:
    return case.ours.__module__.rpartition(".")[0]


def hypers(case: Case, kwargs: dict[str, Any]) -> dict[str, Any]:
    """The value of every hyperparameter of the program, where the constructor gets ``kwargs``."""
    given: dict[str, Any] = {"maximize": kwargs.get("maximize", False)}
    for argument in case.program.arguments:
        if argument.scalars and argument.name in kwargs:
            values = kwargs[argument.name]
            names = [scalar.name for scalar in argument.scalars]
            given.update(zip(names, values if len(names) > 1 else [values], strict=True))
    return default_hypers(case.program, **given)


def after(
    program: Program, values: dict[str, Any], start: list[Any], grads: list[list[Any]], scalar_dtype: type
) -> list[tuple[Any, dict[str, Any]]]:
    """Every parameter and its states after all steps."""
    if not program.meets:
        taken = zip(*grads, strict=True)
        return [run(program, values, x, list(g), scalar_dtype)[-1] for x, g in zip(start, taken, strict=True)]
    ends: list[tuple[Any, dict[str, Any]]] = [(x, initial_state(program, values, x, scalar_dtype)) for x in start]
    for t, step in enumerate(grads, start=1):
        tensors = [(values, Tensors(x, g, state)) for (x, state), g in zip(ends, step, strict=True)]
        ends = step_all(program, tensors, t, scalar_dtype)
    return ends


def assert_means_the_program(case: Case, kwargs: dict[str, Any], variant: dict[str, Any], steps: int) -> None:
    """Steps of several parameters, whose gradients are missing now and then where each is updated by itself."""
    params = [param.clone() for param in parameters(torch.float64)]  # differentiable steps cannot write to leaves
    start = [param.detach().numpy().copy() for param in params]
    grads: list[list[Tensor | None]] = [
        [None if (t + i) % 7 == 3 and not case.program.meets else grad for i, grad in enumerate(step)]
        for t, step in enumerate(gradients(params, steps))
    ]
    if not variant.get("differentiable"):
        params = [param.detach().requires_grad_() for param in params]
    optimizer = case.ours(params, **kwargs, **variant)
    for step in grads:
        for param, grad in zip(params, step, strict=True):
            param.grad = None if grad is None else grad.clone()
        optimizer.step()

    scalar_dtype = np.float32 if variant.get("fused") else np.float64  # kernels keep scalars as on a GPU
    rtol = RTOL_FLOAT32_SCALARS if variant.get("fused") and case.program.scalar_states else RTOL
    taken = [[None if grad is None else grad.numpy() for grad in step] for step in grads]
    ends = after(case.program, hypers(case, kwargs), start, taken, scalar_dtype)
    for i, (param, (theta, state)) in enumerate(zip(params, ends, strict=True)):
        if case.program.counts_steps:
            state = {**state, "step": np.array(float(sum(step[i] is not None for step in taken)))}
        torch.testing.assert_close(param, torch.from_numpy(theta), rtol=rtol, atol=rtol)
        if needs_elements(case.program) and not param.numel():
            assert not optimizer.state[param]
            continue
        assert optimizer.state[param].keys() == state.keys()
        for key, value in state.items():
            kept = optimizer.state[param][key].to(torch.float64)
            torch.testing.assert_close(kept, torch.from_numpy(value), rtol=rtol, atol=rtol)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")
@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
@configurations(CASES)
def test_every_variant(case: Case, kwargs: dict[str, Any], variant: dict[str, Any]) -> None:
    if variant.get("fused") and "native" not in case.ours._kernels:
        pytest.skip("there is no kernel in C of what it reduces")
    assert_means_the_program(case, kwargs, variant, steps=20)
    assert_means_the_program(case, {**kwargs, "maximize": True}, variant, steps=3)


@pytest.mark.filterwarnings("ignore:(divide by zero|invalid value):RuntimeWarning")
@pytest.mark.usefixtures("triton_on_cpu")
@configurations(case for case in CASES if case.name in IN_TRITON)
def test_triton(case: Case, kwargs: dict[str, Any]) -> None:
    assert_means_the_program(case, kwargs, {"fused": True}, steps=3)
