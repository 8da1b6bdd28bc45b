"""A mistake of syntax that can be repaired does not hide the mistakes of names and types elsewhere in the file."""

from __future__ import annotations

import pytest

from optdsl.compiler import check_source
from optdsl.source import Source

SPEC = '''optimizer Two:
    """A slip of syntax and one of names."""

    input{colon}
        γ (lr) = 0.1

    initialize:
        m_0 ← 0 (exp_avg)

    for t = 1 to … {do}
        g_t ← ∇f_t(θ_{{t-1}})
        m_t {arrow} m_{{t-1}} + g_t
        θ_t ← θ_{{t-1}} - γ β m_t

    return θ_t
'''
RIGHT = {"colon": ":", "do": "do", "arrow": "←"}


def codes(**slips: str) -> list[str]:
    checked = check_source(Source("two.opt", SPEC.format(**{**RIGHT, **slips})))
    assert not checked.units
    return [d.code for d in checked.diagnostics]


@pytest.mark.parametrize("slips", [{"colon": ""}, {"do": ""}, {"arrow": "="}, {"colon": "", "arrow": "="}])
def test_both_are_reported(slips: dict[str, str]) -> None:
    (name,) = codes()
    found = codes(**slips)
    assert found[-1] == name
    assert len(found) == len(slips) + 1


def test_what_follows_from_a_lost_line_is_not() -> None:
    found = codes(arrow="← ← )")
    assert all(code.startswith("E0") for code in found)
