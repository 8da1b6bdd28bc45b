# Compiled by optdsl 0.1.0 (part of every package). Do not edit.
"""Compiles kernels with the system's C compiler, and keeps them in a cache that processes and versions share.

A kernel's name in the cache is a hash of all that it depends on: its text, the options, the compiler's version and the
processor's features (home directories are shared by machines). It is written under a temporary name and then renamed,
so that of several processes that need it first, any may win. Environment: ``CC`` is the compiler, ``OPTDSL_CACHE_DIR``
the cache.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from .native_source import DRIVER, HEADER

OPTIONS = (
    *("-std=gnu11", "-O3", "-fPIC", "-shared", "-w"),
    # For vector code without any effect on results: errno and floating point exceptions, which nobody reads.
    *("-fno-math-errno", "-fno-trapping-math"),
    # Multiply-adds are fused where the text says so, as in torch. Never -ffast-math: it makes the whole process flush
    # subnormal numbers to zero.
    "-ffp-contract=off",
    *(("-Wl,-undefined,dynamic_lookup",) if sys.platform == "darwin" else ()),
)
SUFFIX = ".so"

_BUILT = Path(__file__).parent.parent / "_native"
"""Kernels that were built ahead, in a package that was compiled with ``optdsl build``."""
_LOCK = threading.Lock()


class NoCompiler(RuntimeError):
    """There is no C compiler, or it does not work."""


def load(name: str, text: str, macros: Mapping[str, str], driver: str = DRIVER) -> ctypes.CDLL:
    """The shared library of the kernel ``text`` with ``macros``: built ahead, cached, or compiled now.

    Raises :class:`NoCompiler` if it would have to be compiled and cannot be.
    """
    whole = source(text, {**macros, "FUSED_MULTIPLY_ADD": str(int(_has_fused_multiply_add()))}, driver)
    built = _BUILT / portable_name(name, whole)
    if _has_fused_multiply_add() and built.is_file():
        return ctypes.CDLL(str(built))
    with _LOCK:
        compiler, options = _compiler(), (*OPTIONS, *_native_options())
        known = (whole, *options, *compiler, _version(compiler), _processor())
        path = cache_directory() / f"{name}-{_digest(*known)}{SUFFIX}"
        if not path.is_file():
            compile_to(path, whole, compiler, options)
        return ctypes.CDLL(str(path))


def build(name: str, text: str, macros: Mapping[str, str], folder: Path, driver: str = DRIVER) -> Path:
    """Compiles a kernel into ``folder`` for any machine of this architecture on which torch has fused multiply-adds."""
    whole = source(text, {**macros, "FUSED_MULTIPLY_ADD": "1"}, driver)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / portable_name(name, whole)
    if not path.is_file():
        compile_to(path, whole, _compiler(), (*OPTIONS, *_portable_options()))
    return path


def source(text: str, macros: Mapping[str, str], driver: str) -> str:
    defines = "".join(f"#define {name} {value}\n" for name, value in macros.items())
    return f"{defines}{HEADER}{text}{driver}"


def portable_name(name: str, whole: str) -> str:
    return f"{name}-{platform.machine().lower()}-{_digest(whole)}{SUFFIX}"


def compile_to(path: Path, whole: str, compiler: Sequence[str], options: Sequence[str]) -> None:
    """Compiles the text ``whole`` to the shared library ``path``, which appears complete or not at all."""
    handle, temporary = tempfile.mkstemp(SUFFIX, f".{path.stem}-", path.parent)
    os.close(handle)
    command = [*compiler, *options, "-x", "c", "-", "-o", temporary, "-lm"]
    try:
        result = subprocess.run(command, input=whole, capture_output=True, text=True)
        if result.returncode:
            raise NoCompiler(f"`{shlex.join(command)}` failed:\n{result.stderr.strip()}")
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]


# -------------------------------------------------------------------------------------------------------- environment


def _compiler() -> tuple[str, ...]:
    """The command of the C compiler."""
    wanted = os.environ.get("CC")
    candidates = [tuple(shlex.split(wanted))] if wanted else [("cc",), ("gcc",), ("clang",)]
    for command in candidates:
        if command and shutil.which(command[0]):
            return command
    what = f"the C compiler CC={wanted!r} was not found" if wanted else "no C compiler was found"
    raise NoCompiler(
        f"`fused=True` on the CPU compiles C, but {what}. Install one (Debian, Ubuntu: `apt install gcc`; Fedora: "
        "`dnf install gcc`; macOS: `xcode-select --install`), set CC to one, or leave `fused` out."
    )


@functools.cache
def _version(compiler: tuple[str, ...]) -> str:
    return subprocess.run([*compiler, "--version"], capture_output=True, text=True).stdout


@functools.cache
def _processor() -> str:
    """What tells processors apart for which different code would be made."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    features = {line for line in lines if line.lower().startswith(("model name", "flags", "features", "cpu part"))}
    return "\n".join([platform.platform(), platform.machine(), platform.processor(), *sorted(features)])


@functools.cache
def _has_fused_multiply_add() -> bool:
    """Whether torch's vector code uses fused multiply-adds here."""
    return torch.backends.cpu.get_cpu_capability() not in ("DEFAULT", "NO AVX")


def _is_x86() -> bool:
    return platform.machine().lower() in ("x86_64", "amd64")


def _native_options() -> tuple[str, ...]:
    if not _has_fused_multiply_add():
        return ()
    return ("-march=native",) if _is_x86() else ("-mcpu=native",)


def _portable_options() -> tuple[str, ...]:
    return ("-march=x86-64-v3",) if _is_x86() else ()


# -------------------------------------------------------------------------------------------------------------- cache


@functools.cache
def _private_directory() -> tempfile.TemporaryDirectory[str]:
    """The cache of this process alone, where there can be none for all: it goes when the process does."""
    return tempfile.TemporaryDirectory(prefix="optdsl-")


def cache_directory() -> Path:
    """The folder of compiled kernels, which nobody else can write to."""
    given = os.environ.get("OPTDSL_CACHE_DIR")
    if given:
        folder = Path(given)
    elif sys.platform == "darwin":
        folder = Path.home() / "Library" / "Caches" / "optdsl"
    else:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "optdsl"
    folder = folder / "native"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder if _is_private(folder) else Path(_private_directory().name)
    except OSError:
        return Path(_private_directory().name)


def _is_private(folder: Path) -> bool:
    """Whether the folder is ours, and only we can write to it (code is loaded from there)."""
    status = folder.stat()
    ours = not hasattr(os, "getuid") or status.st_uid == os.getuid()
    return ours and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and os.access(folder, os.W_OK | os.X_OK)
