"""IR expressions as Triton code (in kernels) and as Python (flags, on the host)."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import singledispatchmethod

from optdsl.emit.fused.conditions import Flags, is_flag
from optdsl.emit.fused.traffic import Key, key
from optdsl.ir.nodes import Const, DType, Expr, Grad, Hyper, Op, Param, ParamFact, Present, Ref, StateValue, Time

INFIX = {
    "add": ("+", 12),
    "sub": ("-", 12),
    "mul": ("*", 13),
    "and": ("&", 10),
    "or": ("|", 8),
    "lt": ("<", 6),
    "le": ("<=", 6),
    "gt": (">", 6),
    "ge": (">=", 6),
    "eq": ("==", 6),
    "ne": ("!=", 6),
}
"""Operators of kernel code and how strongly they bind (as in Python)."""

CALLS = {
    "div": "divide",
    "sqrt": "square_root",
    "min": "minimum",
    "max": "maximum",
    "sign": "sign",
    "pow": "power",
    "abs": "tl.abs",
    "exp": "tl.exp",
    "log": "tl.log",
    "floor": "tl.floor",
}
"""Functions of kernel code: those without a prefix are in the support module ``triton_math``."""

ATOM = 20
CALL = 18
NEGATION = 14
FLAG = 1
"""``A and not B or C``, which binds more than a conditional expression only."""


@dataclass
class KernelPrinter:
    """Prints expressions over ``variables``, whose dtype is ``dtype``.

    ``helpers`` collects the support functions that the text calls.
    """

    variables: Mapping[Key, str]
    flags: Flags
    dtype: str
    helpers: set[str] = field(default_factory=set)

    def text(self, x: Expr, strength: int = 0) -> str:
        """``x``, in brackets if it binds less than ``strength``."""
        printed, own = self._print(x)
        return f"({printed})" if own < strength else printed

    def value(self, x: Expr, strength: int = 0) -> str:
        """``x`` as a value with a dtype, which literals do not have."""
        if isinstance(x, Const) and x.type.dtype is DType.REAL:
            return f"tl.full((), {self.text(x)}, {self.dtype})"
        return self.text(x, strength)

    def operand(self, x: Expr, strength: int = 0) -> str:
        """``x`` where Triton makes a literal a float32, whatever the other operand: anywhere but in arithmetic."""
        exact = isinstance(x, Const) and isinstance(x.value, int | float) and is_float32(x.value)
        return self.text(x, strength) if exact else self.value(x, strength)

    @singledispatchmethod
    def _print(self, x: Expr) -> tuple[str, int]:
        raise TypeError(f"no Triton code for {x!r}")

    @_print.register
    def _(self, x: Const) -> tuple[str, int]:
        if isinstance(x.value, bool) or not isinstance(x.value, int | float):
            return repr(x.value), ATOM
        return number(x.value), ATOM if x.value >= 0 else NEGATION

    @_print.register(Ref)
    @_print.register(Param)
    @_print.register(Grad)
    @_print.register(StateValue)
    @_print.register(Time)
    @_print.register(ParamFact)
    def _(self, x: Expr) -> tuple[str, int]:
        return self.variables[key(x)], ATOM

    @_print.register
    def _(self, x: Hyper) -> tuple[str, int]:
        return (self._flag(x), FLAG) if x.dtype is not DType.REAL else (self.variables[x], ATOM)

    @_print.register
    def _(self, x: Present) -> tuple[str, int]:
        return self._flag(x), FLAG

    @_print.register
    def _(self, x: Op) -> tuple[str, int]:
        if x.type.dtype is DType.BOOL and is_flag(x):
            return self._flag(x), FLAG
        match x.op, x.args:
            case "select", (condition, a, b):
                if is_flag(condition):
                    return f"{self.value(a, FLAG)} if {self.text(condition, FLAG)} else {self.value(b)}", 0
                chosen = self.value(a) if isinstance(b, Const) else self.operand(a)
                return f"tl.where({self.text(condition)}, {chosen}, {self.operand(b)})", CALL
            case "neg", (a,):
                return f"-{self.text(a, NEGATION)}", NEGATION
            case "not", (a,):
                return f"~{self.text(a, NEGATION)}", NEGATION
            case "pow", (a, Const(n)):
                return self._constant_power(a, n)
            case ("and" | "or") as op, (a, b):
                symbol, own = INFIX[op]
                return f"{self.text(a, 11)} {symbol} {self.text(b, 11)}", own
            case ("add" | "sub" | "mul") as op, (a, b):
                symbol, own = INFIX[op]
                return f"{self.text(a, own)} {symbol} {self.text(b, own + 1)}", own
            case op, (a, b) if op in INFIX:
                symbol, own = INFIX[op]
                return f"{self.operand(a, own + 1)} {symbol} {self.operand(b, own + 1)}", own
            case "full", (a,):
                return self._print(a)
            case ("bfloat16" | "float32") as dtype, (a,):
                return self._call("as_stored", self.value(a), f"tl.{dtype}")
            case "div", (a, b):
                return self._call(CALLS["div"], self.text(a), self.text(b))
            case ("min" | "max") as op, args:
                return self._call(CALLS[op], *map(self.operand, args))
            case op, args:
                return self._call(CALLS[op], *map(self.value, args))

    def _constant_power(self, base: Expr, n: object) -> tuple[str, int]:
        assert isinstance(n, int | float)
        if n == 0.5:
            return self._call("square_root", self.value(base))
        if n == 2 and not isinstance(base, Op):
            operand = self.text(base, 13)
            return f"{operand} * {operand}", 13
        if n == int(n) and 2 <= n <= 64:
            return self._call("integer_power", self.value(base), str(int(n)))
        return self._call("power", self.value(base), self.value(Const(n)))

    def _call(self, function: str, *args: str) -> tuple[str, int]:
        if not function.startswith("tl."):
            self.helpers.add(function)
        return f"{function}({', '.join(args)})", CALL

    def _flag(self, condition: Expr) -> str:
        return self.flags.text(self.flags.formula(condition))


def is_float32(value: int | float) -> bool:
    """Whether a float32 can hold ``value``."""
    try:
        return struct.unpack("f", struct.pack("f", value))[0] == value
    except OverflowError:
        return False


def number(value: int | float) -> str:
    """A float literal, or the expression that makes an infinity or NaN."""
    printed = repr(float(value))
    return f'float("{printed}")' if printed.lstrip("-") in ("inf", "nan") else printed


HOST_INFIX = {**{op: symbol for op, (symbol, _) in INFIX.items()}, "div": "/", "pow": "**", "and": "and", "or": "or"}
HOST_CALLS = {
    "min": "min",
    "max": "max",
    "abs": "abs",
    "sqrt": "math.sqrt",
    "exp": "math.exp",
    "log": "math.log",
    "floor": "math.floor",
}


def host_text(x: Expr, absentable: tuple[str, ...]) -> str:
    """A flag in Python, over ``hypers``, ``facts`` (dicts) and ``present`` (in the order of ``absentable``)."""

    def inner(x: Expr) -> str:
        printed = host_text(x, absentable)
        return f"({printed})" if isinstance(x, Op) and x.op not in HOST_CALLS else printed

    match x:
        case Const(value):
            return repr(value)
        case Hyper(name):
            return f'hypers["{name}"]'
        case ParamFact(name):
            return f'facts["{name}"]'
        case Present(state):
            return f"present[{absentable.index(state)}]"
        case Op("select", (condition, a, b)):
            return f"{inner(a)} if {inner(condition)} else {inner(b)}"
        case Op("not", (a,)):
            return f"not {inner(a)}"
        case Op("neg", (a,)):
            return f"-{inner(a)}"
        case Op("sign", (a,)):
            return f"({inner(a)} > 0) - ({inner(a)} < 0)"
        case Op("eq" | "ne" as op, (a, Const(None | True | False as value))):
            return f"{inner(a)} {'is' if op == 'eq' else 'is not'} {value}"
        case Op(op, (a, b)) if op in HOST_INFIX:
            return f"{inner(a)} {HOST_INFIX[op]} {inner(b)}"
        case Op(op, args):
            return f"{HOST_CALLS[op]}({', '.join(host_text(a, absentable) for a in args)})"
    raise TypeError(f"the host cannot compute {x!r}")
