"""The constructor of an optimizer: its arguments, and the checks on them in torch's wording."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from optdsl.check import walk
from optdsl.check.collect import PLACEHOLDER, argument_name, is_parameter, is_torch_flag, placeholders
from optdsl.check.model import Hyperparameter, SymbolTable
from optdsl.ir import nodes as ir
from optdsl.syntax import ast
from optdsl.syntax.names import display

WORDS = {"lr": "learning rate", "eps": "epsilon value"}
"""What torch calls an argument in ``Invalid …: {value}``, where it is not ``{name} value``."""

Message = tuple[ir.MessagePart, ...]
LowerExpr = Callable[[ast.Expr], ir.Expr]


def arguments(inputs: tuple[ast.Input, ...], table: SymbolTable, lower: LowerExpr) -> tuple[ir.Argument, ...]:
    """The constructor arguments, one per line of ``input:``."""
    return tuple(_argument(declaration, table, lower) for declaration in inputs if not is_parameter(declaration))


def _argument(declaration: ast.Input, table: SymbolTable, lower: LowerExpr) -> ir.Argument:
    name = argument_name(declaration)
    if is_torch_flag(declaration):
        return ir.Argument(name, (), declaration.keyword_only, declaration.doc)
    entries = [table.hyperparameters[n.symbol] for n in declaration.names]
    return ir.Argument(
        name,
        tuple(_scalar(entry, lower) for entry in entries),
        declaration.keyword_only,
        declaration.doc,
        declaration.choices,
        declaration.fixed,
        optional=any(isinstance(entry.default, ast.NoneLiteral) for entry in entries),
    )


def _scalar(entry: Hyperparameter, lower: LowerExpr) -> ir.Scalar:
    default = None if entry.default is None else lower(entry.default)
    return ir.Scalar(entry.identifier, display(entry.name.symbol, entry.name.time), default, entry.dtype)


def checks(
    inputs: tuple[ast.Input, ...], table: SymbolTable, arguments: tuple[ir.Argument, ...], lower: LowerExpr
) -> tuple[ir.Check, ...]:
    """The constructor's checks, in the order of the spec; those that fixed inputs decide are left out."""
    found = []
    inputs = tuple(declaration for declaration in inputs if not is_parameter(declaration))
    for declaration in inputs:
        for constraint in declaration.constraints:
            condition = lower(constraint.condition)
            if isinstance(condition, ir.Const):
                continue
            if constraint.message is None:
                message = _default_message(declaration, constraint.condition, table, arguments)
            else:
                message = tuple(_written_message(constraint.message, inputs, arguments))
            found.append(ir.Check(condition, message, argument_name(declaration)))
    return tuple(found)


def param_checks(inputs: tuple[ast.Input, ...], name: str, lower: LowerExpr) -> tuple[ir.Check, ...]:
    """The constraints on the parameters; ``{params}`` in a message shows the size of the one that is refused."""
    found = []
    for constraint in (c for declaration in inputs if is_parameter(declaration) for c in declaration.constraints):
        text = constraint.message or f"{name} takes parameters with {constraint.condition.span.text}, not {{params}}"
        message = tuple(
            ir.ParamSize() if i % 2 else part for i, part in enumerate(PLACEHOLDER.split(text)) if i % 2 or part
        )
        found.append(ir.Check(lower(constraint.condition), message, "params"))
    return tuple(found)


def _default_message(
    declaration: ast.Input, condition: ast.Expr, table: SymbolTable, arguments: tuple[ir.Argument, ...]
) -> Message:
    """torch's words for a value that breaks ``condition``: ``Invalid beta parameter at index 0: 2``."""
    name = argument_name(declaration)
    scalars = {s.name: s for a in arguments if a.name == name for s in a.scalars}
    used = {table.hyperparameters[n.symbol].identifier: None for n in walk.names(condition)}
    shown = [scalars[identifier] for identifier in used if identifier in scalars] or list(scalars.values())
    if len(scalars) == 1:
        return f"Invalid {WORDS.get(name, f'{name} value')}: ", shown[0]
    singular = name.removesuffix("s")
    if len(shown) == 1:
        return f"Invalid {singular} parameter at index {list(scalars).index(shown[0].name)}: ", shown[0]
    separated = [part for scalar in shown for part in (", ", scalar)]
    return f"Invalid {singular} values: ", *separated[1:]


def _written_message(
    text: str, inputs: tuple[ast.Input, ...], arguments: tuple[ir.Argument, ...]
) -> Iterator[str | ir.Argument | ir.Scalar]:
    """The parts of a message: literal text, and the values that ``{lr}``, ``{betas}`` or ``{betas[0]}`` show."""
    values: dict[str, ir.Argument | ir.Scalar] = {}
    for declaration, argument in zip(inputs, arguments, strict=True):
        name, *scalars = placeholders(declaration)
        values |= dict(zip(scalars, (s for s in argument.scalars for _ in range(2)), strict=False))
        values[name] = argument.scalars[0] if len(argument.scalars) == 1 else argument
    for i, part in enumerate(PLACEHOLDER.split(text)):
        if i % 2:
            yield values[part]
        elif part:
            yield part
