"""Brings each expression to where it is used: copies, factors common to two branches, values read once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from optdsl.ir.nodes import (
    Block,
    Call,
    Const,
    Expr,
    If,
    Let,
    Merge,
    Op,
    Program,
    Rate,
    Ref,
    StateValue,
    Stmt,
    statements,
    walk,
)
from optdsl.ir.passes.ranges import Ranges
from optdsl.ir.passes.rewrite import defined_names, map_program, substitute, substitute_program, uses
from optdsl.ir.passes.terms import Coefficient, Term, canonical, from_term, is_tensor, to_sum


def propagate_copies(program: Program) -> Program:
    """``x = y`` and merges of one value with itself: readers of x read y. New values of states stay named."""
    copies: dict[str, Expr] = {}
    for stmt in statements(program.body):
        if isinstance(stmt, Let):
            if stmt.state is None and not isinstance(stmt.value, Op | Call):
                copies[stmt.name] = substitute(stmt.value, copies)
        else:
            for m in stmt.merges:
                then, orelse = substitute(m.then, copies), substitute(m.orelse, copies)
                if then == orelse:
                    copies[m.name] = then
    # An `if` is met before what stands in its branches, so its merges may name copies that were not known yet.
    while (resolved := {name: substitute(value, copies) for name, value in copies.items()}) != copies:
        copies = resolved
    return substitute_program(program, copies)


def forget_passing_states(program: Program) -> Program:
    """A new value of a tensor state that is itself replaced later in the step need not be in the state's buffer."""
    kept = {program.param, *(v for _, v in program.new_states)}
    for stmt in statements(program.body):
        if isinstance(stmt, If):
            kept |= {v for m in stmt.merges if m.state is not None for v in (m.then, m.orelse)}

    def forget(block: Block) -> Block:
        return tuple(
            replace(s, then=forget(s.then), orelse=forget(s.orelse))
            if isinstance(s, If)
            else s
            if s.state is None or s.ref in kept or not is_tensor(s.value)
            else replace(s, state=None)
            for s in block
        )

    return program.with_body(forget(program.body))


def hoist_scalar_factors(program: Program) -> Program:
    """Every tensor expression in canonical form (:mod:`.terms`): scalar factors outside, like terms added up."""
    ranges = Ranges(program)
    return map_program(program, lambda x: canonical(x, lambda s: ranges.of(s).nonnegative))


def factor_merges(program: Program) -> Program:
    """``v̂ = a / c`` in one branch and ``b / c`` in the other becomes ``v̂ = (a or b) / c`` after them."""
    count = uses(program)
    body, changed = _factor_block(program.body, count)
    return program.with_body(body) if changed else program


def _factor_block(block: Block, count: dict[str, int]) -> tuple[Block, bool]:
    result: list[Stmt] = []
    changed = False
    for stmt in block:
        if isinstance(stmt, Let):
            result.append(stmt)
            continue
        then, changed_then = _factor_block(stmt.then, count)
        orelse, changed_else = _factor_block(stmt.orelse, count)
        stmt = replace(stmt, then=then, orelse=orelse)
        changed = changed or changed_then or changed_else
        after: list[Let] = []
        merges: list[Merge] = []
        for m in stmt.merges:
            stmt, merge, scaled = _factor_merge(stmt, m, count)
            merges.append(merge)
            after += scaled
        changed = changed or bool(after)
        result.append(replace(stmt, merges=tuple(merges)))
        result += after
    return tuple(result), changed


def _factor_merge(stmt: If, m: Merge, count: dict[str, int]) -> tuple[If, Merge, list[Let]]:
    unchanged: tuple[If, Merge, list[Let]] = stmt, m, []
    if m.state is not None or not (isinstance(m.then, Ref) and isinstance(m.orelse, Ref)):
        return unchanged
    then, orelse = _own_let(stmt.then, m.then), _own_let(stmt.orelse, m.orelse)
    if then is None or orelse is None or count[then.name] != 1 or count[orelse.name] != 1:
        return unchanged
    a, b = _single_term(then.value), _single_term(orelse.value)
    if a is None or b is None or a.coefficient != b.coefficient or a.coefficient.is_one:
        return unchanged
    inside = {n for s in (*statements(stmt.then), *statements(stmt.orelse)) for n in defined_names(s)}
    if any(isinstance(n, Ref) and n.name in inside for n in walk(a.coefficient.expr)):
        return unchanged
    plain = {
        then.name: from_term(replace(a, coefficient=Coefficient())),
        orelse.name: from_term(replace(b, coefficient=Coefficient())),
    }
    stmt = replace(stmt, then=_with_values(stmt.then, plain), orelse=_with_values(stmt.orelse, plain))
    merge = replace(m, name=m.name + "u")
    scaled = Let(m.name, from_term(Term(a.coefficient, (merge.ref,))))
    return stmt, merge, [scaled]


def _own_let(block: Block, ref: Ref) -> Let | None:
    return next((s for s in block if isinstance(s, Let) and s.name == ref.name and s.state is None), None)


def _single_term(x: Expr) -> Term | None:
    if not is_tensor(x):
        return None
    terms = to_sum(x)
    return terms[0] if len(terms) == 1 else None


def _with_values(block: Block, values: dict[str, Expr]) -> Block:
    return tuple(replace(s, value=values[s.name]) if isinstance(s, Let) and s.name in values else s for s in block)


# ------------------------------------------------------------------------------------------- forward substitution


def inline_single_uses(program: Program) -> Program:
    """A tensor that one expression reads is computed there, so that both can be covered by one fused operation.

    Not where a state that it reads has been given its new value in between: the old value would have to be kept.
    """
    while (let := _movable(program)) is not None:
        program = substitute_program(_without(program, let), {let.name: let.value})
    return program


def _movable(program: Program) -> Let | None:
    count = uses(program)
    for block in _blocks(program.body):
        for i, stmt in enumerate(block):
            if (
                isinstance(stmt, Let)
                and stmt.state is None
                and is_tensor(stmt.value)
                and count[stmt.name] == 1
                and _can_move(stmt, block[i + 1 :])
            ):
                return stmt
    return None


def _without(program: Program, let: Let) -> Program:
    def drop(block: Block) -> Block:
        return tuple(
            s if isinstance(s, Let) else replace(s, then=drop(s.then), orelse=drop(s.orelse))
            for s in block
            if s is not let
        )

    return program.with_body(drop(program.body))


def _blocks(block: Block) -> Iterator[Block]:
    yield block
    for stmt in block:
        if isinstance(stmt, If):
            yield from _blocks(stmt.then)
            yield from _blocks(stmt.orelse)


def _can_move(let: Let, following: Block) -> bool:
    operands = {state for node in walk(let.value) if (state := _state_of(node, following)) is not None}
    for stmt in following:
        if _merges_read(stmt, let.name):
            return False
        if isinstance(stmt, Let):
            if _reads(stmt.value, let.name):
                return True
            if stmt.state in operands:
                return False
        else:
            inner = tuple(statements((stmt,)))
            reads = any(_reads(s.value if isinstance(s, Let) else s.condition, let.name) for s in inner)
            if any(s.state in operands for s in inner if isinstance(s, Let)):
                return False
            if reads:
                return True
    return False


def _merges_read(stmt: Stmt, name: str) -> bool:
    return any(
        isinstance(s, If) and any(isinstance(a, Ref) and a.name == name for m in s.merges for a in (m.then, m.orelse))
        for s in statements((stmt,))
    )


def _reads(x: Expr, name: str) -> bool:
    return any(isinstance(n, Ref) and n.name == name for n in walk(x))


def _state_of(node: Expr, following: Block) -> str | None:
    """The buffer that an atom may live in; a reference is judged by its identifier, which states share."""
    match node:
        case StateValue(key, Rate.ELEMENT):
            return key
        case Ref(type=type_) if type_.rate is Rate.ELEMENT:
            return node.identifier
        case Const():
            return None
        case _:
            return "param" if type(node).__name__ == "Param" else None
