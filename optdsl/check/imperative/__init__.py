"""Imperative code: functions with loops and early returns, and the steps of optimizers over flat θ.

Names, types, shapes and flow are checked by reading a body to the procedure IR (:mod:`optdsl.ir.procedures`): whatever
has no reading there is a mistake. Lowering takes the code that was read.
"""

from optdsl.check.imperative.program import FlatStep, Procedures, check_flat, flat_step
from optdsl.check.imperative.values import variable

__all__ = ["FlatStep", "Procedures", "check_flat", "flat_step", "variable"]
