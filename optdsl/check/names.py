"""E100-E103: every name is declared or assigned, every function exists and has its arguments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from optdsl.check import walk
from optdsl.check.model import Buffer, CheckedOptimizer, Hyperparameter, SymbolTable, local_key
from optdsl.check.suggest import as_product, did_you_mean
from optdsl.check.vocabulary import ELEMENTWISE, FUNCTIONS, NOT_COMPILED, REDUCTIONS, builtin_of
from optdsl.ir.nodes import TORCH_FLAGS
from optdsl.source import Diagnostic, Fix, Label, Span
from optdsl.syntax import ast
from optdsl.syntax.names import display
from optdsl.syntax.vocabulary import SYNONYMS


def check(subject: CheckedOptimizer) -> Iterator[Diagnostic]:
    optimizer = subject.optimizer
    states = (e for s in optimizer.states for e in (s.value, s.condition) if e is not None)
    expressions = (*walk.expressions(walk.whole(optimizer)), *(inner for e in states for inner in walk.walk(e)))
    for expr in expressions:
        if isinstance(expr, ast.Name) and subject.table.lookup(expr) is None:
            yield _undeclared(expr, subject.table, subject.functions)
    constraints = (c.condition for i in optimizer.inputs for c in i.constraints)
    calls = (*expressions, *(inner for condition in constraints for inner in walk.walk(condition)))
    yield from _calls(calls, subject.functions)
    for function in walk.inlined(walk.whole(optimizer), subject.functions):
        yield from _function(function, subject.functions)


def _undeclared(name: ast.Name, table: SymbolTable, functions: Mapping[str, ast.Function]) -> Diagnostic:
    shown, span = display(name.symbol), name.span
    python = _by_python_name(name, table)
    if python is not None:
        message = f"`{shown}` is the Python name of `{python}`"
        return Diagnostic("E100", message, span, help=f"write `{python}`", fix=Fix(span, python))
    symbols = list(dict.fromkeys(table.symbols))
    written = [display(symbol) for symbol in symbols]
    if name.symbol.base in TORCH_FLAGS:
        help = "the compiler gives it to every optimizer; leave this out"
        return Diagnostic("E100", f"a spec does not read `{shown}`", span, help=help)
    if span.source.text.startswith("(", span.end):
        return _unknown_function(span, functions)
    message = f"`{shown}` is not declared"
    parts = as_product(shown, [*written, "t"])
    if parts:
        product = " ".join(parts)
        return Diagnostic("E100", message, span, help=f"did you mean the product `{product}`?", fix=Fix(span, product))
    near = _same_letter(name.symbol, symbols) or did_you_mean(shown, written)
    mend = near or "declare it under `input:` or `initialize:`, or assign it before this"
    return Diagnostic("E100", message, span, help=mend)


def _by_python_name(name: ast.Name, table: SymbolTable) -> str | None:
    """How the spec writes what is called ``name`` in Python or in the state dict."""
    for entry in (*table.hyperparameters.values(), *table.buffers.values()):
        match entry:
            case Hyperparameter(identifier=word, name=declared) if word == name.symbol.base:
                return display(declared.symbol)
            case Buffer(identifier=word, declaration=state) if word == name.symbol.base:
                return display(state.name.symbol, ast.Time.NOW)
    return None


def _same_letter(symbol: ast.Symbol, symbols: Iterable[ast.Symbol]) -> str:
    same = [f"`{display(s)}`" for s in symbols if s.base == symbol.base]
    return f"did you mean {' or '.join(same)}?" if same else ""


def _calls(expressions: Iterable[ast.Expr], functions: Mapping[str, ast.Function]) -> Iterator[Diagnostic]:
    for call in expressions:
        if not isinstance(call, ast.Call):
            continue
        function = functions.get(call.function)
        if function is not None:
            yield from _arguments_of(function, call)
        elif (builtin := builtin_of(call)) is not None:
            given = len(call.arguments)
            if given < builtin.least or (builtin.most is not None and given > builtin.most):
                least = f"{builtin.least}" if builtin.most else f"at least {builtin.least}"
                noun = "argument" if least == "1" else "arguments"
                message = f"`{call.function}` takes {least} {noun}, not {given}"
                yield Diagnostic("E103", message, call.span, help=_called_rightly(call))
        elif call.function not in NOT_COMPILED:
            yield _unknown_function(call.name_span or call.span, functions)


def _called_rightly(call: ast.Call) -> str:
    """What to write for a call with too few arguments: one bound of two, or a tensor that is to be reduced."""
    if call.function == "clamp" and len(call.arguments) == 2:
        x, bound = (argument.span.text for argument in call.arguments)
        least = f"-({bound})" if " " in bound else f"-{bound}"
        return f"say both bounds: `clamp({x}, {least}, {bound})`"
    if call.function not in REDUCTIONS or call.function not in ELEMENTWISE or len(call.arguments) != 1:
        return ""
    return f"to reduce a tensor, say over what: `{call.function}({call.arguments[0].span.text}, over all)`"


def _unknown_function(span: Span, functions: Iterable[str]) -> Diagnostic:
    name = span.text
    synonym = SYNONYMS.get(name, "")
    mend = f"write `{synonym}`" if synonym else did_you_mean(name, (*FUNCTIONS, *functions))
    mend = mend or "define it, or leave a space before the bracket to multiply"
    return Diagnostic("E102", f"there is no function `{name}`", span, help=mend)


def _arguments_of(function: ast.Function, call: ast.Call) -> Iterator[Diagnostic]:
    wanted, given = len(function.arguments), len(call.arguments)
    settings, chosen = len(function.parameters), len(call.parameters)
    if (wanted, settings) == (given, chosen):
        return
    names = ", ".join(display(n.symbol) for n in function.arguments)
    if settings:
        names += "; " + ", ".join(display(n.symbol) for n in function.parameters)
    yield Diagnostic(
        "E103",
        f"these are not the arguments of `{function.name}`",
        call.span,
        help=f"call it as `{function.name}({names})`",
        labels=(Label(function.span, "defined here"),) if function.span.source == call.span.source else (),
    )


def _function(function: ast.Function, functions: Mapping[str, ast.Function]) -> Iterator[Diagnostic]:
    """Names and calls of a function's body; it sees its arguments and what it assigns, nothing else."""
    own = {local_key(name): name for name in (*function.arguments, *function.parameters)}
    own |= {local_key(target): target for target, _ in walk.assignments(function.body)}
    for expr in walk.expressions(function.body):
        if isinstance(expr, ast.Name) and local_key(expr) not in own:
            shown = display(expr.symbol)
            yield Diagnostic(
                "E100",
                f"`{shown}` is neither an argument of `{function.name}` nor assigned in it",
                expr.span,
                help=did_you_mean(shown, [display(symbol) for symbol, _ in own])
                or "a function sees its own arguments alone; pass it in",
            )
        elif isinstance(expr, ast.StepTime | ast.Gradient):
            shown = expr.span.text
            yield Diagnostic("E100", f"a function does not see `{shown}`", expr.span, help="pass it as an argument")
    yield from _calls(walk.expressions(function.body), functions)
