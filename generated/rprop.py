# Compiled by optdsl 0.1.0 from rprop.opt (sha256 6fd4aa114fac). Do not edit.
from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from ._support import BaseOptimizer, foreach, full_state, scalars

__all__ = ["Rprop"]


class Rprop(BaseOptimizer):
    r"""Resilient backpropagation: every element has its own step size, and only the sign of the gradient counts.

    .. math::
       \begin{aligned}
            &\rule{110mm}{0.4pt}                                                                         \\
            &\textbf{input}      : \theta_0 \text{ (params)}, \: f(\theta) \text{ (objective)},
                \: \gamma \text{ (lr)}, \: \eta_-, \eta_+ \text{ (etas)},                                \\
            &\hspace{13mm}      \Gamma_{\mathrm{min}}, \Gamma_{\mathrm{max}}
                \text{ (step sizes)}, \: \textit{maximize}                                               \\
            &\textbf{initialize} : g_0^{\mathrm{prev}} \leftarrow 0 \text{ (prev)}, \: \eta_0
                \leftarrow \gamma \text{ (step size)}                                             \\[-1.ex]
            &\rule{110mm}{0.4pt}                                                                         \\
            &\textbf{for} \: t=1 \: \textbf{to} \: \ldots \: \textbf{do}                                 \\
            &\hspace{5mm}\textbf{if} \: \textit{maximize}:                                               \\
            &\hspace{10mm}g_t \leftarrow -\nabla_{\theta} f_t (\theta_{t-1})                             \\
            &\hspace{5mm}\textbf{else}                                                                   \\
            &\hspace{10mm}g_t \leftarrow \nabla_{\theta} f_t (\theta_{t-1})                              \\
            &\hspace{5mm}\textbf{for} \: i = 0, 1, \ldots, d-1 \: \textbf{do}                            \\
            &\hspace{10mm}\textbf{if} \: g_{t-1}^{\mathrm{prev}} g_t > 0                                 \\
            &\hspace{15mm}\eta_t \leftarrow \eta_{t-1} \eta_+                                            \\
            &\hspace{10mm}\textbf{else if} \: g_{t-1}^{\mathrm{prev}} g_t < 0                            \\
            &\hspace{15mm}\eta_t \leftarrow \eta_{t-1} \eta_-                                            \\
            &\hspace{15mm}g_t \leftarrow 0                                                               \\
            &\hspace{5mm}\eta_t \leftarrow \mathrm{clamp}(\eta_t, \Gamma_{\mathrm{min}},
                \Gamma_{\mathrm{max}})                                                                   \\
            &\hspace{5mm}\theta_t \leftarrow \theta_{t-1} - \eta_t \mathrm{sign}(g_t)                    \\
            &\hspace{5mm}g_t^{\mathrm{prev}} \leftarrow g_t                                              \\
            &\rule{110mm}{0.4pt}                                                                  \\[-1.ex]
            &\bf{return} \:  \theta_t                                                             \\[-1.ex]
            &\rule{110mm}{0.4pt}                                                                  \\[-1.ex]
       \end{aligned}

    Riedmiller and Braun, "A direct adaptive method for faster backpropagation learning: the RPROP algorithm", 1993.

    Args:
        params (iterable): parameters or named_parameters to optimize, or dicts that define parameter groups. If any
            parameter is named, all must be
        lr (float | Tensor, optional): the first step size (default: 0.01)
        etas (tuple[float | Tensor, float | Tensor], optional): factors by which step sizes shrink and grow
            (default: (0.5, 1.2))
        step_sizes (tuple[float | Tensor, float | Tensor], optional): the smallest and the largest step size
            (default: (1e-06, 50))
        fused (bool | None, optional): update all parameters in one kernel; they must be floating point and on a
            supported device (default: None)
        capturable (bool, optional): keep all numbers of a step on the device, so that a CUDA graph can capture it
            (default: False)
        foreach (bool | None, optional): update all parameters by operations on lists of tensors, instead of one
            parameter after another; this takes about as much more memory as the parameters do. If None, it is on where
            all parameters are on a GPU (default: None)
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
        lr: float | Tensor = 0.01,
        etas: tuple[float | Tensor, float | Tensor] = (0.5, 1.2),
        step_sizes: tuple[float | Tensor, float | Tensor] = (1e-06, 50),
        *,
        fused: bool | None = None,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "etas": etas,
            "step_sizes": step_sizes,
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
            group.setdefault("etas", (0.5, 1.2))
            group.setdefault("step_sizes", (1e-06, 50))

    @staticmethod
    def _check_arguments(group: dict[str, Any]) -> None:
        lr = group["lr"]
        eta_minus, eta_plus = group["etas"]
        if not 0 <= lr:
            raise ValueError(f"Invalid learning rate: {lr}")
        if not 0 < eta_minus < 1 < eta_plus:
            raise ValueError(f"Invalid eta values: {eta_minus}, {eta_plus}")

    @staticmethod
    def _hyperparameters(group: dict[str, Any]) -> dict[str, Any]:
        eta_minus, eta_plus = group["etas"]
        Gamma_min, Gamma_max = group["step_sizes"]
        return {
            "lr": group["lr"],
            "eta_minus": eta_minus,
            "eta_plus": eta_plus,
            "Gamma_min": Gamma_min,
            "Gamma_max": Gamma_max,
            "maximize": group["maximize"],
        }

    @staticmethod
    def _state_keys(group: dict[str, Any]) -> tuple[str | None, ...]:
        return ("prev", "step_size")

    @staticmethod
    def _init_state(state: dict[str, Any], param: Tensor, group: dict[str, Any]) -> None:
        state["prev"] = torch.zeros_like(param, memory_format=torch.preserve_format)
        state["step_size"] = full_state(group["lr"], param)

    @staticmethod
    def _functions() -> tuple[Any, Any, Any, Any]:
        return _single_tensor_rprop, _multi_tensor_rprop, _capturable_rprop, _differentiable_rprop


def _single_tensor_rprop(
    params: list[Tensor],
    grads: list[Tensor],
    prevs: list[Tensor],
    step_sizes: list[Tensor],
    *,
    lr: float,
    eta_minus: float,
    eta_plus: float,
    Gamma_min: float,
    Gamma_max: float,
    maximize: bool,
) -> None:
    """Updates each of ``params`` in place, one after another."""
    for i in range(len(params)):
        param = params[i]
        grad = grads[i]
        prev = prevs[i]
        step_size = step_sizes[i]
        if maximize:
            grad = -grad
        shared = prev.mul(grad)
        mask = shared < 0
        grad = torch.where(mask, 0, grad)
        mask2 = shared > 0
        new_step_size = torch.full_like(param, eta_minus)
        new_step_size2 = torch.where(mask, new_step_size, 1)
        new_step_size3 = torch.where(mask2, eta_plus, new_step_size2)
        step_size.mul_(new_step_size3).clamp_(Gamma_min, Gamma_max)
        numer = grad.sign()
        param.addcmul_(step_size, numer, value=-1)
        prev.copy_(grad)


def _multi_tensor_rprop(
    params: list[Tensor],
    grads: list[Tensor],
    prevs: list[Tensor],
    step_sizes: list[Tensor],
    *,
    lr: float,
    eta_minus: float,
    eta_plus: float,
    Gamma_min: float,
    Gamma_max: float,
    maximize: bool,
) -> None:
    """Updates all of ``params``, of one device and dtype, with operations on the whole list."""
    if maximize:
        grads = torch._foreach_neg(grads)
    shareds = torch._foreach_mul(prevs, grads)
    masks = [shared < 0 for shared in shareds]
    grads = [torch.where(mask, 0, grad) for mask, grad in zip(masks, grads, strict=True)]
    new_step_size3s = [
        torch.where(shared > 0, eta_plus, torch.where(mask, torch.full_like(param, eta_minus), 1))
        for shared, mask, param in zip(shareds, masks, params, strict=True)
    ]
    torch._foreach_mul_(step_sizes, new_step_size3s)
    torch._foreach_maximum_(step_sizes, Gamma_min)
    torch._foreach_minimum_(step_sizes, Gamma_max)
    del shareds, masks, new_step_size3s
    numers = torch._foreach_sign(grads)
    torch._foreach_addcmul_(params, step_sizes, numers, value=-1)
    torch._foreach_copy_(prevs, grads)


def _capturable_rprop(
    params: list[Tensor],
    grads: list[Tensor],
    prevs: list[Tensor],
    step_sizes: list[Tensor],
    *,
    lr: float | Tensor,
    eta_minus: float | Tensor,
    eta_plus: float | Tensor,
    Gamma_min: float | Tensor,
    Gamma_max: float | Tensor,
    maximize: bool,
) -> None:
    """As ``_multi_tensor``, with scalars on the device: ``step`` has one entry per parameter."""
    if maximize:
        grads = torch._foreach_neg(grads)
    shareds = torch._foreach_mul(prevs, grads)
    masks = [shared < 0 for shared in shareds]
    grads = [scalars.where(mask, 0, grad) for mask, grad in zip(masks, grads, strict=True)]
    new_step_size3s = [
        scalars.where(shared > 0, s4, scalars.where(mask, scalars.full_like(param, s3), 1))
        for shared, mask, param, s3, s4 in zip(
            shareds, masks, params, foreach.values(eta_minus, params), foreach.values(eta_plus, params), strict=True
        )
    ]
    torch._foreach_mul_(step_sizes, new_step_size3s)
    foreach.maximum_(step_sizes, Gamma_min)
    foreach.minimum_(step_sizes, Gamma_max)
    del shareds, masks, new_step_size3s
    numers = torch._foreach_sign(grads)
    torch._foreach_addcmul_(params, step_sizes, numers, value=-1)
    torch._foreach_copy_(prevs, grads)


def _differentiable_rprop(
    params: list[Tensor],
    grads: list[Tensor],
    prevs: list[Tensor],
    step_sizes: list[Tensor],
    *,
    lr: float | Tensor,
    eta_minus: float | Tensor,
    eta_plus: float | Tensor,
    Gamma_min: float | Tensor,
    Gamma_max: float | Tensor,
    maximize: bool,
) -> None:
    """As ``_single_tensor``, in operations that autograd can follow; hyperparameters may be tensors."""
    for i in range(len(params)):
        param = params[i].clone()
        grad = grads[i]
        prev = prevs[i].clone()
        step_size = step_sizes[i].clone()
        if maximize:
            grad = -grad
        shared = prev * grad
        mask = shared < 0
        grad = scalars.where(mask, 0, grad, like=param)
        step_size = scalars.minimum(
            scalars.maximum(
                scalars.where(
                    shared > 0,
                    eta_plus * step_size,
                    scalars.where(mask, eta_minus * step_size, step_size, like=param),
                    like=param,
                ),
                Gamma_min,
            ),
            Gamma_max,
        )
        param = param - step_size * scalars.sign(grad)
        prev = grad
        params[i].copy_(param)
        prevs[i].copy_(prev)
        step_sizes[i].copy_(step_size)
