"""The commands: each reads its arguments, calls the compiler, and says what became of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from optdsl import __version__
from optdsl.cli import authoring, importing, trying
from optdsl.cli.building import DType, build_kernels
from optdsl.cli.package import Package
from optdsl.cli.report import ErrorFormat, report
from optdsl.cli.show import Stage, show_cost, show_reading, show_stage
from optdsl.compiler import check_files, compile_files

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Compile optimizers, written as the algorithm box of their paper, to torch.optim classes.",
)

Specs = Annotated[list[str], typer.Argument(metavar="SPEC...", help="The .opt files.", show_default=False)]
Format = Annotated[ErrorFormat, typer.Option("--error-format", help="How mistakes are printed.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"optdsl {__version__}")
        raise typer.Exit


@app.callback()
def optdsl(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Options that stand before the command."""


@app.command("compile")
def compile_(
    specs: Specs,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="The package to write.")] = Path(
        "generated"
    ),
    check: Annotated[bool, typer.Option("--check", help="Write nothing; print what would change.")] = False,
    error_format: Format = ErrorFormat.TEXT,
) -> None:
    """Write the package that holds the specs' optimizers."""
    package = Package.read(output)
    result = compile_files(specs, package.optimizers)
    conflicts = package.diagnostics or package.conflicts(result.files)
    report((*result.diagnostics, *conflicts), error_format)
    if not result.ok or conflicts:
        raise typer.Exit(1)
    changed = package.changed(result.files)
    if check:
        typer.echo(package.diff(changed), nl=False)
        raise typer.Exit(1 if changed else 0)
    failed = package.write(changed)
    report(failed, error_format)
    if failed:
        raise typer.Exit(1)
    typer.echo(f"{output}: {len(changed)} of {len(result.files)} files written", err=True)


@app.command()
def build(
    specs: Specs,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="The package to write.")] = Path(
        "generated"
    ),
    dtypes: Annotated[list[DType] | None, typer.Option("--dtype", help="Of parameters; may be repeated.")] = None,
    error_format: Format = ErrorFormat.TEXT,
) -> None:
    """Write the package, and compile its native kernels for machines that have no C compiler."""
    compile_(specs, output, False, error_format)
    modules = [module for unit in check_files(specs).units for module in unit.native_kernels]
    try:
        built = build_kernels(output, modules, dtypes or [DType.FLOAT32, DType.BFLOAT16])
    except RuntimeError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    typer.echo(f"{output}: {len(built)} kernels", err=True)


@app.command()
def check(
    specs: Specs,
    fix: Annotated[
        bool, typer.Option("--fix", help="First mend, in the files, what can be mended for certain.")
    ] = False,
    error_format: Format = ErrorFormat.TEXT,
) -> None:
    """Report every mistake of the specs; write nothing, unless it is to be fixed."""
    if fix:
        authoring.fix(specs, error_format)
    checked = check_files(specs)
    report(checked.diagnostics, error_format)
    raise typer.Exit(0 if checked.ok else 1)


@app.command()
def show(
    specs: Specs,
    stage: Annotated[Stage | None, typer.Option("--stage", help="Show what the compiler has made by then.")] = None,
    reading: Annotated[bool, typer.Option("--reading", help="Every statement fully bracketed and typed.")] = False,
    cost: Annotated[bool, typer.Option("--cost", help="Whole-tensor reads and writes of each variant.")] = False,
    error_format: Format = ErrorFormat.TEXT,
) -> None:
    """Print what the compiler makes of the specs: by default the optimizer class."""
    checked = check_files(specs)
    report(checked.diagnostics, error_format)
    if not checked.ok:
        raise typer.Exit(1)
    for unit in checked.units:
        if stage is not None or not (reading or cost):
            typer.echo(show_stage(unit, stage or Stage.CLASS).rstrip("\n"))
        if reading:
            typer.echo(show_reading(unit).rstrip("\n"))
        if cost:
            typer.echo(show_cost(unit).rstrip("\n"))


authoring.register(app)
importing.register(app)
trying.register(app)
