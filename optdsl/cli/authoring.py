"""The commands for authors of specs. Each imports what it needs when it runs, so that ``compile`` starts no slower."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optdsl.cli.report import ErrorFormat, report
from optdsl.files import SUFFIX, read_source, specs_in, whole_file, write_whole
from optdsl.render import visible
from optdsl.source import Diagnostic, Source

if TYPE_CHECKING:
    from optdsl.check.model import CheckedOptimizer

Format = Annotated[ErrorFormat, typer.Option("--error-format", help="How mistakes are printed.")]


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command("fmt")(fmt)
    app.command("explain")(explain)
    app.command("new")(new)
    app.command("diff")(diff)


def fmt(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE...", help="The .opt files, folders of them, or - for the standard input."),
    ],
    check: Annotated[bool, typer.Option("--check", help="Write nothing; name the files that would change.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Write nothing; print what would change.")] = False,
    ascii_: Annotated[bool, typer.Option("--ascii", help="Spell symbols in ASCII: beta_1, <-, sqrt(x).")] = False,
    latex: Annotated[bool, typer.Option("--latex", help="Spell symbols as LaTeX does: \\beta_1, \\leftarrow.")] = False,
    error_format: Format = ErrorFormat.TEXT,
) -> None:
    """Write specs in the canonical form; comments stay."""
    from optdsl.fmt import format_source
    from optdsl.syntax.notation import ASCII, LATEX, UNICODE

    if ascii_ and latex:
        raise typer.BadParameter("choose one of --ascii and --latex")
    notation = ASCII if ascii_ else LATEX if latex else UNICODE
    diagnostics: list[Diagnostic] = []
    changed = 0
    for path in specs_in(files):
        source = read_source(path)
        if isinstance(source, Diagnostic):
            diagnostics.append(source)
            continue
        formatted = format_source(source, notation)
        diagnostics += formatted.diagnostics
        if formatted.text is None:
            continue
        differs = formatted.text != source.text
        changed += differs
        if diff and differs:
            typer.echo(_diff(source, formatted.text), nl=False)
        if check and differs:
            typer.echo(f"{source.name} is not formatted", err=True)
        if path == "-" and not (check or diff):
            typer.echo(formatted.text, nl=False)
        elif differs and not (check or diff):
            diagnostics += filter(None, [write_whole(path, formatted.text)])
    report(diagnostics, error_format)
    raise typer.Exit(1 if diagnostics or (changed and (check or diff)) else 0)


def _diff(source: Source, text: str) -> str:
    import difflib

    old, new = source.text.splitlines(keepends=True), text.splitlines(keepends=True)
    return "".join(difflib.unified_diff(old, new, source.name, f"{source.name} (formatted)"))


def fix(files: list[str], error_format: ErrorFormat) -> None:
    """Mend the specs in their files, and say what was mended."""
    from optdsl.fixes import mend

    failed: list[Diagnostic] = []
    for path in files:
        source = read_source(path)
        if isinstance(source, Diagnostic):
            continue
        mended = mend(source)
        if mended.fixed:
            refused = write_whole(path, mended.source.text)
            failed += [refused] if refused else []
            for diagnostic in () if refused else mended.fixed:
                typer.echo(_fixed(diagnostic), err=True)
    report(failed, error_format)
    if failed:
        raise typer.Exit(1)


def _fixed(diagnostic: Diagnostic) -> str:
    """One line on an edit that was made."""
    assert diagnostic.fix is not None
    span, new = diagnostic.fix.span, diagnostic.fix.replacement
    line, column = span.source.line_column(span.start)
    if not span.text.strip() and not new.strip():
        what = "indented anew"
    elif not span.text:
        what = f"added `{new.strip()}`"
    elif not new:
        what = f"removed `{span.text}`"
    else:
        what = f"`{span.text}` is now `{new}`"
    return visible(f"{span.source.name}:{line}:{column}: fixed {diagnostic.code}: {what}")


def explain(
    code: Annotated[str | None, typer.Argument(help="A code such as E212; without it, all of them are listed.")] = None,
) -> None:
    """Show what a diagnostic means, with a wrong and a right example."""
    from optdsl.explain import codes, nearest_code, page

    if code is None:
        for known in codes():
            typer.echo(f"{known}  {page(known).title}")
        return
    if code.upper() not in codes():
        near = nearest_code(code)
        raise typer.BadParameter(f"there is no code {code}" + (f"; did you mean {near}?" if near else ""))
    typer.echo(page(code.upper()), nl=False)


def new(
    name: Annotated[str, typer.Argument(help="Name of the optimizer, such as lion.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="The spec to write, instead of NAME.opt.")
    ] = None,
    error_format: Format = ErrorFormat.TEXT,
) -> None:
    """Write a commented spec to start from, and a test for it."""
    from optdsl.compiler import check_source
    from optdsl.scaffold import class_name, default_path, scaffold

    optimizer = class_name(name)
    if optimizer is None:
        raise typer.BadParameter(f"{name} cannot name a class: it takes ASCII letters and digits, a letter first")
    path = output or default_path(optimizer)
    if path.suffix != SUFFIX:
        raise typer.BadParameter(f"{path}: a spec's name ends in {SUFFIX}")
    files = scaffold(optimizer, path)
    refused = check_source(Source(str(path), files[path])).diagnostics
    refused = refused or tuple(_is_there(file) for file in files if file.exists())
    written: list[Path] = []
    for file, text in () if refused else files.items():
        failed = write_whole(file, text)
        if failed is not None:
            for other in written:
                other.unlink()
            refused = (failed,)
            break
        written.append(file)
    report(refused, error_format)
    if refused:
        raise typer.Exit(1)
    for file in written:
        typer.echo(f"{file} written", err=True)


def _is_there(path: Path) -> Diagnostic:
    help_ = "give another name, or another file with `-o`"
    return Diagnostic("E809", "there is such a file already", whole_file(path), help=help_)


def diff(
    first: Annotated[str, typer.Argument(metavar="A", help="A spec, or SPEC:NAME for one optimizer of several.")],
    second: Annotated[str, typer.Argument(metavar="B", help="The spec to compare it with.")],
    error_format: Format = ErrorFormat.TEXT,
) -> None:
    """Tell what differs between two optimizers; exit with 1 if anything does."""
    from optdsl.diff import compare
    from optdsl.diff.text import json_lines, text

    comparison = compare(_one_optimizer(first, error_format), _one_optimizer(second, error_format))
    typer.echo(json_lines(comparison) if error_format is ErrorFormat.JSON else text(comparison), nl=False)
    raise typer.Exit(1 if comparison.differences else 0)


def _one_optimizer(argument: str, error_format: ErrorFormat) -> CheckedOptimizer:
    """The optimizer that ``argument`` names; exits where there is not just one."""
    from optdsl.compiler import check_files

    whole = Path(argument).is_file() or ":" not in argument
    path, _, name = (argument, "", "") if whole else argument.rpartition(":")
    checked = check_files([path])
    if not checked.ok:
        report(checked.diagnostics, error_format)
        raise typer.Exit(2)
    units = [unit for unit in checked.units if name in ("", unit.program.name)]
    if len(units) == 1:
        return units[0].checked
    names = ", ".join(f"`{unit.program.name}`" for unit in checked.units)
    message = f"there is no optimizer `{name}`" if name else f"there are {len(checked.units)} optimizers, not one"
    help_ = f"choose one of {names} with `FILE:NAME`" if names else ""
    report([Diagnostic("E810", message, whole_file(path), help=help_)], error_format)
    raise typer.Exit(2)
