"""Writes the pages of ``docs/`` that follow from the rest of the repository.

``gallery/`` has a page per optimizer with its box, its spec, its signature and what it compiles to; ``errors.md`` an
example of every diagnostic, taken from the broken specs of the tests.

    python docs/generate.py [--check]

``--check`` writes nothing and exits with 1 if a page is not up to date.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from optdsl.cli.show import Stage, show_cost, show_stage  # noqa: E402
from optdsl.compiler import Unit, check_files  # noqa: E402

GALLERY = ROOT / "docs" / "gallery"
ERRORS = ROOT / "docs" / "errors.md"
BROKEN = ROOT / "tests" / "broken"

PAGE = """\
# {name}

{summary}

```math
{latex}
```

## Spec

[`specs/{spec}`](../../specs/{spec})

```
{text}
```

## Signature

```python
{signature}
```

## Cost

Whole tensors read and written by one step, for each configuration that matters; the last column is the least that a
single pass over memory needs, which is what the fused kernel does.

{cost}

## For-loop

```python
{loop}
```

## Foreach

```python
{foreach}
```

## Fused

<details><summary>The Triton kernel and its launcher</summary>

```python
{triton}
```

</details>
"""

INDEX = """\
# Gallery

Every optimizer that comes with optdsl: the algorithm as rendered from the spec, the spec, and what it compiles to.

{rows}
"""

ERRORS_PAGE = """\
# Diagnostics

What the compiler says of a mistake, by its code, with an example of each. A code that starts with `W` is a warning: the
spec is compiled all the same.

{errors}
"""


def page(unit: Unit) -> str:
    """The page of one optimizer."""
    stages = {stage.value: show_stage(unit, stage).strip("\n") for stage in (Stage.LOOP, Stage.FOREACH, Stage.TRITON)}
    latex = re.sub(r"\\\\\[-1\.ex\]", r"\\\\", show_stage(unit, Stage.LATEX))
    return PAGE.format(
        name=unit.program.name,
        summary=summary(unit),
        latex=latex,
        spec=Path(unit.source.name).name,
        text=unit.source.text.strip("\n"),
        signature=signature(show_stage(unit, Stage.CLASS)),
        cost=show_cost(unit),
        **stages,
    )


def summary(unit: Unit) -> str:
    return unit.program.doc.strip().partition("\n")[0].strip()


def signature(module: str) -> str:
    """``def __init__(…)`` of the class, without its body."""
    found = re.search(r"^    (def __init__\(.*?\) -> None:)$", module, re.MULTILINE | re.DOTALL)
    if found is None:
        raise ValueError("the class has no __init__")
    return found[1].replace("\n    ", "\n").removesuffix(":")


def errors() -> str:
    """The page of all diagnostics: of each code, the shortest text that the tests expect."""
    examples: dict[str, str] = {}
    for path in sorted(BROKEN.rglob("*.txt")):
        for text in re.split(r"\n\n(?=(?:error|warning)\[)", path.read_text("utf-8").strip("\n")):
            code = text.partition("[")[2][:4]
            examples[code] = min(examples.get(code, text), text, key=len)
    sections = (f"## {code}\n\n```text\n{text}\n```" for code, text in sorted(examples.items()))
    return ERRORS_PAGE.format(errors="\n\n".join(sections))


def pages() -> dict[Path, str]:
    """Every generated page, by its path."""
    checked = check_files(sorted((ROOT / "specs").glob("*.opt")))
    files = {GALLERY / f"{unit.module}.md": page(unit) for unit in checked.units}
    rows = [f"- [{unit.program.name}]({unit.module}.md): {summary(unit)}" for unit in checked.units]
    return {**files, GALLERY / "README.md": INDEX.format(rows="\n".join(rows)), ERRORS: errors()}


def main() -> int:
    parser = argparse.ArgumentParser(description="Write the generated pages of docs/.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a page is not up to date")
    options = parser.parse_args()
    stale = {path: text for path, text in pages().items() if not path.exists() or path.read_text("utf-8") != text}
    for path, text in stale.items():
        print(f"{path.relative_to(ROOT)} {'is not up to date' if options.check else 'written'}")
        if not options.check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, "utf-8")
    return 1 if options.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
