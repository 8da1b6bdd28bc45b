"""Steps over stored entries: what they touch, what they cost, what they refuse."""

from __future__ import annotations

import copy
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from optdsl.compiler import check_files
from optdsl.ir import interpret
from tests.stored.specs import LAZY_ADAM, LAZY_MOMENTUM, loaded, sparse

VARIANTS = {"loop": {"foreach": False}, "foreach": {"foreach": True}, "fused": {"fused": True}}
every_variant = pytest.mark.parametrize("flags", VARIANTS.values(), ids=VARIANTS)


@pytest.fixture(scope="module")
def lazy_adam(tmp_path_factory: pytest.TempPathFactory) -> type[torch.optim.Optimizer]:
    return loaded(tmp_path_factory.mktemp("spec"), LAZY_ADAM).LazyAdam


@pytest.fixture(scope="module")
def sparse_adam() -> type[torch.optim.Optimizer]:
    import generated

    return generated.SparseAdam


@pytest.mark.parametrize("text", (LAZY_ADAM, LAZY_MOMENTUM), ids=("adam", "momentum"))
@pytest.mark.parametrize("switched", (False, True), ids=("plain", "switched"))
@every_variant
def test_agrees_with_the_interpreter(tmp_path: Path, text: str, switched: bool, flags: dict[str, Any]) -> None:
    """Parameters and states, over steps that store rows, single elements, everything, and nothing."""
    (optimizer,) = loaded(tmp_path, text).__dict__["__all__"]
    program = check_files([tmp_path / "spec.opt"]).units[0].program
    switches = {s.name: True for s in program.scalars if s.default.value is False} if switched else {}
    hypers = interpret.default_hypers(program, **switches, maximize=switched)
    param = torch.linspace(-1, 1, 63, dtype=torch.float64).reshape(7, 9).requires_grad_()
    made = getattr(loaded(tmp_path, text), optimizer)([param], **switches, maximize=switched, **flags)
    expected, states = param.detach().numpy().copy(), {}
    generator = torch.Generator().manual_seed(3)
    for t in range(1, 9):
        dense = torch.randn(7, 9, dtype=torch.float64, generator=generator)
        stored = torch.rand(7, 1 if t % 2 else 9, generator=generator) < (t - 1) % 4 / 3
        stored = stored.expand(7, 9)
        param.grad = (dense * stored).to_sparse(1 if t % 2 else 2) if t != 5 else dense
        mask = None if t == 5 else stored.numpy()
        made.step()
        expected, states = interpret.step(program, hypers, expected, dense.numpy(), states, t, support=mask)
        np.testing.assert_allclose(param.detach(), expected, rtol=1e-6, atol=1e-8)
        for key, value in states.items():
            np.testing.assert_allclose(made.state[param][key], value, rtol=1e-6, atol=1e-8, err_msg=key)


@every_variant
def test_what_is_not_stored_is_left_alone(lazy_adam: Any, flags: dict[str, Any]) -> None:
    """Were it not, what is NaN or infinite here would spread."""
    values = torch.zeros(5, 3)
    values[1], values[4] = torch.inf, torch.nan
    param = values.clone().requires_grad_()
    optimizer = lazy_adam([param], **flags)
    for _ in range(3):
        param.grad = sparse((5, 3), [3, 0, 3], dtype=torch.float32)
        optimizer.step()
    rest = [1, 2, 4]
    assert torch.equal(param[rest].nan_to_num(7.0), values[rest].nan_to_num(7.0))
    assert (param[[0, 3]] != 0).all()
    for key in ("exp_avg", "exp_avg_sq"):
        assert optimizer.state[param][key][rest].eq(0).all()


@every_variant
def test_what_is_stored_twice_is_added_up(lazy_adam: Any, flags: dict[str, Any]) -> None:
    params = [torch.ones(4, 2, dtype=torch.float64).requires_grad_() for _ in range(2)]
    for param, grad in zip(params, (sparse((4, 2), [1, 3, 1]), sparse((4, 2), [1, 3, 1]).coalesce()), strict=True):
        optimizer = lazy_adam([param], **flags)
        param.grad = grad
        optimizer.step()
    assert torch.equal(*params)


@every_variant
def test_an_empty_gradient_counts_the_step(lazy_adam: Any, flags: dict[str, Any]) -> None:
    param = torch.ones(4, 2, dtype=torch.float64).requires_grad_()
    optimizer = lazy_adam([param], **flags)
    for grad in (sparse((4, 2), []), sparse((4, 2), []), sparse((4, 2), [2])):
        param.grad = grad
        before = param.detach().clone()
        optimizer.step()
        assert torch.equal(param, before) == (grad._nnz() == 0)
    state = optimizer.state[param]
    assert state["step"] == 3 and type(state["step"]) is int
    correction = (1 - 0.999**3) ** 0.5 / (1 - 0.9**3)
    moved = 0.1 * correction * 0.1 * grad.to_dense()[2] / (0.001**0.5 * grad.to_dense()[2] + 1e-8)
    torch.testing.assert_close(1 - param[2].detach(), moved)


@every_variant
def test_a_dense_gradient_stores_every_entry(lazy_adam: Any, flags: dict[str, Any]) -> None:
    """Beside a sparse one, in the same group."""
    params = [torch.ones(4, 2, dtype=torch.float64).requires_grad_() for _ in range(3)]
    optimizer = lazy_adam(params, **flags)
    for seed in range(3):
        grad = torch.randn(4, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
        grad[1, 1] = 0.0
        indices = torch.ones(4, 2).nonzero().t()
        whole = torch.sparse_coo_tensor(indices, grad.flatten(), grad.shape, check_invariants=True)
        for param, given in zip(params, (grad, whole, grad.to_sparse(1)), strict=True):
            param.grad = given
        optimizer.step()
    for param in params[1:]:
        torch.testing.assert_close(param, params[0], rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(optimizer.state[param], optimizer.state[params[0]], rtol=1e-12, atol=1e-12)


SHAPES = {
    "scalar": ((), 0),
    "vector": ((5,), 1),
    "rows": ((5, 3), 1),
    "elements": ((5, 3), 2),
    "matrices": ((4, 3, 2), 1),
    "vectors": ((4, 3, 2), 2),
    "long rows": ((6, 70), 1),
    "long vectors": ((3, 4, 16), 2),
    "no rows": ((0, 3), 1),
    "no columns": ((3, 0), 1),
}


@pytest.mark.parametrize("layout", ("contiguous", "transposed"))
@pytest.mark.parametrize(("shape", "sparse_dims"), SHAPES.values(), ids=SHAPES)
@every_variant
def test_shapes(lazy_adam: Any, shape: tuple[int, ...], sparse_dims: int, layout: str, flags: dict[str, Any]) -> None:
    """The twin is stepped by dense gradients, and what is not stored put back."""
    generator = torch.Generator().manual_seed(1)
    start = torch.randn(shape, dtype=torch.float64, generator=generator)
    if layout == "transposed":
        start = start.transpose(0, -1).contiguous().transpose(0, -1) if start.dim() else start
    param, twin = start.clone().requires_grad_(), start.clone(memory_format=torch.contiguous_format).requires_grad_()
    optimizer, other = lazy_adam([param], **flags), lazy_adam([twin], foreach=False)
    for _ in range(4):
        rows = (torch.rand(shape[:sparse_dims], generator=generator) < 0.5).double()
        stored = rows.reshape((*rows.shape, *(1 for _ in shape[sparse_dims:]))).expand(shape).bool()
        grad = torch.randn(shape, dtype=torch.float64, generator=generator) * stored
        param.grad = grad.to_sparse(sparse_dims) if shape else grad.to_sparse()
        kept = [twin.detach().clone(), *(v.clone() for v in other.state[twin].values() if isinstance(v, Tensor))]
        twin.grad = grad
        other.step()
        now = [twin.data, *(v for v in other.state[twin].values() if isinstance(v, Tensor))]
        for new, old in zip(now, kept or [None] * 3, strict=False):
            new.copy_(torch.where(stored, new, old))
        for state in now[len(kept) :]:
            state.mul_(stored)
        optimizer.step()
    assert param.stride() == start.stride()
    torch.testing.assert_close(param, twin, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(optimizer.state[param], other.state[twin], rtol=1e-12, atol=1e-12)


# ------------------------------------------------------------------------------------------------------------- cost


class Largest(TorchDispatchMode):
    """Watches how many elements the largest tensor has that an operation makes anew."""

    elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor, made in zip(_flat(result), func._schema.returns * len(_flat(result)), strict=False):
            if made.alias_info is None and not tensor.is_sparse:
                self.elements = max(self.elements, tensor.numel())
        return result


def _flat(result: Any) -> list[Tensor]:
    if isinstance(result, Tensor):
        return [result]
    return [tensor for part in result for tensor in _flat(part)] if isinstance(result, list | tuple) else []


@every_variant
def test_nothing_as_large_as_the_parameter_is_made(lazy_adam: Any, flags: dict[str, Any]) -> None:
    param = torch.ones(100_000, 8).requires_grad_()
    optimizer = lazy_adam([param], **flags)
    grad = sparse((100_000, 8), [5, 99_999, 5, 31], dtype=torch.float32)
    param.grad = grad
    optimizer.step()  # this one makes the states
    places = [tensor.data_ptr() for tensor in (param, *_tensors(optimizer, param))]
    with Largest() as largest:
        optimizer.step()
    assert 0 < largest.elements <= 4 * 8
    assert places == [tensor.data_ptr() for tensor in (param, *_tensors(optimizer, param))]


def _tensors(optimizer: torch.optim.Optimizer, param: Tensor) -> Iterator[Tensor]:
    return (value for value in optimizer.state[param].values() if isinstance(value, Tensor))


@every_variant
def test_gradients_are_not_written(lazy_adam: Any, flags: dict[str, Any]) -> None:
    param = torch.ones(4, 2, dtype=torch.float64).requires_grad_()
    optimizer = lazy_adam([param], maximize=True, **flags)
    for grad in (sparse((4, 2), [1, 3, 1]), sparse((4, 2), [0, 2]).coalesce()):
        param.grad = grad
        before = grad.clone()
        optimizer.step()
        assert torch.equal(grad._indices(), before._indices()) and torch.equal(grad._values(), before._values())


# ---------------------------------------------------------------------------------------------------------- refusals


def test_dense_gradients_are_refused_where_the_spec_does(sparse_adam: Any, tmp_path: Path) -> None:
    message = "does not support dense gradients"
    for optimizer_class, advice in (
        (sparse_adam, ", please consider Adam instead"),
        (loaded(tmp_path, LAZY_ADAM.replace("∇f_t(θ_{t-1})", "∇f_t(θ_{t-1}) where g_t is sparse")).LazyAdam, ""),
    ):
        for flags in VARIANTS.values():
            params = [torch.ones(3).requires_grad_() for _ in range(2)]
            optimizer = optimizer_class(params, **flags)
            params[0].grad, params[1].grad = torch.ones(3).to_sparse(), torch.ones(3)
            with pytest.raises(RuntimeError, match=f"^{optimizer_class.__name__} {message}{advice}$"):
                optimizer.step()
            assert params[0].eq(1).all() and not optimizer.state, "the step changes nothing"


@pytest.mark.parametrize("flag", ("capturable", "differentiable"))
def test_flags_that_need_no_host_are_refused(lazy_adam: Any, flag: str) -> None:
    param = torch.ones(3).requires_grad_()
    with pytest.raises(RuntimeError, match=f"^LazyAdam does not support `{flag}`: "):
        lazy_adam([param], **{flag: True})
    optimizer = lazy_adam([param])
    with pytest.raises(RuntimeError, match=f"^LazyAdam does not support `{flag}`: "):
        optimizer.add_param_group({"params": [torch.ones(2)], flag: True})
    assert len(optimizer.param_groups) == 1


def test_parameters_of_a_later_group_are_checked(lazy_adam: Any) -> None:
    optimizer = lazy_adam([torch.ones(3)])
    for refused, message in (
        (
            torch.eye(3).to_sparse(),
            r"^Sparse params at indices \[\[1, 1\]\]: LazyAdam requires dense parameter tensors$",
        ),
        (torch.ones(2, dtype=torch.complex64), r"^Complex params at indices \[\[1, 1\]\]: LazyAdam does not support"),
    ):
        with pytest.raises(ValueError, match=message):
            optimizer.add_param_group({"params": [torch.ones(2), refused]})
        assert len(optimizer.param_groups) == 1
    copied = copy.deepcopy(optimizer)
    with pytest.raises(ValueError, match="Complex params"):
        copied.add_param_group({"params": [torch.ones(2, dtype=torch.complex64)]})


def test_fused_is_refused_where_there_is_no_kernel(lazy_adam: Any) -> None:
    param = torch.zeros(3, 2, device="meta", requires_grad=True)
    param.grad = torch.zeros(3, 2, device="meta")
    with pytest.raises(RuntimeError, match="`fused=True` requires all the params to be floating point Tensors of"):
        lazy_adam([param], fused=True).step()


# ------------------------------------------------------------------------------------------------------------- state


def test_a_step_count_kept_as_a_tensor_is_read(lazy_adam: Any) -> None:
    """As that of an Adam whose checkpoint is loaded."""
    param = torch.ones(3, 2).requires_grad_()
    adam = torch.optim.Adam([param])
    param.grad = torch.ones(3, 2)
    adam.step()
    optimizer = lazy_adam([param])
    optimizer.load_state_dict(adam.state_dict())
    assert optimizer.state[param]["step"] == 1 and type(optimizer.state[param]["step"]) is int
    param.grad = sparse((3, 2), [1], dtype=torch.float32)
    optimizer.step()
    assert optimizer.state[param]["step"] == 2


def test_a_checkpoint_goes_through_a_file_and_between_variants(lazy_adam: Any) -> None:
    results = []
    for order in (("loop", "loop", "loop"), ("foreach", "fused", "loop")):
        param = torch.ones(4, 2).requires_grad_()
        state: dict[str, Any] | None = None
        for i, variant in enumerate(order):
            optimizer = lazy_adam([param], **VARIANTS[variant])
            if state is not None:
                state["param_groups"][0].update({"foreach": None, "fused": None, **VARIANTS[variant]})
                optimizer.load_state_dict(state)
            param.grad = sparse((4, 2), [i, 3], dtype=torch.float32)
            optimizer.step()
            file = io.BytesIO()
            torch.save(optimizer.state_dict(), file)
            file.seek(0)
            state = torch.load(file, weights_only=True)
        results.append(param)
    torch.testing.assert_close(*results)


def test_shared_memory(lazy_adam: Any) -> None:
    param = torch.ones(4, 2).requires_grad_()
    optimizer = lazy_adam([param])
    param.grad = sparse((4, 2), [1], dtype=torch.float32)
    optimizer.step()
    optimizer.share_memory()
    assert optimizer.state[param]["exp_avg"].is_shared()


# ----------------------------------------------------------------------------------------------------------- at work


@every_variant
def test_embeddings_train_as_with_torch(sparse_adam: Any, flags: dict[str, Any]) -> None:
    """Through autograd, with a GradScaler that skips a step."""
    losses = []
    for optimizer_class, arguments in ((sparse_adam, flags), (torch.optim.SparseAdam, {})):
        torch.manual_seed(0)
        tables = torch.nn.ModuleList([torch.nn.Embedding(n, 4, sparse=True) for n in (50, 7)])
        optimizer = optimizer_class(tables.parameters(), lr=0.1, **arguments)
        scaler = torch.amp.GradScaler("cpu", init_scale=8.0, growth_interval=1000)
        losses.append([])
        for step in range(12):
            words = torch.randint(7, (2, 6), generator=torch.Generator().manual_seed(step % 3))
            loss = sum((table(words) - 1).square().mean() for table in tables)
            losses[-1].append(loss.item())
            optimizer.zero_grad()
            scaler.scale(loss * (float("inf") if step == 4 else 1.0)).backward()
            scaler.step(optimizer)
            scaler.update()
        assert optimizer.state[tables[0].weight]["step"] == 11
    torch.testing.assert_close(losses[0], losses[1], rtol=1e-5, atol=1e-6)
    assert losses[0][-1] < losses[0][0] / 4


@pytest.mark.filterwarnings("ignore")
def test_a_compiled_step(lazy_adam: Any) -> None:
    params = [torch.ones(4, 2).requires_grad_() for _ in range(2)]
    for param, wrap in zip(params, (torch.compile, lambda step: step), strict=True):
        optimizer = lazy_adam([param])
        step = wrap(optimizer.step, backend="eager") if wrap is torch.compile else wrap(optimizer.step)
        for row in range(3):
            param.grad = sparse((4, 2), [row, 3], dtype=torch.float32)
            step()
    torch.testing.assert_close(*params)


DERIVED = """\
import SparseAdam from sparse_adam
import clipped_gradient, decoupled_decay from transforms

optimizer Clipped extends SparseAdam with clipped_gradient(κ), decoupled_decay(γ, λ):
    input:
        κ (clip) = 0.5
        λ (weight_decay) = 0.1

    update u_t:
        u_t ← 2 u_t
"""


@every_variant
def test_extended(tmp_path: Path, flags: dict[str, Any]) -> None:
    """Edits and transforms of a step over stored entries are for these entries."""
    optimizer_class = loaded(tmp_path, DERIVED).Clipped
    param = torch.ones(4, 2, dtype=torch.float64).requires_grad_()
    optimizer = optimizer_class([param], lr=0.1, **flags)
    param.grad = sparse((4, 2), [2], 10.0)
    optimizer.step()
    expected = torch.ones(4, 2, dtype=torch.float64)
    expected[2] -= 2 * 0.1 * 0.5 / (0.5 + 1e-8 / 0.001**0.5) + 0.1 * 0.1
    torch.testing.assert_close(param.detach(), expected, rtol=1e-6, atol=1e-9)
