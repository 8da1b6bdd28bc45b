"""From Lark's parse tree to the syntax tree of ``ast.py``.

The builder also reports what the grammar lets through: quotients that can be read two ways, names with two subscripts,
loops that do not count, numbers out of range.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from typing import Any

from lark import Token, Tree
from lark.tree import Meta
from lark.visitors import Transformer_NonRecursive

from optdsl.source import Diagnostic, Span
from optdsl.syntax import ast
from optdsl.syntax.ast import Symbol, Time
from optdsl.syntax.names import SUBSCRIPT, TIMES, decompose, subscript_of
from optdsl.syntax.spelling import Spelled
from optdsl.syntax.vocabulary import ACCENT_NAMES, ACCENTS, FOREIGN, FOREIGN_WORDS, GREEK, GREEK_NAMES, RESERVED

_SCRIPT = re.compile(r"([_^])(?:\{([^{}]*)\}|\(([^()]*)\)|([A-Za-z0-9]+|[+-]|.))")
_STEM = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:_{1,2}[A-Za-z0-9]+)*|.[0-9]*", re.DOTALL)
_RELATIONS = {"!=": "≠", "<=": "≤", ">=": "≥"}
_RUNNING_INDEX = re.compile(r"_\{\s*([a-z])")


MAX_DEPTH = 100
"""How many operations deep an expression may be, so that whoever walks it can do so by recursion."""

_DEEPENING = frozenset(
    "additive divide dot matmul sign juxtapose juxtapose_power power braced transpose root running absolute norm floor "
    "ceil call arguments bracket compare or_ and_ not_ case otherwise cases".split()
)


@dataclass(frozen=True)
class _Bracketed:
    """An expression in brackets: it can be read one way only."""

    value: Any
    span: Span


@dataclass(frozen=True)
class _Product:
    """Factors side by side, without brackets around them; ``first`` is where the first of them stands."""

    value: Any
    span: Span
    first: Span


@dataclass(frozen=True)
class _Power:
    """A power without brackets around it."""

    value: Any
    span: Span


@dataclass(frozen=True)
class _Over:
    what: str
    span: Span


@dataclass(frozen=True)
class _Part:
    """A clause of a declaration."""

    kind: str
    value: Any
    span: Span


def _plain(node: Any) -> Any:
    """``node`` without the marks of how it was written."""
    return node.value if isinstance(node, (_Bracketed, _Product, _Power)) else node


def clean_doc(text: str) -> str:
    """A doc string without the indentation of its lines and the blank lines around it."""
    first, *rest = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    margin = min((len(line) - len(line.lstrip()) for line in rest if line.strip()), default=0)
    return "\n".join([first.strip(), *(line[margin:].rstrip() for line in rest)]).strip()


class Builder(Transformer_NonRecursive):
    """Builds the syntax tree of one parse; ``diagnostics`` holds what it has to say.

    There is one method per grammar rule or alias, each taking Lark's ``Meta`` and the children already built.
    """

    def __init__(self, spelled: Spelled):
        super().__init__()
        self.spelled = spelled
        self.diagnostics: list[Diagnostic] = []
        self.depths: dict[int, int] = {}  # of expressions, by identity
        self.kept: list[Any] = []  # keeps those identities theirs

    def _call_userfunc(self, tree: Tree[Any], new_children: list[Any] | None = None) -> Any:
        children = tree.children if new_children is None else new_children
        span = self._span(tree.meta)
        built = getattr(self, "_" + tree.data)(span, children)
        if tree.data in _DEEPENING:
            depth = max((self.depths.get(id(child), 0) for child in children), default=0)
            depth += max(1, len(children) - 1)
            self.depths[id(built)] = depth
            self.kept.append(built)
            if depth > MAX_DEPTH and depth - max(1, len(children) - 1) <= MAX_DEPTH:
                self._report(
                    "E008",
                    f"this expression is more than {MAX_DEPTH} operations deep",
                    _first_line(span),
                    help="name parts of it in statements of their own",
                )
        return built

    # ------------------------------------------------------------------------------------------------------- helpers

    def _span(self, meta: Meta) -> Span:
        if meta.empty:
            return self.spelled.span(0, 0)
        text = self.spelled.text[meta.start_pos : meta.end_pos]
        return self.spelled.span(meta.start_pos, meta.start_pos + max(1, len(text.rstrip())))

    def _at(self, token: Token) -> Span:
        return self.spelled.of(token)

    def _report(self, code: str, message: str, span: Span, **more: Any) -> None:
        self.diagnostics.append(Diagnostic(code, message, span, **more))

    def _word(self, token: Token) -> str:
        """A token that is an identifier, as written."""
        return str(token)

    def _text(self, token: Token) -> str:
        """The value of a string token."""
        return re.sub(r"\\(.)", r"\1", unicodedata.normalize("NFC", token[1:-1]))

    # --------------------------------------------------------------------------------------------------------- names

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
            self._report(
                "E012",
                f"`{part}` cannot be a subscript" if part else "a subscript is missing",
                span,
                help="a subscript is a number, a word, a sign, or a time: t, t-1, t+1 or 0",
            )
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
        return value if power is None else _Power(ast.Binary("^", value, power, span), span)

    # --------------------------------------------------------------------------------------------------- expressions

    def _number(self, span: Span, children: list[Any]) -> ast.Number:
        return self._literal(children[0])

    def _literal(self, token: Token) -> ast.Number:
        text, span = str(token), self._at(token)
        if text == "∞":
            return ast.Number(float("inf"), text, span)
        if len(text) > 400:
            self._report("E014", "this number has too many digits", span)
            return ast.Number(0, text, span)
        value = int(text) if text.isdigit() else float(text)
        if abs(value) > 1.7976931348623157e308:
            self._report("E014", f"`{text}` is beyond the largest float64", span)
        return ast.Number(value, text, span)

    def _string(self, span: Span, children: list[Any]) -> ast.String:
        return ast.String(self._text(children[0]), span)

    def _true(self, span: Span, children: list[Any]) -> ast.Bool:
        return ast.Bool(True, span)

    def _false(self, span: Span, children: list[Any]) -> ast.Bool:
        return ast.Bool(False, span)

    def _none(self, span: Span, children: list[Any]) -> ast.NoneLiteral:
        return ast.NoneLiteral(span)

    def _bracket(self, span: Span, children: list[Any]) -> _Bracketed:
        return _Bracketed(replace(_plain(children[0]), span=span), span)

    def _braced(self, span: Span, children: list[Any]) -> _Bracketed:
        return _Bracketed(replace(_plain(children[0]), span=span), span)

    def _binary(self, op: str, left: Any, right: Any, span: Span) -> ast.Binary:
        return ast.Binary(op, _plain(left), _plain(right), span)

    def _juxtapose(self, span: Span, children: list[Any]) -> _Product:
        first, *rest = children
        product = self._literal(first) if isinstance(first, Token) else first
        begin = _span_of(product)
        for factor in rest:
            product = self._binary("*", product, factor, begin.to(_span_of(factor)))
        return _Product(product, span, begin)

    def _juxtapose_power(self, span: Span, children: list[Any]) -> _Product:
        base, exponent, *rest = children
        number = self._literal(base)
        power = self._binary("^", number, exponent, number.span.to(_span_of(exponent)))
        return self._juxtapose(span, [power, *rest])

    def _power(self, span: Span, children: list[Any]) -> _Power:
        base = self._literal(children[0]) if isinstance(children[0], Token) else children[0]
        return _Power(self._binary("^", base, children[1], span), span)

    def _transpose(self, span: Span, children: list[Any]) -> ast.Unary:
        return ast.Unary("transpose", _plain(children[0]), span)

    def _exponent_name(self, span: Span, children: list[Any]) -> Any:
        """A name as a bare exponent: in LaTeX a subscript that follows it would belong to the base."""
        name = self._name(span, children)
        if not isinstance(name, ast.StepTime) and (
            not isinstance(name, ast.Name) or name.time or name.symbol.subscript
        ):
            if "_" in str(children[0]):
                self._ambiguous_exponent(span)
        return name

    def _signed_number(self, span: Span, children: list[Any]) -> Any:
        return self._signed(children[0], self._literal(children[1]), span)

    def _signed_name(self, span: Span, children: list[Any]) -> Any:
        return self._signed(children[0], self._name(span, children[1:]), span)

    def _sign(self, span: Span, children: list[Any]) -> Any:
        signed = self._signed(children[0], children[1], span)
        operand = children[1]
        return _Product(signed, span, span.to(operand.first)) if isinstance(operand, _Product) else signed

    def _signed(self, sign: Token, operand: Any, span: Span) -> Any:
        return _plain(operand) if sign == "+" else ast.Unary("-", _plain(operand), span)

    def _root(self, span: Span, children: list[Any]) -> ast.Call:
        operand = children[0]
        if isinstance(operand, _Power):
            base = operand.value.left.span.text
            self._report(
                "E015",
                f"`{span.text}` can be read two ways",
                span,
                help=f"write `√({operand.span.text})` or `(√{base}){operand.span.text[len(base) :]}`",
            )
        return self._function("sqrt", operand, span)

    def _function(self, name: str, operand: Any, span: Span) -> ast.Call:
        return ast.Call(name, (_plain(operand),), span=span, name_span=Span(span.source, span.start, span.start + 1))

    def _absolute(self, span: Span, children: list[Any]) -> ast.Call:
        return self._function("abs", children[1], span)

    def _norm(self, span: Span, children: list[Any]) -> ast.Call:
        return self._function("norm", children[1], span)

    def _floor(self, span: Span, children: list[Any]) -> ast.Call:
        return self._function("floor", children[0], span)

    def _ceil(self, span: Span, children: list[Any]) -> ast.Call:
        return self._function("ceil", children[0], span)

    def _divide(self, span: Span, children: list[Any]) -> ast.Binary:
        left, right = children
        if isinstance(right, _Product):
            a, b = _span_of(left).text, right.span.text
            rest = Span(span.source, right.first.end, right.span.end).text.strip()
            self._report(
                "E016",
                f"`{span.text}` can be read two ways",
                span,
                help=f"write `{a} / ({b})` or `({a} / {right.first.text}) {rest}`",
            )
        return self._binary("/", left, right, span)

    def _dot(self, span: Span, children: list[Any]) -> ast.Binary:
        return self._binary("*", children[0], children[1], span)

    def _matmul(self, span: Span, children: list[Any]) -> ast.Binary:
        return self._binary("@", children[0], children[1], span)

    def _additive(self, span: Span, children: list[Any]) -> ast.Binary:
        left, op, right = children
        self._check_time(left, op, right, span)
        return self._binary(str(op), left, right, span)

    def _check_time(self, left: Any, op: Token, right: Any, span: Span) -> None:
        """``θ_t-1`` without a space may be ``θ_{t-1}`` or ``θ_t - 1``."""
        name = left.value.right if isinstance(left, _Power) else left
        timed = isinstance(name, ast.StepTime) and isinstance(left, _Power)
        timed = timed or (isinstance(name, ast.Name) and name.time is Time.NOW)
        if not timed or not isinstance(right, ast.Number) or right.value != 1:
            return
        text = Span(span.source, _span_of(left).end, right.span.start).text
        if text != str(op) or not Span(span.source, span.start, _span_of(left).end).text.endswith("t"):
            return
        stem = _span_of(left).text[:-1]
        self._report(
            "E017",
            f"`{span.text}` can be read two ways",
            span,
            help=f"write `{stem}{{t{op}1}}` for the time t{op}1, or `{stem}t {op} 1`",
        )

    def _or_(self, span: Span, children: list[Any]) -> ast.Binary:
        return self._binary("or", children[0], children[1], span)

    def _and_(self, span: Span, children: list[Any]) -> ast.Binary:
        return self._binary("and", children[0], children[1], span)

    def _not_(self, span: Span, children: list[Any]) -> ast.Unary:
        return ast.Unary("not", _plain(children[0]), span)

    def _compare(self, span: Span, children: list[Any]) -> ast.Compare:
        return ast.Compare(tuple(_plain(c) for c in children[::2]), tuple(children[1::2]), span)

    def _relation(self, span: Span, children: list[Any]) -> str:
        return _RELATIONS.get(str(children[0]), str(children[0]))

    def _equal(self, span: Span, children: list[Any]) -> str:
        return "="

    def _is_(self, span: Span, children: list[Any]) -> str:
        return "is"

    def _is_not(self, span: Span, children: list[Any]) -> str:
        return "is not"

    def _running(self, span: Span, children: list[Any]) -> ast.Running:
        symbol, body = children
        index = _RUNNING_INDEX.search(symbol)
        assert index is not None
        op = "*" if symbol[0] in "∏Πp" else "+"
        return ast.Running(op, _replace_index(_plain(body), index[1]), span)

    def _gradient(self, span: Span, children: list[Any]) -> ast.Gradient:
        _, function, point = children
        name, power = self._read_name(function)
        right = name.symbol == Symbol("f") and name.time is Time.NOW and not power
        if not right or point != ast.Name(Symbol("θ"), Time.PREVIOUS, span):
            self._report("E018", "the gradient is that of `f_t` at `θ_{t-1}`", span, help="write `∇f_t(θ_{t-1})`")
        return ast.Gradient(span)

    def _arguments(self, span: Span, children: list[Any]) -> list[Any]:
        return children

    def _call(self, span: Span, children: list[Any]) -> ast.Call:
        function, arguments, parameters, trailing = children
        overs = [a for a in [*(arguments or ()), *(parameters or ()), trailing] if isinstance(a, _Over)]
        if len(overs) > 1:
            self._report("E019", f"`{function}` is given two ranges to reduce over", overs[1].span)
        return ast.Call(
            str(function),
            tuple(_plain(a) for a in arguments or () if not isinstance(a, _Over)),
            tuple(_plain(a) for a in parameters or () if not isinstance(a, _Over)),
            overs[0].what if overs else "",
            span,
            self._at(function),
        )

    def _over_rows(self, span: Span, children: list[Any]) -> _Over:
        return _Over("rows", span)

    def _over_cols(self, span: Span, children: list[Any]) -> _Over:
        return _Over("cols", span)

    def _over_all(self, span: Span, children: list[Any]) -> _Over:
        return _Over("all", span)

    def _over_parameters(self, span: Span, children: list[Any]) -> _Over:
        return _Over("all parameters", span)

    def _case(self, span: Span, children: list[Any]) -> ast.Case:
        return ast.Case(_plain(children[0]), _plain(children[1]), span)

    def _otherwise(self, span: Span, children: list[Any]) -> ast.Case:
        return ast.Case(_plain(children[0]), None, span)

    def _cases(self, span: Span, children: list[Any]) -> ast.Cases:
        for case in children[:-1]:
            if case.condition is None:
                self._report("E020", "`otherwise` must be the last case", case.span)
        return ast.Cases(tuple(children), span)

    # ---------------------------------------------------------------------------------------------------- statements

    def _block(self, span: Span, children: list[Any]) -> tuple[ast.Stmt, ...]:
        return tuple(children)

    def _targets(self, span: Span, children: list[Any]) -> tuple[ast.Name, ...]:
        return tuple(self._target(t) for t in children)

    def _assign(self, span: Span, children: list[Any]) -> ast.Assign:
        targets, value, where = children
        return ast.Assign(targets, _plain(value), None if where is None else _plain(where), span)

    def _branch(self, span: Span, children: list[Any]) -> ast.Branch:
        return ast.Branch(_plain(children[0]), children[1], span)

    def _if_(self, span: Span, children: list[Any]) -> ast.If:
        *branches, orelse = children
        return ast.If(tuple(branches), orelse or (), span)

    def _enumeration(self, span: Span, children: list[Any]) -> _Part:
        return _Part("enumeration", children, span)

    def _for_elements(self, span: Span, children: list[Any]) -> ast.ForElements:
        index, items, body = children
        self._target(index)
        written = "".join(items.span.text.split()).replace(r"\ldots", "…").replace("...", "…")
        if not re.fullmatch(r"0,(1,)?…,d-1|1,(2,)?…,d", written):
            self._report(
                "E021",
                "a loop over the elements counts from 0 to d-1",
                items.span,
                help=f"write `for {index} = 0, 1, …, d-1 do`",
            )
        return ast.ForElements(body, span)

    def _for_support(self, span: Span, children: list[Any]) -> ast.ForSupport:
        index, support, body = children
        self._target(index)
        match _plain(support):
            case ast.Call("support", (ast.Name() as name,)):
                return ast.ForSupport(name, body, span)
        support_span = _span_of(support)
        self._report("E021", "a loop of this kind runs over `support(…)`", support_span, help="write `support(g_t)`")
        return ast.ForSupport(ast.Name(Symbol("g"), Time.NOW, support_span), body, span)

    def _repeat(self, span: Span, children: list[Any]) -> ast.Repeat:
        return ast.Repeat(_plain(children[0]), children[1], span)

    def _returns(self, span: Span, children: list[Any]) -> ast.Return:
        return ast.Return(_plain(children[0]), span)

    # -------------------------------------------------------------------------------------------------- declarations

    def _names(self, span: Span, children: list[Any]) -> tuple[ast.Name, ...]:
        return tuple(self._target(t) for t in children)

    def _python_name(self, span: Span, children: list[Any]) -> _Part:
        return _Part("python_name", self._word(children[0]), self._at(children[0]))

    def _choices(self, span: Span, children: list[Any]) -> tuple[str, ...]:
        return tuple(self._text(t) for t in children)

    def _values(self, span: Span, children: list[Any]) -> tuple[ast.Expr, ...]:
        return tuple(_plain(c) for c in children)

    def _default(self, span: Span, children: list[Any]) -> _Part:
        return _Part("default", children[0], span)

    def _fixed(self, span: Span, children: list[Any]) -> _Part:
        return _Part("fixed", children[0], span)

    def _constraint(self, span: Span, children: list[Any]) -> ast.Constraint:
        condition, message = children
        return ast.Constraint(_plain(condition), None if message is None else self._text(message), span)

    def _constraints(self, span: Span, children: list[Any]) -> tuple[ast.Constraint, ...]:
        return tuple(children)

    def _input(self, span: Span, children: list[Any]) -> list[ast.Input]:
        """One input, or one per name where several names share a line but no tuple argument."""
        names, python_name, choices, default, *clauses = children
        docs = [unicodedata.normalize("NFC", clause[2:].strip()) for clause in clauses if isinstance(clause, Token)]
        constraints = tuple(c for clause in clauses if not isinstance(clause, Token) for c in clause)
        defaults = None if default is None else default.value
        if defaults is not None and len(defaults) != len(names):
            self._report(
                "E022",
                f"{_count(len(names), 'name')} but {_count(len(defaults), 'default')}",
                default.span,
                help="give one default per name",
            )
            defaults = (defaults * len(names))[: len(names)]
        shared = ast.Input(
            names,
            None if python_name is None else python_name.value,
            defaults,
            constraints,
            choices or (),
            default is not None and default.kind == "fixed",
            False,
            " ".join(docs),
            span,
            None if python_name is None else python_name.span,
        )
        if len(names) == 1 or python_name is not None:
            return [shared]
        *others, last = (
            replace(shared, names=(name,), defaults=None if defaults is None else (defaults[i],), span=name.span)
            for i, name in enumerate(names)
        )
        return [*(replace(other, constraints=()) for other in others), last]

    def _star(self, span: Span, children: list[Any]) -> _Part:
        return _Part("star", None, span)

    def _inputs(self, span: Span, children: list[Any]) -> _Part:
        inputs: list[ast.Input] = []
        keyword_only = False
        for child in children:
            if isinstance(child, list):
                inputs.extend(replace(i, keyword_only=keyword_only) for i in child)
            elif keyword_only:
                self._report("E023", "a second `*` among the inputs", child.span)
            else:
                keyword_only = True
        return _Part("input", tuple(inputs), span)

    def _key(self, span: Span, children: list[Any]) -> _Part:
        return _Part("key", self._word(children[1]), self._at(children[1]))

    def _shape(self, span: Span, children: list[Any]) -> _Part:
        return _Part("shape", _plain(children[0]), span)

    def _eager(self, span: Span, children: list[Any]) -> _Part:
        return _Part("eager", True, span)

    def _state_if(self, span: Span, children: list[Any]) -> _Part:
        return _Part("condition", _plain(children[0]), span)

    def _state_otherwise(self, span: Span, children: list[Any]) -> _Part:
        return _Part("condition", None, span)

    def _state(self, span: Span, children: list[Any]) -> tuple[ast.State, bool]:
        """The state, and whether its condition is ``otherwise``."""
        target, value, key, shape, *tail = children
        tails: dict[str, _Part] = {}
        for part in tail:
            if part.kind in tails:
                self._report("E023", f"`{part.span.text}` comes twice", part.span)
            tails[part.kind] = part
        condition = tails.get("condition")
        state = ast.State(
            self._target(target),
            None if value is None else _plain(value),
            None if key is None else key.value,
            None if condition is None else condition.value,
            "eager" in tails,
            span,
            None if key is None else key.span,
            None if shape is None else shape.value,
        )
        return state, condition is not None and condition.value is None

    def _initialize(self, span: Span, children: list[Any]) -> _Part:
        states: list[ast.State] = []
        condition: ast.Expr | None = None
        for state, otherwise in children:
            if otherwise and condition is None:
                self._report("E024", "`otherwise` follows no state with a condition", state.span)
            elif otherwise:
                assert condition is not None
                state = replace(state, condition=ast.Unary("not", condition, condition.span))
            elif state.condition is not None:
                condition = state.condition
            states.append(state)
        return _Part("initialize", tuple(states), span)

    def _step(self, span: Span, children: list[Any]) -> _Part:
        index, *counts, body = children
        numbers = [str(c) for c in counts if c.type == "NUMBER"]
        if index != "t" or numbers not in (["1"], ["1", "2"]):
            self._report(
                "E021",
                "the step's loop counts `t` from 1",
                self._at(index).to(self._at(counts[-1])),
                help="write `for t = 1 to … do`",
            )
        return _Part("step", body, span)

    def _docstring(self, span: Span, children: list[Any]) -> _Part:
        return _Part("docstring", clean_doc(unicodedata.normalize("NFC", children[0][3:-3])), span)

    def _extends(self, span: Span, children: list[Any]) -> _Part:
        return _Part("extends", self._word(children[0]), self._at(children[0]))

    def _over_flat(self, span: Span, children: list[Any]) -> bool:
        name = self._target(children[0])
        if name.symbol != Symbol("θ") or name.time is not Time.NONE:
            self._report("E018", "only the parameters can be taken as one vector", span, help="write `over flat θ`")
        return True

    def _optimizer(self, span: Span, children: list[Any]) -> ast.Optimizer:
        name, base, flat, *members = children
        parts: dict[str, Any] = {}
        for member in members:
            part = _Part("return", member.value, member.span) if isinstance(member, ast.Return) else member
            if part.kind in parts:
                title = {"docstring": "doc string", "step": "`for t = 1 to … do`"}.get(part.kind, f"`{part.kind}`")
                self._report(
                    "E023",
                    f"a second {title} in optimizer `{name}`",
                    _first_line(part.span),
                )
            else:
                parts[part.kind] = part.value
        return ast.Optimizer(
            self._word(name),
            None if base is None else base.value,
            parts.get("docstring", ""),
            parts.get("input", ()),
            parts.get("initialize", ()),
            parts.get("step", ()),
            parts.get("return"),
            bool(flat),
            span,
            self._at(name),
            None if base is None else base.span,
        )

    def _parameters(self, span: Span, children: list[Any]) -> tuple[ast.Name, ...]:
        return tuple(self._target(c) for c in children if c is not None)

    def _function_definition(self, span: Span, children: list[Any]) -> ast.Function:
        name, arguments, parameters, doc, *body = children
        return ast.Function(self._word(name), arguments, parameters or (), doc.value if doc else "", tuple(body), span)

    def _import_(self, span: Span, children: list[Any]) -> list[ast.Import]:
        *names, file = children
        path = self._text(file) if file.type == "STRING" else str(file)
        return [ast.Import(self._word(n), path, span) for n in names]

    def _start(self, span: Span, children: list[Any]) -> ast.Module:
        imports = [i for c in children if isinstance(c, list) for i in c]
        functions = [c for c in children if isinstance(c, ast.Function)]
        optimizers = [c for c in children if isinstance(c, ast.Optimizer)]
        whole = Span(self.spelled.source, 0, len(self.spelled.source.text))
        return ast.Module(tuple(imports), tuple(functions), tuple(optimizers), whole)


def _ascii(stem: str) -> str:
    """A stem such as ``β1`` with its Greek letter named, so that ``decompose`` reads it."""
    return stem if stem.isascii() else GREEK_NAMES[stem[0]] + stem[1:]


def _span_of(node: Any) -> Span:
    return node.span


def _first_line(span: Span) -> Span:
    return Span(span.source, span.start, span.start + len(span.text.split("\n")[0].rstrip()))


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _replace_index(node: Any, index: str) -> Any:
    """``μ_i`` as ``μ_t`` where ``index`` is ``i``."""
    match node:
        case ast.Name(symbol, Time.NONE) if symbol.subscript == index:
            return replace(node, symbol=replace(symbol, subscript=""), time=Time.NOW)
        case ast.Binary():
            return replace(node, left=_replace_index(node.left, index), right=_replace_index(node.right, index))
        case ast.Unary():
            return replace(node, operand=_replace_index(node.operand, index))
        case ast.Call():
            return replace(node, arguments=tuple(_replace_index(a, index) for a in node.arguments))
    return node
