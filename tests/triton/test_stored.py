"""The kernel of steps over stored rows: interpreted, beside torch.optim.SparseAdam, and compiled ahead of time."""

from __future__ import annotations

import importlib
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from torch import Tensor

from optdsl.emit.optimizer import emit_module
from optdsl.emit.triton import emit_kernel
from optdsl.ir.nodes import Program
from optdsl.loader import _MEMORY
from tests.stored import test_drawn
from tests.strategies import Case, cases
from tests.torch_parity.cases import spec_of
from tests.triton.aot import TARGETS, compile_kernel
from tests.triton.cases import program
from tests.triton.harness import Package, interpretation, load_fused

pytestmark = pytest.mark.filterwarnings("ignore:(divide by zero|invalid value):RuntimeWarning")

HYPERS = {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "maximize": False}


@pytest.fixture(scope="module")
def sparse_adam(interpreter: None) -> Any:
    return load_fused(spec_of("SparseAdam")).SparseAdam


def gradients(params: list[Tensor], seed: int) -> Iterator[Tensor]:
    """Some rows of each parameter, some of them twice, none of some."""
    generator = torch.Generator().manual_seed(seed)
    for i, param in enumerate(params):
        count = 0 if (i + seed) % 4 == 3 or not param.shape[0] else 1 + (7 * i + seed) % 13
        rows = torch.randint(max(param.shape[0], 1), (1, count), generator=generator)
        values = torch.randn(count, *param.shape[1:], dtype=param.dtype, generator=generator)
        yield torch.sparse_coo_tensor(rows, values, param.shape, check_invariants=True)


def check(sparse_adam: Any, params: list[Tensor], steps: int = 3, **groups: Any) -> torch.optim.Optimizer:
    """Steps of ``params``, which are written to, and of copies with torch's optimizer."""
    copies = [param.detach().clone(memory_format=torch.contiguous_format) for param in params]
    ours, torchs = sparse_adam(params, fused=True, lr=0.1), torch.optim.SparseAdam(copies, lr=0.1)
    for step in range(steps):
        for param, copy, grad in zip(params, copies, gradients(copies, step), strict=True):
            param.grad, copy.grad = grad, grad.clone()
        ours.step()
        torchs.step()
    for param, copy in zip(params, copies, strict=True):
        torch.testing.assert_close(param, copy, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(ours.state[param], torchs.state[copy], rtol=1e-5, atol=1e-6)
    return ours


@pytest.mark.parametrize("width", (1, 3, 4, 64, 1022, 1024, 1028, 1500))
def test_widths(sparse_adam: Any, width: int) -> None:
    """Rows shorter and longer than what a program updates, of a width that allows wide accesses and not."""
    check(sparse_adam, [torch.randn(50, width), torch.randn(3, width)])


def test_any_number_of_tensors_is_one_launch(sparse_adam: Any, launches: Counter[str]) -> None:
    shapes = [(i % 9 + 1, i % 5 + 1) for i in range(40)] + [(0, 3), (3, 0), (30, 100), (5,), (2, 3, 4)]
    check(sparse_adam, [torch.randn(shape) for shape in shapes], steps=2)
    assert launches == {"_sparseadam_prepare": 2, "_sparseadam_kernel": 2}


def test_nothing_stored_is_no_launch_of_the_kernel(sparse_adam: Any, launches: Counter[str]) -> None:
    param = torch.ones(4, 2)
    optimizer = sparse_adam([param], fused=True)
    param.grad = torch.zeros(4, 2).to_sparse()
    optimizer.step()
    assert launches["_sparseadam_kernel"] == 0
    assert param.eq(1).all() and optimizer.state[param]["step"] == 1


@pytest.mark.parametrize(
    "param",
    (
        torch.randn(6, 4).t(),
        torch.randn(4, 12)[:, ::2],
        torch.randn(9, 4)[1:],
        torch.randn(4, 3, 5, 2).to(memory_format=torch.channels_last),
        torch.randn(25)[1:].view(6, 4),
    ),
    ids=("transposed", "strided", "rows", "channels_last", "unaligned"),
)
def test_layouts(sparse_adam: Any, param: Tensor) -> None:
    strides = param.stride()
    check(sparse_adam, [param, torch.randn(3, 2)])
    assert param.stride() == strides


def test_elements_around_the_rows_are_left_alone(sparse_adam: Any) -> None:
    memory = torch.zeros(200)
    param = memory[3:123].view(30, 4)
    optimizer = sparse_adam([param], fused=True)
    param.grad = torch.sparse_coo_tensor([[0, 7, 29]], torch.ones(3, 4), (30, 4))
    optimizer.step()
    assert memory.nonzero().flatten().tolist() == [*range(3, 7), *range(31, 35), *range(119, 123)]


def test_an_expanded_parameter_is_refused(sparse_adam: Any) -> None:
    param = torch.ones(3, 1).expand(3, 4)
    optimizer = sparse_adam([param], fused=True)
    param.grad = torch.sparse_coo_tensor([[0]], torch.ones(1, 4), (3, 4))
    with pytest.raises(RuntimeError, match="more than one element of the written-to tensor refers to a single memory"):
        optimizer.step()


def test_scaling_is_refused(sparse_adam: Any, interpreted: Package) -> None:
    kernels = interpreted.add(program("SparseAdam"))
    bucket = kernels.Bucket([torch.ones(3)], [torch.ones(3).to_sparse()], ([torch.zeros(3)], [torch.zeros(3)]))
    for scaling in ({"grad_scale": torch.ones(1)}, {"found_inf": torch.zeros(1)}):
        with pytest.raises(RuntimeError, match="does not unscale"):
            kernels.fused_step([bucket], **scaling)


def test_versions_are_counted(sparse_adam: Any) -> None:
    param = torch.ones(4, 2)
    optimizer = sparse_adam([param], fused=True)
    param.grad = torch.sparse_coo_tensor([[1]], torch.ones(1, 2), (4, 2))
    before = param._version
    optimizer.step()
    assert param._version > before
    assert param.grad._values()._version == 0


def compiled_class(drawn: Program) -> Any:
    """The class of a drawn program, whose fused steps run in the interpreter."""
    files = {"__init__.py": "", "drawn.py": emit_module(drawn), "_drawn_triton.py": emit_kernel(drawn)}
    package = _MEMORY.add("_drawn", "drawn", {**files, **test_drawn.SUPPORT})
    module = importlib.import_module(f"{package}.drawn")
    with interpretation(True):
        importlib.import_module(f"{package}._drawn_triton")
    importlib.import_module(f"{package}._support.fused").BACKENDS["cpu"] = "triton"
    return module.Drawn


@given(case=cases())
@test_drawn.drawn(25)
def test_the_kernel_means_what_a_drawn_program_means(interpreter: None, case: Case) -> None:
    assume(all(state.initial is not None for state in case.program.states))
    with pytest.MonkeyPatch.context() as patch, np.errstate(all="ignore"):
        patch.setattr(test_drawn, "compiled", compiled_class)
        test_drawn.check(case, {"fused": True}, 1e-6)


# ------------------------------------------------------------------------------------------------------ ahead of time


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", (torch.float32, torch.bfloat16, torch.float64), ids=str)
def test_compiles_without_spilling(compiled: Package, dtype: torch.dtype, target: str) -> None:
    module = compiled.add(program("SparseAdam"))
    for which in ("kernel", "prepare"):
        binary = compile_kernel(module, target, HYPERS, dtype=dtype, which=which)
        assert not any(binary.resources.values()), binary.resources


@pytest.mark.parametrize("target", ("sm_80", "sm_90"))
def test_rows_are_accessed_in_128_bits_and_never_atomically(compiled: Package, target: str) -> None:
    """Per pass of a thread 8 elements: two wide loads of the gradient, the parameter and each state."""
    module = compiled.add(program("SparseAdam"))
    binary = compile_kernel(module, target, HYPERS)
    accesses = binary.loops[0]
    assert [access.reads for access in accesses if access.bytes == 16].count(True) == 2 * 4
    assert [access.reads for access in accesses if access.bytes == 16].count(False) == 2 * 3
    assert not re.search(r"\b(atom|red)\.", binary.asm["ptx"])
