"""Types: which states are scalars, and what may stand where.

The inference runs a body on types alone. Every state starts as a scalar, and one that is assigned a tensor becomes a
tensor, until nothing changes; mistakes are reported in a last round, when the rates are known. A name that has no type
yet, because of a mistake that another rule reports, has the type None, which fits everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from optdsl.check import conditions, walk
from optdsl.check.imperative import Procedures, variable
from optdsl.check.model import (
    PARAMETER,
    Buffer,
    CheckedOptimizer,
    Hyperparameter,
    Local,
    Parameter,
    Report,
    SymbolTable,
    local_key,
)
from optdsl.check.vocabulary import MATRIX_FUNCTIONS, NORMS, reduces
from optdsl.ir.nodes import (
    FULL,
    PARAM_FACTS,
    PER_COLUMN,
    PER_FIRST,
    PER_ROW,
    DType,
    Rate,
    Shape,
    ShapeError,
    Type,
    boolean,
    broadcast,
    product_shape,
    real,
    reduced,
)
from optdsl.source import Diagnostic, Label, Span
from optdsl.syntax import ast
from optdsl.syntax.names import display

Key = tuple[ast.Symbol, bool]
Types = dict[Key, Type | None]

_WORDS = {DType.REAL: "a number", DType.BOOL: "a flag", DType.CHOICE: "a choice"}


_SHAPES = {
    FULL: "a tensor shaped like θ",
    PER_ROW: "one number per row",
    PER_COLUMN: "one number per column",
    PER_FIRST: "one number for each index of the first dimension",
}


def describe(type: Type) -> str:
    """``type`` in the user's words."""
    if not type.is_tensor:
        return _WORDS[type.dtype]
    return "a tensor" if type.dtype is DType.REAL else f"{_WORDS[type.dtype]} per element"


def describe_shape(type: Type) -> str:
    """``type`` in the user's words, where the shape matters."""
    if not type.is_tensor:
        return describe(type)
    return _SHAPES.get(type.shape, f"a matrix of {type.shape}")


def hyperparameter_type(entry: Hyperparameter) -> Type:
    return Type(entry.dtype, Rate.CONSTANT if entry.fixed else Rate.GROUP)


def joined(types: tuple[Type | None, ...], dtype: DType | None = None) -> Type | None:
    """The type of a value computed element by element from values of ``types``; None if one is unknown.

    Raises :class:`~optdsl.ir.nodes.ShapeError` where tensors do not fit.
    """
    known = [t for t in types if t is not None]
    if len(known) < len(types):
        return None
    shapes = [t.shape for t in known if t.is_tensor]
    return Type(dtype or known[-1].dtype, max(t.rate for t in known), broadcast(*shapes) if shapes else FULL)


def infer_rates(body: tuple[ast.Stmt, ...], table: SymbolTable, functions: Mapping[str, ast.Function]) -> SymbolTable:
    """``table`` with every state the scalar or the tensor that its declaration and ``body`` make of it."""
    buffers = {symbol: replace(buffer, rate=Rate.STEP) for symbol, buffer in table.buffers.items()}
    for symbol, buffer in buffers.items():
        if buffer.declaration.shape is not None:
            type = TypeChecker(table, functions, Report()).expr(buffer.declaration.shape)
            if type is not None and type.is_tensor:
                buffers[symbol] = replace(buffer, rate=Rate.ELEMENT, shape=type.shape)
    while True:
        current = replace(table, buffers=buffers)
        checker = TypeChecker(current, functions, Report())
        checker.initial_values()
        checker.block(body)
        buffers = {symbol: _widened(buffer, checker.state_types.get(symbol)) for symbol, buffer in buffers.items()}
        if buffers == current.buffers:
            return current


def _widened(buffer: Buffer, type: Type | None) -> Buffer:
    """``buffer`` as it must be to take a value of ``type``, if its declaration does not say otherwise."""
    if type is None or buffer.declaration.shape is not None or type.rate <= buffer.rate < Rate.ELEMENT:
        return buffer
    if buffer.rate < Rate.ELEMENT:
        return replace(buffer, rate=type.rate, shape=type.shape)
    try:
        return replace(buffer, shape=broadcast(buffer.shape, type.shape)) if type.is_tensor else buffer
    except ShapeError:
        return buffer


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
        if state.shape is not None:
            checker.tensor(state.shape, "the shape of a state")
    checker.block(optimizer.body)
    checker.returned(optimizer.returns)
    yield from report.diagnostics


@dataclass
class TypeChecker:
    """Gives every expression of one optimizer its type, and reports what does not fit.

    ``own`` is the optimizer's own text: what stands elsewhere is inherited, or a function's.
    ``types`` holds what is assigned so far; ``state_types`` the type of what each state was assigned, where that is
    made of tensors; ``mask`` the type of the branch conditions around the current statement.
    """

    table: SymbolTable
    functions: Mapping[str, ast.Function]
    report: Report
    own: Span | None = None
    types: Types = field(default_factory=dict)
    state_types: dict[ast.Symbol, Type] = field(default_factory=dict)
    mask: Type = real(Rate.CONSTANT)
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
                if type is not None and type.rate >= Rate.TENSOR:
                    self.state_types[symbol] = type

    def statement(self, stmt: ast.Stmt) -> None:
        match stmt:
            case ast.Assign(targets=(target,), value=value):
                self.assign(target, self.expr(value), value.span)
            case ast.Assign(targets=targets):
                for target in targets:
                    self.types[local_key(target)] = None
            case ast.If(branches=branches, orelse=orelse):
                self.branch(branches, orelse)
            case ast.Loop(body=body):
                self.block(body)
            case ast.Return(value=value):
                self.expr(value)

    def returned(self, value: ast.Expr | None) -> None:
        type = None if value is None else self.number(value, "what an optimizer returns")
        if value is not None and type is not None and not type.is_tensor:
            message = "an optimizer returns a tensor, the parameters, not a single number"
            self.error("E309", message, value.span, "", "return `θ_t`, or what follows from it and the states")
        elif value is not None and type is not None:
            self.takes(ast.Name(PARAMETER, ast.Time.NOW, value.span), type, type, value.span)

    def assign(self, target: ast.Name, type: Type | None, span: Span) -> None:
        symbol = target.symbol
        if not self.active and isinstance(self.table.lookup(target), Buffer | Parameter):
            type = self.expect(type, DType.REAL, span, f"`{shown(target)}` is assigned")
            masked = self.joined((self.mask, type), span)
            if masked is not None and masked.rate >= Rate.TENSOR:
                self.state_types[symbol] = self.joined((self.state_types.get(symbol, masked), masked), span) or masked
            if type is not None and masked is not None:
                self.takes(target, type, masked, span)
        self.types[local_key(target)] = type

    def takes(self, target: ast.Name, type: Type, masked: Type, span: Span) -> None:
        """Reports a value that has not the shape of the state, or of θ, which takes it."""
        entry = self.table.lookup(target)
        if isinstance(entry, Parameter) and not masked.is_tensor:
            mend = "an update of θ is made from tensors, such as the gradient"
            self.error("E309", "every element of θ is set to one number", span, "", mend)
            return
        rate, shape = (entry.rate, entry.shape) if isinstance(entry, Buffer) else (Rate.ELEMENT, FULL)
        wanted = Type(DType.REAL, rate, shape)
        fits = masked.shape == shape if masked.is_tensor else shape == FULL
        if rate is Rate.ELEMENT and not fits:
            labels = (Label(entry.declaration.span, "the state"),) if isinstance(entry, Buffer) else ()
            self.error(
                "E313",
                f"`{display(target.symbol)}` is {describe_shape(wanted)}, and this is {describe_shape(type)}",
                span,
                "",
                "give the state the shape of its values after a colon: `R_0 ← 0 (row_var): mean(θ_0, over cols)`"
                if isinstance(entry, Buffer)
                else "θ takes a tensor of its own shape",
                labels,
            )

    def branch(self, branches: tuple[ast.Branch, ...], orelse: tuple[ast.Stmt, ...]) -> None:
        if not branches:
            self.block(orelse)
            return
        condition = self.condition(branches[0].condition)
        decided = replace(condition, dtype=DType.REAL) if condition else real(Rate.GROUP)
        before, outer = dict(self.types), self.mask
        self.mask = self.joined((outer, decided), branches[0].condition.span) or decided
        self.block(branches[0].body)
        then, self.types = self.types, before
        self.branch(branches[1:], orelse)
        self.types = self.merged(then, self.types, decided, branches[0].condition.span)
        self.mask = outer

    def merged(self, then: Types, orelse: Types, decided: Type, span: Span) -> Types:
        """The types after a branch: what either side leaves."""
        result: Types = {}
        for key in {**orelse, **then}:
            a, b = then.get(key, orelse.get(key)), orelse.get(key, then.get(key))
            if a is None or b is None:
                result[key] = None
            elif a == b and then.get(key) is orelse.get(key):
                result[key] = a
            elif a.dtype is not b.dtype or not _same_shape(a, b):
                words = describe if a.dtype is not b.dtype else describe_shape
                self.error(
                    "E306",
                    f"`{display(key[0])}` is {words(a)} on one path and {words(b)} on another",
                    span,
                    "decided here",
                    "use two names",
                )
                result[key] = None
            else:
                result[key] = self.joined((decided, a, b), span, a.dtype)
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
            case ast.Unary(op="transpose", operand=operand):
                return self.transposed(self.has_sides(self.tensor(operand, "transposed"), operand.span))
            case ast.Unary(operand=operand):
                return self.number(operand, "negated")
            case ast.Binary() if (brace := conditions.fallback(expr, None if self.active else self.table)) is not None:
                return self.cases(brace)
            case ast.Binary(op="and" | "or", left=left, right=right):
                return self.joined((self.condition(left), self.condition(right)), expr.span)
            case ast.Binary(op="@"):
                return self.product(expr)
            case ast.Binary(op=op, left=left, right=right):
                use = f"an operand of `{_SHOWN.get(op, op)}`"
                return self.joined((self.number(left, use), self.number(right, use)), expr.span)
            case ast.Compare():
                return self.compare(expr)
            case ast.Call():
                return self.call(expr)
            case ast.Cases():
                return self.cases(expr)
            case ast.Running(body=body):
                type = self.number(body, "an operand of a running product or sum")
                return None if type is None else real(max(type.rate, Rate.STEP))
            case ast.Tuple(items=items):
                for item in items:
                    self.expr(item)
                return None

    def name(self, name: ast.Name) -> Type | None:
        if self.active:
            return self.types.get(local_key(name))
        match self.table.lookup(name):
            case Hyperparameter() as entry:
                return hyperparameter_type(entry)
            case Parameter():
                return real(Rate.ELEMENT)
            case Buffer(rate=rate, shape=shape):
                now = self.types.get(local_key(name)) if name.time is ast.Time.NOW else None
                return now or Type(DType.REAL, rate, shape)
            case Local():
                return self.types.get(local_key(name))
            case None:
                return None

    def joined(self, types: tuple[Type | None, ...], span: Span, dtype: DType | None = None) -> Type | None:
        """:func:`joined`; reports tensors that do not fit."""
        try:
            return joined(types, dtype)
        except ShapeError:
            shown = list(dict.fromkeys(describe_shape(t) for t in types if t is not None and t.is_tensor))
            self.error("E311", f"{' and '.join(shown)} do not fit element by element", span, "", _FITTING)
            return None

    def tensor(self, expr: ast.Expr, use: str) -> Type | None:
        """The type of ``expr``, which must be a tensor."""
        type = self.number(expr, use)
        if type is None or type.is_tensor:
            return type
        self.error("E312", f"`{expr.span.text}` is a number, and a tensor is needed", expr.span, use)
        return None

    def has_sides(self, type: Type | None, span: Span) -> Type | None:
        """``type`` if it is of a matrix: if its last two dimensions are known to be one."""
        if type is None or type.shape != PER_FIRST:
            return type
        self.error("E311", f"`{span.text}` is {describe_shape(type)}, not a matrix", span)
        return None

    @staticmethod
    def transposed(type: Type | None) -> Type | None:
        return None if type is None else replace(type, shape=type.shape.transposed)

    def product(self, expr: ast.Binary) -> Type | None:
        left, right = (self.tensor(side, "a factor of the matrix product") for side in (expr.left, expr.right))
        if left is None or right is None:
            return None
        try:
            return Type(DType.REAL, Rate.ELEMENT, product_shape(left.shape, right.shape))
        except ShapeError:
            self.error(
                "E311",
                f"the columns of `{expr.left.span.text}` are not the rows of `{expr.right.span.text}`",
                expr.span,
                f"`{expr.left.span.text}` is {left.shape}, `{expr.right.span.text}` {right.shape}",
                "transpose one of them: `X @ Xᵀ`",
            )
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
        return self.joined(types, expr.span, DType.BOOL) if None not in types else None

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
        if not expr.arguments:
            return None
        if reduces(expr):
            type = self.tensor(expr.arguments[0], "reduced")
            # what is no tensor may be a state that is not known to be one yet
            return self.reduction(expr, type or real(Rate.ELEMENT))
        if expr.over:
            mend = "sum, mean, norm, RMS, min and max reduce"
            self.error("E314", f"`{expr.function}` does not reduce over anything", expr.span, "", mend)
            return None
        if expr.function in PARAM_FACTS:
            self.fact(expr)
            return real(Rate.GROUP)
        if expr.function in NORMS:
            type = self.tensor(expr.arguments[0], "reduced")
            return None if type is None else reduced("all", type)
        if expr.function in MATRIX_FUNCTIONS:
            return self.matrix(expr)
        return self.joined(tuple(self.number(a, use) for a in expr.arguments), expr.span)

    def reduction(self, expr: ast.Call, type: Type) -> Type | None:
        try:
            return reduced(REDUCED_OVER[expr.over], type)
        except ShapeError:
            message = f"`over {expr.over}` has no meaning for {describe_shape(type)}"
            mend = "the first dimension is that of the rows only where θ is a matrix"
            self.error("E311", message, expr.span, "", mend)
            return None

    def matrix(self, expr: ast.Call) -> Type | None:
        """The type of a function of a matrix."""
        operand, *numbers = expr.arguments
        type = self.tensor(operand, f"an argument of `{expr.function}`")
        for number in numbers:
            exponent = self.number(number, f"an argument of `{expr.function}`")
            if exponent is not None and exponent.is_tensor:
                self.error("E312", f"`{number.span.text}` is a tensor, and a number is needed", number.span)
        type = self.has_sides(type, operand.span)
        if type is None or expr.function == "transpose":
            return self.transposed(type)
        if expr.function in SQUARE and type.shape.rows is not type.shape.cols:
            mend = "`X @ Xᵀ` is square for every θ"
            self.error("E311", f"`{operand.span.text}` is {type.shape}, not square", operand.span, "", mend)
            return None
        return type

    def fact(self, expr: ast.Call) -> None:
        """Checks ``rows(X)`` and the like: what they are asked of is a tensor, shaped as θ where that is needed."""
        operand = expr.arguments[0]
        type = self.tensor(operand, f"an argument of `{expr.function}`")
        if type is not None and expr.function not in ("rows", "cols") and type.shape != FULL:
            self.error(
                "E312",
                f"`{expr.function}` is asked of what is shaped like θ, and `{operand.span.text}` is {type.shape}",
                operand.span,
                "",
                f"write `{expr.function}(θ_0)`",
            )

    def user_call(self, function: ast.Function, expr: ast.Call) -> Type | None:
        """The type of what ``function`` returns for the types of these arguments."""
        given = tuple(self.expr(a) for a in (*expr.arguments, *expr.parameters))
        if function.name in self.active:
            return None
        if walk.is_procedure(function, self.functions):
            return self.procedure_call(function, given, expr.span)
        names = (*function.arguments, *function.parameters)
        types = {local_key(name): type for name, type in zip(names, given, strict=False)}
        inner = replace(self, types=types, state_types={}, active=(*self.active, function.name))
        for stmt in function.body:
            if isinstance(stmt, ast.Return):
                return inner.expr(stmt.value)
            inner.statement(stmt)
        return None

    def procedure_call(self, function: ast.Function, given: tuple[Type | None, ...], span: Span) -> Type | None:
        """The type of the one result of a function that is not inlined."""
        known = tuple(variable(type) for type in given if type is not None)
        if len(known) < len(given):
            return None
        called = Procedures(self.functions, self.report, flat=False).called(function, known, span)
        results = None if called is None else called.results
        if results is not None and len(results) > 1:
            self.error("E723", f"`{function.name}` gives {len(results)} values", span, "", "a step takes one alone")
            return None
        return results[0] if results else None

    def cases(self, expr: ast.Cases) -> Type | None:
        values = tuple(self.expr(case.value) for case in expr.cases)
        decided = tuple(self.condition(case.condition) for case in expr.cases if case.condition is not None)
        if all(case.condition is not None for case in expr.cases):
            message = "this brace has no value where none of its conditions holds"
            self.error("E310", message, expr.cases[-1].span, "", "end it with a line `{ … otherwise`")
        dtypes = {type.dtype for type in values if type is not None}
        if len(dtypes) > 1:
            self.error(
                "E306", "the lines of a brace are of different kinds", expr.span, "", "each is a number, or each a flag"
            )
            return None
        if len(set(map(_shape_of, values)) - {None}) > 1:
            shown = " and ".join(dict.fromkeys(describe_shape(v) for v in values if v is not None))
            self.error("E306", f"the lines of this brace are {shown}", expr.span, "", "each has the same shape")
            return None
        return self.joined((*decided, *values), expr.span)

    # ------------------------------------------------------------------------------------------------------- misc

    def error(
        self, code: str, message: str, span: Span, note: str = "", help: str = "", labels: tuple[Label, ...] = ()
    ) -> None:
        self.report.add(Diagnostic(code, message, span, note, help, labels))


_SHOWN = {"*": "·"}

SQUARE = ("identity", "matrix_power", "orthonormal")
"""Functions of matrices that have as many rows as columns."""

_FITTING = "values per row, or per column, fit with each other and with tensors shaped like θ; transpose a matrix first"

REDUCED_OVER = {
    "": "all",
    "all": "all",
    "rows": "rows",
    "cols": "cols",
    "all parameters": "parameters",
    "all but first": "rest",
}
"""What a reduction runs over, as the IR calls it."""


def _shape_of(type: Type | None) -> Shape | None:
    """The shape that a path gives a value: a number is spread over a tensor shaped like θ."""
    return None if type is None or (type.shape == FULL and not type.is_tensor) else type.shape


def _same_shape(a: Type, b: Type) -> bool:
    """Whether two paths can leave these values under one name."""
    return a.shape == b.shape if a.is_tensor or b.is_tensor else True


def shown(name: ast.Name) -> str:
    return display(name.symbol, name.time)
