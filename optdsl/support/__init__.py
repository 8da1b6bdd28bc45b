"""The part of a generated optimizer that is the same for all of them.

Compiled packages carry a copy of this one. It needs torch alone (and Triton where a fused step runs on a GPU).
"""

from . import facts, foreach, matrices, reductions, scalars
from .flat import FlatOptimizer, Point, append, max_abs, table, to_scalar
from .modes import TrainEvalOptimizer
from .optimizer import BaseOptimizer
from .state import computed_state, copied_state, first_state, full_state, matrix_state, number_state, scalar_state
from .stored import StoredOptimizer

__all__ = [
    "BaseOptimizer",
    "FlatOptimizer",
    "Point",
    "StoredOptimizer",
    "TrainEvalOptimizer",
    "append",
    "computed_state",
    "copied_state",
    "facts",
    "first_state",
    "foreach",
    "full_state",
    "matrices",
    "matrix_state",
    "max_abs",
    "number_state",
    "reductions",
    "scalar_state",
    "scalars",
    "table",
    "to_scalar",
]
