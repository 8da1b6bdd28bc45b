"""Syntax errors in English: what is wrong where the parser stopped, and how it may go on.

``explain`` tries the rules below in turn; each looks at the place of the mistake and either knows it or passes. The
last one says what was expected there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from lark import Token

from optdsl.source import Diagnostic, Fix, Label, Span
from optdsl.syntax import tokens
from optdsl.syntax.spelling import Spelled
from optdsl.syntax.suggest import nearest
from optdsl.syntax.vocabulary import FOREIGN, KEYWORDS, SYNONYMS


@dataclass(frozen=True)
class Mistake:
    """Where the parser stopped: ``line`` holds the tokens of the logical line before ``token``, the one that does not
    fit; ``brackets`` the open ones; ``accepts`` the kinds of token that would fit; ``functions`` the known functions.
    """

    spelled: Spelled
    line: tuple[Token, ...]
    token: Token
    brackets: tuple[Token, ...]
    accepts: frozenset[str]
    functions: frozenset[str]

    @property
    def span(self) -> Span:
        """Where the unexpected token stands; the end of the line before where it is a line break."""
        if self.token.type in _INVISIBLE and self.line:
            end = self.of(self.line[-1]).end
            return Span(self.spelled.source, end, end)
        return self.of(self.token)

    @property
    def text(self) -> str:
        return self.of(self.token).text

    @property
    def last(self) -> Token | None:
        """The token before the unexpected one, in the same line."""
        return self.line[-1] if self.line else None

    def of(self, token: Token) -> Span:
        return self.spelled.of(token)

    def insert(self, kind: str, value: str) -> Token:
        """A token that is missing before the unexpected one."""
        return tokens.make(kind, value, tokens.start(self.token))


@dataclass(frozen=True)
class Explanation:
    """What to say, and the tokens that the parser may read in place of the unexpected one (None: give up the line)."""

    diagnostic: Diagnostic
    repair: tuple[Token, ...] | None = None


_INVISIBLE = frozenset({"_NL", "_INDENT", "_DEDENT", "$END"})
_VALUE_STARTS = frozenset(
    "NAME NUMBER CALLEE LPAR LBAR LDBAR BAR DBAR LFLOOR LCEIL ROOT NABLA RUNNING TRUE FALSE NONE STRING PLUS_MINUS NOT "
    "LBRACE".split()
)
_OPERATORS = frozenset("PLUS_MINUS SLASH _DOT MATMUL MOD CARET POWER_BRACE TRANSPOSE COMPARE _EQUAL IS AND OR".split())
_TITLES = {
    "_NL": "the end of the line",
    "_INDENT": "deeper indentation",
    "_DEDENT": "the end of the block",
    "$END": "the end of the file",
    "NAME": "a name",
    "IDENT": "a name",
    "CALLEE": "a function",
    "NUMBER": "a number",
    "STRING": "a string",
    "DOCSTRING": "a doc string",
    "DOC": "`--`",
    "_ASSIGN": "`←`",
    "_IN": "`∈`",
    "_DOT": "`·`",
    "COLON": "`:`",
    "COMMA": "`,`",
    "SEMICOLON": "`;`",
    "_EQUAL": "`=`",
    "FIX": "`:=`",
    "LPAR": "`(`",
    "KEY_OPEN": "`(`",
    "RPAR": "`)`",
    "LBRACE": "`{`",
    "RBRACE": "`}`",
    "RBAR": "`|`",
    "RDBAR": "`‖`",
    "RFLOOR": "`⌋`",
    "RCEIL": "`⌉`",
    "ELLIPSIS": "`…`",
    "STAR": "`*`",
    "NABLA": "`∇`",
}
_HEADERS = frozenset("IF ELSE FOR REPEAT".split())
_COLON_HEADERS = frozenset("INPUT INITIALIZE OPTIMIZER FUNCTION TRANSFORM REPLACE BEFORE AFTER GRADIENT UPDATE".split())
_EDITS = frozenset("replace before after gradient update".split())
_INSTEAD = re.compile(r"^(?:write|the section is called) `(else if|input|initialize)\b:?`")
"""Help that names the one word to write instead."""

_SECTION_WORDS = tuple(
    "import function transform optimizer input initialize for replace before after gradient update return if else "
    "repeat".split()
)


def explain(mistake: Mistake) -> Explanation:
    """Say what is wrong at ``mistake``."""
    for rule in _RULES:
        explanation = rule(mistake)
        if explanation is not None:
            return explanation
    return _unexpected(mistake)


def explain_character(span: Span) -> Diagnostic:
    """Say what is wrong with a character that begins no token."""
    help_ = {
        "&": "write `and`",
        "!": "write `not`, or `≠`",
        "~": "write `not`",
        ".": "operators work element by element: write `/` or `·`",
        "$": "formulas stand without `$`",
        "%": "the rest of a division is `a mod b`; a comment begins with `#`",
        "'": 'a string stands in `"`; a transpose is `Xᵀ`',
        "?": "write `{ a if c` over `{ b otherwise`",
        "[": "write `x_i` or `(…)`",
        "]": "write `x_i` or `(…)`",
    }.get(span.text, "")
    return Diagnostic("E001", f"unexpected character `{span.text}`", span, help=help_)


def double_equals(span: Span) -> Diagnostic:
    """``==`` where ``=`` is meant."""
    return Diagnostic("E045", "equality is written `=`", span, help="write `=`", fix=Fix(span, "="))


# ----------------------------------------------------------------------------------------------- the start of a line


def _missing_block(m: Mistake) -> Explanation | None:
    if m.accepts != {"_INDENT"}:
        return None
    return Explanation(
        Diagnostic(
            "E034",
            "an indented block must follow this line",
            _line_before(m),
            help="indent the lines that belong to it",
        ),
        (m.insert("_INDENT", ""), m.insert("_DEDENT", ""), m.token),
    )


def _line_before(m: Mistake) -> Span:
    """The last line with text before the unexpected token."""
    before = m.spelled.text[: tokens.start(m.token)].rstrip()
    line = before[before.rfind("\n") + 1 :]
    return m.spelled.span(len(before) - len(line.lstrip()), len(before))


def _unexpected_indent(m: Mistake) -> Explanation | None:
    if m.token.type != "_INDENT":
        return None
    at = tokens.end(m.token)
    line = m.spelled.text[at:].split("\n", 1)[0].rstrip()
    return Explanation(
        Diagnostic(
            "E035",
            "this line is indented deeper than the one above, which opens no block",
            m.spelled.span(at, at + len(line)),
            help="indent it like the line above; a line goes on only inside brackets or before an operator",
        )
    )


def _misspelt_keyword(m: Mistake) -> Explanation | None:
    """A line that begins with a word near a keyword, or with a keyword of another language."""
    first = m.line[0] if m.line else m.token
    word = m.of(first).text
    if len(m.line) > 1 or not re.fullmatch(r"[A-Za-z_]+", word) or (word in KEYWORDS and word not in FOREIGN):
        return None
    if m.line and (m.token.type in ("_ASSIGN", "COMMA", "_EQUAL", "FIX") or "_ASSIGN" not in m.accepts):
        return None
    if word in FOREIGN:
        instead = _INSTEAD.search(FOREIGN[word])
        fix = Fix(m.of(first), instead[1]) if instead else None
        return Explanation(
            Diagnostic("E036", f"`{word}` is not a word of this language", m.of(first), help=FOREIGN[word], fix=fix)
        )
    near = nearest(word, _SECTION_WORDS)
    if near is None:
        return None
    fix = Fix(m.of(first), near)
    return Explanation(
        Diagnostic("E036", f"`{word}` begins no line", m.of(first), help=f"did you mean `{near}`?", fix=fix)
    )


def _misplaced_edit(m: Mistake) -> Explanation | None:
    """``replace m̂_t:`` among statements, where its first word is read as a name."""
    if len(m.line) != 1 or m.token.type != "NAME" or "_ASSIGN" not in m.accepts or m.text in KEYWORDS:
        return None
    first = m.of(m.line[0])
    if first.text not in _EDITS:
        return None
    mend = "it stands beside `input:` in an optimizer that extends another, and takes the place of the step"
    if first.text == "gradient":
        mend = "it stands in a transform"
    return Explanation(Diagnostic("E041", f"`{first.text} {m.text}:` cannot stand here", first.to(m.span), help=mend))


def _nameless_edit(m: Mistake) -> Explanation | None:
    if len(m.line) != 1 or m.line[0].type.lower() not in _EDITS or m.token.type not in ("COLON", "_NL"):
        return None
    word = m.of(m.line[0]).text
    mend = f"say which statement is meant by what it assigns: `{word} m̂_t:`"
    if word in ("gradient", "update"):
        mend = f"say what to call it: `{word} {word[0]}_t:`"
    if word == "update":
        mend += "; the step itself stands under `for t = 1 to … do`"
    return Explanation(Diagnostic("E037", f"a name is missing after `{word}`", m.of(m.line[0]), help=mend))


def _misplaced(m: Mistake) -> Explanation | None:
    """A line that is fine, elsewhere."""
    if m.line:
        return None
    places = {
        "ELSE": "`else` belongs right after the block of an `if`",
        "INPUT": "`input:` belongs in an optimizer, before `initialize:`",
        "INITIALIZE": "`initialize:` belongs in an optimizer, before `for t = 1 to … do`",
        "OPTIMIZER": "`optimizer` begins at the left margin",
        "FUNCTION": "`function` begins at the left margin",
        "IMPORT": "`import` begins at the left margin, before the optimizers",
        "RETURN": "`return θ_t` belongs at the end of an optimizer, `return` of a value in a function",
        "DOC": "a `--` text follows the input that it documents, on the same line",
    }
    known = places.get(m.token.type)
    if known is None and m.token.type in ("NAME", "IDENT", "IF", "REPEAT", "FOR"):
        if "GRADIENT" in m.accepts:
            known = "a transform changes the gradient under `gradient g_t:` and the update under `update u_t:`"
        elif m.text == "gradient" and "UPDATE" in m.accepts:
            known = "`gradient g_t:` belongs in a transform; write `after g_t:` here"
        elif "INITIALIZE" in m.accepts:
            known = "statements belong in `for t = 1 to … do`, states in `initialize:`, inputs in `input:`"
        elif "OPTIMIZER" in m.accepts:
            known = "outside an optimizer there are only `import`, `function`, `transform` and `optimizer`"
    if known is None:
        return None
    return Explanation(Diagnostic("E041", f"{_found(m)} cannot stand here", m.span, help=known))


# ------------------------------------------------------------------------------------------- one token is missing


def _missing_colon(m: Mistake) -> Explanation | None:
    if "COLON" not in m.accepts or m.token.type != "_NL" or not m.line:
        return None
    if m.line[0].type not in _COLON_HEADERS:
        return None
    fix = Fix(m.span, ":")
    return Explanation(
        Diagnostic("E031", "this line must end in `:`", m.span, help="add `:`", fix=fix),
        (m.insert("COLON", ":"), m.token),
    )


def _missing_do(m: Mistake) -> Explanation | None:
    if "DO" not in m.accepts or m.token.type not in ("_NL", "COLON"):
        return None
    colon = m.token.type == "COLON"
    fix = Fix(m.span, " do")
    return Explanation(
        Diagnostic(
            "E032", "this line must end in `do`", m.span, help="write `do` for `:`" if colon else "add `do`", fix=fix
        ),
        (m.insert("DO", "do"),) if colon else (m.insert("DO", "do"), m.token),
    )


def _number_of_steps(m: Mistake) -> Explanation | None:
    """``for t = 1 to T``: boxes name the last step, which no optimizer knows."""
    if m.accepts != {"ELLIPSIS"} or m.token.type in _INVISIBLE:
        return None
    help_ = "write `…`: an optimizer makes as many steps as it is asked for"
    return Explanation(
        Diagnostic("E030", f"unexpected {_found(m)}", m.span, help=help_, fix=Fix(m.span, "…")),
        (tokens.retyped("ELLIPSIS", m.token),),
    )


def _needless_colon(m: Mistake) -> Explanation | None:
    if m.token.type != "COLON" or not m.line or m.line[0].type not in _HEADERS:
        return None
    fix = Fix(m.span, "")
    return Explanation(Diagnostic("E044", "this line takes no `:`", m.span, help="remove it", fix=fix), ())


def _missing_times(m: Mistake) -> Explanation | None:
    if "TIMES" not in m.accepts or m.token.type not in ("_NL", "COLON", "DO") or m.line[0].type != "REPEAT":
        return None
    repair = (m.insert("TIMES", "times"), m.token) if m.token.type == "_NL" else (m.insert("TIMES", "times"),)
    return Explanation(
        Diagnostic("E032", "this line must end in `times`", m.span, help="write `repeat k times`"), repair
    )


# ---------------------------------------------------------------------------------------------- the wrong operator


def _equals_for_arrow(m: Mistake) -> Explanation | None:
    if m.token.type not in ("_EQUAL", "FIX", "COLON") or "_ASSIGN" not in m.accepts:
        return None
    if m.token.type == "COLON" and "COLON" in m.accepts:
        return None
    fix = Fix(m.span, "←")
    return Explanation(
        Diagnostic(
            "E033", f"an assignment is written with `←`, not `{m.text}`", m.span, help="write `←` or `<-`", fix=fix
        ),
        (tokens.retyped("_ASSIGN", m.token),),
    )


def _arrow_for_equals(m: Mistake) -> Explanation | None:
    if m.token.type != "_ASSIGN":
        return None
    if "FIX" in m.accepts:
        fix = Fix(m.span, "=")
        return Explanation(
            Diagnostic("E033", f"a default is written with `=`, not `{m.text}`", m.span, help="write `=`", fix=fix),
            (tokens.retyped("_EQUAL", m.token),),
        )
    if any(t.type == "_ASSIGN" for t in m.line):
        return Explanation(
            Diagnostic("E033", "a second `←` in one statement", m.span, help="write one statement per line")
        )
    if m.text == "<-" and "COMPARE" in m.accepts:
        fix = Fix(m.span, "< -")
        return Explanation(
            Diagnostic("E033", "`<-` is the arrow of an assignment", m.span, help="write `< -` to compare", fix=fix),
            (tokens.retyped("COMPARE", m.token), tokens.retyped("PLUS_MINUS", m.token)),
        )
    return None


def _double_star(m: Mistake) -> Explanation | None:
    last = m.last
    if m.text != "*" or last is None or m.of(last).text != "*" or last.end_pos != m.token.start_pos:
        return None
    span = m.of(last).to(m.span)
    return Explanation(
        Diagnostic("E045", "a power is written `^`", span, help="write `x^2` or `x²`", fix=Fix(span, "^"))
    )


def _updated_in_place(m: Mistake) -> Explanation | None:
    """``v_t += …``"""
    if "_ASSIGN" not in m.accepts or m.last is None or m.text not in ("+", "-", "*", "/"):
        return None
    if not m.spelled.text.startswith("=", m.token.end_pos):
        return None
    name = m.of(m.last).text
    help_ = f"write `{name} ← {name} {m.text} …`"
    return Explanation(Diagnostic("E033", f"an assignment is written with `←`, not `{m.text}=`", m.span, help=help_))


def _assigned_power(m: Mistake) -> Explanation | None:
    """``b_t^2 ← …``"""
    if m.token.type not in ("CARET", "POWER_BRACE") or "_ASSIGN" not in m.accepts or m.last is None:
        return None
    name = m.of(m.last).text
    help_ = f"write `{name} ← √(…)`, or name the power; an index has two letters or more: `{name}^{{ab}}`"
    return Explanation(Diagnostic("E030", "a power is no name, and cannot be assigned", m.span, help=help_))


def _power_of_power(m: Mistake) -> Explanation | None:
    if m.token.type not in ("CARET", "POWER_BRACE", "TRANSPOSE") or "SLASH" not in m.accepts:
        return None
    return Explanation(
        Diagnostic(
            "E046", "a power of a power needs brackets", m.span, help="write `(a^b)^c` or `a^(b^c)`, whichever is meant"
        )
    )


# ------------------------------------------------------------------------------------------------------- operands


def _later_number(m: Mistake) -> Explanation | None:
    """``x 2``: a factor, or a missing operator?"""
    if m.token.type != "NUMBER" or not {"SLASH", "NAME"} <= m.accepts or m.last is None:
        return None
    return Explanation(
        Diagnostic(
            "E038",
            f"the number `{m.text}` follows a value with no operator between",
            m.span,
            help=f"write `· {m.text}` to multiply, or put the number first; a list needs commas",
        )
    )


def _function_without_brackets(m: Mistake) -> Explanation | None:
    if m.accepts != {"LPAR"} or m.last is None or m.last.type != "CALLEE":
        return None
    name = m.of(m.last).text
    return Explanation(
        Diagnostic(
            "E040",
            f"`{name}` is a function and needs its arguments in brackets",
            m.of(m.last),
            help=f"write `{name}(…)`",
        )
    )


def _call_of_no_function(m: Mistake) -> Explanation | None:
    """A comma in brackets that follow a name which is no function."""
    if m.token.type not in ("COMMA", "SEMICOLON") or not m.brackets or m.brackets[-1].type != "LPAR":
        return None
    opener = m.brackets[-1]
    at = next((i for i, t in enumerate(m.line) if t is opener), 0)
    before = m.line[at - 1] if at else None
    if before is None or before.type != "NAME":
        return Explanation(
            Diagnostic(
                "E039",
                "these brackets hold one value, not a list",
                m.span,
                labels=(Label(m.of(opener), "opened here"),),
                help="write the list without brackets" if before is not None and before.type == "_EQUAL" else "",
            )
        )
    span = m.of(before)
    near = SYNONYMS.get(span.text) or nearest(span.text, m.functions)
    listing = ", ".join(sorted(m.functions, key=str.lower))
    return Explanation(
        Diagnostic(
            "E039",
            f"`{span.text}` is not a function",
            span,
            note=f"the functions are {listing}",
            help=f"did you mean `{near}`?" if near else "",
            fix=Fix(span, near) if near else None,
        )
    )


def _keyword_for_name(m: Mistake) -> Explanation | None:
    if m.text not in KEYWORDS or not {"NAME", "IDENT"} & m.accepts or "SLASH" in m.accepts:
        return None
    if "LPAR" in m.accepts and m.last is not None:
        help_ = "to choose element by element, write `{ a if c` over `{ b otherwise`" if m.text == "where" else ""
        return Explanation(Diagnostic("E037", f"a value is missing before `{m.text}`", m.span, help=help_))
    return Explanation(Diagnostic("E013", f"`{m.text}` is a keyword and cannot name anything", m.span))


def _missing_value(m: Mistake) -> Explanation | None:
    """An operator, a comma or an arrow with nothing behind it."""
    if "SLASH" in m.accepts or not {"NAME", "LPAR"} <= m.accepts or m.last is None:
        return None
    if m.token.type in _INVISIBLE | {"DOC"}:
        return Explanation(Diagnostic("E037", f"a value is missing after `{m.of(m.last).text}`", m.of(m.last)))
    return Explanation(Diagnostic("E037", f"a value is missing before {_found(m)}", m.span))


def _stray_doc(m: Mistake) -> Explanation | None:
    if m.token.type != "DOC" or "DOC" in m.accepts:
        return None
    return Explanation(
        Diagnostic(
            "E043",
            "a `--` text documents an input, and this is none",
            m.span,
            help="begin a comment with `#`; write `- -x` to subtract a negative value",
            fix=Fix(Span(m.span.source, m.span.start, m.span.start + 2), "#"),
        ),
        (),
    )


def _unexpected(m: Mistake) -> Explanation:
    wanted = _expected(m.accepts)
    note = f"expected {wanted}" if wanted else ""
    return Explanation(Diagnostic("E030", f"unexpected {_found(m)}", m.span, note=note))


def _found(m: Mistake) -> str:
    """The unexpected token, in words."""
    if m.token.type in _INVISIBLE:
        return _TITLES[m.token.type].removeprefix("the ")
    text = m.text.split("\n")[0]
    return f"`{text if len(text) <= 30 else text[:29] + '…'}`"


def _expected(accepts: frozenset[str]) -> str:
    """What would fit, in words; empty where that is too much to list."""
    titles: list[str] = []
    rest = set(accepts)
    if "SLASH" not in accepts and {"NAME", "LPAR"} <= accepts:
        titles.append("a value")
        rest -= _VALUE_STARTS
    elif accepts & (_OPERATORS - {"_EQUAL"}):
        titles.append("an operator")
        rest -= _OPERATORS | _VALUE_STARTS
    rest -= {"BAR", "DBAR", "_DEDENT", "_INDENT"}
    if "KEY_OPEN" in rest:
        rest.discard("LPAR")
    titles += sorted({_TITLES.get(kind, f"`{kind.lower()}`") for kind in rest - {"_NL"}})
    if "_NL" in rest:
        titles.append(_TITLES["_NL"])
    if len(titles) > 6:
        return ""
    return titles[0] if len(titles) == 1 else ", ".join(titles[:-1]) + " or " + titles[-1] if titles else ""


_RULES: tuple[Callable[[Mistake], Explanation | None], ...] = (
    _missing_block,
    _unexpected_indent,
    _stray_doc,
    _double_star,
    _misplaced_edit,
    _nameless_edit,
    _equals_for_arrow,
    _arrow_for_equals,
    _misspelt_keyword,
    _misplaced,
    _missing_colon,
    _missing_do,
    _missing_times,
    _number_of_steps,
    _needless_colon,
    _updated_in_place,
    _assigned_power,
    _power_of_power,
    _later_number,
    _function_without_brackets,
    _call_of_no_function,
    _keyword_for_name,
    _missing_value,
)
