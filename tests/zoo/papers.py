"""One step of an optimizer as its paper has it, in NumPy float64: for those whose published code does something else.

Each takes the parameter, the gradient, the states so far by our keys (empty before the first step; written to), the
step count and the optimizer's arguments, and returns the new parameter; for parameters that depend on each other, all
of these are lists.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
State = dict[str, Array]
Step = Callable[..., Array]
JointStep = Callable[..., list[Array]]


def moments(state: State, grad: Array, beta1: float, beta2: float, t: int) -> tuple[Array, Array]:
    """Adam's averages of ``grad`` and of its square, kept in ``state``; what is returned is corrected for the bias."""
    state["exp_avg"] = beta1 * state.get("exp_avg", 0) + (1 - beta1) * grad
    state["exp_avg_sq"] = beta2 * state.get("exp_avg_sq", 0) + (1 - beta2) * grad * grad
    return state["exp_avg"] / (1 - beta1**t), state["exp_avg_sq"] / (1 - beta2**t)


def yogi(
    theta: Array,
    grad: Array,
    state: State,
    t: int,
    *,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    initial_accumulator_value: float,
    weight_decay: float,
) -> Array:
    """Zaheer et al., 2018, algorithm 2."""
    beta1, beta2 = betas
    grad = grad + weight_decay * theta
    v = state.get("exp_avg_sq", np.full_like(theta, initial_accumulator_value))
    state["exp_avg"] = beta1 * state.get("exp_avg", 0) + (1 - beta1) * grad
    state["exp_avg_sq"] = v - (1 - beta2) * np.sign(v - grad**2) * grad**2
    return theta - lr * state["exp_avg"] / (np.sqrt(state["exp_avg_sq"]) + eps)


def adamod(
    theta: Array,
    grad: Array,
    state: State,
    t: int,
    *,
    lr: float,
    betas: tuple[float, float, float],
    eps: float,
    weight_decay: float,
) -> Array:
    """Ding et al., 2019, algorithm 2, after decoupled weight decay."""
    beta1, beta2, beta3 = betas
    m_hat, v_hat = moments(state, grad, beta1, beta2, t)
    eta = lr / (np.sqrt(v_hat) + eps)
    state["exp_avg_lr"] = beta3 * state.get("exp_avg_lr", 0) + (1 - beta3) * eta
    return theta - lr * weight_decay * theta - np.minimum(eta, state["exp_avg_lr"]) * m_hat


def diffgrad(
    theta: Array,
    grad: Array,
    state: State,
    t: int,
    *,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
) -> Array:
    """Dubey et al., 2019, algorithm 1."""
    grad = grad + weight_decay * theta
    m_hat, v_hat = moments(state, grad, *betas, t)
    friction = 1 / (1 + np.exp(-np.abs(state.get("previous_grad", 0) - grad)))
    state["previous_grad"] = grad
    return theta - lr * friction * m_hat / (np.sqrt(v_hat) + eps)


def adopt(
    theta: Array,
    grad: Array,
    state: State,
    t: int,
    *,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
    decoupled_weight_decay: bool,
) -> Array:
    """Taniguchi et al., 2024, algorithm 2, with clipping, and weight decay in the steps that move θ."""
    beta1, beta2 = betas
    if not decoupled_weight_decay:
        grad = grad + weight_decay * theta
    if t == 1:
        state.update(exp_avg=np.zeros_like(theta), exp_avg_sq=grad**2)
        return theta
    clip = (t - 1) ** 0.25  # the paper calls the first gradient that of step 0
    update = np.clip(grad / np.maximum(np.sqrt(state["exp_avg_sq"]), eps), -clip, clip)
    state["exp_avg"] = beta1 * state["exp_avg"] + (1 - beta1) * update
    state["exp_avg_sq"] = beta2 * state["exp_avg_sq"] + (1 - beta2) * grad**2
    return theta * (1 - lr * weight_decay * decoupled_weight_decay) - lr * state["exp_avg"]


def lamb(
    theta: Array,
    grad: Array,
    state: State,
    t: int,
    *,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
) -> Array:
    """You et al., 2019, algorithm 2."""
    m_hat, v_hat = moments(state, grad, *betas, t)
    update = m_hat / (np.sqrt(v_hat) + eps) + weight_decay * theta
    norms = np.linalg.norm(theta), np.linalg.norm(update)
    return theta - lr * (norms[0] / norms[1] if min(norms) > 0 else 1) * update


def prodigy(
    thetas: list[Array],
    grads: list[Array],
    states: list[State],
    t: int,
    *,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
    d0: float,
) -> list[Array]:
    """Mishchenko and Defazio, 2023, algorithm 4, after decoupled weight decay; of all parameters together."""
    beta1, beta2 = betas
    for theta, state in zip(thetas, states, strict=True):
        if t == 1:
            zero = np.zeros_like(theta)
            state.update(p0=theta, exp_avg=zero, exp_avg_sq=zero, s=zero, r=np.float64(0), d=np.float64(d0))
    d, r = states[0]["d"], states[0]["r"]
    product = sum(np.sum(g * (state["p0"] - x)) for x, g, state in zip(thetas, grads, states, strict=True))
    r = np.sqrt(beta2) * r + (1 - np.sqrt(beta2)) * lr * d**2 * product
    for grad, state in zip(grads, states, strict=True):
        state["exp_avg"] = beta1 * state["exp_avg"] + (1 - beta1) * d * grad
        state["exp_avg_sq"] = beta2 * state["exp_avg_sq"] + (1 - beta2) * d**2 * grad**2
        state["s"] = np.sqrt(beta2) * state["s"] + (1 - np.sqrt(beta2)) * lr * d**2 * grad
    estimate = r / sum(np.abs(state["s"]).sum() for state in states)
    for state in states:
        state.update(r=r, d=max(d, estimate))
    return [
        x - lr * d * weight_decay * x - lr * d * state["exp_avg"] / (np.sqrt(state["exp_avg_sq"]) + d * eps)
        for x, state in zip(thetas, states, strict=True)
    ]


def lookahead(
    theta: Array,
    grad: Array,
    state: State,
    t: int,
    *,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    period: int,
    slow_step_size: float,
) -> Array:
    """Zhang et al., 2019, algorithm 1, with Adam as the inner optimizer, whose states it keeps."""
    slow = state.setdefault("slow_param", theta)
    m_hat, v_hat = moments(state, grad, *betas, t)
    theta = theta - lr * m_hat / (np.sqrt(v_hat) + eps)
    if t % period:
        return theta
    state["slow_param"] = slow + slow_step_size * (theta - slow)
    return state["slow_param"]


def mars(
    theta: Array,
    grad: Array,
    state: State,
    t: int,
    *,
    lr: float,
    betas: tuple[float, float],
    gamma: float,
    eps: float,
    weight_decay: float,
) -> Array:
    """Yuan et al., 2024, algorithm 2, with the approximation of its section on one evaluation a step."""
    c = grad + gamma * betas[0] / (1 - betas[0]) * (grad - state.get("last_grad", grad))
    state["last_grad"] = grad
    m_hat, v_hat = moments(state, c / max(1, np.linalg.norm(c)), *betas, t)
    return theta - lr * (m_hat / (np.sqrt(v_hat) + eps) + weight_decay * theta)


def tadam(
    theta: Array,
    grad: Array,
    state: State,
    t: int,
    *,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    dof: float | None,
) -> Array:
    """Ilboudo et al., 2020, algorithm 1."""
    (beta1, beta2), d = betas, theta.size
    nu = d if dof is None else dof
    m, v = state.get("exp_avg", np.zeros_like(theta)), state.get("exp_avg_sq", np.zeros_like(theta))
    total = state.get("weight_sum", np.float64(beta1 / (1 - beta1)))
    w = (nu + d) / (nu + np.sum((grad - m) ** 2 / (v + eps)))
    state["exp_avg"] = m = total / (total + w) * m + w / (total + w) * grad
    state["weight_sum"] = (2 * beta1 - 1) / beta1 * total + w
    state["exp_avg_sq"] = v = beta2 * v + (1 - beta2) * (grad - m) ** 2
    return theta - lr * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + eps)
