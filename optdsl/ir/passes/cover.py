"""Covers one expression with torch operations: the choice of instructions for a single ``Let``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import product

from optdsl.ir.instructions import Instruction
from optdsl.ir.nodes import (
    CASTS,
    FULL,
    MATRIX_OPERATIONS,
    PER_FIRST,
    REDUCTIONS,
    Call,
    Const,
    DType,
    Expr,
    Extent,
    Let,
    Op,
    Rate,
    Ref,
    Shape,
    ShapeError,
    Type,
    broadcast,
    children,
    walk,
    with_children,
)
from optdsl.ir.passes.liveness import Atom, Live
from optdsl.ir.passes.places import Names, Place, Places, Target
from optdsl.ir.passes.scalars import depends_on_device
from optdsl.ir.passes.terms import ONE, Coefficient, Term, factor_choices, from_sum, from_term, is_tensor, to_sum

_EXTREMA = {"max": "maximum", "min": "minimum"}
_COMPARISONS = frozenset(("lt", "le", "gt", "ge", "eq", "ne"))
_MIRRORED = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le", "eq": "eq", "ne": "ne"}

Covering = tuple[list[Instruction], Place]


def best_covering(let: Let, names: Names, target: Target, places: Places, live: Live, may_be_absent: bool) -> Covering:
    """The cheapest code for ``let``, and where it leaves the value.

    ``live`` are the values read later; ``may_be_absent``: the state that is assigned may have no buffer yet.
    """

    def coverings() -> Iterator[Covering]:
        for value, in_state in product(_alternatives(let.value), (True, False)):
            cover = Cover(names, target, let, places, live, in_state)
            cover.materialize_shared(value)
            yield cover.finish(cover.shared(value), may_be_absent)

    def cost(covering: Covering) -> tuple[int, int]:
        code, _ = covering
        return sum(i.accesses for i in code), sum(not i.in_place for i in code)

    return min(coverings(), key=cost)


def _alternatives(x: Expr) -> list[Expr]:
    """``x``, and ``x`` with each quotient or product of a sum divided out (``(a + b) / d`` as ``a/d + b/d``), or with
    what both sides of a choice have as a factor taken out of it."""
    if not is_tensor(x) or x.type.dtype is not DType.REAL:
        return [x]
    terms: list[Term] = []
    for t in to_sum(x):
        sums = [f for f in t.numerator if len(to_sum(f)) > 1]
        if len(sums) == 1 and len(t.numerator) == 1 and len(t.denominator) <= 1:
            terms += [
                Term(t.coefficient * inner.coefficient, inner.numerator, inner.denominator + t.denominator)
                for inner in to_sum(sums[0])
            ]
        else:
            terms.append(t)
    expanded = from_sum(to_sum(from_sum(tuple(terms))))
    factored = from_sum(to_sum(factor_choices(x)))
    return list(dict.fromkeys((x, expanded, factored)))


class Cover:
    """The code for one ``Let`` under way."""

    def __init__(self, names: Names, target: Target, let: Let, state: Places, live: Live, in_state: bool):
        self.names = names
        self.target = target
        self.let = let
        self.in_state = in_state
        """Whether sums are accumulated in the buffer of the state that is assigned, where one of their terms is it."""
        self.state = state.copy()
        self.code: list[Instruction] = []
        self.live_buffers: set[str] = set()
        for value in live:
            place = state.places.get(value)
            if place is not None:
                self.live_buffers |= place.buffers
        self.live_variables = {state.places[v].variable for v in live if v in state.places}
        self.unread: Counter[Expr] = Counter()
        self.held: list[Place] = []
        """Operands computed already for an operation that is not emitted yet."""
        self.named: dict[Expr, Ref] = {}

    # ------------------------------------------------------------------------------------------------ bookkeeping

    def materialize_shared(self, x: Expr) -> None:
        """Computes first what ``x`` contains more than once."""
        while True:
            y = self.shared(x)
            counts = Counter(n for n in _reads(y) if isinstance(n, Op) and is_tensor(n))
            repeated = [n for n, k in counts.items() if k > 1]
            if not repeated:
                self.unread = Counter(n for n in _reads(y) if isinstance(n, Atom) and n.type.is_tensor)
                return
            largest = max(repeated, key=lambda n: sum(1 for _ in walk(n)))
            self.unread = Counter(n for n in _reads(y) if isinstance(n, Atom) and n.type.is_tensor)
            role = "denom" if _is_divisor(largest, y) else "shared"
            # Every atom of the rest is still to be read: nothing of it may be overwritten.
            place = self.value(largest, role)
            ref = Ref(f"{place.variable}.shared{len(self.named)}", largest.type)
            self.named[largest] = ref
            self.state.places[ref] = replace(place, owned=place.owned)

    def shared(self, x: Expr) -> Expr:
        if x in self.named:
            return self.named[x]
        args = children(x)
        return with_children(x, tuple(self.shared(a) for a in args)) if args else x

    def temporary(self, role: str, shape: Shape = FULL) -> Place:
        taken = self.live_variables | {p.variable for v, p in self.state.places.items() if self.unread[v] > 0}
        taken |= {name for i in self.code for name in (i.target, *i.operands)} | {p.variable for p in self.held}
        return self.names.temporary(role, taken, shape)

    def read(self, value: Expr) -> Place:
        self.unread[value] -= 1
        return self.state.places[value]

    def reusable(self, place: Place, shape: Shape) -> bool:
        """Whether the buffer of an operand just read may be overwritten by the result, which is of ``shape``."""
        if place.shape != shape or place.is_view:
            return False
        if any(self.unread[v] > 0 and p.buffers & place.buffers for v, p in self.state.places.items()):
            return False
        if any(p.buffers & place.buffers for p in self.held):
            return False
        if place.buffers & self.live_buffers or "grad" in place.buffers:
            return False
        return place.is_temporary or place.buffers == {self.let.state}

    def emit(
        self,
        op: str,
        operands: tuple[Place, ...],
        scalars: tuple[Expr, ...] = (),
        role: str = "update",
        layout: str = "",
        can_reuse: bool = True,
        shape: Shape | None = None,
        function: str = "",
    ) -> Place:
        """Appends one operation, in place on its first operand where that is allowed.

        The result has the given ``shape``, else that of an elementwise operation.
        """
        names = tuple(p.variable for p in operands)
        shape = shape or broadcast(*(p.shape for p in operands))
        small = frozenset(p.variable for p in operands if is_small(p.shape))
        if can_reuse and operands and self.reusable(operands[0], shape):
            in_place = Instruction(op, names[0], names, scalars, in_place=True, layout=layout, small=small)
            self.code.append(replace(in_place, makes_small=is_small(shape)))
            return operands[0]
        result = self.temporary(role, shape)
        made = Instruction(op, result.variable, names, scalars, layout=layout, function=function, small=small)
        self.code.append(replace(made, makes_small=is_small(shape)))
        return result

    # -------------------------------------------------------------------------------------------------- expressions

    def value(self, x: Expr, role: str = "update") -> Place:
        """Computes the tensor ``x``."""
        if x in self.state.places:
            return self.read(x)
        match x:
            case Op("full", (s,)):
                return self.read(self.filled(s, role))
            case Op() if x.type.dtype is DType.BOOL:
                return self.condition(x)
            case Op(op, (a,)) if op in REDUCTIONS:
                return self.emit(op, (self.value(a, role),), role=role, can_reuse=False, shape=x.type.shape)
            case Op("matmul", (a, b)):
                factors = self.values((a, "left"), (b, "right"))
                return self.emit("matmul", factors, role=role, can_reuse=False, shape=x.type.shape)
            case Op("transpose", (a,)):
                return self.transposed(self.value(a, role), role)
            case Op("identity", (size,)):
                like = Place("param", frozenset(("param",)))
                return self.emit("identity", (like,), (size,), role, can_reuse=False, shape=x.type.shape)
            case Op("orthonormal", (a,)):
                return self.emit("orthonormal", (self.value(a, role),), role=role, can_reuse=False)
            case Op("matrix_power", (a, exponent)):
                return self.emit("matrix_power", (self.value(a, role),), (exponent,), role, can_reuse=False)
            case Op(op, (a,)) if op in CASTS:
                return self.emit(op, (self.value(a, role),), role=role, can_reuse=False)
            case Call(function, args):
                layout = "".join("t" if is_tensor(a) else "s" for a in args)
                tensors = self.values(*((a, role) for a in args if is_tensor(a)))
                scalars = tuple(a for a in args if not is_tensor(a))
                result = self.emit("call", tensors, scalars, role, layout, False, x.type.shape, function)
                return replace(result, owned=False, is_view=True)
            case Op("sqrt" | "abs" | "sign" | "exp" | "log" | "floor" as op, (a,)):
                return self.emit(op, (self.value(a, role),), role=role)
            case Op("min", (Op("max", (a, low)), high)) if self.target.out and _on_host(low, high):
                return self.emit("clamp", (self.value(a, role),), (low, high), role)
            case Op("max" | "min" as op, (a, b)):
                return self.commutative(_EXTREMA[op], a, b, role)
            case Op("pow", (a, b)) if not (isinstance(b, Const) and b.value == 2):
                if not is_tensor(b):
                    return self.emit("pow", (self.value(a, role),), (b,), role)
                if not is_tensor(a):
                    return self.emit("rpow", (self.value(b, role),), (a,), role, can_reuse=False)
                return self.emit("pow", self.values((a, role), (b, role)), role=role)
            case Op("select", (c, a, b)):
                return self.where(c, a, b, role)
            case _:
                return self.sum(x, role)

    def values(self, *parts: tuple[Expr, str]) -> tuple[Place, ...]:
        """Computes several operands; a later one leaves the earlier ones alone."""
        mark = len(self.held)
        for x, role in parts:
            self.held.append(self.value(x, role))
        places = tuple(self.held[mark:])
        del self.held[mark:]
        return places

    def holding(self, place: Place, x: Expr, role: str) -> Place:
        """Computes ``x`` while ``place`` is still to be used."""
        self.held.append(place)
        result = self.value(x, role)
        self.held.pop()
        return result

    def commutative(self, op: str, a: Expr, b: Expr, role: str) -> Place:
        if not is_tensor(b):
            return self.emit(op, (self.value(a, role),), (b,), role)
        if not is_tensor(a):
            return self.emit(op, (self.value(b, role),), (a,), role)
        return self.emit(op, self.either_first(*self.values((a, role), (b, role))), role=role)

    def either_first(self, left: Place, right: Place) -> tuple[Place, Place]:
        """Two operands of a commutative operation, the one that may be overwritten first."""
        shape = broadcast(left.shape, right.shape)
        if not self.reusable(left, shape) and self.reusable(right, shape):
            return right, left
        return left, right

    def transposed(self, place: Place, role: str) -> Place:
        view = self.temporary(role)
        self.code.append(Instruction("transpose", view.variable, (place.variable,)))
        return Place(view.variable, place.buffers, shape=place.shape.transposed, is_view=True)

    def condition(self, x: Op) -> Place:
        match x:
            case Op("and" | "or" as op, (a, b)):
                name = f"logical_{op}"
                if not is_tensor(a):
                    a, b = b, a
                if not is_tensor(b):
                    return self.emit(name, (self.value(a, "mask"),), (b,), "mask", can_reuse=False)
                return self.emit(name, self.values((a, "mask"), (b, "mask")), role="mask", can_reuse=False)
            case Op("not", (a,)):
                return self.emit("logical_not", (self.value(a, "mask"),), role="mask")
            case Op(op, (a, b)) if op in _COMPARISONS:
                if not is_tensor(a):
                    a, b, op = b, a, _MIRRORED[op]
                if not is_tensor(b):
                    return self.emit(op, (self.value(a, "side"),), (b,), "mask", can_reuse=False)
                return self.emit(op, self.values((a, "side"), (b, "side")), role="mask", can_reuse=False)
            case Op("select", (c, a, b)):
                return self.where(c, a, b, "mask")
            case _:
                raise ValueError(f"not a condition: {x}")

    def where(self, c: Expr, a: Expr, b: Expr, role: str) -> Place:
        on_device = self.target.device_scalars or c.type.rate is Rate.TENSOR
        if not is_tensor(c) and not (on_device and depends_on_device(c)):
            return self.choose(c, a, b, role)
        if not (is_tensor(a) or is_tensor(b)):
            a = self.filled(a, role)  # of two numbers torch would make a tensor of the default dtype
        parts = [(x, "mask" if i == 0 else role) for i, x in enumerate((c, a, b))]
        layout = "".join("t" if is_tensor(x) else "s" for x, _ in parts)
        tensors = self.values(*((x, r) for x, r in parts if is_tensor(x)))
        scalars = tuple(x for x, _ in parts if not is_tensor(x))
        result = self.emit("where", tensors, scalars, role, layout, can_reuse=False)
        if is_tensor(c):
            return result
        # The condition may turn out to be a number of the host; then the result is one of the operands itself.
        return replace(result, buffers=frozenset[str]().union(*(t.buffers for t in tensors)), owned=False)

    def choose(self, c: Expr, a: Expr, b: Expr, role: str) -> Place:
        """``a if c else b`` by a scalar that the host knows; both have been computed."""
        then, orelse = self.values(*((x if is_tensor(x) else self.filled(x, role), role) for x in (a, b)))
        result = replace(self.temporary(role), buffers=then.buffers | orelse.buffers, owned=False)
        self.code.append(Instruction("choose", result.variable, (then.variable, orelse.variable), (c,)))
        return result

    def filled(self, scalar: Expr, role: str) -> Ref:
        """A tensor that is ``scalar`` everywhere."""
        place = self.temporary(role)
        self.code.append(Instruction("full_like", place.variable, ("param",), (scalar,)))
        ref = Ref(f"{place.variable}.filled", Type(scalar.type.dtype, Rate.ELEMENT))
        self.state.places[ref] = place
        self.unread[ref] += 1
        return ref

    def sum(self, x: Expr, role: str) -> Place:
        terms = to_sum(x)
        if len(terms) == 1:
            return self.product(terms[0], role)
        blended = self.lerp(terms, role)
        if blended is not None:
            return blended
        start = self.start(terms)
        rest = sorted((t for t in terms if t is not start), key=lambda t: not t.is_scalar and _shape(t) == PER_FIRST)
        mark = len(self.held)
        prepared = []
        for t in rest:
            prepared.append(self.prepare(t))
            self.held += [p for p in prepared[-1] if isinstance(p, Place)]
        result = self.product(start, role)
        del self.held[mark:]
        later = [p for operands in prepared for p in operands if isinstance(p, Place)]
        self.held += later
        for term, operands in zip(rest, prepared, strict=True):
            result = self.accumulate(result, term, operands, role)
        del self.held[mark:]
        return result

    def start(self, terms: tuple[Term, ...]) -> Term:
        """The term that the others are added to: the buffer to be updated, else the first unscaled one."""

        shape = broadcast(*(_shape(t) for t in terms if not t.is_scalar))

        def rank(t: Term) -> tuple[int, int]:
            if t.is_scalar:
                return 9, 0
            if _shape(t) != shape:
                return 8, int(_shape(t) == PER_FIRST)
            plain = len(t.numerator) == 1 and not t.denominator
            atom = t.numerator[0] if plain and t.numerator[0] in self.state.places else None
            in_state = self.in_state and atom is not None and self.state.places[atom].buffers == {self.let.state}
            return (0 if in_state else 1 if t.coefficient.is_one else 2), 0

        return min(terms, key=rank)

    def lerp(self, terms: tuple[Term, ...], role: str) -> Place | None:
        """``c a + (1 - c) b`` as ``lerp(a, b, 1 - c)``."""
        if len(terms) != 2 or any(len(t.numerator) != 1 or t.denominator for t in terms):
            return None
        if _shape(terms[0]) != _shape(terms[1]):
            return None
        first, second = terms
        if not _complementary(first.coefficient, second.coefficient):
            return None
        if self.start(terms) is second and self._in_state(second):
            first, second = second, first
        end, base = self.values((second.numerator[0], role), (first.numerator[0], role))
        return self.emit("lerp", (base, end), (second.coefficient.expr,), role)

    def _in_state(self, term: Term) -> bool:
        place = self.state.places.get(term.numerator[0])
        return place is not None and place.buffers == {self.let.state}

    def prepare(self, term: Term) -> tuple[Place | Expr, ...]:
        """Computes the operands of a term that will be accumulated, as far as they are not atoms: an atom is read
        only when the operation is emitted."""
        numerator, denominator = list(term.numerator), list(term.denominator)
        if term.is_scalar:
            return ()
        if not numerator:
            return (self.product(replace(term, coefficient=Coefficient()), "update"),)
        if len(numerator) + len(denominator) <= 2 and len(denominator) <= 1:
            roles = ["numer"] * len(numerator) + ["denom"] * len(denominator)
            return self.unread_atoms(zip(numerator + denominator, roles, strict=True))
        *head, last = numerator + denominator
        partial = Term(Coefficient(), tuple(head[: len(numerator)]), tuple(head[len(numerator) :]))
        if not denominator and len(numerator) > 2:
            partial = Term(Coefficient(), tuple(numerator[:-1]))
        product = self.product(partial, "numer")
        self.held.append(product)
        (operand,) = self.unread_atoms([(last, "denom" if denominator else "numer")])
        self.held.pop()
        return product, operand

    def unread_atoms(self, parts: Iterable[tuple[Expr, str]]) -> tuple[Place | Expr, ...]:
        """Computes what is not an atom, and leaves the atoms to be read later."""
        mark = len(self.held)
        operands: list[Place | Expr] = []
        for x, role in parts:
            if x in self.state.places:
                operands.append(x)
            else:
                place = self.value(x, role)
                operands.append(place)
                self.held.append(place)
        del self.held[mark:]
        return tuple(operands)

    def accumulate(self, result: Place, term: Term, operands: tuple[Place | Expr, ...], role: str) -> Place:
        c = term.coefficient
        scale = () if c.is_one else (c.expr,)
        if term.is_scalar:
            return self.emit("add", (result,), (c.expr,), role)
        places = tuple(o if isinstance(o, Place) else self.read(o) for o in operands)
        if len(places) == 2 and scale and scale[0].type.rate is Rate.TENSOR:
            # Only a number can be the `value` of `addcmul` and `addcdiv`.
            self.held += [result, places[1]]
            places, scale = (self.emit("mul", (places[0],), scale, "numer"), places[1]), ()
            del self.held[-2:]
        if len(places) == 1:
            if c.negative and c.magnitude == ONE:
                return self.emit("sub", (result, *places), role=role)
            return self.emit("add", (result, *places), scale, role)
        return self.emit("addcdiv" if term.denominator else "addcmul", (result, *places), scale, role)

    def product(self, term: Term, role: str) -> Place:
        numerator, denominator, c = list(term.numerator), list(term.denominator), term.coefficient
        whole = _shape(term)
        if len({f.type.shape for f in (*numerator, *denominator)}) > 1 and numerator:
            # Small factors first: what they make is small.
            numerator.sort(key=lambda f: (f.type.shape == PER_FIRST, f.type.shape == whole))
            first = numerator[0].type.shape
            ready = [f for f in denominator if _fits(f, first)] if first != whole else []
            denominator = [f for f in denominator if f not in ready]
            if ready:
                start = self.product(Term(Coefficient(), (numerator.pop(0),), tuple(ready)), role)
                return self.multiplied(start, numerator, denominator, c, role)
        if not numerator:
            result = self.emit("reciprocal", (self.value(denominator.pop(0), "denom"),), role=role)
        else:
            result = self.value(numerator.pop(0), role)
        return self.multiplied(result, numerator, denominator, c, role)

    def multiplied(
        self, result: Place, numerator: list[Expr], denominator: list[Expr], c: Coefficient, role: str
    ) -> Place:
        """``result`` times the other factors of a product."""
        for f in numerator:
            other = self.holding(result, f, role)
            result = self.emit("mul", self.either_first(result, other), role=role)
        for f in denominator:
            match f:
                case Op("sqrt", (radicand,)) if f not in self.state.places and not self.reusable(result, f.type.shape):
                    # The quotient can be where its divisor was, as a product.
                    other = self.emit("rsqrt", (self.holding(result, radicand, "denom"),), role="denom")
                    result = self.emit("mul", self.either_first(result, other), role=role)
                case _:
                    other = self.holding(result, f, "denom")
                    result = self.emit("div", (result, other), role=role)
        if c.numerator:
            return self.emit("mul", (result,), (c.expr,), role)
        if c.denominator:
            divisor = from_term(Term(Coefficient(c.negative, c.denominator)))
            return self.emit("div", (result,), (divisor,), role)
        return self.emit("neg", (result,), role=role) if c.negative else result

    # ------------------------------------------------------------------------------------------------------- result

    def finish(self, x: Expr, fresh_state: bool) -> tuple[list[Instruction], Place]:
        """Computes the statement's value and puts it where it belongs."""
        let = self.let
        if not is_tensor(x):
            raise ValueError(f"{let.name} is a scalar")
        place = self.value(x, self.role())
        if let.state is None:
            if isinstance(x, Op) and place.owned:
                return self.code, self.renamed(place)
            return self.code, replace(place, owned=place.owned and isinstance(x, Op))
        key = let.state
        if place.is_view and key in place.buffers:
            place = self.emit("clone", (place,), role=self.role(), can_reuse=False)
        if place.buffers == {key}:
            return self.code, place
        if fresh_state and key not in self.live_buffers:
            if place.is_view and place.shape == FULL:
                result = self.temporary(key)
                self.code.append(Instruction("copy_like", key, ("param", place.variable)))
                place = replace(result, variable=key)
            elif not self.is_free(place):
                result = self.temporary(key)
                self.code.append(Instruction("clone", key, (place.variable,)))
                place = replace(result, variable=key)
            elif place.variable != key:
                if not self.rename(place.variable, key):
                    self.code.append(Instruction("alias", key, (place.variable,)))
                place = replace(place, variable=key)
            self.code.append(Instruction("store", key, (key,)))
            return self.code, Place(key, frozenset((key,)), shape=place.shape)
        if key in self.live_buffers:
            return self.code, self.detached(place, key)
        last = self.code[-1] if self.code else None
        if self.target.out and last is not None and last.target == place.variable and _has_out(last):
            self.code[-1] = replace(last, target=key, in_place=False, out=True)
        else:
            copy = Instruction("copy", key, (key, place.variable), in_place=True, makes_small=is_small(place.shape))
            self.code.append(copy)
        return self.code, Place(key, frozenset((key,)), shape=place.shape)

    def detached(self, place: Place, key: str) -> Place:
        """The state's old value is still needed: the new one waits in a buffer of its own."""
        if self.is_free(place):
            return place
        return self.emit("clone", (place,), role=f"new_{key}", can_reuse=False)

    def is_free(self, place: Place) -> bool:
        """Whether a value's buffer is a temporary that no other value lives on in."""
        return place.owned and place.is_temporary and not place.buffers & self.live_buffers

    def role(self) -> str:
        return f"new_{self.let.state}" if self.let.state is not None else self.let.identifier

    def renamed(self, place: Place) -> Place:
        """A temporary takes the name that the spec has for it, if that is free; ``grad`` may be taken over."""
        name = self.let.identifier
        holder = self.state.holders.get(name)
        free = name not in self.live_variables and (holder is None or self.unread[holder] == 0)
        if place.variable == name or not free or not self.names.may_hold_a_local(name):
            return place
        return replace(place, variable=name) if self.rename(place.variable, name) else place

    def rename(self, temporary: str, name: str) -> bool:
        """Calls a temporary ``name`` from where it is made, if it is made here and the name is not used meanwhile."""
        made = next((n for n, i in enumerate(self.code) if i.target == temporary), None)
        if made is None or self.code[made].in_place:
            return False
        if any(i.target == name or name in i.operands for i in self.code[made + 1 :]):
            return False
        self.code[made:] = [_renamed(i, temporary, name, first=n == 0) for n, i in enumerate(self.code[made:])]
        return True


def _has_out(i: Instruction) -> bool:
    """Whether the operation can write into a given buffer."""
    without = ("choose", "clone", "copy_like", "call", *MATRIX_OPERATIONS, *CASTS, *REDUCTIONS)
    return i.op not in without and not (i.op == "where" and i.scalars)


def _renamed(i: Instruction, old: str, new: str, first: bool) -> Instruction:
    """``i`` with ``old`` called ``new``; the instruction that makes it may still read another value of that name."""
    operands = i.operands if first else tuple(new if o == old else o for o in i.operands)
    small = i.small | {new} if old in i.small and not first else i.small
    return replace(i, target=new if i.target == old else i.target, operands=operands, small=small)


def _reads(x: Expr) -> Iterator[Expr]:
    """What computing ``x`` computes or reads, as often as it does: a square is a product of two factors."""
    yield x
    args = children(x)
    if isinstance(x, Op) and x.op == "pow" and x.args[1] == Const(2):
        args = (x.args[0], x.args[0])
    for a in args:
        yield from _reads(a)


def _on_host(*xs: Expr) -> bool:
    """Whether all of these are numbers that the host can know."""
    return all(x.type.rate < Rate.TENSOR for x in xs)


def is_small(shape: Shape) -> bool:
    """Whether a tensor of that shape is small beside θ."""
    return Extent.ONE in (shape.rows, shape.cols)


def _shape(term: Term) -> Shape:
    factors = (*term.numerator, *term.denominator)
    return broadcast(*(f.type.shape for f in factors)) if factors else FULL


def _fits(x: Expr, shape: Shape) -> bool:
    """Whether dividing a tensor of ``shape`` by ``x`` leaves its shape."""
    try:
        return broadcast(x.type.shape, shape) == shape
    except ShapeError:
        return False


def _complementary(a: Coefficient, b: Coefficient) -> bool:
    """Whether two coefficients add up to one."""
    if a.negative or b.negative:
        return False
    x, y = a.expr, b.expr
    if isinstance(x, Const) and isinstance(y, Const):
        return x.value + y.value == 1  # type: ignore[operator]
    return x == Op("sub", (ONE, y)) or y == Op("sub", (ONE, x))


def _is_divisor(x: Expr, within: Expr) -> bool:
    return any(isinstance(n, Op) and n.op == "div" and n.args[1] == x for n in walk(within))
