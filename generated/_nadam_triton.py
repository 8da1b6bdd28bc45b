# Compiled by optdsl 0.1.0 from nadam.opt (sha256 5d9344ac8e0a). Do not edit.
"""NAdam, fused: one launch updates all tensors of one device, one set of dtypes and one set of flags.

The tensors' addresses stand in ``table``, an int64 matrix with a column for each tensor:

     0  number of elements
     1  row of hyperparameters
     2  param
     3  grad
     4  mu_product
     5  exp_avg
     6  exp_avg_sq
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
from ._support.triton_math import divide, power, round_to, square_root, tile_pointer


@triton.jit
def _nadam_tile(
    first, count, scale,
    param_address, grad_address, exp_avg_address, exp_avg_sq_address,
    lr_times_weight_decay, weight_decay, beta1, one_minus_beta1, beta2, one_minus_beta2, mu_next,
    one_minus_mu_product_times_mu_next, one_minus_mu, one_minus_mu_product, bias_correction2, lr, eps,
    MAXIMIZE: tl.constexpr,
    HAS_WEIGHT_DECAY: tl.constexpr,
    DECOUPLED_WEIGHT_DECAY: tl.constexpr,
    param_dtype: tl.constexpr,
    grad_dtype: tl.constexpr,
    exp_avg_dtype: tl.constexpr,
    exp_avg_sq_dtype: tl.constexpr,
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
    exp_avg_ptr = tile_pointer(exp_avg_address, exp_avg_dtype, first, VECTOR) + offsets
    exp_avg_sq_ptr = tile_pointer(exp_avg_sq_address, exp_avg_sq_dtype, first, VECTOR) + offsets
    param = tl.load(param_ptr, mask=mask).to(COMPUTE)
    grad = tl.load(grad_ptr, mask=mask).to(COMPUTE)
    exp_avg = tl.load(exp_avg_ptr, mask=mask).to(COMPUTE)
    exp_avg_sq = tl.load(exp_avg_sq_ptr, mask=mask).to(COMPUTE)
    if scale is not None:
        grad = divide(grad, scale)
        tl.store(grad_ptr, grad, mask=mask)

    if MAXIMIZE:
        grad = -grad
    if HAS_WEIGHT_DECAY:
        if DECOUPLED_WEIGHT_DECAY:
            param = param - lr_times_weight_decay * param
        else:
            grad = grad + weight_decay * param
    exp_avg = beta1 * exp_avg + one_minus_beta1 * grad
    exp_avg_sq = beta2 * exp_avg_sq + one_minus_beta2 * (grad * grad)
    m_hat = (
        divide(mu_next * exp_avg, one_minus_mu_product_times_mu_next)
        + divide(one_minus_mu * grad, one_minus_mu_product)
    )
    v_hat = divide(exp_avg_sq, bias_correction2)
    param = param - divide(lr * m_hat, square_root(v_hat) + eps)

    tl.store(param_ptr, param, mask=mask)
    tl.store(exp_avg_ptr, exp_avg, mask=mask)
    tl.store(exp_avg_sq_ptr, exp_avg_sq, mask=mask)


@triton.jit(do_not_specialize=["n_tensors"], do_not_specialize_on_alignment=["grad_scale", "found_inf"])
def _nadam_kernel(
    table, n_tensors, block_tensor, block_chunk, rows, grad_scale, found_inf,
    MAXIMIZE: tl.constexpr,
    HAS_WEIGHT_DECAY: tl.constexpr,
    DECOUPLED_WEIGHT_DECAY: tl.constexpr,
    param_dtype: tl.constexpr,
    grad_dtype: tl.constexpr,
    exp_avg_dtype: tl.constexpr,
    exp_avg_sq_dtype: tl.constexpr,
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
    exp_avg_address = tl.load(column + 5 * n_tensors)
    exp_avg_sq_address = tl.load(column + 6 * n_tensors)
    row = rows + tensor * 13
    lr_times_weight_decay = tl.load(row + 0)
    weight_decay = tl.load(row + 1)
    beta1 = tl.load(row + 2)
    one_minus_beta1 = tl.load(row + 3)
    beta2 = tl.load(row + 4)
    one_minus_beta2 = tl.load(row + 5)
    mu_next = tl.load(row + 6)
    one_minus_mu_product_times_mu_next = tl.load(row + 7)
    one_minus_mu = tl.load(row + 8)
    one_minus_mu_product = tl.load(row + 9)
    bias_correction2 = tl.load(row + 10)
    lr = tl.load(row + 11)
    eps = tl.load(row + 12)

    # Wide accesses as far as they go, then element by element.
    addresses = param_address | grad_address | exp_avg_address | exp_avg_sq_address
    wide = tl.where(addresses % 16 == 0, count // 16 * 16, 0)
    for position in range(0, wide, BLOCK):
        _nadam_tile(
            start + position, wide - position, scale,
            param_address, grad_address, exp_avg_address, exp_avg_sq_address,
            lr_times_weight_decay, weight_decay, beta1, one_minus_beta1, beta2, one_minus_beta2, mu_next,
            one_minus_mu_product_times_mu_next, one_minus_mu, one_minus_mu_product, bias_correction2, lr, eps,
            MAXIMIZE, HAS_WEIGHT_DECAY, DECOUPLED_WEIGHT_DECAY, param_dtype, grad_dtype, exp_avg_dtype,
            exp_avg_sq_dtype, COMPUTE, VECTOR, BLOCK,
        )  # fmt: skip
    for position in range(wide, count, BLOCK // 2):
        _nadam_tile(
            start + position, count - position, scale,
            param_address, grad_address, exp_avg_address, exp_avg_sq_address,
            lr_times_weight_decay, weight_decay, beta1, one_minus_beta1, beta2, one_minus_beta2, mu_next,
            one_minus_mu_product_times_mu_next, one_minus_mu, one_minus_mu_product, bias_correction2, lr, eps,
            MAXIMIZE, HAS_WEIGHT_DECAY, DECOUPLED_WEIGHT_DECAY, param_dtype, grad_dtype, exp_avg_dtype,
            exp_avg_sq_dtype, COMPUTE, 1, BLOCK // 2,
        )  # fmt: skip


@triton.jit(do_not_specialize=["n_tensors"], do_not_specialize_on_alignment=["found_inf"])
def _nadam_prepare(
    table, n_tensors, hypers, rows, found_inf,
    step_dtype: tl.constexpr,
    mu_product_dtype: tl.constexpr,
    SIZE: tl.constexpr,
):  # fmt: skip
    """Fills the rows of SIZE tensors, in float64; advances their step counts and scalar states unless ``found_inf``."""
    tensor = tl.program_id(0) * SIZE + tl.arange(0, SIZE)
    mask = tensor < n_tensors
    column = table + tensor
    hyper = hypers + tl.load(column + 1 * n_tensors, mask=mask) * 6
    lr = tl.load(hyper + 0, mask=mask)
    weight_decay = tl.load(hyper + 1, mask=mask)
    beta1 = tl.load(hyper + 2, mask=mask)
    momentum_decay = tl.load(hyper + 3, mask=mask)
    beta2 = tl.load(hyper + 4, mask=mask)
    eps = tl.load(hyper + 5, mask=mask)
    if found_inf is not None:
        advance = mask & (tl.load(found_inf) == 0)
    else:
        advance = mask
    step_ptr = tl.load(column + 7 * n_tensors, mask=mask).to(tl.pointer_type(step_dtype))
    step = tl.load(step_ptr, mask=mask).to(tl.float64) + 1.0
    tl.store(step_ptr, step, mask=advance)
    mu_product_ptr = tl.load(column + 4 * n_tensors, mask=mask).to(tl.pointer_type(mu_product_dtype))
    mu_product = tl.load(mu_product_ptr, mask=mask).to(tl.float64)

    lr_times_weight_decay = lr * weight_decay
    mu = beta1 * (1.0 - 0.5 * power(tl.full((), 0.96, tl.float64), step * momentum_decay))
    mu_next = beta1 * (1.0 - 0.5 * power(tl.full((), 0.96, tl.float64), (step + 1.0) * momentum_decay))
    mu_product = round_to(mu_product * mu, mu_product_dtype)
    one_minus_beta1 = 1.0 - beta1
    one_minus_beta2 = 1.0 - beta2
    one_minus_mu_product_times_mu_next = 1.0 - mu_product * mu_next
    one_minus_mu = 1.0 - mu
    one_minus_mu_product = 1.0 - mu_product
    bias_correction2 = 1.0 - power(beta2, step)

    tl.store(mu_product_ptr, mu_product, mask=advance)
    row = rows + tensor * 13
    tl.store(row + 0, lr_times_weight_decay, mask=mask)
    tl.store(row + 1, weight_decay, mask=mask)
    tl.store(row + 2, beta1, mask=mask)
    tl.store(row + 3, one_minus_beta1, mask=mask)
    tl.store(row + 4, beta2, mask=mask)
    tl.store(row + 5, one_minus_beta2, mask=mask)
    tl.store(row + 6, mu_next, mask=mask)
    tl.store(row + 7, one_minus_mu_product_times_mu_next, mask=mask)
    tl.store(row + 8, one_minus_mu, mask=mask)
    tl.store(row + 9, one_minus_mu_product, mask=mask)
    tl.store(row + 10, bias_correction2, mask=mask)
    tl.store(row + 11, lr, mask=mask)
    tl.store(row + 12, eps, mask=mask)


def _flags(hypers: dict[str, float | bool | str | None], present: tuple[bool, ...]) -> dict[str, bool]:
    """What the kernels are specialised for, given the hyperparameters and which states have been assigned."""
    return {
        "MAXIMIZE": bool(hypers["maximize"]),
        "HAS_WEIGHT_DECAY": bool(hypers["weight_decay"] != 0),
        "DECOUPLED_WEIGHT_DECAY": bool(hypers["decoupled_weight_decay"]),
    }


_OPTIMIZER = FusedOptimizer(
    kernel=_nadam_kernel,
    prepare=_nadam_prepare,
    flags=_flags,
    states=("mu_product", "exp_avg", "exp_avg_sq"),
    scalar_states=("mu_product",),
    hypers=("lr", "weight_decay", "beta1", "momentum_decay", "beta2", "eps"),
    row_size=13,
    counts_steps=True,
)


def fused_step(buckets: list[Bucket], grad_scale: Tensor | None = None, found_inf: Tensor | None = None) -> None:
    """Makes one step of every tensor in ``buckets``, states and step counts included.

    ``grad_scale``: what the gradients have been multiplied by; they are divided by it, in place too. ``found_inf``: if
    it is not 0, nothing changes. Both are on a device and are not read by the host.
    """
    _OPTIMIZER.step(buckets, grad_scale, found_inf)
