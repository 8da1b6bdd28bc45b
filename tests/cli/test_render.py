"""Diagnostics as text, JSON and workflow commands."""

import json
import pickle
import re

import pytest

from optdsl.render import column_width, render_github, render_json, render_text
from optdsl.source import Diagnostic, DiagnosticError, Fix, Label, Severity, Source, Span


def span(source: Source, text: str, last: bool = False) -> Span:
    start = source.text.rindex(text) if last else source.text.index(text)
    return Span(source, start, start + len(text))


SPEC = Source("adam.opt", "optimizer A:\n    g_t ← 1\n    θ_t ← ρ g_t\n\n    return θ_t\n")


def test_snippet_note_and_help() -> None:
    diagnostic = Diagnostic("E201", "`ρ` is not declared", span(SPEC, "ρ"), note="one\ntwo", help="declare it")
    assert render_text(diagnostic) == (
        "error[E201]: `ρ` is not declared\n"
        " --> adam.opt:3:11\n"
        "  |\n"
        "3 |     θ_t ← ρ g_t\n"
        "  |           ^\n"
        "  |\n"
        "  = note: one\n"
        "          two\n"
        "  = help: declare it"
    )


def test_labels_on_the_same_line_on_others_and_in_other_files() -> None:
    other = Source("base.opt", "\n" * 99 + "optimizer B:\n")
    diagnostic = Diagnostic(
        "W300",
        "read too late",
        span(SPEC, "g_t", last=True),
        labels=(
            Label(span(SPEC, "θ_t"), "assigned here"),
            Label(span(SPEC, "optimizer A"), "in this optimizer"),
            Label(span(other, "optimizer B"), "which extends this one"),
        ),
        severity=Severity.WARNING,
    )
    assert render_text(diagnostic) == (
        "warning[W300]: read too late\n"
        "   --> adam.opt:3:13\n"
        "    |\n"
        "  1 | optimizer A:\n"
        "    | ----------- in this optimizer\n"
        "...\n"
        "  3 |     θ_t ← ρ g_t\n"
        "    |             ^^^\n"
        "    |     --- assigned here\n"
        "   ::: base.opt:100:1\n"
        "    |\n"
        "100 | optimizer B:\n"
        "    | ----------- which extends this one"
    )


@pytest.mark.parametrize(
    ("line", "marked", "underline"),
    [
        ("m̂_t + q", "q", "      ^"),  # a combining hat takes no column of its own
        ("m̂_t + q", "m̂_t", "^^^"),
        ("中文 q", "q", "     ^"),  # wide characters take two columns
        ("中文 q", "文", "  ^^"),
        ("\tq", "q", "    ^"),  # tabs stop every four columns
        ("ab\tq", "q", "    ^"),
        ("v̂_t^max ← {", "v̂_t^max", "^^^^^^^"),
    ],
)
def test_underline_lies_under_the_text(line: str, marked: str, underline: str) -> None:
    source = Source("x.opt", line)
    shown = render_text(Diagnostic("E1", "m", span(source, marked))).splitlines()
    assert shown[4] == "  | " + underline
    assert "\t" not in shown[3]


def test_span_over_several_lines_is_underlined_on_its_first() -> None:
    source = Source("x.opt", "abc {def\nghi\n")
    assert render_text(Diagnostic("E1", "m", Span(source, 4, 12))).splitlines()[3:] == ["1 | abc {def", "  |     ^^^^"]


def test_end_of_file_gets_a_caret() -> None:
    source = Source("x.opt", "abc\n")
    assert render_text(Diagnostic("E1", "m", Span(source, 4, 4))).splitlines()[1:] == [
        " --> x.opt:2:1",
        "  |",
        "2 |",
        "  | ^",
    ]


def test_file_without_text_has_no_snippet() -> None:
    assert render_text(Diagnostic("E801", "cannot read", Span(Source("x.opt", ""), 0, 0), help="look")) == (
        "error[E801]: cannot read\n --> x.opt\n  = help: look"
    )


def test_controls_cannot_reach_the_terminal() -> None:
    source = Source("x\x1b[2J.opt", "a \x1b[31m \u202e b\r\nnext")
    diagnostic = Diagnostic("E1", "bad \x07", span(source, "b"), labels=(Label(span(source, "a"), "\x1b]0;t\x07"),))
    shown = render_text(diagnostic)
    assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", shown)
    assert shown.splitlines()[3] == "1 | a \ufffd[31m \ufffd b"


def test_color_adds_only_escapes() -> None:
    diagnostic = Diagnostic("E1", "m", span(SPEC, "ρ"), note="n", labels=(Label(span(SPEC, "g_t"), "l"),))
    colored = render_text(diagnostic, color=True)
    assert "\x1b[1;31m" in colored
    assert [line.rstrip() for line in re.sub("\x1b\\[[0-9;]*m", "", colored).splitlines()] == render_text(
        diagnostic
    ).splitlines()


def test_column_width_depends_on_where_tabs_begin() -> None:
    assert column_width("\t") == 4
    assert column_width("\t", start=3) == 1


def test_json_has_everything_on_one_line() -> None:
    place = span(SPEC, "ρ")
    diagnostic = Diagnostic("E2", "a\nb", place, "n", "h", (Label(span(SPEC, "g_t"), "l"),), Fix(place, "γ"))
    text = render_json(diagnostic)
    assert "\n" not in text
    where = {"file": "adam.opt", "line": 3, "column": 11, "end_line": 3, "end_column": 12}
    assert json.loads(text) == {
        "code": "E2",
        "severity": "error",
        "message": "a\nb",
        **where,
        "note": "n",
        "help": "h",
        "labels": [{"file": "adam.opt", "line": 2, "column": 5, "end_line": 2, "end_column": 8, "text": "l"}],
        "fix": {**where, "replacement": "γ"},
    }


def test_github_escapes_what_its_commands_are_made_of() -> None:
    source = Source("a,b:c.opt", "x")
    diagnostic = Diagnostic("E2", "100 %\nof it", Span(source, 0, 1), help="h")
    assert render_github(diagnostic) == (
        "::error file=a%2Cb%3Ac.opt,line=1,col=1,endLine=1,endColumn=2,title=optdsl E2::100 %25%0Aof it%0Ahelp: h"
    )


def test_the_exception_shows_every_diagnostic_and_can_be_pickled() -> None:
    error = DiagnosticError((Diagnostic("E1", "one", span(SPEC, "ρ")), Diagnostic("E2", "two", span(SPEC, "g_t"))))
    assert "error[E1]: one\n --> adam.opt:3:11" in str(error)
    assert "error[E2]: two\n --> adam.opt:2:5" in str(error)
    assert pickle.loads(pickle.dumps(error)).diagnostics == error.diagnostics
