# Compiled by optdsl 0.1.0 from adamax.opt (sha256 30a3fae05d84). Do not edit.
from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from ._support import BaseOptimizer, foreach, scalars

__all__ = ["Adamax"]


class Adamax(BaseOptimizer):
    r"""Adam with the infinity norm in place of the second moment.

    .. math::
       \begin{aligned}
            &\rule{110mm}{0.4pt}                                                                         \\
            &\textbf{input}      : \theta_0 \text{ (params)}, \: f(\theta) \text{ (objective)},
                \: \gamma \text{ (lr)}, \: \beta_1, \beta_2 \text{ (betas)}, \: \varepsilon
                \text{ (eps)},                                                                           \\
            &\hspace{13mm}      \lambda \text{ (weight decay)}, \: \textit{maximize}                     \\
            &\textbf{initialize} : m_0 \leftarrow 0 \text{ (exp avg)}, \: u_0 \leftarrow 0
                \text{ (exp inf)}                                                                 \\[-1.ex]
            &\rule{110mm}{0.4pt}                                                                         \\
            &\textbf{for} \: t=1 \: \textbf{to} \: \ldots \: \textbf{do}                                 \\
            &\hspace{5mm}\textbf{if} \: \textit{maximize}:                                               \\
            &\hspace{10mm}g_t \leftarrow -\nabla_{\theta} f_t (\theta_{t-1})                             \\
            &\hspace{5mm}\textbf{else}                                                                   \\
            &\hspace{10mm}g_t \leftarrow \nabla_{\theta} f_t (\theta_{t-1})                              \\
            &\hspace{5mm}\textbf{if} \: \lambda \neq 0                                                   \\
            &\hspace{10mm}g_t \leftarrow g_t + \lambda \theta_{t-1}                                      \\
            &\hspace{5mm}m_t \leftarrow \beta_1 m_{t-1} + (1 - \beta_1) g_t                              \\
            &\hspace{5mm}u_t \leftarrow \mathrm{max}(\beta_2 u_{t-1}, |g_t| + \varepsilon)               \\
            &\hspace{5mm}\theta_t \leftarrow \theta_{t-1} - \gamma m_t / \big((1 - \beta_1^t)
                u_t\big)                                                                                 \\
            &\rule{110mm}{0.4pt}                                                                  \\[-1.ex]
            &\bf{return} \:  \theta_t                                                             \\[-1.ex]
            &\rule{110mm}{0.4pt}                                                                  \\[-1.ex]
       \end{aligned}

    Kingma and Ba, "Adam: A Method for Stochastic Optimization", arXiv:1412.6980, section 7.1.

    Args:
        params (iterable): parameters or named_parameters to optimize, or dicts that define parameter groups. If any
            parameter is named, all must be
        lr (float | Tensor, optional): learning rate (default: 0.002)
        betas (tuple[float | Tensor, float | Tensor], optional): decay rates of the average and of the norm
            (default: (0.9, 0.999))
        eps (float | Tensor, optional): added to |g|, so that the norm is positive (default: 1e-08)
        weight_decay (float | Tensor, optional): weight decay coefficient (default: 0)
        foreach (bool | None, optional): update all parameters by operations on lists of tensors, instead of one
            parameter after another; this takes about as much more memory as the parameters do. If None, it is on where
            all parameters are on a GPU (default: None)
        fused (bool | None, optional): update all parameters in one kernel; they must be floating point and on a
            supported device (default: None)
        maximize (bool, optional): maximize the objective with respect to the params, instead of minimizing
            (default: False)
        differentiable (bool, optional): let autograd record the step, so that gradients flow through it
            (default: False)
        capturable (bool, optional): keep all numbers of a step on the device, so that a CUDA graph can capture it
            (default: False)
    """

    _module = __name__

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 0.002,
        betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999),
        eps: float | Tensor = 1e-08,
        weight_decay: float | Tensor = 0,
        foreach: bool | None = None,
        *,
        fused: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            group.setdefault("lr", 0.002)
            group.setdefault("betas", (0.9, 0.999))
            group.setdefault("eps", 1e-08)
            group.setdefault("weight_decay", 0)

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
            "maximize": group["maximize"],
        }

    @staticmethod
    def _state_keys(group: dict[str, Any]) -> tuple[str | None, ...]:
        return ("exp_avg", "exp_inf")

    @staticmethod
    def _init_state(state: dict[str, Any], param: Tensor, group: dict[str, Any]) -> None:
        state["exp_avg"] = torch.zeros_like(param, memory_format=torch.preserve_format)
        state["exp_inf"] = torch.zeros_like(param, memory_format=torch.preserve_format)

    @staticmethod
    def _functions() -> tuple[Any, Any, Any, Any]:
        return _single_tensor_adamax, _multi_tensor_adamax, _capturable_adamax, _differentiable_adamax


def _single_tensor_adamax(
    params: list[Tensor],
    grads: list[Tensor],
    exp_avgs: list[Tensor],
    exp_infs: list[Tensor],
    *,
    step: float,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    maximize: bool,
) -> None:
    """Updates each of ``params`` in place, one after another."""
    bias_correction1 = 1 - beta1 ** step
    step_size = lr / bias_correction1
    for i in range(len(params)):
        param = params[i]
        grad = grads[i]
        exp_avg = exp_avgs[i]
        exp_inf = exp_infs[i]
        if maximize:
            grad = -grad
        if weight_decay != 0:
            grad = grad.add(param, alpha=weight_decay)
        exp_avg.lerp_(grad, 1 - beta1)
        exp_inf.mul_(beta2)
        new_exp_inf = grad.abs().add_(eps)
        torch.maximum(exp_inf, new_exp_inf, out=exp_inf)
        param.addcdiv_(exp_avg, exp_inf, value=-step_size)


def _multi_tensor_adamax(
    params: list[Tensor],
    grads: list[Tensor],
    exp_avgs: list[Tensor],
    exp_infs: list[Tensor],
    *,
    step: float,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    maximize: bool,
) -> None:
    """Updates all of ``params``, of one device and dtype, with operations on the whole list."""
    bias_correction1 = 1 - beta1 ** step
    step_size = lr / bias_correction1
    if maximize:
        grads = torch._foreach_neg(grads)
    if weight_decay != 0:
        grads = torch._foreach_add(grads, params, alpha=weight_decay)
    torch._foreach_lerp_(exp_avgs, grads, 1 - beta1)
    torch._foreach_mul_(exp_infs, beta2)
    new_exp_infs = torch._foreach_abs(grads)
    torch._foreach_add_(new_exp_infs, eps)
    torch._foreach_maximum_(exp_infs, new_exp_infs)
    torch._foreach_addcdiv_(params, exp_avgs, exp_infs, value=-step_size)


def _capturable_adamax(
    params: list[Tensor],
    grads: list[Tensor],
    exp_avgs: list[Tensor],
    exp_infs: list[Tensor],
    *,
    step: Tensor,
    lr: float | Tensor,
    beta1: float | Tensor,
    beta2: float | Tensor,
    eps: float | Tensor,
    weight_decay: float | Tensor,
    maximize: bool,
) -> None:
    """As ``_multi_tensor``, with scalars on the device: ``step`` has one entry per parameter."""
    bias_correction1 = 1 - beta1 ** step
    step_size = lr / bias_correction1
    if maximize:
        grads = torch._foreach_neg(grads)
    if weight_decay != 0:
        grads = foreach.add(grads, params, weight_decay)
    foreach.lerp_(exp_avgs, grads, 1 - beta1)
    foreach.mul_(exp_infs, beta2)
    new_exp_infs = torch._foreach_abs(grads)
    foreach.add_scalar_(new_exp_infs, eps)
    torch._foreach_maximum_(exp_infs, new_exp_infs)
    foreach.addcdiv_(params, exp_avgs, exp_infs, -step_size)


def _differentiable_adamax(
    params: list[Tensor],
    grads: list[Tensor],
    exp_avgs: list[Tensor],
    exp_infs: list[Tensor],
    *,
    step: float,
    lr: float | Tensor,
    beta1: float | Tensor,
    beta2: float | Tensor,
    eps: float | Tensor,
    weight_decay: float | Tensor,
    maximize: bool,
) -> None:
    """As ``_single_tensor``, in operations that autograd can follow; hyperparameters may be tensors."""
    for i in range(len(params)):
        param = params[i].clone()
        grad = grads[i]
        exp_avg = exp_avgs[i].clone()
        exp_inf = exp_infs[i].clone()
        bias_correction1 = 1 - beta1 ** step
        step_size = lr / bias_correction1
        if maximize:
            grad = -grad
        if weight_decay != 0:
            grad = grad + weight_decay * param
        exp_avg = beta1 * exp_avg + (1 - beta1) * grad
        exp_inf = scalars.maximum(beta2 * exp_inf, abs(grad) + eps)
        param = param - step_size * (exp_avg / exp_inf)
        params[i].copy_(param)
        exp_avgs[i].copy_(exp_avg)
        exp_infs[i].copy_(exp_inf)
