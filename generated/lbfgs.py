# Compiled by optdsl 0.1.0 from lbfgs.opt (sha256 2b1bd7eaaf08). Do not edit.
from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.optim.optimizer import ParamsT

from ._support import FlatOptimizer, Point, append, max_abs, scalars, table, to_scalar

__all__ = ["LBFGS"]


class LBFGS(FlatOptimizer):
    r"""Limited-memory BFGS over all parameters as one vector.

    .. math::
       \begin{aligned}
            &\rule{110mm}{0.4pt}                                                                         \\
            &\textbf{input}      : \theta_0 \text{ (params)}, \: f(\theta) \text{ (objective)},
                \: \gamma \text{ (lr)}, \: K \text{ (max iter)}, \: E \text{ (max eval)},                \\
            &\hspace{13mm}      \varepsilon_g \text{ (tolerance grad)}, \: \varepsilon_{\Delta}
                \text{ (tolerance change)}, \: N \text{ (history size)},                                 \\
            &\hspace{13mm}      \textit{line\_search\_fn} \in \{\text{``strong\_wolfe''}\}               \\
            &\textbf{initialize} : e \leftarrow 0 \text{ (func evals)}, \: n \leftarrow 0
                \text{ (n iter)}, \: S \leftarrow \mathrm{history}(N) \text{ (old stps)},                \\
            &\hspace{13mm}      Y \leftarrow \mathrm{history}(N) \text{ (old dirs)}, \: \rho
                \leftarrow \mathrm{history}(N) \text{ (ro)}, \: a \leftarrow \mathrm{table}(N)
                \text{ (al)}                                                                      \\[-1.ex]
            &\rule{110mm}{0.4pt}                                                                         \\
            &\textbf{for} \: \textbf{each step} \: \textbf{do}                                           \\
            &\hspace{5mm}f, g \leftarrow \mathrm{evaluate}(\theta)                                       \\
            &\hspace{5mm}e, m \leftarrow e + 1, 1                                                        \\
            &\hspace{5mm}\textbf{if} \: \|g\|_\infty \leq \varepsilon_g                                  \\
            &\hspace{10mm}\textbf{return}                                                                \\
            &\hspace{5mm}\textbf{for} \: k = 1 \: \textbf{to} \: K \: \textbf{do}                        \\
            &\hspace{10mm}n \leftarrow n + 1                                                             \\
            &\hspace{10mm}\textbf{if} \: d \: \textbf{is} \: \textit{none}                               \\
            &\hspace{15mm}d \leftarrow -g                                                                \\
            &\hspace{15mm}H \leftarrow 1                                                                 \\
            &\hspace{15mm}\alpha \leftarrow \mathrm{min}(1, 1 / \|g\|_1) \gamma                          \\
            &\hspace{10mm}\textbf{else}                                                                  \\
            &\hspace{15mm}y, s \leftarrow g - g^{\mathrm{prev}}, \alpha d                                \\
            &\hspace{15mm}c \leftarrow y^{\top} s                                                        \\
            &\hspace{15mm}\textbf{if} \: c > 10^{-10}                                                    \\
            &\hspace{20mm}\textbf{append} \: y \: \textbf{to} \: Y                                       \\
            &\hspace{20mm}\textbf{append} \: s \: \textbf{to} \: S                                       \\
            &\hspace{20mm}\textbf{append} \: 1 / c \: \textbf{to} \: \rho                                \\
            &\hspace{20mm}H \leftarrow c / \big(y^{\top} y\big)                                          \\
            &\hspace{15mm}q \leftarrow -g                                                                \\
            &\hspace{15mm}\textbf{for} \: i = \mathrm{last}(S) \: \textbf{down to}
                \: \mathrm{first}(S) \: \textbf{do}                                                      \\
            &\hspace{20mm}a_i \leftarrow \rho_i s_i^{\top} q                                             \\
            &\hspace{20mm}q \leftarrow q - a_i y_i                                                       \\
            &\hspace{15mm}r \leftarrow H q                                                               \\
            &\hspace{15mm}\textbf{for} \: i = \mathrm{first}(S) \: \textbf{to}
                \: \mathrm{last}(S) \: \textbf{do}                                                       \\
            &\hspace{20mm}\beta \leftarrow \rho_i y_i^{\top} r                                           \\
            &\hspace{20mm}r \leftarrow r + (a_i - \beta) s_i                                             \\
            &\hspace{15mm}d, \alpha \leftarrow r, \gamma                                                 \\
            &\hspace{10mm}g^{\mathrm{prev}}, f^{\mathrm{prev}} \leftarrow g, f                           \\
            &\hspace{10mm}\delta \leftarrow g^{\top} d                                                   \\
            &\hspace{10mm}\textbf{if} \: \delta > -\varepsilon_{\Delta}                                  \\
            &\hspace{15mm}\textbf{break}                                                                 \\
            &\hspace{10mm}j \leftarrow 0                                                                 \\
            &\hspace{10mm}\textbf{if} \: \textit{line\_search\_fn} = \text{``strong\_wolfe''}            \\
            &\hspace{15mm}f, g, \alpha, j \leftarrow \mathrm{strong\_wolfe}(\theta, \alpha, d, f,
                g, \delta; 0.0001, 0.9, 10^{-9}, E - m)                                                  \\
            &\hspace{15mm}\theta \leftarrow \theta + \alpha d                                            \\
            &\hspace{10mm}\textbf{else}                                                                  \\
            &\hspace{15mm}\theta \leftarrow \theta + \alpha d                                            \\
            &\hspace{15mm}\textbf{if} \: k < K                                                           \\
            &\hspace{20mm}f, g \leftarrow \mathrm{evaluate}(\theta)                                      \\
            &\hspace{20mm}j \leftarrow 1                                                                 \\
            &\hspace{10mm}e, m \leftarrow e + j, m + j                                                   \\
            &\hspace{10mm}\textbf{if} \: k = K \: \textbf{or} \: m \geq E \: \textbf{or}
                \: \|g\|_\infty \leq \varepsilon_g                                                       \\
            &\hspace{15mm}\textbf{break}                                                                 \\
            &\hspace{10mm}\textbf{if} \: |\alpha| \|d\|_\infty \leq \varepsilon_{\Delta}
                \: \textbf{or} \: |f - f^{\mathrm{prev}}| < \varepsilon_{\Delta}                         \\
            &\hspace{15mm}\textbf{break}                                                                 \\
            &\rule{110mm}{0.4pt}                                                                  \\[-1.ex]
       \end{aligned}

    Nocedal and Wright, "Numerical Optimization", 2nd ed., algorithms 7.4 and 7.5.

    Args:
        params (iterable): parameters or named_parameters to optimize, or dicts that define parameter groups. If any
            parameter is named, all must be
        lr (float | Tensor, optional): step length, or where the line search begins (default: 1)
        max_iter (int, optional): most iterations per step (default: 20)
        max_eval (int | None, optional): most evaluations of the loss per step (default: 5 * max_iter // 4)
        tolerance_grad (float | Tensor, optional): ends the step where the gradient is no larger (default: 1e-07)
        tolerance_change (float | Tensor, optional): ends the step where nothing changes by more (default: 1e-09)
        history_size (int, optional): how many pairs s, y are kept (default: 100)
        line_search_fn (str | None, optional): how the step length is found (default: None)
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float | Tensor = 1e-07,
        tolerance_change: float | Tensor = 1e-09,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        if max_eval is None:
            max_eval = 5 * max_iter // 4
        defaults = {
            "lr": lr,
            "max_iter": max_iter,
            "max_eval": max_eval,
            "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change,
            "history_size": history_size,
            "line_search_fn": line_search_fn,
        }
        super().__init__(params, defaults)

    @staticmethod
    def _check_arguments(group: dict[str, Any]) -> None:
        lr = group["lr"]
        line_search_fn = group["line_search_fn"]
        if not 0 <= lr:
            raise ValueError(f"Invalid learning rate: {lr}")
        if line_search_fn not in (None, "strong_wolfe"):
            raise ValueError(f"Invalid line_search_fn value: {line_search_fn}")

    @staticmethod
    def _init_state(state: dict[str, Any], group: dict[str, Any]) -> None:
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        state.setdefault("old_stps", [])
        state.setdefault("old_dirs", [])
        state.setdefault("ro", [])
        table(state, "al", group["history_size"])

    @staticmethod
    def _minimize(point: Point, state: dict[str, Any], group: dict[str, Any]) -> None:
        lr = to_scalar(group["lr"])
        max_iter = group["max_iter"]
        max_eval = group["max_eval"]
        tolerance_grad = to_scalar(group["tolerance_grad"])
        tolerance_change = to_scalar(group["tolerance_change"])
        history_size = group["history_size"]
        line_search_fn = group["line_search_fn"]
        old_stps = state["old_stps"]
        old_dirs = state["old_dirs"]
        ro = state["ro"]
        al = state["al"]
        f, g = point.evaluate()
        state["func_evals"], m = state["func_evals"] + 1, 1
        if max_abs(g) <= tolerance_grad:
            return
        for k in range(1, max_iter + 1):
            state["n_iter"] = state["n_iter"] + 1
            if "d" not in state:
                state["d"] = -g
                state["H_diag"] = 1
                state["t"] = min(1, 1 / g.abs().sum()) * lr
            else:
                y, s = g - state["prev_flat_grad"], state["t"] * state["d"]
                c = y.dot(s)
                if c > 1e-10:
                    append(old_dirs, y, history_size)
                    append(old_stps, s, history_size)
                    append(ro, 1 / c, history_size)
                    state["H_diag"] = c / y.dot(y)
                q = -g
                for i in reversed(range(len(old_stps))):
                    al[i] = ro[i] * old_stps[i].dot(q)
                    q.add_(old_dirs[i], alpha=-al[i])
                r = state["H_diag"] * q
                for i in range(len(old_stps)):
                    beta = ro[i] * old_dirs[i].dot(r)
                    r.add_(old_stps[i], alpha=al[i] - beta)
                state["d"], state["t"] = r, lr
            state["prev_flat_grad"], state["prev_loss"] = g, f
            delta = g.dot(state["d"])
            if delta > -tolerance_change:
                break
            j = 0
            if line_search_fn == 'strong_wolfe':
                f, g, state["t"], j = _strong_wolfe(
                    point, state["t"], state["d"], f, g, delta, 0.0001, 0.9, 1e-09, max_eval - m
                )
                point.move(state["d"], state["t"])
            else:
                point.move(state["d"], state["t"])
                if k < max_iter:
                    f, g = point.evaluate()
                    j = 1
            state["func_evals"], m = state["func_evals"] + j, m + j
            if k == max_iter or m >= max_eval or max_abs(g) <= tolerance_grad:
                break
            if abs(state["t"]) * max_abs(state["d"]) <= tolerance_change or abs(
                f - state["prev_loss"]
            ) < tolerance_change:
                break


def _strong_wolfe(point, alpha, d, f, g, delta, c1, c2, epsilon, m):
    """A step α along d that satisfies the strong Wolfe conditions, found in at most m steps of bracketing and zooming.

    Nocedal and Wright, algorithms 3.5 and 3.6, safeguarded as in minFunc (Schmidt, 2005). At θ the loss is f, its
    gradient g and its slope δ = gᵀd. Returns loss and gradient at θ + α d, α, and how often the loss was evaluated.
    """
    alpha_prev, f_prev, g_prev, delta_prev = 0, f, g, delta
    f_new, g_new = point.evaluate_along(d, alpha)
    delta_new = g_new.dot(d)
    k = 0
    while k < m:
        if f_new > f + c1 * alpha * delta or (k > 1 and f_new >= f_prev):
            break
        if abs(delta_new) <= -c2 * delta:
            return f_new, g_new, alpha, k + 1
        if delta_new >= 0:
            break
        (alpha_prev, alpha) = (
            alpha,
            _cubic_minimizer(
                alpha_prev, f_prev, delta_prev, alpha, f_new, delta_new, alpha + 0.01 * (alpha - alpha_prev), 10 * alpha
            ),
        )
        f_prev, g_prev, delta_prev = f_new, g_new, delta_new
        f_new, g_new = point.evaluate_along(d, alpha)
        delta_new = g_new.dot(d)
        k = k + 1
    if k >= m:
        alpha_prev, f_prev, g_prev, delta_prev = 0, f, g, delta
    alpha_lo, f_lo, g_lo, delta_lo = alpha_prev, f_prev, g_prev, delta_prev
    alpha_hi, f_hi, g_hi, delta_hi = alpha, f_new, g_new, delta_new
    keeps = True
    if not f_lo <= f_hi:
        (alpha_lo, f_lo, g_lo, delta_lo, alpha_hi, f_hi, g_hi, delta_hi) = (
            alpha_hi, f_hi, g_hi, delta_hi, alpha_lo, f_lo, g_lo, delta_lo
        )
        keeps = False
    stalled = False
    D = max_abs(d)
    while k < m:
        a, b = min(alpha_lo, alpha_hi), max(alpha_lo, alpha_hi)
        if (b - a) * D < epsilon:
            break
        alpha = _cubic_minimizer(alpha_lo, f_lo, delta_lo, alpha_hi, f_hi, delta_hi, a, b)
        eta = 0.1 * (b - a)
        if min(b - alpha, alpha - a) < eta:
            if stalled or alpha >= b or alpha <= a:
                alpha = (b - eta if abs(alpha - b) < abs(alpha - a) else a + eta)
                stalled = False
            else:
                stalled = True
        else:
            stalled = False
        f_new, g_new = point.evaluate_along(d, alpha)
        delta_new = g_new.dot(d)
        k = k + 1
        if f_new > f + c1 * alpha * delta or f_new >= f_lo:
            alpha_hi, f_hi, g_hi, delta_hi = alpha, f_new, g_new, delta_new
            if not f_lo <= f_hi or (f_lo == f_hi and not keeps):
                (alpha_lo, f_lo, g_lo, delta_lo, alpha_hi, f_hi, g_hi, delta_hi) = (
                    alpha_hi, f_hi, g_hi, delta_hi, alpha_lo, f_lo, g_lo, delta_lo
                )
                keeps = not keeps
        else:
            if abs(delta_new) <= -c2 * delta:
                return f_new, g_new, alpha, k + 1
            if delta_new * (alpha_hi - alpha_lo) >= 0:
                alpha_hi, f_hi, g_hi, delta_hi = alpha_lo, f_lo, g_lo, delta_lo
            alpha_lo, f_lo, g_lo, delta_lo = alpha, f_new, g_new, delta_new
    return f_lo, g_lo, alpha_lo, k + 1


def _cubic_minimizer(x1, f1, delta1, x2, f2, delta2, a, b):
    """The minimizer between a and b of the cubic with the values f and the slopes δ at two points.

    Nocedal and Wright, "Numerical Optimization", 2nd ed., equation 3.59; the middle of a and b where it has none.
    """
    d1 = delta1 + delta2 - 3 * (f1 - f2) / (x1 - x2)
    D = d1 ** 2 - delta1 * delta2
    if not D >= 0:
        return (a + b) / 2
    d2 = scalars.sqrt(D)
    if x1 <= x2:
        x = x2 - (x2 - x1) * ((delta2 + d2 - d1) / (delta2 - delta1 + 2 * d2))
    else:
        x = x1 - (x1 - x2) * ((delta1 + d2 - d1) / (delta1 - delta2 + 2 * d2))
    return min(max(x, a), b)
