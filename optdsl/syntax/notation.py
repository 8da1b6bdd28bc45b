"""How the canonical text is spelled: in Unicode, in ASCII, or with the commands of LaTeX. All three read the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from optdsl.syntax.ast import Symbol, Time
from optdsl.syntax.names import display
from optdsl.syntax.vocabulary import GREEK_NAMES

Fences = Mapping[str, tuple[str, str]]
"""Functions that are written around their one argument."""


@dataclass(frozen=True)
class Notation:
    """One way of spelling.

    ``name`` writes a symbol at a time. ``signs`` holds what is written for a character of the Unicode form, where that
    is something else. ``root`` and ``fraction`` are formats for ``√x`` and ``x / y``, and ``exponent`` for what is
    raised, as a group that needs no brackets around its parts; they are empty where the plain forms are used.
    ``raised`` is true where small digits are written as such.
    """

    name: Callable[[Symbol, Time], str]
    fences: Fences
    signs: Mapping[str, str] = field(default_factory=dict)
    root: str = ""
    fraction: str = ""
    exponent: str = ""
    raised: bool = False

    def sign(self, character: str) -> str:
        """How ``character`` of the Unicode form is spelled."""
        return self.signs.get(character, character)


def ascii_name(symbol: Symbol, time: Time = Time.NONE) -> str:
    """``symbol`` at ``time`` in ASCII: ``beta_1``, ``m_hat_t``, ``v_{t-1}^max``."""
    parts = [GREEK_NAMES.get(symbol.base, symbol.base)]
    subscript = {"∞": "inf"}.get(symbol.subscript, symbol.subscript)
    parts += [symbol.accent] * bool(symbol.accent) + [GREEK_NAMES.get(subscript, subscript)] * bool(subscript)
    if time is not Time.NONE:
        parts.append(time.value if len(time.value) == 1 else f"{{{time.value}}}")
    return "_".join(parts) + (f"^{symbol.superscript}" if symbol.superscript else "")


def latex_name(symbol: Symbol, time: Time = Time.NONE) -> str:
    r"""``symbol`` at ``time`` with LaTeX commands: ``\beta_1``, ``\hat{m}_t``, ``v_{t-1}^{max}``."""
    if len(symbol.base) > 1:
        return ascii_name(symbol, time)
    text = _command(symbol.base)
    if symbol.accent:
        text = f"\\{symbol.accent}{{{text}}}"
    scripts = [script for script in (_command(symbol.subscript), time.value) if script]
    if scripts:
        joined = ",".join(scripts)
        text += f"_{joined}" if len(joined) == 1 else f"_{{{joined}}}"
    return text + (f"^{{{symbol.superscript}}}" if symbol.superscript else "")


def _command(letter: str) -> str:
    if letter == "∞":
        return r"\infty"
    return "\\" + GREEK_NAMES[letter] if letter in GREEK_NAMES else letter


UNICODE = Notation(
    display,
    fences={
        "abs": ("|", "|"),
        "norm": ("‖", "‖"),
        "norm_1": ("‖", "‖₁"),
        "norm_inf": ("‖", "‖_∞"),
        "floor": ("⌊", "⌋"),
        "ceil": ("⌈", "⌉"),
    },
    root="√",
    raised=True,
)

ASCII = Notation(
    ascii_name,
    fences={"abs": ("|", "|")},
    signs={
        "←": "<-", "≤": "<=", "≥": ">=", "≠": "!=", "·": "*", "∈": "in", "…": "...", "∏": "prod", "∑": "sum",
        "∇": "grad ", "ᵀ": "^T", "∞": r"\infty",
    },
)  # fmt: skip

LATEX = Notation(
    latex_name,
    fences={
        "abs": ("|", "|"),
        "norm": (r"\|", r"\|"),
        "norm_1": (r"\|", r"\|_1"),
        "norm_inf": (r"\|", r"\|_\infty "),
        "floor": (r"\lfloor ", r" \rfloor"),
        "ceil": (r"\lceil ", r" \rceil"),
    },
    signs={
        "←": r"\leftarrow", "≤": r"\leq", "≥": r"\geq", "≠": r"\neq", "·": r"\cdot", "∈": r"\in", "…": r"\ldots",
        "∏": r"\prod", "∑": r"\sum", "∇": r"\nabla ", "ᵀ": r"^\top", "∞": r"\infty",
        "{": r"\{",
    },
    root=r"\sqrt{{{}}}",
    fraction=r"\frac{{{}}}{{{}}}",
    exponent="^{{{}}}",
)  # fmt: skip
