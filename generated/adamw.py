# Compiled by optdsl 0.1.0 from adamw.opt (sha256 17d07f514399). Do not edit.
from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from ._support import BaseOptimizer, foreach, scalars

__all__ = ["AdamW"]


class AdamW(BaseOptimizer):
    r"""Adam with decoupled weight decay.

    .. math::
       \begin{aligned}
            &\rule{110mm}{0.4pt}                                                                         \\
            &\textbf{input}      : \theta_0 \text{ (params)}, \: f(\theta) \text{ (objective)},
                \: \gamma \text{ (lr)}, \: \beta_1, \beta_2 \text{ (betas)}, \: \varepsilon
                \text{ (eps)},                                                                           \\
            &\hspace{13mm}      \lambda \text{ (weight decay)}, \: \textit{amsgrad},
                \: \textit{maximize}                                                                     \\
            &\textbf{initialize} : m_0 \leftarrow 0 \text{ (exp avg)}, \: v_0 \leftarrow 0
                \text{ (exp avg sq)}, \: v_0^{\mathrm{max}} \leftarrow 0 \text{ (max exp avg sq)} \\[-1.ex]
            &\rule{110mm}{0.4pt}                                                                         \\
            &\textbf{for} \: t=1 \: \textbf{to} \: \ldots \: \textbf{do}                                 \\
            &\hspace{5mm}\textbf{if} \: \textit{maximize}:                                               \\
            &\hspace{10mm}g_t \leftarrow -\nabla_{\theta} f_t (\theta_{t-1})                             \\
            &\hspace{5mm}\textbf{else}                                                                   \\
            &\hspace{10mm}g_t \leftarrow \nabla_{\theta} f_t (\theta_{t-1})                              \\
            &\hspace{5mm}\textbf{if} \: \lambda \neq 0                                                   \\
            &\hspace{10mm}\theta_t \leftarrow \theta_{t-1} - \gamma \lambda \theta_{t-1}                 \\
            &\hspace{5mm}m_t \leftarrow \beta_1 m_{t-1} + (1 - \beta_1) g_t                              \\
            &\hspace{5mm}v_t \leftarrow \beta_2 v_{t-1} + (1 - \beta_2) g_t^2                            \\
            &\hspace{5mm}\widehat{m_t} \leftarrow m_t / \big(1 - \beta_1^t\big)                          \\
            &\hspace{5mm}\textbf{if} \: \textit{amsgrad}                                                 \\
            &\hspace{10mm}v_t^{\mathrm{max}} \leftarrow \mathrm{max}(v_{t-1}^{\mathrm{max}}, v_t)        \\
            &\hspace{10mm}\widehat{v_t} \leftarrow v_t^{\mathrm{max}} / \big(1 - \beta_2^t\big)          \\
            &\hspace{5mm}\textbf{else}                                                                   \\
            &\hspace{10mm}\widehat{v_t} \leftarrow v_t / \big(1 - \beta_2^t\big)                         \\
            &\hspace{5mm}\theta_t \leftarrow \theta_t - \gamma \widehat{m_t} /
                \big(\sqrt{\widehat{v_t}} + \varepsilon\big)                                             \\
            &\rule{110mm}{0.4pt}                                                                  \\[-1.ex]
            &\bf{return} \:  \theta_t                                                             \\[-1.ex]
            &\rule{110mm}{0.4pt}                                                                  \\[-1.ex]
       \end{aligned}

    Loshchilov and Hutter, "Decoupled Weight Decay Regularization", arXiv:1711.05101.

    Args:
        params (iterable): parameters or named_parameters to optimize, or dicts that define parameter groups. If any
            parameter is named, all must be
        lr (float | Tensor, optional): learning rate (default: 0.001)
        betas (tuple[float | Tensor, float | Tensor], optional): decay rates of the running averages
            (default: (0.9, 0.999))
        eps (float | Tensor, optional): added to the denominator (default: 1e-08)
        weight_decay (float | Tensor, optional): weight decay coefficient (default: 0.01)
        amsgrad (bool, optional): use the running maximum of v (default: False)
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

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 0.001,
        betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999),
        eps: float | Tensor = 1e-08,
        weight_decay: float | Tensor = 0.01,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
            "decoupled_weight_decay": True,
        }
        super().__init__(params, defaults)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            group.setdefault("lr", 0.001)
            group.setdefault("betas", (0.9, 0.999))
            group.setdefault("eps", 1e-08)
            group.setdefault("weight_decay", 0.01)
            group.setdefault("amsgrad", False)
            group["decoupled_weight_decay"] = True

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
            "amsgrad": group["amsgrad"],
            "maximize": group["maximize"],
        }

    @staticmethod
    def _state_keys(group: dict[str, Any]) -> tuple[str | None, ...]:
        return ("exp_avg", "exp_avg_sq", "max_exp_avg_sq" if group["amsgrad"] else None)

    @staticmethod
    def _init_state(state: dict[str, Any], param: Tensor, group: dict[str, Any]) -> None:
        state["exp_avg"] = torch.zeros_like(param, memory_format=torch.preserve_format)
        state["exp_avg_sq"] = torch.zeros_like(param, memory_format=torch.preserve_format)
        if group["amsgrad"]:
            state["max_exp_avg_sq"] = torch.zeros_like(param, memory_format=torch.preserve_format)

    @staticmethod
    def _functions() -> tuple[Any, Any, Any, Any]:
        return _single_tensor_adamw, _multi_tensor_adamw, _capturable_adamw, _differentiable_adamw


def _single_tensor_adamw(
    params: list[Tensor],
    grads: list[Tensor],
    exp_avgs: list[Tensor],
    exp_avg_sqs: list[Tensor],
    max_exp_avg_sqs: list[Tensor],
    *,
    step: float,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    amsgrad: bool,
    maximize: bool,
) -> None:
    """Updates each of ``params`` in place, one after another."""
    bias_correction1 = 1 - beta1 ** step
    step_size = lr / bias_correction1
    bias_correction2 = 1 - beta2 ** step
    bias_correction2_sqrt = bias_correction2 ** 0.5
    for i in range(len(params)):
        param = params[i]
        grad = grads[i]
        exp_avg = exp_avgs[i]
        exp_avg_sq = exp_avg_sqs[i]
        max_exp_avg_sq = max_exp_avg_sqs[i] if amsgrad else None
        if maximize:
            grad = -grad
        if weight_decay != 0:
            param.mul_(1 - lr * weight_decay)
        exp_avg.lerp_(grad, 1 - beta1)
        exp_avg_sq.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        if amsgrad:
            torch.maximum(max_exp_avg_sq, exp_avg_sq, out=max_exp_avg_sq)
            v_hat = max_exp_avg_sq
        else:
            v_hat = exp_avg_sq
        denom = v_hat.sqrt().div_(bias_correction2_sqrt).add_(eps)
        param.addcdiv_(exp_avg, denom, value=-step_size)


def _multi_tensor_adamw(
    params: list[Tensor],
    grads: list[Tensor],
    exp_avgs: list[Tensor],
    exp_avg_sqs: list[Tensor],
    max_exp_avg_sqs: list[Tensor],
    *,
    step: float,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    amsgrad: bool,
    maximize: bool,
) -> None:
    """Updates all of ``params``, of one device and dtype, with operations on the whole list."""
    bias_correction1 = 1 - beta1 ** step
    step_size = lr / bias_correction1
    bias_correction2 = 1 - beta2 ** step
    bias_correction2_sqrt = bias_correction2 ** 0.5
    if maximize:
        grads = torch._foreach_neg(grads)
    if weight_decay != 0:
        torch._foreach_mul_(params, 1 - lr * weight_decay)
    torch._foreach_lerp_(exp_avgs, grads, 1 - beta1)
    torch._foreach_mul_(exp_avg_sqs, beta2)
    torch._foreach_addcmul_(exp_avg_sqs, grads, grads, value=1 - beta2)
    if amsgrad:
        torch._foreach_maximum_(max_exp_avg_sqs, exp_avg_sqs)
        v_hats = max_exp_avg_sqs
    else:
        v_hats = exp_avg_sqs
    denoms = torch._foreach_sqrt(v_hats)
    torch._foreach_div_(denoms, bias_correction2_sqrt)
    torch._foreach_add_(denoms, eps)
    torch._foreach_addcdiv_(params, exp_avgs, denoms, value=-step_size)


def _capturable_adamw(
    params: list[Tensor],
    grads: list[Tensor],
    exp_avgs: list[Tensor],
    exp_avg_sqs: list[Tensor],
    max_exp_avg_sqs: list[Tensor],
    *,
    step: Tensor,
    lr: float | Tensor,
    beta1: float | Tensor,
    beta2: float | Tensor,
    eps: float | Tensor,
    weight_decay: float | Tensor,
    amsgrad: bool,
    maximize: bool,
) -> None:
    """As ``_multi_tensor``, with scalars on the device: ``step`` has one entry per parameter."""
    bias_correction1 = 1 - beta1 ** step
    step_size = lr / bias_correction1
    bias_correction2 = 1 - beta2 ** step
    bias_correction2_sqrt = scalars.sqrt(bias_correction2)
    if maximize:
        grads = torch._foreach_neg(grads)
    if weight_decay != 0:
        foreach.mul_(params, 1 - lr * weight_decay)
    foreach.lerp_(exp_avgs, grads, 1 - beta1)
    foreach.mul_(exp_avg_sqs, beta2)
    foreach.addcmul_(exp_avg_sqs, grads, grads, 1 - beta2)
    if amsgrad:
        torch._foreach_maximum_(max_exp_avg_sqs, exp_avg_sqs)
        v_hats = max_exp_avg_sqs
    else:
        v_hats = exp_avg_sqs
    denoms = torch._foreach_sqrt(v_hats)
    foreach.div_(denoms, bias_correction2_sqrt)
    foreach.add_scalar_(denoms, eps)
    foreach.addcdiv_(params, exp_avgs, denoms, -step_size)


def _differentiable_adamw(
    params: list[Tensor],
    grads: list[Tensor],
    exp_avgs: list[Tensor],
    exp_avg_sqs: list[Tensor],
    max_exp_avg_sqs: list[Tensor],
    *,
    step: float,
    lr: float | Tensor,
    beta1: float | Tensor,
    beta2: float | Tensor,
    eps: float | Tensor,
    weight_decay: float | Tensor,
    amsgrad: bool,
    maximize: bool,
) -> None:
    """As ``_single_tensor``, in operations that autograd can follow; hyperparameters may be tensors."""
    for i in range(len(params)):
        param = params[i].clone()
        grad = grads[i]
        exp_avg = exp_avgs[i].clone()
        exp_avg_sq = exp_avg_sqs[i].clone()
        max_exp_avg_sq = max_exp_avg_sqs[i].clone() if amsgrad else None
        bias_correction1 = 1 - beta1 ** step
        step_size = lr / bias_correction1
        bias_correction2 = 1 - beta2 ** step
        bias_correction2_sqrt = scalars.sqrt(bias_correction2)
        if maximize:
            grad = -grad
        if weight_decay != 0:
            param = (1 - lr * weight_decay) * param
        exp_avg = beta1 * exp_avg + (1 - beta1) * grad
        exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad ** 2
        if amsgrad:
            max_exp_avg_sq = scalars.maximum(max_exp_avg_sq, exp_avg_sq)
            v_hat = max_exp_avg_sq
        else:
            v_hat = exp_avg_sq
        param = param - step_size * (exp_avg / (scalars.sqrt(v_hat) / bias_correction2_sqrt + eps))
        params[i].copy_(param)
        exp_avgs[i].copy_(exp_avg)
        exp_avg_sqs[i].copy_(exp_avg_sq)
        if amsgrad:
            max_exp_avg_sqs[i].copy_(max_exp_avg_sq)
