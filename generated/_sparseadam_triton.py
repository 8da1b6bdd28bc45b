# Compiled by optdsl 0.1.0 from sparse_adam.opt (sha256 fda0879f370e). Do not edit.
"""SparseAdam, fused: one launch updates all tensors of one device, one set of dtypes and one set of flags.

The tensors' addresses stand in ``table``, an int64 matrix with a column for each tensor:

     0  number of stored elements
     1  row of hyperparameters
     2  elements of a row
     3  index
     4  first program
     5  param
     6  grad
     7  exp_avg
     8  exp_avg_sq
     9  step

A gradient is given as its stored values, row after row, and the row of the parameter that each belongs to. Only these
rows of parameters and states are read and written, once each, up to 128 bits at a time, and rounded once: arithmetic in
between is float32 (float64 for float64 parameters). No row is stored twice, so that programs do not meet.
Scalars are computed on the device at every step, in float64, one row of ``rows`` for each tensor.
"""

import triton
import triton.language as tl
from torch import Tensor

from ._support.fused import Bucket
from ._support.triton_math import divide, power, square_root, tile_pointer
from ._support.triton_stored import StoredFusedOptimizer, row_places, row_pointers


@triton.jit
def _sparseadam_tile(
    first, count, index, width,
    param_address, grad_address, exp_avg_address, exp_avg_sq_address,
    beta1, one_minus_beta1, beta2, one_minus_beta2, scalar, eps,
    MAXIMIZE: tl.constexpr,
    param_dtype: tl.constexpr,
    grad_dtype: tl.constexpr,
    exp_avg_dtype: tl.constexpr,
    exp_avg_sq_dtype: tl.constexpr,
    COMPUTE: tl.constexpr,
    VECTOR: tl.constexpr,
    SIZE: tl.constexpr,
):  # fmt: skip
    """Makes one step of ``count`` stored elements (SIZE at most) of a tensor, from stored element ``first`` on.

    A row has ``width`` elements. With VECTOR > 1 that is a multiple of VECTOR, and every address is one of 16 bytes.
    """
    offsets = tl.arange(0, SIZE)
    mask = offsets < count // VECTOR * VECTOR  # says that no VECTOR elements are divided
    places = row_places(first, offsets, mask, index, width, VECTOR, SIZE)
    param_ptr = row_pointers(param_address, param_dtype, places, VECTOR)
    grad_ptr = tile_pointer(grad_address, grad_dtype, first, VECTOR) + offsets
    exp_avg_ptr = row_pointers(exp_avg_address, exp_avg_dtype, places, VECTOR)
    exp_avg_sq_ptr = row_pointers(exp_avg_sq_address, exp_avg_sq_dtype, places, VECTOR)
    param = tl.load(param_ptr, mask=mask).to(COMPUTE)
    grad = tl.load(grad_ptr, mask=mask).to(COMPUTE)
    exp_avg = tl.load(exp_avg_ptr, mask=mask).to(COMPUTE)
    exp_avg_sq = tl.load(exp_avg_sq_ptr, mask=mask).to(COMPUTE)

    if MAXIMIZE:
        grad = -grad
    exp_avg = beta1 * exp_avg + one_minus_beta1 * grad
    exp_avg_sq = beta2 * exp_avg_sq + one_minus_beta2 * (grad * grad)
    param = param - divide(scalar * exp_avg, square_root(exp_avg_sq) + eps)

    tl.store(param_ptr, param, mask=mask)
    tl.store(exp_avg_ptr, exp_avg, mask=mask)
    tl.store(exp_avg_sq_ptr, exp_avg_sq, mask=mask)


@triton.jit(do_not_specialize=["n_tensors"])
def _sparseadam_kernel(
    table, n_tensors, rows,
    MAXIMIZE: tl.constexpr,
    param_dtype: tl.constexpr,
    grad_dtype: tl.constexpr,
    exp_avg_dtype: tl.constexpr,
    exp_avg_sq_dtype: tl.constexpr,
    COMPUTE: tl.constexpr,
    VECTOR: tl.constexpr,
    CHUNK: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """Makes one step of CHUNK stored elements of one tensor: the last whose first program is not after this one."""
    program = tl.program_id(0)
    first_programs = table + 4 * n_tensors
    tensor, end = 0, n_tensors
    while end - tensor > 1:
        middle = (tensor + end) // 2
        begins_later = tl.load(first_programs + middle) > program
        tensor, end = tl.where(begins_later, tensor, middle), tl.where(begins_later, middle, end)
    column = table + tensor
    start = (program - tl.load(first_programs + tensor)) * CHUNK
    count = tl.minimum(tl.load(column) - start, CHUNK).to(tl.int32)
    width = tl.load(column + 2 * n_tensors)
    index = tl.load(column + 3 * n_tensors).to(tl.pointer_type(tl.int64))
    param_address = tl.load(column + 5 * n_tensors)
    grad_address = tl.load(column + 6 * n_tensors)
    exp_avg_address = tl.load(column + 7 * n_tensors)
    exp_avg_sq_address = tl.load(column + 8 * n_tensors)
    row = rows + tensor * 6
    beta1 = tl.load(row + 0)
    one_minus_beta1 = tl.load(row + 1)
    beta2 = tl.load(row + 2)
    one_minus_beta2 = tl.load(row + 3)
    scalar = tl.load(row + 4)
    eps = tl.load(row + 5)

    # Wide accesses where every row allows them, else element by element.
    addresses = param_address | grad_address | exp_avg_address | exp_avg_sq_address
    wide = tl.where((addresses % 16 == 0) & (width % VECTOR == 0), count, 0)
    for position in range(0, wide, BLOCK):
        _sparseadam_tile(
            start + position, wide - position, index, width,
            param_address, grad_address, exp_avg_address, exp_avg_sq_address,
            beta1, one_minus_beta1, beta2, one_minus_beta2, scalar, eps,
            MAXIMIZE, param_dtype, grad_dtype, exp_avg_dtype, exp_avg_sq_dtype, COMPUTE, VECTOR, BLOCK,
        )  # fmt: skip
    for position in range(wide, count, BLOCK // 2):
        _sparseadam_tile(
            start + position, count - position, index, width,
            param_address, grad_address, exp_avg_address, exp_avg_sq_address,
            beta1, one_minus_beta1, beta2, one_minus_beta2, scalar, eps,
            MAXIMIZE, param_dtype, grad_dtype, exp_avg_dtype, exp_avg_sq_dtype, COMPUTE, 1, BLOCK // 2,
        )  # fmt: skip


@triton.jit(do_not_specialize=["n_tensors"], do_not_specialize_on_alignment=["found_inf"])
def _sparseadam_prepare(
    table, n_tensors, hypers, rows, found_inf,
    step_dtype: tl.constexpr,
    SIZE: tl.constexpr,
):  # fmt: skip
    """Fills the rows of SIZE tensors, in float64; advances their step counts unless ``found_inf``."""
    tensor = tl.program_id(0) * SIZE + tl.arange(0, SIZE)
    mask = tensor < n_tensors
    column = table + tensor
    hyper = hypers + tl.load(column + 1 * n_tensors, mask=mask) * 4
    beta1 = tl.load(hyper + 0, mask=mask)
    beta2 = tl.load(hyper + 1, mask=mask)
    lr = tl.load(hyper + 2, mask=mask)
    eps = tl.load(hyper + 3, mask=mask)
    if found_inf is not None:
        advance = mask & (tl.load(found_inf) == 0)
    else:
        advance = mask
    step_ptr = tl.load(column + 9 * n_tensors, mask=mask).to(tl.pointer_type(step_dtype))
    step = tl.load(step_ptr, mask=mask).to(tl.float64) + 1.0
    tl.store(step_ptr, step, mask=advance)

    one_minus_beta1 = 1.0 - beta1
    one_minus_beta2 = 1.0 - beta2
    scalar = divide(lr * square_root(1.0 - power(beta2, step)), 1.0 - power(beta1, step))

    row = rows + tensor * 6
    tl.store(row + 0, beta1, mask=mask)
    tl.store(row + 1, one_minus_beta1, mask=mask)
    tl.store(row + 2, beta2, mask=mask)
    tl.store(row + 3, one_minus_beta2, mask=mask)
    tl.store(row + 4, scalar, mask=mask)
    tl.store(row + 5, eps, mask=mask)


def _flags(hypers: dict[str, float | bool | str | None], present: tuple[bool, ...]) -> dict[str, bool]:
    """What the kernels are specialised for, given the hyperparameters and which states have been assigned."""
    return {
        "MAXIMIZE": bool(hypers["maximize"]),
    }


_OPTIMIZER = StoredFusedOptimizer(
    kernel=_sparseadam_kernel,
    prepare=_sparseadam_prepare,
    flags=_flags,
    states=("exp_avg", "exp_avg_sq"),
    scalar_states=(),
    hypers=("beta1", "beta2", "lr", "eps"),
    row_size=6,
    counts_steps=True,
)


def fused_step(buckets: list[Bucket], grad_scale: Tensor | None = None, found_inf: Tensor | None = None) -> None:
    """Makes one step of every tensor in ``buckets``, states and step counts included.

    Gradients are sparse, or dense: then every entry is stored. ``grad_scale`` and ``found_inf`` must be None.
    """
    _OPTIMIZER.step(buckets, grad_scale, found_inf)
