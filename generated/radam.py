# Compiled by optdsl 0.1.0 from radam.opt (sha256 184ee1b16be2). Do not edit.
from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from ._support import BaseOptimizer, foreach, scalars

__all__ = ["RAdam"]


class RAdam(BaseOptimizer):
    r"""Rectified Adam: adaptive only once the variance of its learning rate is tractable.

    .. math::
       \begin{aligned}
            &\rule{110mm}{0.4pt}                                                                         \\
            &\textbf{input}      : \theta_0 \text{ (params)}, \: f(\theta) \text{ (objective)},
                \: \gamma \text{ (lr)}, \: \beta_1, \beta_2 \text{ (betas)}, \: \varepsilon
                \text{ (eps)},                                                                           \\
            &\hspace{13mm}      \lambda \text{ (weight decay)},
                \: \textit{decoupled\_weight\_decay}, \: \textit{maximize}                               \\
            &\textbf{initialize} : m_0 \leftarrow 0 \text{ (exp avg)}, \: v_0 \leftarrow 0
                \text{ (exp avg sq)}                                                              \\[-1.ex]
            &\rule{110mm}{0.4pt}                                                                         \\
            &\textbf{for} \: t=1 \: \textbf{to} \: \ldots \: \textbf{do}                                 \\
            &\hspace{5mm}\textbf{if} \: \textit{maximize}:                                               \\
            &\hspace{10mm}g_t \leftarrow -\nabla_{\theta} f_t (\theta_{t-1})                             \\
            &\hspace{5mm}\textbf{else}                                                                   \\
            &\hspace{10mm}g_t \leftarrow \nabla_{\theta} f_t (\theta_{t-1})                              \\
            &\hspace{5mm}\textbf{if} \: \lambda \neq 0                                                   \\
            &\hspace{10mm}\textbf{if} \: \textit{decoupled\_weight\_decay}                               \\
            &\hspace{15mm}\theta_t \leftarrow \theta_{t-1} - \gamma \lambda \theta_{t-1}                 \\
            &\hspace{10mm}\textbf{else}                                                                  \\
            &\hspace{15mm}g_t \leftarrow g_t + \lambda \theta_{t-1}                                      \\
            &\hspace{5mm}m_t \leftarrow \beta_1 m_{t-1} + (1 - \beta_1) g_t                              \\
            &\hspace{5mm}v_t \leftarrow \beta_2 v_{t-1} + (1 - \beta_2) g_t^2                            \\
            &\hspace{5mm}\widehat{m_t} \leftarrow m_t / \big(1 - \beta_1^t\big)                          \\
            &\hspace{5mm}\rho_{\infty} \leftarrow 2 / \big(1 - \beta_2\big) - 1                          \\
            &\hspace{5mm}\rho_t \leftarrow \rho_{\infty} - 2 t \beta_2^t / \big(1 -
                \beta_2^t\big)                                                                           \\
            &\hspace{5mm}\textbf{if} \: \rho_t > 5                                                       \\
            &\hspace{10mm}l_t \leftarrow \sqrt{1 - \beta_2^t} / \big(\sqrt{v_t} +
                \varepsilon\big)                                                                         \\
            &\hspace{10mm}r_t \leftarrow \sqrt{(\rho_t - 4) (\rho_t - 2) \rho_{\infty} /
                \big((\rho_{\infty} - 4) (\rho_{\infty} - 2) \rho_t\big)}                                \\
            &\hspace{10mm}\theta_t \leftarrow \theta_t - \gamma \widehat{m_t} r_t l_t                    \\
            &\hspace{5mm}\textbf{else}                                                                   \\
            &\hspace{10mm}\theta_t \leftarrow \theta_t - \gamma \widehat{m_t}                            \\
            &\rule{110mm}{0.4pt}                                                                  \\[-1.ex]
            &\bf{return} \:  \theta_t                                                             \\[-1.ex]
            &\rule{110mm}{0.4pt}                                                                  \\[-1.ex]
       \end{aligned}

    Liu et al., "On the Variance of the Adaptive Learning Rate and Beyond", arXiv:1908.03265.

    Args:
        params (iterable): parameters or named_parameters to optimize, or dicts that define parameter groups. If any
            parameter is named, all must be
        lr (float | Tensor, optional): learning rate (default: 0.001)
        betas (tuple[float | Tensor, float | Tensor], optional): decay rates of the running averages
            (default: (0.9, 0.999))
        eps (float | Tensor, optional): added to the denominator (default: 1e-08)
        weight_decay (float | Tensor, optional): weight decay coefficient (default: 0)
        decoupled_weight_decay (bool, optional): decay θ directly, as RAdamW does (default: False)
        fused (bool | None, optional): update all parameters in one kernel; they must be floating point and on a
            supported device (default: None)
        foreach (bool | None, optional): update all parameters by operations on lists of tensors, instead of one
            parameter after another; this takes about as much more memory as the parameters do. If None, it is on where
            all parameters are on a GPU (default: None)
        maximize (bool, optional): maximize the objective with respect to the params, instead of minimizing
            (default: False)
        capturable (bool, optional): keep all numbers of a step on the device, so that a CUDA graph can capture it
            (default: False)
        differentiable (bool, optional): let autograd record the step, so that gradients flow through it
            (default: False)
    """

    _module = __name__

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 0.001,
        betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999),
        eps: float | Tensor = 1e-08,
        weight_decay: float | Tensor = 0,
        decoupled_weight_decay: bool = False,
        *,
        fused: bool | None = None,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
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
            group.setdefault("lr", 0.001)
            group.setdefault("betas", (0.9, 0.999))
            group.setdefault("eps", 1e-08)
            group.setdefault("weight_decay", 0)
            group.setdefault("decoupled_weight_decay", False)

    @staticmethod
    def _check_arguments(group: dict[str, Any]) -> None:
        lr = group["lr"]
        eps = group["eps"]
        weight_decay = group["weight_decay"]
        beta1, beta2 = group["betas"]
        if not 0 <= lr:
            raise ValueError(f"Invalid learning rate: {lr}")
        if not 0 <= beta1 < 1:
            raise ValueError(f"Invalid beta parameter at index 0: {beta1}")
        if not 0 <= beta2 < 1:
            raise ValueError(f"Invalid beta parameter at index 1: {beta2}")
        if not 0 <= eps:
            raise ValueError(f"Invalid epsilon value: {eps}")
        if not 0 <= weight_decay:
            raise ValueError(f"Invalid weight_decay value: {weight_decay}")

    @staticmethod
    def _hyperparameters(group: dict[str, Any]) -> dict[str, Any]:
        beta1, beta2 = group["betas"]
        return {
            "lr": group["lr"],
            "beta1": beta1,
            "beta2": beta2,
            "eps": group["eps"],
            "weight_decay": group["weight_decay"],
            "decoupled_weight_decay": group["decoupled_weight_decay"],
            "maximize": group["maximize"],
        }

    @staticmethod
    def _state_keys(group: dict[str, Any]) -> tuple[str | None, ...]:
        return ("exp_avg", "exp_avg_sq")

    @staticmethod
    def _init_state(state: dict[str, Any], param: Tensor, group: dict[str, Any]) -> None:
        state["exp_avg"] = torch.zeros_like(param, memory_format=torch.preserve_format)
        state["exp_avg_sq"] = torch.zeros_like(param, memory_format=torch.preserve_format)

    @staticmethod
    def _functions() -> tuple[Any, Any, Any, Any]:
        return _single_tensor_radam, _multi_tensor_radam, _capturable_radam, _differentiable_radam


def _single_tensor_radam(
    params: list[Tensor],
    grads: list[Tensor],
    exp_avgs: list[Tensor],
    exp_avg_sqs: list[Tensor],
    *,
    step: float,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled_weight_decay: bool,
    maximize: bool,
) -> None:
    """Updates each of ``params`` in place, one after another."""
    bias_correction1 = 1 - beta1 ** step
    rho_inf = 2 / (1 - beta2) - 1
    bias_correction2 = 1 - beta2 ** step
    rho = rho_inf - 2 * step * beta2 ** step / bias_correction2
    if rho > 5:
        r = ((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho)) ** 0.5
        bias_correction2_sqrt = bias_correction2 ** 0.5
        step_size = lr * r * bias_correction2_sqrt
    for i in range(len(params)):
        param = params[i]
        grad = grads[i]
        exp_avg = exp_avgs[i]
        exp_avg_sq = exp_avg_sqs[i]
        if maximize:
            grad = -grad
        if weight_decay != 0:
            if decoupled_weight_decay:
                param.mul_(1 - lr * weight_decay)
            else:
                grad = grad.add(param, alpha=weight_decay)
        exp_avg.lerp_(grad, 1 - beta1)
        exp_avg_sq.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        m_hat = exp_avg.div(bias_correction1)
        if rho > 5:
            denom = exp_avg_sq.sqrt().add_(eps)
            param.addcdiv_(m_hat, denom, value=-step_size)
        else:
            param.add_(m_hat, alpha=-lr)


def _multi_tensor_radam(
    params: list[Tensor],
    grads: list[Tensor],
    exp_avgs: list[Tensor],
    exp_avg_sqs: list[Tensor],
    *,
    step: float,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled_weight_decay: bool,
    maximize: bool,
) -> None:
    """Updates all of ``params``, of one device and dtype, with operations on the whole list."""
    bias_correction1 = 1 - beta1 ** step
    rho_inf = 2 / (1 - beta2) - 1
    bias_correction2 = 1 - beta2 ** step
    rho = rho_inf - 2 * step * beta2 ** step / bias_correction2
    if rho > 5:
        r = ((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho)) ** 0.5
        bias_correction2_sqrt = bias_correction2 ** 0.5
        step_size = lr * r * bias_correction2_sqrt
    if maximize:
        grads = torch._foreach_neg(grads)
    if weight_decay != 0:
        if decoupled_weight_decay:
            torch._foreach_mul_(params, 1 - lr * weight_decay)
        else:
            grads = torch._foreach_add(grads, params, alpha=weight_decay)
    torch._foreach_lerp_(exp_avgs, grads, 1 - beta1)
    torch._foreach_mul_(exp_avg_sqs, beta2)
    torch._foreach_addcmul_(exp_avg_sqs, grads, grads, value=1 - beta2)
    m_hats = torch._foreach_div(exp_avgs, bias_correction1)
    if rho > 5:
        denoms = torch._foreach_sqrt(exp_avg_sqs)
        torch._foreach_add_(denoms, eps)
        torch._foreach_addcdiv_(params, m_hats, denoms, value=-step_size)
    else:
        torch._foreach_add_(params, m_hats, alpha=-lr)


def _capturable_radam(
    params: list[Tensor],
    grads: list[Tensor],
    exp_avgs: list[Tensor],
    exp_avg_sqs: list[Tensor],
    *,
    step: Tensor,
    lr: float | Tensor,
    beta1: float | Tensor,
    beta2: float | Tensor,
    eps: float | Tensor,
    weight_decay: float | Tensor,
    decoupled_weight_decay: bool,
    maximize: bool,
) -> None:
    """As ``_multi_tensor``, with scalars on the device: ``step`` has one entry per parameter."""
    bias_correction1 = 1 - beta1 ** step
    rho_inf = 2 / (1 - beta2) - 1
    bias_correction2 = 1 - beta2 ** step
    rho = rho_inf - 2 * step * beta2 ** step / bias_correction2
    r = scalars.sqrt((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho))
    bias_correction2_sqrt = scalars.sqrt(bias_correction2)
    step_size = lr * r * bias_correction2_sqrt
    if maximize:
        grads = torch._foreach_neg(grads)
    if weight_decay != 0:
        if decoupled_weight_decay:
            foreach.mul_(params, 1 - lr * weight_decay)
        else:
            grads = foreach.add(grads, params, weight_decay)
    foreach.lerp_(exp_avgs, grads, 1 - beta1)
    foreach.mul_(exp_avg_sqs, beta2)
    foreach.addcmul_(exp_avg_sqs, grads, grads, 1 - beta2)
    m_hats = foreach.div(exp_avgs, bias_correction1)
    denoms = torch._foreach_sqrt(exp_avg_sqs)
    foreach.add_scalar_(denoms, eps)
    new_params = foreach.addcdiv(params, m_hats, denoms, -step_size)
    foreach.add_(params, m_hats, -lr)
    del m_hats, denoms
    new_param2s = [
        scalars.where(s2, new_param, param)
        for new_param, param, s2 in zip(new_params, params, foreach.values(rho > 5, params), strict=True)
    ]
    torch._foreach_copy_(params, new_param2s)


def _differentiable_radam(
    params: list[Tensor],
    grads: list[Tensor],
    exp_avgs: list[Tensor],
    exp_avg_sqs: list[Tensor],
    *,
    step: float,
    lr: float | Tensor,
    beta1: float | Tensor,
    beta2: float | Tensor,
    eps: float | Tensor,
    weight_decay: float | Tensor,
    decoupled_weight_decay: bool,
    maximize: bool,
) -> None:
    """As ``_single_tensor``, in operations that autograd can follow; hyperparameters may be tensors."""
    for i in range(len(params)):
        param = params[i].clone()
        grad = grads[i]
        exp_avg = exp_avgs[i].clone()
        exp_avg_sq = exp_avg_sqs[i].clone()
        bias_correction1 = 1 - beta1 ** step
        rho_inf = 2 / (1 - beta2) - 1
        bias_correction2 = 1 - beta2 ** step
        rho = rho_inf - 2 * step * beta2 ** step / bias_correction2
        if rho > 5:
            r = scalars.sqrt((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho))
            bias_correction2_sqrt = scalars.sqrt(bias_correction2)
            step_size = lr * r * bias_correction2_sqrt
        if maximize:
            grad = -grad
        if weight_decay != 0:
            if decoupled_weight_decay:
                param = (1 - lr * weight_decay) * param
            else:
                grad = grad + weight_decay * param
        exp_avg = beta1 * exp_avg + (1 - beta1) * grad
        exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad ** 2
        m_hat = exp_avg / bias_correction1
        if rho > 5:
            param = param - step_size * (m_hat / (scalars.sqrt(exp_avg_sq) + eps))
        else:
            param = param - lr * m_hat
        params[i].copy_(param)
        exp_avgs[i].copy_(exp_avg)
        exp_avg_sqs[i].copy_(exp_avg_sq)
