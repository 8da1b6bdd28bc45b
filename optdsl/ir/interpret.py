"""What a program means: one step in NumPy float64, straight from the unoptimised IR.

Everything else is tested against this file, so it is as plain as it can be: every value is float64 (a scalar state is
rounded to its own dtype when it is assigned), nothing is hoisted, fused or done in place, and inputs are never written.

States are a dict from key to array (scalar states: a 0-dim float). A state whose condition is false is not in the
dict; one without an initial value is not in it until a step has assigned it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from optdsl.ir.nodes import (
    FULL,
    MATRIX_OPERATIONS,
    PER_FIRST,
    REDUCTIONS,
    Block,
    Call,
    Const,
    Expr,
    Extent,
    Grad,
    Hyper,
    If,
    Let,
    Op,
    Param,
    ParamFact,
    Present,
    Program,
    Rate,
    Ref,
    Shape,
    State,
    StateValue,
    Time,
)

if TYPE_CHECKING:
    from optdsl.ir.procedures import Procedure

Array = NDArray[np.float64]
Value = Any
"""A float64 array or scalar, a bool (array), a string, or None; :data:`ABSENT` where a state has no value."""


class _Absent:
    """The value of a state that is not there. It may be merged and left behind, but not computed with."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT = _Absent()


class AbsentStateError(Exception):
    """A program computed with a state that has no value (the language's checks rule it out)."""


def default_hypers(program: Program, **given: Value) -> dict[str, Value]:
    """Every hyperparameter's value: ``given``, else its default. ``maximize`` is False unless given."""
    hypers: dict[str, Value] = {"maximize": False, **given}
    for scalar in program.scalars:
        if scalar.name not in hypers and scalar.default is not None:
            hypers[scalar.name] = _Evaluator(hypers).evaluate(scalar.default)
    return hypers


def initial_state(
    program: Program, hypers: Mapping[str, Value], param: Array, scalar_dtype: type = np.float32
) -> dict[str, Array]:
    """The states that exist before the first step: those with an initial value whose condition holds."""
    param = np.asarray(param, dtype=np.float64)
    return {
        state.key: _initial(state, hypers, param, scalar_dtype)
        for state in program.states
        if state.initial is not None and exists(state, hypers, param)
    }


def step(
    program: Program,
    hypers: Mapping[str, Value],
    param: Array,
    grad: Array,
    state: Mapping[str, Array],
    t: int | None = None,
    scalar_dtype: type = np.float32,
    support: NDArray[np.bool_] | None = None,
) -> tuple[Array, dict[str, Array]]:
    """The parameter and the states after one step.

    ``t`` counts this step too (1 at the first); None will do for a program that does not read it. States with an
    initial value that ``state`` lacks are created. ``scalar_dtype`` is that of scalar states. ``support`` is where the
    gradient stores entries, None for all: elsewhere a step of the stored entries alone keeps what was there. NaN and
    infinities arise and travel as in torch; nothing warns. Raises :class:`AbsentStateError` where the program computes
    with a state that has no value.
    """
    tensor = Tensors(param, grad, state, support)
    return step_all(program, [(hypers, tensor)], t, scalar_dtype)[0]


@dataclass(frozen=True)
class Tensors:
    """One parameter with its gradient and its states; ``support`` says where the gradient stores entries."""

    param: Array
    grad: Array
    state: Mapping[str, Array]
    support: NDArray[np.bool_] | None = None


def step_all(
    program: Program,
    parameters: Sequence[tuple[Mapping[str, Value], Tensors]],
    t: int | None = None,
    scalar_dtype: type = np.float32,
) -> list[tuple[Array, dict[str, Array]]]:
    """:func:`step` for several parameters, each with its group's hyperparameters: what is reduced ``over all
    parameters`` is reduced over these."""
    with np.errstate(all="ignore"):
        running = [_begin(program, hypers, tensors, t, scalar_dtype) for hypers, tensors in parameters]
        for stmt in program.body:
            match stmt:
                case Let(value=Op(op, (operand,))) if op in REDUCTIONS and REDUCTIONS[op].over == "parameters":
                    parts = [reduce_array(op, evaluator.tensor(operand)) for evaluator in running]
                    total = _FOLDS[REDUCTIONS[op].fold](parts)
                    for evaluator in running:
                        evaluator.env[stmt.name] = total
                case _:
                    for evaluator in running:
                        evaluator.execute((stmt,))
        return [
            _end(program, evaluator, tensors.support)
            for evaluator, (_, tensors) in zip(running, parameters, strict=True)
        ]


def _begin(
    program: Program, hypers: Mapping[str, Value], tensors: Tensors, t: int | None, scalar_dtype: type
) -> _Evaluator:
    param = np.asarray(tensors.param, dtype=np.float64)
    values: dict[str, Value] = {}
    for s in program.states:
        if exists(s, hypers, param):
            if s.key in tensors.state:
                values[s.key] = np.asarray(tensors.state[s.key], dtype=np.float64)
            elif s.initial is not None:
                values[s.key] = _initial(s, hypers, param, scalar_dtype)
    rounded = frozenset(s.key for s in program.scalar_states)
    evaluator = _Evaluator(hypers, param, np.asarray(tensors.grad, dtype=np.float64), values, t, rounded, scalar_dtype)
    evaluator.procedures = {procedure.name: procedure for procedure in program.procedures}
    return evaluator


def _end(program: Program, evaluator: _Evaluator, support: NDArray[np.bool_] | None) -> tuple[Array, dict[str, Array]]:
    """The parameter and the states that the step leaves."""
    param = evaluator.param

    def stored(new: Array, old: Array) -> Array:
        return new if support is None or not program.stored_only else np.where(support, new, old)

    new_state = {}
    for key, final in program.new_states:
        state = program.state(key)
        if exists(state, evaluator.hypers, param):
            value = evaluator.evaluate(final)
            if value is not ABSENT:
                like = _shaped(state.shape, param) if state.rate is Rate.ELEMENT else np.zeros(())
                new = _filled(value, like)
                new_state[key] = stored(new, evaluator.state.get(key, new)) if state.rate is Rate.ELEMENT else new
    return stored(_filled(evaluator.evaluate(program.param), param), param), new_state


def run(
    program: Program,
    hypers: Mapping[str, Value],
    param: Array,
    grads: Iterable[Array | None],
    scalar_dtype: type = np.float32,
) -> list[tuple[Array, dict[str, Array]]]:
    """Parameter and states after each of ``grads``. A gradient that is None leaves everything, ``t`` too, as it was."""
    param, t = np.array(param, dtype=np.float64), 0
    state = initial_state(program, hypers, param, scalar_dtype)
    trajectory = []
    for grad in grads:
        if grad is not None:
            t += 1
            param, state = step(program, hypers, param, grad, state, t, scalar_dtype)
        trajectory.append((param, state))
    return trajectory


def evaluated(
    program: Program, hypers: Mapping[str, Value], param: Array, state: Mapping[str, Array], t: int | None = None
) -> Array:
    """What the model is evaluated with after ``t`` steps that have left ``param`` and ``state``."""
    return param if program.evaluation is None else _switched(program.evaluation.value, hypers, param, state, t)


def resumed(
    program: Program, hypers: Mapping[str, Value], param: Array, state: Mapping[str, Array], t: int | None = None
) -> Array:
    """The θ to go on training with, of which ``param`` is what :func:`evaluated` made of it."""
    if program.evaluation is None:
        return param
    if program.evaluation.training is None:
        raise ValueError("θ cannot be told from what the model is evaluated with")
    return _switched(program.evaluation.training, hypers, param, state, t)


def _switched(
    value: Expr, hypers: Mapping[str, Value], param: Array, state: Mapping[str, Array], t: int | None
) -> Array:
    param = np.asarray(param, dtype=np.float64)
    states = {key: np.asarray(x, dtype=np.float64) for key, x in state.items()}
    with np.errstate(all="ignore"):
        return _filled(_Evaluator(hypers, param, None, states, t).evaluate(value), param)


def exists(state: State, hypers: Mapping[str, Value], param: Array) -> bool:
    return state.condition is None or bool(_Evaluator(hypers, param).evaluate(state.condition))


def _initial(state: State, hypers: Mapping[str, Value], param: Array, scalar_dtype: type) -> Array:
    """The state's first value, shaped like ``param`` or a scalar of ``scalar_dtype``."""
    assert state.initial is not None
    value = _Evaluator(hypers, param).evaluate(state.initial)
    if state.rate is Rate.ELEMENT:
        return _filled(value, _shaped(state.shape, param))
    if state.rate is Rate.TENSOR:
        return np.array(value, dtype=np.float64)
    return np.array(scalar_dtype(value), dtype=np.float64)


def _shaped(shape: Shape, param: Array) -> Array:
    """An array of ``shape``, where ``param`` is θ."""
    if shape == FULL:
        return param
    if shape == PER_FIRST:
        return np.zeros(_first(param))
    extents = {Extent.ONE: 1, Extent.ROWS: _fact("rows", param), Extent.COLS: _fact("cols", param)}
    sizes = (extents[shape.rows], extents[shape.cols])
    return np.zeros((*param.shape[:-2], *sizes[2 - min(param.ndim, 2) :]))


def _fact(name: str, param: Array) -> float:
    """What :data:`~optdsl.ir.nodes.PARAM_FACTS` says of ``param``."""
    match name:
        case "dim":
            return param.ndim
        case "rows":
            return param.shape[-2] if param.ndim > 1 else 1
        case "cols":
            return param.shape[-1] if param.ndim > 0 else 1
        case "numel":
            return param.size
        case _:
            return float(np.finfo(param.dtype).eps)


def _filled(value: Value, shaped_like: Array) -> Array:
    """A fresh float64 array of ``value``, in the shape of ``shaped_like``."""
    return np.array(np.broadcast_to(np.asarray(value, dtype=np.float64), shaped_like.shape))


def _equal(a: Value, b: Value) -> Value:
    """Equality of numbers (per element), truth values and choices; none equals none alone."""
    if any(x is None or isinstance(x, str) for x in (a, b)):
        return a is b if a is None or b is None else bool(a == b)
    return np.equal(a, b)


def _sign(x: Value) -> Value:
    return np.where(np.isnan(x), 0.0, np.sign(x))


def _orthonormal(x: Array) -> Array:
    q, r = np.linalg.qr(x)
    return q * np.where(np.diagonal(r, axis1=-2, axis2=-1) < 0, -1.0, 1.0)[..., None, :]


def _matmul(a: Array, b: Array) -> Value:
    """The product of the last two dimensions; of a vector, which is one row, a column times a row alone."""
    return np.matmul(a, b) if min(np.ndim(a), np.ndim(b)) > 1 else np.multiply(a, b)


def _matrix_power(x: Array, exponent: float) -> Array:
    values, vectors = np.linalg.eigh(x)
    return (vectors * np.power(np.maximum(values, 0), exponent)[..., None, :]) @ np.swapaxes(vectors, -1, -2)


def _bfloat16(x: Value) -> Value:
    """``x`` rounded to the nearest number that bfloat16 has, ties to even."""
    bits = np.asarray(x, dtype=np.float32).view(np.uint32)
    rounded = ((bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)).astype(np.uint32)
    return np.where(np.isnan(x), x, rounded.view(np.float32).astype(np.float64))


def _mean(x: Array, axis: int | None = None, keepdims: bool = False) -> Value:
    """The mean; of nothing NaN, without a warning."""
    return np.divide(np.sum(x, axis=axis, keepdims=keepdims), x.size if axis is None else x.shape[axis])


_FOLDS: dict[str, Callable[..., Value]] = {
    "sum": np.sum,
    "mean": _mean,
    "norm": lambda x, **over: np.sqrt(np.sum(np.square(x), **over)),
    "rms": lambda x, **over: np.sqrt(_mean(np.square(x), **over)),
    "amax": lambda x, **over: np.max(x, initial=-np.inf, **over),
    "amin": lambda x, **over: np.min(x, initial=np.inf, **over),
}
_AXES = {"rows": -2, "cols": -1}


def reduce_array(op: str, x: Array, per_matrix: bool = False) -> Value:
    """A reduction of one array, over all of it or some of its dimensions (which stay, with one entry).

    ``per_matrix``: of several matrices in one array each is reduced by itself.
    """
    reduction = REDUCTIONS[op]
    fold = _FOLDS[reduction.fold]
    if reduction.over == "rest":
        first, *others = np.atleast_1d(x).shape
        return fold(x.reshape(first, math.prod(others)), axis=-1).reshape(_first(x))
    if per_matrix and reduction.over == "all" and x.ndim > 2:
        return fold(x, axis=(-2, -1), keepdims=True)
    if reduction.over in _AXES:
        matrix = np.atleast_2d(x)
        return fold(matrix, axis=_AXES[reduction.over], keepdims=True).reshape(_reduced_shape(x, reduction.over))
    return fold(x)


def _first(x: Array) -> tuple[int, ...]:
    """The shape with ``x``'s first dimension, and one entry in all others."""
    return tuple(1 if i else size for i, size in enumerate(x.shape))


def _reduced_shape(x: Array, over: str) -> tuple[int, ...]:
    """``x``'s shape with one entry in the dimension that is reduced; a vector is one row."""
    axis = _AXES[over]
    return tuple(1 if i == x.ndim + axis else size for i, size in enumerate(x.shape))


OPERATIONS: dict[str, Callable[..., Value]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "pow": np.power,
    "min": np.minimum,
    "max": np.maximum,
    "neg": np.negative,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "sign": _sign,
    "exp": np.exp,
    "log": np.log,
    "floor": np.floor,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "eq": _equal,
    "ne": lambda a, b: np.logical_not(_equal(a, b)),
    "and": np.logical_and,
    "or": np.logical_or,
    "not": np.logical_not,
    "matmul": _matmul,
    "orthonormal": _orthonormal,
    "matrix_power": _matrix_power,
    "identity": lambda n: np.eye(int(n)),
    "transpose": lambda x: np.swapaxes(x, -1, -2),
    "bfloat16": _bfloat16,
    "float32": lambda x: np.asarray(x, dtype=np.float32).astype(np.float64),
}
"""The NumPy function of every operation but ``select``, ``full`` and the reductions."""


@dataclass
class _Evaluator:
    """One step being executed: what expressions may read, and ``env``, the names assigned so far."""

    hypers: Mapping[str, Value]
    param: Value = None
    grad: Value = None
    state: Mapping[str, Value] = field(default_factory=dict)
    t: int | None = None
    rounded: frozenset[str] = frozenset()
    scalar_dtype: type = np.float32
    env: dict[str, Value] = field(default_factory=dict)
    procedures: Mapping[str, Procedure] = field(default_factory=dict)

    def execute(self, block: Block) -> None:
        for stmt in block:
            match stmt:
                case Let(name, value, state):
                    self._assign(name, self.evaluate(value), state)
                case If(condition, then, orelse, merges):
                    holds = bool(self.evaluate(condition))
                    self.execute(then if holds else orelse)
                    for merge in merges:
                        self._assign(merge.name, self.evaluate(merge.then if holds else merge.orelse), merge.state)

    def _assign(self, name: str, value: Value, state: str | None) -> None:
        if state in self.rounded and value is not ABSENT:
            value = np.float64(self.scalar_dtype(value))
        self.env[name] = value

    def evaluate(self, expr: Expr) -> Value:
        match expr:
            case Const(value):
                number = isinstance(value, int | float) and not isinstance(value, bool)
                return np.float64(value) if number else value
            case Hyper(name):
                value = self.hypers[name]
                number = not (value is None or isinstance(value, bool | str))
                return np.float64(value) if number else value
            case Time():
                assert self.t is not None, "the program reads t"
                return np.float64(self.t)
            case Param():
                return self.param
            case Grad():
                return self.grad
            case StateValue(key):
                return self.state.get(key, ABSENT)
            case Present(key):
                return key in self.state
            case Ref(name):
                return self.env[name]
            case Op("select", (condition, then, orelse)):
                holds = self.evaluate(condition)
                if condition.type.is_tensor:
                    return np.where(holds, self._present(then), self._present(orelse))
                return self._present(then if holds else orelse)
            case Op("full", (value,)):
                return np.full(np.shape(self.param), self._present(value))
            case ParamFact(name):
                return np.float64(_fact(name, self.param))
            case Op(op, (operand,)) if op in REDUCTIONS:
                return reduce_array(op, self.tensor(operand))
            case Call(function, args):
                from optdsl.ir import machine

                return machine.call(self.procedures, function, tuple(map(self._present, args)))[0]
            case Op(op, args) if op in MATRIX_OPERATIONS:
                return OPERATIONS[op](*(self.tensor(a) if a.type.is_tensor else self._present(a) for a in args))
            case Op(op, args):
                return OPERATIONS[op](*map(self._present, args))
        raise TypeError(f"not an expression: {expr!r}")

    def tensor(self, expr: Expr) -> Array:
        """``expr`` as an array of its shape: a scalar, and what one path makes of one, is it everywhere."""
        return _filled(self._present(expr), _shaped(expr.type.shape, self.param))

    def _present(self, expr: Expr) -> Value:
        value = self.evaluate(expr)
        if value is ABSENT:
            raise AbsentStateError(f"{expr} has no value")
        return value
