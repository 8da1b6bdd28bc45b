"""Expressions of imperative code: names, types and shapes, to expressions of the IR."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import reduce

from optdsl.check.imperative.values import ROW, Names, Place, Sequence, describe, reference
from optdsl.check.model import Buffer, Hyperparameter, Local, Parameter, Report, SymbolTable
from optdsl.check.suggest import did_you_mean
from optdsl.check.vocabulary import NORMS
from optdsl.ir import nodes as ir
from optdsl.ir.fold import fold
from optdsl.ir.nodes import DType, Rate, Type
from optdsl.ir.procedures import EVALUATE, POINT, VECTOR
from optdsl.source import Diagnostic, Label, Span
from optdsl.syntax import ast
from optdsl.syntax.names import display, python_name

BINARY = {"+": "add", "-": "sub", "*": "mul", "/": "div", "^": "pow"}
COMPARE = {"=": "eq", "≠": "ne", "<": "lt", "≤": "le", ">": "gt", "≥": "ge"}
ELEMENTWISE = {name: name for name in ("sqrt", "abs", "sign", "exp", "log", "floor", "bfloat16")}
REDUCTIONS = {"sum": "sum", "mean": "mean", "RMS": "rms", "norm": "norm", "max": "amax", "min": "amin"}

TAKEN = frozenset("append group math matrices max_abs param point scalars state to_scalar torch".split())
"""What emitted procedures mean by these names."""


def identifier(symbol: ast.Symbol, time: ast.Time = ast.Time.NONE) -> str:
    """The variable that holds ``symbol``; only ``x_{t+1}`` is told from ``x``."""
    word = python_name(symbol, time if time is ast.Time.NEXT else ast.Time.NONE)
    return f"{word}_" if word in TAKEN else word


@dataclass
class Expressions:
    """Reads the expressions of one body: of a function, or of a step (then ``table`` is the optimizer's).

    ``flat`` says whether the body belongs to an optimizer over flat θ: then factors side by side are a product of
    matrices and vectors, and conditions may read numbers that a reduction makes. ``names`` is what is known where the
    current statement stands. An expression in which something is not known yet, or is wrong, is None.
    """

    functions: Mapping[str, ast.Function]
    report: Report
    flat: bool
    table: SymbolTable | None = None
    names: Names = field(default_factory=Names)
    unknown: bool = False
    places: set[str] = field(default_factory=set)

    def error(self, code: str, message: str, span: Span, help: str = "", labels: tuple[Label, ...] = ()) -> None:
        self.report.add(Diagnostic(code, message, span, help=help, labels=labels))

    def call_of(
        self, call: ast.Call, function: ast.Function, args: tuple[ir.Expr | None, ...]
    ) -> tuple[ir.Expr, ...] | None:
        """The results of a call: one expression, of which the others follow by position; None if not known yet.

        Outside a body, where a state is declared, there are none.
        """
        self.error("E507", f"`{function.name}` is not called here", call.span, "an initial value is made from inputs")
        return None

    # ------------------------------------------------------------------------------------------------------- names

    def entry(self, symbol: ast.Symbol) -> Hyperparameter | Buffer | Parameter | None:
        """What the optimizer declares under ``symbol``; None for a local, and in a function."""
        if self.table is None:
            return None
        found = self.table.lookup(ast.Name(symbol, ast.Time.NONE, None))  # type: ignore[arg-type]
        return None if isinstance(found, Local) else found

    def variable(self, name: ast.Name) -> str:
        """Under which name the value of ``name`` is known."""
        entry = self.entry(name.symbol)
        return entry.identifier if isinstance(entry, Buffer) else identifier(name.symbol, name.time)

    def sequence_of(self, name: ast.Name) -> tuple[Sequence, str] | None:
        """The history or table that ``s_i`` is an entry of, ``s`` or ``S``, and its place ``i``; None for others."""
        symbol = name.symbol
        place = symbol.subscript
        if place not in self.places:
            return None
        for base in (symbol.base, symbol.base.upper()):
            known = self.names.known.get(self.variable(replace(name, symbol=replace(symbol, base=base, subscript=""))))
            if isinstance(known, Sequence):
                return known, place
        return None

    def read(self, name: ast.Name) -> ir.Expr | None:
        entry = self.entry(name.symbol)
        if self.flat and name.time is not ast.Time.NONE:
            shown, plain = display(name.symbol, name.time), display(name.symbol)
            self.error("E732", f"`{shown}` has a time", name.span, f"a name is a variable here: write `{plain}`")
            return None
        if isinstance(entry, Hyperparameter):
            return self.hyperparameter(entry)
        if isinstance(entry, Parameter):
            return POINT
        if (item := self.sequence_of(name)) is not None:
            sequence, place = item
            self.unknown |= sequence.entry is None
            return None if sequence.entry is None else ir.Item(sequence.name, place, sequence.entry)
        variable = self.variable(name)
        if variable not in self.names.known:
            self.undeclared(name)
            return None
        known = self.names.known[variable]
        match known:
            case None:
                self.unknown = True
                if isinstance(entry, Buffer):
                    self.check_assigned(name, variable, entry)
            case ir.Ref():
                return known
            case Sequence():
                shown = display(name.symbol)
                help = f"read one entry, `{shown.lower()}_i`, in a loop over its places"
                self.error("E728", f"`{shown}` is a {'history' if known.is_history else 'table'}", name.span, help)
            case Place():
                help = "a place is only the subscript of an entry, such as `s_i`"
                self.error("E728", f"`{display(name.symbol)}` is a place of a history, not a number", name.span, help)
            case Type():
                self.check_assigned(name, variable, entry)
                return reference(variable, known)
        return None

    def hyperparameter(self, entry: Hyperparameter) -> ir.Expr | None:
        if entry.fixed and entry.default is not None:
            return self.expr(entry.default)
        return ir.Hyper(entry.identifier, entry.dtype)

    def check_assigned(self, name: ast.Name, variable: str, entry: Buffer | Hyperparameter | Parameter | None) -> None:
        """A variable is read behind an assignment on every path; a state without value also where one is asked for."""
        if variable in self.names.sure or not self.names.reached:
            return
        shown = display(name.symbol, name.time)
        if isinstance(entry, Buffer):
            if not self.names.tested:
                place = entry.declaration.name.span
                help = f"read it under `if {shown} is not none`, or give it a first value: `{shown} ← 0`"
                labels = (Label(place, "it has no value before the first step"),)
                self.error("E726", f"`{shown}` may have no value here", name.span, help, labels)
        else:
            message = f"`{shown}` is not assigned on every path to here"
            self.error("E211", message, name.span, "assign it before, or in the other case too")

    def undeclared(self, name: ast.Name) -> None:
        shown, place = display(name.symbol), name.symbol.subscript
        if place in self.places:
            stem = display(replace(name.symbol, subscript=""))
            help = f"declare it under `initialize:`: `{stem.upper()} ← history(N)`, or assign `{stem} ← table(N)`"
            self.error("E728", f"there is no history or table that `{shown}` is an entry of", name.span, help)
            return
        known = [display(s) for s in self.table.symbols] if self.table else list(self.names.known)
        where = "" if self.table else "; a function sees its own arguments alone"
        self.error(
            "E100", f"`{shown}` is not declared or assigned before{where}", name.span, did_you_mean(shown, known)
        )

    # ------------------------------------------------------------------------------------------------- expressions

    def expr(self, expr: ast.Expr) -> ir.Expr | None:
        """``expr`` in the IR; None where its type is not known yet, or does not fit, which is reported."""
        match expr:
            case ast.Number(value=value) | ast.Bool(value=value) | ast.String(value=value):
                return ir.Const(value)
            case ast.NoneLiteral():
                return ir.Const(None)
            case ast.Name():
                return self.read(expr)
            case ast.Unary(op="not", operand=operand):
                return self.built("not", expr, self.condition(operand))
            case ast.Unary(op="transpose", operand=operand):
                return self.built("transpose", expr, self.tensor(operand))
            case ast.Unary(operand=operand):
                return self.built("neg", expr, self.number(operand))
            case ast.Binary(op="and" | "or" as op, left=left, right=right):
                return self.logical(op, left, right, expr)
            case ast.Binary(op="@", left=left, right=right):
                return self.product(self.tensor(left), self.tensor(right), expr.span)
            case ast.Binary(op="*") if self.flat:
                return self.factors(expr)
            case ast.Binary(op="mod", left=left, right=right):
                dividend, divisor = self.number(left), self.number(right)
                times = self.built("floor", expr, self.built("div", expr, dividend, divisor))
                return self.built("sub", expr, dividend, self.built("mul", expr, divisor, times))
            case ast.Binary(op=op, left=left, right=right):
                return self.built(BINARY[op], expr, self.number(left), self.number(right))
            case ast.Compare():
                return self.compare(expr)
            case ast.Call():
                return self.call(expr)
            case ast.Cases():
                return self.cases(expr)
            case ast.Gradient():
                help = "`f, g ← evaluate(θ)` gives loss and gradient" if self.flat else "pass it as an argument"
                self.error("E732", f"there is no `{expr.span.text}` here", expr.span, help)
            case ast.StepTime():
                self.error("E732", "there is no step count `t` here", expr.span, "count in a state of your own")
            case ast.Running():
                help = "keep it in a state of its own"
                self.error("E732", "there is no running product or sum here", expr.span, help)
            case ast.Tuple():
                help = "several values stand alone, in a `return` or behind `←`"
                self.error("E723", "one value is needed here", expr.span, help)
        return None

    def built(self, op: str, expr: ast.Expr, *args: ir.Expr | None) -> ir.Expr | None:
        """``op`` of ``args``, whose shapes must fit."""
        given = tuple(a for a in args if a is not None)
        if len(given) < len(args):
            return None
        try:
            shapes = {a.type.shape for a in given if a.type.is_tensor}
            if self.flat and len(shapes) > 1:  # a row is no column, though both could be widened to a matrix
                raise ir.ShapeError
            return fold(op, *given)
        except ir.ShapeError:
            shown = " and ".join(describe(a.type, self.flat) for a in given)
            help = "" if not self.flat else "`xᵀ y` is a number, `x yᵀ` a matrix"
            self.error("E725", f"`{expr.span.text}` joins {shown}", expr.span, help)
            return None

    def kind(self, expr: ast.Expr, dtype: DType, use: str = "") -> ir.Expr | None:
        """``expr``, which must be of ``dtype``."""
        value = self.expr(expr)
        if value is None or value.type.dtype is dtype:
            return value
        wanted = {DType.REAL: "a number or tensor", DType.BOOL: "a condition"}[dtype]
        shown = describe(value.type, self.flat)
        self.error("E724", f"`{expr.span.text}` is {shown}, and {wanted} is needed", expr.span, use)
        return None

    def number(self, expr: ast.Expr) -> ir.Expr | None:
        """A number, vector or matrix."""
        return self.kind(expr, DType.REAL)

    def tensor(self, expr: ast.Expr) -> ir.Expr | None:
        value = self.number(expr)
        return value if value is None or self.is_tensor(value, expr) else None

    def is_tensor(self, value: ir.Expr, expr: ast.Expr) -> bool:
        if not value.type.is_tensor:
            needed = "a vector or matrix" if self.flat else "a matrix"
            self.error("E724", f"`{expr.span.text}` is a number, and {needed} is needed", expr.span)
        return value.type.is_tensor

    def scalar(self, expr: ast.Expr) -> ir.Expr | None:
        """One number."""
        value = self.number(expr)
        if value is not None and value.type.is_tensor:
            shown = describe(value.type, self.flat)
            self.error("E724", f"`{expr.span.text}` is {shown}, and a number is needed", expr.span)
            return None
        return value

    def condition(self, expr: ast.Expr) -> ir.Expr | None:
        return self.kind(expr, DType.BOOL, "compare it with something")

    def decides(self, expr: ast.Expr) -> ir.Expr | None:
        """A condition that decides on a branch or a loop: one flag, which the host knows."""
        value = self.condition(expr)
        if value is None:
            return None
        if value.type.is_tensor:
            help = "compare numbers, such as `‖x‖` or `xᵀ y`"
            self.error("E724", f"`{expr.span.text}` is a condition per element and decides nothing", expr.span, help)
            return None
        if value.type.rate is Rate.TENSOR and not self.flat:
            help = "a brace chooses between values for each matrix by itself"
            message = f"`{expr.span.text}` differs from matrix to matrix, and one call works on several"
            self.error("E727", message, expr.span, help)
            return None
        return value

    def logical(self, op: str, left: ast.Expr, right: ast.Expr, expr: ast.Expr) -> ir.Expr | None:
        first = self.condition(left)
        outer, self.names.tested = self.names.tested, self.names.tested or asks(left)
        second = self.condition(right)
        self.names.tested = outer
        return self.built(op, expr, first, second)

    def compare(self, expr: ast.Compare) -> ir.Expr | None:
        if expr.ops in (("is",), ("is not",)):
            return self.is_none(expr)
        operands = [self.expr(operand) for operand in expr.operands]
        pairs: list[ir.Expr | None] = []
        for i, op in enumerate(expr.ops):
            a, b = operands[i : i + 2]
            if a is not None and b is not None and (a.type.dtype is not b.type.dtype or a.type.dtype is DType.BOOL):
                kinds = " and ".join(describe(x.type, self.flat) for x in (a, b))
                self.error("E724", f"{kinds} are not compared", expr.span)
                return None
            pairs.append(self.built(COMPARE[op], expr, a, b))
        return reduce(lambda a, b: self.built("and", expr, a, b), pairs)

    def is_none(self, expr: ast.Compare) -> ir.Expr | None:
        subject = expr.operands[0]
        entry = self.entry(subject.symbol) if isinstance(subject, ast.Name) else None
        match entry:
            case Hyperparameter(default=ast.NoneLiteral() | None):
                absent: ir.Expr | None = self.built("eq", expr, self.expr(subject), ir.Const(None))
            case Buffer() if entry.optional:
                absent = fold("not", ir.Present(entry.identifier))
            case _:
                help = "only a state without initial value, or an input whose default is `none`, can be none"
                self.error("E304", f"`{subject.span.text}` is never `none`", subject.span, help)
                return None
        return absent if expr.ops == ("is",) else self.built("not", expr, absent)

    def cases(self, expr: ast.Cases) -> ir.Expr | None:
        *cases, last = expr.cases
        if last.condition is not None:
            help = "end it with `otherwise`"
            self.error("E724", "this brace has no value where no condition holds", expr.span, help)
            return None
        value = self.expr(last.value)
        for case in reversed(cases):
            assert case.condition is not None
            condition = self.decides(case.condition) if self.flat else self.condition(case.condition)
            value = self.built("select", expr, condition, self.expr(case.value), value)
        return value

    # --------------------------------------------------------------------------------------------------- products

    def factors(self, expr: ast.Binary) -> ir.Expr | None:
        """Factors side by side: numbers, vectors and matrices. ``xᵀ y`` is a number before anything else is done."""
        found: list[ir.Expr] = []
        for factor in _factors(expr):
            value = self.number(factor)
            if value is None:
                return None
            found.append(value)
        return self.chain(found, expr.span)

    def chain(self, found: list[ir.Expr], span: Span) -> ir.Expr | None:
        for i in range(len(found) - 1, 0, -1):
            left, right = found[i - 1 : i + 1]
            if left.type.is_tensor and right.type.is_tensor and (left.type.shape, right.type.shape) == (ROW, VECTOR):
                found[i - 1 : i + 1] = [_inner(left, right)]
        scalars = [e for e in found if not e.type.is_tensor]
        tensors = [e for e in found if e.type.is_tensor]
        product: ir.Expr | None = reduce(lambda a, b: fold("mul", a, b), scalars) if scalars else None
        tensor = tensors[0] if tensors else None
        for factor in tensors[1:]:
            tensor = None if tensor is None else self.product(tensor, factor, span)
            if tensor is None:
                return None
        if product is None or tensor is None:
            return tensor if product is None else product
        return fold("mul", product, tensor)

    def product(self, left: ir.Expr | None, right: ir.Expr | None, span: Span) -> ir.Expr | None:
        """A product of matrices, or of vectors as matrices of one row or column."""
        if left is None or right is None:
            return None
        a, b = left.type.shape, right.type.shape
        if (a, b) == (ROW, VECTOR):
            return _inner(left, right)
        if a.cols is b.rows:
            return ir.Op("matmul", (left, right))
        shown = f"{describe(left.type, self.flat)} and {describe(right.type, self.flat)}"
        help = f"`{span.text}` has no one meaning: `xᵀ y` is a number, `x yᵀ` a matrix" if self.flat else ""
        if not self.flat and a == b:
            help = "the product of X and its transpose is `X @ Xᵀ`"
        self.error("E725", f"there is no product of {shown}", span, help)
        return None

    # ------------------------------------------------------------------------------------------------------ calls

    def call(self, expr: ast.Call) -> ir.Expr | None:
        """A call that gives one value."""
        results = self.results(expr)
        if results is None:
            return None
        if len(results) > 1:
            help = f"take all of them: `{', '.join('abcdefgh'[: len(results)])} ← {expr.span.text}`"
            self.error("E723", f"`{expr.function}` gives {len(results)} values", expr.span, help)
            return None
        return results[0]

    def results(self, expr: ast.Call) -> tuple[ir.Expr, ...] | None:
        """The values of a call; where there are several, the first is the call itself and the others stand for it."""
        function = self.functions.get(expr.function)
        if function is not None:
            given = tuple(self.expr(a) for a in (*expr.arguments, *expr.parameters))
            return self.call_of(expr, function, given)
        if expr.function == EVALUATE:
            return self.evaluate(expr)
        value = self.builtin(expr)
        return None if value is None else (value,)

    def evaluate(self, expr: ast.Call) -> tuple[ir.Expr, ...] | None:
        if not self.flat:
            help = "only an optimizer over flat θ evaluates the loss: `optimizer NAME over flat θ:`"
            self.error("E720", "the loss is not evaluated here", expr.span, help)
            return None
        if len(expr.arguments) != 1:
            self.error("E103", "`evaluate` takes one argument, a point", expr.span, "write `f, g ← evaluate(θ)`")
            return None
        point = self.tensor(expr.arguments[0])
        if point is None:
            return None
        if point.type.shape != VECTOR:
            shown = describe(point.type, self.flat)
            self.error("E724", f"`{expr.arguments[0].span.text}` is {shown}, not a point such as `θ + α d`", expr.span)
            return None
        loss = ir.Call(EVALUATE, (point,), ir.real(Rate.STEP))
        return loss, replace(loss, type=Type(DType.REAL, Rate.ELEMENT, VECTOR))

    def builtin(self, expr: ast.Call) -> ir.Expr | None:
        """A function of the closed list."""
        name, arguments = expr.function, expr.arguments
        if name in ("history", "table", "first", "last"):
            use = {
                "history": "a history is declared under `initialize:`: `S ← history(N) (key)`",
                "table": "a table is a variable or state of its own: `a ← table(N)`",
            }.get(name, f"`{name}` is where a loop over the places of a history begins or ends")
            self.error("E728", f"`{name}` cannot stand here", expr.span, use)
            return None
        reduces = name in REDUCTIONS and (name not in ("min", "max") or (len(arguments) == 1 and bool(expr.over)))
        if name in ELEMENTWISE and len(arguments) == 1:
            return self.built(ELEMENTWISE[name], expr, self.number(arguments[0]))
        if name in ("min", "max") and len(arguments) >= 2 and not reduces:
            return reduce(lambda a, b: self.built(name, expr, a, b), map(self.number, arguments))
        if name == "clamp" and len(arguments) == 3:
            value, low, high = map(self.number, arguments)
            return self.built("min", expr, self.built("max", expr, value, low), high)
        if name == "identity":
            return self.identity(expr)
        if len(arguments) == 1:
            operand = self.tensor(arguments[0])
            if name == "transpose":
                return self.built("transpose", expr, operand)
            if operand is None:
                return None
            if name in ("rows", "cols"):
                return ir.Size(name, operand)
            if name in NORMS:
                return ir.Op(NORMS[name], (ir.Op("abs", (operand,)),))
            if reduces and expr.over in ("", "all", "rows", "cols"):
                return ir.Op(f"{REDUCTIONS[name]}_{expr.over or 'all'}", (operand,))
            self.error("E732", f"there is no `{name}` here", expr.name_span or expr.span)
            return None
        self.error("E103", f"these are not the arguments of `{name}`", expr.span)
        return None

    def identity(self, expr: ast.Call) -> ir.Expr | None:
        """The identity matrix with as many rows as something has rows or columns."""
        match expr.arguments:
            case (ast.Call(function="rows" | "cols", arguments=(_,)) as size,):
                rows = self.call(size)
                return None if rows is None else ir.Op("identity", (rows,))
        self.error("E724", "the size of an identity matrix is that of a tensor", expr.span, "write `identity(rows(X))`")
        return None


def asks(condition: ast.Expr) -> bool:
    """Whether ``condition`` asks if something is there."""
    match condition:
        case ast.Compare(ops=ops):
            return ops in (("is",), ("is not",))
        case ast.Binary(left=left, right=right):
            return asks(left) or asks(right)
        case ast.Unary(operand=operand):
            return asks(operand)
        case _:
            return False


def _factors(expr: ast.Expr) -> list[ast.Expr]:
    """The factors of a product, from left to right; a product in brackets is one of them."""
    if isinstance(expr, ast.Binary) and expr.op == "*":
        return [*_factors(expr.left), expr.right]
    return [expr]


def _inner(left: ir.Expr, right: ir.Expr) -> ir.Expr:
    """``xᵀ y``, a number."""
    x = left.args[0] if isinstance(left, ir.Op) and left.op == "transpose" else ir.Op("transpose", (left,))
    return ir.Op("sum_all", (ir.Op("mul", (x, right)),))
