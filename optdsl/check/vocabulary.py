"""The functions that every spec can call, and the names that the generated code keeps for itself."""

from __future__ import annotations

import builtins
import keyword
from dataclasses import dataclass

from optdsl.ir.nodes import CASTS, PARAM_FACTS
from optdsl.syntax import ast


@dataclass(frozen=True)
class Builtin:
    """A function of the closed list: takes ``least`` to ``most`` arguments (``most`` None: any number)."""

    least: int
    most: int | None


ELEMENTWISE: dict[str, Builtin] = {
    **{name: Builtin(1, 1) for name in ("sqrt", "abs", "sign", "exp", "log", "floor")},
    "min": Builtin(2, None),
    "max": Builtin(2, None),
    "clamp": Builtin(3, 3),
}
"""Functions applied element by element (or to scalars)."""

REDUCTIONS = {"sum": "sum", "mean": "mean", "norm": "norm", "RMS": "rms", "max": "amax", "min": "amin"}
"""Functions that reduce a tensor over rows, columns or all of it, and how the IR calls them. ``min`` and ``max`` do
only where it says ``over``."""

MATRIX_FUNCTIONS = {"transpose": 1, "orthonormal": 1, "identity": 1, "matrix_power": 2}
"""Functions of matrices, and how many arguments they take."""

NOT_COMPILED: dict[str, str] = {
    **dict.fromkeys(("history", "first", "last", "table"), "of an optimizer over flat θ"),
    "evaluate": "of an optimizer over flat θ",
    "support": "the stored entries of a sparse gradient",
}
"""Functions of the language that the step of one tensor does not have, and what each is about."""

NORMS = {"norm_1": "sum_all", "norm_inf": "amax_all"}
"""Norms besides that of Euclid, and the reduction of absolute values that each is."""

FUNCTIONS = (*ELEMENTWISE, *REDUCTIONS, *PARAM_FACTS, *CASTS, *NORMS, *MATRIX_FUNCTIONS, *NOT_COMPILED)

ONE_TENSOR = ("sum", "mean", "norm", "RMS", *PARAM_FACTS, *CASTS, *NORMS)
"""Functions of one tensor."""


def reduces(call: ast.Call) -> bool:
    """Whether ``call`` is a reduction."""
    return call.function in REDUCTIONS and (call.function not in ELEMENTWISE or bool(call.over))


RESERVED_ARGUMENTS = frozenset(
    {
        "self", "params", "param_names", "closure", "defaults", "state", "param_groups", "named_parameters",
        "initial_lr", "train_mode",
    }
)  # fmt: skip
"""Constructor arguments a spec cannot declare: ``torch.optim.Optimizer``, its schedulers and modes use them."""

MODULE_NAMES = frozenset(
    {
        "Any", "BaseOptimizer", "FlatOptimizer", "ParamsT", "Point", "StoredOptimizer", "Tensor", "TrainEvalOptimizer",
        "append", "computed_state", "copied_state", "facts", "first_state", "foreach", "full_state", "math", "matrices",
        "matrix_state", "max_abs", "number_state", "reductions", "scalar_state", "scalars", "table", "to_scalar",
        "torch",
    }
)  # fmt: skip
"""What the module of an optimizer imports: its class and its variables are called otherwise."""

CODE_NAMES = MODULE_NAMES | {
    "bool", "float", "grad", "grads", "group", "i", "len", "param", "params", "range", "step", "super",
    "training_param",
}  # fmt: skip
"""What the functions of an optimizer mean by these names: no argument and no state is called so."""


def builtin_of(call: ast.Call) -> Builtin | None:
    """What ``call`` calls of the functions that every spec can call; None if it is none that is compiled."""
    if call.function in MATRIX_FUNCTIONS:
        arity = MATRIX_FUNCTIONS[call.function]
        return Builtin(arity, arity)
    if reduces(call) or call.function in ONE_TENSOR:
        return Builtin(1, 1)
    return ELEMENTWISE.get(call.function)


def taken_by_python(word: str) -> bool:
    """True if ``word`` is a Python keyword or the name of something built in."""
    return keyword.iskeyword(word) or keyword.issoftkeyword(word) or hasattr(builtins, word)
