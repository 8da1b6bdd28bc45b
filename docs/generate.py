"""Writes the pages of ``docs/`` that follow from the rest of the repository.

``gallery/`` has a page per optimizer with its box, its spec, its signature and what it compiles to, and one of the
zoo; ``errors.md`` the pages of ``optdsl explain``.

    python docs/generate.py [--check]

``--check`` writes nothing and exits with 1 if a page is not up to date.
"""

from __future__ import annotations

import argparse
import contextlib
import inspect
import re
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from optdsl.cli.show import Stage, show_cost, show_stage  # noqa: E402
from optdsl.compiler import Unit, check_files  # noqa: E402
from optdsl.emit.latex import latex  # noqa: E402
from optdsl.explain import Example, codes  # noqa: E402
from optdsl.explain import page as explanation  # noqa: E402
from optdsl.ir.procedures import FlatProgram  # noqa: E402
from optdsl.render import render_all  # noqa: E402

GALLERY = ROOT / "docs" / "gallery"
ERRORS = ROOT / "docs" / "errors.md"

HEAD = """\
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
"""

PAGE = (
    HEAD
    + """
## Cost

{unit} read and written by one step, for each configuration that matters; the last column is the least that a
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
)

FLAT_PAGE = (
    HEAD
    + """
## Code

All parameters are one vector, of which `point` is the parameters and the closure: there is one variant, and no kernel.

```python
{code}
```
"""
)

INDEX = """\
# Gallery

Every optimizer that comes with optdsl: the algorithm as rendered from the spec, the spec, and what it compiles to.

{rows}

[The zoo](zoo.md) has published optimizers that torch lacks.
"""

ZOO = """\
# The zoo

Published optimizers that torch lacks, each a spec of at most 45 lines. They are not part of `optdsl.optim`; compile
those that you need, with all variants and flags:

```sh
optdsl compile specs/zoo/lion.opt specs/zoo/adan.opt -o optimizers
```

The tests compare parameters and states after many steps with those of
[pytorch_optimizer](https://github.com/kozistr/pytorch_optimizer), or with the paper's own arithmetic in NumPy where
that does something else ([`tests/zoo/cases.py`](../../tests/zoo/cases.py) says what). They compare every variant with
the interpreter.

{rows}

{sections}
"""

EXHIBIT = """\
## {name}

{doc}

[`specs/zoo/{spec}`](../../specs/zoo/{spec})

```math
{latex}
```

{cost}"""

ERRORS_PAGE = """\
# Diagnostics

What each diagnostic means, by its code, with a wrong example, what the compiler says of it, and a right one. `optdsl
explain CODE` shows the same. A code that starts with `W` is a warning: the spec is compiled all the same. An example of
a few statements stands in a step that begins with Adam's averages `m_t` and `v_t`.

{errors}
"""


def page(unit: Unit) -> str:
    """The page of one optimizer."""
    if isinstance(unit.program, FlatProgram):
        return FLAT_PAGE.format(**described(unit), code=show_stage(unit, Stage.LOOP).strip("\n"))
    stages = {stage.value: show_stage(unit, stage).strip("\n") for stage in (Stage.LOOP, Stage.FOREACH, Stage.TRITON)}
    return PAGE.format(
        **described(unit),
        unit="Tensors of stored entries" if unit.program.stored_only else "Whole tensors",
        cost=show_cost(unit),
        **stages,
    )


def described(unit: Unit) -> dict[str, str]:
    """What every page says of its optimizer."""
    return {
        "name": unit.program.name,
        "summary": summary(unit),
        "latex": box(unit),
        "spec": Path(unit.source.name).name,
        "text": unit.source.text.strip("\n"),
        "signature": signature(show_stage(unit, Stage.CLASS)),
    }


def zoo() -> str:
    """The page of ``specs/zoo``."""
    units = check_files(sorted((ROOT / "specs" / "zoo").glob("*.opt"))).units
    rows = [f"- [{unit.program.name}](#{unit.program.name.lower()}): {summary(unit)}" for unit in units]
    return ZOO.format(rows="\n".join(rows), sections="\n\n".join(map(exhibit, units)))


def exhibit(unit: Unit) -> str:
    """One optimizer of the zoo: its box, and what a step costs."""
    return EXHIBIT.format(
        name=unit.program.name,
        doc=inspect.cleandoc(unit.program.doc),
        spec=Path(unit.source.name).name,
        latex=box(unit),
        cost=show_cost(unit).strip("\n"),
    )


def box(unit: Unit) -> str:
    """The algorithm in LaTeX, without the line spacing that Markdown's renderers do not know."""
    return re.sub(r"\\\\\[-1\.ex\]", r"\\\\", latex(unit.checked.optimizer))


def summary(unit: Unit) -> str:
    return unit.program.doc.strip().partition("\n")[0].strip()


def signature(module: str) -> str:
    """``def __init__(…)`` of the class, without its body."""
    found = re.search(r"^    (def __init__\(.*?\) -> None:)$", module, re.MULTILINE | re.DOTALL)
    if found is None:
        raise ValueError("the class has no __init__")
    return found[1].replace("\n    ", "\n").removesuffix(":")


def errors() -> str:
    """The page of all diagnostics: the pages of ``optdsl explain``, and what the compiler says of the wrong example."""
    sections = []
    for code in codes():
        explained = explanation(code)
        shown = [f"## {code}: {explained.title}", explained.text, fenced(explained.wrong)]
        if explained.wrong.spec is not None:
            shown.append(f"```text\n{said_of(explained.wrong.spec)}\n```")
        sections.append("\n\n".join([*shown, "Right:", fenced(explained.right)]))
    return ERRORS_PAGE.format(errors="\n\n".join(sections))


def fenced(example: Example) -> str:
    return f"```{'sh' if example.kind == 'sh' else 'text'}\n{example.text}```"


def said_of(spec: str) -> str:
    """What the compiler says of ``spec``."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        Path("spec.opt").write_text(spec, encoding="utf-8")
        return render_all(check_files(["spec.opt"]).diagnostics)


def pages() -> dict[Path, str]:
    """Every generated page, by its path."""
    checked = check_files(sorted((ROOT / "specs").glob("*.opt")))
    files = {GALLERY / f"{unit.module}.md": page(unit) for unit in checked.units}
    rows = [f"- [{unit.program.name}]({unit.module}.md): {summary(unit)}" for unit in checked.units]
    index = INDEX.format(rows="\n".join(rows))
    return {**files, GALLERY / "README.md": index, GALLERY / "zoo.md": zoo(), ERRORS: errors()}


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
