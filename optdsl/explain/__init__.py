"""What every diagnostic means: a page per code, with a wrong and a right example.

The pages, ``pages/E012.md``, are the one source: ``optdsl explain`` shows them, ``docs/errors.md`` is made from them,
and the tests run their examples. A page is a heading ``# CODE: title``, the explanation, and two fenced blocks. A block
is a whole spec (``opt``), the statements of a step (``opt step``) or commands (``sh``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from textwrap import indent

from optdsl.syntax.suggest import nearest

FRAME = """\
optimizer Example:
    input:
        γ (lr) = 1e-3
        β₁, β₂ (betas) = 0.9, 0.999
        ε (eps) = 1e-8
        λ (weight_decay) = 0
        nesterov = false

    initialize:
        m_0 ← 0 (exp_avg)
        v_0 ← 0 (exp_avg_sq)

    for t = 1 to … do
        g_t ← ∇f_t(θ_{t-1})
        m_t ← β₁ m_{t-1} + (1 - β₁) g_t
        v_t ← β₂ v_{t-1} + (1 - β₂) g_t²
STATEMENTS
    return θ_t
"""
"""What stands around an example that is only some statements."""

_PAGE = re.compile(
    r"# (?P<code>[EW]\d{3}): (?P<title>[^\n]+)\n\n(?P<text>.+?)\n\n"
    r"Wrong:\n\n```(?P<wrong_kind>opt|opt step|sh) wrong=(?P=code)\n(?P<wrong>.*?)```\n\n"
    r"Right:\n\n```(?P<right_kind>opt|opt step|sh)\n(?P<right>.*?)```\n",
    re.DOTALL,
)


@dataclass(frozen=True)
class Example:
    """The ``text`` of one example, of ``kind`` ``opt``, ``opt step`` or ``sh``."""

    kind: str
    text: str

    @property
    def spec(self) -> str | None:
        """The example as a whole spec; None for commands."""
        if self.kind == "opt step":
            return FRAME.replace("STATEMENTS", indent(self.text.rstrip("\n"), " " * 8))
        return self.text if self.kind == "opt" else None


@dataclass(frozen=True)
class Page:
    """The page of one code; ``text`` is Markdown without code blocks."""

    code: str
    title: str
    text: str
    wrong: Example
    right: Example

    def __str__(self) -> str:
        """The page as a terminal shows it."""
        examples = (
            f"{name}:\n\n{indent(e.text, '    ')}" for name, e in (("Wrong", self.wrong), ("Right", self.right))
        )
        return "\n".join((f"{self.code}: {self.title}\n\n{self.text}\n", *examples))


@cache
def codes() -> tuple[str, ...]:
    """Every code that has a page, in order."""
    return tuple(sorted(f.name.removesuffix(".md") for f in (files(__name__) / "pages").iterdir()))


def page(code: str) -> Page:
    """The page of ``code``.

    Raises:
        KeyError: there is no such code.
    """
    if code not in codes():
        raise KeyError(code)
    found = _PAGE.fullmatch((files(__name__) / "pages" / f"{code}.md").read_text(encoding="utf-8"))
    assert found is not None, f"the page of {code} is not written like the others"
    parts = found.groupdict()
    return Page(
        code,
        parts["title"],
        parts["text"],
        Example(parts["wrong_kind"], parts["wrong"]),
        Example(parts["right_kind"], parts["right"]),
    )


def nearest_code(code: str) -> str | None:
    """The code that was probably meant."""
    number = re.fullmatch(r"[EWew]?(\d{1,3})", code)
    if number is not None:
        padded = number[1].zfill(3)
        for letter in (code[0].upper(), "E", "W"):
            if letter + padded in codes():
                return letter + padded
    return nearest(code.upper(), codes())
