"""Takes the scalar work out of the per-element work: it is done once per group and step, in a prelude."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import count

from optdsl.ir.nodes import (
    Block,
    Const,
    DType,
    Expr,
    Hyper,
    If,
    Let,
    Merge,
    Op,
    Present,
    Program,
    Rate,
    Ref,
    StateValue,
    Stmt,
    Time,
    children,
    statements,
    walk,
    with_children,
)
from optdsl.ir.passes.rewrite import defined_names, expressions, live_statements, names_read


@dataclass(frozen=True)
class Split:
    """A program in two parts: ``prelude`` computes scalars only, ``body`` tensors from them, and what is reduced.

    Both keep the branches of the program. The prelude also advances scalar states (``Let.state``).
    """

    program: Program
    prelude: Block
    body: Block


def device_scalars(split: Split) -> dict[str, str]:
    """A variable for every scalar that the body computes, by its SSA name; no other value is called so."""
    program = split.program
    taken = {"param", "grad", "step", "maximize", *(h.name for h in program.scalars), *(s.key for s in program.states)}
    taken |= host_variables(split)
    variables: dict[str, str] = {}
    for stmt in statements(split.body):
        for value in (stmt,) if isinstance(stmt, Let) else stmt.merges:
            if value.ref.type.rate is Rate.TENSOR:
                name = next(n for n in _numbered(value.identifier) if n not in taken)
                taken.add(name)
                variables[value.name] = name
    return variables


def host_variables(split: Split) -> set[str]:
    """What the variables of the prelude's scalars may be called: as each scalar, or as one version of it."""
    names = [name for stmt in statements(split.prelude) for name in defined_names(stmt)]
    return {name.partition(".")[0] for name in names} | set(map(versioned, names))


def versioned(ssa: str) -> str:
    """A variable for one version alone."""
    return ssa.replace(".", "_")


def _numbered(identifier: str) -> Iterator[str]:
    yield identifier
    yield from (f"{identifier}_{n}" for n in count(2))


def split_scalars(program: Program) -> Split:
    """Moves every scalar statement, and every scalar expression worth a name, into the prelude.

    Such scalars never depend on tensors, so the prelude can run first; those that do are in the body. An expression
    stays inside the branch that it was written in: ``√(…)`` that only makes sense for ``ρ_t > 5`` is not computed
    otherwise.
    """
    return _Splitter(program).run()


@dataclass
class _Scope:
    """The hoisted expressions visible in a block, and the prelude statements of that block so far."""

    known: dict[Expr, Ref] = field(default_factory=dict)
    prelude: list[Stmt] = field(default_factory=list)


class _Splitter:
    def __init__(self, program: Program):
        self.program = program
        self.identifiers = Counter(s.identifier for s in statements(program.body) if isinstance(s, Let))
        self.identifiers.update(h.name for h in program.scalars)
        self.identifiers.update(s.key for s in program.states)
        self.identifiers.update(("param", "grad", "step"))

    def run(self) -> Split:
        prelude, body = self.block(self.program.body, {})
        read = set().union(*map(names_read, expressions(self.program.with_body(body))))
        return Split(self.program, live_statements(prelude, read), body)

    def block(self, block: Block, known: dict[Expr, Ref]) -> tuple[Block, Block]:
        scope = _Scope(dict(known))
        body: list[Stmt] = []
        for stmt in block:
            if isinstance(stmt, Let):
                if stmt.value.type.rate < Rate.TENSOR:
                    value = self.name_parts(stmt.value, scope)
                    scope.prelude.append(replace(stmt, value=value))
                    if stmt.state is None and isinstance(value, Op):
                        scope.known.setdefault(stmt.value, stmt.ref)
                else:
                    role = "step_size" if stmt.state == "param" else f"{stmt.identifier}_scale"
                    body.append(replace(stmt, value=self.hoist(stmt.value, scope, role)))
            else:
                condition = self.hoist(stmt.condition, scope, "condition")
                then_prelude, then_body = self.block(stmt.then, scope.known)
                else_prelude, else_body = self.block(stmt.orelse, scope.known)
                scalar_merges = tuple(m for m in stmt.merges if m.ref.type.rate < Rate.TENSOR)
                tensor_merges = tuple(m for m in stmt.merges if m.ref.type.rate >= Rate.TENSOR)
                if then_prelude or else_prelude or scalar_merges:
                    scope.prelude.append(If(condition, then_prelude, else_prelude, scalar_merges, stmt.span))
                if then_body or else_body or tensor_merges:
                    body.append(If(condition, then_body, else_body, tensor_merges, stmt.span))
        return tuple(scope.prelude), tuple(body)

    def hoist(self, x: Expr, scope: _Scope, role: str) -> Expr:
        """``x`` with its scalar parts named in the prelude, where they are worth a name."""
        if x.type.rate < Rate.TENSOR:
            if not _worth_a_name(x):
                return self.name_parts(x, scope)
            if isinstance(x, Op) and x.op == "neg":
                return Op("neg", (self.hoist(x.args[0], scope, role),))
            return self.named(x, scope, role)
        if isinstance(x, Op) and x.op == "div":
            above, below = x.args
            inner = "divisor" if role == "step_size" and below.type.rate < Rate.ELEMENT else role
            return Op("div", (self.hoist(above, scope, role), self.hoist(below, scope, inner)))
        args = children(x)
        return with_children(x, tuple(self.hoist(a, scope, role) for a in args)) if args else x

    def name_parts(self, x: Expr, scope: _Scope) -> Expr:
        """``x`` with the parts that have a name of their own in the field (bias corrections) named, the rest as is."""
        if x in scope.known:
            return scope.known[x]
        new = with_children(x, tuple(self.name_parts(a, scope) for a in children(x)))
        identifier = _field_name(new)
        if identifier is None:
            return new
        return self.define(x, new, identifier, scope)

    def named(self, x: Expr, scope: _Scope, role: str) -> Ref:
        if x in scope.known:
            return scope.known[x]
        new = self.name_parts(x, scope)
        if isinstance(new, Ref):
            return new
        return self.define(x, new, role, scope)

    def define(self, x: Expr, value: Expr, identifier: str, scope: _Scope) -> Ref:
        number = self.identifiers[identifier]
        self.identifiers[identifier] += 1
        name = f"{identifier}{'_' + str(number + 1) if number else ''}.0"
        let = Let(name, value)
        scope.prelude.append(let)
        scope.known[x] = let.ref
        return let.ref


def _worth_a_name(x: Expr) -> bool:
    """Whether a scalar read by tensor code is computed once beforehand rather than written out in place."""
    if not isinstance(x, Op):
        return False
    ops = sum(isinstance(n, Op) for n in walk(x))
    if x.type.rate <= Rate.GROUP:
        return ops > 2
    match x:
        case Op("neg", (Op(),)):
            return True
        case Op("neg" | "not", _) | Op("sub", (Const(1), Ref() | Time() | StateValue())):
            return False
        case Op("eq" | "ne" | "lt" | "le" | "gt" | "ge", _) if ops == 1:
            return False
        case _:
            return True


def _field_name(x: Expr) -> str | None:
    """The name that the field has for a scalar of this shape."""
    match x:
        case Op("sub", (Const(1), Op("pow", (Hyper(name), Time())))):
            return "bias_correction" + name[len(name.rstrip("0123456789")) :]
        case Op("sqrt", (Ref() as ref,)) if ref.identifier.startswith("bias_correction"):
            return f"{ref.identifier}_sqrt"
        case _:
            return None


def predicate_step_branches(program: Program) -> Program:
    """Branches on a per-step scalar become ``select``s, for code that must not read scalars on the host.

    Presence of a state stays a branch: it is a fact about the state dict, not a number on the device.
    """
    conditions = {s.key: s.condition for s in program.states if s.condition is not None}
    return program.with_body(_predicate(program.body, conditions))


def _predicate(block: Block, conditions: dict[str, Expr]) -> Block:
    result: list[Stmt] = []
    for stmt in block:
        if isinstance(stmt, Let):
            result.append(stmt)
            continue
        then, orelse = _predicate(stmt.then, conditions), _predicate(stmt.orelse, conditions)
        if not depends_on_device(stmt.condition):
            result.append(replace(stmt, then=then, orelse=orelse))
            continue
        result += [_local(s) for s in (*then, *orelse)]
        for m in stmt.merges:
            selected = _selected(m, stmt.condition)
            exists = conditions.get(m.state or "")
            result.append(selected if exists is None else _guarded(selected, exists, m.orelse))
    return tuple(result)


def _local(stmt: Stmt) -> Stmt:
    """A statement that now always runs must not be taken for the state's new value: only the selected one is."""
    if isinstance(stmt, Let):
        return replace(stmt, state=None)
    return replace(
        stmt,
        then=tuple(_local(s) for s in stmt.then),
        orelse=tuple(_local(s) for s in stmt.orelse),
        merges=tuple(replace(m, state=None) for m in stmt.merges),
    )


def _selected(m: Merge, condition: Expr) -> Let:
    return Let(m.name, Op("select", (condition, m.then, m.orelse)), m.state)


def _guarded(let: Let, exists: Expr, otherwise: Expr) -> If:
    """A state's new value, only where the flag that it exists under is on."""
    inner = replace(let, name=f"{let.name}selected")
    return If(exists, (inner,), (), (Merge(let.name, inner.ref, otherwise, let.state),))


def depends_on_device(condition: Expr) -> bool:
    """Whether a condition reads the step count, a scalar state or what a reduction makes of a tensor.

    These live on the device, the first two only when capturable.
    """
    return any(
        isinstance(n, Time | StateValue)
        or (isinstance(n, Ref) and n.type.rate in (Rate.STEP, Rate.TENSOR) and n.type.dtype is not DType.CHOICE)
        for n in walk(condition)
        if not isinstance(n, Present)
    )
