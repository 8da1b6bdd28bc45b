# Compiled by optdsl 0.1.0 from rmsprop.opt (sha256 314898288cf3). Do not edit.
"""RMSprop, fused on the CPU: C that steps all tensors of a bucket in one call, compiled when it is first used.

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
    REAL alpha;
    REAL one_minus_alpha;
    REAL eps;
    REAL momentum;
    REAL minus_lr;
};

INLINE void element(
    const int64_t i, const struct scalars k, const REAL grad_scale,
    PARAM_T *restrict param_p,
    GRAD_T *restrict grad_p,
    SQUARE_AVG_T *restrict square_avg_p,
    MOMENTUM_BUFFER_T *restrict momentum_buffer_p,
    GRAD_AVG_T *restrict grad_avg_p)
{
    REAL grad = 0;
    REAL param = 0;
    REAL square_avg = 0;
    REAL grad_avg = 0;
    REAL v_tilde = 0;
    REAL denom = 0;
    REAL momentum_buffer = 0;
    param = LOAD(param_p, i);
    grad = LOAD(grad_p, i);
    if (SCALED) {
        grad = grad / grad_scale;
        STORE(grad_p, i, grad);
    }
    square_avg = LOAD(square_avg_p, i);
    if (MOMENTUM_ABOVE_ZERO)
        momentum_buffer = LOAD(momentum_buffer_p, i);
    if (CENTERED)
        grad_avg = LOAD(grad_avg_p, i);

    if (MAXIMIZE) {
        grad = -grad;
    }
    if (HAS_WEIGHT_DECAY) {
        grad = MULTIPLY_ADD(param, k.weight_decay, grad);
    }
    square_avg = square_avg * k.alpha;
    square_avg = MULTIPLY_ADD(k.one_minus_alpha * grad, grad, square_avg);
    if (CENTERED) {
        grad_avg = lerp(grad_avg, grad, k.one_minus_alpha);
        v_tilde = MULTIPLY_ADD((REAL)-1.0 * grad_avg, grad_avg, square_avg);
    } else {
        v_tilde = square_avg;
    }
    if (MOMENTUM_ABOVE_ZERO) {
        denom = SQRT(v_tilde);
        denom = denom + k.eps;
        momentum_buffer = momentum_buffer * k.momentum;
        momentum_buffer = momentum_buffer + grad / denom;
        param = MULTIPLY_ADD(momentum_buffer, k.minus_lr, param);
    } else {
        denom = SQRT(v_tilde);
        denom = denom + k.eps;
        param = param + k.minus_lr * grad / denom;
    }

    STORE(param_p, i, param);
    STORE(square_avg_p, i, square_avg);
    if (MOMENTUM_ABOVE_ZERO)
        STORE(momentum_buffer_p, i, momentum_buffer);
    if (CENTERED)
        STORE(grad_avg_p, i, grad_avg);
}

INLINE void step_elements(
    const int64_t from, const int64_t to, const struct scalars k, const REAL grad_scale,
    PARAM_T *restrict param_p,
    GRAD_T *restrict grad_p,
    SQUARE_AVG_T *restrict square_avg_p,
    MOMENTUM_BUFFER_T *restrict momentum_buffer_p,
    GRAD_AVG_T *restrict grad_avg_p)
{
    int64_t i = from;
    for (; i + CHUNK <= to; i += CHUNK) {
        PREFETCH(param_p, i);
        PREFETCH(grad_p, i);
        PREFETCH(square_avg_p, i);
        if (MOMENTUM_ABOVE_ZERO)
            PREFETCH(momentum_buffer_p, i);
        if (CENTERED)
            PREFETCH(grad_avg_p, i);
        for (int64_t j = i; j < i + CHUNK; j++)
            element(j, k, grad_scale, param_p, grad_p, square_avg_p, momentum_buffer_p, grad_avg_p);
    }
    for (; i < to; i++)
        element(i, k, grad_scale, param_p, grad_p, square_avg_p, momentum_buffer_p, grad_avg_p);
}

static void step_tensor(const int64_t from, const int64_t to, void *const *addresses, const int64_t tensors,
                        const struct scalars *scalars, const REAL grad_scale)
{
    const struct scalars k = *scalars;
    PARAM_T *param_p = addresses[0 * tensors];
    GRAD_T *grad_p = addresses[1 * tensors];
    SQUARE_AVG_T *square_avg_p = addresses[2 * tensors];
    MOMENTUM_BUFFER_T *momentum_buffer_p = addresses[3 * tensors];
    GRAD_AVG_T *grad_avg_p = addresses[4 * tensors];
    step_elements(from, to, k, grad_scale, param_p, grad_p, square_avg_p, momentum_buffer_p, grad_avg_p);
}

/* The scalars of each tensor, and its step count and scalar states advanced. */
static void prepare(const int64_t tensors, void *const *addresses, const double *hypers, struct scalars *scalars)
{
    const double weight_decay = hypers[0];
    const double alpha = hypers[1];
    const double eps = hypers[2];
    const double momentum = hypers[3];
    const double lr = hypers[4];
    double step = 0;
    for (int64_t i = 0; i < tensors; i++) {
        int again = i > 0;
        STEP_T *step_p = addresses[5 * tensors + i];
        NEXT(step, LOAD_SCALAR(step_p) + 1);
        *step_p = NARROW(STEP_T, step);
        if (!again) {
            scalars[i] = (struct scalars){
                .weight_decay = (REAL)(weight_decay),
                .alpha = (REAL)(alpha),
                .one_minus_alpha = (REAL)(1.0 - alpha),
                .eps = (REAL)(eps),
                .momentum = (REAL)(momentum),
                .minus_lr = (REAL)(-lr),
            };
        } else {
            scalars[i] = scalars[i - 1];
        }
    }
}
"""


def _flags(hypers: dict[str, float | bool | str | None], present: tuple[bool, ...]) -> dict[str, bool]:
    """What the kernel is compiled for, given the hyperparameters and which states have been assigned."""
    return {
        "MAXIMIZE": bool(hypers["maximize"]),
        "HAS_WEIGHT_DECAY": bool(hypers["weight_decay"] != 0),
        "CENTERED": bool(hypers["centered"]),
        "MOMENTUM_ABOVE_ZERO": bool(hypers["momentum"] > 0),
    }


OPTIMIZER = NativeOptimizer(
    name="rmsprop",
    source=_SOURCE,
    flags=_flags,
    flag_names=("MAXIMIZE", "HAS_WEIGHT_DECAY", "CENTERED", "MOMENTUM_ABOVE_ZERO"),
    states=("square_avg", "momentum_buffer", "grad_avg"),
    scalar_states=(),
    hypers=("weight_decay", "alpha", "eps", "momentum", "lr"),
    counts_steps=True,
)


def fused_step(buckets: list[Bucket], grad_scale: Tensor | None = None, found_inf: Tensor | None = None) -> None:
    """Makes one step of every tensor in ``buckets``, states and step counts included.

    ``grad_scale``: what the gradients have been multiplied by; they are divided by it, in place too. ``found_inf``: if
    it is not 0, nothing changes.
    """
    OPTIMIZER.step(buckets, grad_scale, found_inf)


plan_group = partial(_plan_group, OPTIMIZER)
