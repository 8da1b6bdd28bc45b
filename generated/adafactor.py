# Compiled by optdsl 0.1.0 from adafactor.opt (sha256 a4e2d3e855ce). Do not edit.
from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from ._support import BaseOptimizer, facts, foreach, matrix_state, reductions, scalars

__all__ = ["Adafactor"]


class Adafactor(BaseOptimizer):
    r"""Adaptive learning rates with a factored second moment.

    .. math::
       \begin{aligned}
            &\rule{110mm}{0.4pt}                                                                         \\
            &\textbf{input}      : \theta_0 \text{ (params)}, \: f(\theta) \text{ (objective)},
                \: \gamma \text{ (lr)}, \: \tau \text{ (beta2 decay)},                                   \\
            &\hspace{13mm}      \varepsilon_1, \varepsilon_2 \text{ (eps)}, \: d, \: \lambda
                \text{ (weight decay)}, \: \textit{maximize}                                             \\
            &\textbf{initialize} : R_0 \leftarrow 0 \text{ (row var)}, \: C_0 \leftarrow 0
                \text{ (col var)}, \: V_0 \leftarrow 0 \text{ (variance)}                         \\[-1.ex]
            &\rule{110mm}{0.4pt}                                                                         \\
            &\textbf{for} \: t=1 \: \textbf{to} \: \ldots \: \textbf{do}                                 \\
            &\hspace{5mm}\textbf{if} \: \textit{maximize}:                                               \\
            &\hspace{10mm}G_t \leftarrow -\nabla_{\theta} f_t (\theta_{t-1})                             \\
            &\hspace{5mm}\textbf{else}                                                                   \\
            &\hspace{10mm}G_t \leftarrow \nabla_{\theta} f_t (\theta_{t-1})                              \\
            &\hspace{5mm}\widehat{\varepsilon_1} \leftarrow \varepsilon_1 \: \textbf{or}
                \: \mathrm{machine\_epsilon}(\theta)                                                     \\
            &\hspace{5mm}\widehat{\beta_t} \leftarrow 1 - t^{\tau}                                       \\
            &\hspace{5mm}\rho_t \leftarrow \mathrm{min}(\gamma, 1 / \sqrt{t})                            \\
            &\hspace{5mm}\alpha_t \leftarrow \mathrm{max}(\varepsilon_2,
                \mathrm{RMS}(\theta_{t-1})) \rho_t                                                       \\
            &\hspace{5mm}\textbf{if} \: \lambda \neq 0                                                   \\
            &\hspace{10mm}\theta_t \leftarrow \theta_{t-1} - \gamma \lambda \theta_{t-1}                 \\
            &\hspace{5mm}\textbf{if} \: \mathrm{dim}(G_t) > 1                                            \\
            &\hspace{10mm}R_t \leftarrow \widehat{\beta_t} R_{t-1} + (1 - \widehat{\beta_t})
                \mathrm{mean}(G_t^2 \text{ over cols})                                                   \\
            &\hspace{10mm}C_t \leftarrow \widehat{\beta_t} C_{t-1} + (1 - \widehat{\beta_t})
                \mathrm{mean}(G_t^2 \text{ over rows})                                                   \\
            &\hspace{10mm}\widehat{V_t} \leftarrow R_t \mathbin{\,} C_t /
                \mathrm{max}(\mathrm{mean}(R_t \text{ over rows}), \widehat{\varepsilon_1})              \\
            &\hspace{5mm}\textbf{else}                                                                   \\
            &\hspace{10mm}V_t \leftarrow \widehat{\beta_t} V_{t-1} + (1 - \widehat{\beta_t})
                G_t^2                                                                                    \\
            &\hspace{10mm}\widehat{V_t} \leftarrow V_t                                                   \\
            &\hspace{5mm}U_t \leftarrow G_t / \sqrt{\mathrm{max}(\widehat{V_t},
                \widehat{\varepsilon_1}^2)}                                                              \\
            &\hspace{5mm}\widehat{U_t} \leftarrow U_t / \mathrm{max}(1, \mathrm{RMS}(U_t) / d)           \\
            &\hspace{5mm}\theta_t \leftarrow \theta_t - \alpha_t \widehat{U_t}                           \\
            &\rule{110mm}{0.4pt}                                                                  \\[-1.ex]
            &\bf{return} \:  \theta_t                                                             \\[-1.ex]
            &\rule{110mm}{0.4pt}                                                                  \\[-1.ex]
       \end{aligned}

    Shazeer and Stern, "Adafactor: Adaptive Learning Rates with Sublinear Memory Cost", arXiv:1804.04235.

    Args:
        params (iterable): parameters or named_parameters to optimize, or dicts that define parameter groups. If any
            parameter is named, all must be
        lr (float | Tensor, optional): γ (default: 0.01)
        beta2_decay (float | Tensor, optional): τ (default: -0.8)
        eps (tuple[float | Tensor | None, float | Tensor | None], optional): ε₁, ε₂ (default: (None, 0.001))
        d (float | Tensor, optional): d (default: 1.0)
        weight_decay (float | Tensor, optional): λ (default: 0.0)
        foreach (bool | None, optional): update all parameters by operations on lists of tensors, instead of one
            parameter after another; this takes about as much more memory as the parameters do. If None, it is on where
            all parameters are on a GPU (default: None)
        maximize (bool, optional): maximize the objective with respect to the params, instead of minimizing
            (default: False)
        capturable (bool, optional): keep all numbers of a step on the device, so that a CUDA graph can capture it
            (default: False)
        differentiable (bool, optional): let autograd record the step, so that gradients flow through it
            (default: False)
        fused (bool | None, optional): update all parameters in one kernel; they must be floating point and on a
            supported device (default: None)
    """

    _module = __name__
    _shaped_states = ("row_var", "col_var", "variance")
    _facts = ("dim", "machine_epsilon")
    _takes_complex = False

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 0.01,
        beta2_decay: float | Tensor = -0.8,
        eps: tuple[float | Tensor | None, float | Tensor | None] = (None, 0.001),
        d: float | Tensor = 1.0,
        weight_decay: float | Tensor = 0.0,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        defaults = {
            "lr": lr,
            "beta2_decay": beta2_decay,
            "eps": eps,
            "d": d,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            group.setdefault("lr", 0.01)
            group.setdefault("beta2_decay", -0.8)
            group.setdefault("eps", (None, 0.001))
            group.setdefault("d", 1.0)
            group.setdefault("weight_decay", 0.0)

    @staticmethod
    def _check_arguments(group: dict[str, Any]) -> None:
        lr = group["lr"]
        beta2_decay = group["beta2_decay"]
        d = group["d"]
        weight_decay = group["weight_decay"]
        epsilon1, epsilon2 = group["eps"]
        if not 0 <= lr:
            raise ValueError(f"Learning rate should be >= 0 but is: {lr}")
        if not beta2_decay <= 0:
            raise ValueError(f"beta2_decay should be <= 0 but is: {beta2_decay}")
        if epsilon1 is not None and not epsilon1 >= 0:
            raise ValueError(f"epsilon1 should be >= 0 but is: {epsilon1}")
        if not 0 <= epsilon2:
            raise ValueError(f"epsilon2 should be >= 0 but is: {epsilon2}")
        if not 1 <= d:
            raise ValueError(f"Clipping threshold d should be >= 1 but is: {d}")
        if not 0 <= weight_decay:
            raise ValueError(f"weight_decay should be >= 0 but is: {weight_decay}")

    @staticmethod
    def _hyperparameters(group: dict[str, Any]) -> dict[str, Any]:
        epsilon1, epsilon2 = group["eps"]
        return {
            "lr": group["lr"],
            "beta2_decay": group["beta2_decay"],
            "epsilon1": epsilon1,
            "epsilon2": epsilon2,
            "d": group["d"],
            "weight_decay": group["weight_decay"],
            "maximize": group["maximize"],
        }

    @staticmethod
    def _state_keys(group: dict[str, Any]) -> tuple[str | None, ...]:
        return ("row_var", "col_var", "variance")

    @staticmethod
    def _init_state(state: dict[str, Any], param: Tensor, group: dict[str, Any]) -> None:
        if facts.dim(param) > 1:
            state["row_var"] = matrix_state(0, param, facts.rows(param), 1)
        if facts.dim(param) > 1:
            state["col_var"] = matrix_state(0, param, 1, facts.cols(param))
        if not facts.dim(param) > 1:
            state["variance"] = torch.zeros_like(param, memory_format=torch.preserve_format)

    @staticmethod
    def _functions() -> tuple[Any, Any, Any, Any]:
        return _single_tensor_adafactor, _multi_tensor_adafactor, _capturable_adafactor, _differentiable_adafactor


def _single_tensor_adafactor(
    params: list[Tensor],
    grads: list[Tensor],
    row_vars: list[Tensor],
    col_vars: list[Tensor],
    variances: list[Tensor],
    *,
    step: float,
    param_dim: int,
    param_machine_epsilon: float,
    lr: float,
    beta2_decay: float,
    epsilon1: float | None,
    epsilon2: float,
    d: float,
    weight_decay: float,
    maximize: bool,
) -> None:
    """Updates each of ``params`` in place, one after another."""
    epsilon1_hat = (epsilon1 if epsilon1 is not None else param_machine_epsilon)
    beta_hat = 1 - step ** beta2_decay
    rho = min(lr, 1 / step ** 0.5)
    for i in range(len(params)):
        param = params[i]
        grad = grads[i]
        row_var = row_vars[i] if param_dim > 1 else None
        col_var = col_vars[i] if param_dim > 1 else None
        variance = variances[i] if not param_dim > 1 else None
        if maximize:
            grad = -grad
        rms = reductions.rms(param)
        alpha = scalars.maximum(epsilon2, rms) * rho
        if weight_decay != 0:
            param.mul_(1 - lr * weight_decay)
        if param_dim > 1:
            shared = reductions.rms(grad, dim=-1)
            row_var.mul_(beta_hat).addcmul_(shared, shared, value=1 - beta_hat)
            shared = reductions.rms(grad, dim=-2)
            col_var.mul_(beta_hat).addcmul_(shared, shared, value=1 - beta_hat)
            denom = reductions.mean(row_var, dim=-2)
            denom.clamp_(min=epsilon1_hat)
            V_hat = row_var.div(denom)
            V_hat = V_hat.mul(col_var)
        else:
            variance.mul_(beta_hat).addcmul_(grad, grad, value=1 - beta_hat)
            V_hat = variance
        U = V_hat.clamp(min=epsilon1_hat ** 2).rsqrt_().mul_(grad)
        rms_2 = reductions.rms(U)
        param.addcmul_(U, -alpha / scalars.maximum(1, rms_2 / d))


def _multi_tensor_adafactor(
    params: list[Tensor],
    grads: list[Tensor],
    row_vars: list[Tensor],
    col_vars: list[Tensor],
    variances: list[Tensor],
    *,
    step: float,
    param_dim: int,
    param_machine_epsilon: float,
    lr: float,
    beta2_decay: float,
    epsilon1: float | None,
    epsilon2: float,
    d: float,
    weight_decay: float,
    maximize: bool,
) -> None:
    """Updates all of ``params``, of one device and dtype, with operations on the whole list."""
    epsilon1_hat = (epsilon1 if epsilon1 is not None else param_machine_epsilon)
    beta_hat = 1 - step ** beta2_decay
    rho = min(lr, 1 / step ** 0.5)
    if maximize:
        grads = torch._foreach_neg(grads)
    rms = foreach.rms(params)
    alpha = scalars.maximum(epsilon2, rms) * rho
    if weight_decay != 0:
        torch._foreach_mul_(params, 1 - lr * weight_decay)
    if param_dim > 1:
        shareds = [reductions.rms(grad, dim=-1) for grad in grads]
        torch._foreach_mul_(row_vars, beta_hat)
        torch._foreach_addcmul_(row_vars, shareds, shareds, value=1 - beta_hat)
        shareds = [reductions.rms(grad, dim=-2) for grad in grads]
        torch._foreach_mul_(col_vars, beta_hat)
        torch._foreach_addcmul_(col_vars, shareds, shareds, value=1 - beta_hat)
        denoms = [reductions.mean(row_var, dim=-2) for row_var in row_vars]
        torch._foreach_maximum_(denoms, epsilon1_hat)
        V_hats = torch._foreach_div(row_vars, denoms)
        V_hats = torch._foreach_mul(V_hats, col_vars)
    else:
        torch._foreach_mul_(variances, beta_hat)
        torch._foreach_addcmul_(variances, grads, grads, value=1 - beta_hat)
        V_hats = variances
    Us = torch._foreach_maximum(V_hats, epsilon1_hat ** 2)
    torch._foreach_rsqrt_(Us)
    torch._foreach_mul_(Us, grads)
    rms_2 = foreach.rms(Us)
    foreach.add_(params, Us, -alpha / scalars.maximum(1, rms_2 / d))


def _capturable_adafactor(
    params: list[Tensor],
    grads: list[Tensor],
    row_vars: list[Tensor],
    col_vars: list[Tensor],
    variances: list[Tensor],
    *,
    step: Tensor,
    param_dim: int,
    param_machine_epsilon: float,
    lr: float | Tensor,
    beta2_decay: float | Tensor,
    epsilon1: float | Tensor | None,
    epsilon2: float | Tensor,
    d: float | Tensor,
    weight_decay: float | Tensor,
    maximize: bool,
) -> None:
    """As ``_multi_tensor``, with scalars on the device: ``step`` has one entry per parameter."""
    epsilon1_hat = scalars.where(epsilon1 is not None, epsilon1, param_machine_epsilon)
    beta_hat = 1 - step ** beta2_decay
    rho = scalars.minimum(lr, 1 / scalars.sqrt(step))
    if maximize:
        grads = torch._foreach_neg(grads)
    rms = foreach.rms(params)
    alpha = scalars.maximum(epsilon2, rms) * rho
    if weight_decay != 0:
        foreach.mul_(params, 1 - lr * weight_decay)
    if param_dim > 1:
        shareds = [reductions.rms(grad, dim=-1) for grad in grads]
        foreach.mul_(row_vars, beta_hat)
        foreach.addcmul_(row_vars, shareds, shareds, 1 - beta_hat)
        shareds = [reductions.rms(grad, dim=-2) for grad in grads]
        foreach.mul_(col_vars, beta_hat)
        foreach.addcmul_(col_vars, shareds, shareds, 1 - beta_hat)
        denoms = [reductions.mean(row_var, dim=-2) for row_var in row_vars]
        foreach.maximum_(denoms, epsilon1_hat)
        V_hats = torch._foreach_div(row_vars, denoms)
        V_hats = torch._foreach_mul(V_hats, col_vars)
    else:
        foreach.mul_(variances, beta_hat)
        foreach.addcmul_(variances, grads, grads, 1 - beta_hat)
        V_hats = variances
    Us = foreach.maximum(V_hats, epsilon1_hat ** 2)
    torch._foreach_rsqrt_(Us)
    torch._foreach_mul_(Us, grads)
    rms_2 = foreach.rms(Us)
    foreach.add_(params, Us, -alpha / scalars.maximum(1, rms_2 / d))


def _differentiable_adafactor(
    params: list[Tensor],
    grads: list[Tensor],
    row_vars: list[Tensor],
    col_vars: list[Tensor],
    variances: list[Tensor],
    *,
    step: float,
    param_dim: int,
    param_machine_epsilon: float,
    lr: float | Tensor,
    beta2_decay: float | Tensor,
    epsilon1: float | Tensor | None,
    epsilon2: float | Tensor,
    d: float | Tensor,
    weight_decay: float | Tensor,
    maximize: bool,
) -> None:
    """As ``_single_tensor``, in operations that autograd can follow; hyperparameters may be tensors."""
    for i in range(len(params)):
        param = params[i].clone()
        grad = grads[i]
        row_var = row_vars[i].clone() if param_dim > 1 else None
        col_var = col_vars[i].clone() if param_dim > 1 else None
        variance = variances[i].clone() if not param_dim > 1 else None
        epsilon1_hat = (epsilon1 if epsilon1 is not None else param_machine_epsilon)
        beta_hat = 1 - step ** beta2_decay
        rho = scalars.minimum(lr, 1 / scalars.sqrt(step))
        if maximize:
            grad = -grad
        rms = reductions.rms(param)
        alpha = scalars.maximum(epsilon2, rms) * rho
        if weight_decay != 0:
            param = (1 - lr * weight_decay) * param
        if param_dim > 1:
            row_var = beta_hat * row_var + (1 - beta_hat) * reductions.rms(grad, dim=-1) ** 2
            col_var = beta_hat * col_var + (1 - beta_hat) * reductions.rms(grad, dim=-2) ** 2
            V_hat = row_var * col_var / scalars.maximum(reductions.mean(row_var, dim=-2), epsilon1_hat)
        else:
            variance = beta_hat * variance + (1 - beta_hat) * grad ** 2
            V_hat = variance
        U = grad / scalars.sqrt(scalars.maximum(V_hat, epsilon1_hat ** 2))
        rms = reductions.rms(U)
        param = param - alpha / scalars.maximum(1, rms / d) * U
        params[i].copy_(param)
        if param_dim > 1:
            row_vars[i].copy_(row_var)
        if param_dim > 1:
            col_vars[i].copy_(col_var)
        if not param_dim > 1:
            variances[i].copy_(variance)
