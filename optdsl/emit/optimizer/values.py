"""Hyperparameters as the class reads them: from the dictionary ``group`` of a parameter group."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from optdsl.emit.python.expressions import HostPrinter
from optdsl.ir.nodes import Argument, Expr, Hyper, Program


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
    """Prints expressions over hyperparameters, read from ``group``."""

    def name(expr: Expr) -> str:
        if isinstance(expr, Hyper):
            return group_value(program, expr.name)
        raise ValueError(f"not known before the step: {expr}")

    return HostPrinter(name)
