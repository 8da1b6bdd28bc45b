"""E320-E326: steps over the stored entries of a sparse gradient, ``for i in support(g_t) do``.

Such a loop says that every other entry keeps its value. So the parameter and its states are assigned in it alone, and
what it does at one entry follows from that entry.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from optdsl.check import walk
from optdsl.check.model import Buffer, CheckedOptimizer, Local, Parameter
from optdsl.check.vocabulary import MATRIX_FUNCTIONS, reduces
from optdsl.ir.nodes import FULL, PARAM_FACTS, Rate
from optdsl.source import Diagnostic, Label, Span
from optdsl.syntax import ast
from optdsl.syntax.names import display

SPARSE = ast.Symbol("sparse")


def loops(optimizer: ast.Optimizer) -> Iterator[ast.ForSupport]:
    """The loops over stored entries in the step."""
    return (stmt for stmt in walk.statements(optimizer.body) if isinstance(stmt, ast.ForSupport))


def needs_sparse(optimizer: ast.Optimizer) -> bool:
    """Whether a line of the step says that the gradient must be sparse."""
    return any(assign.where is not None for _, assign in walk.assignments(optimizer.body))


def check_where(subject: CheckedOptimizer) -> Iterator[Diagnostic]:
    """A ``where`` behind an assignment says of the gradient, where a step goes over its entries, that it is sparse."""
    functions = walk.called(subject.optimizer.body, subject.functions)
    first = next(loops(subject.optimizer), None)
    for _, assign in walk.assignments(subject.optimizer.body):
        if assign.where is None:
            continue
        if not (isinstance(assign.value, ast.Gradient) and _says_sparse(assign.where, assign.targets[0])):
            yield _unknown_where(assign.where)
        elif first is None:
            yield Diagnostic(
                "E324",
                "sparse gradients alone are for a step over their stored entries",
                assign.where.span,
                help="put the updates into `for i in support(g_t) do`, or leave the condition out: sparse gradients "
                "are taken wherever entries without gradient stay as they are",
            )
    for function in functions:
        for _, assign in walk.assignments(function.body):
            if assign.where is not None:
                yield _unknown_where(assign.where)


def _says_sparse(where: ast.Expr, target: ast.Name) -> bool:
    """Whether ``where`` is ``g_t is sparse`` of the ``g_t`` that is assigned."""
    match where:
        case ast.Compare((ast.Name(symbol, time), ast.Name(word)), ("is",)):
            return (symbol, time, word) == (target.symbol, target.time, SPARSE)
        case _:
            return False


def _unknown_where(where: ast.Expr) -> Diagnostic:
    return Diagnostic(
        "E324",
        "an assignment has no condition",
        where.span,
        help="use an `if` or a brace; only the gradient's line may say `where g_t is sparse`",
    )


def check(subject: CheckedOptimizer) -> Iterator[Diagnostic]:
    """What a step over stored entries may assign where."""
    for function in walk.called(subject.optimizer.body, subject.functions):
        for stmt in walk.statements(function.body):
            if isinstance(stmt, ast.ForSupport):
                yield Diagnostic(
                    "E323",
                    f"a loop over stored entries inside the function `{function.name}`",
                    _head(stmt),
                    help="the step itself goes over the entries, and calls functions of what they hold",
                )
    first = next(loops(subject.optimizer), None)
    if first is None:
        return
    for buffer in subject.table.buffers.values():
        if buffer.shape != FULL:
            yield _whole("a state that is not shaped like θ", buffer.declaration.name.span, first)
        elif buffer.optional and buffer.rate is Rate.ELEMENT:
            yield _without_initial_value(buffer, first)
    yield from _Statements(subject, first).block(subject.optimizer.body, None)
    bodies = [subject.optimizer.body, *(f.body for f in walk.called(subject.optimizer.body, subject.functions))]
    for expr in (expr for body in bodies for expr in walk.expressions(body)):
        what = _of_the_whole(expr, subject.functions)
        if what:
            yield _whole(what, expr.span, first)


class _Statements:
    """Follows the statements of a step in which ``first`` is the first loop over stored entries."""

    def __init__(self, subject: CheckedOptimizer, first: ast.ForSupport) -> None:
        self.table = subject.table
        self.first = first

    def block(self, body: tuple[ast.Stmt, ...], inside: ast.ForSupport | None) -> Iterator[Diagnostic]:
        """The mistakes of ``body``, which stands in the loop ``inside``."""
        for stmt in body:
            match stmt:
                case ast.Assign(targets=targets):
                    for target in targets:
                        yield from self.target(target, inside)
                case ast.ForSupport(name=name, body=inner):
                    yield from self.gradient(name)
                    yield from self.nested(stmt, inside)
                    yield from self.block(inner, stmt)
                case _:
                    if isinstance(stmt, ast.ForElements):
                        yield from self.nested(stmt, inside)
                    for block in walk.blocks(stmt):
                        yield from self.block(block, inside)

    def target(self, target: ast.Name, inside: ast.ForSupport | None) -> Iterator[Diagnostic]:
        entry = self.table.lookup(target)
        shown = display(target.symbol, target.time)
        if inside is None and (isinstance(entry, Parameter) or _is_tensor(entry)):
            yield Diagnostic(
                "E320",
                f"`{shown}` is assigned outside the loop over stored entries",
                target.span,
                help="move the assignment into the loop; what is not stored keeps its value",
                labels=(Label(_head(self.first), "the step goes over the stored entries here"),),
            )
        elif inside is not None and isinstance(entry, Buffer) and not _is_tensor(entry):
            yield Diagnostic(
                "E326",
                f"`{shown}` is one number, and this loop goes over entries",
                target.span,
                help="assign it before the loop, once a step",
                labels=(Label(_head(inside), "the loop"),),
            )

    def gradient(self, name: ast.Name) -> Iterator[Diagnostic]:
        entry = self.table.lookup(name)
        if not (isinstance(entry, Local) and entry.identifier == "grad"):
            gradient = next((local for local in self.table.locals.values() if local.identifier == "grad"), None)
            mend = "" if gradient is None else f"write `support({display(gradient.first.symbol, gradient.first.time)})`"
            shown = display(name.symbol, name.time)
            yield Diagnostic(
                "E322", f"`{shown}` is not the gradient, and only that can be sparse", name.span, help=mend
            )

    @staticmethod
    def nested(stmt: ast.ForSupport | ast.ForElements, inside: ast.ForSupport | None) -> Iterator[Diagnostic]:
        if inside is not None:
            yield Diagnostic(
                "E323",
                "a loop over entries inside a loop over entries",
                _head(stmt),
                help="one loop is enough: its body is for one entry",
                labels=(Label(_head(inside), "the loop around it"),),
            )


def _whole(what: str, span: Span, loop: ast.ForSupport) -> Diagnostic:
    return Diagnostic(
        "E321",
        f"{what} in a step of stored entries",
        span,
        note="a step reads the stored entries alone, and each is updated by itself",
        labels=(Label(_head(loop), "the step goes over the stored entries here"),),
    )


def _of_the_whole(expr: ast.Expr, functions: Mapping[str, ast.Function]) -> str:
    """What ``expr`` asks of a tensor as a whole, in words; "" if it works element by element."""
    match expr:
        case ast.Call(function=name) if name in functions and walk.is_procedure(functions[name], functions):
            return f"`{name}`, a function of whole matrices,"
        case ast.Call(function=function) if function in MATRIX_FUNCTIONS and function != "transpose":
            return f"`{function}`, a function of whole matrices,"
        case ast.Call() if reduces(expr):
            return "a reduction"
        case ast.Call(function="transpose") | ast.Unary(op="transpose"):
            return "a transpose"
        case ast.Call(function=function) if function in PARAM_FACTS:
            return f"`{function}`"
        case ast.Binary(op="@"):
            return "a matrix product"
        case _:
            return ""


def _is_tensor(entry: object) -> bool:
    return isinstance(entry, Buffer) and entry.rate is Rate.ELEMENT


def _without_initial_value(buffer: Buffer, loop: ast.ForSupport) -> Diagnostic:
    symbol = buffer.declaration.name.symbol
    return Diagnostic(
        "E325",
        f"`{display(symbol)}` has no initial value, and the first step assigns only the stored entries of it",
        buffer.declaration.name.span,
        help=f"give it a first value: `{display(symbol, ast.Time.INITIAL)} ← 0`",
        labels=(Label(_head(loop), "the step goes over the stored entries here"),),
    )


def _head(stmt: ast.ForSupport | ast.ForElements) -> Span:
    """The line that opens the loop."""
    if isinstance(stmt, ast.ForSupport):
        return replace(stmt.span, end=stmt.name.span.end)
    first = stmt.span.text.split("\n", 1)[0]
    return replace(stmt.span, end=stmt.span.start + len(first))
