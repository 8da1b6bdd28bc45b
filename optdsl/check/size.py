"""E911, E912: how deep and how large a step may be, so that what follows can recurse and inline without fear."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from optdsl.check import walk
from optdsl.source import Diagnostic
from optdsl.syntax import ast

DEPTH = 400
"""The deepest nesting: an operator counts 2, a branch or loop 6, a call of a function what is inside it."""

CALLS = 10_000
"""How many calls of functions a step may amount to, once those inside functions are counted."""


def check(optimizer: ast.Optimizer, functions: Mapping[str, ast.Function]) -> Iterator[Diagnostic]:
    measure = _Measure(functions)
    depth, calls = measure.body(walk.whole(optimizer))
    if calls > CALLS:
        message = f"the functions that `{optimizer.name}` calls amount to more than {CALLS} calls"
        yield Diagnostic("E911", message, optimizer.name_span, help="functions are inlined; call fewer of them")
    elif depth > DEPTH:
        message = f"the step of `{optimizer.name}` is nested too deeply"
        mend = "give inner parts names of their own, and split long chains of `else if`"
        yield Diagnostic("E912", message, optimizer.name_span, help=mend)


class _Measure:
    """Depth and number of calls of statements and expressions; every function is measured once."""

    def __init__(self, functions: Mapping[str, ast.Function]):
        self.functions = functions
        self.measured: dict[str, tuple[int, int]] = {}

    def body(self, body: tuple[ast.Stmt, ...]) -> tuple[int, int]:
        return _together([self.statement(stmt) for stmt in body])

    def statement(self, stmt: ast.Stmt) -> tuple[int, int]:
        level = 6 * (len(stmt.branches) if isinstance(stmt, ast.If) else 1)
        inside = [self.body(block) for block in walk.blocks(stmt)]
        depth, calls = _together([*inside, *(self.expression(e) for e in walk.own_expressions(stmt))])
        return depth + level, calls

    def expression(self, expr: ast.Expr) -> tuple[int, int]:
        depth, calls = _together([self.expression(child) for child in walk.children(expr)])
        if isinstance(expr, ast.Call) and expr.function in self.functions:
            inner_depth, inner_calls = self.function(expr.function)
            return depth + inner_depth, calls + 1 + inner_calls
        level = len(expr.cases) if isinstance(expr, ast.Cases) else 1
        return depth + 2 * level, calls

    def function(self, name: str) -> tuple[int, int]:
        """What a call of the function adds; nothing for one that is being measured, which calls itself."""
        if name not in self.measured:
            self.measured[name] = 0, 0
            self.measured[name] = self.body(self.functions[name].body)
        return self.measured[name]


def _together(parts: list[tuple[int, int]]) -> tuple[int, int]:
    return max((depth for depth, _ in parts), default=0), sum(calls for _, calls in parts)
