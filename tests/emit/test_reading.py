"""The reading of a spec: every statement fully bracketed and typed."""

from __future__ import annotations

import pytest

from optdsl.check import analyse
from optdsl.emit.reading import bracketed, reading
from optdsl.source import Diagnostic, Source
from optdsl.syntax import ast, parse

SPEC = """\
optimizer Test:
    input:
        γ (lr) = 1e-3
        β = 0.9
        nesterov = false
        mode ∈ {"soft", "hard"} = none

    initialize:
        m̂_0 ← 0 (exp_avg)
        b (momentum_buffer)     if nesterov
        η_0 ← γ (eta)

    for t = 1 to … do
        g_t ← ∇f_t(θ_{t-1})
        η_t ← η_{t-1} / (1 + γ t)
        m̂_t ← β m̂_{t-1} + (1 - β) g_t²
        if nesterov
            if t > 1
                b_t ← b_{t-1} + g_t
            else
                b_t ← g_t
            g_t ← b_t
        else if mode = "soft" or not 0 < β < 1
            for i = 0, 1, …, d-1 do
                if g_t > 0
                    g_t ← 0
        θ_t ← θ_{t-1} - γ η_t g_t / (√m̂_t + 1)

    return θ_t
"""

READING = """\
Test
    inputs
        γ is lr                                                : number per group
        β is beta                                              : number per group
        nesterov is nesterov                                   : flag per group
        mode is mode                                           : choice per group
    states
        m̂_0 (exp_avg) ← 0                                      : tensor
        b (momentum_buffer) absent at first if nesterov        : tensor
        η_0 (eta) ← γ                                          : number per step
    step
        g_t ← ∇f_t(θ_{t-1})                                    : tensor
        η_t ← η_{t-1} / (1 + (γ · t))                          : number per step
        m̂_t ← (β · m̂_{t-1}) + ((1 - β) · (g_t^2))              : tensor
        if nesterov                                            : flag per group
            if t > 1                                           : flag per step
                b_t ← b_{t-1} + g_t                            : tensor
            else
                b_t ← g_t                                      : tensor
            g_t ← b_t                                          : tensor
        else if (mode = "soft") or (not (0 < β < 1))           : flag per group
            for every element i
                if g_t > 0                                     : flag per element
                    g_t ← 0                                    : number
        θ_t ← θ_{t-1} - (((γ · η_t) · g_t) / (sqrt(m̂_t) + 1))  : tensor
        return θ_t                                             : tensor
"""


def no_imports(statement: ast.Import) -> ast.Module | Diagnostic:
    raise AssertionError("nothing is imported")


def test_a_spec():
    module = parse(Source("test.opt", SPEC)).module
    assert module is not None
    (checked,) = analyse(module, no_imports).optimizers
    assert reading(checked) == READING


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a b^2 / c", "(a · (b^2)) / c"),
        ("-a b", "-(a · b)"),
        ("a - b - c", "(a - b) - c"),
        ("a @ bᵀ", "a @ (bᵀ)"),
        ("max(a b, c; d + e)", "max(a · b, c; d + e)"),
        ("mean(a b, over rows)", "mean(a · b, over rows)"),
        ("∏_{i=1}^{t} μ_i", "product of μ_t over the steps 1, …, t"),
        ("{ a b if c > 0 { b otherwise", "a · b if c > 0; b otherwise"),
        ("a + ({ b if c { d otherwise)", "a + (b if c; d otherwise)"),
    ],
)
def test_an_expression(text, expected):
    module = parse(Source("t", f"optimizer A:\n    for t = 1 to … do\n        x ← {text}\n    return θ_t\n")).module
    assert module is not None
    stmt = module.optimizers[0].body[0]
    assert isinstance(stmt, ast.Assign)
    assert bracketed(stmt.value) == expected
