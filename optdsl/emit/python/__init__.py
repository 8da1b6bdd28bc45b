"""Python for one optimizer's step: one tensor at a time, lists of tensors, on-device scalars, differentiable."""

from optdsl.emit.python.functions import (
    PythonFunctions,
    emit_functions,
    emit_switches,
    fact_argument,
    hyperparameters,
    reads_step,
    selected,
)

__all__ = [
    "PythonFunctions",
    "emit_functions",
    "emit_switches",
    "fact_argument",
    "hyperparameters",
    "reads_step",
    "selected",
]
