"""The text of the class, on programs made by hand."""

from __future__ import annotations

import ast
import math
from dataclasses import replace

import pytest

from optdsl.emit.optimizer import emit_module
from optdsl.ir.nodes import Argument, Check, Const, DType, Hyper, Op, Program, Rate, Scalar, State
from tests.emit.optimizer.test_quoting import NASTY
from tests.ir_samples import ADAM, SGD


def method(text: str, name: str) -> str:
    """The source of a method of the only class in ``text``."""
    (cls,) = (node for node in ast.parse(text).body if isinstance(node, ast.ClassDef))
    (found,) = (node for node in cls.body if isinstance(node, ast.FunctionDef) and node.name == name)
    return "\n".join(text.splitlines()[found.lineno - 1 : found.end_lineno])


def with_checks(*checks: Check) -> str:
    return emit_module(replace(ADAM, checks=checks))


LR, BETA1, BETA2, AMSGRAD = Hyper("lr"), Hyper("beta1"), Hyper("beta2"), Hyper("amsgrad", DType.BOOL)
ZERO, ONE = Const(0), Const(1)
FINITE = Check(Op("lt", (LR, Const(math.inf))), ("Invalid learning rate",), "lr")


def test_the_same_program_gives_the_same_bytes() -> None:
    assert emit_module(ADAM) == emit_module(ADAM)


@pytest.mark.parametrize("program", (ADAM, SGD), ids=lambda program: program.name)
def test_short_and_within_the_line_length(program: Program) -> None:
    lines = emit_module(program).splitlines()
    assert len(lines) <= 350
    assert max(map(len, lines)) <= 120


@pytest.mark.parametrize(
    ("condition", "line"),
    [
        (Op("ge", (LR, ZERO)), "if not 0 <= lr:"),
        (Op("lt", (LR, ONE)), "if not lr < 1:"),
        (Op("and", (Op("le", (ZERO, BETA1)), Op("lt", (BETA1, ONE)))), "if not 0 <= beta1 < 1:"),
        (
            Op("and", (Op("and", (Op("lt", (ZERO, BETA1)), Op("lt", (BETA1, ONE)))), Op("lt", (ONE, BETA2)))),
            "if not 0 < beta1 < 1 < beta2:",
        ),
        (Op("not", (AMSGRAD,)), "if amsgrad:"),
        (
            Op("or", (Op("not", (AMSGRAD,)), Op("and", (Op("gt", (LR, ZERO)), Op("eq", (BETA1, ZERO)))))),
            "if amsgrad and (not lr > 0 or beta1 != 0):",
        ),
        (Op("or", (Op("eq", (LR, Const(None))), Op("ge", (LR, ZERO)))), "if lr is not None and not lr >= 0:"),
    ],
)
def test_checks_read_like_torchs(condition: Op, line: str) -> None:
    text = method(with_checks(Check(condition, ("no",))), "_check_arguments")
    assert line in map(str.strip, text.splitlines())


def test_messages_show_values() -> None:
    lr, (beta1, _), betas = ADAM.scalars[0], ADAM.arguments[1].scalars, ADAM.arguments[1]
    check = Check(Op("ge", (LR, ZERO)), ("lr {", lr, "}, betas ", betas, ", first ", beta1))
    text = method(with_checks(check), "_check_arguments")
    assert """raise ValueError(f"lr {{{lr}}}, betas {group['betas']}, first {beta1}")""" in text


def test_choices_are_checked() -> None:
    argument = Argument("mode", (Scalar("mode", "mode", Const(None), DType.CHOICE),), choices=("a", 'b"'))
    text = emit_module(replace(ADAM, arguments=(*ADAM.arguments, argument)))
    assert 'if mode not in (None, "a", "b\\""):' in method(text, "_check_arguments")
    assert "mode: str | None = None" in method(text, "__init__")


def test_flags_stand_where_the_spec_puts_them() -> None:
    first, *rest = SGD.arguments
    text = method(emit_module(replace(SGD, arguments=(first, Argument("foreach", ()), *rest))), "__init__")
    names = [line.strip().partition(":")[0] for line in text.splitlines() if ": " in line and "->" not in line]
    assert names[:3] == ["params", "lr", "foreach"]
    assert text.count("foreach:") == 1


def test_a_fixed_argument_stays_in_the_defaults_alone() -> None:
    arguments = tuple(replace(a, fixed=a.name == "decoupled_weight_decay") for a in ADAM.arguments)
    text = emit_module(replace(ADAM, arguments=arguments))
    assert "decoupled_weight_decay:" not in method(text, "__init__")
    assert '"decoupled_weight_decay": False,' in method(text, "__init__")
    assert 'group["decoupled_weight_decay"] = False' in method(text, "__setstate__")
    assert "decoupled_weight_decay" not in method(text, "_hyperparameters")


def test_states_start_as_the_spec_says() -> None:
    states = (
        State("exp_avg", "m", Rate.ELEMENT, Op("mul", (Const(2), Hyper("lr")))),
        State("exp_avg_sq", "v", Rate.ELEMENT, Const(0)),
        State("max_exp_avg_sq", "u", Rate.ELEMENT, Hyper("beta1"), AMSGRAD, eager=True),
    )
    text = emit_module(replace(ADAM, states=states))
    assert method(text, "_init_state").splitlines()[1:] == [
        '        state["exp_avg"] = full_state(2 * group["lr"], param)',
        '        state["exp_avg_sq"] = torch.zeros_like(param, memory_format=torch.preserve_format)',
        '        if group["amsgrad"]:',
        '            state["max_exp_avg_sq"] = full_state(group["betas"][0], param)',
    ]
    assert "    _eager = True\n" in text


@pytest.mark.parametrize("nasty", NASTY)
def test_hostile_text_stays_text(nasty: str) -> None:
    """A doc string, an argument's text, a symbol, a choice and a message cannot become code."""
    harmless, hostile = (
        emit_module(
            replace(
                ADAM,
                doc=f"{text}\n\n{text}",
                arguments=(
                    replace(ADAM.arguments[0], doc=text),
                    *(
                        replace(a, scalars=tuple(replace(s, symbol=text or "x") for s in a.scalars))
                        for a in ADAM.arguments[1:]
                    ),
                    Argument("mode", (Scalar("mode", text, Const(text), DType.CHOICE),), choices=(text,)),
                ),
                checks=(Check(Op("ge", (LR, ZERO)), (text, ADAM.scalars[0], text)),),
            ),
            algorithm=text,
        )
        for text in ("harmless", nasty)
    )
    assert skeleton(hostile) == skeleton(harmless)


def skeleton(text: str) -> str:
    """``text`` as a syntax tree in which no string shows what it says."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            node.values = [value for value in node.values if isinstance(value, ast.FormattedValue)]
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = ""
    return ast.dump(tree)


def test_math_is_imported_wherever_it_is_used() -> None:
    """By the functions, by a default, or by a check alone."""
    (arguments, *others) = ADAM.arguments
    unbounded = replace(arguments, scalars=tuple(replace(s, default=Const(math.inf)) for s in arguments.scalars))
    used = replace(ADAM, arguments=(unbounded, *others), checks=()), replace(ADAM, checks=(FINITE,))
    for program in used:
        assert "\nimport math\n" in emit_module(program)
    assert "import math" not in emit_module(replace(ADAM, checks=()))
