"""Prints the module of one optimizer."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterable, Iterator
from functools import reduce

from optdsl.emit.optimizer import signature
from optdsl.emit.optimizer.checks import check_lines, param_check_lines
from optdsl.emit.optimizer.quoting import docstring, literal
from optdsl.emit.optimizer.values import argument_of, group_value, printer, tensor_printer, unpack
from optdsl.emit.procedures.functions import emit_procedures
from optdsl.emit.python import emit_functions, emit_switches, hyperparameters, reads_step
from optdsl.emit.templates import template
from optdsl.ir.nodes import (
    FULL,
    PER_FIRST,
    Const,
    Expr,
    Extent,
    Hyper,
    Op,
    Param,
    ParamFact,
    Program,
    Rate,
    State,
    walk,
)
from optdsl.ir.passes.folds import obstacles
from optdsl.ir.passes.segments import cut
from optdsl.ir.sparse import FALSE, TRUE, SparseSupport, conjuncts, negated, sparse_support
from optdsl.ir.vectors import needs_elements

EXTENTS = {Extent.ONE: "1", Extent.ROWS: "facts.rows(param)", Extent.COLS: "facts.cols(param)"}
"""How a module asks for the size of one dimension of a state."""

WIDTH = 120
"""Prose is folded to this width."""

SUPPORT = (
    "computed_state", "copied_state", "facts", "first_state", "foreach", "full_state", "matrices", "matrix_state",
    "number_state", "reductions", "scalar_state", "scalars",
)  # fmt: skip
"""What a module may need of ``_support`` besides the base class."""


def emit_module(program: Program, algorithm: str = "") -> str:
    r"""The text of the module: imports, the class, and the functions of its variants.

    ``algorithm`` is the algorithm box in LaTeX (``\begin{aligned}`` …) for the class's doc string; "" leaves it out.
    """
    emitted = emit_functions(program)
    variants = [emitted.single_tensor, emitted.multi_tensor, emitted.capturable, emitted.differentiable]
    switches = emit_switches(program)
    variants = [variant for variant in variants if variant]
    functions = [*emit_procedures(program.procedures, flat=False), *variants, *switches]
    bases = ["TrainEvalOptimizer"] if switches else []
    bases += ["StoredOptimizer"] if program.stored_only else []
    bases = bases or ["BaseOptimizer"]
    parameters = list(signature.signature(program))
    checks = list(check_lines(program))
    param_checks = list(param_check_lines(program))
    init_state = list(_init_state(program))
    support = sparse_support(program)
    used = set(re.findall(r"\b(\w+)[.(]", "\n".join([*functions, *parameters, *checks, *param_checks, *init_state])))
    return template("optimizer/module.py.jinja").render(
        name=program.name,
        uses_math="math" in used,
        bases=bases,
        support=[*bases, *(name for name in SUPPORT if name in used)],
        doc=docstring(class_doc(program, algorithm), "    "),
        attributes=list(_attributes(program)),
        signature=parameters,
        defaults=list(signature.defaults(program)),
        older=list(_older(program)),
        checks=checks,
        param_checks=param_checks,
        unpacked=list(unpack(program, hyperparameters(program))),
        hyperparameters=list(_hyperparameters(program)),
        state_keys=_state_keys(program),
        init_state=init_state,
        check_sparse=list(_check_sparse(program, support)),
        updates_rows=None if program.stored_only or support.rows == FALSE else printer(program)(support.rows),
        variants=[*map(_defined, variants), "None", "None"][:4],
        switches=[_defined(function) for function in switches],
        functions=[function.strip("\n") for function in functions],
    )


def _defined(function: str) -> str:
    return re.findall(r"def (\w+)", function)[0]


def class_doc(program: Program, algorithm: str) -> str:
    """The class's doc string: what the spec says of it, the algorithm between the first paragraph and the rest."""
    summary, _, rest = inspect.cleandoc(program.doc).partition("\n\n")
    box = f".. math::\n{textwrap.indent(algorithm, '   ')}" if algorithm else ""
    arguments = signature.documentation(program, WIDTH - 4)
    return "\n\n".join(part for part in (summary.strip() or program.name, box, rest.strip(), arguments) if part)


def _attributes(program: Program) -> Iterator[tuple[str, str]]:
    """The class attributes in which the optimizer differs from the base class."""
    yield "_module", "__name__"
    if not program.counts_steps:
        yield "_counts_steps", "False"
    if not reads_step(program):
        yield "_reads_step", "False"
    if program.scalar_states:
        yield "_scalar_states", _tuple(literal(state.key) for state in program.scalar_states)
    if any(state.initial is None for state in program.states):
        yield "_late_states", _tuple(literal(state.key) for state in program.states if state.initial is None)
    if program.needs_sparse:
        yield "_needs_sparse", "True"
    if any(state.eager for state in program.states):
        yield "_eager", "True"
    if any(state.rate is Rate.TENSOR for state in program.states):
        of_tensors = (state.key for state in program.states if state.rate is Rate.TENSOR)
        yield "_device_scalars", _tuple(map(literal, of_tensors))
    if any(asks_for_facts(state) for state in program.states):
        yield "_shaped_states", _tuple(literal(state.key) for state in program.states if asks_for_facts(state))
    if program.facts:
        yield "_facts", _tuple(map(literal, program.facts))
    if needs_elements(program):
        yield "_needs_elements", "True"
    if not cut(program):
        if reasons := obstacles(program):
            yield "_kernels", "()"
            yield "_unfused_because", literal(" and ".join(reasons))
    if program.is_shaped:
        yield "_takes_complex", "False"
    if program.meets:
        yield "_meets", "True"


def _older(program: Program) -> Iterator[str]:
    """What a checkpoint of before an argument existed lacks; fixed arguments are what they are in any checkpoint."""
    for argument in program.arguments:
        value = signature.default(argument)
        if argument.fixed:
            yield f'group["{argument.name}"] = {value}'
        elif argument.scalars and value is not None:
            yield f'group.setdefault("{argument.name}", {value})'


def _hyperparameters(program: Program) -> Iterator[tuple[str, str]]:
    """The keywords of the functions and their values in ``group``, tuples having been unpacked."""
    together = {
        scalar.name for argument in program.arguments if len(argument.scalars) > 1 for scalar in argument.scalars
    }
    for name in hyperparameters(program):
        yield name, name if name in together else group_value(program, name)


def _state_keys(program: Program) -> str:
    """The tuple of state keys, each only under its condition."""
    show = printer(program)
    return _tuple(
        literal(state.key)
        + ("" if (condition := group_condition(state)) is None else f" if {show(condition)} else None")
        for state in program.states
    )


def asks_for_facts(state: State) -> bool:
    """Whether the parameter decides if it has ``state``."""
    return state.condition is not None and any(isinstance(n, ParamFact) for n in walk(state.condition))


def group_condition(state: State) -> Expr | None:
    """What must hold of a group for any parameter of it to have ``state``; None if nothing must."""
    of_group = [
        condition
        for condition in (() if state.condition is None else conjuncts(state.condition))
        if not any(isinstance(n, ParamFact) for n in walk(condition))
    ]
    return reduce(lambda a, b: Op("and", (a, b)), of_group) if of_group else None


def _check_sparse(program: Program, support: SparseSupport) -> Iterator[str]:
    """Statements that refuse sparse gradients under the arguments that would change what they do not store."""
    for condition in conjuncts(support.rest):
        if condition != TRUE:
            names = {argument_of(program, node.name).name: None for node in walk(condition) if isinstance(node, Hyper)}
            yield f"if {printer(program)(negated(condition))}:"
            message = f"{' and '.join(names)} option is not compatible with sparse gradients"
            yield f"    raise RuntimeError({literal(message)})"


def _tuple(items: Iterable[str]) -> str:
    """The tuple of ``items``; "" for the empty one, which the base class has."""
    items = list(items)
    return f"({', '.join(items)}{',' if len(items) == 1 else ''})" if items else ""


def _init_state(program: Program) -> Iterator[str]:
    """Statements that put the initial values into ``state``."""
    for state in program.states:
        if state.initial is None:
            continue
        line = f'state["{state.key}"] = {_initial(program, state)}'
        if state.condition is None:
            yield line
        else:
            yield f"if {printer(program)(state.condition)}:"
            yield f"    {line}"


def _initial(program: Program, state: State) -> str:
    initial = state.initial or Const(0)
    if initial == Param():
        return "copied_state(param)"
    reads_param = any(isinstance(n, Param) for n in walk(initial))
    value = (tensor_printer if reads_param or initial.type.is_tensor else printer)(program)(initial)
    if state.rate is Rate.STEP:
        return f"scalar_state({value}, param, group)"
    if state.rate is Rate.TENSOR:
        return f"number_state({value}, param)"
    if state.shape == PER_FIRST:
        return f"first_state({value}, param)"
    if state.shape != FULL:
        rows, cols = (EXTENTS[extent] for extent in (state.shape.rows, state.shape.cols))
        return f"matrix_state({value}, param, {rows}, {cols})"
    if initial.type.is_tensor:
        return f"computed_state(lambda param: {value}, param)"
    if initial == Const(0):
        return "torch.zeros_like(param, memory_format=torch.preserve_format)"
    return f"full_state({value}, param)"
