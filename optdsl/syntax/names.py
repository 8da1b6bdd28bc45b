"""Names: how a written word becomes a symbol, and how a symbol is written in Python, Unicode and LaTeX.

``decompose`` reads an ASCII word (``beta_1``, ``m_hat_t``, ``lr_decay``); ``python_name`` writes one. The second is
injective because the first undoes it: ``decompose(python_name(symbol, time)) == (symbol, time)``, but for time now,
which ``python_name`` leaves out.
"""

from __future__ import annotations

import builtins
import keyword
import re
import unicodedata

from optdsl.syntax.ast import Symbol, Time
from optdsl.syntax.vocabulary import ACCENTS, GREEK, GREEK_NAMES, SUBSCRIPTS

SUBSCRIPT = re.compile(rf"[0-9]+|[A-Za-z][A-Za-z0-9]*|[+∞-]|[{''.join(GREEK_NAMES)}]")
"""What can stand as the subscript of a letter."""

TIMES = {
    "t": Time.NOW,
    "0": Time.INITIAL,
    "t-1": Time.PREVIOUS,
    "t+1": Time.NEXT,
    "before": Time.PREVIOUS,
    "next": Time.NEXT,
}
"""Subscripts that are times; the words are for ASCII names, ``mu_next``."""

_TIME_WORDS = {Time.NONE: "", Time.NOW: "", Time.INITIAL: "_0", Time.PREVIOUS: "_before", Time.NEXT: "_next"}
_SIGNS = {"plus": "+", "minus": "-", "inf": "∞"}
_SIGN_WORDS = {sign: word for word, sign in _SIGNS.items()}
_LETTER = re.compile(r"([A-Za-z]|{})([0-9]*)".format("|".join(sorted(GREEK, key=len, reverse=True))))
_SUPERSCRIPT = re.compile(r"[A-Za-z]{2,}")
_TAKEN = frozenset(keyword.kwlist) | frozenset(dir(builtins))
_LOWERED = {script: low for low, script in SUBSCRIPTS.items()}


def subscript_of(word: str) -> str:
    """A subscript as a symbol holds it: Greek names become letters, ``plus``, ``minus`` and ``inf`` signs."""
    return _SIGNS.get(word, GREEK.get(word, word))


def decompose(word: str) -> tuple[Symbol, Time]:
    """The symbol and time that an ASCII word spells.

    A base that is one letter, or the name of a Greek one, takes what follows as accent, subscript and time
    (``v_hat_t``, ``beta1``, ``Gamma_min``). Any other word stays whole (``lr_decay``) but for an accent and a time at
    its end (``lr_hat``, ``loss_t``). ``__`` starts a superscript (``v__max``).
    """
    stem, _, superscript = word.partition("__")
    if superscript and (not _SUPERSCRIPT.fullmatch(superscript) or superscript in GREEK):
        stem, superscript = word, ""
    first, *parts = stem.split("_")
    accent, time, rest = "", Time.NONE, []
    for part in parts:
        if part in ACCENTS and not accent:
            accent = part
        elif part in TIMES and time is Time.NONE:
            time = TIMES[part]
        else:
            rest.append(part)
    letter = _LETTER.fullmatch(first)
    if letter is not None:
        base, digits = letter.groups()
        if digits == "0" and time is Time.NONE:
            digits, time = "", Time.INITIAL
        rest = [digits] * bool(digits) + rest
        if len(rest) <= 1 and all(SUBSCRIPT.fullmatch(r) and r not in ACCENTS and r not in TIMES for r in rest):
            return Symbol(GREEK.get(base, base), accent, subscript_of("".join(rest)), superscript), time
    accent, time = "", Time.NONE
    if parts and parts[-1] in TIMES:
        time = TIMES[parts.pop()]
    if parts and parts[-1] in ACCENTS:
        accent = parts.pop()
    return Symbol("_".join((first, *parts)), accent, "", superscript), time


def python_name(symbol: Symbol, time: Time = Time.NONE) -> str:
    """An ASCII identifier for ``symbol`` at ``time``; different symbols get different identifiers.

    ``β₁`` is ``beta1``, ``m̂`` ``m_hat``, ``Γ_min`` ``Gamma_min``, ``v^max`` ``v__max`` (with two underscores, since
    ``v_max`` is the subscript), ``η₊`` ``eta_plus``, ``μ_{t+1}`` ``mu_next``. Time now adds nothing. A keyword or
    builtin of Python gets a trailing ``_``, which no name of the language has.
    """
    name = GREEK_NAMES.get(symbol.base, symbol.base)
    if symbol.subscript.isdigit():
        name += symbol.subscript
    elif symbol.subscript:
        name += "_" + _SIGN_WORDS.get(symbol.subscript, GREEK_NAMES.get(symbol.subscript, symbol.subscript))
    if symbol.accent:
        name += "_" + symbol.accent
    name += _TIME_WORDS[time]
    if symbol.superscript:
        name += "__" + symbol.superscript
    return name + "_" if name in _TAKEN else name


def display(symbol: Symbol, time: Time = Time.NONE) -> str:
    """``symbol`` at ``time`` in Unicode, as the canonical form writes it: ``β₁``, ``m̂_t``, ``v_{t-1}^max``."""
    text = symbol.base
    if symbol.accent:
        text += ACCENTS[symbol.accent] if len(symbol.base) == 1 else "_" + symbol.accent
    subscript = symbol.subscript
    if all(c in _LOWERED for c in subscript) and not subscript.isalpha():
        text += "".join(_LOWERED[c] for c in subscript)
    elif subscript:
        text += "_" + subscript
    if time is not Time.NONE:
        text += "_" + (time.value if len(time.value) == 1 else f"{{{time.value}}}")
    if symbol.superscript:
        text += "^" + symbol.superscript
    return unicodedata.normalize("NFC", text)


def latex(symbol: Symbol, time: Time = Time.NONE) -> str:
    r"""``symbol`` at ``time`` in LaTeX: ``\beta_1``, ``\widehat{m_t}``, ``v_{t-1}^{\mathrm{max}}``."""
    text = _latex_letter(symbol.base) if len(symbol.base) == 1 else _upright(symbol.base)
    subscript = symbol.subscript
    if len(subscript) > 1 and not subscript.isdigit():
        subscript = _upright(subscript)
    elif subscript == "∞":
        subscript = r"\infty"
    elif subscript in GREEK_NAMES:
        subscript = _latex_letter(subscript)
    scripts = [s for s in (subscript, time.value) if s]
    if scripts:
        joined = ",".join(scripts)
        text += "_" + (joined if len(joined) == 1 else f"{{{joined}}}")
    if symbol.accent:
        command = r"\widehat" if symbol.accent == "hat" else f"\\{symbol.accent}"
        text = f"{command}{{{text}}}"
    if symbol.superscript:
        text += f"^{{{_upright(symbol.superscript)}}}"
    return text


def _latex_letter(letter: str) -> str:
    if letter == "ε":
        return r"\varepsilon"
    return "\\" + GREEK_NAMES[letter] if letter in GREEK_NAMES else letter


def _upright(word: str) -> str:
    return r"\mathrm{" + word.replace("_", r"\_") + "}"
