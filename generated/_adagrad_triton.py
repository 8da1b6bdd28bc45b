# Compiled by optdsl 0.1.0 from adagrad.opt (sha256 19dd6f9a0604). Do not edit.
"""Adagrad, fused: one launch updates all tensors of one device, one set of dtypes and one set of flags.

The tensors' addresses stand in ``table``, an int64 matrix with a column for each tensor:

     0  number of elements
     1  row of hyperparameters
     2  param
     3  grad
     4  sum
     5  step

Every tensor is read once and written once, 128 bits at a time where its addresses allow it, and rounded once: the
arithmetic in between is float32 (float64 for float64 parameters).
Scalars are computed on the device at every step, in float64, one row of ``rows`` for each tensor.
"""

import triton
import triton.language as tl
from torch import Tensor

from ._support.fused import Bucket
from ._support.triton_launch import FusedOptimizer
from ._support.triton_math import divide, square_root, tile_pointer


@triton.jit
def _adagrad_tile(
    first, count, scale,
    param_address, grad_address, sum_address,
    weight_decay, gamma_tilde, eps,
    MAXIMIZE: tl.constexpr,
    HAS_WEIGHT_DECAY: tl.constexpr,
    param_dtype: tl.constexpr,
    grad_dtype: tl.constexpr,
    sum_dtype: tl.constexpr,
    COMPUTE: tl.constexpr,
    VECTOR: tl.constexpr,
    SIZE: tl.constexpr,
):  # fmt: skip
    """Makes one step of ``count`` elements (SIZE at most) of a tensor, from element ``first`` on.

    With VECTOR > 1, ``count`` is a multiple of 16 and every address is one of 16 bytes.
    """
    offsets = tl.arange(0, SIZE)
    if VECTOR > 1:
        mask = offsets < count // 16 * 16  # says that no 16 elements are divided, which wide accesses ask for
    else:
        mask = offsets < count
    param_ptr = tile_pointer(param_address, param_dtype, first, VECTOR) + offsets
    grad_ptr = tile_pointer(grad_address, grad_dtype, first, VECTOR) + offsets
    sum_ptr = tile_pointer(sum_address, sum_dtype, first, VECTOR) + offsets
    param = tl.load(param_ptr, mask=mask).to(COMPUTE)
    grad = tl.load(grad_ptr, mask=mask).to(COMPUTE)
    sum = tl.load(sum_ptr, mask=mask).to(COMPUTE)
    if scale is not None:
        grad = divide(grad, scale)
        tl.store(grad_ptr, grad, mask=mask)

    if MAXIMIZE:
        grad = -grad
    if HAS_WEIGHT_DECAY:
        grad = grad + weight_decay * param
    sum = sum + grad * grad
    param = param - divide(gamma_tilde * grad, square_root(sum) + eps)

    tl.store(param_ptr, param, mask=mask)
    tl.store(sum_ptr, sum, mask=mask)


@triton.jit(do_not_specialize=["n_tensors"], do_not_specialize_on_alignment=["grad_scale", "found_inf"])
def _adagrad_kernel(
    table, n_tensors, block_tensor, block_chunk, rows, grad_scale, found_inf,
    MAXIMIZE: tl.constexpr,
    HAS_WEIGHT_DECAY: tl.constexpr,
    param_dtype: tl.constexpr,
    grad_dtype: tl.constexpr,
    sum_dtype: tl.constexpr,
    COMPUTE: tl.constexpr,
    VECTOR: tl.constexpr,
    CHUNK: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """Makes one step of chunk ``block_chunk[i]`` (CHUNK elements) of tensor ``block_tensor[i]``, i the program."""
    tensor = tl.load(block_tensor + tl.program_id(0))
    start = tl.load(block_chunk + tl.program_id(0)).to(tl.int64) * CHUNK
    column = table + tensor
    count = tl.minimum(tl.load(column) - start, CHUNK).to(tl.int32)
    scale = tl.load(grad_scale).to(COMPUTE) if grad_scale is not None else None
    if found_inf is not None:
        count = tl.where(tl.load(found_inf) != 0, 0, count)
    param_address = tl.load(column + 2 * n_tensors)
    grad_address = tl.load(column + 3 * n_tensors)
    sum_address = tl.load(column + 4 * n_tensors)
    row = rows + tensor * 3
    weight_decay = tl.load(row + 0)
    gamma_tilde = tl.load(row + 1)
    eps = tl.load(row + 2)

    # Wide accesses as far as they go, then element by element.
    addresses = param_address | grad_address | sum_address
    wide = tl.where(addresses % 16 == 0, count // 16 * 16, 0)
    for position in range(0, wide, BLOCK):
        _adagrad_tile(
            start + position, wide - position, scale,
            param_address, grad_address, sum_address,
            weight_decay, gamma_tilde, eps,
            MAXIMIZE, HAS_WEIGHT_DECAY, param_dtype, grad_dtype, sum_dtype, COMPUTE, VECTOR, BLOCK,
        )  # fmt: skip
    for position in range(wide, count, BLOCK // 2):
        _adagrad_tile(
            start + position, count - position, scale,
            param_address, grad_address, sum_address,
            weight_decay, gamma_tilde, eps,
            MAXIMIZE, HAS_WEIGHT_DECAY, param_dtype, grad_dtype, sum_dtype, COMPUTE, 1, BLOCK // 2,
        )  # fmt: skip


@triton.jit(do_not_specialize=["n_tensors"], do_not_specialize_on_alignment=["found_inf"])
def _adagrad_prepare(
    table, n_tensors, hypers, rows, found_inf,
    step_dtype: tl.constexpr,
    SIZE: tl.constexpr,
):  # fmt: skip
    """Fills the rows of SIZE tensors, in float64; advances their step counts unless ``found_inf``."""
    tensor = tl.program_id(0) * SIZE + tl.arange(0, SIZE)
    mask = tensor < n_tensors
    column = table + tensor
    hyper = hypers + tl.load(column + 1 * n_tensors, mask=mask) * 4
    lr = tl.load(hyper + 0, mask=mask)
    lr_decay = tl.load(hyper + 1, mask=mask)
    weight_decay = tl.load(hyper + 2, mask=mask)
    eps = tl.load(hyper + 3, mask=mask)
    if found_inf is not None:
        advance = mask & (tl.load(found_inf) == 0)
    else:
        advance = mask
    step_ptr = tl.load(column + 5 * n_tensors, mask=mask).to(tl.pointer_type(step_dtype))
    step = tl.load(step_ptr, mask=mask).to(tl.float64) + 1.0
    tl.store(step_ptr, step, mask=advance)

    gamma_tilde = divide(lr, 1.0 + (step - 1.0) * lr_decay)

    row = rows + tensor * 3
    tl.store(row + 0, weight_decay, mask=mask)
    tl.store(row + 1, gamma_tilde, mask=mask)
    tl.store(row + 2, eps, mask=mask)


def _flags(hypers: dict[str, float | bool | str | None], present: tuple[bool, ...]) -> dict[str, bool]:
    """What the kernels are specialised for, given the hyperparameters and which states have been assigned."""
    return {
        "MAXIMIZE": bool(hypers["maximize"]),
        "HAS_WEIGHT_DECAY": bool(hypers["weight_decay"] != 0),
    }


_OPTIMIZER = FusedOptimizer(
    kernel=_adagrad_kernel,
    prepare=_adagrad_prepare,
    flags=_flags,
    states=("sum",),
    scalar_states=(),
    hypers=("lr", "lr_decay", "weight_decay", "eps"),
    row_size=3,
    counts_steps=True,
)


def fused_step(buckets: list[Bucket], grad_scale: Tensor | None = None, found_inf: Tensor | None = None) -> None:
    """Makes one step of every tensor in ``buckets``, states and step counts included.

    ``grad_scale``: what the gradients have been multiplied by; they are divided by it, in place too. ``found_inf``: if
    it is not 0, nothing changes. Both are on a device and are not read by the host.
    """
    _OPTIMIZER.step(buckets, grad_scale, found_inf)
