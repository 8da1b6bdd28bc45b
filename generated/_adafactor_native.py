# Compiled by optdsl 0.1.0 from adafactor.opt (sha256 a4e2d3e855ce). Do not edit.
"""Adafactor, fused on the CPU: C that steps all tensors of a bucket in one call, compiled when it is first used.

A tensor's step is a few passes over its elements, with small jobs between them; sums are gathered in double, and the
other arithmetic is float32 (float64 for float64 parameters). Scalars are computed in double.
"""

from torch import Tensor

from ._support.fused import Bucket
from ._support.native_phases import PhasedNativeOptimizer

_SOURCE = r"""
#include <stdlib.h>

/* A tensor as matrices. One that is walked as a vector is cut into rows, the last of which may be shorter. */
struct shape { int64_t batches, rows, cols, numel; };

/* What element code reads besides the tensors, computed in double. */
struct scalars {
    REAL beta_hat;
    REAL one_minus_beta_hat;
    REAL cols;
    REAL rows_2;
    REAL epsilon1_hat;
    REAL epsilon1_hat_to_the_two;
    REAL numel;
    REAL d;
    REAL epsilon2;
    REAL rho;
    REAL lr_times_weight_decay;
};

enum { LEAST_BLOCK = 65536, MOST_BLOCKS = 64 };

/* Cuts the rows of all matrices into blocks of `span` rows, of whole matrices where there are several. */
static void cut_into_blocks(const struct shape s, int64_t *span, int64_t *blocks)
{
    const int64_t rows = s.batches * s.rows, unit = s.batches > 1 ? s.rows : 1;
    int64_t least = rows / MOST_BLOCKS + 1;
    if (least * s.cols < LEAST_BLOCK)
        least = LEAST_BLOCK / (s.cols ? s.cols : 1) + 1;
    *span = unit ? (least + unit - 1) / unit * unit : 1;
    *blocks = (rows + *span - 1) / *span;
}

/* Where the sums of columns are that a block adds up: rows of one matrix have several such blocks. */
static int64_t part_of(const struct shape s, const int64_t block) { return s.batches == 1 ? block * s.cols : 0; }

/* What the jobs of one tensor share: where it is, and what one job leaves for the next. */
struct tensor {
    struct shape s;
    struct scalars k;
    REAL grad_scale;
    int64_t span, blocks;
    PARAM_T *param_p;
    GRAD_T *grad_p;
    ROW_VAR_T *row_var_p;
    COL_VAR_T *col_var_p;
    VARIANCE_T *variance_p;
    REAL alpha;
    REAL U_hat_scale;
    double sum_all_param_squared;
    double sum_all_U_squared;
    REAL *row_var_values;
    REAL *col_var_values;
    REAL *V_hat_part_values;
    double *sum_all_param_squared_blocks;
    double *sum_all_U_squared_blocks;
    double *sum_rows_grad_squared_parts;
    double *sum_cols_grad_squared_parts;
};

/* The rows from `first` to `last`, counted over all matrices. */
static void pass_0(
    const struct shape s, const struct scalars k, const int64_t first, const int64_t last,
    GRAD_T *restrict grad_p,
    double *restrict sum_rows_grad_squared_parts,
    double *restrict sum_cols_grad_squared_parts)
{
    REAL sum_cols_grad_squared_lanes[CHUNK];
    for (int64_t e = first / s.rows * s.cols; e < (last - 1) / s.rows * s.cols + s.cols; e++)
        sum_rows_grad_squared_parts[e] = 0;
    for (int64_t row = first; row < last; row++) {
        const int64_t b = row / s.rows;
        for (int j = 0; j < CHUNK; j++)
            sum_cols_grad_squared_lanes[j] = 0;
        for (int64_t c = 0; c < s.cols && row * s.cols + c < s.numel; c += CHUNK) {
            const int64_t left = s.numel - (row * s.cols + c), n = left < s.cols - c ? left : s.cols - c;
            for (int j = 0; j < (n < CHUNK ? n : CHUNK); j++) {
                const int64_t i = row * s.cols + c + j, col = b * s.cols + c + j;
                const REAL grad = LOAD(grad_p, i);
                REAL grad_2 = 0;
                REAL grad_3 = 0;
                REAL grad_squared = 0;
                if (MAXIMIZE) {
                    grad_2 = -grad;
                    grad_3 = grad_2;
                } else {
                    grad_3 = grad;
                }
                grad_squared = grad_3 * grad_3;
                sum_cols_grad_squared_lanes[j] = sum_cols_grad_squared_lanes[j] + grad_squared;
                sum_rows_grad_squared_parts[col] = sum_rows_grad_squared_parts[col] + grad_squared;
            }
        }
        {
            double all = 0;
            for (int j = 0; j < CHUNK && j < s.cols; j++)
                all = all + sum_cols_grad_squared_lanes[j];
            sum_cols_grad_squared_parts[row] = all;
        }
    }
}

/* The rows from `first` to `last`, counted over all matrices. */
static void pass_1(
    const struct shape s, const struct scalars k, const int64_t first, const int64_t last,
    double *const sum_all_param_squared,
    double *const sum_all_U_squared,
    PARAM_T *restrict param_p,
    GRAD_T *restrict grad_p,
    VARIANCE_T *restrict variance_p,
    REAL *restrict row_var_values,
    REAL *restrict col_var_values,
    REAL *restrict V_hat_part_values)
{
    REAL sum_all_param_squared_lanes[CHUNK];
    double sum_all_param_squared_total = 0;
    for (int j = 0; j < CHUNK; j++)
        sum_all_param_squared_lanes[j] = 0;
    REAL sum_all_U_squared_lanes[CHUNK];
    double sum_all_U_squared_total = 0;
    for (int j = 0; j < CHUNK; j++)
        sum_all_U_squared_lanes[j] = 0;
    int64_t chunks = 0;
    for (int64_t row = first; row < last; row++) {
        const int64_t b = row / s.rows;
        const REAL V_hat_part = DIM_ABOVE_ONE ? V_hat_part_values[b] : 0;
        const REAL row_var = DIM_ABOVE_ONE ? row_var_values[row] : 0;
        for (int64_t c = 0; c < s.cols && row * s.cols + c < s.numel; c += CHUNK) {
            const int64_t left = s.numel - (row * s.cols + c), n = left < s.cols - c ? left : s.cols - c;
            for (int j = 0; j < (n < CHUNK ? n : CHUNK); j++) {
                const int64_t i = row * s.cols + c + j, col = b * s.cols + c + j;
                const REAL variance = !DIM_ABOVE_ONE ? LOAD(variance_p, i) : 0;
                const REAL param = LOAD(param_p, i);
                const REAL grad = LOAD(grad_p, i);
                const REAL col_var = DIM_ABOVE_ONE ? col_var_values[col] : 0;
                REAL grad_2 = 0;
                REAL grad_3 = 0;
                REAL param_squared = 0;
                REAL V_hat = 0;
                REAL V_hat_2 = 0;
                REAL variance_2 = 0;
                REAL U = 0;
                REAL U_squared = 0;
                if (MAXIMIZE) {
                    grad_2 = -grad;
                    grad_3 = grad_2;
                } else {
                    grad_3 = grad;
                }
                param_squared = param * param;
                if (DIM_ABOVE_ONE) {
                    V_hat = row_var * col_var / V_hat_part;
                    V_hat_2 = V_hat;
                } else {
                    variance_2 = k.beta_hat * variance + k.one_minus_beta_hat * (grad_3 * grad_3);
                    V_hat_2 = variance_2;
                }
                U = grad_3 / SQRT(maximum(V_hat_2, k.epsilon1_hat_to_the_two));
                U_squared = U * U;
                sum_all_param_squared_lanes[j] = sum_all_param_squared_lanes[j] + param_squared;
                sum_all_U_squared_lanes[j] = sum_all_U_squared_lanes[j] + U_squared;
            }
            if (++chunks % CHUNK == 0) {
                for (int j = 0; j < CHUNK; j++) {
                    sum_all_param_squared_total = sum_all_param_squared_total + sum_all_param_squared_lanes[j];
                    sum_all_param_squared_lanes[j] = 0;
                }
                for (int j = 0; j < CHUNK; j++) {
                    sum_all_U_squared_total = sum_all_U_squared_total + sum_all_U_squared_lanes[j];
                    sum_all_U_squared_lanes[j] = 0;
                }
            }
        }
    }
    for (int j = 0; j < CHUNK; j++)
        sum_all_param_squared_total = sum_all_param_squared_total + sum_all_param_squared_lanes[j];
    *sum_all_param_squared = sum_all_param_squared_total;
    for (int j = 0; j < CHUNK; j++)
        sum_all_U_squared_total = sum_all_U_squared_total + sum_all_U_squared_lanes[j];
    *sum_all_U_squared = sum_all_U_squared_total;
}

/* The rows from `first` to `last`, counted over all matrices. */
static void pass_2(
    const struct shape s, const struct scalars k, const int64_t first, const int64_t last,
    const REAL alpha,
    const REAL U_hat_scale,
    PARAM_T *restrict param_p,
    GRAD_T *restrict grad_p,
    VARIANCE_T *restrict variance_p,
    REAL *restrict row_var_values,
    REAL *restrict col_var_values,
    REAL *restrict V_hat_part_values)
{
    for (int64_t row = first; row < last; row++) {
        const int64_t b = row / s.rows;
        const REAL V_hat_part = DIM_ABOVE_ONE ? V_hat_part_values[b] : 0;
        const REAL row_var = DIM_ABOVE_ONE ? row_var_values[row] : 0;
        for (int64_t c = 0; c < s.cols && row * s.cols + c < s.numel; c += CHUNK) {
            const int64_t left = s.numel - (row * s.cols + c), n = left < s.cols - c ? left : s.cols - c;
            for (int j = 0; j < (n < CHUNK ? n : CHUNK); j++) {
                const int64_t i = row * s.cols + c + j, col = b * s.cols + c + j;
                const REAL variance = !DIM_ABOVE_ONE ? LOAD(variance_p, i) : 0;
                const REAL param = LOAD(param_p, i);
                const REAL grad = LOAD(grad_p, i);
                const REAL col_var = DIM_ABOVE_ONE ? col_var_values[col] : 0;
                REAL grad_2 = 0;
                REAL grad_3 = 0;
                REAL param_2 = 0;
                REAL param_3 = 0;
                REAL V_hat = 0;
                REAL V_hat_2 = 0;
                REAL variance_2 = 0;
                REAL variance_3 = 0;
                REAL U = 0;
                REAL U_hat = 0;
                REAL param_4 = 0;
                if (MAXIMIZE) {
                    grad_2 = -grad;
                    grad_3 = grad_2;
                } else {
                    grad_3 = grad;
                }
                if (HAS_WEIGHT_DECAY) {
                    param_2 = param - k.lr_times_weight_decay * param;
                    param_3 = param_2;
                } else {
                    param_3 = param;
                }
                if (DIM_ABOVE_ONE) {
                    V_hat = row_var * col_var / V_hat_part;
                    V_hat_2 = V_hat;
                } else {
                    variance_2 = k.beta_hat * variance + k.one_minus_beta_hat * (grad_3 * grad_3);
                    V_hat_2 = variance_2;
                    variance_3 = variance_2;
                }
                U = grad_3 / SQRT(maximum(V_hat_2, k.epsilon1_hat_to_the_two));
                U_hat = U / U_hat_scale;
                param_4 = param_3 - alpha * U_hat;
                STORE(param_p, i, param_4);
                if (!DIM_ABOVE_ONE)
                    STORE(variance_p, i, variance_3);
            }
        }
    }
}

enum { JOBS = 8 };

static int is_pass(const int job)
{
    return job == 0 || job == 1 || job == 5 || job == 7;
}

/* Makes a job of a tensor, a pass for one block of its rows. */
static void run_job(struct tensor *const t, const int job, const int64_t block)
{
    const struct shape s = t->s;
    const struct scalars k = t->k;
    const int64_t first = block * t->span, rows = s.batches * s.rows;
    const int64_t last = rows < first + t->span ? rows : first + t->span;
    switch (job) {
    case 0:
        if (SCALED)
            for (int64_t i = first * s.cols; i < last * s.cols && i < s.numel; i++)
                STORE(t->grad_p, i, LOAD(t->grad_p, i) / t->grad_scale);
        break;
    case 1:
        if (DIM_ABOVE_ONE)
            pass_0(s, k, first, last, t->grad_p, t->sum_rows_grad_squared_parts + part_of(s, block),
                t->sum_cols_grad_squared_parts);
        break;
    case 2:
        if (DIM_ABOVE_ONE)
            for (int64_t e = 0; e < s.batches * s.rows; e++) {
                const REAL row_var = LOAD(t->row_var_p, e);
                REAL row_var_2 = 0;
                REAL row_var_3 = 0;
                const REAL sum_cols_grad_squared = (REAL)t->sum_cols_grad_squared_parts[e];
                row_var_2 = k.beta_hat * row_var + k.one_minus_beta_hat * (sum_cols_grad_squared / k.cols);
                row_var_3 = row_var_2;
                t->row_var_values[e] = row_var_2;
                STORE(t->row_var_p, e, row_var_3);
            }
        break;
    case 3:
        if (DIM_ABOVE_ONE)
            for (int64_t e = 0; e < s.batches * s.cols; e++) {
                const REAL col_var = LOAD(t->col_var_p, e);
                REAL col_var_2 = 0;
                REAL col_var_3 = 0;
                const REAL sum_rows_grad_squared = (REAL)t->sum_rows_grad_squared_parts[e];
                col_var_2 = k.beta_hat * col_var + k.one_minus_beta_hat * (sum_rows_grad_squared / k.rows_2);
                col_var_3 = col_var_2;
                t->col_var_values[e] = col_var_2;
                STORE(t->col_var_p, e, col_var_3);
            }
        break;
    case 4:
        if (DIM_ABOVE_ONE)
            for (int64_t e = 0; e < s.batches; e++) {
                REAL V_hat_part = 0;
                double sum_rows_row_var_all = 0;
                for (int64_t n = 0; n < s.rows; n++)
                    sum_rows_row_var_all = sum_rows_row_var_all + t->row_var_values[e * s.rows + n];
                const REAL sum_rows_row_var = (REAL)sum_rows_row_var_all;
                V_hat_part = maximum(sum_rows_row_var / k.rows_2, k.epsilon1_hat);
                t->V_hat_part_values[e] = V_hat_part;
            }
        break;
    case 5:
        pass_1(s, k, first, last, t->sum_all_param_squared_blocks + block, t->sum_all_U_squared_blocks + block,
            t->param_p, t->grad_p, t->variance_p, t->row_var_values, t->col_var_values, t->V_hat_part_values);
        break;
    case 6:
        {
            REAL alpha_2 = 0;
            REAL U_hat_scale_2 = 0;
            const REAL sum_all_param_squared_2 = (REAL)t->sum_all_param_squared;
            const REAL sum_all_U_squared_2 = (REAL)t->sum_all_U_squared;
            alpha_2 = maximum(k.epsilon2, SQRT(sum_all_param_squared_2 / k.numel)) * k.rho;
            U_hat_scale_2 = maximum((REAL)1.0, SQRT(sum_all_U_squared_2 / k.numel) / k.d);
            t->alpha = alpha_2;
            t->U_hat_scale = U_hat_scale_2;
        }
        break;
    case 7:
        pass_2(s, k, first, last, t->alpha, t->U_hat_scale, t->param_p, t->grad_p, t->variance_p, t->row_var_values,
            t->col_var_values, t->V_hat_part_values);
        break;
    }
}

/* Makes one of what the blocks of a pass have folded. */
static void end_pass(struct tensor *const t, const int job)
{
    const struct shape s = t->s;
    switch (job) {
    case 1:
        if (!(DIM_ABOVE_ONE))
            break;
        for (int64_t e = 0; e < s.batches * s.cols; e++) {
            double all = t->blocks ? t->sum_rows_grad_squared_parts[e] : 0;
            for (int64_t block = 1; s.batches == 1 && block < t->blocks; block++)
                all = all + t->sum_rows_grad_squared_parts[part_of(s, block) + e];
            t->sum_rows_grad_squared_parts[e] = all;
        }
        break;
    case 5:
        t->sum_all_param_squared = 0;
        for (int64_t block = 0; block < t->blocks; block++)
            t->sum_all_param_squared = t->sum_all_param_squared + t->sum_all_param_squared_blocks[block];
        t->sum_all_U_squared = 0;
        for (int64_t block = 0; block < t->blocks; block++)
            t->sum_all_U_squared = t->sum_all_U_squared + t->sum_all_U_squared_blocks[block];
        break;
    }
}

static void open_tensor(struct tensor *const t, const struct shape s, void *const *addresses, const int64_t tensors,
                        const struct scalars *scalars, const REAL grad_scale)
{
    *t = (struct tensor){.s = s, .k = *scalars, .grad_scale = grad_scale};
    cut_into_blocks(s, &t->span, &t->blocks);
    t->param_p = addresses[0 * tensors];
    t->grad_p = addresses[1 * tensors];
    t->row_var_p = addresses[2 * tensors];
    t->col_var_p = addresses[3 * tensors];
    t->variance_p = addresses[4 * tensors];
    t->row_var_values = malloc((DIM_ABOVE_ONE) * s.batches * s.rows * sizeof(REAL));
    t->col_var_values = malloc((DIM_ABOVE_ONE) * s.batches * s.cols * sizeof(REAL));
    t->V_hat_part_values = malloc((DIM_ABOVE_ONE) * s.batches * sizeof(REAL));
    t->sum_all_param_squared_blocks = malloc(t->blocks * sizeof(double));
    t->sum_all_U_squared_blocks = malloc(t->blocks * sizeof(double));
    t->sum_rows_grad_squared_parts = malloc((DIM_ABOVE_ONE) * (s.batches == 1 ? t->blocks + 1 : 1) * s.batches * s.cols
        * sizeof(double));
    t->sum_cols_grad_squared_parts = malloc((DIM_ABOVE_ONE) * s.batches * s.rows * sizeof(double));
}

static void close_tensor(struct tensor *const t)
{
    free(t->row_var_values);
    free(t->col_var_values);
    free(t->V_hat_part_values);
    free(t->sum_all_param_squared_blocks);
    free(t->sum_all_U_squared_blocks);
    free(t->sum_rows_grad_squared_parts);
    free(t->sum_cols_grad_squared_parts);
}

/* The scalars of each tensor, and its step count and scalar states advanced. */
static void prepare(const int64_t tensors, void *const *addresses, const double *hypers, struct scalars *scalars,
                    const double *facts)
{
    const double d = hypers[0];
    const double epsilon2 = hypers[1];
    const double epsilon1 = hypers[2];
    const double beta2_decay = hypers[3];
    const double lr = hypers[4];
    const double weight_decay = hypers[5];
    double epsilon1_hat = 0;
    double beta_hat = 0;
    double rho = 0;
    double lr_times_weight_decay = 0;
    double one_minus_beta_hat = 0;
    double epsilon1_hat_to_the_two = 0;
    double step = 0;
    double param_cols = 0;
    double param_rows = 0;
    double param_numel = 0;
    double param_machine_epsilon = 0;
    for (int64_t i = 0; i < tensors; i++) {
        int again = i > 0;
        NEXT(param_cols, facts[0 * tensors + i]);
        NEXT(param_rows, facts[1 * tensors + i]);
        NEXT(param_numel, facts[2 * tensors + i]);
        NEXT(param_machine_epsilon, facts[3 * tensors + i]);
        STEP_T *step_p = addresses[5 * tensors + i];
        NEXT(step, LOAD_SCALAR(step_p) + 1);
        *step_p = NARROW(STEP_T, step);
        if (!again) {
            epsilon1_hat = EPSILON1_IS_NOT_NONE ? epsilon1 : param_machine_epsilon;
            beta_hat = 1.0 - pow(step, beta2_decay);
            rho = scalar_minimum(lr, 1.0 / sqrt(step));
            lr_times_weight_decay = lr * weight_decay;
            one_minus_beta_hat = 1.0 - beta_hat;
            epsilon1_hat_to_the_two = pow(epsilon1_hat, 2.0);
            scalars[i] = (struct scalars){
                .beta_hat = (REAL)(beta_hat),
                .one_minus_beta_hat = (REAL)(one_minus_beta_hat),
                .cols = (REAL)(param_cols),
                .rows_2 = (REAL)(param_rows),
                .epsilon1_hat = (REAL)(epsilon1_hat),
                .epsilon1_hat_to_the_two = (REAL)(epsilon1_hat_to_the_two),
                .numel = (REAL)(param_numel),
                .d = (REAL)(d),
                .epsilon2 = (REAL)(epsilon2),
                .rho = (REAL)(rho),
                .lr_times_weight_decay = (REAL)(lr_times_weight_decay),
            };
        } else {
            scalars[i] = scalars[i - 1];
        }
    }
}
"""


def _flags(
    hypers: dict[str, float | bool | str | None], present: tuple[bool, ...], facts: dict[str, float]
) -> dict[str, bool]:
    """What the kernel is compiled for, given the hyperparameters, which states have been assigned, and what is known of
    the parameter."""
    return {
        "MAXIMIZE": bool(hypers["maximize"]),
        "HAS_WEIGHT_DECAY": bool(hypers["weight_decay"] != 0),
        "DIM_ABOVE_ONE": bool(facts["dim"] > 1),
        "EPSILON1_IS_NOT_NONE": bool(hypers["epsilon1"] is not None),
    }


def _matrix(flags: dict[str, bool]) -> bool:
    """Whether rows and columns matter under these flags."""
    return flags["DIM_ABOVE_ONE"]


OPTIMIZER = PhasedNativeOptimizer(
    name="adafactor",
    source=_SOURCE,
    flags=_flags,
    flag_names=("MAXIMIZE", "HAS_WEIGHT_DECAY", "DIM_ABOVE_ONE", "EPSILON1_IS_NOT_NONE"),
    states=("row_var", "col_var", "variance"),
    scalar_states=(),
    hypers=("d", "epsilon2", "epsilon1", "beta2_decay", "lr", "weight_decay"),
    counts_steps=True,
    matrix=_matrix,
    flag_facts=("dim",),
    facts=("cols", "rows", "numel", "machine_epsilon"),
    small_states={"col_var": "cols", "row_var": "rows"},
)


def fused_step(buckets: list[Bucket], grad_scale: Tensor | None = None, found_inf: Tensor | None = None) -> None:
    """Makes one step of every tensor in ``buckets``, states and step counts included.

    ``grad_scale``: what the gradients have been multiplied by; they are divided by it, in place too. ``found_inf``: if
    it is not 0, nothing changes.
    """
    OPTIMIZER.step(buckets, grad_scale, found_inf)
