"""``optdsl try``: the optimizers of specs beside torch's, on small problems."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from optdsl.check.collect import argument_name, is_parameter
from optdsl.cli.report import ErrorFormat, report
from optdsl.compiler import Unit, check_files
from optdsl.files import whole_file
from optdsl.ir.nodes import TORCH_FLAGS
from optdsl.source import Diagnostic, Severity

_NEEDED = {"torch": "torch", "matplotlib": "matplotlib", "sklearn": "scikit-learn"}


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command("try")(try_)


def try_(
    specs: Annotated[list[str], typer.Argument(metavar="SPEC...", help="The .opt files.", show_default=False)],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Where the pictures go.")] = Path(
        "out/try"
    ),
    lr: Annotated[
        list[float] | None,
        typer.Option("--lr", help="A learning rate to try; may be given several times. Else eight from 1e-4 to 0.3."),
    ] = None,
    error_format: Annotated[ErrorFormat, typer.Option("--error-format", help="How mistakes are printed.")] = (
        ErrorFormat.TEXT
    ),
) -> None:
    """Run the specs' optimizers beside torch's Adam and SGD; save pictures, report results, memory and time."""
    checked = check_files(specs)
    diagnostics = checked.diagnostics or tuple(_missing(specs[0]))
    if checked.ok:
        diagnostics = (*diagnostics, *filter(None, map(_not_given, checked.units)))
    report(diagnostics, error_format)
    if not checked.ok or any(d.severity is Severity.ERROR for d in diagnostics):
        raise typer.Exit(1)

    from optdsl.trial.command import trial

    trial(checked.units, output, tuple(lr) if lr else None)


def _not_given(unit: Unit) -> Diagnostic | None:
    """That an optimizer cannot be made without arguments."""
    optimizer = unit.checked.optimizer
    open_ = [i for i in optimizer.inputs if i.defaults is None and argument_name(i) not in TORCH_FLAGS]
    open_ = [i for i in open_ if not is_parameter(i)]
    if not open_:
        return None
    names = " and ".join(f"`{argument_name(i)}`" for i in open_)
    verb = "has" if len(open_) == 1 else "have"
    message = f"`{optimizer.name}` cannot be tried: {names} {verb} no default"
    return Diagnostic("E811", message, open_[0].span, help="give it one in the spec, as in `γ (lr) = 1e-3`")


def _missing(spec: str) -> list[Diagnostic]:
    """What is not installed and has to be."""
    from importlib.util import find_spec

    names = [package for module, package in _NEEDED.items() if find_spec(module) is None]
    if not names:
        return []
    help_ = "install it with: pip install 'optdsl[torch,try]'"
    return [Diagnostic("E808", f"`optdsl try` needs {' and '.join(names)}", whole_file(spec), help=help_)]
