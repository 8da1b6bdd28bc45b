"""``optdsl.load``: a spec compiled in memory."""

import inspect
import io
import pickle
import subprocess
import sys
import traceback
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from torch import nn

import optdsl

ROOT = Path(__file__).parents[2]
ADAM = ROOT / "specs" / "adam.opt"


def trained(optimizer_class: type[torch.optim.Optimizer], steps: int = 5) -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    optimizer = optimizer_class(model.parameters(), lr=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.ones(4, 3)).square().sum().backward()
        optimizer.step()
    return model, optimizer


def test_the_module_has_the_class_and_it_trains() -> None:
    module = optdsl.load(ADAM)
    assert module.__all__ == ["Adam"]
    ours, _ = trained(module.Adam)
    theirs, _ = trained(torch.optim.Adam)
    torch.testing.assert_close(ours.weight, theirs.weight)


def test_a_path_may_be_a_string_with_any_name(tmp_path: Path) -> None:
    path = tmp_path / "2 fast & öde.opt"
    path.write_bytes(ADAM.read_bytes())
    assert optdsl.load(str(path)).Adam.__name__ == "Adam"


def test_every_load_is_a_module_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "adam.opt"
    path.write_bytes(ADAM.read_bytes())
    first = optdsl.load(path)
    path.write_text(ADAM.read_text().replace("1e-3", "0.25", 1))
    second = optdsl.load(path)
    assert first is not second
    assert first.Adam is not second.Adam
    default = [inspect.signature(m.Adam).parameters["lr"].default for m in (first, second)]
    assert default == [0.001, 0.25]


def test_getsource_shows_the_compiled_text() -> None:
    adam = optdsl.load(ADAM).Adam
    assert inspect.getsource(adam).startswith("class Adam(")
    module = inspect.getmodule(adam)
    assert module is not None
    assert "def _single_tensor_adam(" in inspect.getsource(module)
    assert inspect.getsource(adam._functions()[0]).startswith("def _single_tensor_adam(")


def test_tracebacks_show_the_compiled_line() -> None:
    adam = optdsl.load(ADAM).Adam
    with pytest.raises(ValueError, match="Invalid learning rate: -1") as caught:
        adam([nn.Parameter(torch.ones(1))], lr=-1)
    shown = "".join(traceback.format_exception(caught.value))
    assert 'raise ValueError(f"Invalid learning rate: {lr}")' in shown
    assert "adam.opt" in shown


def test_optimizers_can_be_copied_and_pickled() -> None:
    model, optimizer = trained(optdsl.load(ADAM).Adam)
    for copy in (deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
        assert type(copy) is type(optimizer)
        assert [p.tolist() for p in copy.param_groups[0]["params"]] == [p.tolist() for p in model.parameters()]


def test_checkpoints_pass_between_two_loads() -> None:
    _, optimizer = trained(optdsl.load(ADAM).Adam)
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    model, other = trained(optdsl.load(ADAM).Adam, steps=0)
    other.load_state_dict(torch.load(file))
    assert other.state[next(model.parameters())]["step"] == 5


def test_the_fused_kernel_comes_with_it() -> None:
    """Without a GPU the request is refused in torch's words; the module of the kernel is there all the same."""
    module = optdsl.load(ADAM)
    source = sys.modules[module.__name__].__spec__.loader.get_source(f"{module.__name__}._adam_triton")
    assert "def fused_step(" in source


def test_a_mistake_raises_with_everything_in_its_text(tmp_path: Path) -> None:
    path = tmp_path / "wrong.opt"
    path.write_text(ADAM.read_text().replace("γ m̂_t", "ρ m̂_t q"))
    with pytest.raises(optdsl.DiagnosticError) as caught:
        optdsl.load(path)
    assert len(caught.value.diagnostics) == 2
    text = str(caught.value)
    assert f" --> {path}:" in text
    assert "`ρ`" in text
    assert "`q`" in text


def test_a_missing_file_raises_the_same(tmp_path: Path) -> None:
    with pytest.raises(optdsl.DiagnosticError, match="no such file"):
        optdsl.load(tmp_path / "missing.opt")


def test_a_warning_is_a_python_warning(tmp_path: Path) -> None:
    path = tmp_path / "warned.opt"
    path.write_text(ADAM.read_text().replace("        *\n", "        κ (unused) = 1\n        *\n", 1))
    with pytest.warns(UserWarning, match="`κ` is never used"):
        optdsl.load(path)


def test_importing_optdsl_and_asking_for_load_does_not_import_torch() -> None:
    program = "import sys, optdsl; optdsl.load; assert 'torch' not in sys.modules; print(optdsl.load.__name__)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "load\n", done.stderr


def test_an_unknown_attribute_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'loads'"):
        optdsl.loads  # noqa: B018
