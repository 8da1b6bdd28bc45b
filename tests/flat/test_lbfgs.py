"""L-BFGS beside torch's: the same evaluations in the same order, and the same states, to the last bit."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing._internal.common_optimizers import optim_db

from generated import LBFGS

Loss = Callable[[list[Tensor]], Tensor]
INPUTS = torch.linspace(-1, 1, 40, dtype=torch.float64).reshape(10, 4)


def quadratic(x: list[Tensor]) -> Tensor:
    weights = torch.arange(1, x[0].numel() + 1, dtype=x[0].dtype)
    return (x[0] ** 2 * weights).sum() + (x[1] - 1).pow(2).sum()


def rosenbrock(x: list[Tensor]) -> Tensor:
    return (100 * (x[0][1:] - x[0][:-1] ** 2) ** 2 + (1 - x[0][:-1]) ** 2).sum() + (x[1] ** 4).sum()


def network(x: list[Tensor]) -> Tensor:
    inputs = INPUTS.to(x[0].dtype)
    return (torch.tanh(inputs @ x[0].reshape(4, -1)).sum(1) * x[1].sum() - inputs.sin().sum(1)).pow(2).mean()


class Run:
    """An optimizer on a loss; ``log`` has the parameters at every evaluation."""

    def __init__(self, cls: type[torch.optim.Optimizer], loss: Loss, dtype: torch.dtype = torch.float64, **kwargs: Any):
        torch.manual_seed(0)
        self.params = [torch.randn(8, dtype=dtype).requires_grad_(), torch.randn(2, 3, dtype=dtype).requires_grad_()]
        self.optimizer = cls(self.params, **kwargs)
        self.loss = loss
        self.log: list[Tensor] = []

    def closure(self) -> Tensor:
        self.optimizer.zero_grad()
        loss = self.loss(self.params)
        loss.backward()
        self.log.append(torch.cat([p.detach().reshape(-1).clone() for p in self.params]))
        return loss

    def steps(self, count: int) -> list[float]:
        return [float(self.optimizer.step(self.closure).detach()) for _ in range(count)]

    @property
    def state(self) -> dict[str, Any]:
        return self.optimizer.state_dict()["state"][0]


def equal(a: Any, b: Any) -> bool:
    """Equal, of one type, NaN being NaN."""
    if isinstance(a, list):
        return isinstance(b, list) and len(a) == len(b) and all(map(equal, a, b))
    if isinstance(a, Tensor):
        return isinstance(b, Tensor) and a.dtype == b.dtype and torch.equal(a.nan_to_num(), b.nan_to_num())
    return type(a) is type(b) and (a == b or a != a)


def assert_twins(ours: Run, theirs: Run) -> None:
    assert len(ours.log) == len(theirs.log)
    assert all(map(equal, ours.log, theirs.log))
    assert set(theirs.state) <= set(ours.state)
    assert [key for key in theirs.state if not equal(ours.state[key], theirs.state[key])] == []


ENDINGS: list[dict[str, Any]] = [
    {},
    {"lr": 0.1},
    {"lr": torch.tensor(0.5)},
    {"lr": 0.01, "max_iter": 7, "history_size": 3},
    {"max_eval": 3},
    {"max_iter": 1},
    {"tolerance_grad": 1e-2},
    {"tolerance_change": 1e-3, "max_iter": 50, "history_size": 2},
]


@pytest.mark.parametrize("kwargs", ENDINGS, ids=lambda k: "-".join(k) or "defaults")
@pytest.mark.parametrize("search", [None, "strong_wolfe"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("loss", [quadratic, rosenbrock, network])
def test_the_same_evaluations(loss: Loss, dtype: torch.dtype, search: str | None, kwargs: dict[str, Any]) -> None:
    ours, theirs = (Run(c, loss, dtype, line_search_fn=search, **kwargs) for c in (LBFGS, torch.optim.LBFGS))
    assert equal(ours.steps(6), theirs.steps(6))
    assert_twins(ours, theirs)


def inputs() -> list[Any]:
    info = next(info for info in optim_db if info.optim_cls is torch.optim.LBFGS)
    return list(info.optim_inputs_func(device="cpu"))


@pytest.mark.parametrize("config", inputs(), ids=lambda c: c.desc)
def test_every_configuration_of_torchs_tests(config: Any) -> None:
    ours, theirs = (Run(c, rosenbrock, **config.kwargs) for c in (LBFGS, torch.optim.LBFGS))
    ours.steps(5)
    theirs.steps(5)
    assert_twins(ours, theirs)


@pytest.mark.parametrize("source", [LBFGS, torch.optim.LBFGS])
@pytest.mark.parametrize("target", [LBFGS, torch.optim.LBFGS])
@pytest.mark.parametrize("search", [None, "strong_wolfe"])
def test_checkpoints_pass_both_ways(source: Any, target: Any, search: str | None) -> None:
    kwargs = {"lr": 0.05, "max_iter": 4, "line_search_fn": search}
    whole, first, rest = (Run(c, network, **kwargs) for c in (torch.optim.LBFGS, source, target))
    whole.steps(6)
    first.steps(3)
    saved = copy.deepcopy(first.optimizer.state_dict())
    rest.optimizer.load_state_dict(saved)
    with torch.no_grad():
        for param, trained in zip(rest.params, first.params, strict=True):
            param.copy_(trained)
    rest.steps(3)
    assert equal(rest.log, whole.log[len(first.log) :])


def test_a_loaded_state_shares_no_memory() -> None:
    first, second = Run(LBFGS, network), Run(LBFGS, network)
    first.steps(2)
    saved = first.optimizer.state_dict()
    before = copy.deepcopy(saved)
    second.optimizer.load_state_dict(saved)
    second.steps(2)
    assert equal(saved["state"][0]["old_dirs"], before["state"][0]["old_dirs"])
    assert equal(saved["state"][0]["al"], before["state"][0]["al"])


@pytest.mark.parametrize("how", ["deepcopy", "pickle"])
def test_a_copy_goes_on(how: str) -> None:
    """torch's own cannot step after either."""
    run, twin = Run(LBFGS, network), Run(LBFGS, network)
    run.steps(2)
    twin.steps(2)
    stored = (run.optimizer, run.params)
    run.optimizer, run.params = copy.deepcopy(stored) if how == "deepcopy" else pickle.loads(pickle.dumps(stored))
    run.steps(2)
    twin.steps(2)
    assert equal(run.log, twin.log)


def test_saved_by_torch() -> None:
    run = Run(LBFGS, network)
    run.steps(2)
    file = io.BytesIO()
    torch.save(run.optimizer.state_dict(), file)
    file.seek(0)
    assert equal(torch.load(file, weights_only=True)["state"][0]["old_stps"], run.state["old_stps"])


def test_arguments() -> None:
    param = torch.zeros(2, requires_grad=True)
    assert LBFGS([param]).defaults == torch.optim.LBFGS([param]).defaults
    assert LBFGS([param], max_iter=7).defaults["max_eval"] == 8
    for kwargs in ({"lr": -1}, {"lr": torch.tensor([0.1, 0.2])}):
        with pytest.raises(ValueError, match=r"lr|learning rate") as ours:
            LBFGS([param], **kwargs)
        with pytest.raises(ValueError, match=r"lr|learning rate") as theirs:
            torch.optim.LBFGS([param], **kwargs)
        assert str(ours.value) == str(theirs.value)
    with pytest.raises(ValueError, match=r"Invalid line_search_fn value: armijo"):
        LBFGS([param], line_search_fn="armijo")


def test_one_parameter_group() -> None:
    groups = [{"params": [torch.zeros(2, requires_grad=True)]} for _ in range(2)]
    with pytest.raises(ValueError, match=r"LBFGS doesn't support per-parameter options \(parameter groups\)"):
        LBFGS(groups)
    optimizer = LBFGS(groups[:1])
    with pytest.raises(ValueError, match="parameter groups"):
        optimizer.add_param_group(groups[1])


def test_a_closure_is_needed() -> None:
    with pytest.raises(TypeError, match="closure"):
        LBFGS([torch.zeros(2, requires_grad=True)]).step()  # type: ignore[call-arg]


def test_hooks() -> None:
    run, seen = Run(LBFGS, quadratic), []
    run.optimizer.register_step_pre_hook(lambda *_: seen.append("before"))
    run.optimizer.register_step_post_hook(lambda *_: seen.append("after"))
    run.steps(1)
    assert seen == ["before", "after"]


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
def test_complex_parameters(search: str | None) -> None:
    def trained(cls: type[torch.optim.Optimizer]) -> Tensor:
        torch.manual_seed(1)
        x = torch.randn(4, dtype=torch.complex128).requires_grad_()
        optimizer = cls([x], lr=0.3, line_search_fn=search)

        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = ((x - (1 + 2j)).abs() ** 2 * torch.arange(1, 5)).sum()
            loss.backward()
            return loss

        for _ in range(3):
            optimizer.step(closure)
        return x.detach()

    assert torch.equal(trained(LBFGS), trained(torch.optim.LBFGS))


def test_sparse_missing_and_transposed_gradients() -> None:
    """torch refuses the transposed one."""
    torch.manual_seed(0)
    table = torch.nn.Embedding(5, 3, sparse=True, dtype=torch.float64)
    unused = torch.ones(2, dtype=torch.float64, requires_grad=True)
    matrix = torch.randn(4, 3, dtype=torch.float64).requires_grad_()
    optimizer = LBFGS([table.weight, unused, matrix], lr=0.1, max_iter=5)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = table(torch.tensor([1, 3])).pow(2).sum() + matrix.pow(2).sum()
        loss.backward()
        assert matrix.grad is not None
        matrix.grad = matrix.grad.mT.contiguous().mT
        return loss

    before = float(optimizer.step(closure).detach())
    assert float(closure().detach()) < before
    assert torch.equal(unused, torch.ones(2, dtype=torch.float64))


@pytest.mark.parametrize("size", [0, 2])
def test_a_history_that_is_made_shorter(size: int) -> None:
    """The last pairs stay. torch's grows without end then, and fails where it is to hold none."""
    run, twin = Run(LBFGS, network, max_iter=6), Run(LBFGS, network, max_iter=6)
    for each in (run, twin):
        each.steps(2)
    assert len(run.state["old_stps"]) > 2
    run.optimizer.param_groups[0]["history_size"] = size
    twin.optimizer.state[twin.params[0]].update(
        {key: run.state[key][-size:] if size else [] for key in ("old_stps", "old_dirs", "ro")}
    )
    twin.optimizer.param_groups[0]["history_size"] = size
    for each in (run, twin):
        each.steps(2)
        assert len(each.state["old_stps"]) == size
    assert equal(run.log, twin.log)


def test_a_history_of_none() -> None:
    """Descent along the gradient; torch fails."""
    run = Run(LBFGS, network, lr=0.1, history_size=0)
    losses = run.steps(4)
    assert losses == sorted(losses, reverse=True) and losses[-1] < losses[0]


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
def test_empty_parameters(search: str | None) -> None:
    """Beside others they change nothing; alone they have converged, where torch fails."""
    empty = torch.zeros(0, 3, dtype=torch.float64, requires_grad=True)

    def trained(cls: type[torch.optim.Optimizer], params: list[Tensor]) -> float:
        optimizer = cls([*params, empty], line_search_fn=search)

        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = (empty**2).sum() + sum((p**2).sum() for p in params)
            loss.backward()
            return loss

        return [float(optimizer.step(closure).detach()) for _ in range(2)][-1]

    assert trained(LBFGS, []) == 0.0
    with pytest.raises(RuntimeError, match="max"):
        trained(torch.optim.LBFGS, [])
    ours, theirs = (
        trained(cls, [torch.ones(2, dtype=torch.float64, requires_grad=True)]) for cls in (LBFGS, torch.optim.LBFGS)
    )
    assert ours == theirs


def test_what_torch_saves_before_the_first_iteration() -> None:
    """It is None there, and absent in ours."""
    theirs, ours = Run(torch.optim.LBFGS, network, max_iter=0), Run(LBFGS, network)
    theirs.steps(1)
    saved = theirs.optimizer.state_dict()
    assert saved["state"][0]["d"] is None
    ours.optimizer.load_state_dict(saved)
    ours.optimizer.param_groups[0].update(max_iter=20, max_eval=25)
    expected = Run(LBFGS, network)
    assert ours.steps(2) == expected.steps(2)


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
def test_a_failing_closure_leaves_theta_where_it_was(search: str | None) -> None:
    run = Run(LBFGS, network, line_search_fn=search)
    run.steps(1)
    at = [p.detach().clone() for p in run.params]

    def failing() -> Tensor:
        if len(run.log) > calls:
            raise RuntimeError("out of data")
        return run.closure()

    calls = len(run.log)
    with pytest.raises(RuntimeError, match="out of data"):
        run.optimizer.step(failing)
    if search:
        assert all(torch.equal(p, q) for p, q in zip(run.params, at, strict=True))
    run.steps(1)
    assert all(p.isfinite().all() for p in run.params)
