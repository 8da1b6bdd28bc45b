"""What fixed inputs decide is gone before it is checked."""

from __future__ import annotations

import pytest

from optdsl.check import Analysis, analyse
from optdsl.ir.lower import lower
from optdsl.source import Source
from optdsl.syntax import parse

SPEC = """\
optimizer Test:
    input:
        γ (lr) = 1
        amsgrad {assign} false
    initialize:
        v_0^max ← 0 (max) if {condition}
    for t = 1 to … do
        g_t ← ∇f_t(θ_{{t-1}})
        θ_t ← θ_{{t-1}} - γ g_t
    return θ_t
"""


def checked(assign: str, condition: str) -> Analysis:
    module = parse(Source("test.opt", SPEC.format(assign=assign, condition=condition))).module
    assert module is not None
    return analyse(module, lambda _: pytest.fail("nothing is imported"))


@pytest.mark.parametrize("condition", ("amsgrad", "amsgrad and γ > 0", "γ > 0 and amsgrad"))
def test_a_state_that_never_exists_need_not_be_assigned(condition: str) -> None:
    analysis = checked(":=", condition)
    assert not analysis.diagnostics
    (optimizer,) = analysis.optimizers
    assert not lower(optimizer).states


@pytest.mark.parametrize(("assign", "condition"), ((":=", "not amsgrad"), (":=", "γ > 0"), ("=", "amsgrad")))
def test_one_that_may_exist_has_to_be(assign: str, condition: str) -> None:
    assert "E508" in {d.code for d in checked(assign, condition).diagnostics}
