"""From the checked program to the form that emitters print."""

from __future__ import annotations

from optdsl.ir.nodes import Program
from optdsl.ir.passes.broadcast import broadcast_scalars
from optdsl.ir.passes.choices import simplify_choices
from optdsl.ir.passes.common import eliminate_common_subexpressions
from optdsl.ir.passes.forward import (
    factor_merges,
    forget_passing_states,
    hoist_scalar_factors,
    inline_single_uses,
    propagate_copies,
)
from optdsl.ir.passes.reductions import name_reductions, simplify_reductions
from optdsl.ir.passes.rewrite import remove_dead_code
from optdsl.ir.passes.scalars import Split, predicate_step_branches, split_scalars

__all__ = ["Split", "optimize", "predicate_step_branches", "split_scalars"]


def optimize(program: Program) -> Program:
    """The same program with scalar factors hoisted, values forwarded to their only use, and nothing computed twice.

    Every pass keeps the meaning that :mod:`optdsl.ir.interpret` gives to the program (up to rounding).
    """
    program = remove_dead_code(propagate_copies(broadcast_scalars(program)))
    while True:
        before = program
        program = name_reductions(simplify_reductions(program))
        program = hoist_scalar_factors(forget_passing_states(program))
        program = factor_merges(simplify_choices(program))
        program = inline_single_uses(program)
        program = eliminate_common_subexpressions(program)
        program = remove_dead_code(propagate_copies(program))
        if program == before:
            return program
