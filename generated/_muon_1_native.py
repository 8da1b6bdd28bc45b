# Compiled by optdsl 0.1.0 from muon.opt (sha256 7d1f67cdeda2). Do not edit.
"""Muon_1, fused on the CPU: C that steps all tensors of a bucket in one call, compiled when it is first used.

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
    REAL one_minus_momentum;
    REAL momentum;
};

INLINE void element(
    const int64_t i, const struct scalars k, const REAL grad_scale,
    GRAD_T *restrict grad_p,
    MOMENTUM_BUFFER_T *restrict momentum_buffer_p,
    TEMPORARY_B_TILDE_T *restrict temporary_B_tilde_p)
{
    REAL grad = 0;
    REAL momentum_buffer = 0;
    REAL B_tilde = 0;
    REAL temporary_B_tilde = 0;
    grad = LOAD(grad_p, i);
    if (SCALED) {
        grad = grad / grad_scale;
        STORE(grad_p, i, grad);
    }
    momentum_buffer = LOAD(momentum_buffer_p, i);
    temporary_B_tilde = LOAD(temporary_B_tilde_p, i);

    if (MAXIMIZE) {
        grad = -grad;
    }
    momentum_buffer = lerp(momentum_buffer, grad, k.one_minus_momentum);
    if (NESTEROV) {
        B_tilde = lerp(grad, momentum_buffer, k.momentum);
    } else {
        B_tilde = momentum_buffer;
    }
    temporary_B_tilde = B_tilde;

    STORE(momentum_buffer_p, i, momentum_buffer);
    STORE(temporary_B_tilde_p, i, temporary_B_tilde);
}

INLINE void step_elements(
    const int64_t from, const int64_t to, const struct scalars k, const REAL grad_scale,
    GRAD_T *restrict grad_p,
    MOMENTUM_BUFFER_T *restrict momentum_buffer_p,
    TEMPORARY_B_TILDE_T *restrict temporary_B_tilde_p)
{
    int64_t i = from;
    for (; i + CHUNK <= to; i += CHUNK) {
        PREFETCH(grad_p, i);
        PREFETCH(momentum_buffer_p, i);
        PREFETCH(temporary_B_tilde_p, i);
        for (int64_t j = i; j < i + CHUNK; j++)
            element(j, k, grad_scale, grad_p, momentum_buffer_p, temporary_B_tilde_p);
    }
    for (; i < to; i++)
        element(i, k, grad_scale, grad_p, momentum_buffer_p, temporary_B_tilde_p);
}

static void step_tensor(const int64_t from, const int64_t to, void *const *addresses, const int64_t tensors,
                        const struct scalars *scalars, const REAL grad_scale)
{
    const struct scalars k = *scalars;
    GRAD_T *grad_p = addresses[1 * tensors];
    MOMENTUM_BUFFER_T *momentum_buffer_p = addresses[2 * tensors];
    TEMPORARY_B_TILDE_T *temporary_B_tilde_p = addresses[3 * tensors];
    step_elements(from, to, k, grad_scale, grad_p, momentum_buffer_p, temporary_B_tilde_p);
}

/* The scalars of each tensor, and its step count and scalar states advanced. */
static void prepare(const int64_t tensors, void *const *addresses, const double *hypers, struct scalars *scalars)
{
    const double momentum = hypers[0];
    for (int64_t i = 0; i < tensors; i++) {
        int again = i > 0;
        if (!again) {
            scalars[i] = (struct scalars){
                .one_minus_momentum = (REAL)(1.0 - momentum),
                .momentum = (REAL)(momentum),
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
        "NESTEROV": bool(hypers["nesterov"]),
    }


OPTIMIZER = NativeOptimizer(
    name="muon_1",
    source=_SOURCE,
    flags=_flags,
    flag_names=("MAXIMIZE", "NESTEROV"),
    states=("momentum_buffer", "temporary_B_tilde"),
    scalar_states=(),
    hypers=("momentum",),
    counts_steps=False,
)


def fused_step(buckets: list[Bucket], grad_scale: Tensor | None = None, found_inf: Tensor | None = None) -> None:
    """Makes one step of every tensor in ``buckets``, states and step counts included.

    ``grad_scale``: what the gradients have been multiplied by; they are divided by it, in place too. ``found_inf``: if
    it is not 0, nothing changes.
    """
    OPTIMIZER.step(buckets, grad_scale, found_inf)


plan_group = partial(_plan_group, OPTIMIZER)
