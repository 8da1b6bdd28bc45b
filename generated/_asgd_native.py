# Compiled by optdsl 0.1.0 from asgd.opt (sha256 ebd9cd42da03). Do not edit.
"""ASGD, fused on the CPU: C that steps all tensors of a bucket in one call, compiled when it is first used.

Every tensor is read once and written once, and rounded once: in between, the arithmetic is float32 (float64 for
float64 parameters). Scalars are computed in double, once for all tensors with equal step counts.
"""

from functools import partial

from torch import Tensor

from ._support.fused import Bucket
from ._support.native import NativeOptimizer
from ._support.native_plan import plan_group as _plan_group

_SOURCE = r"""
/* What element code reads besides the tensors, computed in double. */
struct scalars {
    REAL weight_decay;
    REAL step_size;
    REAL minus_eta;
    int mu_is_not_one;
    REAL mu;
};

INLINE void element(
    const int64_t i, const struct scalars k, const REAL grad_scale, const int mu_is_not_one,
    PARAM_T *restrict param_p,
    GRAD_T *restrict grad_p,
    AX_T *restrict ax_p)
{
    REAL grad = 0;
    REAL param = 0;
    REAL ax = 0;
    param = LOAD(param_p, i);
    grad = LOAD(grad_p, i);
    if (SCALED) {
        grad = grad / grad_scale;
        STORE(grad_p, i, grad);
    }
    ax = LOAD(ax_p, i);

    if (MAXIMIZE) {
        grad = -grad;
    }
    if (HAS_WEIGHT_DECAY) {
        grad = MULTIPLY_ADD(param, k.weight_decay, grad);
    }
    param = param * k.step_size;
    param = MULTIPLY_ADD(grad, k.minus_eta, param);
    if (mu_is_not_one) {
        ax = lerp(ax, param, k.mu);
    } else {
        ax = param;
    }

    STORE(param_p, i, param);
    STORE(ax_p, i, ax);
}

INLINE void step_elements(
    const int64_t from, const int64_t to, const struct scalars k, const REAL grad_scale, const int mu_is_not_one,
    PARAM_T *restrict param_p,
    GRAD_T *restrict grad_p,
    AX_T *restrict ax_p)
{
    int64_t i = from;
    for (; i + CHUNK <= to; i += CHUNK) {
        PREFETCH(param_p, i);
        PREFETCH(grad_p, i);
        PREFETCH(ax_p, i);
        for (int64_t j = i; j < i + CHUNK; j++)
            element(j, k, grad_scale, mu_is_not_one, param_p, grad_p, ax_p);
    }
    for (; i < to; i++)
        element(i, k, grad_scale, mu_is_not_one, param_p, grad_p, ax_p);
}

static void step_tensor(const int64_t from, const int64_t to, void *const *addresses, const int64_t tensors,
                        const struct scalars *scalars, const REAL grad_scale)
{
    const struct scalars k = *scalars;
    PARAM_T *param_p = addresses[0 * tensors];
    GRAD_T *grad_p = addresses[1 * tensors];
    AX_T *ax_p = addresses[4 * tensors];
    if (k.mu_is_not_one) {
        step_elements(from, to, k, grad_scale, 1, param_p, grad_p, ax_p);
    } else {
        step_elements(from, to, k, grad_scale, 0, param_p, grad_p, ax_p);
    }
}

/* The scalars of each tensor, and its step count and scalar states advanced. */
static void prepare(const int64_t tensors, void *const *addresses, const double *hypers, struct scalars *scalars)
{
    const double weight_decay = hypers[0];
    const double lambd = hypers[1];
    const double lr = hypers[2];
    const double alpha = hypers[3];
    const double t0 = hypers[4];
    double step_size = 0;
    double eta_2 = 0;
    double mu_2 = 0;
    double step = 0;
    double eta = 0;
    double mu = 0;
    for (int64_t i = 0; i < tensors; i++) {
        int again = i > 0;
        STEP_T *step_p = addresses[5 * tensors + i];
        NEXT(step, LOAD_SCALAR(step_p) + 1);
        *step_p = NARROW(STEP_T, step);
        ETA_T *eta_p = addresses[2 * tensors + i];
        NEXT(eta, LOAD_SCALAR(eta_p));
        MU_T *mu_p = addresses[3 * tensors + i];
        NEXT(mu, LOAD_SCALAR(mu_p));
        if (!again) {
            step_size = 1.0 - lambd * eta;
            eta_2 = ROUND(ETA_T, lr / pow(1.0 + lambd * lr * step, alpha));
            mu_2 = ROUND(MU_T, 1.0 / scalar_maximum(1.0, step - t0));
            scalars[i] = (struct scalars){
                .weight_decay = (REAL)(weight_decay),
                .step_size = (REAL)(step_size),
                .minus_eta = (REAL)(-eta),
                .mu_is_not_one = (mu != 1.0),
                .mu = (REAL)(mu),
            };
        } else {
            scalars[i] = scalars[i - 1];
        }
        *eta_p = NARROW(ETA_T, eta_2);
        *mu_p = NARROW(MU_T, mu_2);
    }
}
"""


def _flags(hypers: dict[str, float | bool | str | None], present: tuple[bool, ...]) -> dict[str, bool]:
    """What the kernel is compiled for, given the hyperparameters and which states have been assigned."""
    return {
        "MAXIMIZE": bool(hypers["maximize"]),
        "HAS_WEIGHT_DECAY": bool(hypers["weight_decay"] != 0),
    }


OPTIMIZER = NativeOptimizer(
    name="asgd",
    source=_SOURCE,
    flags=_flags,
    flag_names=("MAXIMIZE", "HAS_WEIGHT_DECAY"),
    states=("eta", "mu", "ax"),
    scalar_states=("eta", "mu"),
    hypers=("weight_decay", "lambd", "lr", "alpha", "t0"),
    counts_steps=True,
)


def fused_step(buckets: list[Bucket], grad_scale: Tensor | None = None, found_inf: Tensor | None = None) -> None:
    """Makes one step of every tensor in ``buckets``, states and step counts included.

    ``grad_scale``: what the gradients have been multiplied by; they are divided by it, in place too. ``found_inf``: if
    it is not 0, nothing changes.
    """
    OPTIMIZER.step(buckets, grad_scale, found_inf)


plan_group = partial(_plan_group, OPTIMIZER)
