# Compiled by optdsl 0.1.0 from sgd.opt (sha256 d41eb5f4b6b0). Do not edit.
"""SGD, fused: one launch updates all tensors of one device, one set of dtypes and one set of flags.

The tensors' addresses stand in ``table``, an int64 matrix with a column for each tensor:

     0  number of elements
     1  row of hyperparameters
     2  param
     3  grad
     4  momentum_buffer

Every tensor is read once and written once, 128 bits at a time where its addresses allow it, and rounded once: the
arithmetic in between is float32 (float64 for float64 parameters).
Scalars are computed on the device, in float64, when a hyperparameter changes; one row of ``rows`` for each tensor.
"""

import triton
import triton.language as tl
from torch import Tensor

from ._support.fused import Bucket
from ._support.triton_launch import FusedOptimizer
from ._support.triton_math import divide, tile_pointer


@triton.jit
def _sgd_tile(
    first, count, scale,
    param_address, grad_address, momentum_buffer_address,
    weight_decay, momentum, one_minus_dampening, lr,
    MAXIMIZE: tl.constexpr,
    HAS_WEIGHT_DECAY: tl.constexpr,
    HAS_MOMENTUM: tl.constexpr,
    MOMENTUM_BUFFER_PRESENT: tl.constexpr,
    NESTEROV: tl.constexpr,
    param_dtype: tl.constexpr,
    grad_dtype: tl.constexpr,
    momentum_buffer_dtype: tl.constexpr,
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
    if HAS_MOMENTUM:
        momentum_buffer_ptr = tile_pointer(momentum_buffer_address, momentum_buffer_dtype, first, VECTOR) + offsets
    param = tl.load(param_ptr, mask=mask).to(COMPUTE)
    grad = tl.load(grad_ptr, mask=mask).to(COMPUTE)
    momentum_buffer = (
        tl.load(momentum_buffer_ptr, mask=mask).to(COMPUTE) if HAS_MOMENTUM and MOMENTUM_BUFFER_PRESENT else 0.0
    )
    if scale is not None:
        grad = divide(grad, scale)
        tl.store(grad_ptr, grad, mask=mask)

    if MAXIMIZE:
        grad = -grad
    if HAS_WEIGHT_DECAY:
        grad = grad + weight_decay * param
    if HAS_MOMENTUM:
        if MOMENTUM_BUFFER_PRESENT:
            momentum_buffer = momentum * momentum_buffer + one_minus_dampening * grad
        else:
            momentum_buffer = grad
        if NESTEROV:
            grad = grad + momentum * momentum_buffer
        else:
            grad = momentum_buffer
    param = param - lr * grad

    tl.store(param_ptr, param, mask=mask)
    if HAS_MOMENTUM:
        tl.store(momentum_buffer_ptr, momentum_buffer, mask=mask)


@triton.jit(do_not_specialize=["n_tensors"], do_not_specialize_on_alignment=["grad_scale", "found_inf"])
def _sgd_kernel(
    table, n_tensors, block_tensor, block_chunk, rows, grad_scale, found_inf,
    MAXIMIZE: tl.constexpr,
    HAS_WEIGHT_DECAY: tl.constexpr,
    HAS_MOMENTUM: tl.constexpr,
    MOMENTUM_BUFFER_PRESENT: tl.constexpr,
    NESTEROV: tl.constexpr,
    param_dtype: tl.constexpr,
    grad_dtype: tl.constexpr,
    momentum_buffer_dtype: tl.constexpr,
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
    momentum_buffer_address = tl.load(column + 4 * n_tensors) if HAS_MOMENTUM else 0
    row = rows + tensor * 4
    weight_decay = tl.load(row + 0)
    momentum = tl.load(row + 1)
    one_minus_dampening = tl.load(row + 2)
    lr = tl.load(row + 3)

    # Wide accesses as far as they go, then element by element.
    addresses = param_address | grad_address | momentum_buffer_address
    wide = tl.where(addresses % 16 == 0, count // 16 * 16, 0)
    for position in range(0, wide, BLOCK):
        _sgd_tile(
            start + position, wide - position, scale,
            param_address, grad_address, momentum_buffer_address,
            weight_decay, momentum, one_minus_dampening, lr,
            MAXIMIZE, HAS_WEIGHT_DECAY, HAS_MOMENTUM, MOMENTUM_BUFFER_PRESENT, NESTEROV, param_dtype, grad_dtype,
            momentum_buffer_dtype, COMPUTE, VECTOR, BLOCK,
        )  # fmt: skip
    for position in range(wide, count, BLOCK // 2):
        _sgd_tile(
            start + position, count - position, scale,
            param_address, grad_address, momentum_buffer_address,
            weight_decay, momentum, one_minus_dampening, lr,
            MAXIMIZE, HAS_WEIGHT_DECAY, HAS_MOMENTUM, MOMENTUM_BUFFER_PRESENT, NESTEROV, param_dtype, grad_dtype,
            momentum_buffer_dtype, COMPUTE, 1, BLOCK // 2,
        )  # fmt: skip


@triton.jit(do_not_specialize=["n_tensors"], do_not_specialize_on_alignment=["found_inf"])
def _sgd_prepare(
    table, n_tensors, hypers, rows, found_inf,
    SIZE: tl.constexpr,
):  # fmt: skip
    """Fills the rows of SIZE tensors, in float64."""
    tensor = tl.program_id(0) * SIZE + tl.arange(0, SIZE)
    mask = tensor < n_tensors
    column = table + tensor
    hyper = hypers + tl.load(column + 1 * n_tensors, mask=mask) * 4
    dampening = tl.load(hyper + 0, mask=mask)
    weight_decay = tl.load(hyper + 1, mask=mask)
    momentum = tl.load(hyper + 2, mask=mask)
    lr = tl.load(hyper + 3, mask=mask)

    one_minus_dampening = 1.0 - dampening

    row = rows + tensor * 4
    tl.store(row + 0, weight_decay, mask=mask)
    tl.store(row + 1, momentum, mask=mask)
    tl.store(row + 2, one_minus_dampening, mask=mask)
    tl.store(row + 3, lr, mask=mask)


def _flags(hypers: dict[str, float | bool | str | None], present: tuple[bool, ...]) -> dict[str, bool]:
    """What the kernels are specialised for, given the hyperparameters and which states have been assigned."""
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


_OPTIMIZER = FusedOptimizer(
    kernel=_sgd_kernel,
    prepare=_sgd_prepare,
    flags=_flags,
    assigned=_assigned,
    states=("momentum_buffer",),
    scalar_states=(),
    hypers=("dampening", "weight_decay", "momentum", "lr"),
    row_size=4,
    counts_steps=False,
)


def fused_step(buckets: list[Bucket], grad_scale: Tensor | None = None, found_inf: Tensor | None = None) -> None:
    """Makes one step of every tensor in ``buckets``, states and step counts included.

    ``grad_scale``: what the gradients have been multiplied by; they are divided by it, in place too. ``found_inf``: if
    it is not 0, nothing changes. Both are on a device and are not read by the host.
    """
    _OPTIMIZER.step(buckets, grad_scale, found_inf)
