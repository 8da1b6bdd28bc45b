# Compiled by optdsl 0.1.0 from sgd.opt (sha256 d41eb5f4b6b0). Do not edit.
"""SGD, fused on the CPU: C that steps all tensors of a bucket in one call, compiled when it is first used.

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
    REAL momentum;
    REAL one_minus_dampening;
    REAL minus_lr;
};

INLINE void element(
    const int64_t i, const struct scalars k, const REAL grad_scale,
    PARAM_T *restrict param_p,
    GRAD_T *restrict grad_p,
    MOMENTUM_BUFFER_T *restrict momentum_buffer_p)
{
    REAL grad = 0;
    REAL param = 0;
    REAL momentum_buffer = 0;
    param = LOAD(param_p, i);
    grad = LOAD(grad_p, i);
    if (SCALED) {
        grad = grad / grad_scale;
        STORE(grad_p, i, grad);
    }
    if (HAS_MOMENTUM && MOMENTUM_BUFFER_PRESENT)
        momentum_buffer = LOAD(momentum_buffer_p, i);

    if (MAXIMIZE) {
        grad = -grad;
    }
    if (HAS_WEIGHT_DECAY) {
        grad = MULTIPLY_ADD(param, k.weight_decay, grad);
    }
    if (HAS_MOMENTUM) {
        if (MOMENTUM_BUFFER_PRESENT) {
            momentum_buffer = momentum_buffer * k.momentum;
            momentum_buffer = MULTIPLY_ADD(grad, k.one_minus_dampening, momentum_buffer);
        } else {
            momentum_buffer = grad;
        }
        if (NESTEROV) {
            grad = MULTIPLY_ADD(momentum_buffer, k.momentum, grad);
        } else {
            grad = momentum_buffer;
        }
    }
    param = MULTIPLY_ADD(grad, k.minus_lr, param);

    STORE(param_p, i, param);
    if (HAS_MOMENTUM)
        STORE(momentum_buffer_p, i, momentum_buffer);
}

INLINE void step_elements(
    const int64_t from, const int64_t to, const struct scalars k, const REAL grad_scale,
    PARAM_T *restrict param_p,
    GRAD_T *restrict grad_p,
    MOMENTUM_BUFFER_T *restrict momentum_buffer_p)
{
    int64_t i = from;
    for (; i + CHUNK <= to; i += CHUNK) {
        PREFETCH(param_p, i);
        PREFETCH(grad_p, i);
        if (HAS_MOMENTUM)
            PREFETCH(momentum_buffer_p, i);
        for (int64_t j = i; j < i + CHUNK; j++)
            element(j, k, grad_scale, param_p, grad_p, momentum_buffer_p);
    }
    for (; i < to; i++)
        element(i, k, grad_scale, param_p, grad_p, momentum_buffer_p);
}

static void step_tensor(const int64_t from, const int64_t to, void *const *addresses, const int64_t tensors,
                        const struct scalars *scalars, const REAL grad_scale)
{
    const struct scalars k = *scalars;
    PARAM_T *param_p = addresses[0 * tensors];
    GRAD_T *grad_p = addresses[1 * tensors];
    MOMENTUM_BUFFER_T *momentum_buffer_p = addresses[2 * tensors];
    step_elements(from, to, k, grad_scale, param_p, grad_p, momentum_buffer_p);
}

/* The scalars of each tensor, and its step count and scalar states advanced. */
static void prepare(const int64_t tensors, void *const *addresses, const double *hypers, struct scalars *scalars)
{
    const double weight_decay = hypers[0];
    const double momentum = hypers[1];
    const double dampening = hypers[2];
    const double lr = hypers[3];
    for (int64_t i = 0; i < tensors; i++) {
        int again = i > 0;
        if (!again) {
            scalars[i] = (struct scalars){
                .weight_decay = (REAL)(weight_decay),
                .momentum = (REAL)(momentum),
                .one_minus_dampening = (REAL)(1.0 - dampening),
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
        "HAS_MOMENTUM": bool(hypers["momentum"] != 0),
        "MOMENTUM_BUFFER_PRESENT": bool(present[0]),
        "NESTEROV": bool(hypers["nesterov"]),
    }


def _assigned(flags: dict[str, bool]) -> dict[str, bool]:
    """Whether a step with these flags assigns the states that have no initial value."""
    return {
        "momentum_buffer": flags["HAS_MOMENTUM"],
    }


OPTIMIZER = NativeOptimizer(
    name="sgd",
    source=_SOURCE,
    flags=_flags,
    assigned=_assigned,
    flag_names=("MAXIMIZE", "HAS_WEIGHT_DECAY", "HAS_MOMENTUM", "MOMENTUM_BUFFER_PRESENT", "NESTEROV"),
    states=("momentum_buffer",),
    scalar_states=(),
    hypers=("weight_decay", "momentum", "dampening", "lr"),
    counts_steps=False,
)


def fused_step(buckets: list[Bucket], grad_scale: Tensor | None = None, found_inf: Tensor | None = None) -> None:
    """Makes one step of every tensor in ``buckets``, states and step counts included.

    ``grad_scale``: what the gradients have been multiplied by; they are divided by it, in place too. ``found_inf``: if
    it is not 0, nothing changes.
    """
    OPTIMIZER.step(buckets, grad_scale, found_inf)


plan_group = partial(_plan_group, OPTIMIZER)
