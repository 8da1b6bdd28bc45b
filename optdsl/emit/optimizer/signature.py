"""The constructor of an optimizer: its signature, its defaults and the text about them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from optdsl.emit.python.expressions import HostPrinter
from optdsl.ir.nodes import TORCH_FLAGS, Argument, DType, Hyper, Program, Scalar, walk
from optdsl.ir.procedures import FlatProgram

FLAG_TYPES = {
    "foreach": ("bool | None", "None"),
    "maximize": ("bool", "False"),
    "capturable": ("bool", "False"),
    "differentiable": ("bool", "False"),
    "fused": ("bool | None", "None"),
}
"""Type and default of the arguments that every optimizer has, in the order they take where the spec names none."""

FLAG_DOCS = {
    "foreach": "update all parameters by operations on lists of tensors, instead of one parameter after another; this "
    "takes about as much more memory as the parameters do. If None, it is on where all parameters are on a GPU",
    "maximize": "maximize the objective with respect to the params, instead of minimizing",
    "capturable": "keep all numbers of a step on the device, so that a CUDA graph can capture it",
    "differentiable": "let autograd record the step, so that gradients flow through it",
    "fused": "update all parameters in one kernel; they must be floating point and on a supported device",
}

PARAMS_DOC = (
    "params (iterable): parameters or named_parameters to optimize, or dicts that define parameter groups. If any "
    "parameter is named, all must be"
)

NO_BREAK_SPACE = "\u00a0"

TYPES = {DType.REAL: "float | Tensor", DType.BOOL: "bool", DType.CHOICE: "str | None"}

_constant = HostPrinter(lambda expr: expr.name if isinstance(expr, Hyper) else str(expr))


def arguments(program: Program) -> tuple[Argument, ...]:
    """Every argument of the constructor after ``params``, in order, the flags included (those have no scalars).

    Flags that the spec does not place follow its positional arguments, keyword-only.
    """
    own = [argument for argument in program.arguments if not argument.fixed]
    if isinstance(program, FlatProgram):
        return (*(a for a in own if not a.keyword_only), *(a for a in own if a.keyword_only))
    placed = {argument.name for argument in own}
    flags = [Argument(flag, (), keyword_only=True) for flag in FLAG_TYPES if flag not in placed]
    positional = [argument for argument in own if not argument.keyword_only]
    return (*positional, *flags, *(argument for argument in own if argument.keyword_only))


def signature(program: Program) -> Iterator[str]:
    """The parameters of ``__init__`` after ``params``."""
    keyword_only = False
    for argument in arguments(program):
        if argument.keyword_only and not keyword_only:
            keyword_only = True
            yield "*"
        value = default(argument)
        yield f"{argument.name}: {annotation(argument, program)}" + ("" if value is None else f" = {value}")


def annotation(argument: Argument, program: Program) -> str:
    if not argument.scalars:
        return FLAG_TYPES[argument.name][0]
    whole = program.whole if isinstance(program, FlatProgram) else frozenset()
    types = [_scalar_type(scalar, argument, scalar.name in whole) for scalar in argument.scalars]
    return types[0] if len(types) == 1 else f"tuple[{', '.join(types)}]"


def _scalar_type(scalar: Scalar, argument: Argument, whole: bool) -> str:
    text = "int" if whole else TYPES[scalar.dtype]
    optional = argument.optional or is_computed(scalar)
    return f"{text} | None" if optional and scalar.dtype is DType.REAL else text


def is_computed(scalar: Scalar) -> bool:
    """Whether the default follows from other arguments; the signature has None then."""
    return scalar.default is not None and any(isinstance(node, Hyper) for node in walk(scalar.default))


def default(argument: Argument) -> str | None:
    """The default of ``argument`` as Python; None if it must be given."""
    if not argument.scalars:
        return FLAG_TYPES[argument.name][1]
    values = [_default(scalar) for scalar in argument.scalars]
    if None in values:
        return None
    return values[0] if len(values) == 1 else f"({', '.join(v for v in values if v is not None)})"


def _default(scalar: Scalar) -> str | None:
    if scalar.default is None:
        return None
    return "None" if is_computed(scalar) else _constant(scalar.default)


def defaults(program: Program) -> Iterator[tuple[str, str]]:
    """Keys of the defaults, in torch's order, and the expressions of their values."""
    placed = arguments(program)
    for argument in placed:
        if not argument.keyword_only:
            yield argument.name, argument.name
    rest = [argument for argument in placed if argument.keyword_only]
    flags = [argument for argument in rest if not argument.scalars]
    for argument in sorted(flags, key=lambda flag: TORCH_FLAGS.index(flag.name)):
        yield argument.name, argument.name
    for argument in rest:
        if argument.scalars:
            yield argument.name, argument.name
    for argument in program.arguments:
        if argument.fixed:
            yield argument.name, str(default(argument))


def documentation(program: Program, width: int) -> str:
    """The ``Args:`` section, at most ``width`` characters wide."""
    entries = [PARAMS_DOC]
    for argument in arguments(program):
        value = default(argument)
        optional, shown = (
            ("", "") if value is None else (", optional", f" {_unbroken(f'(default: {_shown(argument, value)})')}")
        )
        text = argument.doc or FLAG_DOCS.get(argument.name) or _symbols(argument)
        entries.append(f"{argument.name} ({annotation(argument, program)}{optional}): {text}{shown}")
    lines = ["Args:"]
    for entry in entries:
        lines += textwrap.wrap(
            entry,
            width,
            initial_indent=" " * 4,
            subsequent_indent=" " * 8,
            break_long_words=False,
            break_on_hyphens=False,
        )
    return "\n".join(lines).replace(NO_BREAK_SPACE, " ")


def _shown(argument: Argument, value: str) -> str:
    """The default for the documentation: what it is computed from, where it is."""
    first = argument.scalars[0] if len(argument.scalars) == 1 else None
    return _constant(first.default) if first is not None and first.default is not None and is_computed(first) else value


def _unbroken(text: str) -> str:
    """``text`` as a word that is not folded."""
    return text.replace(" ", NO_BREAK_SPACE)


def _symbols(argument: Argument) -> str:
    """What there is to say about an argument that the spec does not document: its place in the algorithm."""
    if argument.choices:
        return "one of " + ", ".join(repr(choice) for choice in argument.choices)
    return ", ".join(scalar.symbol for scalar in argument.scalars)
