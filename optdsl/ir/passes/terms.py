"""Tensor expressions as sums of scaled products: ``Σ cᵢ · (Π numeratorᵢ) / (Π denominatorᵢ)``.

In this form a scalar factor stands in one place however the spec wrote it, so it can be folded into the scalar
argument of a fused operation, and ``addcmul``, ``addcdiv``, ``lerp`` are recognised by looking at terms. ``to_sum`` and
``to_expr`` go there and back; ``canonical`` does both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from optdsl.ir.nodes import PER_FIRST, Const, DType, Expr, Op, Rate, add, children, div, mul, power, sub, with_children

ONE = Const(1)


@dataclass(frozen=True)
class Coefficient:
    """``± Π numerator / Π denominator``, all scalars."""

    negative: bool = False
    numerator: tuple[Expr, ...] = ()
    denominator: tuple[Expr, ...] = ()

    @property
    def is_one(self) -> bool:
        return not (self.negative or self.numerator or self.denominator)

    def __mul__(self, other: Coefficient) -> Coefficient:
        return Coefficient(
            self.negative != other.negative,
            self.numerator + other.numerator,
            self.denominator + other.denominator,
        )

    def __truediv__(self, other: Coefficient) -> Coefficient:
        return self * Coefficient(other.negative, other.denominator, other.numerator)

    def __neg__(self) -> Coefficient:
        return replace(self, negative=not self.negative)

    @property
    def magnitude(self) -> Expr:
        """The absolute part as one scalar expression."""
        top = _product(self.numerator)
        return div(top, _product(self.denominator)) if self.denominator else top

    @property
    def expr(self) -> Expr:
        return negate(self.magnitude) if self.negative else self.magnitude


def negate(x: Expr) -> Expr:
    match x:
        case Const(int() | float() as value) if not isinstance(value, bool):
            return Const(-value)
        case Op("neg", (y,)):
            return y
        case _:
            return Op("neg", (x,))


def _product(factors: tuple[Expr, ...]) -> Expr:
    result: Expr | None = None
    for f in factors:
        result = f if result is None else mul(result, f)
    return ONE if result is None else result


@dataclass(frozen=True)
class Term:
    """``coefficient · Π numerator / Π denominator``; the factors are tensors."""

    coefficient: Coefficient
    numerator: tuple[Expr, ...] = ()
    denominator: tuple[Expr, ...] = ()

    @property
    def is_scalar(self) -> bool:
        return not (self.numerator or self.denominator)

    def scaled(self, by: Coefficient) -> Term:
        return replace(self, coefficient=self.coefficient * by)

    @property
    def factors(self) -> tuple[tuple[Expr, ...], tuple[Expr, ...]]:
        return self.numerator, self.denominator


Sum = tuple[Term, ...]


def scalar_coefficient(x: Expr) -> Coefficient:
    """A scalar taken apart into sign, factors and divisors."""
    match x:
        case Const(1) | Const(1.0) if not isinstance(x.value, bool):
            return Coefficient()
        case Const(int() | float() as value) if value < 0:
            return -scalar_coefficient(Const(-value))
        case Op("neg", (y,)):
            return -scalar_coefficient(y)
        case Op("mul", (a, b)):
            return scalar_coefficient(a) * scalar_coefficient(b)
        case Op("div", (a, b)):
            return scalar_coefficient(a) / scalar_coefficient(b)
        case _:
            return Coefficient(False, (x,))


def is_tensor(x: Expr) -> bool:
    return x.type.rate is Rate.ELEMENT


def to_sum(x: Expr, nonnegative: Callable[[Expr], bool] = lambda _: False) -> Sum:
    """``x`` as a sum of terms. ``nonnegative`` tells whether a scalar is known to be ≥ 0 (see :mod:`.ranges`).

    Products of sums are not multiplied out: a sum inside a product stays one factor.
    """
    if not is_tensor(x):
        return (Term(scalar_coefficient(x)),)
    match x:
        case Op("add", (a, b)):
            return _collect(to_sum(a, nonnegative) + to_sum(b, nonnegative))
        case Op("sub", (a, b)):
            return _collect(to_sum(a, nonnegative) + tuple(_negated(t) for t in to_sum(b, nonnegative)))
        case Op("neg", (a,)):
            return tuple(_negated(t) for t in to_sum(a, nonnegative))
        case Op("mul", (a, b)):
            left, right = _as_term(a, nonnegative), _as_term(b, nonnegative)
            return (
                Term(
                    left.coefficient * right.coefficient,
                    left.numerator + right.numerator,
                    left.denominator + right.denominator,
                ),
            )
        case Op("div", (a, b)):
            left, right = _as_term(a, nonnegative), _as_term(b, nonnegative)
            return (
                Term(
                    left.coefficient / right.coefficient,
                    left.numerator + right.denominator,
                    left.denominator + right.numerator,
                ),
            )
        case Op("pow", (a, Const(2) | Const(2.0))):
            inner = _as_term(a, nonnegative)
            return (
                Term(
                    inner.coefficient * inner.coefficient,
                    tuple(f for g in inner.numerator for f in (g, g)),
                    tuple(f for g in inner.denominator for f in (g, g)),
                ),
            )
        case Op("sqrt", (a,)):
            inner = _as_term(a, nonnegative)
            outer, rest = _square_root(inner.coefficient, nonnegative)
            radicand = from_term(Term(rest, inner.numerator, inner.denominator))
            return (Term(outer, (Op("sqrt", (radicand,)),)),)
        case Op("matmul", (a, b)):
            left, right = _as_term(a, nonnegative), _as_term(b, nonnegative)
            return (Term(left.coefficient * right.coefficient, (Op("matmul", (_unscaled(left), _unscaled(right))),)),)
        case Op(op, (a,)) if op in LINEAR:
            inner = _as_term(a, nonnegative)
            return (Term(inner.coefficient, (Op(op, (_unscaled(inner),)),)),)
        case Op():
            return (Term(Coefficient(), (with_children(x, tuple(canonical(a, nonnegative) for a in x.args)),)),)
        case _:
            return (Term(Coefficient(), (x,)),)


LINEAR = frozenset(("transpose", "sum_rows", "sum_cols", "mean_rows", "mean_cols"))
"""Operations on one tensor that a factor passes through."""


def _unscaled(term: Term) -> Expr:
    """``term`` without its coefficient."""
    return from_term(replace(term, coefficient=Coefficient()))


def _negated(term: Term) -> Term:
    return replace(term, coefficient=-term.coefficient)


def _as_term(x: Expr, nonnegative: Callable[[Expr], bool]) -> Term:
    terms = to_sum(x, nonnegative)
    if len(terms) == 1:
        return terms[0]
    return Term(Coefficient(), (from_sum(terms),))


def _square_root(c: Coefficient, nonnegative: Callable[[Expr], bool]) -> tuple[Coefficient, Coefficient]:
    """``(outside, inside)`` with ``√c = outside · √inside``: what is known to be nonnegative moves out."""

    def split(factors: tuple[Expr, ...]) -> tuple[tuple[Expr, ...], tuple[Expr, ...]]:
        out = tuple(Op("sqrt", (f,)) for f in factors if nonnegative(f))
        return out, tuple(f for f in factors if not nonnegative(f))

    out_top, in_top = split(c.numerator)
    out_bottom, in_bottom = split(c.denominator)
    return Coefficient(False, out_top, out_bottom), Coefficient(c.negative, in_top, in_bottom)


def _collect(terms: Sum) -> Sum:
    """Terms with the same factors become one, at the place of the first."""
    result: list[Term] = []
    for term in terms:
        for i, other in enumerate(result):
            if not term.is_scalar and term.factors == other.factors:
                combined = _add_coefficients(other.coefficient, term.coefficient)
                result[i] = replace(other, coefficient=combined)
                break
        else:
            result.append(term)
    return tuple(result)


def _add_coefficients(a: Coefficient, b: Coefficient) -> Coefficient:
    if b.negative:
        return scalar_coefficient(sub(a.expr, b.magnitude))
    return scalar_coefficient(add(a.expr, b.magnitude))


def from_term(term: Term) -> Expr:
    """Back to operations: factors first, the scalar last (so that it can be folded into ``alpha`` or ``value``)."""
    result: Expr | None = None
    powers = _with_squares(_first_last(term.numerator))
    for factor in powers:
        result = factor if result is None else mul(result, factor)
    c = term.coefficient
    if result is None:
        if not term.denominator:
            return c.expr
        result, c = c.expr, Coefficient()
    for factor in _first_last(term.denominator):
        result = div(result, factor)
    if c.numerator:
        result = mul(c.magnitude, result)
    elif c.denominator:
        result = div(result, _product(c.denominator))
    return Op("neg", (result,)) if c.negative else result


def _with_squares(factors: tuple[Expr, ...]) -> tuple[Expr, ...]:
    result: list[Expr] = []
    i = 0
    while i < len(factors):
        if i + 1 < len(factors) and factors[i] == factors[i + 1]:
            result.append(power(factors[i], Const(2)))
            i += 2
        else:
            result.append(factors[i])
            i += 1
    return tuple(result)


def _first_last(factors: tuple[Expr, ...]) -> tuple[Expr, ...]:
    """``factors``, those per index of the first dimension last: they fit with what has rows."""
    return tuple(sorted(factors, key=lambda f: f.type.shape == PER_FIRST))


def _is_per_first(term: Term) -> bool:
    return not term.is_scalar and all(f.type.shape == PER_FIRST for f in (*term.numerator, *term.denominator))


def from_sum(terms: Sum) -> Expr:
    first, *rest = sorted(terms, key=_is_per_first)
    result = from_term(first)
    for term in rest:
        if term.coefficient.negative:
            result = sub(result, from_term(replace(term, coefficient=-term.coefficient)))
        else:
            result = add(result, from_term(term))
    return result


def canonical(x: Expr, nonnegative: Callable[[Expr], bool] = lambda _: False) -> Expr:
    """``x`` with scalar factors pulled out of products, quotients and roots, and like terms added up."""
    if is_tensor(x) and x.type.dtype.value == "real":
        return from_sum(to_sum(x, nonnegative))
    return with_children(x, tuple(canonical(a, nonnegative) for a in children(x)))


def factor_choices(x: Expr) -> Expr:
    """``x`` with each choice between products of one tensor made a choice of its factor.

    ``select(c, a t, b t)`` is ``t select(c, a, b)``, where ``c`` differs between elements.
    """
    args = children(x)
    if not args:
        return x
    x = with_children(x, tuple(factor_choices(a) for a in args))
    match x:
        case Op("select", (c, a, b)) if is_tensor(c) and is_tensor(a) and is_tensor(b) and x.type.dtype is DType.REAL:
            sides = to_sum(a), to_sum(b)
            if any(len(terms) != 1 for terms in sides):
                return x
            first, second = (terms[0] for terms in sides)
            common = [f for f in dict.fromkeys(first.numerator) if f in second.numerator]
            if not common:
                return x
            chosen = Op("select", (c, *(from_term(_without(term, common)) for term in (first, second))))
            return from_term(Term(Coefficient(), (*common, chosen)))
        case _:
            return x


def _without(term: Term, factors: list[Expr]) -> Term:
    """``term`` divided by ``factors`` of its numerator."""
    numerator = list(term.numerator)
    for factor in factors:
        numerator.remove(factor)
    return replace(term, numerator=tuple(numerator))
