# Compiled by optdsl 0.1.0 from sparse_adam.opt (sha256 fda0879f370e). Do not edit.
"""SparseAdam, fused on the CPU: C that steps all tensors of a bucket in one call, compiled when it is first used.

Every tensor is read once and written once, and rounded once: in between, the arithmetic is float32 (float64 for
float64 parameters). Scalars are computed in double, once for all tensors with equal step counts.
"""

from torch import Tensor

from ._support.fused import Bucket
from ._support.native_stored import StoredNativeOptimizer

_SOURCE = r"""
/* What element code reads besides the tensors, computed in double. */
struct scalars {
    REAL one_minus_beta1;
    REAL beta2;
    REAL one_minus_beta2;
    REAL eps;
    REAL minus_step_size;
};

INLINE void element(
    const int64_t i, const struct scalars k, const REAL grad_scale,
    PARAM_T *restrict param_p,
    GRAD_T *restrict grad_p,
    EXP_AVG_T *restrict exp_avg_p,
    EXP_AVG_SQ_T *restrict exp_avg_sq_p)
{
    REAL grad = 0;
    REAL exp_avg = 0;
    REAL exp_avg_sq = 0;
    REAL denom = 0;
    REAL param = 0;
    param = LOAD(param_p, i);
    grad = LOAD(grad_p, i);
    if (SCALED) {
        grad = grad / grad_scale;
        STORE(grad_p, i, grad);
    }
    exp_avg = LOAD(exp_avg_p, i);
    exp_avg_sq = LOAD(exp_avg_sq_p, i);

    if (MAXIMIZE) {
        grad = -grad;
    }
    exp_avg = lerp(exp_avg, grad, k.one_minus_beta1);
    exp_avg_sq = exp_avg_sq * k.beta2;
    exp_avg_sq = MULTIPLY_ADD(k.one_minus_beta2 * grad, grad, exp_avg_sq);
    denom = SQRT(exp_avg_sq);
    denom = denom + k.eps;
    param = param + k.minus_step_size * exp_avg / denom;

    STORE(param_p, i, param);
    STORE(exp_avg_p, i, exp_avg);
    STORE(exp_avg_sq_p, i, exp_avg_sq);
}

INLINE void step_elements(
    const int64_t from, const int64_t to, const struct scalars k, const REAL grad_scale,
    PARAM_T *restrict param_p,
    GRAD_T *restrict grad_p,
    EXP_AVG_T *restrict exp_avg_p,
    EXP_AVG_SQ_T *restrict exp_avg_sq_p)
{
    int64_t i = from;
    for (; i + CHUNK <= to; i += CHUNK) {
        PREFETCH(param_p, i);
        PREFETCH(grad_p, i);
        PREFETCH(exp_avg_p, i);
        PREFETCH(exp_avg_sq_p, i);
        for (int64_t j = i; j < i + CHUNK; j++)
            element(j, k, grad_scale, param_p, grad_p, exp_avg_p, exp_avg_sq_p);
    }
    for (; i < to; i++)
        element(i, k, grad_scale, param_p, grad_p, exp_avg_p, exp_avg_sq_p);
}

static void step_tensor(const int64_t from, const int64_t to, void *const *addresses, const int64_t tensors,
                        const struct scalars *scalars, const REAL grad_scale)
{
    const struct scalars k = *scalars;
    PARAM_T *param_p = addresses[0 * tensors];
    GRAD_T *grad_p = addresses[1 * tensors];
    EXP_AVG_T *exp_avg_p = addresses[2 * tensors];
    EXP_AVG_SQ_T *exp_avg_sq_p = addresses[3 * tensors];
    step_elements(from, to, k, grad_scale, param_p, grad_p, exp_avg_p, exp_avg_sq_p);
}

/* The scalars of each tensor, and its step count and scalar states advanced. */
static void prepare(const int64_t tensors, void *const *addresses, const double *hypers, struct scalars *scalars)
{
    const double beta1 = hypers[0];
    const double beta2 = hypers[1];
    const double eps = hypers[2];
    const double lr = hypers[3];
    double bias_correction2 = 0;
    double bias_correction2_sqrt = 0;
    double bias_correction1 = 0;
    double step_size = 0;
    double step = 0;
    for (int64_t i = 0; i < tensors; i++) {
        int again = i > 0;
        STEP_T *step_p = addresses[4 * tensors + i];
        NEXT(step, LOAD_SCALAR(step_p) + 1);
        *step_p = NARROW(STEP_T, step);
        if (!again) {
            bias_correction2 = 1.0 - pow(beta2, step);
            bias_correction2_sqrt = sqrt(bias_correction2);
            bias_correction1 = 1.0 - pow(beta1, step);
            step_size = lr * bias_correction2_sqrt / bias_correction1;
            scalars[i] = (struct scalars){
                .one_minus_beta1 = (REAL)(1.0 - beta1),
                .beta2 = (REAL)(beta2),
                .one_minus_beta2 = (REAL)(1.0 - beta2),
                .eps = (REAL)(eps),
                .minus_step_size = (REAL)(-step_size),
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


OPTIMIZER = StoredNativeOptimizer(
    name="sparseadam",
    source=_SOURCE,
    flags=_flags,
    flag_names=("MAXIMIZE",),
    states=("exp_avg", "exp_avg_sq"),
    scalar_states=(),
    hypers=("beta1", "beta2", "eps", "lr"),
    counts_steps=True,
)


def fused_step(buckets: list[Bucket], grad_scale: Tensor | None = None, found_inf: Tensor | None = None) -> None:
    """Makes one step of every tensor in ``buckets``, states and step counts included.

    ``grad_scale``: what the gradients have been multiplied by; they are divided by it, in place too. ``found_inf``: if
    it is not 0, nothing changes.
    """
    OPTIMIZER.step(buckets, grad_scale, found_inf)
