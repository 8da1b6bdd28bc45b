"""Wall-clock time of the compiler as a user meets it: new processes, medians.

    python benchmarks/compile_time.py [--json out/compile_time.json]

Measures `import optdsl`, and `optdsl compile` of one spec and of all shipped specs with a warm grammar cache. Fails if
importing the compiler imports torch or NumPy.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RUNS = 9


def wall_clock(arguments: list[str]) -> float:
    """Seconds that ``python arguments`` takes, from its start on; bytecode is cached, as where it is installed."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], cwd=ROOT, env=environment, check=True, capture_output=True)
    return time.perf_counter() - start


def heavy_imports() -> list[str]:
    """Those of torch and NumPy that the command line imports in order to compile."""
    program = "import sys, optdsl.cli.app, optdsl.loader; print(*{'torch', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True)
    return done.stdout.split()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="also write the results there")
    options = parser.parse_args()

    every_spec = [str(path) for path in sorted((ROOT / "specs").glob("*.opt"))]
    with tempfile.TemporaryDirectory() as folder:
        compile_ = ["-m", "optdsl", "compile", "-o", f"{folder}/package"]
        commands = {
            "python (nothing)": ["-c", "pass"],
            "import optdsl": ["-c", "import optdsl"],
            "optdsl compile specs/adam.opt": [*compile_, "specs/adam.opt"],
            f"optdsl compile specs/*.opt ({len(every_spec)} specs)": [*compile_, *every_spec],
        }
        wall_clock([*compile_, *every_spec])  # fills the grammar cache
        seconds = {name: statistics.median(wall_clock(c) for _ in range(RUNS)) for name, c in commands.items()}

    for name, value in seconds.items():
        print(f"{value * 1000:7.0f} ms  {name}")
    heavy = heavy_imports()
    print("the compiler imports " + (f"{', '.join(heavy)}: it must not" if heavy else "neither torch nor NumPy"))
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        result = {"python": platform.python_version(), "machine": platform.machine(), "runs": RUNS, "seconds": seconds}
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    return 1 if heavy else 0


if __name__ == "__main__":
    sys.exit(main())
