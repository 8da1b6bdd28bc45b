"""What pages leave to their readers, made explicit: the conventions of papers become those of the language.

Papers call the parameter ``w`` or ``x``, write ``θ_{t+1} ← θ_t - …`` or no time at all, give a constant among the
initial values, test a flag with ``= True``, sum with a vector of ones, and do not list every input or state. None of
this is a mistake; each function here undoes one such habit, on the syntax tree.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from optdsl.importer.box import Box
from optdsl.importer.defaults import with_defaults
from optdsl.importer.header import FIELD_NAMES
from optdsl.importer.translator import ONES
from optdsl.importer.tree import rewritten, walk
from optdsl.syntax import ast
from optdsl.syntax.ast import Symbol, Time
from optdsl.syntax.names import display, python_name

PARAMETER = Symbol("θ")
STEP = Symbol("t")
HIDDEN_FLAGS = frozenset({"maximize", "foreach", "fused", "capturable", "differentiable"})
"""What every optimizer has without being told."""


@dataclass(frozen=True)
class Mended:
    """A mended optimizer, and what was added to it: inputs that the box does not list, states without a value.

    ``filled`` are the first symbols of inputs whose defaults are known from elsewhere.
    """

    optimizer: ast.Optimizer
    inputs: frozenset[Symbol]
    states: frozenset[Symbol]
    filled: frozenset[Symbol]


def without_maximize(optimizer: ast.Optimizer) -> ast.Optimizer:
    """``if maximize: g ← -∇f … else g ← ∇f …`` is what every optimizer does: ``g ← ∇f …``."""

    def rewrite(node: Any) -> Any:
        match node:
            case ast.If(
                (
                    ast.Branch(
                        ast.Name(Symbol("maximize")), (ast.Assign(targets, ast.Unary("-", ast.Gradient()), where),)
                    ),
                ),
                (ast.Assign(same, ast.Gradient(), same_where) as plain,),
            ) if (targets, where) == (same, same_where):
                return plain
        return node

    return rewritten(optimizer, rewrite)


def mend(optimizer: ast.Optimizer, box: Box, defaults: Mapping[str, object]) -> Mended:
    """The ``optimizer`` of ``box`` in the language's conventions.

    ``defaults`` are known from elsewhere than the page, by argument.
    """
    optimizer = _renamed(optimizer, box.parameter)
    optimizer = _with_gradient(optimizer)
    optimizer = _shifted(optimizer)
    optimizer = without_maximize(optimizer)
    optimizer = _products(_sums(_plain_conditions(optimizer)))
    optimizer = _counted_from_one(optimizer) if box.from_zero else optimizer
    optimizer = _without_constants(optimizer)
    optimizer = _timed(optimizer)
    optimizer = _without_copies(optimizer)
    optimizer, states = _with_states(optimizer)
    optimizer = _inputs(_without_bounds(optimizer, box.bounds), box.flags)
    optimizer, inputs = _with_inputs(optimizer)
    optimizer = _tuples(optimizer)
    optimizer = _with_conditions(optimizer)
    optimizer, filled = with_defaults(optimizer, defaults)
    return Mended(optimizer, inputs, states, filled)


# ------------------------------------------------------------------------------------------------------------- names


def simplified(module: ast.Module) -> ast.Module:
    """``module`` with sums in place of calls and matrix products: it reads the same values at the same places."""

    def rewrite(node: Any) -> Any:
        match node:
            case ast.Call(_, arguments, parameters) if arguments:
                total = arguments[0]
                for argument in (*arguments[1:], *parameters):
                    total = ast.Binary("+", total, argument, node.span)
                return total
            case ast.Binary("@", left, right):
                return ast.Binary("+", left, right, node.span)
            case ast.Unary("transpose", operand):
                return operand
            case ast.Branch(condition) if isinstance(condition, ast.Compare):
                return replace(node, condition=ast.Bool(True, condition.span))
        return node

    return rewritten(module, rewrite)


def _renamed(optimizer: ast.Optimizer, parameter: str) -> ast.Optimizer:
    """θ for what the page calls the parameter, and another letter for what else it calls θ."""
    names = [n for n in walk(optimizer) if isinstance(n, ast.Name)]
    called = next((n.symbol for n in names if display(n.symbol) == parameter), None)
    if called is None or called == PARAMETER:
        return replace(optimizer, returns=_returned(optimizer, PARAMETER))
    used = {n.symbol for n in names}
    symbols = {called: PARAMETER}
    if any(n.symbol == PARAMETER for n in names if n is not optimizer.returns):
        symbols[PARAMETER] = next(s for s in map(Symbol, OTHER_LETTERS) if s not in used)

    def rewrite(node: Any) -> Any:
        if isinstance(node, ast.Name) and node.symbol in symbols:
            return replace(node, symbol=symbols[node.symbol])
        return node

    return replace(rewritten(optimizer, rewrite), returns=_returned(optimizer, called))


def _returned(optimizer: ast.Optimizer, called: Symbol) -> Any:
    """What is returned: θ_t for ``w_T``, the last parameter."""
    returned = optimizer.returns
    if not isinstance(returned, ast.Name) or replace(returned.symbol, subscript=called.subscript) != called:
        return returned
    return replace(returned, symbol=PARAMETER, time=returned.time if returned.symbol == called else Time.NOW)


OTHER_LETTERS = "τκξζχψωσφABCDEFGHIJKLMNOPQRSTUVWXYZ"
"""Letters for what a page calls θ that is not the parameter."""


def _with_gradient(optimizer: ast.Optimizer) -> ast.Optimizer:
    """``g_t ← ∇f_t(θ_{t-1})`` in front, where the page only reads ``g_t``."""
    if any(isinstance(n, ast.Gradient) for n in walk(optimizer.body)):
        return optimizer
    known = {n.symbol for i in optimizer.inputs for n in i.names}
    known |= {t.symbol for s in walk(optimizer.body) if isinstance(s, ast.Assign) for t in s.targets}
    for name in walk(optimizer.body):
        if isinstance(name, ast.Name) and name.symbol.base in ("g", "G") and name.symbol not in known:
            gradient = ast.Gradient(name.span)
            time = Time.NONE if name.time is Time.NONE else Time.NOW
            first = ast.Assign((replace(name, time=time),), gradient, None, name.span)
            return replace(optimizer, body=(first, *optimizer.body))
    return optimizer


def _shifted(optimizer: ast.Optimizer) -> ast.Optimizer:
    """``θ_{t+1} ← θ_t - …`` counts from the step before: one less for every name that is assigned so, and only so."""
    targets = [t for s in walk(optimizer.body) if isinstance(s, ast.Assign) for t in s.targets]
    later = {t.symbol for t in targets if t.time is Time.NEXT} - {t.symbol for t in targets if t.time is Time.NOW}
    reads = {(n.symbol, n.time) for n in walk(optimizer.body) if isinstance(n, ast.Name)}
    later = {s for s in later if (s, Time.NOW) in reads and (s, Time.PREVIOUS) not in reads}
    before = {Time.NEXT: Time.NOW, Time.NOW: Time.PREVIOUS}

    def rewrite(node: Any) -> Any:
        if isinstance(node, ast.Name) and node.symbol in later:
            return replace(node, time=before.get(node.time, node.time))
        return node

    changed: ast.Optimizer = replace(optimizer, body=rewritten(optimizer.body, rewrite))
    if PARAMETER in later and isinstance(optimizer.returns, ast.Name):
        changed = replace(changed, returns=replace(optimizer.returns, time=Time.NOW))
    return changed


def _counted_from_one(optimizer: ast.Optimizer) -> ast.Optimizer:
    """``t - 1`` for the count of a page that begins with 0, and ``t`` for its ``t + 1``."""

    def rewrite(node: Any) -> Any:
        match node:
            case ast.Binary("+", ast.Binary("-", ast.StepTime() as count, ast.Number(1)), ast.Number(1)):
                return count
        one = ast.Number(1, "1", node.span) if isinstance(node, ast.StepTime) else None
        return ast.Binary("-", node, one, node.span) if one else node

    return replace(optimizer, body=rewritten(optimizer.body, rewrite))


def _timed(optimizer: ast.Optimizer) -> ast.Optimizer:
    """A state, θ or the gradient that the page writes without a time is meant as it is now; an input has no time."""
    inputs = {n.symbol for i in optimizer.inputs for n in i.names}
    states = {s.name.symbol for s in optimizer.states if s.name.symbol != STEP} | {PARAMETER}
    gradients = {
        t.symbol
        for s in walk(optimizer.body)
        if isinstance(s, ast.Assign) and isinstance(s.value, ast.Gradient)
        for t in s.targets
        if t.time is Time.NONE
    }
    assigned = {t.symbol for s in walk(optimizer.body) if isinstance(s, ast.Assign) for t in s.targets}
    scheduled = (inputs & assigned) - states
    inputs -= assigned

    def rewrite(node: Any) -> Any:
        if isinstance(node, ast.Name) and node.symbol in scheduled and node.time is Time.INITIAL:  # γ_t ← γ_0 (1 - t/T)
            return replace(node, time=Time.NONE)
        if isinstance(node, ast.Name) and node.time is Time.NONE and node.symbol in states | gradients:
            return replace(node, time=Time.NOW)
        if isinstance(node, ast.Name) and node.symbol in inputs and node.time is not Time.NONE:
            return replace(node, time=Time.NONE)
        return node

    initial = tuple(
        replace(s, name=replace(s.name, time=Time.INITIAL)) if s.value is not None and s.name.symbol != STEP else s
        for s in rewritten(optimizer.states, lambda n: n)
    )
    return replace(
        optimizer,
        inputs=rewritten(optimizer.inputs, rewrite),
        states=initial,
        body=rewritten(optimizer.body, rewrite),
        returns=rewritten(optimizer.returns, rewrite),
    )


# ---------------------------------------------------------------------------------------------------------- formulas


def _plain_conditions(optimizer: ast.Optimizer) -> ast.Optimizer:
    """``nesterov = true`` is ``nesterov``; a case under ``not c`` behind one under ``c`` is ``otherwise``; the maximum
    of one tensor is that of its elements.
    """

    def rewrite(node: Any) -> Any:
        match node:
            case ast.Call("max" | "min", (_,), (), None | ""):
                return replace(node, over="all")
            case ast.Compare((operand, ast.Bool(value)), ("=" | "≠" as op,)):
                return operand if value == (op == "=") else ast.Unary("not", operand, node.span)
            case ast.Cases((first, ast.Case(value, ast.Unary("not", condition)))) if condition == first.condition:
                return replace(node, cases=(first, replace(node.cases[1], condition=None)))
        return node

    return rewritten(optimizer, rewrite)


def _sums(optimizer: ast.Optimizer) -> ast.Optimizer:
    """``X · 1_m`` sums over columns, ``1_nᵀ · X`` over rows."""

    def rewrite(node: Any) -> Any:
        if not (isinstance(node, ast.Binary) and node.op == "*"):
            return node
        factors = list(_factors(node))
        for i, factor in enumerate(factors):
            if _is_ones(factor) and i > 0:
                return _product([_sum(_product(factors[:i]), "cols"), *factors[i + 1 :]])
            if isinstance(factor, ast.Unary) and _is_ones(factor.operand) and i + 1 < len(factors):
                return _product([*factors[:i], _sum(_product(factors[i + 1 :]), "rows")])
        return node

    return rewritten(optimizer, rewrite)


def _products(optimizer: ast.Optimizer) -> ast.Optimizer:
    """``xᵀ y`` of vectors, in small letters, is a sum; ``G Gᵀ`` and ``Gᵀ G`` are matrix products."""

    def rewrite(node: Any) -> Any:
        if not (isinstance(node, ast.Binary) and node.op == "*"):
            return node
        factors = list(_factors(node))
        for i, (left, right) in enumerate(pairwise(factors)):
            if (product := _of_transposed(left, right)) is not None:
                return _product([*factors[:i], product, *factors[i + 2 :]])
        return node

    return rewritten(optimizer, rewrite)


def _of_transposed(left: ast.Expr, right: ast.Expr) -> ast.Expr | None:
    """The product of two names of one letter, one of which is transposed."""
    x, y = (f.operand if isinstance(f, ast.Unary) and f.op == "transpose" else f for f in (left, right))
    if (x is left and y is right) or not (isinstance(x, ast.Name) and isinstance(y, ast.Name)):
        return None
    if len(x.symbol.base) > 1 or len(y.symbol.base) > 1:
        return None
    span = left.span.to(right.span)
    if x.symbol.base.isupper() or y.symbol.base.isupper():
        return ast.Binary("@", left, right, span)
    return None if x is left else _sum(ast.Binary("*", x, y, span), "")


def _is_ones(node: ast.Expr) -> bool:
    return isinstance(node, ast.Name) and node.symbol.base.startswith(ONES)


def _factors(node: ast.Expr) -> Iterable[ast.Expr]:
    if isinstance(node, ast.Binary) and node.op == "*":
        yield from _factors(node.left)
        yield from _factors(node.right)
    else:
        yield node


def _product(factors: list[ast.Expr]) -> ast.Expr:
    product = factors[0]
    for factor in factors[1:]:
        product = ast.Binary("*", product, factor, product.span.to(factor.span))
    return product


def _sum(of: ast.Expr, over: str) -> ast.Expr:
    return ast.Call("sum", (of,), over=over, span=of.span, name_span=of.span)


# ---------------------------------------------------------------------------------------------------- inputs, states


def _without_constants(optimizer: ast.Optimizer) -> ast.Optimizer:
    """A value among the initial ones that no step assigns is a constant: the step computes it (``ρ_∞``)."""
    assigned = {t.symbol for s in walk(optimizer.body) if isinstance(s, ast.Assign) for t in s.targets}
    constants = [s for s in optimizer.states if s.name.symbol not in assigned and s.name.symbol != STEP]
    moved = tuple(ast.Assign((s.name,), s.value, None, s.span) for s in constants if s.value is not None)
    at = 1 + next((i for i, s in enumerate(optimizer.body) if _assigns_gradient(s)), -1)
    states = tuple(s for s in optimizer.states if s not in constants)
    return replace(optimizer, states=states, body=(*optimizer.body[:at], *moved, *optimizer.body[at:]))


def _assigns_gradient(stmt: ast.Stmt) -> bool:
    return isinstance(stmt, ast.Assign) and isinstance(stmt.value, ast.Gradient)


def _without_copies(optimizer: ast.Optimizer) -> ast.Optimizer:
    """``θ_t ← θ_{t-1}`` at the head of a step says what holds anyway: ``θ_t`` starts as it was."""
    kept: list[ast.Stmt] = []
    assigned: set[Symbol] = set()
    for stmt in optimizer.body:
        match stmt:
            case ast.Assign((ast.Name(symbol, Time.NOW),), ast.Name(same, Time.PREVIOUS), None) if symbol == same:
                if symbol not in assigned:
                    continue
        kept.append(stmt)
        assigned |= {t.symbol for s in walk(stmt) if isinstance(s, ast.Assign) for t in s.targets}
    return replace(optimizer, body=tuple(kept))


def _with_conditions(optimizer: ast.Optimizer) -> ast.Optimizer:
    """A state that is used only under a condition on inputs exists only under it."""
    inputs = {n.symbol for i in optimizer.inputs for n in i.names}
    guards: list[tuple[ast.Expr, set[Symbol]]] = []
    outside: set[Symbol] = set()
    for stmt in optimizer.body:
        match stmt:
            case ast.If((ast.Branch(condition, body),), orelse) if _symbols(condition) <= inputs:
                guards.append((condition, _symbols(body)))
                outside |= _symbols(orelse)
            case _:
                outside |= _symbols(stmt)
    states = []
    for state in optimizer.states:
        under = [condition for condition, symbols in guards if state.name.symbol in symbols]
        if state.condition is None and under and state.name.symbol not in outside and len(set(under)) == 1:
            state = replace(state, condition=under[0])
        states.append(state)
    return replace(optimizer, states=tuple(states))


def _symbols(node: Any) -> set[Symbol]:
    return {n.symbol for n in walk(node) if isinstance(n, ast.Name)}


def _with_states(optimizer: ast.Optimizer) -> tuple[ast.Optimizer, frozenset[Symbol]]:
    """What is read from the step before, and has no initial value, is a state that is absent at first."""
    known = {s.name.symbol for s in optimizer.states} | {PARAMETER}
    assigned = {t.symbol for s in walk(optimizer.body) if isinstance(s, ast.Assign) for t in s.targets}
    added: dict[Symbol, ast.State] = {}
    for node in walk(optimizer.body):
        if isinstance(node, ast.Name) and node.time is Time.PREVIOUS and node.symbol in assigned - known:
            added.setdefault(node.symbol, ast.State(replace(node, time=Time.NONE), None, None, span=node.span))
    return replace(optimizer, states=(*optimizer.states, *added.values())), frozenset(added)


def _without_bounds(optimizer: ast.Optimizer, bounds: frozenset[str]) -> ast.Optimizer:
    """The number of steps, which a page lists among the inputs and no step reads, is none."""
    read = _symbols(optimizer.body) | _symbols(optimizer.states)
    inputs = tuple(
        i for i in optimizer.inputs if any(n.symbol in read or display(n.symbol) not in bounds for n in i.names)
    )
    return replace(optimizer, inputs=inputs)


def _inputs(optimizer: ast.Optimizer, flags: frozenset[str]) -> ast.Optimizer:
    """Inputs without times; words that are conditions are flags, off by default; torch's own flags need no line."""
    conditions = set(_conditions(optimizer.body))
    inputs = []
    for declaration in optimizer.inputs:
        names = tuple(replace(n, time=Time.NONE) for n in declaration.names)
        base = names[0].symbol.base
        if base in HIDDEN_FLAGS and declaration.defaults is None:
            continue
        defaults = declaration.defaults
        if defaults is None and not declaration.choices and base in flags and names[0].symbol in conditions:
            defaults = (ast.Bool(False, declaration.span),)
        called = declaration.python_name or (FIELD_NAMES.get(python_name(names[0].symbol)) if len(names) == 1 else None)
        inputs.append(replace(declaration, names=names, defaults=defaults, python_name=called))
    return replace(optimizer, inputs=tuple(inputs))


def _conditions(node: Any) -> Iterable[Symbol]:
    """The symbols that stand where a flag must stand."""
    for part in walk(node):
        tests: tuple[Any, ...] = ()
        match part:
            case ast.Branch(condition) | ast.Case(_, condition):
                tests = (condition,)
            case ast.Unary("not", operand):
                tests = (operand,)
            case ast.Binary("and" | "or", left, right):
                tests = (left, right)
        yield from (test.symbol for test in tests if isinstance(test, ast.Name))


def _with_inputs(optimizer: ast.Optimizer) -> tuple[ast.Optimizer, frozenset[Symbol]]:
    """A name that nothing declares or assigns is an input that the page leaves out; so is ``α`` in ``α_t ← α √…``."""
    known = {n.symbol for i in optimizer.inputs for n in i.names} | {s.name.symbol for s in optimizer.states}
    known |= {t.symbol for s in walk(optimizer.body) if isinstance(s, ast.Assign) for t in s.targets}
    known |= {PARAMETER, STEP}
    schedules = set(_scheduled(optimizer.body)) - {n.symbol for i in optimizer.inputs for n in i.names}
    conditions = set(_conditions(optimizer.body))
    added: dict[Symbol, ast.Input] = {}
    for node in walk((optimizer.states, optimizer.body)):
        beside_local = isinstance(node, ast.Name) and node.time is Time.NONE and node.symbol in schedules
        if isinstance(node, ast.Name) and (node.symbol not in known or beside_local) and not _is_ones(node):
            default = (ast.Bool(False, node.span),) if node.symbol in conditions else None
            name = replace(node, time=Time.NONE)
            field_name = FIELD_NAMES.get(python_name(node.symbol))
            added.setdefault(node.symbol, ast.Input((name,), field_name, default, span=node.span))
    undated = set(added) - schedules
    changed = rewritten(
        optimizer, lambda n: replace(n, time=Time.NONE) if isinstance(n, ast.Name) and n.symbol in undated else n
    )
    return replace(changed, inputs=(*changed.inputs, *added.values())), frozenset(added)


def _tuples(optimizer: ast.Optimizer) -> ast.Optimizer:
    """``β₁`` and ``β₂``, which the page gives no name, are one argument ``betas``."""
    inputs: list[ast.Input] = []
    for declaration in optimizer.inputs:
        last = inputs[-1] if inputs else None
        if last is not None and _counts_on(last, declaration):
            names = (*last.names, *declaration.names)
            defaults = (*(last.defaults or ()), *(declaration.defaults or ())) or None
            plural = python_name(replace(names[0].symbol, subscript="")) + "s"
            inputs[-1] = replace(last, names=names, python_name=plural, defaults=defaults)
        else:
            inputs.append(declaration)
    return replace(optimizer, inputs=tuple(inputs))


def _counts_on(last: ast.Input, following: ast.Input) -> bool:
    """Whether ``following`` is ``β₂`` behind ``β₁``."""
    symbol, known = following.names[0].symbol, last.names
    unnamed = following.python_name is None and (last.python_name is None or len(known) > 1)
    alike = all(replace(name.symbol, subscript="") == replace(symbol, subscript="") for name in known)
    counted = [*(name.symbol.subscript for name in known), symbol.subscript]
    return (
        unnamed
        and alike
        and len(symbol.base) == 1
        and counted == [str(n) for n in range(1, len(counted) + 1)]
        and (last.defaults is None) == (following.defaults is None)
        and not (last.choices or following.choices or last.keyword_only != following.keyword_only)
    )


def _scheduled(body: tuple[ast.Stmt, ...]) -> Iterator[Symbol]:
    """``α`` of ``α_t ← α / √t``, which reads it before anything assigns ``α`` itself."""
    assigned: set[Symbol] = set()
    for stmt in walk(body):
        if isinstance(stmt, ast.Assign):
            for target in stmt.targets:
                reads = ast.Name(target.symbol, Time.NONE) in (n for n in walk(stmt.value) if isinstance(n, ast.Name))
                first = target.symbol not in assigned
                if target.time is Time.NOW and reads and first:
                    yield target.symbol
            assigned |= {t.symbol for t in stmt.targets}
