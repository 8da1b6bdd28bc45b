"""E401-E411, W401: the lines of ``input:``, their defaults and their constraints."""

from __future__ import annotations

from collections.abc import Iterator

from optdsl.check import walk
from optdsl.check.collect import (
    PLACEHOLDER,
    argument_name,
    is_parameter,
    is_torch_flag,
    placeholders,
    scalar_names,
)
from optdsl.check.evaluate import evaluate
from optdsl.check.model import PARAMETER, CheckedOptimizer, Hyperparameter, SymbolTable
from optdsl.check.suggest import did_you_mean
from optdsl.ir.nodes import PARAM_FACTS
from optdsl.source import Diagnostic, Fix, Label, Severity, Span
from optdsl.syntax import ast
from optdsl.syntax.names import display


def check(subject: CheckedOptimizer) -> Iterator[Diagnostic]:
    inputs = subject.optimizer.inputs
    yield from _duplicates(inputs)
    yield from _order(inputs)
    for declaration in inputs:
        if is_torch_flag(declaration):
            yield from _torch_flag(declaration)
            continue
        if is_parameter(declaration):
            yield from _parameter(declaration)
        yield from _defaults(declaration, subject)
        for constraint in declaration.constraints:
            yield from _constraint(declaration, constraint, subject)
    yield from _unused(subject)


def _duplicates(inputs: tuple[ast.Input, ...]) -> Iterator[Diagnostic]:
    symbols: dict[ast.Symbol, ast.Name] = {}
    identifiers: dict[str, Span] = {}
    for declaration in inputs:
        for name in declaration.names:
            first = symbols.setdefault(name.symbol, name)
            if first is not name:
                message = f"`{display(name.symbol)}` is declared twice"
                yield Diagnostic("E401", message, name.span, labels=(Label(first.span, "first declared here"),))
        span = declaration.python_name_span or declaration.names[0].span
        own = {argument_name(declaration), *scalar_names(declaration)} if declaration.python_name else set()
        for identifier in sorted(own or {argument_name(declaration)}):
            before = identifiers.setdefault(identifier, span)
            if before is not span:
                message = f"there are two arguments called `{identifier}`"
                labels = (Label(before, "the first one"),)
                yield Diagnostic("E402", message, span, help="rename one of them", labels=labels)


def _order(inputs: tuple[ast.Input, ...]) -> Iterator[Diagnostic]:
    """Python wants arguments without default first."""
    optional: ast.Input | None = None
    for declaration in inputs:
        if declaration.fixed or declaration.keyword_only or is_parameter(declaration):
            continue
        if declaration.defaults is not None or is_torch_flag(declaration):
            optional = optional or declaration
        elif optional is not None:
            yield Diagnostic(
                "E404",
                f"`{argument_name(declaration)}` has no default, and an argument before it has one",
                declaration.names[0].span,
                help="give it a default, put it first, or put it after a lone `*`",
                labels=(Label(optional.names[0].span, "this one has a default"),),
            )


def _torch_flag(declaration: ast.Input) -> Iterator[Diagnostic]:
    """A flag of torch only has its place fixed: what it does and its default are the same for every optimizer."""
    flag = argument_name(declaration)
    usual = ast.NoneLiteral() if flag in ("foreach", "fused") else ast.Bool(False)
    if declaration.fixed:
        message = f"`{flag}` belongs to every optimizer and cannot be fixed"
        yield Diagnostic("E408", message, declaration.span, help="leave the line out")
    elif declaration.defaults not in (None, (usual,)):
        shown = "none" if isinstance(usual, ast.NoneLiteral) else "false"
        yield Diagnostic("E408", f"the default of `{flag}` is `{shown}` in every optimizer", declaration.span)
    elif declaration.constraints or declaration.choices:
        yield Diagnostic("E408", f"`{flag}` is checked in the same way for every optimizer", declaration.span)


def _parameter(declaration: ast.Input) -> Iterator[Diagnostic]:
    """``θ_0 (params) where …`` says which parameters the optimizer takes, and nothing else."""
    if declaration.defaults is not None or declaration.choices or len(declaration.names) > 1:
        yield Diagnostic(
            "E413", "the parameters have no default", declaration.span, help="write `θ_0 (params) where dim(θ_0) = 2`"
        )
    elif declaration.python_name not in (None, "params"):
        fix = Fix(declaration.python_name_span, "params") if declaration.python_name_span else None
        place = declaration.python_name_span or declaration.span
        yield Diagnostic("E413", "the parameters are called `params`", place, help="write `θ_0 (params)`", fix=fix)


def _defaults(declaration: ast.Input, subject: CheckedOptimizer) -> Iterator[Diagnostic]:
    if declaration.fixed and declaration.defaults is None:
        yield Diagnostic("E407", f"`{argument_name(declaration)}` is fixed to nothing", declaration.span)
    for default in declaration.defaults or ():
        yield from _default(declaration, default, subject)


def _default(declaration: ast.Input, default: ast.Expr, subject: CheckedOptimizer) -> Iterator[Diagnostic]:
    shown = argument_name(declaration)
    match default:
        case ast.String(value=value) if value not in declaration.choices:
            listed = ", ".join(f'"{c}"' for c in declaration.choices)
            mend = (
                f"the choices are {listed}" if listed else f'write the choices before it: `{shown} ∈ {{"{value}", …}}`'
            )
            yield Diagnostic("E409", f'"{value}" is not one of the choices of `{shown}`', default.span, help=mend)
        case ast.Number() | ast.Bool() | ast.Unary(op="-", operand=ast.Number()) if declaration.choices:
            yield Diagnostic("E409", f"`{shown}` is one of its strings, or `none`", default.span)
        case ast.Number() | ast.Bool() | ast.String() | ast.NoneLiteral():
            return
        case _ if subject.optimizer.flat and _follows(declaration, default, subject):
            return
        case _ if evaluate(default, {}) is None:
            yield Diagnostic(
                "E407",
                f"the default of `{shown}` is not a constant",
                default.span,
                help="a default is a number, `true`, `false`, `none`, a string, or arithmetic on numbers",
            )


def _follows(declaration: ast.Input, default: ast.Expr, subject: CheckedOptimizer) -> bool:
    """Whether a default is arithmetic on the defaults of inputs that stand before it."""
    inputs = subject.optimizer.inputs
    before = inputs[: inputs.index(declaration)]
    defaults = {name: d for i in before for name, d in zip(i.names, i.defaults or (), strict=False)}
    values = {name: value for name, d in defaults.items() if (value := evaluate(d, {})) is not None}
    return len(declaration.names) == 1 and isinstance(evaluate(default, values), int | float)


def _constraint(declaration: ast.Input, constraint: ast.Constraint, subject: CheckedOptimizer) -> Iterator[Diagnostic]:
    table, condition = subject.table, constraint.condition
    used: dict[ast.Symbol, Hyperparameter] = {}
    misplaced = next(_misplaced_facts(declaration, condition), None)
    if misplaced is not None:
        yield misplaced
        return
    for expr in walk.read(condition):
        if isinstance(expr, ast.Name):
            entry = table.lookup(expr)
            if not isinstance(entry, Hyperparameter):
                yield _not_an_input(expr, table)
                return
            used[expr.symbol] = entry
        elif isinstance(expr, ast.StepTime | ast.Gradient):
            yield Diagnostic(
                "E406",
                f"`{expr.span.text}` is not known when the optimizer is made",
                expr.span,
                help="a constraint speaks of inputs alone",
            )
            return
    if constraint.message is not None:
        yield from _placeholders(constraint, subject)
    values = {e.name: evaluate(e.default, {}) for e in used.values() if e.default is not None}
    optional = [s for s, entry in used.items() if isinstance(entry.default, ast.NoneLiteral)]
    if len(values) == len(used) and not optional and evaluate(condition, values) is False:
        defaults = [default.span for default in declaration.defaults or ()]
        place = defaults[0].to(defaults[-1]) if defaults else declaration.span
        yield Diagnostic(
            "E405",
            f"the default `{place.text}` breaks its own constraint",
            place,
            help="change the default or the constraint",
            labels=(Label(condition.span, "the constraint"),),
        )


def _misplaced_facts(declaration: ast.Input, condition: ast.Expr) -> Iterator[Diagnostic]:
    """A constraint on the parameters asks for what is known of θ_0, and for nothing else; others do not ask for it."""
    asked = [e for e in walk.walk(condition) if isinstance(e, ast.Call) and e.function in PARAM_FACTS]
    if not is_parameter(declaration):
        for call in asked:
            help = f"write a line of its own: `θ_0 (params) where {condition.span.text}`"
            yield Diagnostic("E406", f"`{call.span.text}` is a matter of the parameters", call.span, help=help)
        return
    known = "`dim(θ_0)`, `rows(θ_0)`, `cols(θ_0)` and `numel(θ_0)` are known of the parameters"
    for call in asked:
        for argument in call.arguments:
            if not (isinstance(argument, ast.Name) and argument.symbol == PARAMETER):
                message = f"`{argument.span.text}` is not the parameter"
                yield Diagnostic("E406", message, argument.span, help=known)
    for expr in walk.read(condition):
        if isinstance(expr, ast.Name):
            message = f"`{expr.span.text}` is not known of the parameters when the optimizer is made"
            yield Diagnostic("E406", message, expr.span, help=known)


def _not_an_input(name: ast.Name, table: SymbolTable) -> Diagnostic:
    shown = display(name.symbol, name.time)
    if table.lookup(name) is not None:
        message = f"`{shown}` is not an input"
        return Diagnostic("E406", message, name.span, help="a constraint speaks of inputs alone")
    known = [display(symbol) for symbol in table.hyperparameters]
    listed = "the inputs are " + ", ".join(f"`{k}`" for k in known)
    return Diagnostic("E406", f"there is no input `{shown}`", name.span, help=did_you_mean(shown, known) or listed)


def _placeholders(constraint: ast.Constraint, subject: CheckedOptimizer) -> Iterator[Diagnostic]:
    known = {name for declaration in subject.optimizer.inputs for name in placeholders(declaration)}
    for text in PLACEHOLDER.findall(constraint.message or ""):
        if text not in known:
            yield Diagnostic(
                "E412",
                f"`{{{text}}}` in the message is no input",
                constraint.span,
                help=did_you_mean(text, known) or "write the Python name of an input in the braces",
            )


def _unused(subject: CheckedOptimizer) -> Iterator[Diagnostic]:
    optimizer = subject.optimizer
    states = (e for s in optimizer.states for e in (s.value, s.condition) if e is not None)
    read = (*walk.expressions(walk.whole(optimizer)), *(inner for e in states for inner in walk.walk(e)))
    names = (e for e in read if isinstance(e, ast.Name))
    used = {e.symbol for e in names if isinstance(subject.table.lookup(e), Hyperparameter)}
    for symbol, entry in subject.table.hyperparameters.items():
        if symbol not in used and not entry.fixed:
            yield Diagnostic(
                "W401",
                f"`{display(symbol)}` is never used",
                entry.name.span,
                severity=Severity.WARNING,
            )
