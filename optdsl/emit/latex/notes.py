r"""What a box does not show, as comments of LaTeX above it, so that the box can be read back without loss.

A box has no defaults, constraints, doc texts, torch's flags, nor the conditions under which states exist. The notes
give them as a spec does, from ``% optimizer NAME:`` (or ``% function NAME(…):``) on. The step is in the box alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from optdsl.emit.latex.box import latex
from optdsl.syntax import ast
from optdsl.syntax.printer import unparse


def annotated(optimizer: ast.Optimizer, functions: Iterable[ast.Function] = ()) -> str:
    """The box of ``optimizer`` (its ``extends`` resolved) below its notes, with the ``functions`` that it calls."""
    return notes(optimizer, functions) + latex(optimizer) + "\n"


def notes(optimizer: ast.Optimizer, functions: Iterable[ast.Function] = ()) -> str:
    header = replace(optimizer, base=None, body=(), returns=None)
    lines = unparse(ast.Module((), tuple(functions), (header,))).splitlines()
    return "".join(f"% {line}".rstrip() + "\n" for line in lines)
