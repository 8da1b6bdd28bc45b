"""``optdsl show``: the compiler's intermediate results as text."""

from __future__ import annotations

from enum import StrEnum

from optdsl.compiler import Unit


class Stage(StrEnum):
    """Where to stop; ``READING`` and ``COST`` have options of their own."""

    AST = "ast"
    IR = "ir"
    LOOP = "loop"
    FOREACH = "foreach"
    TRITON = "triton"
    CLASS = "class"
    LATEX = "latex"
