# Compiled by optdsl 0.1.0 from adagrad.opt (sha256 19dd6f9a0604). Do not edit.
from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from ._support import BaseOptimizer, foreach, full_state, scalars

__all__ = ["Adagrad"]


class Adagrad(BaseOptimizer):
    r"""Learning rates per element, from the sum of all squared gradients.

    .. math::
       \begin{aligned}
            &\rule{110mm}{0.4pt}                                                                         \\
            &\textbf{input}      : \theta_0 \text{ (params)}, \: f(\theta) \text{ (objective)},
                \: \gamma \text{ (lr)}, \: \eta \text{ (lr decay)},                                      \\
            &\hspace{13mm}      \lambda \text{ (weight decay)}, \: \tau
                \text{ (initial accumulator value)}, \: \varepsilon \text{ (eps)},
                \: \textit{maximize}                                                                     \\
            &\textbf{initialize} : s_0 \leftarrow \tau \text{ (sum)}                              \\[-1.ex]
            &\rule{110mm}{0.4pt}                                                                         \\
            &\textbf{for} \: t=1 \: \textbf{to} \: \ldots \: \textbf{do}                                 \\
            &\hspace{5mm}\textbf{if} \: \textit{maximize}:                                               \\
            &\hspace{10mm}g_t \leftarrow -\nabla_{\theta} f_t (\theta_{t-1})                             \\
            &\hspace{5mm}\textbf{else}                                                                   \\
            &\hspace{10mm}g_t \leftarrow \nabla_{\theta} f_t (\theta_{t-1})                              \\
            &\hspace{5mm}\tilde{\gamma} \leftarrow \gamma / \big(1 + (t - 1) \eta\big)                   \\
            &\hspace{5mm}\textbf{if} \: \lambda \neq 0                                                   \\
            &\hspace{10mm}g_t \leftarrow g_t + \lambda \theta_{t-1}                                      \\
            &\hspace{5mm}s_t \leftarrow s_{t-1} + g_t^2                                                  \\
            &\hspace{5mm}\theta_t \leftarrow \theta_{t-1} - \tilde{\gamma} g_t / \big(\sqrt{s_t}
                + \varepsilon\big)                                                                       \\
            &\rule{110mm}{0.4pt}                                                                  \\[-1.ex]
            &\bf{return} \:  \theta_t                                                             \\[-1.ex]
            &\rule{110mm}{0.4pt}                                                                  \\[-1.ex]
       \end{aligned}

    Duchi et al., "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization", JMLR 12, 2011.

    Args:
        params (iterable): parameters or named_parameters to optimize, or dicts that define parameter groups. If any
            parameter is named, all must be
        lr (float | Tensor, optional): learning rate (default: 0.01)
        lr_decay (float | Tensor, optional): learning rate decay (default: 0)
        weight_decay (float | Tensor, optional): weight decay coefficient (default: 0)
        initial_accumulator_value (float | Tensor, optional): what the sum of squares starts at (default: 0)
        eps (float | Tensor, optional): added to the denominator (default: 1e-10)
        foreach (bool | None, optional): update all parameters by operations on lists of tensors, instead of one
            parameter after another; this takes about as much more memory as the parameters do. If None, it is on where
            all parameters are on a GPU (default: None)
        capturable (bool, optional): keep all numbers of a step on the device, so that a CUDA graph can capture it
            (default: False)
        maximize (bool, optional): maximize the objective with respect to the params, instead of minimizing
            (default: False)
        differentiable (bool, optional): let autograd record the step, so that gradients flow through it
            (default: False)
        fused (bool | None, optional): update all parameters in one kernel; they must be floating point and on a
            supported device (default: None)
    """

    _module = __name__
    _eager = True

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 0.01,
        lr_decay: float | Tensor = 0,
        weight_decay: float | Tensor = 0,
        initial_accumulator_value: float | Tensor = 0,
        eps: float | Tensor = 1e-10,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "eps": eps,
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
            group.setdefault("lr", 0.01)
            group.setdefault("lr_decay", 0)
            group.setdefault("weight_decay", 0)
            group.setdefault("initial_accumulator_value", 0)
            group.setdefault("eps", 1e-10)

    @staticmethod
    def _check_arguments(group: dict[str, Any]) -> None:
        lr = group["lr"]
        lr_decay = group["lr_decay"]
        weight_decay = group["weight_decay"]
        initial_accumulator_value = group["initial_accumulator_value"]
        eps = group["eps"]
        if not 0 <= lr:
            raise ValueError(f"Invalid learning rate: {lr}")
        if not 0 <= lr_decay:
            raise ValueError(f"Invalid lr_decay value: {lr_decay}")
        if not 0 <= weight_decay:
            raise ValueError(f"Invalid weight_decay value: {weight_decay}")
        if not 0 <= initial_accumulator_value:
            raise ValueError(f"Invalid initial_accumulator_value value: {initial_accumulator_value}")
        if not 0 <= eps:
            raise ValueError(f"Invalid epsilon value: {eps}")

    @staticmethod
    def _hyperparameters(group: dict[str, Any]) -> dict[str, Any]:
        return {
            "lr": group["lr"],
            "lr_decay": group["lr_decay"],
            "weight_decay": group["weight_decay"],
            "initial_accumulator_value": group["initial_accumulator_value"],
            "eps": group["eps"],
            "maximize": group["maximize"],
        }

    @staticmethod
    def _state_keys(group: dict[str, Any]) -> tuple[str | None, ...]:
        return ("sum",)

    @staticmethod
    def _init_state(state: dict[str, Any], param: Tensor, group: dict[str, Any]) -> None:
        state["sum"] = full_state(group["initial_accumulator_value"], param)

    @classmethod
    def _check_sparse(cls, group: dict[str, Any]) -> None:
        if group["weight_decay"] != 0:
            raise RuntimeError("weight_decay option is not compatible with sparse gradients")

    @staticmethod
    def _updates_rows(group: dict[str, Any]) -> bool:
        return group["weight_decay"] == 0

    @staticmethod
    def _functions() -> tuple[Any, Any, Any, Any]:
        return _single_tensor_adagrad, _multi_tensor_adagrad, _capturable_adagrad, _differentiable_adagrad


def _single_tensor_adagrad(
    params: list[Tensor],
    grads: list[Tensor],
    sums: list[Tensor],
    *,
    step: float,
    lr: float,
    lr_decay: float,
    weight_decay: float,
    initial_accumulator_value: float,
    eps: float,
    maximize: bool,
) -> None:
    """Updates each of ``params`` in place, one after another."""
    gamma_tilde = lr / (1 + (step - 1) * lr_decay)
    for i in range(len(params)):
        param = params[i]
        grad = grads[i]
        sum = sums[i]
        if maximize:
            grad = -grad
        if weight_decay != 0:
            grad = grad.add(param, alpha=weight_decay)
        sum.addcmul_(grad, grad)
        denom = sum.sqrt().add_(eps)
        param.addcdiv_(grad, denom, value=-gamma_tilde)


def _multi_tensor_adagrad(
    params: list[Tensor],
    grads: list[Tensor],
    sums: list[Tensor],
    *,
    step: float,
    lr: float,
    lr_decay: float,
    weight_decay: float,
    initial_accumulator_value: float,
    eps: float,
    maximize: bool,
) -> None:
    """Updates all of ``params``, of one device and dtype, with operations on the whole list."""
    gamma_tilde = lr / (1 + (step - 1) * lr_decay)
    if maximize:
        grads = torch._foreach_neg(grads)
    if weight_decay != 0:
        grads = torch._foreach_add(grads, params, alpha=weight_decay)
    torch._foreach_addcmul_(sums, grads, grads)
    denoms = torch._foreach_sqrt(sums)
    torch._foreach_add_(denoms, eps)
    torch._foreach_addcdiv_(params, grads, denoms, value=-gamma_tilde)


def _capturable_adagrad(
    params: list[Tensor],
    grads: list[Tensor],
    sums: list[Tensor],
    *,
    step: Tensor,
    lr: float | Tensor,
    lr_decay: float | Tensor,
    weight_decay: float | Tensor,
    initial_accumulator_value: float | Tensor,
    eps: float | Tensor,
    maximize: bool,
) -> None:
    """As ``_multi_tensor``, with scalars on the device: ``step`` has one entry per parameter."""
    gamma_tilde = lr / (1 + (step - 1) * lr_decay)
    if maximize:
        grads = torch._foreach_neg(grads)
    if weight_decay != 0:
        grads = foreach.add(grads, params, weight_decay)
    torch._foreach_addcmul_(sums, grads, grads)
    denoms = torch._foreach_sqrt(sums)
    foreach.add_scalar_(denoms, eps)
    foreach.addcdiv_(params, grads, denoms, -gamma_tilde)


def _differentiable_adagrad(
    params: list[Tensor],
    grads: list[Tensor],
    sums: list[Tensor],
    *,
    step: float,
    lr: float | Tensor,
    lr_decay: float | Tensor,
    weight_decay: float | Tensor,
    initial_accumulator_value: float | Tensor,
    eps: float | Tensor,
    maximize: bool,
) -> None:
    """As ``_single_tensor``, in operations that autograd can follow; hyperparameters may be tensors."""
    for i in range(len(params)):
        param = params[i].clone()
        grad = grads[i]
        sum = sums[i].clone()
        gamma_tilde = lr / (1 + (step - 1) * lr_decay)
        if maximize:
            grad = -grad
        if weight_decay != 0:
            grad = grad + weight_decay * param
        sum = sum + grad ** 2
        param = param - gamma_tilde * (grad / (scalars.sqrt(sum) + eps))
        params[i].copy_(param)
        sums[i].copy_(sum)
