"""The symbol table of an optimizer: what each of its symbols is, and its identifier in Python."""

from __future__ import annotations

import re

from optdsl.check.model import PARAMETER, STEP_COUNT, Buffer, Hyperparameter, Local, SymbolTable, local_key
from optdsl.check.walk import assignments, names
from optdsl.ir.nodes import TORCH_FLAGS, DType
from optdsl.syntax import ast
from optdsl.syntax.names import python_name


def is_torch_flag(declaration: ast.Input) -> bool:
    """True for a line such as ``maximize``, which only fixes the flag's place in the signature."""
    return argument_name(declaration) in TORCH_FLAGS


def is_parameter(declaration: ast.Input) -> bool:
    """True for a line such as ``θ_0 (params) where …``, which constrains the parameters themselves."""
    return any(name.symbol == PARAMETER for name in declaration.names)


def argument_name(declaration: ast.Input) -> str:
    """The name of the constructor argument."""
    if is_parameter(declaration):
        return "params"
    return declaration.python_name or python_name(declaration.names[0].symbol)


def scalar_names(declaration: ast.Input) -> tuple[str, ...]:
    """The name of each scalar of the argument: its own, or the mangled symbols where it is a tuple."""
    if len(declaration.names) == 1:
        return (argument_name(declaration),)
    return tuple(python_name(name.symbol) for name in declaration.names)


PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
"""``{lr}`` in the message of a constraint: the value to show."""


def placeholders(declaration: ast.Input) -> tuple[str, ...]:
    """What a message may write in braces: the argument (``betas``), then for each value ``betas[0]`` and ``beta1``."""
    name, scalars = argument_name(declaration), scalar_names(declaration)
    if is_parameter(declaration):
        return (name,)
    return name, *(shown for i, scalar in enumerate(scalars) for shown in (f"{name}[{i}]", scalar))


def state_key(declaration: ast.State) -> str:
    """The key under which ``state_dict`` shows the state: the one that is written, else the mangled symbol."""
    return declaration.key or python_name(declaration.name.symbol)


def declares_step(declaration: ast.State) -> bool:
    """True for ``t ← 0 (step)``."""
    return declaration.name.symbol == STEP_COUNT


def input_dtype(declaration: ast.Input, default: ast.Expr | None) -> DType:
    match default:
        case ast.Bool():
            return DType.BOOL
        case ast.String():
            return DType.CHOICE
        case _:
            return DType.CHOICE if declaration.choices else DType.REAL


def collect(optimizer: ast.Optimizer) -> SymbolTable:
    """The symbol table of ``optimizer``, every state a tensor as yet.

    Of a symbol that is declared twice the first declaration counts.
    """
    hyperparameters: dict[ast.Symbol, Hyperparameter] = {}
    for declaration in optimizer.inputs:
        if is_torch_flag(declaration) or is_parameter(declaration):
            continue
        defaults = declaration.defaults or (None,) * len(declaration.names)
        for name, identifier, default in zip(declaration.names, scalar_names(declaration), defaults, strict=False):
            entry = Hyperparameter(identifier, declaration, name, default, input_dtype(declaration, default))
            hyperparameters.setdefault(name.symbol, entry)
    buffers: dict[ast.Symbol, Buffer] = {}
    assigned = {target.symbol for target, _ in assignments(optimizer.body)}
    for state in optimizer.states:
        if not declares_step(state):
            is_anchor = state.name.symbol not in assigned and _follows_from_parameter(state)
            buffers.setdefault(state.name.symbol, Buffer(state_key(state), state, is_anchor=is_anchor))
    undated = {symbol for symbol, entry in hyperparameters.items() if entry.name.time is ast.Time.NONE} - set(buffers)
    declared = {PARAMETER, STEP_COUNT, *hyperparameters, *buffers} - undated
    return SymbolTable(hyperparameters, buffers, _locals_of(optimizer.body, declared, undated))


def _follows_from_parameter(state: ast.State) -> bool:
    return state.value is not None and any(name.symbol == PARAMETER for name in names(state.value))


def _locals_of(
    body: tuple[ast.Stmt, ...], declared: set[ast.Symbol], inputs: set[ast.Symbol]
) -> dict[tuple[ast.Symbol, bool], Local]:
    """What ``body`` assigns besides ``declared`` symbols; beside one of ``inputs``, its name with the time ``t``.

    The first name that is given to the gradient itself has the identifier ``grad``; ``α_t`` beside an input ``α`` is
    ``alpha_t``.
    """
    found: dict[tuple[ast.Symbol, bool], Local] = {}
    for target, stmt in assignments(body):
        key = local_key(target)
        beside_input = target.symbol in inputs
        if target.symbol in declared or key in found or (beside_input and target.time is not ast.Time.NOW):
            continue
        names_gradient = isinstance(stmt.value, ast.Gradient) and not any(
            e.identifier == "grad" for e in found.values()
        )
        time = ast.Time.NEXT if target.time is ast.Time.NEXT else ast.Time.NONE
        identifier = python_name(target.symbol, time) + "_t" * beside_input
        found[key] = Local("grad" if names_gradient else identifier, target)
    return found


def local_identifier(name: ast.Name, function: ast.Function, table: SymbolTable) -> str:
    """The identifier of a local of ``function``: its mangled symbol, with the function's name where that is taken."""
    time = ast.Time.NEXT if name.time is ast.Time.NEXT else ast.Time.NONE
    identifier = python_name(name.symbol, time)
    taken = {"param", "grad", "mask", "term"} | {
        entry.identifier
        for entries in (table.hyperparameters, table.buffers, table.locals)
        for entry in entries.values()
    }
    return f"{function.name}_{identifier}" if identifier in taken else identifier


def running_key(expr: ast.Running) -> str:
    """The state key of a running product or sum: ``mu_product`` for ``∏ μ_i``."""
    kind = {"*": "product", "+": "sum"}[expr.op]
    return f"{python_name(expr.body.symbol)}_{kind}" if isinstance(expr.body, ast.Name) else f"running_{kind}"
