"""The commands as a user meets them: what they print, what they write, how they exit."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import optdsl
from optdsl.cli.app import app

ROOT = Path(__file__).parents[2]
ADAM, ADAMW, SGD = (str(ROOT / "specs" / f"{name}.opt") for name in ("adam", "adamw", "sgd"))

MISTAKES = """\
optimizer Wrong:
    input:
        γ (lr) = 1e-3
    for t = 1 to … do
        g_t ← ∇f_t(θ_{t-1})
        θ_t ← θ_{t-1} - γ ρ q g_t
    return θ_t
"""


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, catch_exceptions=False)


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def wrong(tmp_path: Path) -> str:
    path = tmp_path / "wrong.opt"
    path.write_text(MISTAKES)
    return str(path)


# --------------------------------------------------------------------------------------------------------- compile


def test_compile_writes_a_package(tmp_path: Path) -> None:
    result = run("compile", ADAM, "-o", str(tmp_path / "package"))
    assert result.exit_code == 0, result.output
    files = tree(tmp_path / "package")
    assert {"__init__.py", "adam.py", "_adam_triton.py", "_support/__init__.py"} <= files.keys()
    assert all(text.startswith(b"# Compiled by optdsl ") for text in files.values())
    header = files["adam.py"].decode().splitlines()[0]
    assert header.startswith(f"# Compiled by optdsl {optdsl.__version__} from adam.opt (sha256 ")


def test_compile_gives_the_same_bytes_wherever_the_spec_lies(tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere" / "adam.opt"
    copy.parent.mkdir()
    copy.write_bytes(Path(ADAM).read_bytes())
    run("compile", ADAM, "-o", str(tmp_path / "a"))
    run("compile", str(copy), "-o", str(tmp_path / "b"))
    assert tree(tmp_path / "a") == tree(tmp_path / "b")


def test_the_order_of_the_specs_does_not_matter(tmp_path: Path) -> None:
    run("compile", ADAM, SGD, "-o", str(tmp_path / "a"))
    run("compile", SGD, ADAM, SGD, "-o", str(tmp_path / "b"))
    assert tree(tmp_path / "a") == tree(tmp_path / "b")


def test_compile_into_a_package_keeps_its_other_optimizers(tmp_path: Path) -> None:
    run("compile", ADAM, "-o", str(tmp_path / "one by one"))
    run("compile", SGD, "-o", str(tmp_path / "one by one"))
    run("compile", ADAM, SGD, "-o", str(tmp_path / "together"))
    assert tree(tmp_path / "one by one") == tree(tmp_path / "together")


def test_nothing_is_written_if_one_spec_is_wrong(tmp_path: Path, wrong: str) -> None:
    result = run("compile", ADAM, wrong, "-o", str(tmp_path / "package"))
    assert result.exit_code == 1
    assert not (tmp_path / "package").exists()


def test_compile_refuses_a_package_of_someone_else(tmp_path: Path) -> None:
    (tmp_path / "__init__.py").write_text("mine = True\n")
    result = run("compile", ADAM, "-o", str(tmp_path))
    assert result.exit_code == 1
    assert "error[E805]" in result.stderr
    assert tree(tmp_path) == {"__init__.py": b"mine = True\n"}


def test_two_optimizers_cannot_share_a_module(tmp_path: Path) -> None:
    text = Path(SGD).read_text()
    (tmp_path / "a.opt").write_text(text)
    (tmp_path / "b.opt").write_text(text.replace("optimizer SGD", "optimizer Sgd"))
    result = run("compile", str(tmp_path / "a.opt"), str(tmp_path / "b.opt"), "-o", str(tmp_path / "package"))
    assert result.exit_code == 1
    assert "error[E804]: `Sgd` and `SGD` would both be written to `sgd.py`" in result.stderr


def test_a_spec_without_optimizers_compiles_to_nothing(tmp_path: Path) -> None:
    (tmp_path / "f.opt").write_text("function f(x):\n    return x\n")
    result = run("compile", str(tmp_path / "f.opt"), "-o", str(tmp_path / "package"))
    assert result.exit_code == 1
    assert "error[E807]: there is no optimizer to compile" in result.stderr


# ----------------------------------------------------------------------------------------------------------- check


def test_compile_check_of_a_package_that_is_up_to_date(tmp_path: Path) -> None:
    run("compile", ADAM, SGD, "-o", str(tmp_path))
    for specs in ([ADAM, SGD], [ADAM], [SGD]):
        result = run("compile", *specs, "-o", str(tmp_path), "--check")
        assert (result.exit_code, result.output) == (0, "")


def test_compile_check_of_a_stale_package_prints_the_difference(tmp_path: Path) -> None:
    run("compile", ADAM, "-o", str(tmp_path))
    module = tmp_path / "adam.py"
    module.write_text(module.read_text().replace("class Adam(", "class Eve("))
    before = tree(tmp_path)
    result = run("compile", ADAM, "-o", str(tmp_path), "--check")
    assert result.exit_code == 1
    assert result.stdout.startswith(f"--- {module}\n+++ {module}\n")
    assert "\n-class Eve(" in result.stdout
    assert "\n+class Adam(" in result.stdout
    assert tree(tmp_path) == before


def test_compile_check_of_a_package_that_is_not_there(tmp_path: Path) -> None:
    result = run("compile", ADAM, "-o", str(tmp_path / "package"), "--check")
    assert result.exit_code == 1
    assert "--- /dev/null\n" in result.stdout
    assert not (tmp_path / "package").exists()


def test_check_reports_every_mistake_of_every_spec(tmp_path: Path, wrong: str) -> None:
    syntax = tmp_path / "syntax.opt"
    syntax.write_text("optimizer Broken\n")
    result = run("check", wrong, ADAM, str(syntax), str(tmp_path / "missing.opt"))
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "`ρ`" in result.stderr
    assert "`q`" in result.stderr
    assert f"{syntax}:1:" in result.stderr
    assert "missing.opt" in result.stderr
    assert result.stderr.rstrip().splitlines()[-1] == f"{result.stderr.count('error[')} errors"


def test_check_of_good_specs_is_silent() -> None:
    result = run("check", ADAM, ADAMW, SGD)
    assert (result.exit_code, result.output) == (0, "")


def test_json_is_one_object_per_line_on_stdout(wrong: str) -> None:
    result = run("check", wrong, "--error-format", "json")
    assert result.exit_code == 1
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(d["file"], d["line"], d["severity"]) for d in found] == [(wrong, 6, "error")] * 2
    assert result.stderr == ""


def test_github_format(wrong: str) -> None:
    result = run("check", wrong, "--error-format", "github")
    assert result.exit_code == 1
    assert all(line.startswith(f"::error file={wrong},line=6,") for line in result.stdout.splitlines())


@pytest.mark.parametrize("command", [("check",), ("compile",), ("show",)])
@pytest.mark.parametrize("kind", ["missing", "folder", "latin-1", "null"])
def test_a_file_that_cannot_be_read_is_a_diagnostic(tmp_path: Path, command: tuple[str], kind: str) -> None:
    path = tmp_path / "spec.opt"
    if kind == "folder":
        path.mkdir()
    elif kind == "latin-1":
        path.write_bytes("optimizer A:\n    # größer\n".encode("latin-1"))
    elif kind == "null":
        path = Path("a\0b.opt")
    output = ("-o", str(tmp_path / "package")) if command == ("compile",) else ()
    result = run(*command, str(path), *output)
    assert result.exit_code == 1
    assert f"error[{'E802' if kind == 'latin-1' else 'E801'}]" in result.stderr
    assert "Traceback" not in result.output
    assert not (tmp_path / "package").exists()


def test_an_empty_spec_says_so(tmp_path: Path) -> None:
    (tmp_path / "empty.opt").write_text("")
    result = run("check", str(tmp_path / "empty.opt"))
    assert "Traceback" not in result.output


def test_windows_line_ends_and_byte_order_mark_are_read(tmp_path: Path) -> None:
    path = tmp_path / "adam.opt"
    path.write_bytes(b"\xef\xbb\xbf" + Path(ADAM).read_bytes().replace(b"\n", b"\r\n"))
    assert run("compile", str(path), "-o", str(tmp_path / "a")).exit_code == 0
    run("compile", ADAM, "-o", str(tmp_path / "b"))
    assert tree(tmp_path / "a") == tree(tmp_path / "b")


# --------------------------------------------------------------------------------------------------------- imports


def test_imports_are_found_beside_the_spec_before_the_shipped_ones(tmp_path: Path) -> None:
    own = Path(ADAM).read_text().replace("1e-3", "0.125", 1)
    (tmp_path / "adam.opt").write_text(own)
    (tmp_path / "mine.opt").write_text(
        "import Adam from adam\n\noptimizer Mine extends Adam:\n    input:\n        ε (eps) = 1\n"
    )
    assert "lr: float | Tensor = 0.125" in run("show", str(tmp_path / "mine.opt")).stdout
    (tmp_path / "adam.opt").unlink()
    assert "lr: float | Tensor = 0.001" in run("show", str(tmp_path / "mine.opt")).stdout


def test_a_shipped_spec_goes_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shipped = run("show", "adam").stdout
    assert shipped == run("show", ADAM).stdout
    assert run("diff", "adam", "adam").exit_code == run("diff", "adam", "adam:Adam").exit_code == 0
    missing = run("check", "adam.opt")
    assert missing.exit_code == 1
    assert "the spec that comes with optdsl is called `adam`" in missing.stderr
    assert run("diff", "adam:AdamW", "adam").exit_code == 2
    Path("adam").write_text(Path(SGD).read_text())
    assert run("show", "adam").stdout != shipped


def test_an_import_of_nothing_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "a.opt").write_text(
        "import Adam from nowhere\n\noptimizer A extends Adam:\n    input:\n        ε (eps) = 1\n"
    )
    result = run("check", str(tmp_path / "a.opt"))
    assert result.exit_code == 1
    assert "`nowhere`" in result.stderr


def test_mistakes_of_an_imported_file_are_reported_once(tmp_path: Path, wrong: str) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.opt").write_text(
            f"import Wrong from wrong\n\noptimizer {name.upper()} extends Wrong:\n    input:\n        γ (lr) = 1\n"
        )
    result = run("check", wrong, str(tmp_path / "a.opt"), str(tmp_path / "b.opt"))
    assert result.stderr.count("`ρ`") == 1


# ------------------------------------------------------------------------------------------------------------ show

STAGES = {
    "ast": "Optimizer\n",
    "flat": "optimizer Adam:\n",
    "ir": "program Adam(",
    "loop": "def _single_tensor_adam(",
    "foreach": "def _multi_tensor_adam(",
    "triton": "def fused_step(",
    "class": "class Adam(",
    "latex": r"\begin{aligned}",
}


@pytest.mark.parametrize("stage", STAGES)
def test_show_prints_the_stage(stage: str) -> None:
    result = run("show", ADAM, "--stage", stage)
    assert result.exit_code == 0
    assert STAGES[stage] in result.stdout
    assert result.stderr == ""


def test_show_is_the_class_by_default_and_the_file_as_written(tmp_path: Path) -> None:
    run("compile", ADAM, "-o", str(tmp_path))
    assert run("show", ADAM).stdout == (tmp_path / "adam.py").read_text()


def test_show_reading_and_cost_stand_alone_or_after_a_stage() -> None:
    alone = run("show", ADAM, "--reading", "--cost").stdout
    assert "class Adam" not in alone
    assert "(β₁ · m_{t-1}) + ((1 - β₁) · g_t)" in alone
    assert "| for-loop | foreach |" in alone
    assert alone in run("show", ADAM, "--stage", "ir", "--reading", "--cost").stdout


def test_show_several_specs() -> None:
    shown = run("show", ADAM, SGD, "--stage", "loop").stdout
    assert shown.index("_single_tensor_adam") < shown.index("_single_tensor_sgd")


def test_show_of_a_wrong_spec(wrong: str) -> None:
    result = run("show", wrong)
    assert (result.exit_code, result.stdout) == (1, "")


# ---------------------------------------------------------------------------------------------------- the tool itself


def test_version() -> None:
    assert run("--version").stdout == f"optdsl {optdsl.__version__}\n"


@pytest.mark.parametrize("arguments", [["frobnicate"], ["compile"], ["show", ADAM, "--stage", "soup"]])
def test_a_command_line_that_makes_no_sense(arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2


def command(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], cwd=cwd, capture_output=True, text=True)


def test_a_bug_in_optdsl_says_that_it_is_one() -> None:
    program = (
        "import optdsl.cli.app, sys; from optdsl.cli import main\n"
        "def check_files(specs): raise KeyError('broken')\n"
        "optdsl.cli.app.check_files = check_files\n"
        f"sys.argv = ['optdsl', 'check', {ADAM!r}]\n"
        "main()\n"
    )
    done = command("-c", program)
    assert done.returncode == 2
    assert "KeyError: 'broken'" in done.stderr
    assert "This is a bug in optdsl" in done.stderr


def test_the_compiler_imports_neither_torch_nor_numpy(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from optdsl.cli import main\n"
        f"sys.argv = ['optdsl', 'compile', {ADAM!r}, {SGD!r}, '-o', {str(tmp_path / 'package')!r}]\n"
        "try:\n    main()\n"
        "finally:\n    print(sorted({'torch', 'numpy', 'triton'} & set(sys.modules)))\n"
    )
    done = command("-c", program)
    assert done.stdout == "[]\n", done.stderr


def test_a_terminal_without_greek_letters(wrong: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "optdsl", "check", wrong],
        cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert r"`\u03c1` is not declared" in done.stderr


def test_a_reader_that_stops_early_is_no_bug() -> None:
    shown = subprocess.run(
        f"{sys.executable} -m optdsl show {ADAM} {SGD} --stage class --stage triton | head -1",
        shell=True,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert shown.stdout.startswith("# Compiled by optdsl")
    assert "bug" not in shown.stderr


def test_python_m_optdsl() -> None:
    assert command("-m", "optdsl", "--version").stdout == f"optdsl {optdsl.__version__}\n"
