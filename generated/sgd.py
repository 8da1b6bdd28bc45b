# Compiled by optdsl 0.1.0 from sgd.opt (sha256 d41eb5f4b6b0). Do not edit.
from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from ._support import BaseOptimizer, foreach

__all__ = ["SGD"]


class SGD(BaseOptimizer):
    r"""Stochastic gradient descent with optional (Nesterov) momentum.

    .. math::
       \begin{aligned}
            &\rule{110mm}{0.4pt}                                                                         \\
            &\textbf{input}      : \theta_0 \text{ (params)}, \: f(\theta) \text{ (objective)},
                \: \gamma \text{ (lr)}, \: \mu \text{ (momentum)},                                       \\
            &\hspace{13mm}      \tau \text{ (dampening)}, \: \lambda \text{ (weight decay)},
                \: \textit{nesterov}, \: \textit{maximize}                                        \\[-1.ex]
            &\rule{110mm}{0.4pt}                                                                         \\
            &\textbf{for} \: t=1 \: \textbf{to} \: \ldots \: \textbf{do}                                 \\
            &\hspace{5mm}\textbf{if} \: \textit{maximize}:                                               \\
            &\hspace{10mm}g_t \leftarrow -\nabla_{\theta} f_t (\theta_{t-1})                             \\
            &\hspace{5mm}\textbf{else}                                                                   \\
            &\hspace{10mm}g_t \leftarrow \nabla_{\theta} f_t (\theta_{t-1})                              \\
            &\hspace{5mm}\textbf{if} \: \lambda \neq 0                                                   \\
            &\hspace{10mm}g_t \leftarrow g_t + \lambda \theta_{t-1}                                      \\
            &\hspace{5mm}\textbf{if} \: \mu \neq 0                                                       \\
            &\hspace{10mm}\textbf{if} \: t > 1                                                           \\
            &\hspace{15mm}b_t \leftarrow \mu b_{t-1} + (1 - \tau) g_t                                    \\
            &\hspace{10mm}\textbf{else}                                                                  \\
            &\hspace{15mm}b_t \leftarrow g_t                                                             \\
            &\hspace{10mm}\textbf{if} \: \textit{nesterov}                                               \\
            &\hspace{15mm}g_t \leftarrow g_t + \mu b_t                                                   \\
            &\hspace{10mm}\textbf{else}                                                                  \\
            &\hspace{15mm}g_t \leftarrow b_t                                                             \\
            &\hspace{5mm}\theta_t \leftarrow \theta_{t-1} - \gamma g_t                                   \\
            &\rule{110mm}{0.4pt}                                                                  \\[-1.ex]
            &\bf{return} \:  \theta_t                                                             \\[-1.ex]
            &\rule{110mm}{0.4pt}                                                                  \\[-1.ex]
       \end{aligned}

    Sutskever et al., "On the importance of initialization and momentum in deep learning", 2013.

    Args:
        params (iterable): parameters or named_parameters to optimize, or dicts that define parameter groups. If any
            parameter is named, all must be
        lr (float | Tensor, optional): learning rate (default: 0.001)
        momentum (float | Tensor, optional): momentum factor (default: 0)
        dampening (float | Tensor, optional): dampening of the momentum (default: 0)
        weight_decay (float | Tensor, optional): weight decay coefficient (default: 0)
        nesterov (bool, optional): use Nesterov momentum (default: False)
        capturable (bool, optional): keep all numbers of a step on the device, so that a CUDA graph can capture it
            (default: False)
        maximize (bool, optional): maximize the objective with respect to the params, instead of minimizing
            (default: False)
        foreach (bool | None, optional): update all parameters by operations on lists of tensors, instead of one
            parameter after another; this takes about as much more memory as the parameters do. If None, it is on where
            all parameters are on a GPU (default: None)
        differentiable (bool, optional): let autograd record the step, so that gradients flow through it
            (default: False)
        fused (bool | None, optional): update all parameters in one kernel; they must be floating point and on a
            supported device (default: None)
    """

    _module = __name__
    _counts_steps = False
    _reads_step = False
    _late_states = ("momentum_buffer",)

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 0.001,
        momentum: float | Tensor = 0,
        dampening: float | Tensor = 0,
        weight_decay: float | Tensor = 0,
        nesterov: bool = False,
        *,
        capturable: bool = False,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
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
            group.setdefault("momentum", 0)
            group.setdefault("dampening", 0)
            group.setdefault("weight_decay", 0)
            group.setdefault("nesterov", False)

    @staticmethod
    def _check_arguments(group: dict[str, Any]) -> None:
        lr = group["lr"]
        momentum = group["momentum"]
        dampening = group["dampening"]
        weight_decay = group["weight_decay"]
        nesterov = group["nesterov"]
        if not 0 <= lr:
            raise ValueError(f"Invalid learning rate: {lr}")
        if not 0 <= momentum:
            raise ValueError(f"Invalid momentum value: {momentum}")
        if not 0 <= weight_decay:
            raise ValueError(f"Invalid weight_decay value: {weight_decay}")
        if nesterov and (not momentum > 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")

    @staticmethod
    def _hyperparameters(group: dict[str, Any]) -> dict[str, Any]:
        return {
            "lr": group["lr"],
            "momentum": group["momentum"],
            "dampening": group["dampening"],
            "weight_decay": group["weight_decay"],
            "nesterov": group["nesterov"],
            "maximize": group["maximize"],
        }

    @staticmethod
    def _state_keys(group: dict[str, Any]) -> tuple[str | None, ...]:
        return ("momentum_buffer" if group["momentum"] != 0 else None,)

    @classmethod
    def _check_sparse(cls, group: dict[str, Any]) -> None:
        if group["weight_decay"] != 0:
            raise RuntimeError("weight_decay option is not compatible with sparse gradients")

    @staticmethod
    def _updates_rows(group: dict[str, Any]) -> bool:
        return group["weight_decay"] == 0 and group["momentum"] == 0

    @staticmethod
    def _functions() -> tuple[Any, Any, Any, Any]:
        return _single_tensor_sgd, _multi_tensor_sgd, _capturable_sgd, _differentiable_sgd


def _single_tensor_sgd(
    params: list[Tensor],
    grads: list[Tensor],
    momentum_buffers: list[Tensor],
    *,
    lr: float,
    momentum: float,
    dampening: float,
    weight_decay: float,
    nesterov: bool,
    maximize: bool,
) -> None:
    """Updates each of ``params`` in place, one after another."""
    has_momentum_buffer = bool(momentum_buffers) and momentum_buffers[0] is not None
    for i in range(len(params)):
        param = params[i]
        grad = grads[i]
        momentum_buffer = momentum_buffers[i] if momentum != 0 else None
        if maximize:
            grad = -grad
        if weight_decay != 0:
            grad = grad.add(param, alpha=weight_decay)
        if momentum != 0:
            if has_momentum_buffer:
                momentum_buffer.mul_(momentum).add_(grad, alpha=1 - dampening)
            else:
                momentum_buffer = grad.clone()
                momentum_buffers[i] = momentum_buffer
            if nesterov:
                grad = grad.add(momentum_buffer, alpha=momentum)
            else:
                grad = momentum_buffer
        param.add_(grad, alpha=-lr)


def _multi_tensor_sgd(
    params: list[Tensor],
    grads: list[Tensor],
    momentum_buffers: list[Tensor],
    *,
    lr: float,
    momentum: float,
    dampening: float,
    weight_decay: float,
    nesterov: bool,
    maximize: bool,
) -> None:
    """Updates all of ``params``, of one device and dtype, with operations on the whole list."""
    has_momentum_buffer = bool(momentum_buffers) and momentum_buffers[0] is not None
    if maximize:
        grads = torch._foreach_neg(grads)
    if weight_decay != 0:
        grads = torch._foreach_add(grads, params, alpha=weight_decay)
    if momentum != 0:
        if has_momentum_buffer:
            torch._foreach_mul_(momentum_buffers, momentum)
            torch._foreach_add_(momentum_buffers, grads, alpha=1 - dampening)
        else:
            momentum_buffers[:] = [torch.clone(grad) for grad in grads]
        if nesterov:
            grads = torch._foreach_add(grads, momentum_buffers, alpha=momentum)
        else:
            grads = momentum_buffers
    torch._foreach_add_(params, grads, alpha=-lr)


def _capturable_sgd(
    params: list[Tensor],
    grads: list[Tensor],
    momentum_buffers: list[Tensor],
    *,
    lr: float | Tensor,
    momentum: float | Tensor,
    dampening: float | Tensor,
    weight_decay: float | Tensor,
    nesterov: bool,
    maximize: bool,
) -> None:
    """As ``_multi_tensor``, with scalars on the device: ``step`` has one entry per parameter."""
    has_momentum_buffer = bool(momentum_buffers) and momentum_buffers[0] is not None
    if maximize:
        grads = torch._foreach_neg(grads)
    if weight_decay != 0:
        grads = foreach.add(grads, params, weight_decay)
    if momentum != 0:
        if has_momentum_buffer:
            foreach.mul_(momentum_buffers, momentum)
            foreach.add_(momentum_buffers, grads, 1 - dampening)
        else:
            momentum_buffers[:] = [torch.clone(grad) for grad in grads]
        if nesterov:
            grads = foreach.add(grads, momentum_buffers, momentum)
        else:
            grads = momentum_buffers
    foreach.add_(params, grads, -lr)


def _differentiable_sgd(
    params: list[Tensor],
    grads: list[Tensor],
    momentum_buffers: list[Tensor],
    *,
    lr: float | Tensor,
    momentum: float | Tensor,
    dampening: float | Tensor,
    weight_decay: float | Tensor,
    nesterov: bool,
    maximize: bool,
) -> None:
    """As ``_single_tensor``, in operations that autograd can follow; hyperparameters may be tensors."""
    has_momentum_buffer = bool(momentum_buffers) and momentum_buffers[0] is not None
    for i in range(len(params)):
        param = params[i].clone()
        grad = grads[i].clone()
        momentum_buffer = momentum_buffers[i] if momentum != 0 else None
        if maximize:
            grad = -grad
        if weight_decay != 0:
            grad = grad + weight_decay * param
        if momentum != 0:
            if has_momentum_buffer:
                momentum_buffer = momentum * momentum_buffer + (1 - dampening) * grad
            else:
                momentum_buffer = grad
            if nesterov:
                grad = grad + momentum * momentum_buffer
            else:
                grad = momentum_buffer
        param = param - lr * grad
        params[i].copy_(param)
        if momentum != 0:
            momentum_buffers[i] = momentum_buffer
