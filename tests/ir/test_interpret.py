"""The interpreter against torch.optim (float64), and each operation against torch's."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from optdsl.ir.interpret import AbsentStateError, Tensors, default_hypers, initial_state, run, step, step_all
from optdsl.ir.nodes import (
    MATRIX_OPERATIONS,
    OPERATIONS,
    REDUCTIONS,
    Const,
    DType,
    Grad,
    Hyper,
    If,
    Let,
    Merge,
    Op,
    Param,
    ParamFact,
    Present,
    Program,
    Rate,
    Ref,
    State,
    StateValue,
    Time,
    real,
)
from tests.ir_samples import ADAM, SGD

STEPS = 25


def torch_trajectory(make, param, grads):
    """The parameter after every step of a torch optimizer, and its last state."""
    p = torch.tensor(param, requires_grad=True)
    optimizer = make([p])
    params = []
    for grad in grads:
        p.grad = torch.tensor(grad)
        optimizer.step()
        params.append(p.detach().numpy().copy())
    return params, optimizer.state[p]


def assert_agrees(program, make, **given):
    rng = np.random.default_rng(0)
    param, grads = rng.normal(size=(3, 5)), rng.normal(size=(STEPS, 3, 5))
    expected, expected_state = torch_trajectory(make, param, grads)
    trajectory = run(program, default_hypers(program, **given), param, grads)
    for (actual, _), wanted in zip(trajectory, expected, strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=1e-12, atol=1e-15)
    state = trajectory[-1][1]
    assert set(state) == set(expected_state) - {"step"}
    for key, value in state.items():
        np.testing.assert_allclose(value, expected_state[key].numpy(), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize("amsgrad", [False, True])
@pytest.mark.parametrize("decoupled", [False, True])
@pytest.mark.parametrize("weight_decay", [0, 0.1])
def test_adam_is_torchs(maximize, amsgrad, decoupled, weight_decay):
    given = {"lr": 0.1, "weight_decay": weight_decay, "amsgrad": amsgrad, "maximize": maximize}
    assert_agrees(
        ADAM,
        lambda ps: torch.optim.Adam(ps, **given, decoupled_weight_decay=decoupled, foreach=False),
        **given,
        decoupled_weight_decay=decoupled,
    )


@pytest.mark.parametrize(
    "given",
    [
        {"lr": 0.1},
        {"lr": 0.1, "momentum": 0.9},
        {"lr": 0.1, "momentum": 0.9, "dampening": 0.5, "weight_decay": 0.1},
        {"lr": 0.1, "momentum": 0.9, "nesterov": True, "maximize": True},
    ],
)
def test_sgd_is_torchs(given):
    assert_agrees(SGD, lambda ps: torch.optim.SGD(ps, **given, foreach=False), **given)


def test_states_off_or_not_yet_assigned_are_not_there():
    ones = np.ones(3)
    plain, momentum = default_hypers(SGD), default_hypers(SGD, momentum=0.9)
    assert initial_state(SGD, momentum, ones) == {}
    assert step(SGD, plain, ones, ones, {})[1] == {}
    assert set(step(SGD, momentum, ones, ones, {})[1]) == {"momentum_buffer"}
    assert set(initial_state(ADAM, default_hypers(ADAM), ones)) == {"exp_avg", "exp_avg_sq"}


def test_a_step_writes_none_of_its_inputs_and_shares_none():
    param, grad = np.ones(3), np.ones(3)
    state = {"momentum_buffer": np.ones(3)}
    new_param, new_state = step(SGD, default_hypers(SGD, momentum=0.9), param, grad, state)
    new_param[:] = new_state["momentum_buffer"][:] = 7
    assert (param == 1).all() and (grad == 1).all() and (state["momentum_buffer"] == 1).all()


def test_missing_gradients_do_not_count_as_steps():
    rng = np.random.default_rng(1)
    param, grads = rng.normal(size=4), list(rng.normal(size=(3, 4)))
    hypers = default_hypers(ADAM)
    with_gaps = run(ADAM, hypers, param, [None, grads[0], None, *grads[1:]])
    assert (with_gaps[0][0] == param).all()
    assert (with_gaps[-1][0] == run(ADAM, hypers, param, grads)[-1][0]).all()


def elementwise(value, *states, **fields):
    """A program whose new θ is ``value``."""
    return Program(
        name="Test",
        doc="",
        arguments=(),
        checks=(),
        states=tuple(states),
        body=(Let("param.1", value, state="param"),),
        param=Ref("param.1", value.type),
        new_states=tuple((s.key, StateValue(s.key, s.rate)) for s in states),
        **fields,
    )


SPECIAL = [0.0, -0.0, 1.0, -1.0, 2.5, -2.5, 1e-300, 1e300, float("inf"), float("-inf"), float("nan")]
TORCH = {
    **{op: getattr(torch, op) for op in ("add", "sub", "mul", "div", "pow", "neg", "sqrt", "abs", "exp", "log")},
    **{op: getattr(torch, op) for op in ("sign", "floor", "lt", "le", "gt", "ge", "eq", "ne")},
    "min": torch.minimum,
    "max": torch.maximum,
    "and": torch.logical_and,
    "or": torch.logical_or,
    "not": torch.logical_not,
    "select": torch.where,
}

FOLDS = {
    "sum": torch.sum,
    "mean": torch.mean,
    "norm": torch.linalg.vector_norm,
    "rms": lambda x, **over: x.square().mean(**over).sqrt(),
    "amax": torch.amax,
    "amin": torch.amin,
}

MATRICES = {
    **{op: lambda x, f=FOLDS[r.fold]: f(x) for op, r in REDUCTIONS.items() if r.over in ("all", "parameters")},
    **{op: lambda x, f=FOLDS[r.fold]: f(x, dim=-2, keepdim=True) for op, r in REDUCTIONS.items() if r.over == "rows"},
    **{op: lambda x, f=FOLDS[r.fold]: f(x, dim=-1, keepdim=True) for op, r in REDUCTIONS.items() if r.over == "cols"},
    **{
        op: lambda x, f=FOLDS[r.fold]: f(x, dim=tuple(range(1, x.dim())), keepdim=True)
        for op, r in REDUCTIONS.items()
        if r.over == "rest"
    },
    "transpose": lambda x: x.mT,
    "bfloat16": lambda x: x.to(torch.bfloat16).double(),
    "float32": lambda x: x.float().double(),
}
"""What an operation on one matrix, or a batch of them, is in torch."""


@pytest.mark.parametrize("op", [op for op in OPERATIONS if op not in (*MATRICES, *MATRIX_OPERATIONS, "full")])
def test_an_operation_means_what_torch_means_by_it(op):
    x, y = (a.ravel() for a in np.meshgrid(SPECIAL, SPECIAL))
    operands = (Param(), Grad())
    positive = tuple(Op("gt", (a, Const(0))) for a in operands)
    tensors, flags = (torch.tensor(x), torch.tensor(y)), (torch.tensor(x > 0), torch.tensor(y > 0))
    arity = OPERATIONS[op].arity
    if op == "select":
        value, expected = Op(op, (positive[0], *operands)), torch.where(flags[0], *tensors)
    elif op in ("and", "or", "not"):
        value, expected = Op(op, positive[:arity]), TORCH[op](*flags[:arity])
    else:
        value, expected = Op(op, operands[:arity]), TORCH[op](*tensors[:arity])
    actual, _ = step(elementwise(value), {}, x, y, {})
    np.testing.assert_allclose(actual, expected.double().numpy(), rtol=1e-15, atol=0)


@pytest.mark.parametrize("op", MATRICES)
@pytest.mark.parametrize("shape", [(3, 4), (2, 5, 3)])
def test_an_operation_on_matrices_means_what_torch_means_by_it(op, shape):
    x = np.random.default_rng(0).standard_normal(shape)
    expected = MATRICES[op](torch.tensor(x))
    let = Let("r.1", Op(op, (Param(),)))
    back = Op("transpose", (let.ref,)) if op == "transpose" else let.ref
    program = elementwise(Op("mul", (Param(), back)))
    program = replace(program, body=(let, *program.body))
    actual, _ = step(program, {}, x, x, {})
    same_shape = expected.mT if op == "transpose" else expected
    np.testing.assert_allclose(actual, x * same_shape.numpy(), rtol=1e-14, atol=0)


def test_a_matrix_product_is_of_the_last_two_dimensions():
    x, y = np.random.default_rng(0).standard_normal((2, 2, 3, 4))
    gram = Op("matmul", (Op("transpose", (Param(),)), Grad()))
    actual, _ = step(elementwise(Op("matmul", (Param(), gram))), {}, x, y, {})
    np.testing.assert_allclose(actual, x @ (x.swapaxes(-1, -2) @ y), rtol=1e-14)


def test_functions_of_matrices():
    x = np.random.default_rng(0).standard_normal((2, 4, 3))
    gram = Op("matmul", (Op("transpose", (Param(),)), Param()))
    q, _ = step(elementwise(Op("orthonormal", (Param(),))), {}, x, x, {})
    r = q.swapaxes(-1, -2) @ x
    np.testing.assert_allclose(q.swapaxes(-1, -2) @ q, np.broadcast_to(np.eye(3), (2, 3, 3)), atol=1e-14)
    np.testing.assert_allclose(np.tril(r, -1), np.zeros_like(r), atol=1e-14)
    assert (np.diagonal(r, axis1=-2, axis2=-1) > 0).all()
    root = Op("matrix_power", (gram, Const(0.5)))
    for whole in (Op("matmul", (root, root)), Op("matmul", (gram, Op("identity", (ParamFact("cols"),))))):
        actual, _ = step(elementwise(Op("matmul", (Param(), whole))), {}, x, x, {})
        np.testing.assert_allclose(actual, x @ (x.swapaxes(-1, -2) @ x), rtol=1e-12, atol=1e-12)


def test_what_is_reduced_over_all_parameters_is_the_same_for_each():
    total = Let("total.1", Op("sum_parameters", (Grad(),)))
    program = elementwise(Op("mul", (Param(), total.ref)))
    program = replace(program, body=(total, *program.body))
    grads = [np.ones((2, 3)), np.full(5, 2.0)]
    stepped = step_all(program, [({}, Tensors(g, g, {})) for g in grads])
    for (param, _), grad in zip(stepped, grads, strict=True):
        np.testing.assert_array_equal(param, grad * 16)


def test_full_spreads_a_scalar():
    param, _ = step(elementwise(Op("full", (Time(),))), {}, np.zeros((2, 3)), np.zeros((2, 3)), {}, t=4)
    assert (param == np.full((2, 3), 4.0)).all()


def test_choices_and_none_compare():
    mode, eps = Hyper("mode", DType.CHOICE), Hyper("eps")
    is_soft, is_none = Op("eq", (mode, Const("soft"))), Op("eq", (eps, Const(None)))
    value = Op("select", (is_soft, Op("select", (is_none, Const(5.0), Op("mul", (eps, Param())))), Const(-1)))
    program, one = elementwise(value), np.ones(2)
    for mode_, eps_, expected in (("soft", None, 5), ("soft", 2.0, 2), ("hard", None, -1), (None, 3.0, -1)):
        assert (step(program, {"mode": mode_, "eps": eps_}, one, one, {})[0] == expected).all()


def test_scalar_states_are_rounded_when_assigned_and_when_created():
    step_type = real(Rate.STEP)
    program = Program(
        name="Test",
        doc="",
        arguments=(),
        checks=(),
        states=(State("eta", "η", Rate.STEP, Hyper("lr")),),
        body=(
            Let("eta.1", Op("mul", (StateValue("eta", Rate.STEP), Const(0.1))), state="eta"),
            Let("param.1", Op("mul", (Param(), Ref("eta.1", step_type))), state="param"),
        ),
        param=Ref("param.1", real(Rate.ELEMENT)),
        new_states=(("eta", Ref("eta.1", step_type)),),
    )
    lr, one = {"lr": 0.3}, np.ones(2)
    assert initial_state(program, lr, one)["eta"] == np.float64(np.float32(0.3)) != 0.3
    param, state = step(program, lr, one, one, {})
    assert state["eta"] == param[0] == np.float64(np.float32(np.float64(np.float32(0.3)) * 0.1))
    assert step(program, lr, one, one, {}, scalar_dtype=np.float64)[1]["eta"] == 0.3 * 0.1


def test_a_tensor_state_is_filled_with_its_initial_value():
    program = elementwise(Param(), State("step_size", "η", Rate.ELEMENT, Hyper("lr")))
    _, state = step(program, {"lr": 0.5}, np.zeros((2, 0)), np.zeros((2, 0)), {})
    assert state["step_size"].shape == (2, 0)
    assert (initial_state(program, {"lr": 0.5}, np.zeros(3))["step_size"] == 0.5).all()


def test_computing_with_an_absent_state_is_an_error():
    buffer = State("buf", "b", Rate.ELEMENT, None)
    with pytest.raises(AbsentStateError):
        step(elementwise(Op("neg", (StateValue("buf"),)), buffer), {}, np.ones(2), np.ones(2), {})
    guarded = Op("select", (Present("buf"), StateValue("buf"), Const(3)))
    assert (step(elementwise(guarded, buffer), {}, np.ones(2), np.ones(2), {})[0] == 3).all()


def test_a_branch_not_taken_is_not_executed():
    late = Op("gt", (Time(), Const(1)))
    program = Program(
        name="Test",
        doc="",
        arguments=(),
        checks=(),
        states=(State("buf", "b", Rate.ELEMENT, None),),
        body=(
            If(
                late,
                (Let("x.1", Op("neg", (StateValue("buf"),))),),
                (),
                (Merge("x.2", Ref("x.1", real(Rate.ELEMENT)), Param()),),
            ),
        ),
        param=Ref("x.2", real(Rate.ELEMENT)),
        new_states=(("buf", StateValue("buf")),),
        counts_steps=True,
    )
    param, state = step(program, {}, np.ones(2), np.ones(2), {}, t=1)
    assert (param == 1).all() and state == {}
