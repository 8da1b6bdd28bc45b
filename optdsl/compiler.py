"""The compiler, from left to right: read this first.

::

    Source ──parse──▶ Module ──analyse──▶ CheckedOptimizer ──lower──▶ Program ──emit──▶ {path: text}

Every arrow is a function from one immutable value to the next. Nothing here prints or writes: :mod:`optdsl.cli` and
:mod:`optdsl.loader` decide what becomes of the :class:`Result`.
"""

from __future__ import annotations

import hashlib
import keyword
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from optdsl import __version__
from optdsl.check.model import CheckedOptimizer
from optdsl.files import read_import, read_spec, whole_file
from optdsl.ir.nodes import Program
from optdsl.ir.procedures import FlatProgram
from optdsl.source import Diagnostic, Label, Severity, Source, Span
from optdsl.syntax import Parsed, ast, parse

MARK = "# Compiled by optdsl "
"""How every file that the compiler writes begins."""


@dataclass(frozen=True)
class Unit:
    """One optimizer on its way through the compiler: the spec it comes from, its checked tree and its program."""

    source: Source
    checked: CheckedOptimizer
    program: Program

    @property
    def module(self) -> str:
        """Name of the Python module that holds the class: ``AdamW`` → ``adamw``, a keyword with an underscore."""
        name = self.program.name.lower()
        return f"{name}_" if keyword.iskeyword(name) else name

    @property
    def class_file(self) -> str:
        return f"{self.module}.py"

    @property
    def kernel_file(self) -> str:
        return f"_{self.module}_triton.py"

    @property
    def native_file(self) -> str:
        return f"_{self.module}_native.py"

    @property
    def native_kernels(self) -> tuple[str, ...]:
        """What the modules are called that the native kernels would be beside if each were an optimizer's own."""
        from optdsl.ir.passes.folds import obstacles
        from optdsl.ir.passes.segments import segment_modules

        if isinstance(self.program, FlatProgram):
            return ()
        return segment_modules(self.program, self.module) if obstacles(self.program) else (self.module,)


@dataclass(frozen=True)
class Checked:
    """What the front half of the compiler knows: a program per optimizer, and every mistake of every spec."""

    units: tuple[Unit, ...]
    diagnostics: tuple[Diagnostic, ...]

    @property
    def ok(self) -> bool:
        return not any(d.severity is Severity.ERROR for d in self.diagnostics)


@dataclass(frozen=True)
class Result:
    """A package as ``{path relative to it: text}``, empty if there is any error; and every diagnostic."""

    files: Mapping[str, str]
    diagnostics: tuple[Diagnostic, ...]

    @property
    def ok(self) -> bool:
        return not any(d.severity is Severity.ERROR for d in self.diagnostics)


def compile_files(paths: Iterable[str | Path], kept: Mapping[str, str] | None = None) -> Result:
    """Compile the specs at ``paths``, at least one, to one package.

    ``kept`` (class name → module) are optimizers that the package has already; it goes on to export them.
    """
    paths = list(paths)
    checked = check_files(paths)
    if not checked.ok:
        return Result({}, checked.diagnostics)
    if not checked.units:
        nothing = Diagnostic("E807", "there is no optimizer to compile", whole_file(paths[0]))
        return Result({}, (*checked.diagnostics, nothing))
    return Result(emit(checked.units, kept), checked.diagnostics)


def check_files(paths: Iterable[str | Path]) -> Checked:
    """Everything up to the IR, for all specs: no mistake hides another one's."""
    units: list[Unit] = []
    diagnostics: list[Diagnostic] = []
    specs = _Specs()
    for path in dict.fromkeys(str(path) for path in paths):
        checked = check_file(path, specs)
        units += checked.units
        diagnostics += checked.diagnostics
    diagnostics += _clashes(units)
    return Checked(tuple(units), tuple(dict.fromkeys(diagnostics)))


def check_file(path: str, specs: _Specs) -> Checked:
    """Read and check one spec."""
    source = read_spec(path)
    return Checked((), (source,)) if isinstance(source, Diagnostic) else check_source(source, specs)


def check_source(source: Source, specs: _Specs | None = None) -> Checked:
    """parse, analyse, lower: one spec whose text is at hand. What it imports is looked for beside its name."""
    from optdsl.check import analyse
    from optdsl.ir.lower import lower

    specs = specs or _Specs()
    parsed = specs.parse(source)
    if parsed.module is None:
        further = analyse(parsed.repaired, specs.load).diagnostics if parsed.repaired is not None else ()
        lines = {_line(d.span) for d in parsed.diagnostics}
        elsewhere = (d for d in further if d.severity is Severity.ERROR and _line(d.span) not in lines)
        return Checked((), (*parsed.diagnostics, *elsewhere))
    analysis = analyse(parsed.module, specs.load)
    diagnostics = (*parsed.diagnostics, *analysis.diagnostics)
    if not Checked((), diagnostics).ok:
        return Checked((), diagnostics)
    return Checked(tuple(Unit(source, checked, lower(checked)) for checked in analysis.optimizers), diagnostics)


def _line(span: Span) -> tuple[str, int]:
    return span.source.name, span.source.line_column(span.start)[0]


def emit(units: Iterable[Unit], kept: Mapping[str, str] | None = None) -> dict[str, str]:
    """The package of ``units``: a module for each, its kernels unless it is flat, and what all share."""
    from optdsl.emit.fused.segments import emit_segments
    from optdsl.emit.latex import latex
    from optdsl.emit.native import emit_native
    from optdsl.emit.optimizer import emit_module
    from optdsl.emit.procedures.flat import emit_flat_module
    from optdsl.emit.triton import emit_kernel
    from optdsl.ir.passes.folds import obstacles
    from optdsl.ir.passes.segments import cut

    files: dict[str, str] = {}
    for unit in units:
        algorithm = latex(unit.checked.optimizer)
        if isinstance(unit.program, FlatProgram):
            files[unit.class_file] = _with_header(unit.source, emit_flat_module(unit.program, algorithm))
            continue
        files[unit.class_file] = _with_header(unit.source, emit_module(unit.program, algorithm))
        if not obstacles(unit.program):
            files[unit.kernel_file] = _with_header(unit.source, emit_kernel(unit.program))
            files[unit.native_file] = _with_header(unit.source, emit_native(unit.program))
        if pieces := cut(unit.program):
            for path, text in emit_segments(unit.program, unit.module, pieces).items():
                files[path] = _with_header(unit.source, text)
    exports = {**(kept or {}), **{unit.program.name: unit.module for unit in units}}
    return {"__init__.py": _init(exports), **files, **_support()}


# ----------------------------------------------------------------------------------------------------------- specs


@dataclass
class _Specs:
    """The specs parsed so far, so that a file that several others import is parsed once."""

    parsed: dict[Source, Parsed] = field(default_factory=dict)

    def parse(self, source: Source) -> Parsed:
        if source not in self.parsed:
            self.parsed[source] = parse(source)
        return self.parsed[source]

    def load(self, imported: ast.Import) -> ast.Module | Diagnostic:
        """The module that ``imported`` names, or what is wrong with it."""
        source = read_import(imported.file, imported.span.source)
        if isinstance(source, Diagnostic):
            return source
        if source is None:
            return Diagnostic(
                "E803",
                f"there is no spec `{imported.file}` to import `{imported.name}` from",
                imported.span,
                note=f"looked beside `{imported.span.source.name}` and among the specs that come with optdsl",
            )
        parsed = self.parse(source)
        errors = [d for d in parsed.diagnostics if d.severity is Severity.ERROR]
        return errors[0] if errors or parsed.module is None else parsed.module


def _clashes(units: Iterable[Unit]) -> list[Diagnostic]:
    """E804 for every optimizer whose module another one has taken."""
    first: dict[str, Unit] = {}
    diagnostics = []
    for unit in units:
        other = first.setdefault(unit.module, unit)
        if other is not unit:
            diagnostics.append(
                Diagnostic(
                    "E804",
                    f"`{unit.program.name}` and `{other.program.name}` would both be written to `{unit.class_file}`",
                    unit.checked.optimizer.name_span,
                    labels=(Label(other.checked.optimizer.name_span, "the other one"),),
                    help="rename one of them, or compile them into different packages",
                )
            )
    return diagnostics


# --------------------------------------------------------------------------------------------------------- package


def _with_header(source: Source, text: str) -> str:
    """``text`` under the line that says which compiler made it from which spec."""
    digest = hashlib.sha256(source.text.replace("\r\n", "\n").encode()).hexdigest()[:12]
    return f"{MARK}{__version__} from {PurePath(source.name).name} (sha256 {digest}). Do not edit.\n{text}"


def _init(exports: Mapping[str, str]) -> str:
    """``__init__.py``: ``exports`` is class name → module."""
    names = sorted(exports, key=lambda name: (exports[name], name))
    lines = [
        f"{MARK}{__version__}. Do not edit.",
        '"""Optimizers compiled from their specs; use them as those of ``torch.optim``."""',
        "",
        *(f"from .{exports[name]} import {name}" for name in names),
        "",
        "__all__ = [",
        *(f'    "{name}",' for name in sorted(names)),
        "]",
        "",
    ]
    return "\n".join(lines)


def _support() -> dict[str, str]:
    """The package ``_support``: a copy of :mod:`optdsl.support`."""
    folder = Path(__file__).parent / "support"
    return {
        f"_support/{path.name}": f"{MARK}{__version__} (part of every package). Do not edit.\n{path.read_text('utf-8')}"
        for path in sorted(folder.glob("*.py"))
    }
