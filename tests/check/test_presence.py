"""A state without initial value is there where this step has assigned it, or an earlier one has."""

from __future__ import annotations

import numpy as np
import pytest

from optdsl.check import analyse
from optdsl.ir.interpret import default_hypers, run
from optdsl.ir.lower import lower
from optdsl.source import Source
from optdsl.syntax import parse

SPEC = """\
optimizer Test:
    input:
        γ (lr) = 1
        reset = false

    initialize:
        b (buf)

    for t = 1 to … do
        g_t ← ∇f_t(θ_{{t-1}})
        {body}
        θ_t ← θ_{{t-1}} - γ b_t

    return θ_t
"""

ACCEPTED = {
    "assigned in the first step alone": ("if t = 1\n    b_t ← g_t", [1, 1, 1]),
    "kept on one path": ("if t > 1\n    if reset\n        b_t ← g_t\nelse\n    b_t ← g_t", [1, 1, 1]),
    "assigned again": ("if t > 1\n    b_t ← b_{t-1} + g_t\nelse\n    b_t ← g_t", [1, 3, 6]),
}


def checked(body: str):
    module = parse(Source("test.opt", SPEC.format(body=body.replace("\n", "\n        ")))).module
    assert module is not None
    return analyse(module, lambda _: pytest.fail("nothing is imported"))


@pytest.mark.parametrize(("body", "buffers"), ACCEPTED.values(), ids=ACCEPTED)
def test_accepted(body, buffers):
    (optimizer,) = checked(body).optimizers
    program = lower(optimizer)
    grads = [np.full(2, float(t)) for t in (1, 2, 3)]
    states = [state for _, state in run(program, default_hypers(program), np.zeros(2), grads)]
    assert [state["buf"][0] for state in states] == buffers


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("if reset\n    b_t ← g_t", "E215"),
        ("if t = 2\n    b_t ← g_t", "E215"),
        ("if t = 1\n    if reset\n        b_t ← g_t", "E215"),
        ("if t = 1\n    b_t ← g_t\nb_t ← b_{t-1}", "E213"),
    ],
)
def test_rejected(body, code):
    analysis = checked(body)
    assert not analysis.optimizers
    assert code in {d.code for d in analysis.diagnostics}
