"""Which torch operations a spec becomes: one small spec per rule, with the for-loop code expected of it."""

from __future__ import annotations

import textwrap

import pytest

from optdsl.check import analyse
from optdsl.emit.python import emit_functions, selected
from optdsl.ir.cost import accesses_of
from optdsl.ir.lower import lower
from optdsl.ir.nodes import Program
from optdsl.source import Source
from optdsl.syntax import ast, parse

SPEC = """
optimizer Sample:
    '''A sample.'''

    input:
        γ (lr) = 0.1          where γ ≥ 0
        β (beta) = 0.9        where 0 ≤ β < 1
        ε (eps) = 1e-8        where ε ≥ 0
        flag = false

    initialize:
        m_0 ← 0 (avg)
        v_0 ← 0 (sq)

    for t = 1 to … do
        g_t ← ∇f_t(θ_{t-1})
%s

    return θ_t
"""

# The body of the step; the code of one tensor's step, loads and the maximize branch left out; accesses of a loop and
# of a foreach step.
CASES = {
    "lerp for a weighted mean, addcmul for a mean of squares": (
        """
        m_t ← β m_{t-1} + (1 - β) g_t
        v_t ← β v_{t-1} + (1 - β) g_t²
        θ_t ← θ_{t-1} - γ m_t - γ v_t
        """,
        """
        avg.lerp_(grad, 1 - beta)
        sq.mul_(beta).addcmul_(grad, grad, value=1 - beta)
        param.add_(avg, alpha=-lr).add_(sq, alpha=-lr)
        """,
        (14, 14),
    ),
    "scalar factors leave quotients and roots, where their sign allows": (
        """
        m_t ← m_{t-1} + g_t
        v_t ← v_{t-1} + g_t²
        θ_t ← θ_{t-1} - γ (m_t / (1 - β^t)) / (√(v_t / (1 - β^t)) + ε)
        """,
        """
        avg.add_(grad)
        sq.addcmul_(grad, grad)
        denom = sq.sqrt().div_(bias_correction_sqrt).add_(eps)
        param.addcdiv_(avg, denom, value=-step_size)
        """,
        (16, 16),
    ),
    "a factor of unknown sign stays under the root": (
        """
        m_t ← m_{t-1} + g_t
        v_t ← v_{t-1} + g_t²
        θ_t ← θ_{t-1} - γ m_t / (√((γ - 1) v_t) + ε)
        """,
        """
        avg.add_(grad)
        sq.addcmul_(grad, grad)
        denom = sq.mul(lr - 1).sqrt_().add_(eps)
        param.addcdiv_(avg, denom, value=-lr)
        """,
        (16, 16),
    ),
    "a sum over a divisor is divided out where that is cheaper": (
        """
        m_t ← m_{t-1} + g_t
        v_t ← v_{t-1} + g_t²
        θ_t ← θ_{t-1} - γ (β m_t + (2 - β) g_t) / √v_t
        """,
        """
        avg.add_(grad)
        sq.addcmul_(grad, grad)
        denom = sq.sqrt()
        param.addcdiv_(avg, denom, value=-lr * beta).addcdiv_(grad, denom, value=-lr * (2 - beta))
        """,
        (16, 16),
    ),
    "like terms are added up": (
        """
        m_t ← m_{t-1} + g_t
        v_t ← v_{t-1} + m_t²
        θ_t ← θ_{t-1} - γ (sign(v_t) + ε θ_{t-1})
        """,
        """
        avg.add_(grad)
        sq.addcmul_(avg, avg)
        numer = sq.sign()
        param.mul_(1 - lr * eps).add_(numer, alpha=-lr)
        """,
        (13, 13),
    ),
    "a state keeps its buffer's old value while that is still read": (
        """
        m_t ← g_t - m_{t-1}
        v_t ← v_{t-1} + m_{t-1} g_t
        θ_t ← θ_{t-1} - γ m_t v_t
        """,
        """
        new_avg = grad.sub(avg)
        sq.addcmul_(avg, grad)
        param.addcmul_(new_avg, sq, value=-lr)
        avg.copy_(new_avg)
        """,
        (13, 13),
    ),
    "choices that exclude each other share an arm": (
        """
        s_t ← { g_t  if g_t m_{t-1} > 0
              { v_{t-1}  if g_t m_{t-1} < 0
              { g_t  otherwise
        m_t ← g_t
        v_t ← s_t
        θ_t ← θ_{t-1} - γ s_t
        """,
        """
        side = grad.mul(avg)
        mask = side < 0
        s = torch.where(mask, sq, grad)
        avg.copy_(grad)
        sq.copy_(s)
        param.add_(s, alpha=-lr)
        """,
        (16, 16),
    ),
    "out= where the operation cannot be in place": (
        """
        m_t ← max(|g_t|, β)
        v_t ← max(v_{t-1}, m_t)
        θ_t ← θ_{t-1} - γ v_t
        """,
        """
        new_avg = grad.abs()
        torch.clamp(new_avg, min=beta, out=avg)
        torch.maximum(sq, avg, out=sq)
        param.add_(sq, alpha=-lr)
        """,
        (10, 12),
    ),
}


def program(body: str) -> Program:
    text = SPEC % textwrap.indent(textwrap.dedent(body).strip("\n"), " " * 8)
    parsed = parse(Source("sample.opt", text.replace("'''", '"""')))
    assert parsed.module is not None, parsed.diagnostics
    analysis = analyse(parsed.module, _no_imports)
    (optimizer,) = analysis.optimizers
    return lower(optimizer)


def _no_imports(imported: ast.Import) -> ast.Module:
    raise AssertionError(f"{imported.name} is imported")


@pytest.mark.parametrize("name", CASES)
def test_code_and_accesses(name: str) -> None:
    body, code, costs = CASES[name]
    sample = program(body)
    text = emit_functions(sample).single_tensor.partition("grad = -grad\n")[2]
    assert textwrap.dedent(text) == textwrap.dedent(code).lstrip("\n")
    accesses = {name: accesses_of(code, {"maximize": False}) for name, code in selected(sample).items()}
    assert accesses == {"for-loop": costs[0], "foreach": costs[1]}
