# Compiled by optdsl 0.1.0 from rprop.opt (sha256 6fd4aa114fac). Do not edit.
"""Rprop, fused on the CPU: C that steps all tensors of a bucket in one call, compiled when it is first used.

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
    REAL eta_minus;
    REAL eta_plus;
    REAL Gamma_min;
    REAL Gamma_max;
};

INLINE void element(
    const int64_t i, const struct scalars k, const REAL grad_scale,
    PARAM_T *restrict param_p,
    GRAD_T *restrict grad_p,
    PREV_T *restrict prev_p,
    STEP_SIZE_T *restrict step_size_p)
{
    REAL grad = 0;
    REAL shared = 0;
    REAL prev = 0;
    int mask = 0;
    int mask2 = 0;
    REAL new_step_size = 0;
    REAL param = 0;
    REAL new_step_size2 = 0;
    REAL new_step_size3 = 0;
    REAL step_size = 0;
    REAL numer = 0;
    param = LOAD(param_p, i);
    grad = LOAD(grad_p, i);
    if (SCALED) {
        grad = grad / grad_scale;
        STORE(grad_p, i, grad);
    }
    prev = LOAD(prev_p, i);
    step_size = LOAD(step_size_p, i);

    if (MAXIMIZE) {
        grad = -grad;
    }
    shared = prev * grad;
    mask = shared < (REAL)0.0;
    grad = mask ? (REAL)0.0 : grad;
    mask2 = shared > (REAL)0.0;
    new_step_size = k.eta_minus;
    new_step_size2 = mask ? new_step_size : (REAL)1.0;
    new_step_size3 = mask2 ? k.eta_plus : new_step_size2;
    step_size = step_size * new_step_size3;
    step_size = at_most(at_least(step_size, k.Gamma_min), k.Gamma_max);
    numer = sign(grad);
    param = MULTIPLY_ADD((REAL)-1.0 * step_size, numer, param);
    prev = grad;

    STORE(param_p, i, param);
    STORE(prev_p, i, prev);
    STORE(step_size_p, i, step_size);
}

INLINE void step_elements(
    const int64_t from, const int64_t to, const struct scalars k, const REAL grad_scale,
    PARAM_T *restrict param_p,
    GRAD_T *restrict grad_p,
    PREV_T *restrict prev_p,
    STEP_SIZE_T *restrict step_size_p)
{
    int64_t i = from;
    for (; i + CHUNK <= to; i += CHUNK) {
        PREFETCH(param_p, i);
        PREFETCH(grad_p, i);
        PREFETCH(prev_p, i);
        PREFETCH(step_size_p, i);
        for (int64_t j = i; j < i + CHUNK; j++)
            element(j, k, grad_scale, param_p, grad_p, prev_p, step_size_p);
    }
    for (; i < to; i++)
        element(i, k, grad_scale, param_p, grad_p, prev_p, step_size_p);
}

static void step_tensor(const int64_t from, const int64_t to, void *const *addresses, const int64_t tensors,
                        const struct scalars *scalars, const REAL grad_scale)
{
    const struct scalars k = *scalars;
    PARAM_T *param_p = addresses[0 * tensors];
    GRAD_T *grad_p = addresses[1 * tensors];
    PREV_T *prev_p = addresses[2 * tensors];
    STEP_SIZE_T *step_size_p = addresses[3 * tensors];
    step_elements(from, to, k, grad_scale, param_p, grad_p, prev_p, step_size_p);
}

/* The scalars of each tensor, and its step count and scalar states advanced. */
static void prepare(const int64_t tensors, void *const *addresses, const double *hypers, struct scalars *scalars)
{
    const double eta_minus = hypers[0];
    const double eta_plus = hypers[1];
    const double Gamma_min = hypers[2];
    const double Gamma_max = hypers[3];
    double step = 0;
    for (int64_t i = 0; i < tensors; i++) {
        int again = i > 0;
        STEP_T *step_p = addresses[4 * tensors + i];
        NEXT(step, LOAD_SCALAR(step_p) + 1);
        *step_p = NARROW(STEP_T, step);
        if (!again) {
            scalars[i] = (struct scalars){
                .eta_minus = (REAL)(eta_minus),
                .eta_plus = (REAL)(eta_plus),
                .Gamma_min = (REAL)(Gamma_min),
                .Gamma_max = (REAL)(Gamma_max),
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
    }


OPTIMIZER = NativeOptimizer(
    name="rprop",
    source=_SOURCE,
    flags=_flags,
    flag_names=("MAXIMIZE",),
    states=("prev", "step_size"),
    scalar_states=(),
    hypers=("eta_minus", "eta_plus", "Gamma_min", "Gamma_max"),
    counts_steps=True,
)


def fused_step(buckets: list[Bucket], grad_scale: Tensor | None = None, found_inf: Tensor | None = None) -> None:
    """Makes one step of every tensor in ``buckets``, states and step counts included.

    ``grad_scale``: what the gradients have been multiplied by; they are divided by it, in place too. ``found_inf``: if
    it is not 0, nothing changes.
    """
    OPTIMIZER.step(buckets, grad_scale, found_inf)


plan_group = partial(_plan_group, OPTIMIZER)
