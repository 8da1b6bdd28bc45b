"""Hyperparameters as the class reads them: from the dictionary ``group`` of a parameter group."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from optdsl.emit.python.expressions import HostPrinter, TensorPrinter
from optdsl.ir.nodes import Argument, Expr, Hyper, Param, ParamFact, Program


def argument_of(program: Program, scalar: str) -> Argument:
    """The constructor argument that holds the scalar of that name."""
    return next(argument for argument in program.arguments for s in argument.scalars if s.name == scalar)


def group_value(program: Program, scalar: str) -> str:
    """``group["lr"]``, ``group["betas"][0]``: where the scalar of that name is."""
    if scalar == "maximize":
        return 'group["maximize"]'
    argument = argument_of(program, scalar)
    if len(argument.scalars) == 1:
        return f'group["{argument.name}"]'
    index = [s.name for s in argument.scalars].index(scalar)
    return f'group["{argument.name}"][{index}]'


def unpack(program: Program, scalars: Iterable[str]) -> Iterator[str]:
    """``beta1, beta2 = group["betas"]`` for the tuple arguments that hold some of ``scalars``."""
    wanted = set(scalars)
    for argument in program.arguments:
        if len(argument.scalars) > 1 and any(scalar.name in wanted for scalar in argument.scalars):
            yield f'{", ".join(scalar.name for scalar in argument.scalars)} = group["{argument.name}"]'


def printer(program: Program) -> HostPrinter:
    """Prints expressions over hyperparameters, read from ``group``, and facts about ``param``."""
    return HostPrinter(lambda expr: _known_at_start(program, expr))


def tensor_printer(program: Program) -> TensorPrinter:
    """Prints expressions over hyperparameters and θ, which is ``param``."""
    return TensorPrinter(lambda expr: "param" if isinstance(expr, Param) else _known_at_start(program, expr))


def _known_at_start(program: Program, expr: Expr) -> str:
    if isinstance(expr, Hyper):
        return group_value(program, expr.name)
    if isinstance(expr, ParamFact):
        return f"facts.{expr.name}(param)"
    raise ValueError(f"not known before the step: {expr}")
