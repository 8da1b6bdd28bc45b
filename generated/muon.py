# Compiled by optdsl 0.1.0 from muon.opt (sha256 7d1f67cdeda2). Do not edit.
from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from ._support import BaseOptimizer, facts, foreach, matrices, scalars

__all__ = ["Muon"]


class Muon(BaseOptimizer):
    r"""Momentum orthogonalized by Newton-Schulz, for the matrices of hidden layers.

    .. math::
       \begin{aligned}
            &\rule{110mm}{0.4pt}                                                                         \\
            &\textbf{input}      : \theta_0 \text{ (params)}, \: f(\theta) \text{ (objective)},
                \: \gamma \text{ (lr)}, \: \lambda \text{ (weight decay)},                               \\
            &\hspace{13mm}      \mu \text{ (momentum)}, \: \textit{nesterov}, \: a, b, c
                \text{ (ns coefficients)}, \: \varepsilon \text{ (eps)},                                 \\
            &\hspace{13mm}      k \text{ (ns steps)}, \: \textit{adjust\_lr\_fn} \in
                \{\text{``original''}, \text{``match\_rms\_adamw''}\},                                   \\
            &\hspace{13mm}      \textit{maximize}                                                        \\
            &\textbf{initialize} : B_0 \leftarrow 0 \text{ (momentum buffer)}                     \\[-1.ex]
            &\rule{110mm}{0.4pt}                                                                         \\
            &\textbf{for} \: t=1 \: \textbf{to} \: \ldots \: \textbf{do}                                 \\
            &\hspace{5mm}\textbf{if} \: \textit{maximize}:                                               \\
            &\hspace{10mm}g_t \leftarrow -\nabla_{\theta} f_t (\theta_{t-1})                             \\
            &\hspace{5mm}\textbf{else}                                                                   \\
            &\hspace{10mm}g_t \leftarrow \nabla_{\theta} f_t (\theta_{t-1})                              \\
            &\hspace{5mm}B_t \leftarrow \mu B_{t-1} + (1 - \mu) g_t                                      \\
            &\hspace{5mm}\tilde{B_t} \leftarrow \begin{cases} (1 - \mu) g_t + \mu B_t &
                \text{if } \textit{nesterov} \\ B_t & \text{otherwise} \end{cases}                       \\
            &\hspace{5mm}O_t \leftarrow \mathrm{NS}(\tilde{B_t}; a, b, c, \varepsilon, k)                \\
            &\hspace{5mm}\alpha \leftarrow \begin{cases} 0.2
                \sqrt{\mathrm{max}(\mathrm{rows}(\theta_t), \mathrm{cols}(\theta_t))} &
                \text{if } \textit{adjust\_lr\_fn} = \text{``match\_rms\_adamw''} \\
                \sqrt{\mathrm{max}(1, \mathrm{rows}(\theta_t) / \mathrm{cols}(\theta_t))} &
                \text{otherwise} \end{cases}                                                             \\
            &\hspace{5mm}\theta_t \leftarrow \theta_{t-1} - \gamma \lambda \theta_{t-1}                  \\
            &\hspace{5mm}\theta_t \leftarrow \theta_t - \gamma \alpha O_t                                \\
            &\rule{110mm}{0.4pt}                                                                  \\[-1.ex]
            &\bf{return} \:  \theta_t                                                             \\[-1.ex]
            &\rule{110mm}{0.4pt}                                                                  \\[-1.ex]
       \end{aligned}

    Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024.

    Args:
        params (iterable): parameters or named_parameters to optimize, or dicts that define parameter groups. If any
            parameter is named, all must be
        lr (float | Tensor, optional): γ (default: 0.001)
        weight_decay (float | Tensor, optional): λ (default: 0.1)
        momentum (float | Tensor, optional): μ (default: 0.95)
        nesterov (bool, optional): nesterov (default: True)
        ns_coefficients (tuple[float | Tensor, float | Tensor, float | Tensor], optional): a, b, c
            (default: (3.4445, -4.775, 2.0315))
        eps (float | Tensor, optional): ε (default: 1e-07)
        ns_steps (float | Tensor, optional): k (default: 5)
        adjust_lr_fn (str | None, optional): one of 'original', 'match_rms_adamw' (default: None)
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
    _counts_steps = False
    _reads_step = False
    _facts = ("rows", "cols")
    _needs_elements = True
    _takes_complex = False

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 0.001,
        weight_decay: float | Tensor = 0.1,
        momentum: float | Tensor = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float | Tensor, float | Tensor, float | Tensor] = (3.4445, -4.775, 2.0315),
        eps: float | Tensor = 1e-07,
        ns_steps: float | Tensor = 5,
        adjust_lr_fn: str | None = None,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        defaults = {
            "lr": lr,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "nesterov": nesterov,
            "ns_coefficients": ns_coefficients,
            "eps": eps,
            "ns_steps": ns_steps,
            "adjust_lr_fn": adjust_lr_fn,
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
            group.setdefault("weight_decay", 0.1)
            group.setdefault("momentum", 0.95)
            group.setdefault("nesterov", True)
            group.setdefault("ns_coefficients", (3.4445, -4.775, 2.0315))
            group.setdefault("eps", 1e-07)
            group.setdefault("ns_steps", 5)
            group.setdefault("adjust_lr_fn", None)

    @staticmethod
    def _check_arguments(group: dict[str, Any]) -> None:
        lr = group["lr"]
        weight_decay = group["weight_decay"]
        momentum = group["momentum"]
        ns_steps = group["ns_steps"]
        adjust_lr_fn = group["adjust_lr_fn"]
        if not 0 <= lr:
            raise ValueError(f"Learning rate should be >= 0 but is: {lr}")
        if not 0 <= weight_decay:
            raise ValueError(f"weight decay should be >= 0 but is: {weight_decay}")
        if not 0 <= momentum:
            raise ValueError(f"momentum should be >= 0 but is: {momentum}")
        if not ns_steps < 100:
            raise ValueError("Number of steps must be less than 100 for computational efficiency")
        if adjust_lr_fn is not None and adjust_lr_fn != 'original' and adjust_lr_fn != 'match_rms_adamw':
            raise ValueError(f"Adjust learning rate function {adjust_lr_fn} is not supported")
        if adjust_lr_fn not in (None, "original", "match_rms_adamw"):
            raise ValueError(f"Invalid adjust_lr_fn value: {adjust_lr_fn}")

    @staticmethod
    def _check_param(param: Tensor, group: dict[str, Any]) -> None:
        if facts.dim(param) != 2:
            raise ValueError(f"Muon only supports 2D parameters whereas we found a parameter with size: {param.size()}")

    @staticmethod
    def _hyperparameters(group: dict[str, Any]) -> dict[str, Any]:
        a, b, c = group["ns_coefficients"]
        return {
            "lr": group["lr"],
            "weight_decay": group["weight_decay"],
            "momentum": group["momentum"],
            "nesterov": group["nesterov"],
            "a": a,
            "b": b,
            "c": c,
            "eps": group["eps"],
            "ns_steps": group["ns_steps"],
            "adjust_lr_fn": group["adjust_lr_fn"],
            "maximize": group["maximize"],
        }

    @staticmethod
    def _state_keys(group: dict[str, Any]) -> tuple[str | None, ...]:
        return ("momentum_buffer",)

    @staticmethod
    def _init_state(state: dict[str, Any], param: Tensor, group: dict[str, Any]) -> None:
        state["momentum_buffer"] = torch.zeros_like(param, memory_format=torch.preserve_format)

    @staticmethod
    def _functions() -> tuple[Any, Any, Any, Any]:
        return _single_tensor_muon, _multi_tensor_muon, _capturable_muon, _differentiable_muon


def _NS(X, a, b, c, epsilon, k):
    """k Newton-Schulz iterations toward the nearest semi-orthogonal matrix, in bfloat16."""
    X = X.bfloat16()
    if X.size(-2) > X.size(-1):
        return _NS(X.mT, a, b, c, epsilon, k).mT
    X = X / X.norm(dim=(-2, -1), keepdim=True).clamp(min=epsilon)
    for _ in range(k):
        A = X @ X.mT
        X = matrices.addmm(X, matrices.addmm(A, A, A, beta=b, alpha=c), X, beta=a)
    return X


def _single_tensor_muon(
    params: list[Tensor],
    grads: list[Tensor],
    momentum_buffers: list[Tensor],
    *,
    param_rows: int,
    param_cols: int,
    lr: float,
    weight_decay: float,
    momentum: float,
    nesterov: bool,
    a: float,
    b: float,
    c: float,
    eps: float,
    ns_steps: float,
    adjust_lr_fn: str | None,
    maximize: bool,
) -> None:
    """Updates each of ``params`` in place, one after another."""
    alpha = (
        0.2 * max(param_rows, param_cols) ** 0.5
        if adjust_lr_fn == 'match_rms_adamw'
        else max(1, param_rows / param_cols) ** 0.5
    )
    for i in range(len(params)):
        param = params[i]
        grad = grads[i]
        momentum_buffer = momentum_buffers[i]
        if maximize:
            grad = -grad
        momentum_buffer.lerp_(grad, 1 - momentum)
        if nesterov:
            B_tilde = grad.lerp(momentum_buffer, momentum)
        else:
            B_tilde = momentum_buffer
        numer = _NS(B_tilde, a, b, c, eps, ns_steps)
        param.mul_(1 - lr * weight_decay).add_(numer, alpha=-lr * alpha)


def _multi_tensor_muon(
    params: list[Tensor],
    grads: list[Tensor],
    momentum_buffers: list[Tensor],
    *,
    param_rows: int,
    param_cols: int,
    lr: float,
    weight_decay: float,
    momentum: float,
    nesterov: bool,
    a: float,
    b: float,
    c: float,
    eps: float,
    ns_steps: float,
    adjust_lr_fn: str | None,
    maximize: bool,
) -> None:
    """Updates all of ``params``, of one device and dtype, with operations on the whole list."""
    alpha = (
        0.2 * max(param_rows, param_cols) ** 0.5
        if adjust_lr_fn == 'match_rms_adamw'
        else max(1, param_rows / param_cols) ** 0.5
    )
    if maximize:
        grads = torch._foreach_neg(grads)
    torch._foreach_lerp_(momentum_buffers, grads, 1 - momentum)
    if nesterov:
        B_tildes = torch._foreach_lerp(grads, momentum_buffers, momentum)
    else:
        B_tildes = momentum_buffers
    numers = foreach.batched(_NS, B_tildes, a, b, c, eps, ns_steps)
    torch._foreach_mul_(params, 1 - lr * weight_decay)
    torch._foreach_add_(params, numers, alpha=-lr * alpha)


def _capturable_muon(
    params: list[Tensor],
    grads: list[Tensor],
    momentum_buffers: list[Tensor],
    *,
    param_rows: int,
    param_cols: int,
    lr: float | Tensor,
    weight_decay: float | Tensor,
    momentum: float | Tensor,
    nesterov: bool,
    a: float | Tensor,
    b: float | Tensor,
    c: float | Tensor,
    eps: float | Tensor,
    ns_steps: float | Tensor,
    adjust_lr_fn: str | None,
    maximize: bool,
) -> None:
    """As ``_multi_tensor``, with scalars on the device: ``step`` has one entry per parameter."""
    alpha = scalars.where(
        adjust_lr_fn == 'match_rms_adamw',
        0.2 * scalars.sqrt(scalars.maximum(param_rows, param_cols)),
        scalars.sqrt(scalars.maximum(1, param_rows / param_cols)),
    )
    if maximize:
        grads = torch._foreach_neg(grads)
    foreach.lerp_(momentum_buffers, grads, 1 - momentum)
    if nesterov:
        B_tildes = foreach.lerp(grads, momentum_buffers, momentum)
    else:
        B_tildes = momentum_buffers
    numers = foreach.batched(_NS, B_tildes, a, b, c, eps, ns_steps)
    foreach.mul_(params, 1 - lr * weight_decay)
    foreach.add_(params, numers, -lr * alpha)


def _differentiable_muon(
    params: list[Tensor],
    grads: list[Tensor],
    momentum_buffers: list[Tensor],
    *,
    param_rows: int,
    param_cols: int,
    lr: float | Tensor,
    weight_decay: float | Tensor,
    momentum: float | Tensor,
    nesterov: bool,
    a: float | Tensor,
    b: float | Tensor,
    c: float | Tensor,
    eps: float | Tensor,
    ns_steps: float | Tensor,
    adjust_lr_fn: str | None,
    maximize: bool,
) -> None:
    """As ``_single_tensor``, in operations that autograd can follow; hyperparameters may be tensors."""
    for i in range(len(params)):
        param = params[i].clone()
        grad = grads[i]
        momentum_buffer = momentum_buffers[i].clone()
        alpha = (
            0.2 * scalars.sqrt(scalars.maximum(param_rows, param_cols))
            if adjust_lr_fn == 'match_rms_adamw'
            else scalars.sqrt(scalars.maximum(1, param_rows / param_cols))
        )
        if maximize:
            grad = -grad
        momentum_buffer = momentum * momentum_buffer + (1 - momentum) * grad
        if nesterov:
            B_tilde = (1 - momentum) * grad + momentum * momentum_buffer
        else:
            B_tilde = momentum_buffer
        param = (1 - lr * weight_decay) * param - lr * alpha * _NS(B_tilde, a, b, c, eps, ns_steps)
        params[i].copy_(param)
        momentum_buffers[i].copy_(momentum_buffer)
