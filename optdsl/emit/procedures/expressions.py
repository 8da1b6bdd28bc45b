"""Prints the expressions of procedures: whole tensors, with torch's fused operations where they save a pass."""

from __future__ import annotations

from collections.abc import Callable

from optdsl.emit.python.expressions import HostPrinter
from optdsl.ir.nodes import FULL, REDUCTIONS, Call, Const, Expr, Item, Op, Present, Rate, Ref, Size
from optdsl.ir.procedures import EVALUATE, POINT, VECTOR

_ATOM = 8
_AXES = {"rows": -2, "cols": -1}
_METHODS = {"norm": "norm", "sum": "sum", "mean": "mean", "amax": "amax", "amin": "amin"}


def scaled(x: Expr) -> tuple[Expr | None, Expr]:
    """``x`` as a number times a tensor; None for the number 1."""
    match x:
        case Op("mul", (a, b)) if b.type.is_tensor and not a.type.is_tensor:
            return a, b
        case Op("mul", (a, b)) if a.type.is_tensor and not b.type.is_tensor:
            return b, a
        case Op("matmul", (a, b)):
            number, tensor = scaled(a)
            return number, Op("matmul", (tensor, b))
        case Op("neg", (a,)) if a.type.is_tensor:
            number, tensor = scaled(a)
            return (Const(-1) if number is None else Op("neg", (number,))), tensor
        case _:
            return None, x


def negated(number: Expr | None) -> Expr:
    match number:
        case None:
            return Const(-1)
        case Op("neg", (inner,)):
            return inner
        case _:
            return Op("neg", (number,))


def moved(x: Expr) -> tuple[Expr, Expr | None, Expr] | None:
    """``base + number · tensor`` as these three; None where ``x`` has another form."""
    match x:
        case Op("add" | "sub" as op, (base, change)) if base.type.is_tensor and change.type.is_tensor:
            if base.type.shape != change.type.shape:
                return None
            number, tensor = scaled(change)
            return base, number if op == "add" else negated(number), tensor
        case _:
            return None


class ProcedurePrinter(HostPrinter):
    """``flat``: tensors are vectors and matrices, numbers may be 0-dim tensors and the host reads them. Otherwise they
    are batches of matrices, and what is reduced is one number per matrix, of two dimensions too.

    ``function`` says how a procedure is called, and whether it takes the point.
    """

    def __init__(self, names: Callable[[Expr], str], flat: bool, functions: Callable[[Call], str]):
        super().__init__(names)
        self.flat = flat
        self.functions = functions

    def text(self, x: Expr) -> tuple[str, int]:
        match x:
            case Item(sequence, place):
                return f"{self.names(Ref(sequence, x.type))}[{place}]", _ATOM
            case Size(dimension, tensor):
                if self.flat and tensor.type.shape in (VECTOR, VECTOR.transposed):
                    is_long = (dimension == "rows") is (tensor.type.shape == VECTOR)
                    return (f"{self.within(tensor, _ATOM)}.numel()", _ATOM) if is_long else ("1", _ATOM)
                return f"{self.within(tensor, _ATOM)}.size({_AXES[dimension]})", _ATOM
            case Op("identity", (Size(tensor=tensor) as size,)):
                return f"matrices.identity({self(size)}, {self(tensor)})", _ATOM
            case Op("matmul", (a, b)) if self.flat and (a.type.shape, b.type.shape) == (VECTOR, VECTOR.transposed):
                return f"torch.outer({self(a)}, {self(b)})", _ATOM
            case Op("transpose", (a,)) if self.flat and a.type.shape in (VECTOR, VECTOR.transposed):
                return self.text(a)  # a vector has one dimension
            case Call():
                return self.call(x), _ATOM
            case Ref() if x == POINT:
                return "point.value()", _ATOM
            case Op("not", (Present(key),)):
                return f'"{key}" not in state', 3
            case Present(key):
                return f'"{key}" in state', 3
            case Op("add" | "sub", _) if (fused := self.fused(x)) is not None:
                return fused, _ATOM
            case Op("or", (a, b)):  # `and` in it gets brackets, for the reader
                return f"{self.within(a, 0 if isinstance(a, Op) and a.op == 'or' else 2)} or {self.within(b, 2)}", 0
            case Op("matmul", (a, b)):
                return f"{self.within(a, 5)} @ {self.within(b, 6)}", 5
            case _:
                return super().text(x)

    def call(self, x: Call) -> str:
        if x.function != EVALUATE:
            return self.functions(x)
        point = x.args[0]
        if point == POINT:
            return "point.evaluate()"
        step = moved(point)
        if step is not None and step[0] == POINT:
            return f"point.evaluate_along({self(step[2])}, {'1' if step[1] is None else self(step[1])})"
        return f"point.evaluate_at({self(point)})"

    def fused(self, x: Expr) -> str | None:
        """One operation for a tensor and a multiple of another, or of a product; None where there is none."""
        match x:
            case Op("add" | "sub" as op, (a, b)) if a.type.is_tensor and b.type.is_tensor:
                (beta, base), (alpha, change) = scaled(a), scaled(b)
                alpha = alpha if op == "add" else negated(alpha)
            case _:
                return None
        if base.type.shape != change.type.shape or not all(self.is_number(n) for n in (alpha, beta)):
            return None
        if isinstance(base, Op) and base.op == "matmul" and not (isinstance(change, Op) and change.op == "matmul"):
            base, beta, change, alpha = change, alpha, base, beta
        match change:
            case Op("matmul", (p, q)) if not self.flat:
                named = (("beta", beta), ("alpha", alpha))
                factors = "".join(f", {name}={self(number)}" for name, number in named if number is not None)
                return f"matrices.addmm({self(base)}, {self(p)}, {self(q)}{factors})"
        if beta is None and alpha is not None and alpha != Const(-1):
            return f"torch.add({self(base)}, {self(change)}, alpha={self(alpha)})"
        return None

    def is_number(self, x: Expr | None) -> bool:
        """Whether ``x`` is one number, that torch takes as ``alpha``."""
        return x is None or (self.flat and not x.type.is_tensor) or x.type.rate <= Rate.STEP

    def function(self, x: Op) -> tuple[str, int]:
        match x:
            case Op("sum_all", (Op("mul", (a, b)),)) if a.type.shape == b.type.shape == VECTOR:
                return f"{self.within(a, _ATOM)}.dot({self(b)})", _ATOM
            case Op("amax_all", (Op("abs", (a,)),)) if self.flat and a.type.is_tensor:
                return f"max_abs({self(a)})", _ATOM
            case Op(op, (a,)) if op in REDUCTIONS:
                return self.reduction(REDUCTIONS[op].fold, REDUCTIONS[op].over, a), _ATOM
            case Op("transpose", (a,)):
                return f"{self.within(a, _ATOM)}.mT", _ATOM
            case Op("bfloat16" | "float32" as op, (a,)):
                return f"{self.within(a, _ATOM)}.{'bfloat16' if op == 'bfloat16' else 'float'}()", _ATOM
            case Op("abs", (a,)):
                return (f"{self.within(a, _ATOM)}.abs()" if a.type.is_tensor else f"abs({self(a)})"), _ATOM
            case Op("min" | "max" as op, (a, b)) if self.is_tensor(x):
                if self.is_tensor(a) and not self.is_tensor(b):
                    return f"{self.within(a, _ATOM)}.clamp({op_bound(op)}={self(b)})", _ATOM
                return f"scalars.{op}imum({self(a)}, {self(b)})", _ATOM
            case Op("sqrt" | "exp" | "log" | "floor" | "sign" as op, (a,)):
                return f"scalars.{op}({self(a)})", _ATOM
            case Op("not", (a,)) if a.type.is_tensor or (not self.flat and self.is_tensor(a)):
                return f"scalars.logical_not({self(a)})", _ATOM
            case Op("select", (c, a, b)) if self.is_tensor(c):
                return f"scalars.where({self(c)}, {self(a)}, {self(b)})", _ATOM
            case Op("full", (a,)):
                return self.text(a)
            case _:
                return super().function(x)

    def is_tensor(self, x: Expr) -> bool:
        """Whether ``x`` is surely a tensor, and in a batch one number per matrix."""
        return x.type.is_tensor or (not self.flat and x.type.rate is Rate.TENSOR)

    def reduction(self, fold: str, over: str, x: Expr) -> str:
        if over in _AXES:
            where = f"dim={_AXES[over]}, keepdim=True"
        elif self.flat or (x.type.shape == FULL and not x.type.is_tensor):
            where = ""
        else:
            where = "dim=(-2, -1), keepdim=True"
        if fold == "rms":
            return f"scalars.sqrt({self.within(x, _ATOM)}.square().mean({where}))"
        return f"{self.within(x, _ATOM)}.{_METHODS[fold]}({where})"


def op_bound(op: str) -> str:
    """``max(x, 1)`` is ``x.clamp(min=1)``."""
    return "min" if op == "max" else "max"
