"""What a wheel installs: the compiler with its grammar and specs, and the compiled optimizers as ``optdsl.optim``."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with nothing but what the wheel holds."""
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as file:
        file.extractall(folder)
    return folder


def run(installed: Path, program: str, cwd: Path) -> str:
    """Output of ``program`` where the installed package, not the checkout, is imported."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(installed), "XDG_CACHE_HOME": str(cwd / "cache")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_only_optdsl_is_installed(wheel: Path) -> None:
    names = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {name for name in names if not name.endswith(".dist-info")} == {"optdsl"}


def test_everything_that_is_read_at_run_time_is_in_it(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    here = [path.relative_to(ROOT) for path in (ROOT / "optdsl").rglob("*") if path.is_file()]
    assert {str(path) for path in here if "__pycache__" not in path.parts} <= names
    assert {f"optdsl/_data/{path.relative_to(ROOT)}" for path in (ROOT / "specs").rglob("*.opt")} <= names
    assert "optdsl/_data/grammars/opt.lark" in names
    assert {f"optdsl/optim/{path.name}" for path in (ROOT / "generated").glob("*.py")} <= names


def test_specs_compile_and_import_the_shipped_ones(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.opt").write_text(
        "import Adam from adam\n\noptimizer Mine extends Adam:\n    input:\n        ε (eps) = 1e-6\n"
    )
    program = (
        "import sys, optdsl\n"
        "from optdsl.cli import main\n"
        "print(optdsl.__file__)\n"
        "sys.argv = ['optdsl', 'compile', 'mine.opt', '-o', 'package']\n"
        "main()\n"
    )
    assert run(installed, program, tmp_path).startswith(str(installed))
    assert "eps: float | Tensor = 1e-06" in (tmp_path / "package" / "mine.py").read_text()


def test_the_compiled_optimizers_are_optdsl_optim(installed: Path, tmp_path: Path) -> None:
    program = "import optdsl.optim; from optdsl.optim import Adam; print(Adam.__module__, *optdsl.optim.__all__)"
    shown = run(installed, program, tmp_path).split()
    assert shown[0] == "optdsl.optim.adam"
    assert {"Adam", "AdamW", "SGD"} <= set(shown[1:])


def test_the_compiled_optimizers_do_not_import_the_compiler(installed: Path, tmp_path: Path) -> None:
    program = "import sys, optdsl.optim; print(*sorted(m for m in sys.modules if m.startswith(('optdsl.', 'lark'))))"
    modules = run(installed, program, tmp_path).split()
    assert all(name.startswith("optdsl.optim") or name == "optdsl.source" for name in modules), modules


def test_there_is_no_module_called_generated(installed: Path, tmp_path: Path) -> None:
    program = f"import importlib.machinery as m; print(m.PathFinder.find_spec('generated', [{str(installed)!r}]))"
    assert run(installed, program, tmp_path) == "None\n"
