"""E620-E625: changes to an inherited step. A statement is named by what it assigns, and replaced or added to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from optdsl.check import rewrite
from optdsl.check.collect import collect
from optdsl.check.model import PARAMETER, Report, SymbolTable, local_key
from optdsl.check.suggest import did_you_mean
from optdsl.source import Diagnostic, Label, Span
from optdsl.syntax import ast
from optdsl.syntax.ast import Time
from optdsl.syntax.names import display
from optdsl.syntax.printer import unparse

Body = tuple[ast.Stmt, ...]


def header(edit: ast.Edit) -> Span:
    """The first line of ``edit``, without its colon."""
    return edit.span.to(edit.name.span)


def edited(optimizer: ast.Optimizer, inherited: ast.Optimizer | None, report: Report) -> Body | None:
    """The step of ``optimizer``: its own, or the inherited one with its edits, those of the update left out.

    None where an edit has a mistake, which is reported.
    """
    if not optimizer.edits:
        return optimizer.body or (inherited.body if inherited else ())
    if inherited is None or optimizer.body:
        _edits_nothing(optimizer, report)
        return None
    changes = [
        (_named(edit, inherited, report), edit) for edit in optimizer.edits if edit.place not in ("gradient", "update")
    ]
    kept = [(stmt, edit) for stmt, edit in changes if stmt is not None]
    sound = _one_replacement_each(kept, report) and len(kept) == len(changes)
    sound &= _one_update([edit for edit in optimizer.edits if edit.place == "update"], inherited, report)
    return rewrite.exchange(inherited.body, _changed(kept)) if sound else None


def _edits_nothing(optimizer: ast.Optimizer, report: Report) -> None:
    edit = optimizer.edits[0]
    why = "it extends no other" if optimizer.base is None else "it has a step of its own"
    report.add(
        Diagnostic(
            "E623",
            f"`{optimizer.name}` inherits no step to change: {why}",
            header(edit),
            help=f"`{edit.place} …:` changes the step of the optimizer that is extended; change your own step itself",
        )
    )


def _named(edit: ast.Edit, inherited: ast.Optimizer, report: Report) -> ast.Assign | None:
    """The statement that ``edit`` speaks of."""
    found = [(stmt, place) for stmt, place in _places(inherited.body) if _assigns(stmt, edit.name)]
    shown = display(edit.name.symbol, edit.name.time)
    base = Label(inherited.name_span, "inherits from here") if inherited.name_span else None
    if not found:
        targets = [name for stmt, _ in _places(inherited.body) for name in stmt.targets]
        assigned = dict.fromkeys(display(name.symbol, name.time) for name in targets)
        alike = dict.fromkeys(display(n.symbol, n.time) for n in targets if n.symbol.base == edit.name.symbol.base)
        near = f"did you mean {' or '.join(f'`{name}`' for name in alike)}?" if alike else did_you_mean(shown, assigned)
        report.add(
            Diagnostic(
                "E620",
                f"the step of `{inherited.name}` does not assign `{shown}`",
                edit.name.span,
                help=near or f"it assigns {', '.join(f'`{name}`' for name in assigned)}",
                labels=(base,) if base else (),
            )
        )
        return None
    which = edit.occurrence
    labels = tuple(
        Label(_first_line(stmt.span), f"({i}), {place}" if place else f"({i})")
        for i, (stmt, place) in enumerate(found, 1)
    )
    if which is None and len(found) > 1:
        written = f"{edit.place} {shown}"
        report.add(
            Diagnostic(
                "E621",
                f"{len(found)} statements of `{inherited.name}` assign `{shown}`",
                header(edit),
                help=f"say which one: `{written} (1):` or `{written} ({len(found)}):`",
                labels=labels,
            )
        )
        return None
    if which is not None and which > len(found):
        times = "once" if len(found) == 1 else f"{len(found)} times"
        mend = f"leave out `({which})`" if len(found) == 1 else f"count from 1 to {len(found)}"
        message = f"`{inherited.name}` assigns `{shown}` only {times}"
        report.add(Diagnostic("E622", message, header(edit), help=mend, labels=labels))
        return None
    return found[(which or 1) - 1][0]


def _assigns(stmt: ast.Assign, name: ast.Name) -> bool:
    """Whether ``stmt`` assigns ``name``; a time that no statement assigns is another name."""
    current = name.time not in (Time.PREVIOUS, Time.INITIAL)
    return current and local_key(name) in map(local_key, stmt.targets)


def _places(body: Body, place: str = "") -> Iterator[tuple[ast.Assign, str]]:
    """Every assignment of ``body``, in order, and the branch that it stands in, in words."""
    for stmt in body:
        match stmt:
            case ast.Assign():
                yield stmt, place
            case ast.If(branches=branches, orelse=orelse):
                for branch in branches:
                    yield from _places(branch.body, f"under `if {unparse(branch.condition)}`")
                yield from _places(orelse, f"under the `else` of `if {unparse(branches[0].condition)}`")
            case ast.Loop(body=inner):
                yield from _places(inner, place)


def _first_line(span: Span) -> Span:
    return Span(span.source, span.start, span.start + len(span.text.split("\n")[0].rstrip()))


def _one_replacement_each(changes: list[tuple[ast.Assign, ast.Edit]], report: Report) -> bool:
    first: dict[int, ast.Edit] = {}
    sound = True
    for stmt, edit in changes:
        if edit.place == "replace" and first.setdefault(id(stmt), edit) is not edit:
            shown = display(edit.name.symbol, edit.name.time)
            label = Label(header(first[id(stmt)]), "replaced here already")
            message = f"the statement that assigns `{shown}` is replaced twice"
            report.add(Diagnostic("E624", message, header(edit), help="join the two blocks", labels=(label,)))
            sound = False
    return sound


def _changed(changes: list[tuple[ast.Assign, ast.Edit]]) -> dict[int, Body]:
    """What stands in place of each statement that is spoken of; what is written first comes first."""
    parts: dict[int, dict[str, Body]] = defaultdict(lambda: {"before": (), "after": ()})
    for stmt, edit in changes:
        part = parts[id(stmt)]
        part.setdefault("replace", (stmt,))
        part[edit.place] = edit.body if edit.place == "replace" else part[edit.place] + edit.body
    return {key: (*part["before"], *part["replace"], *part["after"]) for key, part in parts.items()}


def _one_update(edits: list[ast.Edit], inherited: ast.Optimizer, report: Report) -> bool:
    for again in edits[1:]:
        label = Label(header(edits[0]), "the first time")
        message = "the update is changed twice"
        report.add(Diagnostic("E624", message, header(again), help="join the two blocks", labels=(label,)))
    return len(edits) < 2 and all(_new_name(edit, inherited, report) for edit in edits)


def _new_name(edit: ast.Edit, inherited: ast.Optimizer, report: Report) -> bool:
    """Whether the name that ``edit`` gives to the update means nothing else yet."""
    other = _known(edit.name, collect(inherited))
    if other is None:
        return True
    shown = display(edit.name.symbol, edit.name.time)
    report.add(
        Diagnostic(
            "E625",
            f"`{shown}` means something else in `{inherited.name}`",
            edit.name.span,
            help="give the update a name of its own",
            labels=(Label(other, "this"),),
        )
    )
    return False


def _known(name: ast.Name, table: SymbolTable) -> Span | None:
    """Where ``name`` is declared or first assigned."""
    for symbol, hyperparameter in table.hyperparameters.items():
        if symbol == name.symbol:
            return hyperparameter.name.span
    for symbol, buffer in table.buffers.items():
        if symbol == name.symbol:
            return buffer.declaration.name.span
    return next((local.first.span for (symbol, _), local in table.locals.items() if symbol == name.symbol), None)


# ------------------------------------------------------------------------------------------------------ the update


@dataclass(frozen=True)
class Update:
    """A statement ``θ_t ← start - change``; ``change`` is None where it is not written as a difference."""

    stmt: ast.Assign
    start: ast.Name
    change: ast.Expr | None

    def by_way_of(self, name: ast.Name, body: Body) -> Body:
        """The statement by way of ``name``: ``name ← change``, ``body``, ``θ_t ← start - name``."""
        span = self.stmt.span
        difference = ast.Binary("-", self.start, name, span)
        last = ast.Assign(self.stmt.targets, difference, None, span)
        if self.change is not None:
            return ast.Assign((name,), self.change, None, span), *body, last
        new = ast.Assign((name,), self.stmt.value, None, span)
        return new, ast.Assign((name,), difference, None, span), *body, last


class NoUpdate(Exception):
    """A step whose update cannot be told, since on some ways it goes on after one of ``places`` to another."""

    def __init__(self, places: tuple[Label, ...]):
        super().__init__("the update cannot be told")
        self.places = places


def updates(body: Body) -> list[Update]:
    """The statements that assign θ last, one on every way through ``body``; none where nothing assigns θ.

    An earlier one, such as a decay of θ, is not part of the update.

    Raises:
        NoUpdate: some statement is the last on one way and not on another.
    """
    return [_split(stmt) for stmt in _last(body)[0]]


def _last(body: Body) -> tuple[list[ast.Assign], bool]:
    """The statements of ``body`` that assign θ last, and whether each way through it has one."""
    found: list[ast.Assign] = []
    for stmt in reversed(body):
        here, always = _last_in(stmt)
        if here and found:
            raise NoUpdate(tuple(Label(_first_line(s.span), "θ is assigned here") for s in (*here, *found)))
        found = here + found
        if always:
            return found, True
    return found, False


def _last_in(stmt: ast.Stmt) -> tuple[list[ast.Assign], bool]:
    match stmt:
        case ast.Assign(targets=targets):
            assigns = any(target.symbol == PARAMETER for target in targets)
            return ([stmt] if assigns else []), assigns
        case ast.If(branches=branches, orelse=orelse):
            sides = [_last(block) for block in (*(branch.body for branch in branches), orelse)]
            return [stmt for found, _ in sides for stmt in found], all(always for _, always in sides)
        case ast.Loop(body=body):
            return _last(body)
        case _:
            return [], False


def _split(stmt: ast.Assign) -> Update:
    """``stmt`` as what it starts from and what it subtracts."""
    terms: list[tuple[str, ast.Expr]] = []
    expr = stmt.value
    while isinstance(expr, ast.Binary) and expr.op in ("+", "-"):
        terms.append((expr.op, expr.right))
        expr = expr.left
    if not terms or not isinstance(expr, ast.Name) or expr.symbol != PARAMETER:
        return Update(stmt, ast.Name(PARAMETER, Time.NOW, stmt.targets[0].span), None)
    op, change = terms.pop()
    if op == "+":
        change = ast.Unary("-", change, change.span)
    while terms:
        op, term = terms.pop()
        change = ast.Binary("+" if op == "-" else "-", change, term, change.span.to(term.span))
    return Update(stmt, expr, change)
