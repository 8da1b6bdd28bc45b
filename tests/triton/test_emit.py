"""The emitted text: formulas over flags, variables, literals, lines."""

from __future__ import annotations

import ast

import pytest

from optdsl.emit.fused.conditions import ALWAYS, NEVER, Flags, both, either, negated
from optdsl.emit.fused.names import Names, describe
from optdsl.emit.triton import emit_kernel
from optdsl.emit.triton.lines import fitted
from optdsl.emit.triton.printer import KernelPrinter, host_text
from optdsl.emit.triton.variables import assign_variables
from optdsl.ir.nodes import (
    Const,
    DType,
    Expr,
    Grad,
    Hyper,
    If,
    Let,
    Merge,
    Op,
    Param,
    Present,
    Ref,
    StateValue,
    Time,
    add,
    div,
    mul,
    power,
    sub,
)
from tests.triton.cases import CASES, program

LR, BETA = Hyper("lr"), Hyper("beta1")
AMSGRAD, NESTEROV = Hyper("amsgrad", DType.BOOL), Hyper("nesterov", DType.BOOL)


def tile_lines(optimizer: str) -> list[str]:
    """The arithmetic of a tile function."""
    text = emit_kernel(program(optimizer))
    body = text.split("tl.store(grad_ptr, grad, mask=mask)\n\n")[1]
    return body.split("\n\n    tl.store(param_ptr")[0].splitlines()


def test_a_kernel_reads_like_the_algorithm() -> None:
    assert tile_lines("SGD") == [
        "    if MAXIMIZE:",
        "        grad = -grad",
        "    if HAS_WEIGHT_DECAY:",
        "        grad = grad + weight_decay * param",
        "    if HAS_MOMENTUM:",
        "        if MOMENTUM_BUFFER_PRESENT:",
        "            momentum_buffer = momentum * momentum_buffer + one_minus_dampening * grad",
        "        else:",
        "            momentum_buffer = grad",
        "        if NESTEROV:",
        "            grad = grad + momentum * momentum_buffer",
        "        else:",
        "            grad = momentum_buffer",
        "    param = param - lr * grad",
    ]


@pytest.mark.parametrize("optimizer", sorted({case.optimizer for case in CASES}))
def test_every_kernel_is_tidy(optimizer: str) -> None:
    text = emit_kernel(program(optimizer))
    ast.parse(text)
    assert text == emit_kernel(program(optimizer)), "the same bytes every time"
    assert all(len(line) <= 120 and line == line.rstrip() for line in text.splitlines())
    assert "\n\n\n\n" not in text
    assert text.endswith("\n")


# ------------------------------------------------------------------------------------------------------------- flags


def test_formulas_are_simplified() -> None:
    flags = Flags(Names(()))
    a, b = flags.formula(AMSGRAD), flags.formula(NESTEROV)
    assert either(a, negated(a)) == ALWAYS
    assert both(a, negated(a)) == NEVER
    assert either(both(a, b), both(a, negated(b))) == a
    assert either(a, both(a, b)) == a
    assert negated(both(a, b)) == either(negated(a), negated(b))
    assert flags.text(either(both(a, negated(b)), b)) == "(AMSGRAD and not NESTEROV) or NESTEROV"
    assert flags.text(ALWAYS) == ""


@pytest.mark.parametrize(
    ("condition", "name", "host"),
    (
        (AMSGRAD, "AMSGRAD", 'hypers["amsgrad"]'),
        (Op("ne", (LR, Const(0))), "HAS_LR", 'hypers["lr"] != 0'),
        (Op("gt", (LR, Const(0.5))), "LR_ABOVE_0_5", 'hypers["lr"] > 0.5'),
        (Present("exp_avg"), "EXP_AVG_PRESENT", "present[0]"),
        (
            Op("eq", (Hyper("mode", DType.CHOICE), Const("hard"))),
            "MODE_IS_HARD",
            "hypers[\"mode\"] == 'hard'",
        ),
        (Op("eq", (Hyper("mode", DType.CHOICE), Const(None))), "MODE_IS_NONE", 'hypers["mode"] is None'),
        (
            Op("lt", (mul(LR, add(BETA, Const(1))), Const(2))),
            "LR_TIMES_BETA1_PLUS_ONE_BELOW_TWO",
            '(hypers["lr"] * (hypers["beta1"] + 1)) < 2',
        ),
    ),
)
def test_flags_are_named_and_computed_on_the_host(condition: Expr, name: str, host: str) -> None:
    flags = Flags(Names(()))
    assert flags.text(flags.formula(condition)) == name
    assert host_text(condition, ("exp_avg",)) == host


# --------------------------------------------------------------------------------------------------------- variables


def test_a_variable_is_used_again_when_its_value_is_no_longer_read() -> None:
    block = (Let("grad.1", mul(LR, Grad())), Let("grad.2", add(Ref("grad.1", Grad().type), Param())))
    variables = assign_variables(block, {Grad(): "grad", Param(): "param"}, [Ref("grad.2", Grad().type)], ())
    assert variables["grad.1"] == variables["grad.2"] == "grad"


def test_an_old_value_that_is_still_read_keeps_its_variable() -> None:
    state = StateValue("exp_avg")
    new = Let("exp_avg.1", mul(LR, state))
    block = (new, Let("param.1", sub(Param(), add(new.ref, state))))
    variables = assign_variables(block, {state: "exp_avg", Param(): "param"}, [new.ref, block[1].ref], ())
    assert variables["exp_avg.1"] == "exp_avg_2"
    assert variables["param.1"] == "param"


def test_a_swap_does_not_overwrite_what_it_still_reads() -> None:
    a, b = Ref("a.1", Grad().type), Ref("b.1", Grad().type)
    swap = If(AMSGRAD, (), (), (Merge("a.2", b, a), Merge("b.2", a, b)))
    block = (Let("a.1", mul(LR, Grad())), Let("b.1", mul(LR, Param())), swap)
    variables = assign_variables(block, {Grad(): "grad", Param(): "param"}, [m.ref for m in swap.merges], ())
    assert variables["a.2"] not in (variables["a.1"], variables["b.1"])


def test_names_that_the_kernel_uses_are_not_taken() -> None:
    block = (Let("mask.1", mul(LR, Grad())),)
    assert assign_variables(block, {Grad(): "grad"}, [block[0].ref], {"mask"})["mask.1"] == "mask_2"


# -------------------------------------------------------------------------------------------------------- expressions


@pytest.mark.parametrize(
    ("expr", "text"),
    (
        (sub(Grad(), sub(Param(), Grad())), "grad - (param - grad)"),
        (mul(add(Grad(), Param()), Grad()), "(grad + param) * grad"),
        (Op("neg", (mul(Grad(), Param()),)), "-(grad * param)"),
        (div(Grad(), Op("sqrt", (Param(),))), "divide(grad, square_root(param))"),
        (power(Grad(), Const(2)), "grad * grad"),
        (power(add(Grad(), Param()), Const(3)), "integer_power(grad + param, 3)"),
        (power(Grad(), Const(0.5)), "square_root(grad)"),
        (power(Grad(), Const(-1)), "power(grad, tl.full((), -1.0, tl.float64))"),
        (Op("max", (Grad(), Const(0.5))), "maximum(grad, 0.5)"),
        (Op("max", (Grad(), Const(0.1))), "maximum(grad, tl.full((), 0.1, tl.float64))"),
        (mul(Const(0.1), Grad()), "0.1 * grad"),
        (
            Op("select", (Op("gt", (Grad(), Const(0))), Const(0.1), Grad())),
            "tl.where(grad > 0.0, tl.full((), 0.1, tl.float64), grad)",
        ),
        (
            Op("select", (Op("and", (AMSGRAD, Op("not", (NESTEROV,)))), Grad(), Param())),
            "grad if AMSGRAD and not NESTEROV else param",
        ),
        (
            Op("and", (Op("gt", (Grad(), Const(0))), Op("not", (Op("lt", (Grad(), Param())),)))),
            "(grad > 0.0) & ~(grad < param)",
        ),
    ),
)
def test_expressions(expr: Expr, text: str) -> None:
    """A literal that no float32 holds is given its dtype where Triton would round it."""
    printer = KernelPrinter({Grad(): "grad", Param(): "param"}, Flags(Names(())), "tl.float64")
    assert printer.text(expr) == text


@pytest.mark.parametrize(
    ("expr", "name"),
    (
        (sub(Const(1), BETA), "one_minus_beta1"),
        (sub(Const(1), power(BETA, Time())), "bias_correction1"),
        (mul(LR, Hyper("weight_decay")), "lr_times_weight_decay"),
        (Op("sqrt", (sub(Const(1), power(BETA, Time())),)), "sqrt_bias_correction1"),
        (mul(mul(LR, LR), mul(mul(LR, LR), mul(mul(LR, LR), LR))), "scalar"),
        (mul(Const(0.5), LR), "scalar"),
    ),
)
def test_scalars_are_named_after_what_they_are(expr: Expr, name: str) -> None:
    assert describe(expr) == name


# ------------------------------------------------------------------------------------------------------------- lines


def test_long_lines_are_broken_between_terms() -> None:
    term = "divide(first + second, third)"
    assert fitted(f"x = {term}") == f"x = {term}"
    assert fitted(f"    x = {' + '.join([term] * 5)}").splitlines() == [
        "    x = (",
        f"        {term}",
        *[f"        + {term}"] * 4,
        "    )",
    ]
    condition = "A_FLAG_WITH_A_LONG_NAME and ANOTHER_ONE_WITH_A_LONG_NAME"
    assert fitted(f"x = {term} + {term} if {condition} else {term}").splitlines() == [
        "x = (",
        f"    {term} + {term}",
        f"    if {condition}",
        f"    else {term}",
        ")",
    ]
