"""The words and characters of the language, and how each may also be written: tables only."""

from __future__ import annotations

GREEK = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "zeta": "ζ", "eta": "η", "theta": "θ",
    "iota": "ι", "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν", "xi": "ξ", "pi": "π", "rho": "ρ", "sigma": "σ",
    "tau": "τ", "upsilon": "υ", "phi": "φ", "chi": "χ", "psi": "ψ", "omega": "ω",
    "Gamma": "Γ", "Delta": "Δ", "Theta": "Θ", "Lambda": "Λ", "Xi": "Ξ", "Pi": "Π", "Sigma": "Σ", "Upsilon": "Υ",
    "Phi": "Φ", "Psi": "Ψ", "Omega": "Ω",
}  # fmt: skip
"""ASCII name of every Greek letter that does not look like a Latin one."""

GREEK_NAMES = {letter: name for name, letter in GREEK.items()}

ACCENTS = {"hat": "\u0302", "tilde": "\u0303", "bar": "\u0304", "dot": "\u0307"}
"""Accent words and the combining characters that draw them."""

ACCENT_NAMES = {mark: word for word, mark in ACCENTS.items()}

KEYWORDS = frozenset(
    "after all and append at before break cols construction do down each else extends false flat for from function "
    "gradient if import in initialize input is mod none not optimizer or otherwise over parameters repeat replace "
    "return rows step times to transform true up update where while with".split()
)

RESERVED = KEYWORDS - frozenset(
    "after all append at before cols construction down each flat from gradient parameters replace rows step times to "
    "transform up update with".split()
)
"""Keywords that can never name a symbol (the others are words only where the grammar asks for them)."""

FOREIGN = {
    "elif": "write `else if`",
    "elsif": "write `else if`",
    "elseif": "write `else if`",
    "then": "the condition ends the line; `then` is not needed",
    "end": "indentation ends a block; `end` is not needed",
    "endif": "indentation ends a block; `endif` is not needed",
    "def": "write `function NAME(a, b; c):`",
    "class": "write `optimizer NAME:`",
    "params": "the section is called `input:`",
    "parameters": "the section is called `input:`",
    "hyperparameters": "the section is called `input:`",
    "require": "the section is called `input:`",
    "requires": "the section is called `input:`",
    "init": "the section is called `initialize:`",
    "initialise": "the section is called `initialize:`",
    "state": "the section is called `initialize:`",
    "states": "the section is called `initialize:`",
    "step": "the section is called `for t = 1 to … do`",
    "update": "the section is called `for t = 1 to … do`",
    "pass": "a block without statements can be left out",
    "let": "write `x ← value`",
    "var": "write `x ← value`",
}
"""Words of other languages, and what to write instead, where a line begins with one."""

FOREIGN_WORDS = frozenset({"elif", "elsif", "elseif", "then", "end", "endif", "def", "class", "pass"})
"""Those that can never name a symbol."""

FUNCTIONS = frozenset(
    "abs bfloat16 ceil clamp cols dim evaluate exp first float32 floor history identity last log machine_epsilon "
    "matrix_power max mean min norm norm_1 norm_inf numel orthonormal RMS rows sign sqrt sum support table "
    "transpose".split()
)
"""The closed list of built-in functions: these words call, every other name multiplies."""

SYNONYMS = {
    "clip": "clamp", "sgn": "sign", "maximum": "max", "minimum": "min", "ln": "log", "rms": "RMS", "fabs": "abs",
    "average": "mean", "size": "numel", "eye": "identity",
}  # fmt: skip
"""Other names of the functions."""

SUBSCRIPTS = dict(zip("₀₁₂₃₄₅₆₇₈₉₊₋ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ", "0123456789+-aehijklmnoprstuvx", strict=True))

SUPERSCRIPTS = dict(
    zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻᵀ", "0123456789+-()abcdefghijklmnoprstuvwxyzT", strict=True)
)

CONFUSABLES = {
    "ϵ": "ε", "ϑ": "θ", "ϕ": "φ", "ϱ": "ρ", "ϖ": "π", "ϰ": "κ", "ϐ": "β", "ς": "σ", "µ": "μ", "∆": "Δ",
    "−": "-", "‐": "-", "‑": "-", "–": "-",
    "⋅": "·", "∙": "·", "•": "·", "×": "·", "∗": "*", "∘": "⊙",
    "∕": "/", "⁄": "/", "÷": "/", "⊘": "/",
    "⩽": "≤", "≦": "≤", "⩾": "≥", "≧": "≥",
    "∥": "‖", "∣": "|", "⟵": "←", "⋯": "…", "≔": ":=", "∶": ":", "⊤": "T",
    "∊": "∈",
    "\u00a0": " ", "\u2009": " ", "\u202f": " ", "\u2003": " ", "\u2002": " ", "\u200a": " ", "\u205f": " ",
}  # fmt: skip
"""Look-alikes that are read as the character on the right, silently: no reader could mean another."""

IMPOSTORS = dict(
    zip(
        "АВЕЅІЈКМНОРСТХУасеіјорѕхуԁһ" + "ΑΒΕΖΗΙΚΜΝΟΡΤΧο" + "“”„‟（）｛｝，：；＝＜＞＋＊／｜＿",
        "ABESIJKMHOPCTXYaceijopsxydh" + "ABEZHIKMNOPTXo" + '""""(){},:;=<>+*/|_',
        strict=True,
    )
)
"""Characters that look like an ASCII one and are not: an error, with the ASCII character as the fix."""

LATEX_SYMBOLS = {
    **{"\\" + name: letter for name, letter in GREEK.items()},
    r"\varepsilon": "ε", r"\vartheta": "θ", r"\varphi": "φ", r"\varrho": "ρ", r"\varsigma": "σ", r"\varpi": "π",
    r"\varkappa": "κ",
    r"\leftarrow": "←", r"\gets": "←", r"\longleftarrow": "←", r"\coloneqq": ":=",
    r"\leq": "≤", r"\le": "≤", r"\leqslant": "≤", r"\geq": "≥", r"\ge": "≥", r"\geqslant": "≥",
    r"\neq": "≠", r"\ne": "≠", r"\lt": "<", r"\gt": ">", r"\in": "∈",
    r"\cdot": "·", r"\times": "·", r"\odot": "⊙", r"\circ": "⊙", r"\ast": "*", r"\div": "/", r"\oslash": "/",
    r"\ldots": "…", r"\dots": "…", r"\cdots": "…", r"\infty": "∞", r"\top": "T", r"\intercal": "T",
    r"\nabla": "∇", r"\prod": "∏", r"\sum": "∑",
    r"\|": "‖", r"\Vert": "‖", r"\lVert": "‖", r"\rVert": "‖", r"\vert": "|", r"\lvert": "|", r"\rvert": "|",
    r"\lfloor": "⌊", r"\rfloor": "⌋", r"\lceil": "⌈", r"\rceil": "⌉",
    r"\{": "{", r"\}": "}", r"\lbrace": "{", r"\rbrace": "}", r"\_": "_",
    r"\bmod": " mod ", r"\mod": " mod ",
    r"\land": " and ", r"\wedge": " and ", r"\lor": " or ", r"\vee": " or ", r"\lnot": " not ", r"\neg": " not ",
    r"\min": "min", r"\max": "max", r"\exp": "exp", r"\log": "log", r"\ln": "log", r"\dim": "dim",
    r"\sign": "sign", r"\sgn": "sign",
}  # fmt: skip
"""LaTeX commands without arguments, and what they stand for."""

LATEX_SPACE = frozenset(
    r"\left \right \big \Big \bigg \Bigg \bigl \bigr \Bigl \Bigr \biggl \biggr \Biggl \Biggr \, \; \: \! \quad \qquad "
    r"\displaystyle \textstyle \limits \nolimits".split()
) | {"\\ "}
"""LaTeX commands that only place or size what follows; they read as a space."""

LATEX_TEXT = frozenset(
    r"\mathrm \text \textrm \mathit \textit \mathbf \textbf \mathsf \mathtt \texttt \operatorname \mbox".split()
)
"""LaTeX commands whose argument is a word set upright."""

LATEX_ACCENTS = {
    r"\hat": "hat", r"\widehat": "hat", r"\tilde": "tilde", r"\widetilde": "tilde", r"\bar": "bar",
    r"\overline": "bar", r"\dot": "dot",
}  # fmt: skip
