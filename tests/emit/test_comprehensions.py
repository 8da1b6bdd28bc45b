"""Operations on lists that torch has no function for: which become one comprehension, and when lists are given up."""

from __future__ import annotations

from optdsl.emit.python.expressions import HostPrinter
from optdsl.emit.python.operations import ForeachPrinter
from optdsl.ir.instructions import Branch, Code, Instruction
from optdsl.ir.nodes import Const, DType, Hyper

COMPARE = Instruction("gt", "mask", ("grad",), (Const(0),))
WHERE = Instruction("where", "sign", ("mask", "prev"), (Const(0),), layout="tts")
ABS = Instruction("abs", "size", ("sign",))
STORE = Instruction("copy", "prev", ("prev", "size"), in_place=True)


def lines(*code: Instruction | Branch) -> list[str]:
    names = HostPrinter(lambda x: x.name if isinstance(x, Hyper) else str(x))
    return list(ForeachPrinter(names, False, frozenset()).lines(code))


def test_what_is_read_once_is_part_of_what_reads_it() -> None:
    assert lines(COMPARE, WHERE, ABS, STORE) == [
        "signs = [torch.where(grad > 0, prev, 0) for grad, prev in zip(grads, prevs, strict=True)]",
        "sizes = torch._foreach_abs(signs)",
        "torch._foreach_copy_(prevs, sizes)",
    ]


def test_what_is_read_twice_is_not() -> None:
    again = Instruction("where", "other", ("mask", "size"), (Const(0),), layout="tts")
    assert lines(COMPARE, WHERE, ABS, again, STORE)[0] == "masks = [grad > 0 for grad in grads]"


def test_what_is_written_in_between_is_read_before() -> None:
    double = Instruction("mul", "grad", ("grad",), (Const(2),), in_place=True)
    assert lines(COMPARE, double, WHERE, ABS, STORE)[:2] == [
        "masks = [grad > 0 for grad in grads]",
        "torch._foreach_mul_(grads, 2)",
    ]


def test_operators_are_bracketed() -> None:
    both = Instruction("logical_and", "both", ("mask", "other"))
    other = Instruction("lt", "other", ("prev",), (Const(1),))
    where = Instruction("where", "sign", ("both", "prev"), (Const(0),), layout="tts")
    assert lines(COMPARE, other, both, where, STORE)[0] == (
        "signs = [torch.where((grad > 0) & (prev < 1), prev, 0) for grad, prev in zip(grads, prevs, strict=True)]"
    )


def test_a_list_is_given_up_before_another_is_made() -> None:
    double = Instruction("mul", "double", ("size",), (Const(2),))
    add = Instruction("add", "param", ("param", "double"), in_place=True)
    assert lines(COMPARE, WHERE, ABS, double, add, ABS)[-3:] == [
        "torch._foreach_add_(params, doubles)",
        "del doubles",
        "sizes = torch._foreach_abs(signs)",
    ]


def test_a_list_read_in_a_branch_is_kept_until_after_it() -> None:
    read: Code = (Instruction("add", "param", ("param", "size"), in_place=True),)
    branch = Branch(Hyper("nesterov", DType.BOOL), read, ())
    double = Instruction("mul", "double", ("prev",), (Const(2),))
    sign = Instruction("sign", "sign", ("prev",))
    assert lines(sign, ABS, branch, double) == [
        "signs = torch._foreach_sign(prevs)",
        "sizes = torch._foreach_abs(signs)",
        "if nesterov:",
        "    torch._foreach_add_(params, sizes)",
        "del signs, sizes",
        "doubles = torch._foreach_mul(prevs, 2)",
    ]
