# Compiled by optdsl 0.1.0 from adadelta.opt (sha256 25bf532d691a). Do not edit.
from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from ._support import BaseOptimizer, foreach, scalars

__all__ = ["Adadelta"]


class Adadelta(BaseOptimizer):
    r"""Steps in units of θ, from running averages of squared gradients and squared steps.

    .. math::
       \begin{aligned}
            &\rule{110mm}{0.4pt}                                                                         \\
            &\textbf{input}      : \theta_0 \text{ (params)}, \: f(\theta) \text{ (objective)},
                \: \gamma \text{ (lr)}, \: \rho \text{ (rho)}, \: \varepsilon \text{ (eps)},             \\
            &\hspace{13mm}      \lambda \text{ (weight decay)}, \: \textit{maximize}                     \\
            &\textbf{initialize} : v_0 \leftarrow 0 \text{ (square avg)}, \: u_0 \leftarrow 0
                \text{ (acc delta)}                                                               \\[-1.ex]
            &\rule{110mm}{0.4pt}                                                                         \\
            &\textbf{for} \: t=1 \: \textbf{to} \: \ldots \: \textbf{do}                                 \\
            &\hspace{5mm}\textbf{if} \: \textit{maximize}:                                               \\
            &\hspace{10mm}g_t \leftarrow -\nabla_{\theta} f_t (\theta_{t-1})                             \\
            &\hspace{5mm}\textbf{else}                                                                   \\
            &\hspace{10mm}g_t \leftarrow \nabla_{\theta} f_t (\theta_{t-1})                              \\
            &\hspace{5mm}\textbf{if} \: \lambda \neq 0                                                   \\
            &\hspace{10mm}g_t \leftarrow g_t + \lambda \theta_{t-1}                                      \\
            &\hspace{5mm}v_t \leftarrow \rho v_{t-1} + (1 - \rho) g_t^2                                  \\
            &\hspace{5mm}\Delta_t \leftarrow \sqrt{u_{t-1} + \varepsilon} / \sqrt{v_t +
                \varepsilon} \cdot g_t                                                                   \\
            &\hspace{5mm}u_t \leftarrow \rho u_{t-1} + (1 - \rho) \Delta_t^2                             \\
            &\hspace{5mm}\theta_t \leftarrow \theta_{t-1} - \gamma \Delta_t                              \\
            &\rule{110mm}{0.4pt}                                                                  \\[-1.ex]
            &\bf{return} \:  \theta_t                                                             \\[-1.ex]
            &\rule{110mm}{0.4pt}                                                                  \\[-1.ex]
       \end{aligned}

    Zeiler, "ADADELTA: An Adaptive Learning Rate Method", arXiv:1212.5701.

    Args:
        params (iterable): parameters or named_parameters to optimize, or dicts that define parameter groups. If any
            parameter is named, all must be
        lr (float | Tensor, optional): factor of the step (default: 1.0)
        rho (float | Tensor, optional): decay rate of the running averages (default: 0.9)
        eps (float | Tensor, optional): added under the roots (default: 1e-06)
        weight_decay (float | Tensor, optional): weight decay coefficient (default: 0)
        foreach (bool | None, optional): update all parameters by operations on lists of tensors, instead of one
            parameter after another; this takes about as much more memory as the parameters do. If None, it is on where
            all parameters are on a GPU (default: None)
        fused (bool | None, optional): update all parameters in one kernel; they must be floating point and on a
            supported device (default: None)
        capturable (bool, optional): keep all numbers of a step on the device, so that a CUDA graph can capture it
            (default: False)
        maximize (bool, optional): maximize the objective with respect to the params, instead of minimizing
            (default: False)
        differentiable (bool, optional): let autograd record the step, so that gradients flow through it
            (default: False)
    """

    _module = __name__
    _reads_step = False

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1.0,
        rho: float | Tensor = 0.9,
        eps: float | Tensor = 1e-06,
        weight_decay: float | Tensor = 0,
        foreach: bool | None = None,
        *,
        fused: bool | None = None,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "rho": rho,
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
            group.setdefault("lr", 1.0)
            group.setdefault("rho", 0.9)
            group.setdefault("eps", 1e-06)
            group.setdefault("weight_decay", 0)

    @staticmethod
    def _check_arguments(group: dict[str, Any]) -> None:
        lr = group["lr"]
        rho = group["rho"]
        eps = group["eps"]
        weight_decay = group["weight_decay"]
        if not 0 <= lr:
            raise ValueError(f"Invalid learning rate: {lr}")
        if not 0 <= rho <= 1:
            raise ValueError(f"Invalid rho value: {rho}")
        if not 0 <= eps:
            raise ValueError(f"Invalid epsilon value: {eps}")
        if not 0 <= weight_decay:
            raise ValueError(f"Invalid weight_decay value: {weight_decay}")

    @staticmethod
    def _hyperparameters(group: dict[str, Any]) -> dict[str, Any]:
        return {
            "lr": group["lr"],
            "rho": group["rho"],
            "eps": group["eps"],
            "weight_decay": group["weight_decay"],
            "maximize": group["maximize"],
        }

    @staticmethod
    def _state_keys(group: dict[str, Any]) -> tuple[str | None, ...]:
        return ("square_avg", "acc_delta")

    @staticmethod
    def _init_state(state: dict[str, Any], param: Tensor, group: dict[str, Any]) -> None:
        state["square_avg"] = torch.zeros_like(param, memory_format=torch.preserve_format)
        state["acc_delta"] = torch.zeros_like(param, memory_format=torch.preserve_format)

    @staticmethod
    def _functions() -> tuple[Any, Any, Any, Any]:
        return _single_tensor_adadelta, _multi_tensor_adadelta, _capturable_adadelta, _differentiable_adadelta


def _single_tensor_adadelta(
    params: list[Tensor],
    grads: list[Tensor],
    square_avgs: list[Tensor],
    acc_deltas: list[Tensor],
    *,
    lr: float,
    rho: float,
    eps: float,
    weight_decay: float,
    maximize: bool,
) -> None:
    """Updates each of ``params`` in place, one after another."""
    for i in range(len(params)):
        param = params[i]
        grad = grads[i]
        square_avg = square_avgs[i]
        acc_delta = acc_deltas[i]
        if maximize:
            grad = -grad
        if weight_decay != 0:
            grad = grad.add(param, alpha=weight_decay)
        square_avg.mul_(rho).addcmul_(grad, grad, value=1 - rho)
        Delta = acc_delta.add(eps).sqrt_().mul_(grad)
        denom = square_avg.add(eps).sqrt_()
        Delta.div_(denom)
        acc_delta.mul_(rho).addcmul_(Delta, Delta, value=1 - rho)
        param.add_(Delta, alpha=-lr)


def _multi_tensor_adadelta(
    params: list[Tensor],
    grads: list[Tensor],
    square_avgs: list[Tensor],
    acc_deltas: list[Tensor],
    *,
    lr: float,
    rho: float,
    eps: float,
    weight_decay: float,
    maximize: bool,
) -> None:
    """Updates all of ``params``, of one device and dtype, with operations on the whole list."""
    if maximize:
        grads = torch._foreach_neg(grads)
    if weight_decay != 0:
        grads = torch._foreach_add(grads, params, alpha=weight_decay)
    torch._foreach_mul_(square_avgs, rho)
    torch._foreach_addcmul_(square_avgs, grads, grads, value=1 - rho)
    Deltas = torch._foreach_add(acc_deltas, eps)
    torch._foreach_sqrt_(Deltas)
    torch._foreach_mul_(Deltas, grads)
    denoms = torch._foreach_add(square_avgs, eps)
    torch._foreach_sqrt_(denoms)
    torch._foreach_div_(Deltas, denoms)
    torch._foreach_mul_(acc_deltas, rho)
    torch._foreach_addcmul_(acc_deltas, Deltas, Deltas, value=1 - rho)
    torch._foreach_add_(params, Deltas, alpha=-lr)


def _capturable_adadelta(
    params: list[Tensor],
    grads: list[Tensor],
    square_avgs: list[Tensor],
    acc_deltas: list[Tensor],
    *,
    lr: float | Tensor,
    rho: float | Tensor,
    eps: float | Tensor,
    weight_decay: float | Tensor,
    maximize: bool,
) -> None:
    """As ``_multi_tensor``, with scalars on the device: ``step`` has one entry per parameter."""
    if maximize:
        grads = torch._foreach_neg(grads)
    if weight_decay != 0:
        grads = foreach.add(grads, params, weight_decay)
    foreach.mul_(square_avgs, rho)
    foreach.addcmul_(square_avgs, grads, grads, 1 - rho)
    Deltas = foreach.add_scalar(acc_deltas, eps)
    torch._foreach_sqrt_(Deltas)
    torch._foreach_mul_(Deltas, grads)
    denoms = foreach.add_scalar(square_avgs, eps)
    torch._foreach_sqrt_(denoms)
    torch._foreach_div_(Deltas, denoms)
    foreach.mul_(acc_deltas, rho)
    foreach.addcmul_(acc_deltas, Deltas, Deltas, 1 - rho)
    foreach.add_(params, Deltas, -lr)


def _differentiable_adadelta(
    params: list[Tensor],
    grads: list[Tensor],
    square_avgs: list[Tensor],
    acc_deltas: list[Tensor],
    *,
    lr: float | Tensor,
    rho: float | Tensor,
    eps: float | Tensor,
    weight_decay: float | Tensor,
    maximize: bool,
) -> None:
    """As ``_single_tensor``, in operations that autograd can follow; hyperparameters may be tensors."""
    for i in range(len(params)):
        param = params[i].clone()
        grad = grads[i]
        square_avg = square_avgs[i].clone()
        acc_delta = acc_deltas[i].clone()
        if maximize:
            grad = -grad
        if weight_decay != 0:
            grad = grad + weight_decay * param
        square_avg = rho * square_avg + (1 - rho) * grad ** 2
        Delta = scalars.sqrt(acc_delta + eps) * grad / scalars.sqrt(square_avg + eps)
        acc_delta = rho * acc_delta + (1 - rho) * Delta ** 2
        param = param - lr * Delta
        params[i].copy_(param)
        square_avgs[i].copy_(square_avg)
        acc_deltas[i].copy_(acc_delta)
