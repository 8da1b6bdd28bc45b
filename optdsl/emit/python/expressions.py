"""Prints scalar and plain tensor expressions as Python."""

from __future__ import annotations

import math
from collections.abc import Callable

from optdsl.ir.nodes import (
    FULL,
    REDUCTIONS,
    Call,
    Const,
    DType,
    Expr,
    Extent,
    Grad,
    Hyper,
    Op,
    Param,
    ParamFact,
    Present,
    Rate,
    Ref,
    StateValue,
    Time,
    walk,
)

# Python's precedences: the higher binds tighter.
_OR, _AND, _NOT, _COMPARE, _SUM, _PRODUCT, _SIGN, _POWER, _ATOM = range(9)

_BINARY = {
    "add": ("+", _SUM, _SUM, _PRODUCT),
    "sub": ("-", _SUM, _SUM, _PRODUCT),
    "mul": ("*", _PRODUCT, _PRODUCT, _SIGN),
    "div": ("/", _PRODUCT, _PRODUCT, _SIGN),
    "pow": ("**", _POWER, _ATOM, _POWER),
    "lt": ("<", _COMPARE, _SUM, _SUM),
    "le": ("<=", _COMPARE, _SUM, _SUM),
    "gt": (">", _COMPARE, _SUM, _SUM),
    "ge": (">=", _COMPARE, _SUM, _SUM),
    "eq": ("==", _COMPARE, _SUM, _SUM),
    "ne": ("!=", _COMPARE, _SUM, _SUM),
    "and": ("and", _AND, _AND, _NOT),
    "or": ("or", _OR, _OR, _AND),
}

_FUNCTIONS = {"max": "maximum", "min": "minimum"}

Names = Callable[[Expr], str]


class HostPrinter:
    """Python numbers: ``x ** 0.5``, ``math.exp``, ``a if c else b``. ``names`` tells how an atom is called."""

    def __init__(self, names: Names):
        self.names = names

    def __call__(self, x: Expr) -> str:
        return self.text(x)[0]

    def within(self, x: Expr, precedence: int) -> str:
        text, own = self.text(x)
        return text if own >= precedence else f"({text})"

    def text(self, x: Expr) -> tuple[str, int]:
        match x:
            case Const(value):
                text = (
                    repr(value)
                    if not isinstance(value, float) or math.isfinite(value)
                    else f"{'-' if value < 0 else ''}math.{abs(value)}"
                )
                return text, _SIGN if text.startswith("-") else _ATOM
            case Hyper() | ParamFact() | Time() | Ref() | StateValue() | Present() | Param() | Grad():
                return self.names(x), _ATOM
            case Op("eq", (a, Const(None))):
                return f"{self.within(a, _SUM)} is None", _COMPARE
            case Op("ne", (a, Const(None))):
                return f"{self.within(a, _SUM)} is not None", _COMPARE
            case Op(op, (a, b)) if op in _BINARY:
                symbol, own, left, right = _BINARY[op]
                return f"{self.within(a, left)} {symbol} {self.within(b, right)}", own
            case Op("floor", (Op("div", (a, Const(int() as n) as b)),)) if n > 0:  # `1 // 0.1` is 9, not ⌊1 / 0.1⌋
                return f"{self.within(a, _PRODUCT)} // {self.within(b, _SIGN)}", _PRODUCT
            case Op("neg", (a,)):
                return f"-{self.within(a, _PRODUCT if _is_quotient(a) else _SIGN)}", _SIGN
            case Op():
                return self.function(x)
            case _:
                raise ValueError(f"no Python for {x}")

    def function(self, x: Op) -> tuple[str, int]:
        match x:
            case Op("not", (a,)):
                return f"not {self.within(a, _NOT)}", _NOT
            case Op("sqrt", (a,)):
                return f"{self.within(a, _ATOM)} ** 0.5", _POWER
            case Op("exp" | "log" | "floor" as op, (a,)):
                return f"math.{op}({self(a)})", _ATOM
            case Op("abs" | "min" | "max" as op, args):
                return f"{op}({', '.join(self(a) for a in args)})", _ATOM
            case Op("sign", (a,)):
                inner = self.within(a, _SUM)
                return f"float(({inner} > 0) - ({inner} < 0))", _ATOM
            case Op("select", (c, a, b)):
                return f"({self.within(a, _OR)} if {self.within(c, _OR)} else {self.within(b, _OR)})", _ATOM
            case _:
                raise ValueError(f"no Python for {x}")


def _may_be_tensor(x: Expr) -> bool:
    """Whether ``x`` follows from the step or from tensors; whether a state is there never is a tensor."""
    return any(n.type.rate > Rate.GROUP for n in walk(x) if not isinstance(n, Op | Present))


def is_tensor_always(x: Expr) -> bool:
    """Whether a scalar is a tensor whichever way the host goes, if all that are kept at this rate are tensors."""
    match x:
        case Op("select", (condition, a, b)) if condition.type.rate < Rate.TENSOR:
            return is_tensor_always(a) and is_tensor_always(b)
        case Op(op, args) if op not in REDUCTIONS and op != "select":
            return any(is_tensor_always(a) for a in args)
        case _:
            return x.type.rate >= Rate.TENSOR


def _is_quotient(x: Expr) -> bool:
    return isinstance(x, Op) and x.op in ("mul", "div")


REDUCED_DIMENSIONS = {"rows": -2, "cols": -1}


def reduction(op: str, operand: str) -> str:
    """A reduction of one tensor, as a call of ``_support.reductions``."""
    of = REDUCTIONS[op]
    if of.over == "parameters":
        return f'(yield "{of.fold}", reductions.{of.fold}({operand}))'
    if of.over == "rest":
        return f"reductions.over_rest(reductions.{of.fold}, {operand})"
    dim = f", dim={REDUCED_DIMENSIONS[of.over]}" if of.over in REDUCED_DIMENSIONS else ""
    return f"reductions.{of.fold}({operand}{dim})"


class TensorPrinter(HostPrinter):
    """Values that may be tensors: operators, and the functions of ``_support.scalars``.

    Negating and comparing bind as on numbers; truth values of tensors are combined with ``&`` and ``|``. ``on_host``:
    up to which rate the host may look at a condition on scalars; only the arm that it chooses is computed then.
    """

    def __init__(self, names: Names, on_host: Rate = Rate.CONSTANT):
        super().__init__(names)
        self.on_host = on_host

    def text(self, x: Expr) -> tuple[str, int]:
        match x:
            case Call(function, args):
                return f"_{function}({', '.join(self(a) for a in args)})", _ATOM
            case Op("and" | "or" as op, (a, b)) if _may_be_tensor(x):
                symbol = "&" if op == "and" else "|"
                return f"({self.within(a, _ATOM)} {symbol} {self.within(b, _ATOM)})", _ATOM
            case _:
                return super().text(x)

    def function(self, x: Op) -> tuple[str, int]:
        match x:
            case Op("not", (a,)):
                if _may_be_tensor(a):
                    return f"scalars.logical_not({self(a)})", _ATOM
                return super().function(x)
            case Op("abs", (a,)):
                return f"abs({self(a)})", _ATOM
            case Op("full", (a,)) if x.type.dtype is DType.BOOL:
                return self.text(a)
            case Op("full", (a,)):
                return f"scalars.full_like(param, {self(a)})", _ATOM
            case Op(op, (a,)) if op in REDUCTIONS:
                operand = a if a.type.is_tensor else Op("full", (a,))
                return reduction(op, self(operand)), _ATOM
            case Op("matmul", (a, b)):
                symbol = "*" if a.type.shape.cols is Extent.ONE else "@"
                return f"{self.within(a, _PRODUCT)} {symbol} {self.within(b, _SIGN)}", _PRODUCT
            case Op("orthonormal" | "matrix_power" as op, args):
                return f"matrices.{op}({', '.join(self(a) for a in args)})", _ATOM
            case Op("identity", (a,)):
                return f"matrices.identity({self(a)}, param)", _ATOM
            case Op("transpose", (a,)):
                return f"{self.within(a, _ATOM)}.mT", _ATOM
            case Op("bfloat16" | "float32" as op, (a,)):
                return f"scalars.rounded({self(a)}, torch.{op})", _ATOM
            case Op("select", (c, _, _)) if c.type.rate <= self.on_host and not x.type.is_tensor:
                return super().function(x)
            case Op("select", (c, a, b)):
                like = ", like=param" if x.type.is_tensor and x.type.shape == FULL else ""
                return f"scalars.where({self(c)}, {self(a)}, {self(b)}{like})", _ATOM
            case Op(op, args):
                return f"scalars.{_FUNCTIONS.get(op, op)}({', '.join(self(a) for a in args)})", _ATOM


class MixedPrinter(TensorPrinter):
    """Numbers of the host as on the host, and what follows from reductions as :class:`TensorPrinter` prints it."""

    def __init__(self, names: Names):
        super().__init__(names, Rate.STEP)

    def text(self, x: Expr) -> tuple[str, int]:
        return super().text(x) if x.type.rate >= Rate.TENSOR else HostPrinter.text(self, x)

    def function(self, x: Op) -> tuple[str, int]:
        return super().function(x) if x.type.rate >= Rate.TENSOR else HostPrinter.function(self, x)
