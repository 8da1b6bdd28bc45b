"""The text of the IR."""

import pytest
from hypothesis import given, settings

from optdsl.ir.nodes import (
    Const,
    DType,
    Hyper,
    Op,
    Param,
    Present,
    Rate,
    StateValue,
    Time,
    add,
    boolean,
    div,
    mul,
    power,
    real,
    statements,
    sub,
)
from optdsl.ir.printer import expr_text, program_text, type_text
from tests.ir_samples import SGD
from tests.strategies import programs

SGD_TEXT = """\
program SGD(lr=0.001, momentum=0, dampening=0, weight_decay=0, nesterov=false)
states
    momentum_buffer: tensor absent if momentum != 0
step
    grad.0: tensor = grad
    if maximize
        grad.1: tensor = -grad.0
    merge grad.2 = grad.1 | grad.0
    if weight_decay != 0
        grad.3: tensor = grad.2 + weight_decay * param
    merge grad.4 = grad.3 | grad.2
    if momentum != 0
        if present(momentum_buffer)
            momentum_buffer.1: tensor = momentum * momentum_buffer + (1 - dampening) * grad.4  -> momentum_buffer
        else
            momentum_buffer.2: tensor = grad.4  -> momentum_buffer
        merge momentum_buffer.3 = momentum_buffer.1 | momentum_buffer.2  -> momentum_buffer
        if nesterov
            grad.5: tensor = grad.4 + momentum * momentum_buffer.3
        merge grad.6 = grad.5 | momentum_buffer.3
    merge momentum_buffer.4 = momentum_buffer.3 | momentum_buffer  -> momentum_buffer
    merge grad.7 = grad.6 | grad.4
    param.1: tensor = param - lr * grad.7  -> param
leaves
    param = param.1
    momentum_buffer = momentum_buffer.4
"""


def test_a_program():
    assert program_text(SGD) == SGD_TEXT


@given(programs())
@settings(max_examples=50)
def test_every_statement_of_every_program_has_a_line(program):
    text = program_text(program)
    assert len(text.splitlines()) > len(list(statements(program.body)))


a, b, c = Hyper("a"), Hyper("b"), Hyper("c")


@pytest.mark.parametrize(
    ("expr", "text"),
    [
        (sub(a, sub(b, c)), "a - (b - c)"),
        (sub(sub(a, b), c), "a - b - c"),
        (div(a, mul(b, c)), "a / (b * c)"),
        (mul(div(a, b), c), "a / b * c"),
        (power(power(a, b), c), "(a ^ b) ^ c"),
        (power(a, power(b, c)), "a ^ (b ^ c)"),
        (power(Op("neg", (a,)), Const(2)), "(-a) ^ 2"),
        (power(Const(-1), Time()), "(-1) ^ t"),
        (Op("neg", (power(a, Const(2)),)), "-a ^ 2"),
        (mul(Const(-0.5), Param()), "-0.5 * param"),
        (add(a, Op("neg", (b,))), "a + -b"),
        (Op("not", (Op("and", (Op("lt", (a, b)), Present("s"))),)), "not (a < b and present(s))"),
        (Op("select", (Op("gt", (a, Const(0))), a, StateValue("s"))), "select(a > 0, a, s)"),
        (Op("eq", (Hyper("mode", DType.CHOICE), Const('say "hi"'))), 'mode == "say \\"hi\\""'),
        (Op("ne", (a, Const(None))), "a != none"),
        (Const(True), "true"),
    ],
)
def test_an_expression_has_the_fewest_brackets(expr, text):
    assert expr_text(expr) == text


def test_a_type():
    assert type_text(real(Rate.ELEMENT)) == "tensor"
    assert type_text(boolean(Rate.GROUP)) == "per group flag"
