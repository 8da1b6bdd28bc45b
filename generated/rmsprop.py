# Compiled by optdsl 0.1.0 from rmsprop.opt (sha256 314898288cf3). Do not edit.
from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from ._support import BaseOptimizer, foreach, scalars

__all__ = ["RMSprop"]


class RMSprop(BaseOptimizer):
    r"""The gradient divided by a running average of its size, optionally centered and with momentum.

    .. math::
       \begin{aligned}
            &\rule{110mm}{0.4pt}                                                                         \\
            &\textbf{input}      : \theta_0 \text{ (params)}, \: f(\theta) \text{ (objective)},
                \: \gamma \text{ (lr)}, \: \alpha \text{ (alpha)}, \: \varepsilon \text{ (eps)},         \\
            &\hspace{13mm}      \lambda \text{ (weight decay)}, \: \mu \text{ (momentum)},
                \: \textit{centered}, \: \textit{maximize}                                               \\
            &\textbf{initialize} : v_0 \leftarrow 0 \text{ (square avg)}, \: b_0 \leftarrow 0
                \text{ (momentum buffer)}, \: g_0^{\mathrm{ave}} \leftarrow 0 \text{ (grad avg)}  \\[-1.ex]
            &\rule{110mm}{0.4pt}                                                                         \\
            &\textbf{for} \: t=1 \: \textbf{to} \: \ldots \: \textbf{do}                                 \\
            &\hspace{5mm}\textbf{if} \: \textit{maximize}:                                               \\
            &\hspace{10mm}g_t \leftarrow -\nabla_{\theta} f_t (\theta_{t-1})                             \\
            &\hspace{5mm}\textbf{else}                                                                   \\
            &\hspace{10mm}g_t \leftarrow \nabla_{\theta} f_t (\theta_{t-1})                              \\
            &\hspace{5mm}\textbf{if} \: \lambda \neq 0                                                   \\
            &\hspace{10mm}g_t \leftarrow g_t + \lambda \theta_{t-1}                                      \\
            &\hspace{5mm}v_t \leftarrow \alpha v_{t-1} + (1 - \alpha) g_t^2                              \\
            &\hspace{5mm}\tilde{v_t} \leftarrow v_t                                                      \\
            &\hspace{5mm}\textbf{if} \: \textit{centered}                                                \\
            &\hspace{10mm}g_t^{\mathrm{ave}} \leftarrow \alpha g_{t-1}^{\mathrm{ave}} + (1 -
                \alpha) g_t                                                                              \\
            &\hspace{10mm}\tilde{v_t} \leftarrow \tilde{v_t} - (g_t^{\mathrm{ave}})^2                    \\
            &\hspace{5mm}\textbf{if} \: \mu > 0                                                          \\
            &\hspace{10mm}b_t \leftarrow \mu b_{t-1} + g_t / \big(\sqrt{\tilde{v_t}} +
                \varepsilon\big)                                                                         \\
            &\hspace{10mm}\theta_t \leftarrow \theta_{t-1} - \gamma b_t                                  \\
            &\hspace{5mm}\textbf{else}                                                                   \\
            &\hspace{10mm}\theta_t \leftarrow \theta_{t-1} - \gamma g_t / \big(\sqrt{\tilde{v_t}}
                + \varepsilon\big)                                                                       \\
            &\rule{110mm}{0.4pt}                                                                  \\[-1.ex]
            &\bf{return} \:  \theta_t                                                             \\[-1.ex]
            &\rule{110mm}{0.4pt}                                                                  \\[-1.ex]
       \end{aligned}

    Tieleman and Hinton, "Lecture 6.5: rmsprop", 2012. Centered: Graves, arXiv:1308.0850.

    Args:
        params (iterable): parameters or named_parameters to optimize, or dicts that define parameter groups. If any
            parameter is named, all must be
        lr (float | Tensor, optional): learning rate (default: 0.01)
        alpha (float | Tensor, optional): decay rate of the running averages (default: 0.99)
        eps (float | Tensor, optional): added to the denominator (default: 1e-08)
        weight_decay (float | Tensor, optional): weight decay coefficient (default: 0)
        momentum (float | Tensor, optional): momentum factor (default: 0)
        centered (bool, optional): divide by the standard deviation, not the root mean square (default: False)
        capturable (bool, optional): keep all numbers of a step on the device, so that a CUDA graph can capture it
            (default: False)
        foreach (bool | None, optional): update all parameters by operations on lists of tensors, instead of one
            parameter after another; this takes about as much more memory as the parameters do. If None, it is on where
            all parameters are on a GPU (default: None)
        maximize (bool, optional): maximize the objective with respect to the params, instead of minimizing
            (default: False)
        differentiable (bool, optional): let autograd record the step, so that gradients flow through it
            (default: False)
        fused (bool | None, optional): update all parameters in one kernel; they must be floating point and on a
            supported device (default: None)
    """

    _module = __name__
    _reads_step = False

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 0.01,
        alpha: float | Tensor = 0.99,
        eps: float | Tensor = 1e-08,
        weight_decay: float | Tensor = 0,
        momentum: float | Tensor = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        *,
        fused: bool | None = None,
    ) -> None:
        defaults = {
            "lr": lr,
            "alpha": alpha,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "centered": centered,
            "capturable": capturable,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            group.setdefault("lr", 0.01)
            group.setdefault("alpha", 0.99)
            group.setdefault("eps", 1e-08)
            group.setdefault("weight_decay", 0)
            group.setdefault("momentum", 0)
            group.setdefault("centered", False)

    @staticmethod
    def _check_arguments(group: dict[str, Any]) -> None:
        lr = group["lr"]
        alpha = group["alpha"]
        eps = group["eps"]
        weight_decay = group["weight_decay"]
        momentum = group["momentum"]
        if not 0 <= lr:
            raise ValueError(f"Invalid learning rate: {lr}")
        if not 0 <= alpha:
            raise ValueError(f"Invalid alpha value: {alpha}")
        if not 0 <= eps:
            raise ValueError(f"Invalid epsilon value: {eps}")
        if not 0 <= weight_decay:
            raise ValueError(f"Invalid weight_decay value: {weight_decay}")
        if not 0 <= momentum:
            raise ValueError(f"Invalid momentum value: {momentum}")

    @staticmethod
    def _hyperparameters(group: dict[str, Any]) -> dict[str, Any]:
        return {
            "lr": group["lr"],
            "alpha": group["alpha"],
            "eps": group["eps"],
            "weight_decay": group["weight_decay"],
            "momentum": group["momentum"],
            "centered": group["centered"],
            "maximize": group["maximize"],
        }

    @staticmethod
    def _state_keys(group: dict[str, Any]) -> tuple[str | None, ...]:
        return (
            "square_avg",
            "momentum_buffer" if group["momentum"] > 0 else None,
            "grad_avg" if group["centered"] else None,
        )

    @staticmethod
    def _init_state(state: dict[str, Any], param: Tensor, group: dict[str, Any]) -> None:
        state["square_avg"] = torch.zeros_like(param, memory_format=torch.preserve_format)
        if group["momentum"] > 0:
            state["momentum_buffer"] = torch.zeros_like(param, memory_format=torch.preserve_format)
        if group["centered"]:
            state["grad_avg"] = torch.zeros_like(param, memory_format=torch.preserve_format)

    @staticmethod
    def _functions() -> tuple[Any, Any, Any, Any]:
        return _single_tensor_rmsprop, _multi_tensor_rmsprop, _capturable_rmsprop, _differentiable_rmsprop


def _single_tensor_rmsprop(
    params: list[Tensor],
    grads: list[Tensor],
    square_avgs: list[Tensor],
    momentum_buffers: list[Tensor],
    grad_avgs: list[Tensor],
    *,
    lr: float,
    alpha: float,
    eps: float,
    weight_decay: float,
    momentum: float,
    centered: bool,
    maximize: bool,
) -> None:
    """Updates each of ``params`` in place, one after another."""
    for i in range(len(params)):
        param = params[i]
        grad = grads[i]
        square_avg = square_avgs[i]
        momentum_buffer = momentum_buffers[i] if momentum > 0 else None
        grad_avg = grad_avgs[i] if centered else None
        if maximize:
            grad = -grad
        if weight_decay != 0:
            grad = grad.add(param, alpha=weight_decay)
        square_avg.mul_(alpha).addcmul_(grad, grad, value=1 - alpha)
        if centered:
            grad_avg.lerp_(grad, 1 - alpha)
            v_tilde = square_avg.addcmul(grad_avg, grad_avg, value=-1)
        else:
            v_tilde = square_avg
        if momentum > 0:
            denom = v_tilde.sqrt().add_(eps)
            momentum_buffer.mul_(momentum).addcdiv_(grad, denom)
            param.add_(momentum_buffer, alpha=-lr)
        else:
            denom = v_tilde.sqrt().add_(eps)
            param.addcdiv_(grad, denom, value=-lr)


def _multi_tensor_rmsprop(
    params: list[Tensor],
    grads: list[Tensor],
    square_avgs: list[Tensor],
    momentum_buffers: list[Tensor],
    grad_avgs: list[Tensor],
    *,
    lr: float,
    alpha: float,
    eps: float,
    weight_decay: float,
    momentum: float,
    centered: bool,
    maximize: bool,
) -> None:
    """Updates all of ``params``, of one device and dtype, with operations on the whole list."""
    if maximize:
        grads = torch._foreach_neg(grads)
    if weight_decay != 0:
        grads = torch._foreach_add(grads, params, alpha=weight_decay)
    torch._foreach_mul_(square_avgs, alpha)
    torch._foreach_addcmul_(square_avgs, grads, grads, value=1 - alpha)
    if centered:
        torch._foreach_lerp_(grad_avgs, grads, 1 - alpha)
        v_tildes = torch._foreach_addcmul(square_avgs, grad_avgs, grad_avgs, value=-1)
    else:
        v_tildes = square_avgs
    if momentum > 0:
        denoms = torch._foreach_sqrt(v_tildes)
        torch._foreach_add_(denoms, eps)
        torch._foreach_mul_(momentum_buffers, momentum)
        torch._foreach_addcdiv_(momentum_buffers, grads, denoms)
        torch._foreach_add_(params, momentum_buffers, alpha=-lr)
    else:
        denoms = torch._foreach_sqrt(v_tildes)
        torch._foreach_add_(denoms, eps)
        torch._foreach_addcdiv_(params, grads, denoms, value=-lr)


def _capturable_rmsprop(
    params: list[Tensor],
    grads: list[Tensor],
    square_avgs: list[Tensor],
    momentum_buffers: list[Tensor],
    grad_avgs: list[Tensor],
    *,
    lr: float | Tensor,
    alpha: float | Tensor,
    eps: float | Tensor,
    weight_decay: float | Tensor,
    momentum: float | Tensor,
    centered: bool,
    maximize: bool,
) -> None:
    """As ``_multi_tensor``, with scalars on the device: ``step`` has one entry per parameter."""
    if maximize:
        grads = torch._foreach_neg(grads)
    if weight_decay != 0:
        grads = foreach.add(grads, params, weight_decay)
    foreach.mul_(square_avgs, alpha)
    foreach.addcmul_(square_avgs, grads, grads, 1 - alpha)
    if centered:
        foreach.lerp_(grad_avgs, grads, 1 - alpha)
        v_tildes = torch._foreach_addcmul(square_avgs, grad_avgs, grad_avgs, value=-1)
    else:
        v_tildes = square_avgs
    if momentum > 0:
        denoms = torch._foreach_sqrt(v_tildes)
        foreach.add_scalar_(denoms, eps)
        foreach.mul_(momentum_buffers, momentum)
        torch._foreach_addcdiv_(momentum_buffers, grads, denoms)
        foreach.add_(params, momentum_buffers, -lr)
    else:
        denoms = torch._foreach_sqrt(v_tildes)
        foreach.add_scalar_(denoms, eps)
        foreach.addcdiv_(params, grads, denoms, -lr)


def _differentiable_rmsprop(
    params: list[Tensor],
    grads: list[Tensor],
    square_avgs: list[Tensor],
    momentum_buffers: list[Tensor],
    grad_avgs: list[Tensor],
    *,
    lr: float | Tensor,
    alpha: float | Tensor,
    eps: float | Tensor,
    weight_decay: float | Tensor,
    momentum: float | Tensor,
    centered: bool,
    maximize: bool,
) -> None:
    """As ``_single_tensor``, in operations that autograd can follow; hyperparameters may be tensors."""
    for i in range(len(params)):
        param = params[i].clone()
        grad = grads[i]
        square_avg = square_avgs[i].clone()
        momentum_buffer = momentum_buffers[i].clone() if momentum > 0 else None
        grad_avg = grad_avgs[i].clone() if centered else None
        if maximize:
            grad = -grad
        if weight_decay != 0:
            grad = grad + weight_decay * param
        square_avg = alpha * square_avg + (1 - alpha) * grad ** 2
        if centered:
            grad_avg = alpha * grad_avg + (1 - alpha) * grad
            v_tilde = square_avg - grad_avg ** 2
        else:
            v_tilde = square_avg
        if momentum > 0:
            momentum_buffer = momentum * momentum_buffer + grad / (scalars.sqrt(v_tilde) + eps)
            param = param - lr * momentum_buffer
        else:
            param = param - lr * (grad / (scalars.sqrt(v_tilde) + eps))
        params[i].copy_(param)
        square_avgs[i].copy_(square_avg)
        if momentum > 0:
            momentum_buffers[i].copy_(momentum_buffer)
        if centered:
            grad_avgs[i].copy_(grad_avg)
