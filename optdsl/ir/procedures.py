"""The procedure IR: functions with loops and early returns, and optimizers whose step is such a program.

Other than in a :class:`~optdsl.ir.nodes.Program`, names are variables: they are assigned again, in loops too. The
expressions are those of :mod:`optdsl.ir.nodes`: ``Ref`` reads a variable or, in a step, the state of that key;
:data:`POINT` is θ as it is now. A function is written for one kind of arguments: numbers, flags and tensors.

A vector is a matrix of one column. A matrix function works on a batch as well: leading dimensions are kept, and what a
reduction over all makes is one number per matrix.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from optdsl.ir.nodes import Call, DType, Expr, Extent, Item, Program, Rate, Ref, Shape, Type, walk

VECTOR = Shape(Extent.ROWS, Extent.ONE)
"""The shape of θ, and of the gradient, where all parameters are one vector."""

POINT = Ref("param", Type(DType.REAL, Rate.ELEMENT, VECTOR))
"""θ as it is now."""

EVALUATE = "evaluate"
"""The name of the call that gives the loss and its gradient at a point; θ stays where it is."""

Target = Ref | Item


@dataclass(frozen=True)
class Set:
    """``targets ← values``, all values being computed first; one call may give the values of several targets."""

    targets: tuple[Target, ...]
    values: tuple[Expr, ...]


@dataclass(frozen=True)
class Choose:
    """``if … else if … else``; each branch is a condition, one flag on the host, and its block."""

    branches: tuple[tuple[Expr, Code], ...]
    orelse: Code


@dataclass(frozen=True)
class Repeat:
    """``repeat count times``."""

    count: Expr
    body: Code


@dataclass(frozen=True)
class Count:
    """``for name = first to last do``, over whole numbers, downwards where ``down``."""

    name: str
    first: Expr
    last: Expr
    down: bool
    body: Code


@dataclass(frozen=True)
class Visit:
    """``for name = first(S) to last(S) do``: over the places of a history, from the newest where ``down``."""

    name: str
    sequence: str
    down: bool
    body: Code


@dataclass(frozen=True)
class While:
    condition: Expr
    body: Code


@dataclass(frozen=True)
class Break:
    pass


@dataclass(frozen=True)
class Append:
    """``append value to history``, which keeps its last ``limit`` entries."""

    history: str
    value: Expr
    limit: Expr


@dataclass(frozen=True)
class Table:
    """``name ← table(size)``: a table without entries."""

    name: str
    size: Expr


@dataclass(frozen=True)
class Return:
    """The values of a function; none ends a step."""

    values: tuple[Expr, ...]


Step = Set | Choose | Repeat | Count | Visit | While | Break | Append | Table | Return
Code = tuple[Step, ...]


@dataclass(frozen=True)
class Procedure:
    """A function. ``arguments`` are its variables, in the order of the call; those that are θ itself are left out."""

    name: str
    arguments: tuple[Ref, ...]
    body: Code
    results: tuple[Type, ...]
    doc: str = ""

    @property
    def evaluates(self) -> bool:
        """Whether it reads θ or evaluates the loss itself, not by what it calls."""
        return reads_point(self.body)


@dataclass(frozen=True)
class Kept:
    """A state of an optimizer over flat θ: a number or a vector, or a history or table of them.

    ``kind`` is ``value``, ``history`` or ``table``; ``size`` is how many entries the latter two hold at most. A value
    with ``initial`` None is absent until it is first assigned. ``type`` is that of the value, or of one entry.
    """

    key: str
    symbol: str
    kind: str
    type: Type
    initial: Expr | None = None
    size: Expr | None = None


@dataclass(frozen=True)
class FlatProgram(Program):
    """An optimizer over all parameters as one vector: its step is ``code``, and ``body`` is empty.

    ``whole`` are the scalars that count something: they are whole numbers.
    """

    code: Code = ()
    kept: tuple[Kept, ...] = ()
    whole: frozenset[str] = field(default=frozenset())


def blocks(step: Step) -> tuple[Code, ...]:
    """The code directly inside ``step``."""
    match step:
        case Choose(branches, orelse):
            return *(block for _, block in branches), orelse
        case Repeat(body=body) | Count(body=body) | Visit(body=body) | While(body=body):
            return (body,)
        case _:
            return ()


def steps(code: Code) -> Iterator[Step]:
    """Every step of ``code``, those inside others included, in order."""
    for step in code:
        yield step
        for block in blocks(step):
            yield from steps(block)


def own_expressions(step: Step) -> tuple[Expr, ...]:
    """The expressions that ``step`` itself evaluates."""
    match step:
        case Set(values=values) | Return(values=values):
            return values
        case Choose(branches=branches):
            return tuple(condition for condition, _ in branches)
        case Repeat(count=count):
            return (count,)
        case Count(first=first, last=last):
            return first, last
        case While(condition=condition):
            return (condition,)
        case Append(value=value, limit=limit):
            return value, limit
        case Table(size=size):
            return (size,)
        case _:
            return ()


def expressions(code: Code) -> Iterator[Expr]:
    """Every expression of ``code``, outermost first."""
    for step in steps(code):
        for expr in own_expressions(step):
            yield from walk(expr)


def reads_point(code: Code) -> bool:
    """Whether ``code`` reads or sets θ, or evaluates the loss."""
    sets = any(POINT in s.targets for s in steps(code) if isinstance(s, Set))
    return sets or any(e == POINT or (isinstance(e, Call) and e.function == EVALUATE) for e in expressions(code))
