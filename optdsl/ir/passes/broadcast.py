"""Makes every step from a scalar to a tensor explicit, so that what is assigned to a tensor is one."""

from __future__ import annotations

from dataclasses import replace

from optdsl.ir.nodes import (
    Block,
    Expr,
    If,
    Let,
    Merge,
    Op,
    Program,
    Stmt,
    statements,
)
from optdsl.ir.passes.terms import is_tensor


def broadcast_scalars(program: Program) -> Program:
    """``full`` around each scalar that a tensor state, θ, or a merge with a tensor takes."""
    tensors = {"param", *(s.key for s in program.tensor_states)}
    if not _needed(program, tensors):
        return program
    return _Broadcast(program, tensors).run()


def _needed(program: Program, tensors: set[str]) -> bool:
    for stmt in statements(program.body):
        if isinstance(stmt, Let):
            if stmt.state in tensors and not is_tensor(stmt.value):
                return True
        elif any(
            is_tensor(m.then) != is_tensor(m.orelse) or (m.state in tensors and not is_tensor(m.then))
            for m in stmt.merges
        ):
            return True
    return any(not is_tensor(value) for key, value in _results(program) if key in tensors)


def _results(program: Program) -> tuple[tuple[str, Expr], ...]:
    return ("param", program.param), *program.new_states


class _Broadcast:
    def __init__(self, program: Program, tensors: set[str]):
        self.program = program
        self.tensors = tensors
        self.count = 0
        self.full: dict[Expr, Expr] = {}
        """The tensor for each scalar that has been assigned to a tensor state."""

    def run(self) -> Program:
        body = list(self.block(self.program.body))
        results = {k: self.tensor(v, k, body) if k in self.tensors else v for k, v in _results(self.program)}
        return replace(
            self.program,
            body=tuple(body),
            param=results["param"],
            new_states=tuple((key, results[key]) for key, _ in self.program.new_states),
        )

    def block(self, block: Block) -> Block:
        result: list[Stmt] = []
        for stmt in block:
            if isinstance(stmt, If):
                result.append(self.branch(stmt))
            elif stmt.state in self.tensors and not is_tensor(stmt.value):
                result.append(replace(stmt, state=None))
                self.full[stmt.ref] = self.tensor(stmt.ref, stmt.identifier, result, stmt.state)
            else:
                result.append(stmt)
        return tuple(result)

    def branch(self, stmt: If) -> If:
        then, orelse = list(self.block(stmt.then)), list(self.block(stmt.orelse))
        merges: list[Merge] = []
        for m in stmt.merges:
            if not (m.state in self.tensors or is_tensor(m.then) or is_tensor(m.orelse)):
                merges.append(m)
                continue
            a = self.tensor(m.then, m.identifier, then, m.state)
            b = self.tensor(m.orelse, m.identifier, orelse, m.state)
            if m.ref.type.is_tensor:
                merges.append(replace(m, then=a, orelse=b))
            else:
                full = Merge(f"{m.name}full", a, b, m.state)
                merges += [replace(m, state=None), full]
                self.full[m.ref] = full.ref
        return replace(stmt, then=tuple(then), orelse=tuple(orelse), merges=tuple(merges))

    def tensor(self, value: Expr, identifier: str, block: list[Stmt], state: str | None = None) -> Expr:
        """``value``, made a tensor at the end of ``block`` if it is a scalar."""
        if is_tensor(value) or value in self.full:
            return self.full.get(value, value)
        self.count += 1
        let = Let(f"{identifier}.full{self.count}", Op("full", (value,)), state)
        block.append(let)
        return let.ref
