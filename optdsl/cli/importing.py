"""``optdsl import``: a spec from the LaTeX of a paper, or from the doc string of a class."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from optdsl.cli.report import ErrorFormat, report
from optdsl.files import read_source, write_whole
from optdsl.source import Diagnostic


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command("import")(import_)


def import_(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE|CLASS",
            help="A LaTeX file, - for the standard input, or a class such as torch.optim.Adam.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="SPEC", help="The spec to write. Else it is printed.")
    ] = None,
    name: Annotated[str, typer.Option("--name", help="The optimizer's name; else the caption's or the file's.")] = "",
    algorithm: Annotated[
        int | None,
        typer.Option("--algorithm", metavar="N", help="Which algorithm of the file, if there are several.", min=1),
    ] = None,
    error_format: Annotated[ErrorFormat, typer.Option("--error-format", help="How mistakes are printed.")] = (
        ErrorFormat.TEXT
    ),
) -> None:
    """Write the spec that an algorithm in LaTeX spells; `# fill in` marks what the page leaves out."""
    from optdsl.importer import read_latex
    from optdsl.importer.classes import is_class_name, read_class

    if name and not name.isidentifier():
        raise typer.BadParameter(f"`{name}` is not a name", param_hint="--name")
    if is_class_name(source) and not Path(source).exists():
        documented = read_class(source)
        if isinstance(documented, Diagnostic):
            _fail(documented, error_format)
        imported = read_latex(
            documented.source, name or documented.name, documented.summary, documented.defaults, algorithm
        )
    else:
        text = read_source(source)
        if isinstance(text, Diagnostic):
            _fail(text, error_format)
        imported = read_latex(text, name, algorithm=algorithm)
    failed = None
    if imported.text is not None and output is not None:
        failed = write_whole(str(output), imported.text)
    elif imported.text is not None:
        sys.stdout.write(imported.text)
        sys.stdout.flush()
    report((*imported.diagnostics, *([failed] if failed else [])), error_format)
    if imported.text is None or failed:
        raise typer.Exit(1)


def _fail(diagnostic: Diagnostic, error_format: ErrorFormat) -> NoReturn:
    report((diagnostic,), error_format)
    raise typer.Exit(1)
