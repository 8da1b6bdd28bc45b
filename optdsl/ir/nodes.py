"""The intermediate representation: one optimizer step as a typed program in structured SSA form.

A :class:`Program` says what one step does to *one* parameter tensor. Its body is a tuple of statements: ``Let`` gives a
value a name, ``If`` chooses between two blocks and ``Merge``s what they computed. Every name is assigned exactly once.
Expressions are immutable trees that compare by structure and know their type, so a pass is a function from tree to
tree.

Names. An SSA name is ``identifier.version``. The identifier is the Python name that emitted code uses: ``param`` for
θ, ``grad`` for g, the state's key for a state (``exp_avg``), else the mangled symbol (``m_hat``). Only the identifier
is meant for readers; only the whole name identifies a value.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import Enum, IntEnum
from typing import TYPE_CHECKING

from optdsl.source import Span

if TYPE_CHECKING:
    from optdsl.ir.procedures import Procedure


class DType(Enum):
    """What kind of value: a number, a truth value, or a choice (a string or none)."""

    REAL = "real"
    BOOL = "bool"
    CHOICE = "choice"


class Rate(IntEnum):
    """How often a value can differ; a value can be computed from values of its own rate and lower ones."""

    CONSTANT = 0
    """Known when the spec is compiled."""
    GROUP = 1
    """Hyperparameters and what follows from them: one value per parameter group."""
    STEP = 2
    """``t``, scalar states and what follows from them: one value per parameter and step, a scalar on the host
    (on the device when capturable)."""
    TENSOR = 3
    """What a reduction makes of a whole tensor, and what follows from it: one value per parameter and step, a scalar
    on the device."""
    ELEMENT = 4
    """A tensor: of the shape of θ, or of one that follows from it (:class:`Shape`)."""


class Extent(Enum):
    """How far a tensor reaches in one of its last two dimensions, in terms of θ's."""

    ONE = "1"
    ROWS = "rows"
    COLS = "cols"
    FIRST = "first"
    """Of θ's first dimension, which is that of the rows only where θ is a matrix."""


@dataclass(frozen=True)
class Shape:
    """The last two dimensions of a tensor; those before them are θ's own (but for :data:`PER_FIRST`)."""

    rows: Extent = Extent.ROWS
    cols: Extent = Extent.COLS

    @property
    def transposed(self) -> Shape:
        return Shape(self.cols, self.rows)

    def __str__(self) -> str:
        return f"{self.rows.value} × {self.cols.value}"


FULL = Shape()
"""The shape of θ, whatever its number of dimensions. (θ of one dimension is one row, of none one number.)"""

PER_ROW, PER_COLUMN = Shape(Extent.ROWS, Extent.ONE), Shape(Extent.ONE, Extent.COLS)

PER_FIRST = Shape(Extent.FIRST, Extent.ONE)
"""θ's first dimension, and one entry in all others. (Of a θ of one dimension, all of it.)"""


class ShapeError(ValueError):
    """Two tensors whose shapes do not fit."""


def broadcast(*shapes: Shape) -> Shape:
    """The shape of what an elementwise operation makes of tensors of ``shapes``.

    Raises :class:`ShapeError` where they do not fit: what holds for all θ is asked for, so rows are not columns.
    """

    def common(extents: set[Extent]) -> Extent:
        wide = extents - {Extent.ONE}
        if len(wide) > 1:
            raise ShapeError(" and ".join(dict.fromkeys(str(s) for s in shapes)))
        return wide.pop() if wide else Extent.ONE

    if PER_FIRST in shapes:
        rest = [s for s in shapes if s != PER_FIRST]
        shape = broadcast(*rest) if rest else PER_FIRST
        if rest and shape.rows is not Extent.ROWS:
            raise ShapeError(" and ".join(dict.fromkeys(str(s) for s in shapes)))
        return shape
    return Shape(common({s.rows for s in shapes}), common({s.cols for s in shapes}))


@dataclass(frozen=True)
class Type:
    """``shape`` is that of a tensor; a scalar has none (:data:`FULL` stands there)."""

    dtype: DType
    rate: Rate
    shape: Shape = FULL

    @property
    def is_tensor(self) -> bool:
        return self.rate is Rate.ELEMENT


def real(rate: Rate) -> Type:
    return Type(DType.REAL, rate)


def boolean(rate: Rate) -> Type:
    return Type(DType.BOOL, rate)


# ---------------------------------------------------------------------------------------------------- expressions


@dataclass(frozen=True)
class Const:
    """A literal. Ints stay ints: ``g^2`` has ``Const(2)``."""

    value: int | float | bool | str | None

    @property
    def type(self) -> Type:
        dtype = (
            DType.BOOL
            if isinstance(self.value, bool)
            else DType.REAL
            if isinstance(self.value, int | float)
            else DType.CHOICE
        )
        return Type(dtype, Rate.CONSTANT)


@dataclass(frozen=True)
class Hyper:
    """A hyperparameter's value in the current group, by the name of its scalar (``lr``, ``beta1``, ``amsgrad``).

    ``Hyper("maximize")`` is there for every optimizer.
    """

    name: str
    dtype: DType = DType.REAL

    @property
    def type(self) -> Type:
        return Type(self.dtype, Rate.GROUP)


@dataclass(frozen=True)
class Time:
    """``t``: how many steps this parameter has made, the current one included (1, 2, …)."""

    @property
    def type(self) -> Type:
        return real(Rate.STEP)


@dataclass(frozen=True)
class ParamFact:
    """What the host knows of θ without looking at its elements: one of :data:`PARAM_FACTS`.

    Its rate is ``GROUP``: the parameters that one call works on agree in every fact that the program reads.
    """

    name: str

    @property
    def type(self) -> Type:
        return real(Rate.GROUP)


PARAM_FACTS = ("dim", "rows", "cols", "numel", "machine_epsilon")
"""The number of θ's dimensions, the sizes of its last two (1 where it has fewer), how many elements it has, and the
distance from 1 to the next number of its dtype."""


@dataclass(frozen=True)
class Param:
    """``θ_{t-1}``: the parameter when the step begins."""

    @property
    def type(self) -> Type:
        return real(Rate.ELEMENT)


@dataclass(frozen=True)
class Grad:
    """``∇f_t(θ_{t-1})``: the gradient as autograd left it (unscaled; not negated by ``maximize``)."""

    @property
    def type(self) -> Type:
        return real(Rate.ELEMENT)


@dataclass(frozen=True)
class StateValue:
    """``x_{t-1}``: a state's value when the step begins. Rate ``ELEMENT`` for tensors, ``STEP`` for scalar states,
    ``TENSOR`` for those that follow from reductions."""

    key: str
    rate: Rate = Rate.ELEMENT
    shape: Shape = FULL

    @property
    def type(self) -> Type:
        return Type(DType.REAL, self.rate, self.shape)


@dataclass(frozen=True)
class Present:
    """True once a state without an initial value has been assigned (``t > 1`` in the boxes)."""

    key: str

    @property
    def type(self) -> Type:
        return boolean(Rate.STEP)


@dataclass(frozen=True)
class Ref:
    """The value of an earlier ``Let`` or ``Merge``."""

    name: str
    type: Type

    @property
    def identifier(self) -> str:
        return self.name.partition(".")[0]


@dataclass(frozen=True)
class Op:
    """``op`` applied to ``args``; the operations are those of :data:`OPERATIONS`."""

    op: str
    args: tuple[Expr, ...]
    type: Type = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        if len(self.args) != OPERATIONS[self.op].arity:
            raise ValueError(f"{self.op} takes {OPERATIONS[self.op].arity} arguments, not {len(self.args)}")
        dtype = OPERATIONS[self.op].result or self.args[-1].type.dtype
        rate = Rate.ELEMENT if self.op in ("full", "identity") else max(a.type.rate for a in self.args)
        shape = FULL
        if self.op in REDUCTIONS:
            of = reduced(REDUCTIONS[self.op].over, self.args[0].type)
            rate, shape = of.rate, of.shape
        elif self.op == "matmul":
            shape = product_shape(*(a.type.shape for a in self.args))
        elif self.op == "transpose":
            shape = self.args[0].type.shape.transposed
        elif self.op == "identity":
            (size,) = self.args
            extent = Extent(size.name) if isinstance(size, ParamFact) else _extent(size)
            shape = Shape(extent, extent)
        elif rate is Rate.ELEMENT and self.op != "full":
            shape = broadcast(*(a.type.shape for a in self.args if a.type.is_tensor))
        object.__setattr__(self, "type", Type(dtype, rate, shape))


def _extent(size: Expr) -> Extent:
    """How far a :class:`Size` reaches."""
    if not isinstance(size, Size):
        return Extent.ONE
    shape = size.tensor.type.shape
    return shape.rows if size.dimension == "rows" else shape.cols


@dataclass(frozen=True)
class Call:
    """A procedure (a function with loops, returns on the way or calls of itself) applied to ``args``."""

    function: str
    args: tuple[Expr, ...]
    type: Type


@dataclass(frozen=True)
class Size:
    """How many ``rows`` or ``cols`` a tensor has; in procedures alone, whose tensors need not be shaped like θ."""

    dimension: str
    tensor: Expr

    @property
    def type(self) -> Type:
        return real(Rate.GROUP)


@dataclass(frozen=True)
class Item:
    """``s_i``: the entry of a history or table at a place; in procedures alone."""

    sequence: str
    place: str
    type: Type


Expr = Const | Hyper | ParamFact | Time | Param | Grad | StateValue | Present | Ref | Op | Call | Size | Item


@dataclass(frozen=True)
class Operation:
    arity: int
    result: DType | None
    """Type of the result; None: that of the last argument (``select``, ``full``)."""


_R, _B = DType.REAL, DType.BOOL
CASTS = ("bfloat16", "float32")
"""Operations that round to a dtype."""
_OVERS = ("all", "rows", "cols", "rest")
_REDUCTIONS = [(f, o) for o in _OVERS for f in ("sum", "mean", "norm", "rms", "amax", "amin")]
_REDUCTIONS += [(f, "parameters") for f in ("sum", "amax", "amin")]

OPERATIONS: dict[str, Operation] = {
    **{op: Operation(2, _R) for op in ("add", "sub", "mul", "div", "pow", "min", "max")},
    **{op: Operation(1, _R) for op in ("neg", "sqrt", "abs", "sign", "exp", "log", "floor")},
    **{op: Operation(2, _B) for op in ("lt", "le", "gt", "ge", "eq", "ne", "and", "or")},
    "not": Operation(1, _B),
    "select": Operation(3, None),
    "full": Operation(1, None),
    "matmul": Operation(2, _R),
    "orthonormal": Operation(1, _R),
    "matrix_power": Operation(2, _R),
    "identity": Operation(1, _R),
    "transpose": Operation(1, _R),
    **{op: Operation(1, _R) for op in CASTS},
    **{f"{fold}_{over}": Operation(1, _R) for fold, over in _REDUCTIONS},
}
"""Every operation. ``min``, ``max`` and comparisons propagate NaN as torch's do; ``sign(0) = 0``; ``select(c, a, b)``
is ``a`` where ``c`` holds, else ``b`` (the arm not chosen may be anything, NaN included); ``eq``/``ne`` also compare
choices; ``full(s)`` is a tensor that is ``s`` everywhere. ``bfloat16`` and ``float32`` round to those dtypes.

Of the matrices in the last two dimensions: ``matmul`` and ``transpose``; ``orthonormal(x)``, the Q of ``x = Q R`` in
which R has no negative diagonal element; ``matrix_power(x, p)``, the power of a symmetric positive semidefinite matrix,
by its eigenvalues; ``identity(n)``, where n is ``ParamFact("rows")`` or ``ParamFact("cols")``, the identity matrix with
so many rows. The reductions are those of :data:`REDUCTIONS`."""


@dataclass(frozen=True)
class Reduction:
    """``fold`` is ``sum``, ``mean``, ``norm`` (√Σx²), ``rms`` (√mean(x²)), ``amax`` or ``amin``; ``over`` what it goes
    over: ``all`` elements, the ``rows`` (one value per column is left) or ``cols`` of the last two dimensions, the
    ``rest`` of the dimensions behind the first, or all elements of all ``parameters``."""

    fold: str
    over: str


REDUCTIONS = {f"{fold}_{over}": Reduction(fold, over) for fold, over in _REDUCTIONS}


def reduced(over: str, operand: Type) -> Type:
    """The type of a reduction; a scalar is reduced as the tensor that is this scalar everywhere.

    Raises :class:`ShapeError` where the result would not be of the same :class:`Shape` for every θ.
    """
    if over in ("all", "parameters"):
        return real(Rate.TENSOR)
    shape = operand.shape
    if over == "rest":
        if shape.rows is not Extent.ROWS:
            raise ShapeError(str(shape))
        return Type(DType.REAL, Rate.ELEMENT, PER_FIRST)
    if shape == PER_FIRST:
        raise ShapeError(str(shape))
    left = Shape(Extent.ONE, shape.cols) if over == "rows" else Shape(shape.rows, Extent.ONE)
    return Type(DType.REAL, Rate.ELEMENT, left)


MATRIX_OPERATIONS = frozenset(("matmul", "transpose", "orthonormal", "matrix_power", "identity"))
"""Operations on the matrices of the last two dimensions."""

NOT_ELEMENTWISE = MATRIX_OPERATIONS.union(REDUCTIONS)
"""Operations whose result at an element follows from other elements too."""


def product_shape(a: Shape, b: Shape) -> Shape:
    """The shape of a matrix product. Raises :class:`ShapeError` unless ``a`` has as many columns as ``b`` rows."""
    if a.cols is not b.rows or PER_FIRST in (a, b):
        raise ShapeError(f"{a} and {b}")
    return Shape(a.rows, b.cols)


def add(a: Expr, b: Expr) -> Op:
    return Op("add", (a, b))


def sub(a: Expr, b: Expr) -> Op:
    return Op("sub", (a, b))


def mul(a: Expr, b: Expr) -> Op:
    return Op("mul", (a, b))


def div(a: Expr, b: Expr) -> Op:
    return Op("div", (a, b))


def power(a: Expr, b: Expr) -> Op:
    return Op("pow", (a, b))


def children(expr: Expr) -> tuple[Expr, ...]:
    match expr:
        case Op(args=args) | Call(args=args):
            return args
        case Size(tensor=tensor):
            return (tensor,)
        case _:
            return ()


def walk(expr: Expr) -> Iterator[Expr]:
    """``expr`` and everything below it, parents first."""
    yield expr
    for child in children(expr):
        yield from walk(child)


def with_children(expr: Expr, args: tuple[Expr, ...]) -> Expr:
    match expr:
        case Op(op):
            return Op(op, args)
        case Call():
            return replace(expr, args=args)
        case Size():
            return replace(expr, tensor=args[0])
        case _:
            return expr


# ----------------------------------------------------------------------------------------------------- statements


@dataclass(frozen=True)
class Let:
    """``name = value``.

    ``state`` is the key of the state that this is a new value of (``"param"`` for θ). The value of a *scalar* state
    is rounded to the state's own dtype (float32 unless the default dtype is float64) when it is assigned, so whoever
    reads the name afterwards sees the rounded value.
    """

    name: str
    value: Expr
    state: str | None = None
    span: Span | None = field(default=None, compare=False, repr=False)

    @property
    def identifier(self) -> str:
        return self.name.partition(".")[0]

    @property
    def ref(self) -> Ref:
        return Ref(self.name, self.value.type)


@dataclass(frozen=True)
class Merge:
    """After an ``If``: ``name`` is ``then`` if its condition held, else ``orelse`` (each an atom, not an Op)."""

    name: str
    then: Expr
    orelse: Expr
    state: str | None = None

    @property
    def identifier(self) -> str:
        return self.name.partition(".")[0]

    @property
    def ref(self) -> Ref:
        types = (self.then.type, self.orelse.type)
        shape = broadcast(*(t.shape for t in types if t.is_tensor)) if any(t.is_tensor for t in types) else FULL
        return Ref(self.name, Type(types[0].dtype, max(t.rate for t in types), shape))


@dataclass(frozen=True)
class If:
    """A branch decided per group (flags, ``λ ≠ 0``) or per step (``ρ_t > 5``, presence of a state), never per element.

    A per-element condition is a ``select``. The merged values of a per-step condition have at least rate ``STEP``.
    """

    condition: Expr
    then: Block
    orelse: Block
    merges: tuple[Merge, ...]
    span: Span | None = field(default=None, compare=False, repr=False)


Stmt = Let | If
Block = tuple[Stmt, ...]

# -------------------------------------------------------------------------------------------------------- programs


@dataclass(frozen=True)
class Scalar:
    """One number, flag or choice of a constructor argument.

    ``name`` is its Python name (``beta1``), ``symbol`` how the spec writes it (``β₁``), ``default`` None where it must
    be given. Code reads it as ``Hyper(name)``.
    """

    name: str
    symbol: str
    default: Expr | None
    dtype: DType = DType.REAL


@dataclass(frozen=True)
class Argument:
    """One constructor argument: a single scalar, or a tuple of several (``betas``).

    ``choices`` are the strings allowed besides none; ``fixed`` arguments are not in the signature but stay in the
    group's defaults (their ``Hyper`` is already folded to a constant in the body). ``optional``: none is allowed.
    """

    name: str
    scalars: tuple[Scalar, ...]
    keyword_only: bool = False
    doc: str = ""
    choices: tuple[str, ...] = ()
    fixed: bool = False
    optional: bool = False


TORCH_FLAGS = ("maximize", "foreach", "capturable", "differentiable", "fused")
"""Arguments that every optimizer has. A spec that lists one among its inputs fixes its place in the signature:
``Argument(name, ())`` with no scalars stands for it."""


@dataclass(frozen=True)
class ParamSize:
    """The size of a parameter, shown in a message."""


MessagePart = str | Argument | Scalar | ParamSize


@dataclass(frozen=True)
class Check:
    """A constructor check: raise ``ValueError(message)`` unless ``condition`` holds (expressions over ``Hyper``).

    ``message`` is literal text in which ``{name}`` of a value to show is split off: a tuple of strings and
    expressions printed one after another. ``argument`` is the constructor argument it speaks of.
    """

    condition: Expr
    message: tuple[MessagePart, ...]
    argument: str = ""


@dataclass(frozen=True)
class State:
    """A buffer kept from step to step.

    ``initial`` is its value when created, or None for one that is absent until it is first assigned. It is over
    ``Const``, ``Hyper`` and ``Param``, which is θ then; a tensor is filled with a scalar. ``condition`` is what decides
    whether it exists, over ``Hyper`` and ``ParamFact`` (None: always). ``eager``: created in the constructor rather
    than at the first step. ``shape`` is that of a state of rate ``ELEMENT``.
    """

    key: str
    symbol: str
    rate: Rate
    initial: Expr | None
    condition: Expr | None = None
    eager: bool = False
    shape: Shape = FULL


@dataclass(frozen=True)
class Evaluation:
    """What the model is evaluated with, where that is not θ as the steps leave it.

    ``value`` is over ``Param`` (θ as the last step left it), the states after that step, ``Hyper``, ``ParamFact`` and
    ``Time``. ``training`` is its inverse: θ to go on training with, where ``Param`` is θ in evaluation; None where that
    cannot be told, so that θ is to be kept.
    """

    value: Expr
    training: Expr | None


@dataclass(frozen=True)
class Program:
    """One optimizer.

    ``counts_steps`` says that its state has the step count ``step`` (a spec that reads ``t``, or declares it).
    ``param`` and ``new_states`` are what the step leaves behind: atoms that name the final θ and the final value of
    every state (``StateValue(key)`` where it is not touched). States keep the order of the spec. ``param_checks`` are
    constraints on the parameters, over ``ParamFact``. ``evaluation`` is None where θ is evaluated as it is trained.
    ``procedures`` are what the body calls, directly or not.

    ``stored_only``: θ and the tensor states change only at the entries that a sparse gradient stores; of a dense one
    that is every entry, unless ``needs_sparse`` refuses it.
    """

    name: str
    doc: str
    arguments: tuple[Argument, ...]
    checks: tuple[Check, ...]
    states: tuple[State, ...]
    body: Block
    param: Expr
    new_states: tuple[tuple[str, Expr], ...]
    counts_steps: bool = False
    stored_only: bool = False
    needs_sparse: bool = False
    param_checks: tuple[Check, ...] = ()
    procedures: tuple[Procedure, ...] = ()
    evaluation: Evaluation | None = None
    source: object = field(default=None, compare=False, repr=False)

    def state(self, key: str) -> State:
        return next(s for s in self.states if s.key == key)

    @property
    def scalars(self) -> tuple[Scalar, ...]:
        """Every hyperparameter the body may read, in order of the arguments."""
        return tuple(s for a in self.arguments for s in a.scalars)

    @property
    def tensor_states(self) -> tuple[State, ...]:
        return tuple(s for s in self.states if s.rate is Rate.ELEMENT)

    @property
    def scalar_states(self) -> tuple[State, ...]:
        """States that are one number, known to the host."""
        return tuple(s for s in self.states if s.rate is Rate.STEP)

    @property
    def facts(self) -> tuple[str, ...]:
        """What the step, its states and the evaluation ask of θ: names of :data:`PARAM_FACTS`, in their order."""
        read = {n.name for x in self.everywhere() for n in walk(x) if isinstance(n, ParamFact)}
        return tuple(name for name in PARAM_FACTS if name in read)

    @property
    def is_shaped(self) -> bool:
        """Whether rows and columns count, so that the real view of a complex θ, which has one dimension more, will not
        do."""
        ops = {n.op for x in self.everywhere() for n in walk(x) if isinstance(n, Op)}
        sides = {op for op, of in REDUCTIONS.items() if of.over in ("rows", "cols", "rest")} | MATRIX_OPERATIONS
        return bool(self.facts) or any(s.shape != FULL for s in self.states) or not ops.isdisjoint(sides)

    @property
    def meets(self) -> bool:
        """Whether something is reduced over all parameters, so that their steps wait for each other."""
        ops = {n.op for x in self._expressions() for n in walk(x) if isinstance(n, Op)}
        return any(REDUCTIONS[op].over == "parameters" for op in ops if op in REDUCTIONS)

    @property
    def is_elementwise(self) -> bool:
        """Whether each element of θ and of the states follows from the same element of what there was."""
        shaped = any(s.shape != FULL or s.rate is Rate.TENSOR for s in self.states)
        return not shaped and not any(
            isinstance(n, Call | ParamFact) or (isinstance(n, Op) and n.op in NOT_ELEMENTWISE)
            for x in self._expressions()
            for n in walk(x)
        )

    def _expressions(self) -> Iterator[Expr]:
        for stmt in statements(self.body):
            yield stmt.value if isinstance(stmt, Let) else stmt.condition
        for state in self.states:
            if state.condition is not None:
                yield state.condition

    def everywhere(self) -> Iterator[Expr]:
        """The expressions of the step, of the conditions of states, and of the evaluation."""
        yield from self._expressions()
        if self.evaluation is not None:
            yield self.evaluation.value

    def with_body(self, body: Block) -> Program:
        return replace(self, body=body)


def statements(block: Block) -> Iterator[Stmt]:
    """Every statement of ``block``, those inside branches included, in order."""
    for stmt in block:
        yield stmt
        if isinstance(stmt, If):
            yield from statements(stmt.then)
            yield from statements(stmt.orelse)
