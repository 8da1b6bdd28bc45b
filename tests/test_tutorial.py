"""``docs/tutorial.md`` is true: its files and commands, in order and in one folder, print what the page shows.

A block ``file=NAME`` is a file. A block ``console`` has commands behind ``$`` and what they print; there ``…`` stands
for anything within a line, or on a line of its own for any lines. In a block ``console about`` a number with a decimal
point or an exponent may be a third more or less, tables may be wider, and errors, such as a progress bar, are not
looked at.

``python tests/test_tutorial.py`` writes what is printed into the page, for its author to read and to put ``…`` into.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "tutorial.md"
BLOCK = re.compile(r"^```(?P<marks>\w+[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ ([^\n]+)\n((?:(?!\$ )[^\n]*\n)*)", re.MULTILINE)
NUMBER = re.compile(r"\d+(?:\.\d+)?e-?\d+|\d+\.\d+")


def run(command: str, folder: Path, errors: bool) -> str:
    """What ``command`` prints, with its ``errors`` behind or without."""
    functions = f'optdsl() {{ "{sys.executable}" -m optdsl "$@"; }}\npython() {{ "{sys.executable}" "$@"; }}\n'
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", "COLUMNS": "100"}
    done = subprocess.run(
        ["bash", "-c", functions + command], cwd=folder, env=environment, capture_output=True, encoding="utf-8"
    )
    return tidy(done.stdout + done.stderr * errors)


def tidy(text: str) -> str:
    return "".join(f"{line.rstrip()}\n" for line in text.strip("\n").splitlines())


def alike(shown: str, printed: str, about: bool) -> bool:
    """Whether ``printed`` is what the page shows."""
    numbers: list[float] = []
    if about:
        shown, printed = (re.sub(r" +|─+", lambda run: run[0][0], text) for text in (shown, printed))
        numbers = [float(number) for number in NUMBER.findall(shown)]
    pattern = ""
    for line in shown.splitlines():
        if line.strip() == "…":
            pattern += r"(?:[^\n]*\n)*?"
            continue
        for part in re.split(f"(…|{NUMBER.pattern})" if about else "(…)", line):
            is_number = about and NUMBER.fullmatch(part)
            pattern += r"[^\n]*" if part == "…" else f"({NUMBER.pattern})" if is_number else re.escape(part)
        pattern += r"\n"
    found = re.fullmatch(pattern, printed)
    return found is not None and all(
        abs(float(number) - wanted) <= max(abs(wanted) / 3, 0.01)
        for wanted, number in zip(numbers, found.groups(), strict=True)
    )


def walked(folder: Path) -> Iterator[tuple[re.Match[str], str, bool, str]]:
    """Each command of the page, with what is shown of it and what it prints; the files are written on the way."""
    for block in BLOCK.finditer(PAGE.read_text(encoding="utf-8")):
        language, *marks = block["marks"].split()
        files = [mark.removeprefix("file=") for mark in marks if mark.startswith("file=")]
        for name in files:
            (folder / name).write_text(block["text"], encoding="utf-8")
        if language == "console":
            for command in COMMAND.finditer(block["text"]):
                about = "about" in marks
                yield command, command[2], about, run(command[1], folder, errors=not about)


def test_the_tutorial(tmp_path: Path) -> None:
    commands = 0
    for command, shown, about, printed in walked(tmp_path):
        assert alike(shown, printed, about), f"$ {command[1]}\n{printed}"
        commands += 1
    assert commands >= 15


def test_every_block_is_a_file_or_commands() -> None:
    for block in BLOCK.finditer(PAGE.read_text(encoding="utf-8")):
        assert "file=" in block["marks"] or block["marks"].startswith("console"), block["marks"]


def test_what_counts_as_alike() -> None:
    assert alike("a … c\n…\nend\n", "a b c\nx\ny\nend\n", about=False)
    assert not alike("a … c\n", "a b d\n", about=False)
    assert alike("loss 0.30, 20\n", "loss 0.33, 20\n", about=True)
    assert not alike("loss 0.30, 20\n", "loss 0.50, 20\n", about=True)
    assert not alike("loss 0.30, 20\n", "loss 0.30, 21\n", about=True)
    assert not alike("loss 0.30\n", "loss 0.33\n", about=False)
    assert alike("a  7e-11 …\n──\n", "a   6.1e-11 x\n────\n", about=True)
    assert not alike("", "error\n", about=False)


def write() -> None:
    """Put what the commands print into the page."""
    text = PAGE.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        for command, shown, about, printed in walked(Path(folder)):
            if not alike(shown, printed, about):
                text = text.replace(command[0], f"$ {command[1]}\n{printed}", 1)
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
