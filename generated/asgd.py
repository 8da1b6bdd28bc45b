# Compiled by optdsl 0.1.0 from asgd.opt (sha256 ebd9cd42da03). Do not edit.
from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from ._support import BaseOptimizer, foreach, scalar_state, scalars

__all__ = ["ASGD"]


class ASGD(BaseOptimizer):
    r"""Stochastic gradient descent that also keeps the average of its iterates.

    .. math::
       \begin{aligned}
            &\rule{110mm}{0.4pt}                                                                         \\
            &\textbf{input}      : \theta_0 \text{ (params)}, \: f(\theta) \text{ (objective)},
                \: \gamma \text{ (lr)}, \: \lambda \text{ (lambd)}, \: \alpha \text{ (alpha)},           \\
            &\hspace{13mm}      t_0 \text{ (t0)}, \: \lambda_w \text{ (weight decay)},
                \: \textit{maximize}                                                                     \\
            &\textbf{initialize} : \eta_0 \leftarrow \gamma \text{ (eta)}, \: \mu_0 \leftarrow 1
                \text{ (mu)}, \: a_0 \leftarrow 0 \text{ (ax)}                                    \\[-1.ex]
            &\rule{110mm}{0.4pt}                                                                         \\
            &\textbf{for} \: t=1 \: \textbf{to} \: \ldots \: \textbf{do}                                 \\
            &\hspace{5mm}\textbf{if} \: \textit{maximize}:                                               \\
            &\hspace{10mm}g_t \leftarrow -\nabla_{\theta} f_t (\theta_{t-1})                             \\
            &\hspace{5mm}\textbf{else}                                                                   \\
            &\hspace{10mm}g_t \leftarrow \nabla_{\theta} f_t (\theta_{t-1})                              \\
            &\hspace{5mm}\textbf{if} \: \lambda_w \neq 0                                                 \\
            &\hspace{10mm}g_t \leftarrow g_t + \lambda_w \theta_{t-1}                                    \\
            &\hspace{5mm}\theta_t \leftarrow (1 - \lambda \eta_{t-1}) \theta_{t-1}                       \\
            &\hspace{5mm}\theta_t \leftarrow \theta_t - \eta_{t-1} g_t                                   \\
            &\hspace{5mm}\textbf{if} \: \mu_{t-1} \neq 1                                                 \\
            &\hspace{10mm}a_t \leftarrow a_{t-1} + \mu_{t-1} (\theta_t - a_{t-1})                        \\
            &\hspace{5mm}\textbf{else}                                                                   \\
            &\hspace{10mm}a_t \leftarrow \theta_t                                                        \\
            &\hspace{5mm}\eta_t \leftarrow \gamma / (1 + \lambda \gamma t)^{\alpha}                      \\
            &\hspace{5mm}\mu_t \leftarrow 1 / \mathrm{max}(1, t - t_0)                                   \\
            &\rule{110mm}{0.4pt}                                                                  \\[-1.ex]
            &\bf{return} \:  \theta_t                                                             \\[-1.ex]
            &\rule{110mm}{0.4pt}                                                                  \\[-1.ex]
       \end{aligned}

    Polyak and Juditsky, "Acceleration of Stochastic Approximation by Averaging", SIAM J. Control Optim. 30, 1992.

    Args:
        params (iterable): parameters or named_parameters to optimize, or dicts that define parameter groups. If any
            parameter is named, all must be
        lr (float | Tensor, optional): learning rate (default: 0.01)
        lambd (float | Tensor, optional): decay of θ, and of the learning rate with the steps (default: 0.0001)
        alpha (float | Tensor, optional): power with which the learning rate decays (default: 0.75)
        t0 (float | Tensor, optional): the step from which on iterates are averaged (default: 1000000.0)
        weight_decay (float | Tensor, optional): weight decay coefficient (default: 0)
        foreach (bool | None, optional): update all parameters by operations on lists of tensors, instead of one
            parameter after another; this takes about as much more memory as the parameters do. If None, it is on where
            all parameters are on a GPU (default: None)
        maximize (bool, optional): maximize the objective with respect to the params, instead of minimizing
            (default: False)
        differentiable (bool, optional): let autograd record the step, so that gradients flow through it
            (default: False)
        capturable (bool, optional): keep all numbers of a step on the device, so that a CUDA graph can capture it
            (default: False)
        fused (bool | None, optional): update all parameters in one kernel; they must be floating point and on a
            supported device (default: None)
    """

    _module = __name__
    _scalar_states = ("eta", "mu")

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 0.01,
        lambd: float | Tensor = 0.0001,
        alpha: float | Tensor = 0.75,
        t0: float | Tensor = 1000000.0,
        weight_decay: float | Tensor = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
        *,
        fused: bool | None = None,
    ) -> None:
        defaults = {
            "lr": lr,
            "lambd": lambd,
            "alpha": alpha,
            "t0": t0,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
            "fused": fused,
        }
        super().__init__(params, defaults)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            group.setdefault("lr", 0.01)
            group.setdefault("lambd", 0.0001)
            group.setdefault("alpha", 0.75)
            group.setdefault("t0", 1000000.0)
            group.setdefault("weight_decay", 0)

    @staticmethod
    def _check_arguments(group: dict[str, Any]) -> None:
        lr = group["lr"]
        weight_decay = group["weight_decay"]
        if not 0 <= lr:
            raise ValueError(f"Invalid learning rate: {lr}")
        if not 0 <= weight_decay:
            raise ValueError(f"Invalid weight_decay value: {weight_decay}")

    @staticmethod
    def _hyperparameters(group: dict[str, Any]) -> dict[str, Any]:
        return {
            "lr": group["lr"],
            "lambd": group["lambd"],
            "alpha": group["alpha"],
            "t0": group["t0"],
            "weight_decay": group["weight_decay"],
            "maximize": group["maximize"],
        }

    @staticmethod
    def _state_keys(group: dict[str, Any]) -> tuple[str | None, ...]:
        return ("eta", "mu", "ax")

    @staticmethod
    def _init_state(state: dict[str, Any], param: Tensor, group: dict[str, Any]) -> None:
        state["eta"] = scalar_state(group["lr"], param, group)
        state["mu"] = scalar_state(1, param, group)
        state["ax"] = torch.zeros_like(param, memory_format=torch.preserve_format)

    @staticmethod
    def _functions() -> tuple[Any, Any, Any, Any]:
        return _single_tensor_asgd, _multi_tensor_asgd, _capturable_asgd, _differentiable_asgd


def _single_tensor_asgd(
    params: list[Tensor],
    grads: list[Tensor],
    etas: list[Tensor],
    mus: list[Tensor],
    axs: list[Tensor],
    *,
    step: float,
    lr: float,
    lambd: float,
    alpha: float,
    t0: float,
    weight_decay: float,
    maximize: bool,
) -> None:
    """Updates each of ``params`` in place, one after another."""
    eta = etas[0].item()
    mu = mus[0].item()
    step_size = 1 - lambd * eta
    eta_1 = lr / (1 + lambd * lr * step) ** alpha
    for eta_tensor in etas:
        eta_tensor.fill_(eta_1)
    mu_1 = 1 / max(1, step - t0)
    for mu_tensor in mus:
        mu_tensor.fill_(mu_1)
    for i in range(len(params)):
        param = params[i]
        grad = grads[i]
        ax = axs[i]
        if maximize:
            grad = -grad
        if weight_decay != 0:
            grad = grad.add(param, alpha=weight_decay)
        param.mul_(step_size).add_(grad, alpha=-eta)
        if mu != 1:
            ax.lerp_(param, mu)
        else:
            ax.copy_(param)


def _multi_tensor_asgd(
    params: list[Tensor],
    grads: list[Tensor],
    etas: list[Tensor],
    mus: list[Tensor],
    axs: list[Tensor],
    *,
    step: float,
    lr: float,
    lambd: float,
    alpha: float,
    t0: float,
    weight_decay: float,
    maximize: bool,
) -> None:
    """Updates all of ``params``, of one device and dtype, with operations on the whole list."""
    eta = etas[0].item()
    mu = mus[0].item()
    step_size = 1 - lambd * eta
    eta_1 = lr / (1 + lambd * lr * step) ** alpha
    for eta_tensor in etas:
        eta_tensor.fill_(eta_1)
    mu_1 = 1 / max(1, step - t0)
    for mu_tensor in mus:
        mu_tensor.fill_(mu_1)
    if maximize:
        grads = torch._foreach_neg(grads)
    if weight_decay != 0:
        grads = torch._foreach_add(grads, params, alpha=weight_decay)
    torch._foreach_mul_(params, step_size)
    torch._foreach_add_(params, grads, alpha=-eta)
    if mu != 1:
        torch._foreach_lerp_(axs, params, mu)
    else:
        torch._foreach_copy_(axs, params)


def _capturable_asgd(
    params: list[Tensor],
    grads: list[Tensor],
    etas: list[Tensor],
    mus: list[Tensor],
    axs: list[Tensor],
    *,
    step: Tensor,
    lr: float | Tensor,
    lambd: float | Tensor,
    alpha: float | Tensor,
    t0: float | Tensor,
    weight_decay: float | Tensor,
    maximize: bool,
) -> None:
    """As ``_multi_tensor``, with scalars on the device: ``step`` has one entry per parameter."""
    eta = torch.stack(etas)
    mu = torch.stack(mus)
    step_size = 1 - lambd * eta
    eta_1 = lr / (1 + lambd * lr * step) ** alpha
    foreach.assign(etas, eta_1)
    mu_1 = 1 / scalars.maximum(1, step - t0)
    foreach.assign(mus, mu_1)
    if maximize:
        grads = torch._foreach_neg(grads)
    if weight_decay != 0:
        grads = foreach.add(grads, params, weight_decay)
    foreach.mul_(params, step_size)
    foreach.add_(params, grads, -eta)
    numers = torch._foreach_sub(params, axs)
    foreach.add_(axs, numers, mu)
    del numers
    new_axs = [
        scalars.where(s2, ax, param) for ax, param, s2 in zip(axs, params, foreach.values(mu != 1, params), strict=True)
    ]
    torch._foreach_copy_(axs, new_axs)


def _differentiable_asgd(
    params: list[Tensor],
    grads: list[Tensor],
    etas: list[Tensor],
    mus: list[Tensor],
    axs: list[Tensor],
    *,
    step: float,
    lr: float | Tensor,
    lambd: float | Tensor,
    alpha: float | Tensor,
    t0: float | Tensor,
    weight_decay: float | Tensor,
    maximize: bool,
) -> None:
    """As ``_single_tensor``, in operations that autograd can follow; hyperparameters may be tensors."""
    for i in range(len(params)):
        param = params[i].clone()
        grad = grads[i]
        eta = etas[i].clone()
        mu = mus[i].clone()
        ax = axs[i].clone()
        step_size = 1 - lambd * eta
        eta_1 = lr / (1 + lambd * lr * step) ** alpha
        mu_1 = 1 / scalars.maximum(1, step - t0)
        if maximize:
            grad = -grad
        if weight_decay != 0:
            grad = grad + weight_decay * param
        param = step_size * param - eta * grad
        if mu != 1:
            ax = ax + mu * (param - ax)
        else:
            ax = param
        params[i].copy_(param)
        etas[i].copy_(eta_1)
        mus[i].copy_(mu_1)
        axs[i].copy_(ax)
