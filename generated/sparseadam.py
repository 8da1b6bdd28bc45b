# Compiled by optdsl 0.1.0 from sparse_adam.opt (sha256 fda0879f370e). Do not edit.
from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from ._support import StoredOptimizer

__all__ = ["SparseAdam"]


class SparseAdam(StoredOptimizer):
    r"""Adam for sparse gradients: only the entries that the gradient stores are updated.

    .. math::
       \begin{aligned}
            &\rule{110mm}{0.4pt}                                                                         \\
            &\textbf{input}      : \theta_0 \text{ (params)}, \: f(\theta) \text{ (objective)},
                \: \gamma \text{ (lr)}, \: \beta_1, \beta_2 \text{ (betas)}, \: \varepsilon
                \text{ (eps)},                                                                           \\
            &\hspace{13mm}      \textit{maximize}                                                        \\
            &\textbf{initialize} : m_0 \leftarrow 0 \text{ (exp avg)}, \: v_0 \leftarrow 0
                \text{ (exp avg sq)}                                                              \\[-1.ex]
            &\rule{110mm}{0.4pt}                                                                         \\
            &\textbf{for} \: t=1 \: \textbf{to} \: \ldots \: \textbf{do}                                 \\
            &\hspace{5mm}\textbf{if} \: \textit{maximize}:                                               \\
            &\hspace{10mm}g_t \leftarrow -\nabla_{\theta} f_t (\theta_{t-1}) \quad \textbf{where}
                \: g_t \: \textbf{is} \: \textit{sparse}                                                 \\
            &\hspace{5mm}\textbf{else}                                                                   \\
            &\hspace{10mm}g_t \leftarrow \nabla_{\theta} f_t (\theta_{t-1}) \quad \textbf{where}
                \: g_t \: \textbf{is} \: \textit{sparse}                                                 \\
            &\hspace{5mm}\textbf{for} \: i \: \textbf{in} \: \mathrm{support}(g_t) \: \textbf{do}        \\
            &\hspace{10mm}m_t \leftarrow \beta_1 m_{t-1} + (1 - \beta_1) g_t                             \\
            &\hspace{10mm}v_t \leftarrow \beta_2 v_{t-1} + (1 - \beta_2) g_t^2                           \\
            &\hspace{10mm}\theta_t \leftarrow \theta_{t-1} - \gamma \sqrt{1 - \beta_2^t} / \big(1
                - \beta_1^t\big) \cdot m_t / \big(\sqrt{v_t} + \varepsilon\big)                          \\
            &\rule{110mm}{0.4pt}                                                                  \\[-1.ex]
            &\bf{return} \:  \theta_t                                                             \\[-1.ex]
            &\rule{110mm}{0.4pt}                                                                  \\[-1.ex]
       \end{aligned}

    What a gradient does not store keeps its moments and its value, so that the step of a large embedding costs what the
    rows that were used cost. The moments of an entry decay in the steps that reach it, not in every step; the bias
    correction counts every step.

    After Kingma and Ba, "Adam: A Method for Stochastic Optimization", arXiv:1412.6980.

    Args:
        params (iterable): parameters or named_parameters to optimize, or dicts that define parameter groups. If any
            parameter is named, all must be
        lr (float | Tensor, optional): learning rate (default: 0.001)
        betas (tuple[float | Tensor, float | Tensor], optional): decay rates of the running averages
            (default: (0.9, 0.999))
        eps (float | Tensor, optional): added to the denominator (default: 1e-08)
        maximize (bool, optional): maximize the objective with respect to the params, instead of minimizing
            (default: False)
        foreach (bool | None, optional): update all parameters by operations on lists of tensors, instead of one
            parameter after another; this takes about as much more memory as the parameters do. If None, it is on where
            all parameters are on a GPU (default: None)
        capturable (bool, optional): keep all numbers of a step on the device, so that a CUDA graph can capture it
            (default: False)
        differentiable (bool, optional): let autograd record the step, so that gradients flow through it
            (default: False)
        fused (bool | None, optional): update all parameters in one kernel; they must be floating point and on a
            supported device (default: None)
    """

    _module = __name__
    _needs_sparse = True

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 0.001,
        betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999),
        eps: float | Tensor = 1e-08,
        maximize: bool = False,
        *,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
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

    @staticmethod
    def _check_arguments(group: dict[str, Any]) -> None:
        lr = group["lr"]
        eps = group["eps"]
        beta1, beta2 = group["betas"]
        if not 0 < lr:
            raise ValueError(f"Invalid learning rate: {lr}")
        if not 0 <= beta1 < 1:
            raise ValueError(f"Invalid beta parameter at index 0: {beta1}")
        if not 0 <= beta2 < 1:
            raise ValueError(f"Invalid beta parameter at index 1: {beta2}")
        if not 0 < eps:
            raise ValueError(f"Invalid epsilon value: {eps}")

    @staticmethod
    def _hyperparameters(group: dict[str, Any]) -> dict[str, Any]:
        beta1, beta2 = group["betas"]
        return {
            "lr": group["lr"],
            "beta1": beta1,
            "beta2": beta2,
            "eps": group["eps"],
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
        return _single_tensor_sparseadam, _multi_tensor_sparseadam, None, None


def _single_tensor_sparseadam(
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
    maximize: bool,
) -> None:
    """Updates each of ``params`` in place, one after another."""
    bias_correction2 = 1 - beta2 ** step
    bias_correction2_sqrt = bias_correction2 ** 0.5
    bias_correction1 = 1 - beta1 ** step
    step_size = lr * bias_correction2_sqrt / bias_correction1
    for i in range(len(params)):
        param = params[i]
        grad = grads[i]
        exp_avg = exp_avgs[i]
        exp_avg_sq = exp_avg_sqs[i]
        if maximize:
            grad = -grad
        exp_avg.lerp_(grad, 1 - beta1)
        exp_avg_sq.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        denom = exp_avg_sq.sqrt().add_(eps)
        param.addcdiv_(exp_avg, denom, value=-step_size)


def _multi_tensor_sparseadam(
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
    maximize: bool,
) -> None:
    """Updates all of ``params``, of one device and dtype, with operations on the whole list."""
    bias_correction2 = 1 - beta2 ** step
    bias_correction2_sqrt = bias_correction2 ** 0.5
    bias_correction1 = 1 - beta1 ** step
    step_size = lr * bias_correction2_sqrt / bias_correction1
    if maximize:
        grads = torch._foreach_neg(grads)
    torch._foreach_lerp_(exp_avgs, grads, 1 - beta1)
    torch._foreach_mul_(exp_avg_sqs, beta2)
    torch._foreach_addcmul_(exp_avg_sqs, grads, grads, value=1 - beta2)
    denoms = torch._foreach_sqrt(exp_avg_sqs)
    torch._foreach_add_(denoms, eps)
    torch._foreach_addcdiv_(params, exp_avgs, denoms, value=-step_size)
