# Compiled by optdsl 0.1.0 from muon.opt (sha256 7d1f67cdeda2). Do not edit.
"""Muon_2, fused on the CPU: C that steps all tensors of a bucket in one call, compiled when it is first used.

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
    REAL one_minus_lr_times_weight_decay;
    REAL minus_lr_times_alpha;
};

INLINE void element(
    const int64_t i, const struct scalars k, const REAL grad_scale,
    PARAM_T *restrict param_p,
    TEMPORARY_O_T *restrict temporary_O_p)
{
    REAL param = 0;
    REAL temporary_O = 0;
    param = LOAD(param_p, i);
    temporary_O = LOAD(temporary_O_p, i);

    param = param * k.one_minus_lr_times_weight_decay;
    param = MULTIPLY_ADD(temporary_O, k.minus_lr_times_alpha, param);

    STORE(param_p, i, param);
}

INLINE void step_elements(
    const int64_t from, const int64_t to, const struct scalars k, const REAL grad_scale,
    PARAM_T *restrict param_p,
    TEMPORARY_O_T *restrict temporary_O_p)
{
    int64_t i = from;
    for (; i + CHUNK <= to; i += CHUNK) {
        PREFETCH(param_p, i);
        PREFETCH(temporary_O_p, i);
        for (int64_t j = i; j < i + CHUNK; j++)
            element(j, k, grad_scale, param_p, temporary_O_p);
    }
    for (; i < to; i++)
        element(i, k, grad_scale, param_p, temporary_O_p);
}

static void step_tensor(const int64_t from, const int64_t to, void *const *addresses, const int64_t tensors,
                        const struct scalars *scalars, const REAL grad_scale)
{
    const struct scalars k = *scalars;
    PARAM_T *param_p = addresses[0 * tensors];
    TEMPORARY_O_T *temporary_O_p = addresses[2 * tensors];
    step_elements(from, to, k, grad_scale, param_p, temporary_O_p);
}

/* The scalars of each tensor, and its step count and scalar states advanced. */
static void prepare(const int64_t tensors, void *const *addresses, const double *hypers, struct scalars *scalars)
{
    const double lr = hypers[0];
    const double weight_decay = hypers[1];
    const double param_rows = hypers[2];
    const double param_cols = hypers[3];
    double alpha = 0;
    for (int64_t i = 0; i < tensors; i++) {
        int again = i > 0;
        if (!again) {
            alpha = ADJUST_LR_FN_IS_MATCH_RMS_ADAMW ? 0.2 * sqrt(scalar_maximum(param_rows, param_cols)) :
                sqrt(scalar_maximum(1.0, param_rows / param_cols));
            scalars[i] = (struct scalars){
                .one_minus_lr_times_weight_decay = (REAL)(1.0 - lr * weight_decay),
                .minus_lr_times_alpha = (REAL)(-(lr * alpha)),
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
        "ADJUST_LR_FN_IS_MATCH_RMS_ADAMW": bool(hypers["adjust_lr_fn"] == 'match_rms_adamw'),
    }


OPTIMIZER = NativeOptimizer(
    name="muon_2",
    source=_SOURCE,
    flags=_flags,
    flag_names=("ADJUST_LR_FN_IS_MATCH_RMS_ADAMW",),
    states=("temporary_O",),
    scalar_states=(),
    hypers=("lr", "weight_decay", "param_rows", "param_cols"),
    counts_steps=False,
)


def fused_step(buckets: list[Bucket], grad_scale: Tensor | None = None, found_inf: Tensor | None = None) -> None:
    """Makes one step of every tensor in ``buckets``, states and step counts included.

    ``grad_scale``: what the gradients have been multiplied by; they are divided by it, in place too. ``found_inf``: if
    it is not 0, nothing changes.
    """
    OPTIMIZER.step(buckets, grad_scale, found_inf)


plan_group = partial(_plan_group, OPTIMIZER)
