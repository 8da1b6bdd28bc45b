"""Compiling kernels: the cache, several processes at once, and what is said where there is no compiler."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from optdsl.compiler import check_files
from tests.native.harness import NativePackage, support
from tests.torch_parity.cases import CASES, SPECS

ADAM = next(case for case in CASES if case.name == "Adam")
TEXT = "struct scalars { int none; };\nstatic void step_tensor(int64_t from, int64_t to, void *const *addresses, "
TEXT += "int64_t tensors, const struct scalars *scalars, REAL grad_scale) {}\n"
TEXT += "static void prepare(int64_t tensors, void *const *a, const double *hypers, struct scalars *scalars) {}\n"
MACROS = {"REAL": "float", "SCALED": "0"}

STEP = f"""
import sys, torch, optdsl
Adam = optdsl.load({str(SPECS / "adam.opt")!r}).Adam
param = torch.ones(3, requires_grad=True)
param.grad = torch.ones(3)
optimizer = Adam([param], fused=True)
if len(sys.argv) > 1:
    sys.stdin.readline()
optimizer.step()
print(param.tolist())
"""


@pytest.fixture
def build(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The module that compiles, with an empty cache."""
    monkeypatch.setenv("OPTDSL_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("CC", raising=False)
    return support(ADAM, "native_build")


def environment(**changes: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1", **changes}


def cached(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("cache/native/*"))


def test_the_cache_is_private_and_used_again(build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build.load("nothing", TEXT, MACROS)
    (name,) = cached(tmp_path)
    assert name.startswith("nothing-") and name.endswith(".so")
    assert stat.S_IMODE((tmp_path / "cache" / "native").stat().st_mode) == 0o700

    def fail(*args: object) -> None:
        raise AssertionError("compiled again")

    monkeypatch.setattr(build, "compile_to", fail)
    build.load("nothing", TEXT, MACROS)
    with pytest.raises(AssertionError, match="compiled again"):
        build.load("nothing", TEXT, {**MACROS, "REAL": "double"})


def test_no_compiler(build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match=r"`fused=True` on the CPU compiles C, but no C compiler was found. Install"):
        build.load("nothing", TEXT, MACROS)


def test_a_compiler_that_is_not_there(build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler -O9")
    with pytest.raises(RuntimeError, match=r"CC='no-such-compiler -O9' was not found.*apt install gcc"):
        build.load("nothing", TEXT, MACROS)


def test_cc_may_have_options(build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "gcc -DANYTHING")
    build.load("nothing", TEXT, MACROS)
    assert len(cached(tmp_path)) == 1


def test_a_compiler_that_fails_leaves_nothing(build, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"failed:[^$]*unknown type name|failed:[^$]*error"):
        build.load("nothing", "no C at all", MACROS)
    assert cached(tmp_path) == []


def test_without_a_compiler_only_fused_fails(tmp_path: Path) -> None:
    """And says so at the step, through the class; without ``fused`` nothing is compiled."""
    without = environment(PATH=str(tmp_path), OPTDSL_CACHE_DIR=str(tmp_path / "cache"))
    fused = subprocess.run([sys.executable, "-c", STEP], env=without, capture_output=True, text=True)
    assert "RuntimeError" not in fused.stdout and "NoCompiler: `fused=True` on the CPU compiles C" in fused.stderr
    plain = STEP.replace(", fused=True", "")
    result = subprocess.run([sys.executable, "-c", plain], env=without, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("how", ["a file in its place", "writable by everybody"])
def test_a_cache_that_cannot_be_used(build, how: str, tmp_path: Path) -> None:
    """Kernels then go to a folder of this process alone, and code that others could have written is not loaded."""
    folder = tmp_path / "cache"
    if how == "a file in its place":
        folder.write_text("")
    else:
        (folder / "native").mkdir(parents=True)
        (folder / "native").chmod(0o777)
    assert build.load("nothing", TEXT, MACROS).scalars_size() == 4
    assert cached(tmp_path) == []
    assert stat.S_IMODE(build.cache_directory().stat().st_mode) == 0o700


def test_several_processes_compile_the_same_kernel_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STEP, "wait"]
    env = environment(OPTDSL_CACHE_DIR=str(tmp_path / "cache"))
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    processes = [subprocess.Popen(command, env=env, text=True, **pipes) for _ in range(4)]
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    outputs = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, outputs
    assert len({out for out, _ in outputs}) == 1
    assert len(cached(tmp_path)) == 1


def test_the_cache_goes_by_all_that_matters(build, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    build.load("nothing", TEXT, MACROS)
    monkeypatch.setattr(build, "_processor", lambda: "another processor")
    build.load("nothing", TEXT, MACROS)
    monkeypatch.setattr(build, "_version", lambda compiler: "another version")
    build.load("nothing", TEXT, MACROS)
    build.load("nothing", TEXT + "/* another text */", MACROS)
    assert len(cached(tmp_path)) == 4


def test_built_ahead(package: NativePackage, build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that a package brings along is used without a compiler."""
    kernels = package.add(check_files([SPECS / "adam.opt"]).units[0].program)
    flags = kernels.OPTIMIZER.flags(
        {"maximize": False, "weight_decay": 0, "amsgrad": False, "decoupled_weight_decay": False}, ()
    )
    folder = package.folder / "_native"
    path = kernels.OPTIMIZER.build(folder, torch.float32, flags)
    assert path.parent == folder and path.is_file()
    monkeypatch.setenv("PATH", str(tmp_path))
    bucket = package.module("_support.fused").Bucket
    hypers = {"lr": 0.1, "beta1": 0.9, "beta2": 0.99, "eps": 1e-8, "weight_decay": 0, "amsgrad": False}
    hypers |= {"maximize": False, "decoupled_weight_decay": False}
    param, step = torch.ones(3), torch.zeros(())
    states = ([torch.zeros(3)], [torch.zeros(3)], [])
    kernels.fused_step([bucket([param], [torch.ones(3)], states, [step], (), hypers)])
    torch.testing.assert_close(param, torch.full((3,), 0.9))
    assert step == 1
    assert cached(tmp_path) == []
