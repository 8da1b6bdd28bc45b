# Compiled by optdsl 0.1.0 from rmsprop.opt (sha256 314898288cf3). Do not edit.
"""RMSprop, fused: one launch updates all tensors of one device, one set of dtypes and one set of flags.

The tensors' addresses stand in ``table``, an int64 matrix with a column for each tensor:

     0  number of elements
     1  row of hyperparameters
     2  param
     3  grad
     4  square_avg
     5  momentum_buffer
     6  grad_avg
     7  step

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
def _rmsprop_tile(
    first, count, scale,
    param_address, grad_address, square_avg_address, momentum_buffer_address, grad_avg_address,
    weight_decay, alpha, one_minus_alpha, momentum, eps, lr,
    MAXIMIZE: tl.constexpr,
    HAS_WEIGHT_DECAY: tl.constexpr,
    CENTERED: tl.constexpr,
    MOMENTUM_ABOVE_ZERO: tl.constexpr,
    param_dtype: tl.constexpr,
    grad_dtype: tl.constexpr,
    square_avg_dtype: tl.constexpr,
    momentum_buffer_dtype: tl.constexpr,
    grad_avg_dtype: tl.constexpr,
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
    square_avg_ptr = tile_pointer(square_avg_address, square_avg_dtype, first, VECTOR) + offsets
    if MOMENTUM_ABOVE_ZERO:
        momentum_buffer_ptr = tile_pointer(momentum_buffer_address, momentum_buffer_dtype, first, VECTOR) + offsets
    if CENTERED:
        grad_avg_ptr = tile_pointer(grad_avg_address, grad_avg_dtype, first, VECTOR) + offsets
    param = tl.load(param_ptr, mask=mask).to(COMPUTE)
    grad = tl.load(grad_ptr, mask=mask).to(COMPUTE)
    square_avg = tl.load(square_avg_ptr, mask=mask).to(COMPUTE)
    momentum_buffer = tl.load(momentum_buffer_ptr, mask=mask).to(COMPUTE) if MOMENTUM_ABOVE_ZERO else 0.0
    grad_avg = tl.load(grad_avg_ptr, mask=mask).to(COMPUTE) if CENTERED else 0.0
    if scale is not None:
        grad = divide(grad, scale)
        tl.store(grad_ptr, grad, mask=mask)

    if MAXIMIZE:
        grad = -grad
    if HAS_WEIGHT_DECAY:
        grad = grad + weight_decay * param
    square_avg = alpha * square_avg + one_minus_alpha * (grad * grad)
    if CENTERED:
        grad_avg = alpha * grad_avg + one_minus_alpha * grad
        v_tilde = square_avg - grad_avg * grad_avg
    else:
        v_tilde = square_avg
    if MOMENTUM_ABOVE_ZERO:
        momentum_buffer = momentum * momentum_buffer + divide(grad, square_root(v_tilde) + eps)
        param = param - lr * momentum_buffer
    else:
        param = param - divide(lr * grad, square_root(v_tilde) + eps)

    tl.store(param_ptr, param, mask=mask)
    tl.store(square_avg_ptr, square_avg, mask=mask)
    if MOMENTUM_ABOVE_ZERO:
        tl.store(momentum_buffer_ptr, momentum_buffer, mask=mask)
    if CENTERED:
        tl.store(grad_avg_ptr, grad_avg, mask=mask)


@triton.jit(do_not_specialize=["n_tensors"], do_not_specialize_on_alignment=["grad_scale", "found_inf"])
def _rmsprop_kernel(
    table, n_tensors, block_tensor, block_chunk, rows, grad_scale, found_inf,
    MAXIMIZE: tl.constexpr,
    HAS_WEIGHT_DECAY: tl.constexpr,
    CENTERED: tl.constexpr,
    MOMENTUM_ABOVE_ZERO: tl.constexpr,
    param_dtype: tl.constexpr,
    grad_dtype: tl.constexpr,
    square_avg_dtype: tl.constexpr,
    momentum_buffer_dtype: tl.constexpr,
    grad_avg_dtype: tl.constexpr,
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
    square_avg_address = tl.load(column + 4 * n_tensors)
    momentum_buffer_address = tl.load(column + 5 * n_tensors) if MOMENTUM_ABOVE_ZERO else 0
    grad_avg_address = tl.load(column + 6 * n_tensors) if CENTERED else 0
    row = rows + tensor * 6
    weight_decay = tl.load(row + 0)
    alpha = tl.load(row + 1)
    one_minus_alpha = tl.load(row + 2)
    momentum = tl.load(row + 3)
    eps = tl.load(row + 4)
    lr = tl.load(row + 5)

    # Wide accesses as far as they go, then element by element.
    addresses = param_address | grad_address | square_avg_address | momentum_buffer_address | grad_avg_address
    wide = tl.where(addresses % 16 == 0, count // 16 * 16, 0)
    for position in range(0, wide, BLOCK):
        _rmsprop_tile(
            start + position, wide - position, scale,
            param_address, grad_address, square_avg_address, momentum_buffer_address, grad_avg_address,
            weight_decay, alpha, one_minus_alpha, momentum, eps, lr,
            MAXIMIZE, HAS_WEIGHT_DECAY, CENTERED, MOMENTUM_ABOVE_ZERO, param_dtype, grad_dtype, square_avg_dtype,
            momentum_buffer_dtype, grad_avg_dtype, COMPUTE, VECTOR, BLOCK,
        )  # fmt: skip
    for position in range(wide, count, BLOCK // 2):
        _rmsprop_tile(
            start + position, count - position, scale,
            param_address, grad_address, square_avg_address, momentum_buffer_address, grad_avg_address,
            weight_decay, alpha, one_minus_alpha, momentum, eps, lr,
            MAXIMIZE, HAS_WEIGHT_DECAY, CENTERED, MOMENTUM_ABOVE_ZERO, param_dtype, grad_dtype, square_avg_dtype,
            momentum_buffer_dtype, grad_avg_dtype, COMPUTE, 1, BLOCK // 2,
        )  # fmt: skip


@triton.jit(do_not_specialize=["n_tensors"], do_not_specialize_on_alignment=["found_inf"])
def _rmsprop_prepare(
    table, n_tensors, hypers, rows, found_inf,
    step_dtype: tl.constexpr,
    SIZE: tl.constexpr,
):  # fmt: skip
    """Fills the rows of SIZE tensors, in float64; advances their step counts unless ``found_inf``."""
    tensor = tl.program_id(0) * SIZE + tl.arange(0, SIZE)
    mask = tensor < n_tensors
    column = table + tensor
    hyper = hypers + tl.load(column + 1 * n_tensors, mask=mask) * 5
    alpha = tl.load(hyper + 0, mask=mask)
    weight_decay = tl.load(hyper + 1, mask=mask)
    momentum = tl.load(hyper + 2, mask=mask)
    eps = tl.load(hyper + 3, mask=mask)
    lr = tl.load(hyper + 4, mask=mask)
    if found_inf is not None:
        advance = mask & (tl.load(found_inf) == 0)
    else:
        advance = mask
    step_ptr = tl.load(column + 7 * n_tensors, mask=mask).to(tl.pointer_type(step_dtype))
    step = tl.load(step_ptr, mask=mask).to(tl.float64) + 1.0
    tl.store(step_ptr, step, mask=advance)

    one_minus_alpha = 1.0 - alpha

    row = rows + tensor * 6
    tl.store(row + 0, weight_decay, mask=mask)
    tl.store(row + 1, alpha, mask=mask)
    tl.store(row + 2, one_minus_alpha, mask=mask)
    tl.store(row + 3, momentum, mask=mask)
    tl.store(row + 4, eps, mask=mask)
    tl.store(row + 5, lr, mask=mask)


def _flags(hypers: dict[str, float | bool | str | None], present: tuple[bool, ...]) -> dict[str, bool]:
    """What the kernels are specialised for, given the hyperparameters and which states have been assigned."""
    return {
        "MAXIMIZE": bool(hypers["maximize"]),
        "HAS_WEIGHT_DECAY": bool(hypers["weight_decay"] != 0),
        "CENTERED": bool(hypers["centered"]),
        "MOMENTUM_ABOVE_ZERO": bool(hypers["momentum"] > 0),
    }


_OPTIMIZER = FusedOptimizer(
    kernel=_rmsprop_kernel,
    prepare=_rmsprop_prepare,
    flags=_flags,
    states=("square_avg", "momentum_buffer", "grad_avg"),
    scalar_states=(),
    hypers=("alpha", "weight_decay", "momentum", "eps", "lr"),
    row_size=6,
    counts_steps=True,
)


def fused_step(buckets: list[Bucket], grad_scale: Tensor | None = None, found_inf: Tensor | None = None) -> None:
    """Makes one step of every tensor in ``buckets``, states and step counts included.

    ``grad_scale``: what the gradients have been multiplied by; they are divided by it, in place too. ``found_inf``: if
    it is not 0, nothing changes. Both are on a device and are not read by the host.
    """
    _OPTIMIZER.step(buckets, grad_scale, found_inf)
