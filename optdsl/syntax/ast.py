"""The syntax tree: what a spec says, before any name or type is looked up.

Every node is a frozen dataclass with a ``span``. Spans take no part in equality, so that two spellings of one
program compare equal.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from optdsl.source import Span


def _span() -> Span:
    """A field for a node's place; every node that is read from text has one."""
    return field(default=None, compare=False, repr=False)  # type: ignore[return-value]


class Time(Enum):
    """The time subscript of a name. A name without one (``γ``, or a local such as ``α``) has ``NONE``."""

    NONE = ""
    INITIAL = "0"
    PREVIOUS = "t-1"
    NOW = "t"
    NEXT = "t+1"


@dataclass(frozen=True)
class Symbol:
    """A name as mathematics writes it, without its time: ``v̂^max`` is base ``v``, accent ``hat``, superscript ``max``.

    ``base`` is one Greek or Latin letter, or an ASCII word (``amsgrad``); ``subscript`` is ``""``, digits, a sign
    (``+``, ``-``) or a word; ``accent`` is ``""``, ``hat``, ``tilde``, ``bar`` or ``dot``.
    """

    base: str
    accent: str = ""
    subscript: str = ""
    superscript: str = ""


@dataclass(frozen=True)
class Name:
    """One occurrence of a symbol, with its time."""

    symbol: Symbol
    time: Time
    span: Span = _span()


# ---------------------------------------------------------------------------------------------------- expressions


@dataclass(frozen=True)
class Number:
    """A literal; ``text`` is as written (``1e-3``), ``value`` an int where it is written as one."""

    value: int | float
    text: str = field(compare=False)
    span: Span = _span()


@dataclass(frozen=True)
class Bool:
    value: bool
    span: Span = _span()


@dataclass(frozen=True)
class String:
    value: str
    span: Span = _span()


@dataclass(frozen=True)
class NoneLiteral:
    span: Span = _span()


@dataclass(frozen=True)
class StepTime:
    """The step count ``t``, from 1."""

    span: Span = _span()


@dataclass(frozen=True)
class Gradient:
    """``∇f_t(θ_{t-1})``."""

    span: Span = _span()


@dataclass(frozen=True)
class Unary:
    """``op`` is ``-``, ``not`` or ``transpose``."""

    op: str
    operand: Expr
    span: Span = _span()


@dataclass(frozen=True)
class Binary:
    """``op`` is one of ``+ - * / ^ @ and or`` (``or`` between values is "the left one unless it is none").

    ``*`` stands for juxtaposition, ``·``, ``⊙`` and ``*`` alike.
    """

    op: str
    left: Expr
    right: Expr
    span: Span = _span()


@dataclass(frozen=True)
class Compare:
    """``0 ≤ β < 1``: ``ops[i]`` stands between ``operands[i]`` and ``operands[i + 1]``.

    Each op is one of ``= ≠ < ≤ > ≥ is`` or ``is not`` (these two before ``none``, or before the word ``sparse``, which
    is then a name).
    """

    operands: tuple[Expr, ...]
    ops: tuple[str, ...]
    span: Span = _span()


@dataclass(frozen=True)
class Call:
    """A function of the closed list, or one that the spec defines, applied to arguments.

    ``√x`` is ``sqrt``, ``|x|`` ``abs``, ``‖x‖`` ``norm``, ``‖x‖_∞`` ``norm_inf``, ``⌊x⌋`` ``floor``. ``over`` is
    ``""``, ``rows``, ``cols``, ``all``, ``all but first`` or ``all parameters``. ``parameters`` are the arguments
    after a ``;``.
    """

    function: str
    arguments: tuple[Expr, ...]
    parameters: tuple[Expr, ...] = ()
    over: str = ""
    span: Span = _span()
    name_span: Span = field(default=None, compare=False, repr=False)  # type: ignore[assignment]


@dataclass(frozen=True)
class Case:
    """One line of a brace; ``condition`` is None for ``otherwise``."""

    value: Expr
    condition: Expr | None
    span: Span = _span()


@dataclass(frozen=True)
class Cases:
    """``{ a if c`` over ``{ b otherwise``."""

    cases: tuple[Case, ...]
    span: Span = _span()


@dataclass(frozen=True)
class Running:
    """``∏_{i=1}^{t} μ_i`` (op ``*``) or ``∑_{i=1}^{t} x_i`` (op ``+``): ``body`` is the summand at time now."""

    op: str
    body: Expr
    span: Span = _span()


@dataclass(frozen=True)
class Tuple:
    """``f, g, α``: several values, in a ``return`` or assigned at once. It stands nowhere else."""

    items: tuple[Expr, ...]
    span: Span = _span()


Expr = (
    Name
    | Number
    | Bool
    | String
    | NoneLiteral
    | StepTime
    | Gradient
    | Unary
    | Binary
    | Compare
    | Call
    | Cases
    | Running
    | Tuple
)

# ----------------------------------------------------------------------------------------------------- statements


@dataclass(frozen=True)
class Assign:
    """``targets ← value [where condition]``; several targets take the results of a call, or a :class:`Tuple`."""

    targets: tuple[Name, ...]
    value: Expr
    where: Expr | None = None
    span: Span = _span()


@dataclass(frozen=True)
class Branch:
    condition: Expr
    body: tuple[Stmt, ...]
    span: Span = _span()


@dataclass(frozen=True)
class If:
    branches: tuple[Branch, ...]
    orelse: tuple[Stmt, ...]
    span: Span = _span()


class Loop:
    """A statement that repeats a block: each of the following."""

    body: tuple[Stmt, ...]


@dataclass(frozen=True)
class ForElements(Loop):
    """``for i = 0, 1, …, d-1 do``: the body, element by element."""

    body: tuple[Stmt, ...]
    span: Span = _span()


@dataclass(frozen=True)
class ForSupport(Loop):
    """``for i in support(g_t) do``: the stored entries of a sparse gradient."""

    name: Name
    body: tuple[Stmt, ...]
    span: Span = _span()


@dataclass(frozen=True)
class Repeat(Loop):
    """``repeat k times``; or ``repeat up to k times``, which says that the body may end the loop before."""

    count: Expr
    body: tuple[Stmt, ...]
    span: Span = _span()
    up_to: bool = False


@dataclass(frozen=True)
class ForRange(Loop):
    """``for k = 1 to K do``, or ``for i = last(S) down to first(S) do``: over whole numbers or places of a history."""

    name: Name
    first: Expr
    last: Expr
    body: tuple[Stmt, ...]
    down: bool = False
    span: Span = _span()


@dataclass(frozen=True)
class While(Loop):
    """``while condition do``."""

    condition: Expr
    body: tuple[Stmt, ...]
    span: Span = _span()


@dataclass(frozen=True)
class Break:
    """``break``: go on behind the innermost loop."""

    span: Span = _span()


@dataclass(frozen=True)
class Append:
    """``append y to Y``: a history gets one more entry, and drops its oldest where it is full."""

    value: Expr
    history: Name
    span: Span = _span()


@dataclass(frozen=True)
class Return:
    """``return value``. A ``return`` of an empty :class:`Tuple` ends the step of an optimizer over flat θ."""

    value: Expr
    span: Span = _span()


Stmt = Assign | If | ForElements | ForSupport | ForRange | Repeat | While | Break | Append | Return

# --------------------------------------------------------------------------------------------------- declarations


@dataclass(frozen=True)
class Constraint:
    """``where condition [else "message"]``."""

    condition: Expr
    message: str | None
    span: Span = _span()


@dataclass(frozen=True)
class Input:
    """One line of ``input:``, one constructor argument.

    ``names`` has one symbol, or several that share a tuple argument. ``python_name`` is the name in brackets, or
    None where the symbol itself serves (``amsgrad``, or a torch flag such as ``maximize``). ``defaults`` has one
    expression per name (None: no default written). ``choices`` are the strings of ``∈ {…}``. ``fixed`` is true for
    ``:=``. ``keyword_only`` is true after a lone ``*``. ``doc`` is the text after ``--``.
    """

    names: tuple[Name, ...]
    python_name: str | None
    defaults: tuple[Expr, ...] | None
    constraints: tuple[Constraint, ...] = ()
    choices: tuple[str, ...] = ()
    fixed: bool = False
    keyword_only: bool = False
    doc: str = ""
    span: Span = _span()
    python_name_span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class State:
    """One line of ``initialize:``: ``v_0^max ← 0 (max_exp_avg_sq) if amsgrad``.

    ``value`` is None for a state that is absent until it is first assigned. ``key`` is what ``state_dict`` shows
    (None where not written). ``condition`` is the flag under which the state exists (``otherwise``, after a state with
    condition ``c``, is ``not c``). ``eager`` is true after ``at construction``. ``t ← 0 (step)`` declares the step
    count: its name's symbol is ``t``. ``shape`` is the expression after a ``:``, whose shape the state has where it is
    not θ's.
    """

    name: Name
    value: Expr | None
    key: str | None
    condition: Expr | None = None
    eager: bool = False
    span: Span = _span()
    key_span: Span | None = field(default=None, compare=False, repr=False)
    shape: Expr | None = None


@dataclass(frozen=True)
class Import:
    """``import NAME from file``."""

    name: str
    file: str
    span: Span = _span()


@dataclass(frozen=True)
class Function:
    name: str
    arguments: tuple[Name, ...]
    parameters: tuple[Name, ...]
    doc: str
    body: tuple[Stmt, ...]
    span: Span = _span()


@dataclass(frozen=True)
class Edit:
    """A change to a step: ``replace m̂_t:``, ``before v̂_t (2):``, ``after m_t:``, ``gradient g_t:`` or ``update u_t:``.

    ``place`` is the first word. After ``replace``, ``before`` and ``after`` stands a ``name`` that the step assigns,
    and ``occurrence`` tells which of several assignments is meant, from 1. After ``gradient`` and ``update`` stands
    the name that ``body`` gives to the gradient and to what is subtracted from θ.
    """

    place: str
    name: Name
    occurrence: int | None
    body: tuple[Stmt, ...]
    span: Span = _span()


@dataclass(frozen=True)
class Application:
    """``cautious`` or ``decoupled_decay(γ, λ)`` after ``with``: a transform that an optimizer applies."""

    transform: str
    arguments: tuple[Expr, ...]
    span: Span = _span()
    name_span: Span = field(default=None, compare=False, repr=False)  # type: ignore[assignment]


@dataclass(frozen=True)
class Transform:
    """``transform NAME(arguments):``, a change to the step of any optimizer. Its edits are gradients and updates."""

    name: str
    arguments: tuple[Name, ...]
    doc: str
    inputs: tuple[Input, ...]
    states: tuple[State, ...]
    edits: tuple[Edit, ...]
    span: Span = _span()
    name_span: Span = field(default=None, compare=False, repr=False)  # type: ignore[assignment]


@dataclass(frozen=True)
class Optimizer:
    """``optimizer NAME [extends BASE] [with TRANSFORMS] [over flat θ]:``. ``body`` is the step; empty where it is
    inherited, and then ``edits`` are the changes to it. ``each_step``: its header is ``for each step do``.
    """

    name: str
    base: str | None
    doc: str
    inputs: tuple[Input, ...]
    states: tuple[State, ...]
    body: tuple[Stmt, ...]
    returns: Expr | None
    flat: bool = False
    span: Span = _span()
    name_span: Span = field(default=None, compare=False, repr=False)  # type: ignore[assignment]
    base_span: Span | None = field(default=None, compare=False, repr=False)
    edits: tuple[Edit, ...] = ()
    applies: tuple[Application, ...] = ()
    each_step: bool = False


@dataclass(frozen=True)
class Module:
    """One ``.opt`` file."""

    imports: tuple[Import, ...]
    functions: tuple[Function, ...]
    optimizers: tuple[Optimizer, ...]
    span: Span = _span()
    transforms: tuple[Transform, ...] = ()
