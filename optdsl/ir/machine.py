"""What procedures mean: matrix functions, and whole optimizers over flat θ, in NumPy float64.

A vector is an array of one column. What a reduction over all makes of a batch of matrices is one number per matrix.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optdsl.ir.interpret import OPERATIONS, reduce_array
from optdsl.ir.nodes import REDUCTIONS, Call, Const, Expr, Hyper, Item, Op, Present, Ref, Size
from optdsl.ir.procedures import (
    EVALUATE,
    POINT,
    Append,
    Break,
    Choose,
    Code,
    Count,
    FlatProgram,
    Procedure,
    Repeat,
    Return,
    Set,
    Step,
    Table,
    Target,
    Visit,
    While,
)

Array = NDArray[np.float64]
Value = Any
Evaluate = Callable[[Array], tuple[float, Array]]
"""Loss and gradient at a point, both vectors of one dimension."""

_BREAK = object()


def call(procedures: Mapping[str, Procedure], name: str, args: tuple[Value, ...]) -> tuple[Value, ...]:
    """The results of the matrix function ``name``."""
    return _Machine(procedures).call(name, args)


def step(
    program: FlatProgram, hypers: Mapping[str, Value], param: Array, state: Mapping[str, Value], evaluate: Evaluate
) -> tuple[Array, dict[str, Value]]:
    """θ and the states after one step of an optimizer over flat θ.

    ``param`` is a vector. In ``state`` a history or table is a list; vectors have one column. Inputs are not written.
    """
    procedures = {p.name: p for p in program.procedures}
    machine = _Machine(procedures, dict(hypers), np.array(param, dtype=np.float64).reshape(-1, 1), evaluate)
    machine.keys = frozenset(kept.key for kept in program.kept)
    for kept in program.kept:
        present = state.get(kept.key)
        if kept.kind != "value":
            entries = list(present or [])
            size = int(machine.value(kept.size or Const(0), {}))
            machine.state[kept.key] = entries + [None] * (size - len(entries)) * (kept.kind == "table")
        elif present is not None:
            machine.state[kept.key] = present
        elif kept.initial is not None:
            machine.state[kept.key] = machine.value(kept.initial, {})
    with np.errstate(all="ignore"):
        machine.run(program.code, {})
    assert machine.point is not None
    return machine.point[:, 0], machine.state


@dataclass
class _Machine:
    """``state`` and ``point`` are those of a step, of which ``keys`` names the states; matrix functions have none."""

    procedures: Mapping[str, Procedure]
    hypers: dict[str, Value] = field(default_factory=dict)
    point: Array | None = None
    evaluate: Evaluate | None = None
    state: dict[str, Value] = field(default_factory=dict)
    keys: frozenset[str] = frozenset()

    def call(self, name: str, args: tuple[Value, ...]) -> tuple[Value, ...]:
        procedure = self.procedures[name]
        env = {variable.name: arg for variable, arg in zip(procedure.arguments, args, strict=True)}
        outer, self.keys = self.keys, frozenset()
        results = self.run(procedure.body, env)
        self.keys = outer
        assert isinstance(results, tuple), f"{name} returns on every path"
        return results

    def run(self, code: Code, env: dict[str, Value]) -> object:
        """Run ``code``: None at its end, what is returned, or a mark that the loop around it ends."""
        for step in code:
            done = self.step(step, env)
            if done is not None:
                return done
        return None

    def loop(self, code: Code, env: dict[str, Value]) -> object:
        """One round: None to go on, else (no more rounds, what is returned)."""
        done = self.run(code, env)
        return None if done is None else (None if done is _BREAK else done,)

    def step(self, step: Step, env: dict[str, Value]) -> object:
        match step:
            case Set(targets, values):
                self.assign(targets, self.values(values, env), env)
            case Choose(branches, orelse):
                for condition, code in branches:
                    if bool(self.value(condition, env)):
                        return self.run(code, env)
                return self.run(orelse, env)
            case Repeat(count, code):
                return self.rounds("", range(int(self.value(count, env))), code, env)
            case Count(name, first, last, down, code):
                a, b = int(self.value(first, env)), int(self.value(last, env))
                return self.rounds(name, range(a, b - 1, -1) if down else range(a, b + 1), code, env)
            case Visit(name, sequence, down, code):
                places = range(len(self.sequence(sequence, env)))
                return self.rounds(name, reversed(places) if down else places, code, env)
            case While(condition, code):
                while bool(self.value(condition, env)):
                    done = self.loop(code, env)
                    if isinstance(done, tuple):
                        return done[0]
            case Break():
                return _BREAK
            case Append(history, value, limit):
                entries = self.sequence(history, env)
                entries.append(self.value(value, env))
                del entries[: max(0, len(entries) - int(self.value(limit, env)))]
            case Table(name, size):
                env[name] = [None] * int(self.value(size, env))
            case Return(values):
                return self.values(values, env)
        return None

    def rounds(self, name: str, numbers: Any, code: Code, env: dict[str, Value]) -> object:
        for number in numbers:
            if name:
                env[name] = number
            done = self.loop(code, env)
            if isinstance(done, tuple):
                return done[0]
        return None

    def assign(self, targets: tuple[Target, ...], values: tuple[Value, ...], env: dict[str, Value]) -> None:
        for target, value in zip(targets, values, strict=True):
            match target:
                case Item(sequence, place):
                    self.sequence(sequence, env)[env[place]] = value
                case Ref(name) if target == POINT:
                    self.point = np.array(value)
                case Ref(name):
                    (self.state if name in self.keys else env)[name] = value

    def sequence(self, name: str, env: dict[str, Value]) -> list[Value]:
        found: list[Value] = env[name] if name in env else self.state[name]
        return found

    def values(self, exprs: tuple[Expr, ...], env: dict[str, Value]) -> tuple[Value, ...]:
        if len(exprs) == 1 and isinstance(exprs[0], Call):
            return self.results(exprs[0], env)
        return tuple(self.value(expr, env) for expr in exprs)

    def results(self, expr: Call, env: dict[str, Value]) -> tuple[Value, ...]:
        args = tuple(self.value(arg, env) for arg in expr.args)
        if expr.function != EVALUATE:
            return self.call(expr.function, args)
        assert self.evaluate is not None
        loss, gradient = self.evaluate(np.array(args[0])[:, 0])
        return np.float64(loss), np.asarray(gradient, dtype=np.float64).reshape(-1, 1)

    def value(self, expr: Expr, env: dict[str, Value]) -> Value:
        match expr:
            case Const(value):
                return np.float64(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
            case Hyper(name):
                value = self.hypers[name]
                return value if value is None or isinstance(value, bool | str) else np.float64(value)
            case Ref(name):
                return self.point if expr == POINT else env[name] if name in env else self.state[name]
            case Item(sequence, place):
                return self.sequence(sequence, env)[env[place]]
            case Present(key):
                return key in self.state
            case Size(dimension, tensor):
                return np.float64(self.value(tensor, env).shape[-2 if dimension == "rows" else -1])
            case Call():
                return self.results(expr, env)[0]
            case Op("select", (condition, then, orelse)):
                holds = self.value(condition, env)
                if np.ndim(holds):
                    return np.where(holds, self.value(then, env), self.value(orelse, env))
                return self.value(then if holds else orelse, env)
            case Op(op, (operand,)) if op in REDUCTIONS:
                return reduce_array(op, np.asarray(self.value(operand, env), dtype=np.float64), per_matrix=True)
            case Op("and" | "or" as op, (a, b)) if not expr.type.is_tensor:
                left = bool(self.value(a, env))
                return left if left is (op == "or") else bool(self.value(b, env))
            case Op(op, args):
                return OPERATIONS[op](*(self.value(arg, env) for arg in args))
        raise TypeError(f"not an expression of procedures: {expr!r}")
