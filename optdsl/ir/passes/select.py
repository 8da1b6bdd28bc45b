"""Instruction selection: covers each tensor expression with torch's fused and in-place operations.

The cost of a covering is the whole tensors it reads and writes; among equals, the one that allocates less, then the one
closest to the order of the spec. An expression is looked at as a sum of scaled products (:mod:`.terms`), whose terms are
accumulated with ``add(alpha=)``, ``addcmul``, ``addcdiv``, or blended with ``lerp`` where two coefficients add up to one.

An operation works in place when the buffer's old value is read by nothing later (:mod:`.liveness`); only buffers of
states, of the parameter and of our own temporaries are written, never the gradient's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from optdsl.ir.instructions import Branch, Code, Instruction, instructions
from optdsl.ir.nodes import (
    Block,
    Const,
    DType,
    Expr,
    Grad,
    If,
    Let,
    Merge,
    Op,
    Param,
    Present,
    Program,
    Rate,
    Ref,
    StateValue,
    Type,
    children,
    walk,
    with_children,
)
from optdsl.ir.passes.liveness import Atom, Live, Liveness
from optdsl.ir.passes.scalars import Split, depends_on_device
from optdsl.ir.passes.terms import ONE, Coefficient, Term, from_sum, from_term, is_tensor, to_sum

_EXTREMA = {"max": "maximum", "min": "minimum"}
_COMPARISONS = frozenset(("lt", "le", "gt", "ge", "eq", "ne"))
_MIRRORED = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le", "eq": "eq", "ne": "ne"}


@dataclass(frozen=True)
class Place:
    """Where a value is: a variable, and the buffers it may be in (``param``, ``grad``, a state's key, a temporary).

    ``owned``: a temporary of ours that nothing else names.
    """

    variable: str
    buffers: frozenset[str]
    owned: bool = False


@dataclass(frozen=True)
class Target:
    """What operations are at hand: ``out`` says that any of them can write into a given buffer (``out=``).

    ``device_scalars``: per-step scalars are tensors, so a choice by one is a ``where``, not a branch.
    """

    out: bool
    device_scalars: bool = False


LOOP = Target(out=True)
FOREACH = Target(out=False)
CAPTURABLE = Target(out=False, device_scalars=True)


def select(split: Split, target: Target) -> Code:
    """The body of ``split`` as code for ``target``."""
    return _Selector(split, target).run()


@dataclass
class _State:
    """What selection knows at a point of the program."""

    places: dict[Expr, Place] = field(default_factory=dict)
    holders: dict[str, Expr] = field(default_factory=dict)
    """The value that each variable holds."""

    def copy(self) -> _State:
        return _State(dict(self.places), dict(self.holders))


class _Selector:
    def __init__(self, split: Split, target: Target):
        self.target = target
        self.program: Program = split.program
        self.body = split.body
        self.results: dict[str, Expr] = {
            "param": self.program.param,
            **{k: v for k, v in self.program.new_states if self.program.state(k).rate is Rate.ELEMENT},
        }
        self.liveness = Liveness(self.body, frozenset(self.results.values()))
        self.absentable = {s.key for s in self.program.states if s.initial is None}
        self.temporaries = 0
        self.identifiers = {s.name for s in self.program.scalars} | {"param", "grad", "step", "maximize"}
        self.identifiers |= {s.key for s in self.program.states}
        self.identifiers |= {
            s.identifier for s in _all(split.prelude) if isinstance(s, Let)
        }

    def run(self) -> Code:
        state = _State()
        self.bind(state, Param(), Place("param", frozenset(("param",))))
        self.bind(state, Grad(), Place("grad", frozenset(("grad",))))
        for s in self.program.tensor_states:
            self.bind(state, StateValue(s.key), Place(s.key, frozenset((s.key,))))
        code = list(self.block(self.body, state, frozenset()))
        pending = {k: place for k, v in self.results.items() if (place := state.places[v]).variable != k}
        while pending:
            # Not over a buffer that another result is still to be copied from.
            free = [k for k in pending if not any(k in p.buffers for other, p in pending.items() if other != k)]
            key = free[0] if free else next(iter(pending))
            if not free:
                for other, place in pending.items():
                    if other != key and key in place.buffers:
                        kept = self.fresh_name(f"new_{other}", {i.target for i in instructions(tuple(code))})
                        code.append(Instruction("clone", kept, (place.variable,)))
                        pending[other] = Place(kept, frozenset((f"t_{kept}",)), owned=True)
            code += self.written(key, pending.pop(key))
        return tuple(code)

    def written(self, key: str, place: Place) -> Code:
        """Puts a value that is elsewhere into the buffer of ``key``, or makes it that buffer if there may be none."""
        code: list[Instruction] = []
        if key not in self.absentable:
            code.append(Instruction("copy", key, (key, place.variable), in_place=True))
        else:
            variable = place.variable
            if not place.owned:
                variable = f"new_{key}"
                code.append(Instruction("clone", variable, (place.variable,)))
            code.append(Instruction("store", key, (variable,)))
        condition = None if key == "param" else self.program.state(key).condition
        return tuple(code) if condition is None else (Branch(condition, tuple(code), ()),)

    def bind(self, state: _State, value: Expr, place: Place) -> None:
        state.places[value] = place
        state.holders[place.variable] = value

    # --------------------------------------------------------------------------------------------------- statements

    def block(self, block: Block, state: _State, present: frozenset[str]) -> Iterator[Instruction | Branch]:
        """Code of ``block``; ``present`` are the states without initial value known to exist on this way."""
        for stmt in block:
            live = self.liveness.after(stmt)
            if isinstance(stmt, Let):
                code, place = _best(self.coverings(stmt, state, live, present))
                self.bind(state, stmt.ref, place)
                yield from code
            else:
                yield from self.branch(stmt, state, live, present)

    def branch(self, stmt: If, state: _State, live: Live, present: frozenset[str]) -> Iterator[Instruction | Branch]:
        then_state, else_state = state.copy(), state.copy()
        then_present, else_present = _presence(stmt.condition, present)
        then = list(self.block(stmt.then, then_state, then_present))
        orelse = list(self.block(stmt.orelse, else_state, else_present))
        merged: list[tuple[Expr, Place]] = []
        live_places = {v: state.places[v] for v in live if v in state.places}
        for m in stmt.merges:
            a, b = then_state.places[m.then], else_state.places[m.orelse]
            others = [
                place
                for other in stmt.merges
                if other is not m
                for place in (then_state.places[other.then], else_state.places[other.orelse])
            ]
            variable = self.merged_variable(m, a, b, live_places, merged, others)
            for code, place in ((then, a), (orelse, b)):
                if place.variable == variable:
                    continue
                if variable == m.state:
                    code += self.written(variable, place)
                else:
                    code.append(Instruction("alias", variable, (place.variable,)))
            in_state = variable == m.state
            buffers = frozenset((m.state,)) if in_state and m.state else a.buffers | b.buffers
            merged.append((m.ref, Place(variable, buffers, a.owned and b.owned and not in_state)))
        for value, place in merged:
            self.bind(state, value, place)
        if then or orelse:
            yield Branch(stmt.condition, tuple(then), tuple(orelse))

    def merged_variable(
        self,
        m: Merge,
        a: Place,
        b: Place,
        live_places: dict[Expr, Place],
        merged: list[tuple[Expr, Place]],
        others: list[Place],
    ) -> str:
        """A variable for a merged value that overwrites nothing still read, in later code or by another merge."""
        taken = {p.variable for p in live_places.values()} | {p.variable for _, p in merged}
        if a.variable == b.variable and a.variable not in taken:
            return a.variable
        taken |= {p.variable for p in others}
        if m.state is not None and not any(m.state in p.buffers for p in (*live_places.values(), *others)):
            return m.state
        for candidate in (m.identifier, b.variable, a.variable):
            if candidate not in taken and self.may_hold_a_local(candidate):
                return candidate
        return self.fresh_name(m.identifier, taken)

    def may_hold_a_local(self, name: str) -> bool:
        """Whether ``name`` is neither a scalar's nor a buffer's; the gradient's variable may be taken over."""
        return name == "grad" or name not in self.identifiers

    # --------------------------------------------------------------------------------------------------- one statement

    def coverings(
        self, let: Let, state: _State, live: Live, present: frozenset[str]
    ) -> Iterator[tuple[list[Instruction], Place]]:
        for value in _alternatives(let.value):
            cover = _Cover(self, let, state, live)
            cover.materialize_shared(value)
            yield cover.finish(cover.shared(value), fresh_state=let.state in self.absentable - present)

    def fresh_name(self, identifier: str, taken: Iterable[str]) -> str:
        taken = set(taken)
        name, n = identifier, 1
        while name in taken or (name in self.identifiers and n == 1 and name != identifier):
            n += 1
            name = f"{identifier}{n}"
        return name


def _all(block: Block) -> Iterator[Let | If]:
    for stmt in block:
        yield stmt
        if isinstance(stmt, If):
            yield from _all(stmt.then)
            yield from _all(stmt.orelse)


def _presence(condition: Expr, present: frozenset[str]) -> tuple[frozenset[str], frozenset[str]]:
    """The states known to be present in the two branches of ``condition``."""
    match condition:
        case Present(key):
            return present | {key}, present
        case Op("not", (Present(key),)):
            return present, present | {key}
        case _:
            return present, present


def _best(coverings: Iterable[tuple[list[Instruction], Place]]) -> tuple[list[Instruction], Place]:
    def cost(covering: tuple[list[Instruction], Place]) -> tuple[int, int]:
        code, _ = covering
        return sum(i.accesses for i in code), sum(not i.in_place for i in code)

    return min(coverings, key=cost)


def _alternatives(x: Expr) -> list[Expr]:
    """``x``, and ``x`` with each quotient or product of a sum divided out: ``(a + b) / d`` as ``a/d + b/d``."""
    if not is_tensor(x) or x.type.dtype is not DType.REAL:
        return [x]
    terms: list[Term] = []
    for t in to_sum(x):
        sums = [f for f in t.numerator if len(to_sum(f)) > 1]
        if len(sums) == 1 and len(t.numerator) == 1 and len(t.denominator) == 1:
            terms += [
                Term(t.coefficient * inner.coefficient, inner.numerator, inner.denominator + t.denominator)
                for inner in to_sum(sums[0])
            ]
        elif len(sums) == 1 and len(t.numerator) == 1 and not t.denominator:
            terms += [inner.scaled(t.coefficient) for inner in to_sum(sums[0])]
        else:
            terms.append(t)
    expanded = from_sum(tuple(terms))
    return [x] if expanded == x else [x, expanded]


class _Cover:
    """The code for one ``Let`` under way."""

    def __init__(self, selector: _Selector, let: Let, state: _State, live: Live):
        self.selector = selector
        self.let = let
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

    def temporary(self, role: str) -> Place:
        self.selector.temporaries += 1
        taken = self.live_variables | {p.variable for v, p in self.state.places.items() if self.unread[v] > 0}
        taken |= {i.target for i in self.code} | {o for i in self.code for o in i.operands}
        taken |= self.selector.identifiers | {p.variable for p in self.held}
        return Place(
            self.selector.fresh_name(role, taken), frozenset((f"t{self.selector.temporaries}",)), owned=True
        )

    def read(self, value: Expr) -> Place:
        self.unread[value] -= 1
        return self.state.places[value]

    def reusable(self, place: Place) -> bool:
        """Whether the buffer of an operand just read may be overwritten by the result."""
        if any(self.unread[v] > 0 and p.buffers & place.buffers for v, p in self.state.places.items()):
            return False
        if any(p.buffers & place.buffers for p in self.held):
            return False
        if place.buffers & self.live_buffers or "grad" in place.buffers:
            return False
        return self.ours(place) or place.buffers == {self.let.state}

    def ours(self, place: Place) -> bool:
        return all(b.startswith("t") and b[1:].isdigit() for b in place.buffers)

    def emit(
        self,
        op: str,
        operands: tuple[Place, ...],
        scalars: tuple[Expr, ...] = (),
        role: str = "update",
        layout: str = "",
        can_reuse: bool = True,
    ) -> Place:
        """Appends one operation, in place on its first operand where that is allowed."""
        names = tuple(p.variable for p in operands)
        if can_reuse and operands and self.reusable(operands[0]):
            self.code.append(Instruction(op, names[0], names, scalars, in_place=True, layout=layout))
            return operands[0]
        result = self.temporary(role)
        self.code.append(Instruction(op, result.variable, names, scalars, layout=layout))
        return result

    # -------------------------------------------------------------------------------------------------- expressions

    def value(self, x: Expr, role: str = "update") -> Place:
        """Computes the tensor ``x``."""
        if x in self.state.places:
            return self.read(x)
        match x:
            case Op() if x.type.dtype is DType.BOOL:
                return self.condition(x)
            case Op("sqrt" | "abs" | "sign" | "exp" | "log" | "floor" as op, (a,)):
                return self.emit(op, (self.value(a, role),), role=role)
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
            case Op("full", (s,)):
                return self.read(self.filled(s, role))
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
        left, right = self.values((a, role), (b, role))
        if not self.reusable(left) and self.reusable(right):
            left, right = right, left
        return self.emit(op, (left, right), role=role)

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
        if not is_tensor(c) and not (self.selector.target.device_scalars and depends_on_device(c)):
            return self.choose(c, a, b, role)
        if not (is_tensor(a) or is_tensor(b)):
            a = self.filled(a, role)  # of two numbers torch would make a tensor of the default dtype
        parts = [(x, "mask" if i == 0 else role) for i, x in enumerate((c, a, b))]
        layout = "".join("t" if is_tensor(x) else "s" for x, _ in parts)
        tensors = self.values(*((x, r) for x, r in parts if is_tensor(x)))
        scalars = tuple(x for x, _ in parts if not is_tensor(x))
        return self.emit("where", tensors, scalars, role, layout, can_reuse=False)

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
        ref = Ref(f"{place.variable}.filled", Type(DType.REAL, Rate.ELEMENT))
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
        rest = [t for t in terms if t is not start]
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

        def rank(t: Term) -> tuple[int, int]:
            if t.is_scalar:
                return 9, 0
            plain = len(t.numerator) == 1 and not t.denominator
            atom = t.numerator[0] if plain and t.numerator[0] in self.state.places else None
            in_state = atom is not None and self.state.places[atom].buffers == {self.let.state}
            return (0 if in_state else 1 if t.coefficient.is_one else 2), 0

        return min(terms, key=rank)

    def lerp(self, terms: tuple[Term, ...], role: str) -> Place | None:
        """``c a + (1 - c) b`` as ``lerp(a, b, 1 - c)``."""
        if len(terms) != 2 or any(len(t.numerator) != 1 or t.denominator for t in terms):
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
                operands.append(self.value(x, role))
                self.held.append(operands[-1])
        del self.held[mark:]
        return tuple(operands)

    def accumulate(self, result: Place, term: Term, operands: tuple[Place | Expr, ...], role: str) -> Place:
        c = term.coefficient
        scale = () if c.is_one else (c.expr,)
        if term.is_scalar:
            return self.emit("add", (result,), (c.expr,), role)
        places = tuple(o if isinstance(o, Place) else self.read(o) for o in operands)
        if len(places) == 1:
            if c.negative and c.magnitude == ONE:
                return self.emit("sub", (result, *places), role=role)
            return self.emit("add", (result, *places), scale, role)
        return self.emit("addcdiv" if term.denominator else "addcmul", (result, *places), scale, role)

    def product(self, term: Term, role: str) -> Place:
        numerator, denominator, c = list(term.numerator), list(term.denominator), term.coefficient
        if not numerator:
            result = self.emit("reciprocal", (self.value(denominator.pop(0), "denom"),), role=role)
        else:
            result = self.value(numerator.pop(0), role)
        for f in numerator:
            other = self.holding(result, f, role)
            if not self.reusable(result) and self.reusable(other):
                result, other = other, result
            result = self.emit("mul", (result, other), role=role)
        for f in denominator:
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
        if fresh_state and key not in self.live_buffers:
            if not (place.owned and self.ours(place)):
                result = self.temporary(key)
                self.code.append(Instruction("clone", key, (place.variable,)))
                place = replace(result, variable=key)
            elif place.variable != key:
                if not self.rename(place.variable, key):
                    self.code.append(Instruction("alias", key, (place.variable,)))
                place = replace(place, variable=key)
            self.code.append(Instruction("store", key, (key,)))
            return self.code, Place(key, frozenset((key,)))
        if place.buffers == {key}:
            return self.code, place
        if key in self.live_buffers:
            return self.code, self.detached(place, key)
        last = self.code[-1] if self.code else None
        if self.selector.target.out and last is not None and last.target == place.variable and _has_out(last):
            self.code[-1] = replace(last, target=key, out=True)
        else:
            self.code.append(Instruction("copy", key, (key, place.variable), in_place=True))
        return self.code, Place(key, frozenset((key,)))

    def detached(self, place: Place, key: str) -> Place:
        """The state's old value is still needed: the new one waits in a buffer of its own."""
        if place.owned and self.ours(place):
            return place
        result = self.temporary(f"new_{key}")
        self.code.append(Instruction("clone", result.variable, (place.variable,)))
        return result

    def role(self) -> str:
        return f"new_{self.let.state}" if self.let.state is not None else self.let.identifier

    def renamed(self, place: Place) -> Place:
        """A temporary takes the name that the spec has for it, if that is free; ``grad`` may be taken over."""
        name = self.let.identifier
        holder = self.state.holders.get(name)
        free = name not in self.live_variables and (holder is None or self.unread[holder] == 0)
        if place.variable == name or not free or not self.selector.may_hold_a_local(name):
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
    """Whether the operation, not in place as it is, can write into a given buffer."""
    return not i.in_place and i.op not in ("choose", "clone") and not (i.op == "where" and i.scalars)


def _renamed(i: Instruction, old: str, new: str, first: bool) -> Instruction:
    """``i`` with ``old`` called ``new``; the instruction that makes it may still read another value of that name."""
    operands = i.operands if first else tuple(new if o == old else o for o in i.operands)
    return replace(i, target=new if i.target == old else i.target, operands=operands)


def _reads(x: Expr) -> Iterator[Expr]:
    """What computing ``x`` computes or reads, as often as it does: a square is a product of two factors."""
    yield x
    args = children(x)
    if isinstance(x, Op) and x.op == "pow" and x.args[1] == Const(2):
        args = (x.args[0], x.args[0])
    for a in args:
        yield from _reads(a)


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
