"""Procedures and optimizers over flat θ as text, for ``optdsl show --stage ir``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from optdsl.ir.nodes import Type
from optdsl.ir.printer import INDENT, expr_text, signature_text, type_text
from optdsl.ir.procedures import (
    Append,
    Break,
    Choose,
    Code,
    Count,
    FlatProgram,
    Kept,
    Procedure,
    Repeat,
    Return,
    Set,
    Step,
    Table,
    Visit,
    While,
)


def flat_text(program: FlatProgram) -> str:
    """The whole program: its arguments, states, step and procedures."""
    lines = [f"optimizer {program.name}({signature_text(program.arguments)}) over one vector"]
    lines += [f"{INDENT}state {_kept(kept)}" for kept in program.kept]
    lines += [f"{INDENT}step", *(INDENT * 2 + line for line in _code(program.code))]
    return "\n".join([*lines, "", *procedure_lines(program.procedures)]).rstrip("\n") + "\n"


def procedure_lines(procedures: Iterable[Procedure]) -> Iterator[str]:
    """Every procedure with an empty line behind it."""
    for procedure in procedures:
        arguments = ", ".join(f"{a.name}: {_type(a.type)}" for a in procedure.arguments)
        yield f"procedure {procedure.name}({arguments}) -> {', '.join(map(_type, procedure.results))}"
        yield from (INDENT + line for line in _code(procedure.body))
        yield ""


def _type(type: Type) -> str:
    return f"{type_text(type)} {type.shape}" if type.is_tensor else type_text(type)


def _kept(kept: Kept) -> str:
    initial = "absent" if kept.initial is None else f"= {expr_text(kept.initial)}"
    if kept.size is not None:
        initial = f"{kept.kind} of {expr_text(kept.size)}"
    return f"{kept.key}: {_type(kept.type)} {initial}"


def _code(code: Code) -> Iterator[str]:
    for step in code:
        yield from _step(step)


def _inner(code: Code) -> Iterator[str]:
    return (INDENT + line for line in _code(code))


def _step(step: Step) -> Iterator[str]:
    match step:
        case Set(targets, values):
            yield f"{', '.join(map(expr_text, targets))} = {', '.join(map(expr_text, values))}"
        case Choose(branches, orelse):
            for i, (condition, code) in enumerate(branches):
                yield f"{'else if' if i else 'if'} {expr_text(condition)}"
                yield from _inner(code)
            if orelse:
                yield "else"
                yield from _inner(orelse)
        case Repeat(count, code):
            yield f"repeat {expr_text(count)} times"
            yield from _inner(code)
        case Count(name, first, last, down, code):
            yield f"for {name} = {expr_text(first)} {'down ' if down else ''}to {expr_text(last)}"
            yield from _inner(code)
        case Visit(name, sequence, down, code):
            yield f"for {name} in the places of {sequence}{', from the last' if down else ''}"
            yield from _inner(code)
        case While(condition, code):
            yield f"while {expr_text(condition)}"
            yield from _inner(code)
        case Break():
            yield "break"
        case Append(history, value, limit):
            yield f"append {expr_text(value)} to {history}, at most {expr_text(limit)}"
        case Table(name, size):
            yield f"{name} = table of {expr_text(size)}"
        case Return(values):
            yield f"return {', '.join(map(expr_text, values))}".rstrip()
