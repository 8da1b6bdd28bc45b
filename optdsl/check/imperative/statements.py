"""Statements of imperative code, to steps of the procedure IR."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from optdsl.check.imperative.expressions import Expressions, asks, identifier
from optdsl.check.imperative.values import Known, Names, Place, Sequence, describe, joined, variable
from optdsl.check.model import Buffer, Hyperparameter, Parameter
from optdsl.ir import nodes as ir
from optdsl.ir.nodes import Rate, Type
from optdsl.ir.procedures import (
    POINT,
    VECTOR,
    Append,
    Break,
    Choose,
    Code,
    Count,
    Repeat,
    Return,
    Set,
    Step,
    Table,
    Target,
    Visit,
    While,
)
from optdsl.source import Span
from optdsl.syntax import ast
from optdsl.syntax.names import display


@dataclass
class Statements(Expressions):
    """Reads statements. ``returned`` collects what a function returns, ``whole`` the inputs that count something."""

    returned: list[tuple[ir.Expr | None, ...]] = field(default_factory=list)
    whole: set[str] = field(default_factory=set)
    loops: int = 0

    def code(self, body: tuple[ast.Stmt, ...]) -> Code:
        found: list[Step] = []
        for stmt in body:
            step = self.statement(stmt)
            if step is not None:
                found.append(step)
        return tuple(found)

    def statement(self, stmt: ast.Stmt) -> Step | None:
        match stmt:
            case ast.Assign():
                return self.assign(stmt)
            case ast.If(branches, orelse):
                return self.choose(branches, orelse)
            case ast.Repeat(count, body):
                number = self.count(count)
                inner = self.loop(body)
                return None if number is None else Repeat(number, inner)
            case ast.While(condition, body):
                return self.while_(condition, body)
            case ast.ForRange():
                return self.visit(stmt) if _is_place(stmt.first) or _is_place(stmt.last) else self.for_count(stmt)
            case ast.Break():
                if not self.loops:
                    self.error("E721", "there is no loop around this `break`", stmt.span)
                self.names.reached = False
                return Break()
            case ast.Append():
                return self.append(stmt)
            case ast.Return():
                return self.return_(stmt)
            case ast.ForElements() | ast.ForSupport():
                help = "write it with whole vectors" if self.flat else "write it with whole matrices"
                self.error("E732", "there is no loop over elements here", _head(stmt), help)
        return None

    # ------------------------------------------------------------------------------------------------- assignments

    def assign(self, stmt: ast.Assign) -> Step | None:
        if stmt.where is not None:
            self.error("E732", "there is no condition on an assignment here", stmt.where.span, "use an `if` or a brace")
        match stmt.value:
            case ast.Call(function="table", arguments=(size,)) if len(stmt.targets) == 1:
                return self.table_of(stmt.targets[0], size)
            case ast.Tuple(items):
                values = tuple(self.expr(item) for item in items)
                kinds = values
            case ast.Call() as call if len(stmt.targets) > 1:
                results = self.results(call)
                if results is not None and len(results) != len(stmt.targets):
                    given = "1 value" if len(results) == 1 else f"{len(results)} values"
                    message = f"`{call.function}` gives {given}, and {len(stmt.targets)} names take them"
                    self.error("E723", message, stmt.span)
                    results = None
                kinds = results or (None,) * len(stmt.targets)
                values = kinds[:1]
            case value if len(stmt.targets) > 1:
                self.error(
                    "E723", f"one value for {len(stmt.targets)} names", value.span, "give each a value of its own"
                )
                return None
            case value:
                values = kinds = (self.expr(value),)
        if len(kinds) != len(stmt.targets):
            return None
        targets = [self.target(name, kind, stmt.span) for name, kind in zip(stmt.targets, kinds, strict=True)]
        if None in targets or None in values:
            return None
        return Set(tuple(t for t in targets if t is not None), tuple(v for v in values if v is not None))

    def target(self, name: ast.Name, value: ir.Expr | None, span: Span) -> Target | None:
        """What is assigned; from here on it holds a value like ``value``."""
        entry, shown = self.entry(name.symbol), display(name.symbol, name.time)
        if isinstance(entry, Hyperparameter):
            help = "assign it to a name of its own first"
            self.error("E730", f"`{shown}` is an input and cannot be assigned", name.span, help)
            return None
        if isinstance(entry, Parameter):
            return self.parameter(name, value)
        if self.flat and name.time is not ast.Time.NONE:
            help = f"a name is a variable here: write `{display(name.symbol)}`"
            self.error("E732", f"`{shown}` has a time", name.span, help)
            return None
        item = self.sequence_of(name)
        if item is not None:
            return self.entry_of(name, *item, value)
        if name.symbol.subscript in self.places:
            self.undeclared(name)
            return None
        key = self.variable(name)
        known = self.names.known.get(key)
        if isinstance(known, Sequence | Place | ir.Ref):
            what = {Sequence: "a history or table", Place: "a place of a history"}.get(type(known), "θ itself")
            self.error("E730", f"`{shown}` is {what} and cannot be assigned", name.span)
            return None
        if value is None:
            self.names.known.setdefault(key, None)
            self.names.sure.add(key)
            return None
        return self.hold(name, key, value.type, isinstance(entry, Buffer))

    def hold(self, name: ast.Name, key: str, type: Type, state: bool) -> Target | None:
        """From here on ``key`` holds a value of ``type``; a state does so in the whole step."""
        new: Known | None = variable(type)
        before = self.names.known.get(key)
        if state and isinstance(before, Type) and isinstance(new, Type):
            new = joined(before, new)
            if new is None:
                kinds = f"{describe(before, self.flat)} and {describe(type, self.flat)}"
                self.error("E724", f"the state `{display(name.symbol)}` is {kinds}", name.span, "use two names")
                return None
        self.names.known[key] = new
        self.names.sure.add(key)
        return None if not isinstance(new, Type) else ir.Ref(key, new)

    def parameter(self, name: ast.Name, value: ir.Expr | None) -> Target | None:
        if value is not None and (not value.type.is_tensor or value.type.shape != VECTOR):
            shown = describe(value.type, self.flat)
            self.error("E724", f"θ is a vector, and is assigned {shown}", name.span)
            return None
        return POINT

    def entry_of(self, name: ast.Name, sequence: Sequence, place: str, value: ir.Expr | None) -> Target | None:
        shown = display(name.symbol)
        if sequence.is_history:
            help = f"the entries of a history do not change; one is added by `append … to {shown[0].upper()}`"
            self.error("E728", f"`{shown}` is an entry of a history and cannot be assigned", name.span, help)
            return None
        return None if value is None else self.gains(name, sequence, value, place)

    def gains(self, name: ast.Name, sequence: Sequence, value: ir.Expr, place: str = "") -> Target | None:
        """``sequence`` gets an entry like ``value``."""
        entry: Known | None = variable(value.type)
        if sequence.entry is not None and entry is not None:
            entry = joined(sequence.entry, entry)
        if not isinstance(entry, Type):
            kinds = f"{describe(sequence.entry or value.type, self.flat)} and {describe(value.type, self.flat)}"
            self.error("E724", f"the entries of `{sequence.name}` are {kinds}", name.span, "use two of them")
            return None
        for key, known in self.names.known.items():
            if isinstance(known, Sequence) and known.name == sequence.name:
                self.names.known[key] = replace(known, entry=entry)
        return ir.Item(sequence.name, place, entry)

    def table_of(self, name: ast.Name, size: ast.Expr) -> Step | None:
        number = self.count(size)
        key = self.variable(name)
        if self.entry(name.symbol) is not None:
            self.error("E730", f"`{display(name.symbol)}` is declared and cannot become a table", name.span)
            return None
        before = self.names.known.get(key)
        self.names.known[key] = before if isinstance(before, Sequence) else Sequence(key, None, False)
        self.names.sure.add(key)
        return None if number is None else Table(key, number)

    def append(self, stmt: ast.Append) -> Step | None:
        value = self.expr(stmt.value)
        known = self.names.known.get(self.variable(stmt.history))
        shown = display(stmt.history.symbol)
        if not isinstance(known, Sequence) or not known.is_history:
            help = f"declare it under `initialize:`: `{shown} ← history(N) (key)`"
            self.error("E728", f"`{shown}` is no history", stmt.history.span, help)
            return None
        if known.limit is None:
            self.error("E728", "a function does not change the histories it is given", stmt.span, "return the entry")
            return None
        if value is None or self.gains(stmt.history, known, value) is None:
            return None
        return Append(known.name, value, known.limit)

    # ----------------------------------------------------------------------------------------------- ways of going

    def choose(self, branches: tuple[ast.Branch, ...], orelse: tuple[ast.Stmt, ...]) -> Step | None:
        before = self.names
        decided: list[tuple[ir.Expr | None, Code]] = []
        ends: list[Names] = []
        for branch in branches:
            condition = self.decides(branch.condition)
            after = self.names
            self.names = after.copy()
            self.learn(branch.condition, True)
            decided.append((condition, self.code(branch.body)))
            ends.append(self.names)
            self.names = after.copy()
            self.learn(branch.condition, False)
        last = self.code(orelse)
        ends.append(self.names)
        self.names = self.merged(before, ends, branches[0].condition.span)
        if any(condition is None for condition, _ in decided):
            return None
        return Choose(tuple((c, code) for c, code in decided if c is not None), last)

    def learn(self, condition: ast.Expr, holds: bool) -> None:
        """What is known where ``condition`` holds, or does not: which states have a value."""
        self.names.tested |= asks(condition)
        match condition:
            case ast.Compare(operands=(ast.Name() as name, ast.NoneLiteral()), ops=(op,)):
                if (op == "is not") is holds:
                    self.names.sure.add(self.variable(name))
            case ast.Binary(op="and" | "or" as op, left=left, right=right) if (op == "and") is holds:
                self.learn(left, holds)
                self.learn(right, holds)
            case ast.Unary(op="not", operand=operand):
                self.learn(operand, not holds)

    def merged(self, before: Names, ends: list[Names], span: Span) -> Names:
        """What is known where several paths meet; those that end before do not count."""
        live = [names for names in ends if names.reached]
        if not live:
            return replace(ends[-1].copy(), reached=False)
        merged = live[0].copy()
        merged.tested = before.tested
        for other in live[1:]:
            merged.sure &= other.sure
            for key, known in other.known.items():
                mine = merged.known.get(key, known)
                both = known if mine is None else mine if known is None else joined(mine, known)
                if mine is not None and known is not None and both is None:
                    self.differ(key, mine, known, span)
                merged.known[key] = both
        for names in ends:  # states and entries are known from the paths that end, too
            for key, known in names.known.items():
                merged.known[key] = merged.known.get(key) or known
        return merged

    def differ(self, key: str, a: Known, b: Known, span: Span) -> None:
        shown = [describe(x, self.flat) if isinstance(x, Type) else "a history or table" for x in (a, b)]
        message = f"`{key}` is {shown[0]} on one path and {shown[1]} on another"
        self.error("E306", message, span, "use two names")

    def loop(self, body: tuple[ast.Stmt, ...], variable: tuple[str, Known] | None = None) -> Code:
        """The body of a loop, read until what it leaves to its next round is known."""
        before = self.names
        self.loops += 1
        entering = before.copy()
        while True:
            self.names = entering.copy()
            if variable is not None:
                self.names.known[variable[0]] = variable[1]
                self.names.sure.add(variable[0])
            code = self.code(body)
            self.names.reached = True
            leaving = self.merged(entering, [entering, self.names], _place_of(body))
            leaving.sure = set(entering.sure)
            if leaving.known == entering.known:
                break
            entering = leaving
        self.loops -= 1
        self.names = replace(leaving, reached=before.reached)
        if variable is not None:
            self.names.known.pop(variable[0], None)
            if variable[0] in before.known:
                self.names.known[variable[0]] = before.known[variable[0]]
        return code

    def while_(self, condition: ast.Expr, body: tuple[ast.Stmt, ...]) -> Step | None:
        self.decides(condition)
        inner = self.loop(body)
        decision = self.decides(condition)  # what the body leaves is known by now
        return None if decision is None else While(decision, inner)

    def for_count(self, stmt: ast.ForRange) -> Step | None:
        first, last = self.count(stmt.first), self.count(stmt.last)
        name = identifier(stmt.name.symbol, stmt.name.time)
        self.check_loop_variable(stmt.name)
        inner = self.loop(stmt.body, (name, ir.real(Rate.STEP)))
        return None if first is None or last is None else Count(name, first, last, stmt.down, inner)

    def check_loop_variable(self, name: ast.Name) -> None:
        if self.entry(name.symbol) is not None:
            self.error("E730", f"`{display(name.symbol)}` is declared and cannot count a loop", name.span)

    def visit(self, stmt: ast.ForRange) -> Step | None:
        """``for i = first(S) to last(S) do``."""
        wanted = ("last", "first") if stmt.down else ("first", "last")
        match stmt.first, stmt.last:
            case (
                ast.Call(function=first, arguments=(ast.Name() as one,)),
                ast.Call(function=last, arguments=(ast.Name() as other,)),
            ) if (first, last) == wanted and one == other:
                known = self.names.known.get(self.variable(one))
            case _:
                span = stmt.first.span.to(stmt.last.span)
                help = "write `for i = first(S) to last(S) do` or `for i = last(S) down to first(S) do`"
                self.error("E728", "a loop over the places of a history goes from end to end", span, help)
                return None
        if not isinstance(known, Sequence) or not known.is_history:
            self.error("E728", f"`{display(one.symbol)}` is no history", one.span)
            return None
        self.check_loop_variable(stmt.name)
        name = identifier(stmt.name.symbol, stmt.name.time)
        outer, self.places = self.places, self.places | {display(stmt.name.symbol)}
        inner = self.loop(stmt.body, (name, Place(name)))
        self.places = outer
        return Visit(name, known.name, stmt.down, inner)

    def count(self, expr: ast.Expr) -> ir.Expr | None:
        """A whole number that the host knows: how often, how many."""
        number = self.scalar(expr)
        if number is None:
            return None
        if number.type.rate is Rate.TENSOR:
            help = "count with inputs, and with variables that only count"
            self.error("E727", f"`{expr.span.text}` is made from tensors and counts nothing", expr.span, help)
            return None
        self.whole |= {e.name for e in ir.walk(number) if isinstance(e, ir.Hyper)}
        return number

    def return_(self, stmt: ast.Return) -> Step | None:
        items = stmt.value.items if isinstance(stmt.value, ast.Tuple) else None
        results: tuple[ir.Expr, ...] | None = None
        if items is None and isinstance(stmt.value, ast.Call):
            results = self.results(stmt.value)
            values: tuple[ir.Expr | None, ...] = results or (None,)
        else:
            values = tuple(self.expr(item) for item in (items if items is not None else (stmt.value,)))
        self.names.reached = False
        if self.table is not None and (values or not self.flat):
            self.error("E610", "a step returns nothing", stmt.span, "`return` alone ends it")
            return None
        if self.table is None and not values:
            self.error("E216", "a function returns a value", stmt.span, "write it behind `return`")
            return None
        self.returned.append(values)
        if None in values:
            return None
        return Return(tuple(v for v in (values[:1] if results is not None else values) if v is not None))


def _is_place(expr: ast.Expr) -> bool:
    return isinstance(expr, ast.Call) and expr.function in ("first", "last")


def _head(stmt: ast.Stmt) -> Span:
    """The first line of a statement."""
    text = stmt.span.text
    return replace(stmt.span, end=stmt.span.start + len(text.split("\n")[0].rstrip()))


def _place_of(body: tuple[ast.Stmt, ...]) -> Span:
    return _head(body[0]) if body else Span(None, 0, 0)  # type: ignore[arg-type]
