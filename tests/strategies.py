"""Hypothesis strategies: optimizers drawn at random, as IR programs.

:func:`programs` draws well-typed :class:`~optdsl.ir.nodes.Program` values that use everything the IR has: tensor and
scalar states, states that are absent or switched off, flags and choices, nested branches with merges, per-element
selects, aliases, versions read after newer ones were assigned, and every operation.

:func:`cases` adds hyperparameters, a parameter and gradients, and keeps the runs that are worth comparing: finite, and
*stable*, that is, hardly moved by rounding. (Two correct ways of computing ``sign(a b c - c b a)`` differ wildly.)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from hypothesis import strategies as st

from optdsl.ir import interpret
from optdsl.ir.nodes import (
    FULL,
    PER_COLUMN,
    PER_FIRST,
    PER_ROW,
    REDUCTIONS,
    Argument,
    Block,
    Const,
    DType,
    Expr,
    Grad,
    Hyper,
    If,
    Let,
    Merge,
    Op,
    Param,
    ParamFact,
    Present,
    Program,
    Rate,
    Ref,
    Scalar,
    Shape,
    State,
    StateValue,
    Stmt,
    Time,
    add,
    children,
    div,
    mul,
    power,
    statements,
    sub,
    walk,
    with_children,
)
from optdsl.ir.printer import program_text

MAX_STEPS = 4
LIMIT = 1e4
"""No named value is larger in the first step, as far as bounds of its operands tell."""

SMALL = (0, 0.1, 0.5, 1, 1.5)
REAL_HYPERS = {
    "lr": (0.1, 0, 0.01, 1),
    "beta1": (0.9, 0, 0.5),
    "beta2": (0.5, 0, 0.9),
    "weight_decay": (0, 0.1, 1),
    "momentum": (0.9, 0, 0.5),
    "eps": (1e-3, 0.1, 1),
}
"""Values to draw for each number; the first is its default."""
DECAY_RATES = ("beta1", "beta2", "momentum")
FLAG_HYPERS = ("amsgrad", "nesterov")
CHOICE_HYPER, CHOICES = "mode", ("soft", "hard")

TENSOR_STATES = ("exp_avg", "exp_avg_sq", "momentum_buffer")
SCALAR_STATES = ("eta", "mu_product")
TENSOR_LOCALS = ("u", "denom", "m_hat")
SCALAR_LOCALS = ("rho", "alpha")
FLAG_LOCALS = ("large",)
STATE_BOUND = 10.0
STATISTICS = {"row_var": PER_ROW, "col_var": PER_COLUMN, "output_var": PER_FIRST}
"""States of small shape."""
NUMBER_STATE, NUMBER_LOCAL = "norm_avg", "trust"
"""What may hold a number that follows from tensors."""
MOST_ELEMENTS = 24
"""Of a parameter."""
FOLDS = ("sum", "mean", "norm", "rms", "amax", "amin")

SYMBOLS = {
    "lr": "γ",
    "beta1": "β₁",
    "beta2": "β₂",
    "weight_decay": "λ",
    "momentum": "μ",
    "eps": "ε",
    "exp_avg": "m",
    "exp_avg_sq": "v",
    "momentum_buffer": "b",
    "eta": "η",
    "mu_product": "P",
    "row_var": "R",
    "col_var": "C",
    "output_var": "O",
    "norm_avg": "N",
}

COMPARISONS = ("lt", "le", "gt", "ge", "eq", "ne")
ARITHMETIC = ("add", "sub", "mul", "div", "pow", "sqrt", "exp", "log", "float32", "matmul", *REDUCTIONS)
"""Operations whose result is rounded."""


def call(op: str, *args: Expr) -> Op:
    return Op(op, args)


ONE = Const(1)


RAW_GRADIENT, NEGATED, GRADIENT = (Ref(f"grad.{version}", Grad().type) for version in range(3))
MAXIMIZE = (
    Let(RAW_GRADIENT.name, Grad()),
    If(
        Hyper("maximize", DType.BOOL),
        (Let(NEGATED.name, call("neg", RAW_GRADIENT)),),
        (),
        (Merge(GRADIENT.name, NEGATED, RAW_GRADIENT),),
    ),
)
"""How the body of every program begins."""


@dataclass
class Scope:
    """What a statement may read.

    ``current`` maps an identifier to its newest value; ``visible`` holds every name, old versions too. ``available``
    are the states whose condition holds here; ``present`` those of them that surely have a value. ``settled`` are the
    states that have one wherever their condition holds, ``tested`` those of which a branch around here has asked
    whether they are present. ``masked`` is true under a condition per element.
    """

    current: dict[str, Expr]
    visible: list[Expr]
    available: frozenset[str]
    present: frozenset[str]
    settled: frozenset[str] = frozenset()
    tested: frozenset[str] = frozenset()
    masked: bool = False

    def copy(self) -> Scope:
        return replace(self, current=dict(self.current), visible=list(self.visible))


@dataclass
class _Builder:
    """Draws the body of one program. ``bounds`` holds what no value of a name exceeds in magnitude (about).

    ``spelled``: draw only what a spec can say. It reads the newest value of a name, and does not go back to ``x_{t-1}``
    in a statement that updates ``x_t`` once more (``lost`` is that value while such a statement is drawn). It can
    branch per element, which is an ``If`` here that :func:`without_masks` resolves.
    """

    draw: st.DrawFn
    states: tuple[State, ...]
    spelled: bool = False
    beyond: bool = False
    """Whether reductions, statistics per row and column, matrix products and facts about θ are drawn."""
    lost: Expr | None = None
    versions: Counter = field(default_factory=Counter)
    bounds: dict[Expr, float] = field(default_factory=dict)

    # ------------------------------------------------------------------------------------------------ expressions

    def choose(self, *options):
        return self.draw(st.sampled_from(options))

    def integer(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))

    def bound(self, atom: Expr) -> float:
        match atom:
            case Const(value):
                return abs(value)
            case Hyper():
                return 2.0
            case Time():
                return float(MAX_STEPS)
            case Ref():
                return self.bounds[atom]
        return STATE_BOUND

    def atoms(self, scope: Scope, rate: Rate) -> list[Expr]:
        """What may be read whose rate is just ``rate``."""
        found: list[Expr] = []
        if rate is Rate.GROUP:
            found += [Hyper(name) for name in REAL_HYPERS]
        if rate is Rate.STEP:
            found += [Time()]
        if rate is Rate.ELEMENT:
            found += [Param()]
        found += [
            self.state_value(s.key)
            for s in self.states
            if s.rate is rate and s.key in scope.available and self.readable_at_start(s.key, scope)
        ]
        found += [v for v in self.names(scope) if v.type.rate is rate and v.type.dtype is DType.REAL]
        if rate is Rate.GROUP and self.beyond:
            found += [ParamFact(name) for name in ("dim", "rows", "cols", "numel")]
        return [atom for atom in found if atom != self.lost and atom.type.shape == FULL]

    def statistic(self, scope: Scope, shape: Shape, depth: int) -> tuple[Expr, float]:
        """Values per row, per column or per index of the first dimension."""
        read: list[Expr] = [StateValue(s.key, s.rate, s.shape) for s in self.states if s.shape == shape]
        read += [v for v in self.names(scope) if v.type.shape == shape]
        read = [v for v in read if v != self.lost]
        if read and self.choose(True, False):
            value = self.choose(*read)
            return value, self.bound(value)
        over = {PER_ROW: "cols", PER_COLUMN: "rows", PER_FIRST: "rest"}[shape]
        x, a = self.real(scope, Rate.ELEMENT, depth)
        if not x.type.is_tensor:
            x, a = add(x, Param() if self.lost != Param() else scope.current["param"]), a + STATE_BOUND
        if self.choose(True, False):
            x, a = power(x, Const(2)), a * a
        fold = self.choose(*FOLDS)
        return call(f"{fold}_{over}", x), a * MOST_ELEMENTS if fold in ("sum", "norm") else a

    def tensor(self, scope: Scope, depth: int) -> tuple[Expr, float]:
        """A tensor shaped like θ that is made of more than its own elements."""
        x, a = self.real(scope, Rate.ELEMENT, depth)
        if not x.type.is_tensor:
            x, a = add(x, Param() if self.lost != Param() else scope.current["param"]), a + STATE_BOUND
        kind = self.choose("centred", "scaled", "outer", "product", "rounded")
        if kind == "outer":
            (r, b), (c, d) = self.statistic(scope, PER_ROW, depth - 1), self.statistic(scope, PER_COLUMN, depth - 1)
            return call("matmul", r, c), b * d
        if kind == "product":
            gram = call("matmul", x, call("transpose", x))
            return call("matmul", gram, x), (a * MOST_ELEMENTS) ** 2 * a
        if kind == "rounded":
            return call("float32", x), a
        s, b = self.statistic(scope, self.choose(PER_ROW, PER_COLUMN, PER_FIRST), depth - 1)
        if kind == "centred":
            return sub(x, s), a + b
        return div(x, add(ONE, call("abs", s))), a

    def names(self, scope: Scope) -> list[Expr]:
        """Every name that may be read."""
        newest = set(scope.current.values())
        return [v for v in scope.visible if not self.spelled or v in newest]

    def readable_at_start(self, key: str, scope: Scope) -> bool:
        """Whether ``x_{t-1}`` of state ``key`` surely has a value."""
        state = next(s for s in self.states if s.key == key)
        return state.initial is not None or Present(key) in scope.visible

    def atom(self, scope: Scope, rate: Rate) -> Expr:
        """Something of at most ``rate``, most often of just that."""
        rates = [r for r in Rate if r <= rate]
        for r in [self.choose(*reversed(rates), rate, rate), *reversed(rates)]:
            options = [Const(v) for v in SMALL] if r is Rate.CONSTANT else self.atoms(scope, r)
            if options:
                return self.choose(*reversed(options))
        raise AssertionError("constants are always there")

    def real(self, scope: Scope, rate: Rate, depth: int) -> tuple[Expr, float]:
        """A number of at most ``rate``, and its bound."""
        if depth <= 0:
            atom = self.atom(scope, rate)
            return atom, self.bound(atom)
        kinds = ["atom", "sum", "product", "average", "ratio", "power", "root", "extremum", "sign", "smooth", "select"]
        kinds += ["correction"] if rate >= Rate.STEP else []
        kinds += ["reduced"] * 2 if rate >= Rate.TENSOR and self.beyond else []
        kinds += ["tensor"] * 2 if rate is Rate.ELEMENT and self.beyond else []
        kind = self.choose(*kinds)
        if kind == "tensor":
            return self.tensor(scope, depth - 1)
        if kind == "reduced":
            return self.reduced(scope, depth - 1)
        if kind == "atom":
            return self.real(scope, rate, 0)
        x, a = self.real(scope, rate, depth - 1)
        if kind == "sum":
            y, b = self.real(scope, rate, depth - 1)
            return self.choose(add, sub)(x, y), a + b
        if kind == "product":
            y, b = self.real(scope, rate, depth - 1)
            return mul(x, y), a * b
        if kind == "average":
            y, b = self.real(scope, rate, depth - 1)
            decay = Hyper(self.choose(*DECAY_RATES))
            return add(mul(decay, y), mul(sub(ONE, decay), x)), a + b
        if kind == "ratio":
            y, _ = self.real(scope, rate, depth - 1)
            if self.choose(True, False):
                return div(x, add(ONE, call("abs", y))), a
            return div(x, add(call("sqrt", call("abs", y)), Hyper("eps"))), a * 1e3
        if kind == "power":
            if self.choose(True, False):
                exponent = self.choose(2, 3)
                return power(x, Const(exponent)), a**exponent
            y, _ = self.real(scope, rate, depth - 1)
            clamped = call("min", call("max", y, Const(-1)), Const(2))
            return power(add(call("abs", x), Const(0.5)), clamped), (a + 1) ** 2 + 2
        if kind == "root":
            return call("sqrt", add(call("abs", x), self.choose(Const(0), Hyper("eps")))), a + 3
        if kind == "extremum":
            y, b = self.real(scope, rate, depth - 1)
            return call(self.choose("max", "min"), x, y), max(a, b)
        if kind == "sign":
            return call(self.choose("neg", "abs", "sign", "floor"), x), a + 1
        if kind == "smooth":
            if self.choose(True, False):
                return call("exp", call("min", x, ONE)), 3.0
            return call("log", add(call("abs", x), Const(0.1))), a + 3
        if kind == "select":
            y, b = self.real(scope, rate, depth - 1)
            return call("select", self.condition(scope, rate, 1), x, y), max(a, b)
        assert kind == "correction"
        return div(x, sub(ONE, power(Hyper(self.choose(*DECAY_RATES)), Time()))), a * 10

    def reduced(self, scope: Scope, depth: int) -> tuple[Expr, float]:
        """A number made from a tensor."""
        x, a = self.real(scope, Rate.ELEMENT, depth)
        if not x.type.is_tensor:
            x, a = add(x, Param() if self.lost != Param() else scope.current["param"]), a + STATE_BOUND
        fold = self.choose(*FOLDS)
        return call(f"{fold}_all", x), a * MOST_ELEMENTS if fold in ("sum", "norm") else a

    def condition(self, scope: Scope, rate: Rate, depth: int) -> Expr:
        """A truth value of at most ``rate`` and at least ``GROUP``."""
        kinds = ["flag", "hyper", "choice"]
        kinds += ["time", "scalar"] if rate >= Rate.STEP else []
        kinds += ["fact"] * 3 if self.beyond else []
        kinds += ["reduced"] * 2 if rate >= Rate.TENSOR and self.beyond else []
        kinds += ["element"] * 4 if rate >= Rate.ELEMENT else []
        kinds += ["name"] if self.flags(scope, rate) else []
        kinds += ["not", "and", "or"] if depth else []
        kind = self.choose(*kinds)
        comparison = self.choose(*COMPARISONS)
        match kind:
            case "flag":
                return Hyper(self.choose(*FLAG_HYPERS), DType.BOOL)
            case "hyper":
                return call(comparison, Hyper(self.choose(*REAL_HYPERS)), Const(self.choose(*SMALL)))
            case "choice":
                return call(self.choose("eq", "ne"), Hyper(CHOICE_HYPER, DType.CHOICE), Const(self.choose(*CHOICES)))
            case "fact":
                return call(comparison, ParamFact(self.choose("dim", "rows", "cols")), Const(self.integer(1, 3)))
            case "reduced":
                return call(comparison, self.reduced(scope, 1)[0], Const(self.choose(*SMALL)))
            case "time":
                return call(comparison, Time(), Const(self.integer(1, MAX_STEPS)))
            case "scalar":
                return call(comparison, self.choose(*self.atoms(scope, Rate.STEP)), self.real(scope, Rate.STEP, 1)[0])
            case "element":
                return call(comparison, self.choose(*self.atoms(scope, Rate.ELEMENT)), self.real(scope, rate, 1)[0])
            case "name":
                return self.choose(*self.flags(scope, rate))
            case "not":
                return call("not", self.condition(scope, rate, depth - 1))
        return call(kind, self.condition(scope, rate, depth - 1), self.condition(scope, rate, depth - 1))

    def flags(self, scope: Scope, rate: Rate) -> list[Expr]:
        named = [v for v in self.names(scope) if v.type.dtype is DType.BOOL]
        if not self.spelled:
            named += [Present(s.key) for s in self.states if s.initial is None and s.key in scope.available]
        return [v for v in dict.fromkeys(named) if v.type.rate <= rate]

    # ------------------------------------------------------------------------------------------------- statements

    def fresh(self, identifier: str) -> str:
        self.versions[identifier] += 1
        return f"{identifier}.{self.versions[identifier]}"

    def let(self, scope: Scope, identifier: str, value: Expr, bound: float = 1.0) -> Let:
        """Give ``value`` a name, squashed into (-1, 1) where it might be too large."""
        if bound > LIMIT:
            value, bound = div(value, add(ONE, call("abs", value))), 1.0
        is_state = identifier == "param" or any(s.key == identifier for s in self.states)
        stmt = Let(self.fresh(identifier), value, state=identifier if is_state else None)
        self.assigned(scope, identifier, stmt.ref, bound)
        return stmt

    def assigned(self, scope: Scope, identifier: str, ref: Ref, bound: float) -> None:
        self.bounds[ref] = bound
        scope.current[identifier] = ref
        scope.visible.append(ref)

    def local(self, scope: Scope, depth: int) -> Let:
        if self.beyond and self.choose(True, False, False):
            return self.let(scope, NUMBER_LOCAL, *self.real(scope, Rate.TENSOR, self.integer(1, 3)))
        tensor = self.choose(True, True, False)
        identifier = self.choose(*(TENSOR_LOCALS if tensor else SCALAR_LOCALS))
        return self.let(scope, identifier, *self.real(scope, Rate.ELEMENT if tensor else Rate.STEP, self.integer(0, 3)))

    def flag(self, scope: Scope, depth: int) -> Let:
        rate = self.choose(Rate.ELEMENT, Rate.STEP)
        return self.let(scope, self.choose(*FLAG_LOCALS), self.condition(scope, rate, 1))

    def gradient(self, scope: Scope, depth: int) -> Let:
        return self.let(scope, "grad", *self.real(scope, Rate.ELEMENT, self.integer(0, 2)))

    def parameter(self, scope: Scope, depth: int) -> Let:
        self.begin_update(scope, "param")
        update, bound = self.real(scope, Rate.ELEMENT, self.integer(0, 3))
        self.lost = None
        if bound > LIMIT:
            update, bound = div(update, add(ONE, call("abs", update))), 1.0
        return self.let(scope, "param", sub(scope.current["param"], mul(Hyper("lr"), update)), bound + STATE_BOUND)

    def state(self, scope: Scope, depth: int) -> Let:
        key = self.choose(*sorted(scope.available))
        return self.assign_state(scope, key, self.integer(0, 3))

    def assign_state(self, scope: Scope, key: str, depth: int) -> Let:
        self.begin_update(scope, key)
        if key in STATISTICS:
            value, bound = self.statistic(scope, STATISTICS[key], depth)
        elif key == NUMBER_STATE:
            value, bound = self.reduced(scope, depth)
        else:
            value, bound = self.real(scope, self.rate(key), depth)
        shaped_as_param = self.rate(key) is Rate.ELEMENT and key not in STATISTICS
        if self.spelled and shaped_as_param and not {Param(), GRADIENT} & {*_elements(value)}:
            # in a spec a state is a tensor because it is assigned one that is not made from itself alone
            value, bound = add(value, Param()), bound + STATE_BOUND
        self.lost = None
        scope.present |= {key}
        return self.let(scope, key, value, bound)

    def rate(self, key: str) -> Rate:
        return next(s.rate for s in self.states if s.key == key)

    def begin_update(self, scope: Scope, identifier: str) -> None:
        """From here on a value for ``identifier`` is drawn."""
        if self.spelled and isinstance(scope.current[identifier], Ref):
            self.lost = Param() if identifier == "param" else self.state_value(identifier)

    def state_value(self, key: str) -> StateValue:
        return next(StateValue(s.key, s.rate, s.shape) for s in self.states if s.key == key)

    def branch(self, scope: Scope, depth: int) -> If:
        return self.if_(scope, self.condition(scope, Rate.STEP, 1), scope.copy(), scope.copy(), depth - 1)

    def guarded(self, scope: Scope, depth: int) -> If:
        """A branch in which a state that has a condition exists."""
        state = self.choose(*self.switched_off(scope))
        return self.guard(scope, state, depth - 1)

    def guard(self, scope: Scope, state: State, depth: int, assign: str = "") -> If:
        then, key = scope.copy(), state.key
        then.available |= {key}
        if state.initial is not None or (key in scope.settled and not self.spelled):
            then.present |= {key}
            then.visible += [scope.current[key]] if isinstance(scope.current[key], Ref) else []
        stmt = self.if_(scope, state.condition, then, scope.copy(), depth, [assign, ""])
        scope.settled |= {key} & then.present
        return stmt

    def elements(self, scope: Scope, depth: int) -> If:
        """A branch per element, in which tensors alone are assigned."""
        condition = self.condition(scope, Rate.ELEMENT, 1)
        sides = scope.copy(), scope.copy()
        for side in sides:
            side.masked = True
            side.available &= {k for k in scope.present if self.rate(k) is Rate.ELEMENT and k not in STATISTICS}
        return self.if_(scope, condition, *sides, depth - 1)

    def presence(self, scope: Scope, depth: int) -> If:
        """``if t > 1``: a branch in which a state without initial value has one."""
        return self.first_or_later(scope, self.choose(*self.uncertain(scope)), depth - 1)

    def first_or_later(self, scope: Scope, key: str, depth: int) -> If:
        then, orelse = scope.copy(), scope.copy()
        then.tested = orelse.tested = scope.tested | {key}
        then.present |= {key}
        then.visible.append(Present(key))
        return self.if_(scope, Present(key), then, orelse, depth, [key, key])

    def switched_off(self, scope: Scope) -> list[State]:
        return [s for s in self.states if s.key not in scope.available]

    def uncertain(self, scope: Scope) -> list[str]:
        candidates = scope.available - scope.present - scope.tested
        return sorted(k for k in candidates if isinstance(scope.current[k], StateValue))

    def if_(
        self, scope: Scope, condition: Expr, then: Scope, orelse: Scope, depth: int, assign: Sequence[str] = ("", "")
    ) -> If:
        """An ``If`` over blocks drawn in ``then`` and ``orelse``; ``scope`` becomes what holds after it.

        ``assign`` has a state for each block to which it gives a value, if any.
        """
        blocks = []
        for side, least, key in zip((then, orelse), (1, 0), assign, strict=True):
            block = self.block(side, depth, least)
            if key and key not in _assigned_by(block):
                block += self.surely(side, key)
            blocks.append(block)
        merges = []
        for identifier in [*then.current, *(i for i in orelse.current if i not in then.current)]:
            sides = then.current.get(identifier), orelse.current.get(identifier)
            if None in sides or sides[0] == sides[1]:
                continue
            merge = Merge(self.fresh(identifier), *sides, state=self.state_name(identifier))
            merges.append(merge)
            rate = max(merge.ref.type.rate, condition.type.rate)
            ref = Ref(merge.name, replace(merge.ref.type, rate=rate))
            self.bounds[ref] = max(map(self.bound, sides))
            scope.current[identifier] = ref
            if self.state_name(identifier) in (None, "param") or identifier in then.present & orelse.present:
                scope.visible.append(ref)
        scope.present |= then.present & orelse.present & scope.available
        scope.settled = then.settled & orelse.settled
        return If(condition, *blocks, tuple(merges))

    def surely(self, scope: Scope, key: str) -> Block:
        """An assignment to a state, under the conditions that it has."""
        state = next(s for s in self.states if s.key == key)
        if key not in scope.available:
            return (self.guard(scope, state, 0, key),)
        if key in self.uncertain(scope):
            return (self.first_or_later(scope, key, 0),)
        return (self.assign_state(scope, key, self.integer(0, 2)),)

    def state_name(self, identifier: str) -> str | None:
        return identifier if identifier == "param" or any(s.key == identifier for s in self.states) else None

    def block(self, scope: Scope, depth: int, least: int = 0) -> Block:
        """Some statements, with branches nested at most ``depth`` deep."""
        body: list[Stmt] = []
        for _ in range(self.integer(least, 3)):
            kinds = [self.local, self.local, self.parameter, self.gradient, self.flag]
            kinds += [self.state] * 3 if scope.available else []
            if depth:
                kinds += [self.branch] * 2
                kinds += [self.elements] * 2 if self.spelled else []
            if depth and not scope.masked:
                kinds += [self.guarded] * 2 if self.switched_off(scope) else []
                kinds += [self.presence] * 3 if self.uncertain(scope) else []
            body.append(self.choose(*kinds)(scope, depth))
        return tuple(body)


@st.composite
def states(draw: st.DrawFn, beyond: bool = False) -> tuple[State, ...]:
    """One to three tensor states, up to two scalar ones; some under a condition, some without initial value.

    ``beyond``: also states of small shape, and one that is a number made from tensors.
    """
    conditions = (
        None,
        Hyper("amsgrad", DType.BOOL),
        call("ne", Hyper("momentum"), Const(0)),
        call("and", Hyper("nesterov", DType.BOOL), call("gt", Hyper("weight_decay"), Const(0))),
    )
    initials = (Const(0), None, Const(1.5), None, Hyper("lr"), Param())
    tensors = [
        State(key, SYMBOLS[key], Rate.ELEMENT, draw(st.sampled_from(initials)), draw(st.sampled_from(conditions)))
        for key in TENSOR_STATES[: draw(st.integers(1, 3))]
    ]
    scalars = [
        State(key, SYMBOLS[key], Rate.STEP, draw(st.sampled_from((ONE, Const(0), Hyper("lr")))))
        for key in SCALAR_STATES[: draw(st.integers(0, 2))]
    ]
    if not beyond:
        return (*tensors, *scalars)
    small = [
        State(key, SYMBOLS[key], Rate.ELEMENT, Const(draw(st.sampled_from((0, 1)))), shape=shape)
        for key, shape in STATISTICS.items()
        if draw(st.booleans())
    ]
    numbers = [State(NUMBER_STATE, SYMBOLS[NUMBER_STATE], Rate.TENSOR, ONE)] if draw(st.booleans()) else []
    return (*tensors, *scalars, *small, *numbers)


def _elements(value: Expr) -> Iterator[Expr]:
    """What makes ``value`` a tensor: all that it reads but for what is reduced to a number."""
    yield value
    if value.type.is_tensor:
        for child in children(value):
            yield from _elements(child)


def _assigned_by(block: Block) -> set[str | None]:
    """The states that ``block`` itself gives a new value."""
    assignments = (stmt.merges if isinstance(stmt, If) else (stmt,) for stmt in block)
    return {assignment.state for group in assignments for assignment in group}


@st.composite
def programs(draw: st.DrawFn, spelled: bool = False, beyond: bool = False) -> Program:
    """A well-typed program. Its hyperparameters are those that it reads.

    ``beyond``: one that is not elementwise.

    ``spelled``: one that :func:`tests.specs.spec` can write down; it assigns every state, and may hold an ``If`` per
    element.
    """
    build = _Builder(draw, draw(states(beyond)), spelled, beyond, versions=Counter({"grad": 2}))
    build.bounds[GRADIENT] = STATE_BOUND
    always = frozenset(s.key for s in build.states if s.condition is None)
    scope = Scope(
        current={"grad": GRADIENT, "param": Param(), **{s.key: build.state_value(s.key) for s in build.states}},
        visible=[GRADIENT],
        available=always,
        present=frozenset(s.key for s in build.states if s.key in always and s.initial is not None),
    )
    body = (*MAXIMIZE, *build.block(scope, depth=2))
    if spelled:
        body += tuple(stmt for s in build.states for stmt in build.surely(scope, s.key))
    body += (*build.block(scope, depth=1), build.parameter(scope, 0))
    return Program(
        name="Drawn",
        doc="",
        arguments=_arguments(body, build.states),
        checks=(),
        states=build.states,
        body=body,
        param=scope.current["param"],
        new_states=tuple((s.key, scope.current[s.key]) for s in build.states),
        counts_steps=any(isinstance(e, Time) for e in _expressions(body)),
    )


def without_masks(program: Program) -> Program:
    """``program`` with every branch per element as ``select``s."""

    def block(stmts: Block) -> Block:
        flat: list[Stmt] = []
        for s in stmts:
            if isinstance(s, If):
                s = replace(s, then=block(s.then), orelse=block(s.orelse))
            if isinstance(s, If) and s.condition.type.rate >= Rate.TENSOR:
                flat += [*s.then, *s.orelse]
                flat += [Let(m.name, call("select", s.condition, m.then, m.orelse), m.state) for m in s.merges]
            else:
                flat.append(s)
        return tuple(flat)

    return program.with_body(block(program.body))


def _expressions(body: Block):
    for stmt in statements(body):
        yield from walk(stmt.value if isinstance(stmt, Let) else stmt.condition)


def _arguments(body: Block, states: tuple[State, ...]) -> tuple[Argument, ...]:
    read = set(_expressions(body))
    for state in states:
        read |= {e for part in (state.initial, state.condition) if part is not None for e in walk(part)}
    numbers = [Argument(n, (Scalar(n, SYMBOLS[n], Const(v[0])),)) for n, v in REAL_HYPERS.items() if Hyper(n) in read]
    flags = [
        Argument(n, (Scalar(n, n, Const(False), DType.BOOL),)) for n in FLAG_HYPERS if Hyper(n, DType.BOOL) in read
    ]
    choices = [
        Argument(n, (Scalar(n, n, Const(None), DType.CHOICE),), choices=CHOICES, optional=True)
        for n in (CHOICE_HYPER,)
        if Hyper(n, DType.CHOICE) in read
    ]
    return (*numbers, *flags, *choices)


# ------------------------------------------------------------------------------------------------------------- cases


@dataclass(frozen=True, repr=False)
class Case:
    """A program and something to run it on."""

    program: Program
    hypers: dict[str, object]
    param: np.ndarray
    grads: tuple[np.ndarray, ...]

    def __repr__(self) -> str:
        return f"Case({program_text(self.program)}\n{self.hypers}\nparam = {self.param}\ngrads = {self.grads})"

    def _repr_pretty_(self, printer, cycle: bool) -> None:
        printer.text(repr(self))

    def run(self, program: Program | None = None) -> list[tuple[np.ndarray, dict[str, np.ndarray]]]:
        """The interpreter's trajectory of ``program`` (this case's own unless given)."""
        return interpret.run(program or self.program, self.hypers, self.param, self.grads)


@st.composite
def hypers_of(draw: st.DrawFn, program: Program) -> dict[str, object]:
    """A value for every hyperparameter of a drawn program, and for ``maximize``."""
    values: dict[str, object] = {"maximize": draw(st.booleans())}
    for scalar in program.scalars:
        if scalar.dtype is DType.BOOL:
            values[scalar.name] = draw(st.booleans())
        elif scalar.dtype is DType.CHOICE:
            values[scalar.name] = draw(st.sampled_from((None, *CHOICES)))
        else:
            values[scalar.name] = draw(st.sampled_from(REAL_HYPERS[scalar.name]))
    return values


SHAPES = ((3,), (), (1,), (2, 5), (17,), (0,))
MATRICES = ((2, 3), (3, 2), (4, 4), (1, 5), (3, 1), (2, 3, 4))


def arrays(seed: int, shape: tuple[int, ...], count: int) -> list[np.ndarray]:
    """``count`` arrays of about normal numbers below 3 in magnitude, with some zeros among them."""
    rng = np.random.default_rng(seed)
    drawn = np.clip(rng.normal(size=(count, *shape)), -3, 3)
    return list(np.where(rng.random(size=drawn.shape) < 0.1, 0.0, drawn))


@st.composite
def unfiltered_cases(draw: st.DrawFn, drawn: st.SearchStrategy[Program]) -> Case:
    program = draw(drawn)
    hypers = draw(hypers_of(program))
    steps = draw(st.integers(1, MAX_STEPS))
    shapes = (*SHAPES, *MATRICES)
    if any(isinstance(e, Op) and e.op in ("matmul", "transpose") for e in _expressions(program.body)):
        shapes = MATRICES
    param, *grads = arrays(draw(st.integers(0, 99)), draw(st.sampled_from(shapes)), steps + 1)
    return Case(program, hypers, param, tuple(grads))


def cases(beyond: bool = False) -> st.SearchStrategy[Case]:
    """Programs with data on which every correct way of computing them gives nearly the same."""
    return unfiltered_cases(programs(beyond=beyond)).filter(is_stable)


NOISE = 1e-12


def perturbed(program: Program, seed: int) -> Program:
    """``program`` with every result that is rounded multiplied by a constant that is nearly one."""
    rng = np.random.default_rng(seed)

    def expr(e: Expr) -> Expr:
        e = with_children(e, tuple(map(expr, e.args))) if isinstance(e, Op) else e
        if isinstance(e, Op) and e.op in ARITHMETIC:
            return mul(e, Const(1 + NOISE * rng.uniform(-1, 1)))
        return e

    def block(stmts: Block) -> Block:
        return tuple(
            replace(s, value=expr(s.value))
            if isinstance(s, Let)
            else replace(s, condition=expr(s.condition), then=block(s.then), orelse=block(s.orelse))
            for s in stmts
        )

    return program.with_body(block(program.body))


def is_stable(case: Case) -> bool:
    """Whether results are finite, moderate, and move little when every operation is a little wrong."""
    plain = case.run()
    for param, state in plain:
        if not all(np.isfinite(x).all() and (abs(x) < 1e8).all() for x in (param, *state.values())):
            return False
    scalars = {s.key for s in case.program.scalar_states}
    for seed in (0, 1):
        for (p, s), (q, r) in zip(plain, case.run(perturbed(case.program, seed)), strict=True):
            close = np.allclose(p, q, rtol=1e-6 if scalars else 1e-9, atol=1e-9)
            if not close or set(s) != set(r):
                return False
            if not all(np.allclose(s[k], r[k], rtol=1e-6 if scalars else 1e-9, atol=1e-9) for k in s):
                return False
    return True
