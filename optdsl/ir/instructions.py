"""Torch operations on whole tensors: what instruction selection turns a program's body into.

An :class:`Instruction` is one torch call (one ``_foreach_`` call over lists); its cost is the whole tensors that it
reads and writes. Variables are named in the singular (``exp_avg``); a printer for lists makes plurals of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from optdsl.ir.nodes import Expr


@dataclass(frozen=True)
class Instruction:
    """``target = op(*operands, *scalars)``, in place on ``operands[0]`` or with ``out=target`` where marked.

    Operations, by how many tensors and scalars they take (``a, b, c`` tensors, ``s`` a scalar):

    - ``add``: a + b, a + s, a + s·b;  ``mul``, ``div``, ``maximum``, ``minimum``, ``pow`` and comparisons: a∘b, a∘s
    - ``addcmul``, ``addcdiv``: a + b·c, a + s·b·c;  ``lerp``: a + s·(b - a);  ``rpow``: s^a
    - ``clamp``: a between two scalars
    - ``neg sqrt abs sign exp log floor reciprocal rsqrt logical_not`` and ``clone``: of a
    - ``where``: ``operands`` and ``scalars`` hold only the places of (condition, then, else) that ``layout`` says:
      ``t`` for the next tensor, ``s`` for the next scalar
    - ``full_like``: s everywhere, in a's shape and dtype (a is not read)
    - ``choose``: a if s else b, no access
    - ``copy``: a's buffer takes b's value;  ``alias``: another name, no access
    - ``copy_like``: b's value in a new buffer of a's shape, layout and dtype (a is not read)
    - ``store``: the state ``target`` gets ``operands[0]`` as its buffer, no access
    - the reductions of :data:`~optdsl.ir.nodes.REDUCTIONS`, of a; ``matmul``: a @ b;  ``transpose``: a view of a, no
      access;  ``orthonormal``, ``matrix_power`` (to the power of s): of a;  ``identity``: with s rows, like a, which is
      not read;  ``bfloat16``, ``float32``: a rounded to what that dtype has
    - ``call``: the procedure ``function`` of the operands and scalars, whose places ``layout`` tells as of ``where``
    - ``scalar``: the scalar ``target`` is s, no access;  ``assign``: the scalar state ``target`` takes the value s

    ``small`` are those of the operands that are no whole tensors but values per row or column; ``makes_small`` says
    the same, or that it is a scalar, of what is assigned (a variable may hold the one before and the other after).
    """

    op: str
    target: str
    operands: tuple[str, ...]
    scalars: tuple[Expr, ...] = ()
    in_place: bool = False
    out: bool = False
    layout: str = ""
    function: str = ""
    small: frozenset[str] = frozenset()
    makes_small: bool = False

    @property
    def accesses(self) -> int:
        """Whole tensors read and written; one read twice by one operation counts once."""
        if self.op in ("alias", "choose", "store", "transpose", "scalar", "assign"):
            return 0
        written = not self.makes_small
        if self.op in ("full_like", "identity"):
            return int(written)
        if self.op in ("copy", "copy_like"):
            return 2 * written
        return len(set(self.operands) - self.small) + written


@dataclass(frozen=True)
class Branch:
    """``if condition: then else: orelse`` over code."""

    condition: Expr
    then: Code
    orelse: Code


Code = tuple[Instruction | Branch, ...]


def instructions(code: Code) -> Iterator[Instruction]:
    for item in code:
        if isinstance(item, Branch):
            yield from instructions(item.then)
            yield from instructions(item.orelse)
        else:
            yield item
