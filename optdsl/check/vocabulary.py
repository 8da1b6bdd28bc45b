"""The functions that every spec can call, and the names that the generated code keeps for itself."""

from __future__ import annotations

import builtins
import keyword
from dataclasses import dataclass


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

NOT_COMPILED: dict[str, str] = {
    **dict.fromkeys(("mean", "sum", "RMS", "norm"), "a reduction over a tensor"),
    **dict.fromkeys(("rows", "cols", "dim", "numel"), "the shape of the parameter"),
    **dict.fromkeys(("transpose", "bfloat16"), "a matrix operation"),
    "machine_epsilon": "the precision of the parameter's dtype",
    **dict.fromkeys(("history", "first", "last"), "a bounded history"),
    "evaluate": "a second evaluation of the loss",
    "support": "the stored entries of a sparse gradient",
}
"""Functions of the language that the compiler does not lower yet, and what each is about."""

FUNCTIONS = (*ELEMENTWISE, *NOT_COMPILED)

RESERVED_ARGUMENTS = frozenset(
    {"self", "params", "param_names", "closure", "defaults", "state", "param_groups", "named_parameters", "initial_lr"}
)
"""Constructor arguments a spec cannot declare: ``torch.optim.Optimizer`` and its schedulers use them."""

MODULE_NAMES = frozenset(
    {
        "Any", "BaseOptimizer", "ParamsT", "StoredOptimizer", "Tensor", "foreach", "full_state", "math", "scalar_state",
        "scalars", "torch",
    }
)  # fmt: skip
"""What the module of an optimizer imports: its class and its variables are called otherwise."""

CODE_NAMES = MODULE_NAMES | {
    "bool", "float", "grad", "grads", "group", "i", "len", "param", "params", "range", "step", "super",
}  # fmt: skip
"""What the functions of an optimizer mean by these names: no argument and no state is called so."""


def taken_by_python(word: str) -> bool:
    """True if ``word`` is a Python keyword or the name of something built in."""
    return keyword.iskeyword(word) or keyword.issoftkeyword(word) or hasattr(builtins, word)
