"""Types: which states are scalars, and what may stand where.

The inference runs a body on types alone. Every state starts as a scalar, and one that is assigned a tensor becomes a
tensor, until nothing changes; mistakes are reported in a last round, when the rates are known. A name that has no type
yet, because of a mistake that another rule reports, has the type None, which fits everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from optdsl.check.model import (
    Buffer,
    CheckedOptimizer,
    Hyperparameter,
    Local,
    Parameter,
    Report,
    SymbolTable,
    local_key,
)
from optdsl.ir.nodes import DType, Rate, Type, boolean, real
from optdsl.source import Diagnostic, Label, Span
from optdsl.syntax import ast
from optdsl.syntax.names import display

Key = tuple[ast.Symbol, bool]
Types = dict[Key, Type | None]

_WORDS = {DType.REAL: "a number", DType.BOOL: "a flag", DType.CHOICE: "a choice"}


def describe(type: Type) -> str:
    """``type`` in the user's words."""
    if not type.is_tensor:
        return _WORDS[type.dtype]
    return "a tensor" if type.dtype is DType.REAL else f"{_WORDS[type.dtype]} per element"


def hyperparameter_type(entry: Hyperparameter) -> Type:
    return Type(entry.dtype, Rate.CONSTANT if entry.fixed else Rate.GROUP)


def joined(types: tuple[Type | None, ...], dtype: DType | None = None) -> Type | None:
    """The type of a value computed from values of ``types``; None if one is unknown."""
    known = [t for t in types if t is not None]
    if len(known) < len(types):
        return None
    return Type(dtype or known[-1].dtype, max(t.rate for t in known))


def infer_rates(body: tuple[ast.Stmt, ...], table: SymbolTable, functions: Mapping[str, ast.Function]) -> SymbolTable:
    """``table`` with every state the scalar or the tensor that its initial value and ``body`` make of it."""
    buffers = {symbol: replace(buffer, rate=Rate.STEP) for symbol, buffer in table.buffers.items()}
    while True:
        current = replace(table, buffers=buffers)
        checker = TypeChecker(current, functions, Report())
        checker.initial_values()
        checker.block(body)
        tensors = {s for s, b in buffers.items() if s in checker.tensor_states and b.rate is not Rate.ELEMENT}
        if not tensors:
            return current
        buffers = {s: replace(b, rate=Rate.ELEMENT) if s in tensors else b for s, b in buffers.items()}


def check(subject: CheckedOptimizer) -> Iterator[Diagnostic]:
    """E301-E310: numbers, flags and choices stand where they can, and scalars where scalars must."""
    optimizer, report = subject.optimizer, Report()
    checker = TypeChecker(subject.table, subject.functions, report, optimizer.span)
    for declaration in optimizer.inputs:
        for constraint in declaration.constraints:
            checker.condition(constraint.condition)
    checker.initial_values()
    for state in optimizer.states:
        if state.condition is not None:
            checker.condition(state.condition)
    checker.block(optimizer.body)
    yield from report.diagnostics


@dataclass
class TypeChecker:
    """Gives every expression of one optimizer its type, and reports what does not fit.

    ``own`` is the optimizer's own text: what stands elsewhere is inherited, or a function's.
    ``types`` holds what is assigned so far; ``tensor_states`` the states that were assigned a tensor; ``mask`` the rate
    of the branch conditions around the current statement.
    """

    table: SymbolTable
    functions: Mapping[str, ast.Function]
    report: Report
    own: Span | None = None
    types: Types = field(default_factory=dict)
    tensor_states: set[ast.Symbol] = field(default_factory=set)
    mask: Rate = Rate.CONSTANT
    active: tuple[str, ...] = ()
    """The user functions whose bodies are being checked, innermost last."""

    # ------------------------------------------------------------------------------------------------- statements

    def block(self, body: tuple[ast.Stmt, ...]) -> None:
        for stmt in body:
            self.statement(stmt)

    def initial_values(self) -> None:
        for symbol, buffer in self.table.buffers.items():
            if buffer.declaration.value is not None:
                type = self.number(buffer.declaration.value, "an initial value")
                if type is not None and type.rate is Rate.ELEMENT:
                    self.tensor_states.add(symbol)

    def statement(self, stmt: ast.Stmt) -> None:
        match stmt:
            case ast.Assign(targets=(target,), value=value):
                self.assign(target, self.expr(value), value.span)
            case ast.Assign(targets=targets):
                for target in targets:
                    self.types[local_key(target)] = None
            case ast.If(branches=branches, orelse=orelse):
                self.branch(branches, orelse)
            case ast.ForElements(body=body) | ast.ForSupport(body=body) | ast.Repeat(body=body):
                self.block(body)
            case ast.Return(value=value):
                self.expr(value)

    def assign(self, target: ast.Name, type: Type | None, span: Span) -> None:
        symbol = target.symbol
        if not self.active and isinstance(self.table.lookup(target), Buffer | Parameter):
            type = self.expect(type, DType.REAL, span, f"`{shown(target)}` is assigned")
            if type is not None and max(type.rate, self.mask) is Rate.ELEMENT:
                self.tensor_states.add(symbol)
            elif type is not None and isinstance(self.table.lookup(target), Parameter):
                self.error(
                    "E309",
                    "every element of θ is set to one number",
                    span,
                    "",
                    "an update of θ is made from tensors, such as the gradient",
                )
        self.types[local_key(target)] = type

    def branch(self, branches: tuple[ast.Branch, ...], orelse: tuple[ast.Stmt, ...]) -> None:
        if not branches:
            self.block(orelse)
            return
        condition = self.condition(branches[0].condition)
        rate = condition.rate if condition else Rate.GROUP
        before, outer = dict(self.types), self.mask
        self.mask = max(outer, rate)
        self.block(branches[0].body)
        then, self.types = self.types, before
        self.branch(branches[1:], orelse)
        self.types = self.merged(then, self.types, rate, branches[0].condition.span)
        self.mask = outer

    def merged(self, then: Types, orelse: Types, rate: Rate, span: Span) -> Types:
        """The types after a branch: what either side leaves."""
        result: Types = {}
        for key in {**orelse, **then}:
            a, b = then.get(key, orelse.get(key)), orelse.get(key, then.get(key))
            if a is None or b is None:
                result[key] = None
            elif a == b and then.get(key) is orelse.get(key):
                result[key] = a
            elif a.dtype is not b.dtype:
                self.error(
                    "E306",
                    f"`{display(key[0])}` is {describe(a)} on one path and {describe(b)} on another",
                    span,
                    "decided here",
                    "use two names",
                )
                result[key] = None
            else:
                result[key] = Type(a.dtype, max(a.rate, b.rate, rate))
        return result

    # ------------------------------------------------------------------------------------------------ expressions

    def expr(self, expr: ast.Expr) -> Type | None:
        """The type of ``expr``; reports what does not fit inside it."""
        match expr:
            case ast.Number():
                return real(Rate.CONSTANT)
            case ast.Bool():
                return boolean(Rate.CONSTANT)
            case ast.String() | ast.NoneLiteral():
                return Type(DType.CHOICE, Rate.CONSTANT)
            case ast.StepTime():
                return real(Rate.STEP)
            case ast.Gradient():
                return real(Rate.ELEMENT)
            case ast.Name():
                return self.name(expr)
            case ast.Unary(op="not", operand=operand):
                return self.condition(operand)
            case ast.Unary(operand=operand):
                return self.number(operand, "negated" if expr.op == "-" else "transposed")
            case ast.Binary(op="and" | "or", left=left, right=right):
                return joined((self.condition(left), self.condition(right)))
            case ast.Binary(op=op, left=left, right=right):
                use = f"an operand of `{_SHOWN.get(op, op)}`"
                return joined((self.number(left, use), self.number(right, use)))
            case ast.Compare():
                return self.compare(expr)
            case ast.Call():
                return self.call(expr)
            case ast.Cases():
                return self.cases(expr)
            case ast.Running(body=body):
                type = self.number(body, "an operand of a running product or sum")
                return None if type is None else real(max(type.rate, Rate.STEP))

    def name(self, name: ast.Name) -> Type | None:
        if self.active:
            return self.types.get(local_key(name))
        match self.table.lookup(name):
            case Hyperparameter() as entry:
                return hyperparameter_type(entry)
            case Parameter():
                return real(Rate.ELEMENT)
            case Buffer(rate=rate):
                now = self.types.get(local_key(name)) if name.time is ast.Time.NOW else None
                return now or real(rate)
            case Local():
                return self.types.get(local_key(name))
            case None:
                return None

    def number(self, expr: ast.Expr, use: str) -> Type | None:
        return self.expect(self.expr(expr), DType.REAL, expr.span, f"used as {use}" if use.startswith("an ") else use)

    def expect(self, type: Type | None, dtype: DType, span: Span, use: str) -> Type | None:
        """``type`` if it is of ``dtype``; else reports that and returns None."""
        if type is None or type.dtype is dtype:
            return type
        self.error(
            "E301",
            f"`{span.text}` is {describe(type)}, and {_WORDS[dtype]} is needed",
            span,
            use,
            "choose between numbers with a brace or an `if`" if type.dtype is DType.BOOL else "",
        )
        return None

    def condition(self, expr: ast.Expr) -> Type | None:
        """The type of ``expr`` as a condition: a flag or a comparison."""
        type = self.expr(expr)
        if type is None or type.dtype is DType.BOOL:
            return type
        subject = expr.span.text
        mend = f"compare it: `{subject} ≠ 0`" if type.dtype is DType.REAL else f'compare it: `{subject} = "…"`'
        entry = self.table.lookup(expr) if isinstance(expr, ast.Name) and not self.active else None
        labels: tuple[Label, ...] = ()
        if isinstance(entry, Hyperparameter):
            declared = entry.declaration.span
            inside = declared.source == expr.span.source and declared.start <= expr.span.start < declared.end
            labels = () if inside else (Label(entry.name.span, "declared here"),)
            if entry.default is None:
                mend += f", or make it a flag with a default: `{subject} = false`"
        self.error("E302", f"`{subject}` is {describe(type)}, not a condition", expr.span, "", mend, labels)
        return None

    def compare(self, expr: ast.Compare) -> Type | None:
        types = tuple(self.expr(operand) for operand in expr.operands)
        for i, op in enumerate(expr.ops):
            self.comparable(expr.operands[i : i + 2], types[i : i + 2], op)
        return joined(types, DType.BOOL) if None not in types else None

    def comparable(self, operands: tuple[ast.Expr, ...], types: tuple[Type | None, ...], op: str) -> None:
        left, right = types
        if op in ("is", "is not"):
            self.may_be_none(operands[0])
        elif left is None or right is None:
            return
        elif DType.CHOICE in (left.dtype, right.dtype):
            self.comparable_choice(operands, (left, right), op)
        elif DType.BOOL in (left.dtype, right.dtype):
            flag = operands[0] if left.dtype is DType.BOOL else operands[1]
            self.error(
                "E305",
                f"`{flag.span.text}` is a flag and is not compared",
                flag.span,
                "",
                f"write `{flag.span.text}` or `not {flag.span.text}`",
            )

    def may_be_none(self, subject: ast.Expr) -> None:
        """Checks the left side of ``is none``: an input whose default is none."""
        entry = self.table.lookup(subject) if isinstance(subject, ast.Name) and not self.active else None
        optional = isinstance(entry, Hyperparameter) and (
            isinstance(entry.default, ast.NoneLiteral) or not self.is_own(subject)  # its default was none there
        )
        if not optional and (entry is not None or not isinstance(subject, ast.Name)):
            mend = "an input is none only if that is its default" if isinstance(entry, Hyperparameter) else ""
            self.error("E304", f"`{subject.span.text}` is never `none`", subject.span, "", mend)

    def is_own(self, expr: ast.Expr) -> bool:
        """Whether ``expr`` stands in the optimizer itself, not in one that it extends."""
        return self.own is None or expr.span in self.own

    def comparable_choice(self, operands: tuple[ast.Expr, ...], types: tuple[Type, Type], op: str) -> None:
        """Checks a comparison with a string: of a choice, with one of its strings."""
        span = operands[0].span.to(operands[1].span)
        for subject, other, type in ((operands[0], operands[1], types[0]), (operands[1], operands[0], types[1])):
            entry = self.table.lookup(subject) if isinstance(subject, ast.Name) else None
            if not isinstance(entry, Hyperparameter):
                continue
            label = Label(entry.name.span, "declared here")
            if type.dtype is not DType.CHOICE:
                self.error(
                    "E303",
                    f"`{subject.span.text}` is {describe(type)} and never a string",
                    other.span,
                    "",
                    "",
                    (label,),
                )
            elif op not in ("=", "≠"):
                self.error("E303", "choices are compared with `=` and `≠` alone", span)
            elif isinstance(other, ast.String) and other.value not in (choices := entry.declaration.choices):
                listed = ", ".join(f'"{choice}"' for choice in choices)
                if not choices:
                    return
                self.error(
                    "E303",
                    f'"{other.value}" is not one of the choices of `{subject.span.text}`',
                    other.span,
                    "",
                    f"the choices are {listed}",
                    (label,),
                )
            return
        self.error("E303", "a string is compared with a choice alone", span)

    def call(self, expr: ast.Call) -> Type | None:
        function = self.functions.get(expr.function)
        if function is not None:
            return self.user_call(function, expr)
        use = f"an argument of `{expr.function}`"
        return joined(tuple(self.number(a, use) for a in expr.arguments)) if expr.arguments else None

    def user_call(self, function: ast.Function, expr: ast.Call) -> Type | None:
        """The type of what ``function`` returns for the types of these arguments."""
        given = tuple(self.expr(a) for a in (*expr.arguments, *expr.parameters))
        if function.name in self.active:
            return None
        names = (*function.arguments, *function.parameters)
        types = {local_key(name): type for name, type in zip(names, given, strict=False)}
        inner = replace(self, types=types, tensor_states=set(), active=(*self.active, function.name))
        for stmt in function.body:
            if isinstance(stmt, ast.Return):
                return inner.expr(stmt.value)
            inner.statement(stmt)
        return None

    def cases(self, expr: ast.Cases) -> Type | None:
        values = tuple(self.expr(case.value) for case in expr.cases)
        conditions = tuple(self.condition(case.condition) for case in expr.cases if case.condition is not None)
        if all(case.condition is not None for case in expr.cases):
            message = "this brace has no value where none of its conditions holds"
            self.error("E310", message, expr.cases[-1].span, "", "end it with a line `{ … otherwise`")
        dtypes = {type.dtype for type in values if type is not None}
        if len(dtypes) > 1:
            self.error(
                "E306", "the lines of a brace are of different kinds", expr.span, "", "each is a number, or each a flag"
            )
            return None
        return joined((*conditions, *values))

    # ------------------------------------------------------------------------------------------------------- misc

    def error(
        self, code: str, message: str, span: Span, note: str = "", help: str = "", labels: tuple[Label, ...] = ()
    ) -> None:
        self.report.add(Diagnostic(code, message, span, note, help, labels))


_SHOWN = {"*": "·"}


def shown(name: ast.Name) -> str:
    return display(name.symbol, name.time)
