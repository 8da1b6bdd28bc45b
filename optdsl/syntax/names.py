"""Names: how a written word becomes a symbol, and how a symbol is written in Python, Unicode and LaTeX.

``decompose`` reads an ASCII word (``beta_1``, ``m_hat_t``, ``lr_decay``); ``python_name`` writes one. The second is
injective because the first undoes it: ``decompose(python_name(symbol)) == symbol``.
"""

from __future__ import annotations

import builtins
import keyword
import re

from optdsl.syntax.ast import Symbol, Time
from optdsl.syntax.vocabulary import ACCENTS, GREEK, GREEK_NAMES, SUBSCRIPTS, SUPERSCRIPTS

SIGNS = {"plus": "+", "minus": "-"}
"""Subscript words that stand for a sign: ``eta_plus`` is ``η₊``."""

_SIGN_WORDS = {sign: word for word, sign in SIGNS.items()}
_TIMES = {"t": Time.NOW, "0": Time.INITIAL, "next": Time.NEXT}
_TIME_WORDS = {Time.NONE: "", Time.NOW: "", Time.INITIAL: "_0", Time.NEXT: "_next", Time.PREVIOUS: "_before"}
_BASE = re.compile(r"([A-Za-z]|%s)([0-9]*)" % "|".join(sorted(GREEK, key=len, reverse=True)))
_TAKEN = frozenset(keyword.kwlist) | frozenset(dir(builtins))
_LOWERED = {v: k for k, v in SUBSCRIPTS.items()}
_RAISED = {v: k for k, v in SUPERSCRIPTS.items()}


def is_letter(base: str) -> bool:
    """Whether ``base`` is one Latin or Greek letter, not a word."""
    return len(base) == 1


def decompose(word: str) -> tuple[Symbol, Time]:
    """The symbol and time that an ASCII word spells.

    A base that is one letter or the name of a Greek one takes what follows as accent, subscript and time
    (``v_hat_t``, ``beta1``, ``Gamma_min``); ``__`` starts a superscript (``v__max``). Any other word stays whole
    (``lr_decay``) but for a last ``hat`` or ``t``.
    """
    stem, _, superscript = word.partition("__")
    if "__" in superscript or (superscript and not superscript.isalnum()):
        return Symbol(word), Time.NONE
    first, *parts = stem.split("_")
    base = _BASE.fullmatch(first)
    time = Time.NONE
    accent = ""
    if base is None:
        if parts and parts[-1] in ("t", "0"):
            time = _TIMES[parts.pop()]
        if parts and parts[-1] in ACCENTS:
            accent = parts.pop()
        return Symbol("_".join((first, *parts)), accent, "", superscript), time
    letter, subscript = base.groups()
    if subscript == "0":
        subscript, time = "", Time.INITIAL
    for part in parts:
        if part in ACCENTS and not accent:
            accent = part
        elif part in _TIMES and time is Time.NONE:
            time = _TIMES[part]
        elif part and not subscript and part not in ACCENTS and part not in _TIMES:
            subscript = SIGNS.get(part, part)
        else:
            return Symbol(stem, "", "", superscript), Time.NONE
    return Symbol(GREEK.get(letter, letter), accent, subscript, superscript), time


def python_name(symbol: Symbol, time: Time = Time.NONE) -> str:
    """An ASCII identifier for ``symbol`` at ``time``; different symbols get different identifiers.

    ``β₁`` is ``beta1``, ``m̂`` ``m_hat``, ``Γ_min`` ``Gamma_min``, ``v^max`` ``v__max``, ``η₊`` ``eta_plus``,
    ``μ_{t+1}`` ``mu_next``. Time now adds nothing. Python's keywords and builtins get a trailing ``_``.
    """
    name = GREEK_NAMES.get(symbol.base, symbol.base)
    if symbol.subscript.isdigit():
        name += symbol.subscript
    elif symbol.subscript:
        name += "_" + _SIGN_WORDS.get(symbol.subscript, symbol.subscript)
    if symbol.accent:
        name += "_" + symbol.accent
    name += _TIME_WORDS[time]
    if symbol.superscript:
        name += "__" + symbol.superscript
    return name + "_" if name in _TAKEN else name


def _script(text: str, table: dict[str, str], mark: str) -> str:
    """``text`` as a Unicode script where every character has one, else after ``mark``."""
    if text and all(c in table for c in text) and not text.isalpha():
        return "".join(table[c] for c in text)
    if len(text) == 1 or text.isalpha():
        return mark + text
    return f"{mark}{{{text}}}"


def display(symbol: Symbol, time: Time = Time.NONE) -> str:
    """``symbol`` at ``time`` in Unicode, as the canonical form writes it: ``β₁``, ``m̂_t``, ``v_{t-1}^max``."""
    text = symbol.base
    if symbol.accent:
        text += ACCENTS[symbol.accent] if is_letter(symbol.base) else "_" + symbol.accent
    if symbol.subscript:
        text += _script(symbol.subscript, _LOWERED, "_")
    if time is not Time.NONE:
        text += "_" + (time.value if len(time.value) == 1 else f"{{{time.value}}}")
    if symbol.superscript:
        text += "^" + symbol.superscript
    return text


def latex(symbol: Symbol, time: Time = Time.NONE) -> str:
    r"""``symbol`` at ``time`` in LaTeX: ``\beta_1``, ``\widehat{m_t}``, ``v_{t-1}^{max}``."""
    if is_letter(symbol.base):
        text = "\\" + GREEK_NAMES[symbol.base] if symbol.base in GREEK_NAMES else symbol.base
        if text == r"\epsilon":
            text = r"\varepsilon"
    else:
        text = r"\mathrm{%s}" % symbol.base.replace("_", r"\_")
    script = (
        symbol.subscript
        if not symbol.subscript.isalpha() or len(symbol.subscript) == 1
        else (r"\mathrm{%s}" % symbol.subscript)
    )
    subscript = ",".join(s for s in (script, time.value) if s)
    if subscript:
        text += "_" + (subscript if len(subscript) == 1 else f"{{{subscript}}}")
    if symbol.accent:
        text = (r"\widehat{%s}" if symbol.accent == "hat" else r"\%s{%%s}" % symbol.accent) % text
    if symbol.superscript:
        text += r"^{\mathrm{%s}}" % symbol.superscript if symbol.superscript.isalpha() else f"^{{{symbol.superscript}}}"
    return text
