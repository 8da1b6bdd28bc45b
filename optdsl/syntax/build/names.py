"""Names: NAME tokens with their accents and scripts."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from lark import Token

from optdsl.source import Span
from optdsl.syntax import ast
from optdsl.syntax.ast import Symbol, Time
from optdsl.syntax.build.base import Base, Power
from optdsl.syntax.names import SUBSCRIPT, TIMES, decompose, subscript_of
from optdsl.syntax.vocabulary import ACCENT_NAMES, ACCENTS, FOREIGN, FOREIGN_WORDS, GREEK, GREEK_NAMES, RESERVED

_SCRIPT = re.compile(r"([_^])(?:\{([^{}]*)\}|\(([^()]*)\)|([A-Za-z0-9]+|[+-]|.))")
_STEM = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:_{1,2}[A-Za-z0-9]+)*|.[0-9]*", re.DOTALL)


class Names(Base):
    """Reads names."""

    def _read_name(self, token: Token) -> tuple[ast.Name, ast.Expr | None]:
        """The name that a NAME token spells, and the power that is written inside it (``g^2_t``), if any."""
        text, span = str(token), self._at(token)
        stem = _STEM.match(text)
        assert stem is not None
        symbol, time = decompose(_ascii(stem.group()))
        rest = text[stem.end() :]
        if rest and rest[0] in ACCENT_NAMES:
            symbol = self._accented(symbol, ACCENT_NAMES[rest[0]], span)
            rest = rest[1:]
        power: ast.Expr | None = None
        scripts = [
            "".join((braced or bracketed or bare).split()) for _, braced, bracketed, bare in _SCRIPT.findall(rest)
        ]
        for mark, script in zip((m[0] for m in _SCRIPT.findall(rest)), scripts, strict=True):
            if mark == "_":
                for part in script.split(","):
                    symbol, time = self._subscripted(symbol, time, part, span)
            elif script == "t":
                power = ast.StepTime(span)
            elif script.isdigit():
                power = ast.Number(int(script), script, span)
            elif script in GREEK:
                power = ast.Name(Symbol(GREEK[script]), Time.NONE, span)
                if script != scripts[-1]:
                    self._ambiguous_exponent(span)
            elif symbol.superscript:
                self._report("E012", f"`{span.text}` has two superscripts", span)
            else:
                symbol = replace(symbol, superscript=script)
        self._check_reserved(symbol, span)
        return ast.Name(symbol, time, span), power

    def _accented(self, symbol: Symbol, accent: str, span: Span) -> Symbol:
        if symbol.accent:
            self._report("E012", f"`{span.text}` has two accents", span)
        return replace(symbol, accent=accent)

    def _subscripted(self, symbol: Symbol, time: Time, part: str, span: Span) -> tuple[Symbol, Time]:
        """``symbol`` and ``time`` with one more subscript."""
        if part in ACCENTS:
            return self._accented(symbol, part, span), time
        if part in TIMES:
            if time is not Time.NONE:
                self._report("E012", f"`{span.text}` has two times", span)
            return symbol, TIMES[part]
        if not SUBSCRIPT.fullmatch(part):
            stem, _, last = part.rpartition("_")
            if last in TIMES and SUBSCRIPT.fullmatch(stem):
                return self._subscripted(*self._subscripted(symbol, time, stem, span), last, span)
            glued = re.fullmatch(r"([0-9]+)([A-Za-z].*)", part)
            help_ = "a subscript is a number, a word, a sign, or a time: t, t-1, t+1 or 0"
            if glued:
                help_ = f"put a space between `{glued[1]}` and `{glued[2]}` to multiply"
            elif re.fullmatch(r"t-\w+", part):
                help_ = "a state keeps its value of the step before, `x_{t-1}`; what is older needs a state of its own"
            message = f"`{part}` cannot be a subscript" if part else "a subscript is missing"
            self._report("E012", message, span, help=help_)
        elif len(symbol.base) > 1:
            return replace(symbol, base=f"{symbol.base}_{part}"), time
        elif symbol.subscript:
            self._report("E012", f"`{span.text}` has two subscripts", span, help="write one, as in `x_min`")
        else:
            return replace(symbol, subscript=subscript_of(part)), time
        return symbol, time

    def _check_reserved(self, symbol: Symbol, span: Span) -> None:
        if symbol.base in FOREIGN_WORDS:
            self._report("E036", f"`{symbol.base}` is not a word of this language", span, help=FOREIGN[symbol.base])
        elif symbol.base in RESERVED:
            self._report("E013", f"`{symbol.base}` is a keyword and cannot name anything", span)

    def _ambiguous_exponent(self, span: Span) -> None:
        self._report(
            "E012",
            f"the subscript in `{span.text}` may belong to the base or to the exponent",
            span,
            help="put the exponent in brackets: `x^{α_t}`, or the subscript first: `x_t^α`",
        )

    def _target(self, token: Token) -> ast.Name:
        """A name where one is defined."""
        name, power = self._read_name(token)
        if power is not None:
            self._report("E012", f"`{name.span.text}` is a power, not a name", name.span)
        return name

    def _name(self, span: Span, children: list[Any]) -> Any:
        name, power = self._read_name(children[0])
        value: ast.Expr = ast.StepTime(span) if name.symbol == Symbol("t") and name.time is Time.NONE else name
        return value if power is None else Power(ast.Binary("^", value, power, span), span)


def _ascii(stem: str) -> str:
    """A stem such as ``β1`` with its Greek letter named, so that ``decompose`` reads it."""
    return stem if stem.isascii() else GREEK_NAMES[stem[0]] + stem[1:]
