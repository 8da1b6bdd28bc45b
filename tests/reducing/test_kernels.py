"""Kernels of steps that reduce tensors, of both back ends: against the interpreter, and in the generated class."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import optdsl
from tests.reducing.programs import EMPTY, NAMES, TEXTS, Run, coarse, hypers_of, program
from tests.triton.harness import load_fused

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

every_name = pytest.mark.parametrize("name", NAMES)


@pytest.mark.parametrize(("name", "hypers"), [(name, hypers) for name in NAMES for hypers in hypers_of(name)], ids=str)
def test_a_step_means_what_the_program_means(kernels, name: str, hypers: dict[str, object]) -> None:
    Run(kernels(name), program(name), **hypers).check()


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("Extremes", "Covers")])
def test_empty_tensors(kernels, name: str) -> None:
    Run(kernels(name), program(name), (*EMPTY, (4, 5))).check()


@every_name
def test_single_precision(kernels, name: str) -> None:
    Run(kernels(name), program(name), dtype=torch.float32, **coarse(name)).check(rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("dtype", (torch.bfloat16, torch.float16), ids=str)
@every_name
def test_half_precision(kernels, name: str, dtype: torch.dtype) -> None:
    Run(kernels(name), program(name), ((5,), (33, 150), (2, 7, 3)), dtype, **coarse(name)).check(
        1, rtol=2e-2, atol=2e-2
    )


@every_name
def test_states_of_another_dtype(kernels, name: str) -> None:
    run = Run(kernels(name), program(name), ((5,), (33, 160), (2, 7, 3)), torch.bfloat16, **coarse(name))
    run.states = [{key: value.float() for key, value in state.items()} for state in run.states]
    run.check(1, rtol=2e-2, atol=2e-2)


# -------------------------------------------------------------------------------------------------------- determinism


@every_name
def test_the_same_bits_whatever_else_is_in_the_launch(kernels, name: str) -> None:
    shapes = ((5000,), (70, 140), (3, 5, 7))
    together = Run(kernels(name), program(name), shapes, torch.float32)
    alone = Run(kernels(name), program(name), shapes, torch.float32)
    for _ in range(2):
        together.new_gradients()
        together.step()
        for i in reversed(range(len(shapes))):
            single = Run(kernels(name), program(name), shapes[i : i + 1], torch.float32)
            single.params, single.states, single.steps = [alone.params[i]], [alone.states[i]], [alone.steps[i]]
            single.grads = [together.grads[i].clone()]
            single.step()
    for ours, their in zip(together.everything(), alone.everything(), strict=True):
        assert ours.equal(their)


@pytest.mark.parametrize("backend", ["native"], indirect=True)
@every_name
def test_tensors_of_several_blocks(kernels, name: str) -> None:
    Run(kernels(name), program(name), ((300, 400), (150000,), (3, 200, 150), (40000, 2, 3), (2, 100000))).check()


@pytest.fixture
def threads():
    """How many threads torch has, to be changed."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("backend", ["native"], indirect=True)
@every_name
def test_the_same_bits_by_any_number_of_threads(kernels, threads, name: str) -> None:
    runs = []
    for count in (1, 2, 5):
        threads(count)
        shapes = ((1100, 1000), (50, 300), (1050000,), (20000,), (3, 700, 600), (3, 5, 7), ())
        runs.append(Run(kernels(name), program(name), shapes, torch.float32))
        for _ in range(2):
            runs[-1].new_gradients()
            runs[-1].step()
    for other in runs[1:]:
        assert all(ours.equal(their) for ours, their in zip(runs[0].everything(), other.everything(), strict=True))


@every_name
def test_memory_that_is_not_aligned(kernels, name: str) -> None:
    run = Run(kernels(name), program(name), ((600,), (9, 160)))
    run.params = [torch.cat((torch.zeros(1), param.flatten()))[1:].view(param.shape) for param in run.params]
    run.check()


def test_other_layouts(kernels) -> None:
    """A transposed parameter, one with gaps, channels last; states and gradients are laid out otherwise."""
    run = Run(kernels("Adafactor"), program("Adafactor"), ((24, 33), (20, 32), (6, 4, 5, 3)))
    gaps = torch.zeros(20, 40, dtype=torch.float64)
    gaps[:, :32] = run.params[1]
    run.params = [
        run.params[0].t().contiguous().t(),
        gaps[:, :32],
        run.params[2].to(memory_format=torch.channels_last),
    ]
    run.states[0]["row_var"] = torch.zeros(24, 2, dtype=torch.float64)[:, :1]
    run.check()
    assert gaps[:, 32:].eq(0).all()
    flat = Run(kernels("Lamb"), program("Lamb"), ((24, 33),))
    flat.params = [flat.params[0].t().contiguous().t()]
    flat.check()


def test_a_hyperparameter_on_the_device(kernels) -> None:
    run = Run(kernels("Adafactor"), program("Adafactor"), ((12, 20), (5,)))
    for lr in (0.01, 0.5):
        run.hypers["lr"] = lr
        run.new_gradients()
        run.expect()
        run.hypers["lr"] = torch.tensor(lr, dtype=torch.float64)
        run.step()
        run.compare()


@every_name
def test_scaled_gradients_and_skipped_steps(kernels, name: str) -> None:
    run = Run(kernels(name), program(name), ((12, 20), (5,), (2, 3, 4)))
    for skipped in (True, False, True, False):
        run.new_gradients()
        plain = [grad.clone() for grad in run.grads]
        run.grads = [grad * 1024 for grad in run.grads]
        before = [tensor.clone() for tensor in run.everything()]
        run.poison()
        run.step(grad_scale=torch.tensor([1024.0]), found_inf=torch.tensor([float(skipped)]))
        if skipped:
            assert all(ours.equal(old) for ours, old in zip(run.everything(), before, strict=True))
        else:
            assert all(ours.equal(grad) for ours, grad in zip(run.grads, plain, strict=True))
            run.expect()
        run.compare()


def test_a_part_of_a_tensor_is_refused(kernels) -> None:
    class Part:
        def to_local(self) -> None:
            raise AssertionError

    module = kernels("Lamb")
    with pytest.raises(RuntimeError, match="does not support distributed tensors"):
        module.fused_step([module.Bucket([Part()], [Part()])])


# ---------------------------------------------------------------------------------------------------------- the class


@every_name
def test_the_generated_class_agrees_with_its_other_variants(kernels, backend: str, name: str, tmp_path: Path) -> None:
    spec = Path(__file__).parents[2] / "specs" / f"{name.lower()}.opt"
    if name in TEXTS:
        spec = tmp_path / f"{name.lower()}.opt"
        spec.write_text(TEXTS[name].lstrip() + "\n    return θ_t\n", encoding="utf-8")
    cls = getattr(load_fused(spec) if backend == "triton" else optdsl.load(spec), name)
    optimizers = []
    for variant in ({"fused": True}, {"foreach": False}):
        random = torch.Generator().manual_seed(0)
        params = [
            torch.randn(shape, generator=random, dtype=torch.float64).requires_grad_()
            for shape in ((5,), (33, 150), (2, 3, 4), (), (8, 16))
        ]
        optimizer = cls([{"params": params[:3], "lr": 0.1}, {"params": params[3:]}], **variant)
        for step in range(4):
            for i, param in enumerate(params):
                grad = torch.randn(param.shape, generator=random, dtype=torch.float64)
                param.grad = None if (i + step) % 4 == 3 else grad
            optimizer.step()
        optimizers.append((optimizer, params))
    (fused, ours), (loop, theirs) = optimizers
    for our, their in zip(ours, theirs, strict=True):
        torch.testing.assert_close(our, their, rtol=1e-7, atol=1e-9)
        assert fused.state[our].keys() == loop.state[their].keys()
        for key, value in loop.state[their].items():
            torch.testing.assert_close(fused.state[our][key], value, rtol=1e-6, atol=1e-9)


def test_where_there_is_no_kernel(tmp_path: Path) -> None:
    param = torch.ones(3, 3, requires_grad=True)
    spec = tmp_path / "whitened.opt"
    spec.write_text(
        "optimizer Whitened:\n    input:\n        γ (lr) = 1e-2\n\n    for t = 1 to … do\n        g_t ← ∇f_t(θ_{t-1})\n"
        "        θ_t ← θ_{t-1} - γ g_t @ g_tᵀ @ g_t / ‖g_t‖\n\n    return θ_t\n",
        encoding="utf-8",
    )
    with pytest.raises(RuntimeError, match="`fused=True` is not available for Whitened: it multiplies matrices"):
        optdsl.load(spec).Whitened([param], fused=True)
