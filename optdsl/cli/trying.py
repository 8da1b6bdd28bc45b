"""``optdsl try``: the optimizers of specs beside torch's, on small problems."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from optdsl.cli.report import ErrorFormat, report
from optdsl.compiler import check_files
from optdsl.files import whole_file
from optdsl.source import Diagnostic

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
    report(diagnostics, error_format)
    if not checked.ok or (not checked.diagnostics and diagnostics):
        raise typer.Exit(1)

    from optdsl.trial.command import trial

    trial(checked.units, output, tuple(lr) if lr else None)


def _missing(spec: str) -> list[Diagnostic]:
    """What is not installed and has to be."""
    from importlib.util import find_spec

    names = [package for module, package in _NEEDED.items() if find_spec(module) is None]
    if not names:
        return []
    help_ = "install it with: pip install 'optdsl[torch,try]'"
    return [Diagnostic("E808", f"`optdsl try` needs {' and '.join(names)}", whole_file(spec), help=help_)]
