"""The optimizers that torch.optim has too, and what the tests of their agreement share."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing._internal.common_optimizers import OptimizerInfo, optim_db

import optdsl

SPECS = Path(__file__).parents[2] / "specs"


STEPS = 25


@dataclass(frozen=True)
class Case:
    """An optimizer of ``specs/`` and its twin in torch.optim.

    ``rtol``: how far results may be apart after :data:`STEPS` steps, by dtype. ``foreach_rtol``: the least that this is
    with ``foreach``, where torch's own foreach computes scalars in float32 and its for-loop does not. ``accepts``: what
    torch's errors say of arguments that work here. ``shapes``: those of the parameters; the last is transposed.
    ``smooth``: whether differences tell derivatives, as they do not of what is rounded to bfloat16. ``lr_error``: what
    is said of a learning rate that is out of range.
    """

    name: str
    rtol: tuple[float, float, float] = (1e-12, 5e-6, 5e-2)
    foreach_rtol: float = 0.0
    accepts: tuple[str, ...] = ()
    shapes: tuple[tuple[int, ...], ...] = ((3, 4), (5,), (1,), (), (0,), (4, 3))
    smooth: bool = True
    lr_error: str = "Invalid learning rate: {}"

    def __str__(self) -> str:
        return self.name

    @property
    def module(self) -> ModuleType:
        return _load(self.name)

    @property
    def ours(self) -> type[torch.optim.Optimizer]:
        return getattr(self.module, self.name)

    @property
    def torchs(self) -> type[torch.optim.Optimizer]:
        return getattr(torch.optim, self.name)

    @property
    def constructors(self) -> tuple[Callable[..., torch.optim.Optimizer], ...]:
        """Of ours, and of torch's, which is spared the arguments that it does not have."""
        return self.ours, lambda params, **kwargs: self.torchs(params, **self.accepted(kwargs))

    @property
    def info(self) -> OptimizerInfo:
        return next(info for info in optim_db if info.optim_cls is self.torchs)

    @property
    def needs_sparse(self) -> bool:
        """Whether it takes sparse gradients alone."""
        return self.info.only_supports_sparse_grads

    def parameters(self, dtype: torch.dtype) -> list[Tensor]:
        return parameters(dtype, self.shapes)

    def trained(
        self,
        optimizer: Callable[..., torch.optim.Optimizer],
        dtype: torch.dtype,
        kwargs: dict[str, Any],
        steps: int = STEPS,
    ) -> torch.optim.Optimizer:
        """A new optimizer of :meth:`parameters` after ``steps`` steps."""
        made = optimizer(self.parameters(dtype), **deepcopy(kwargs))
        train(made, range(steps))
        return made

    def prepare(self, params: list[Tensor]) -> None:
        """Make the gradients what the optimizer takes."""
        for param in params if self.needs_sparse else ():
            param.grad = param.grad.to_sparse()

    def accepted(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Those of ``kwargs`` that the optimizer takes."""
        return {name: value for name, value in kwargs.items() if name in inspect.signature(self.torchs).parameters}

    @property
    def takes_vectors(self) -> bool:
        """Whether parameters may be other than matrices."""
        try:
            self.ours([torch.zeros(3, requires_grad=True)])
        except ValueError:
            return False
        return True

    def tolerance(self, dtype: torch.dtype, variant: Mapping[str, Any] | None = None) -> float:
        rtol = dict(zip((torch.float64, torch.float32, torch.bfloat16), self.rtol, strict=True))[dtype.to_real()]
        return max(rtol, self.foreach_rtol) if variant and variant.get("foreach") else rtol


CASES = (
    Case("Adam", accepts=("as a Tensor is not supported for capturable=False and foreach=True",)),
    Case("AdamW", accepts=("as a Tensor is not supported for capturable=False and foreach=True",)),
    Case("SGD"),
    Case("NAdam"),
    Case("RAdam"),
    Case("Adamax"),
    Case("Adadelta"),
    Case("Adagrad"),
    Case("ASGD", foreach_rtol=1e-6),
    Case("RMSprop"),
    Case("Rprop"),
    Case(
        "Adafactor",
        rtol=(1e-8, 5e-6, 5e-2),
        shapes=((3, 4), (5,), (1,), (), (2, 3, 4), (1, 5), (4, 3)),
        lr_error="Learning rate should be >= 0 but is: {}",
    ),
    Case(
        "Muon",
        rtol=(1e-6, 5e-6, 5e-2),  # torch's step size is float32 where the learning rate is a Tensor
        foreach_rtol=5e-2,  # batched products of bfloat16 matrices round in another order
        shapes=((3, 4), (4, 3), (1, 5), (5, 1), (3, 4), (4, 3)),
        lr_error="Learning rate should be >= 0 but is: {}",
        smooth=False,
    ),
    Case("SparseAdam", rtol=(1e-8, 5e-6, 5e-2)),  # torch's step size is float32 where the learning rate is a Tensor
)
COMPLEX = tuple(case for case in CASES if case.info.supports_complex)
DENSE = tuple(case for case in CASES if not case.needs_sparse)
SMOOTH = tuple(case for case in DENSE if case.smooth)
SPARSE = {case.name for case in CASES if case.needs_sparse}

every_case = pytest.mark.parametrize("case", CASES, ids=str)
every_dense_case = pytest.mark.parametrize("case", DENSE, ids=str)
"""Those that take dense gradients."""
every_complex_case = pytest.mark.parametrize("case", COMPLEX, ids=str)
"""Those that take complex parameters."""


def configurations(device: str, cases: tuple[Case, ...] = CASES) -> list[Any]:
    """One pytest parameter per optimizer and configuration of ``optim_db`` for that device."""
    return [
        pytest.param(case, entry.kwargs, id=f"{case}-{entry.desc}")
        for case in cases
        for entry in case.info.optim_inputs_func(device=device)
    ]


@functools.cache
def _load(name: str) -> ModuleType:
    return optdsl.load(spec_of(name))


def spec_of(name: str) -> Path:
    """The spec of ``specs/`` that has the optimizer ``name``: ``AdamW`` in ``adamw.opt``."""
    return next(path for path in SPECS.glob("*.opt") if path.stem.replace("_", "") == name.lower())


def parameters(dtype: torch.dtype, shapes: tuple[tuple[int, ...], ...] = Case.shapes) -> list[Tensor]:
    """Leaves of mixed shapes (2-D, 1-D, one element, 0-dim, empty), the last with the strides of a transpose."""
    generator = torch.Generator().manual_seed(7)
    values = [torch.randn(shape, dtype=dtype, generator=generator) for shape in shapes]
    values[-1] = values[-1].t()
    return [value.requires_grad_() for value in values]


def gradients(params: list[Tensor], step: int, sparse: bool = False) -> Iterator[Tensor | None]:
    """A gradient for each of ``params``, or None now and then; the same for every call with the same ``step``."""
    generator = torch.Generator().manual_seed(1000 + step)
    for i, param in enumerate(params):
        grad = torch.randn(param.shape, dtype=param.dtype, generator=generator)
        yield None if (step + i) % 7 == 3 else made_sparse(grad, step, generator) if sparse else grad


def made_sparse(grad: Tensor, step: int, generator: torch.Generator) -> Tensor:
    """``grad`` without about half of its elements: of rows or fully sparse, some stored twice, nothing now and then."""
    kept = grad * (torch.rand(grad.shape, generator=generator) < (step % 5) / 4)
    stored = kept.to_sparse(1) if step % 2 and grad.dim() else kept.to_sparse()
    if step % 3 or not stored._nnz():
        return stored
    indices, values = stored.indices().repeat(1, 2), torch.cat([0.25 * stored.values(), 0.75 * stored.values()])
    return torch.sparse_coo_tensor(indices, values, grad.shape, check_invariants=True)


def train(optimizer: torch.optim.Optimizer, steps: range) -> None:
    """Do ``steps`` with made-up gradients."""
    params = [param for group in optimizer.param_groups for param in group["params"]]
    for step in steps:
        sparse = type(optimizer).__name__ in SPARSE
        for param, grad in zip(params, gradients(params, step, sparse), strict=True):
            param.grad = grad
        optimizer.step()


def assert_agree(ours: torch.optim.Optimizer, torchs: torch.optim.Optimizer, rtol: float) -> bool:
    """Parameters and states agree, with equal keys, dtypes and devices. Returns whether they are equal bit by bit."""
    bits = True
    for our_group, their_group in zip(ours.param_groups, torchs.param_groups, strict=True):
        for i, (our, their) in enumerate(zip(our_group["params"], their_group["params"], strict=True)):
            bits &= _assert_close(our, their, rtol, f"parameter {i}")
            our_state, their_state = ours.state.get(our, {}), torchs.state.get(their, {})
            assert our_state.keys() == their_state.keys()
            for key, value in their_state.items():
                bits &= _assert_close(our_state[key], value, rtol, f"state {key} of parameter {i}")
    return bits


def _assert_close(our: Any, their: Any, rtol: float, what: str) -> bool:
    if not isinstance(their, Tensor):
        assert (type(our), our) == (type(their), their), what
        return True
    scale = their.detach().abs().max().item() if their.numel() else 0.0
    torch.testing.assert_close(our, their, rtol=rtol, atol=rtol * scale, msg=lambda text: f"{what}: {text}")
    return torch.equal(our, their)


ON_CPU = tuple(case for case in CASES if "native" in case.ours._kernels)
every_case_on_cpu = pytest.mark.parametrize("case", ON_CPU, ids=str)
"""Those that have a fused step on the CPU."""

VECTORS_ON_CPU = tuple(case for case in ON_CPU if case.takes_vectors)
every_case_of_vectors_on_cpu = pytest.mark.parametrize("case", VECTORS_ON_CPU, ids=str)
"""Those of them that also update what is no matrix."""

FUSED = tuple(case for case in CASES if case.ours._kernels)
every_fused_case = pytest.mark.parametrize("case", FUSED, ids=str)
"""Those that have a fused step."""


def stepped_negated_views(case: Case) -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
    """Our fused optimizer after steps of parameters and gradients that torch negates as it reads them (its foreach
    refuses such parameters), and torch's after steps of what these show."""
    optimizers = []
    for cls, view in ((case.ours, True), (case.torchs, False)):
        params = [torch.full((4, 3), value) for value in (0.5, 2.0)]
        grads = [torch.linspace(-1, 1, 12).reshape(4, 3) for _ in params]
        params[1] = torch._neg_view(params[1]) if view else -params[1]
        params = [param.requires_grad_() for param in params]
        optimizers.append(cls(params, lr=0.1, **({"fused": True} if view else {})))
        for step in range(4):
            for param, grad in zip(params, grads, strict=True):
                param.grad = grad if step % 2 else torch._neg_view(grad) if view else -grad
            case.prepare(params)
            optimizers[-1].step()
    ours, theirs = optimizers
    return ours, theirs
