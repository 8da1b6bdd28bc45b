# Compiled by optdsl 0.1.0 from muon.opt (sha256 7d1f67cdeda2). Do not edit.
"""Muon_1, fused: one launch updates all tensors of one device, one set of dtypes and one set of flags.

The tensors' addresses stand in ``table``, an int64 matrix with a column for each tensor:

     0  number of elements
     1  row of hyperparameters
     2  param
     3  grad
     4  momentum_buffer
     5  temporary_B_tilde

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
def _muon_1_tile(
    first, count, scale,
    param_address, grad_address, momentum_buffer_address, temporary_B_tilde_address,
    momentum, one_minus_momentum,
    MAXIMIZE: tl.constexpr,
    NESTEROV: tl.constexpr,
    param_dtype: tl.constexpr,
    grad_dtype: tl.constexpr,
    momentum_buffer_dtype: tl.constexpr,
    temporary_B_tilde_dtype: tl.constexpr,
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
    grad_ptr = tile_pointer(grad_address, grad_dtype, first, VECTOR) + offsets
    momentum_buffer_ptr = tile_pointer(momentum_buffer_address, momentum_buffer_dtype, first, VECTOR) + offsets
    temporary_B_tilde_ptr = tile_pointer(temporary_B_tilde_address, temporary_B_tilde_dtype, first, VECTOR) + offsets
    grad = tl.load(grad_ptr, mask=mask).to(COMPUTE)
    momentum_buffer = tl.load(momentum_buffer_ptr, mask=mask).to(COMPUTE)
    if scale is not None:
        grad = divide(grad, scale)
        tl.store(grad_ptr, grad, mask=mask)

    if MAXIMIZE:
        grad = -grad
    momentum_buffer = momentum * momentum_buffer + one_minus_momentum * grad
    if NESTEROV:
        B_tilde = one_minus_momentum * grad + momentum * momentum_buffer
    else:
        B_tilde = momentum_buffer

    tl.store(momentum_buffer_ptr, momentum_buffer, mask=mask)
    tl.store(temporary_B_tilde_ptr, B_tilde, mask=mask)


@triton.jit(do_not_specialize=["n_tensors"], do_not_specialize_on_alignment=["grad_scale", "found_inf"])
def _muon_1_kernel(
    table, n_tensors, block_tensor, block_chunk, rows, grad_scale, found_inf,
    MAXIMIZE: tl.constexpr,
    NESTEROV: tl.constexpr,
    param_dtype: tl.constexpr,
    grad_dtype: tl.constexpr,
    momentum_buffer_dtype: tl.constexpr,
    temporary_B_tilde_dtype: tl.constexpr,
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
    param_address = 0
    grad_address = tl.load(column + 3 * n_tensors)
    momentum_buffer_address = tl.load(column + 4 * n_tensors)
    temporary_B_tilde_address = tl.load(column + 5 * n_tensors)
    row = rows + tensor * 2
    momentum = tl.load(row + 0)
    one_minus_momentum = tl.load(row + 1)

    # Wide accesses as far as they go, then element by element.
    addresses = param_address | grad_address | momentum_buffer_address | temporary_B_tilde_address
    wide = tl.where(addresses % 16 == 0, count // 16 * 16, 0)
    for position in range(0, wide, BLOCK):
        _muon_1_tile(
            start + position, wide - position, scale,
            param_address, grad_address, momentum_buffer_address, temporary_B_tilde_address,
            momentum, one_minus_momentum,
            MAXIMIZE, NESTEROV, param_dtype, grad_dtype, momentum_buffer_dtype, temporary_B_tilde_dtype, COMPUTE,
            VECTOR, BLOCK,
        )  # fmt: skip
    for position in range(wide, count, BLOCK // 2):
        _muon_1_tile(
            start + position, count - position, scale,
            param_address, grad_address, momentum_buffer_address, temporary_B_tilde_address,
            momentum, one_minus_momentum,
            MAXIMIZE, NESTEROV, param_dtype, grad_dtype, momentum_buffer_dtype, temporary_B_tilde_dtype, COMPUTE, 1,
            BLOCK // 2,
        )  # fmt: skip


@triton.jit(do_not_specialize=["n_tensors"], do_not_specialize_on_alignment=["found_inf"])
def _muon_1_prepare(
    table, n_tensors, hypers, rows, found_inf,
    SIZE: tl.constexpr,
):  # fmt: skip
    """Fills the rows of SIZE tensors, in float64."""
    tensor = tl.program_id(0) * SIZE + tl.arange(0, SIZE)
    mask = tensor < n_tensors
    column = table + tensor
    hyper = hypers + tl.load(column + 1 * n_tensors, mask=mask) * 1
    momentum = tl.load(hyper + 0, mask=mask)

    one_minus_momentum = 1.0 - momentum

    row = rows + tensor * 2
    tl.store(row + 0, momentum, mask=mask)
    tl.store(row + 1, one_minus_momentum, mask=mask)


def _flags(hypers: dict[str, float | bool | str | None], present: tuple[bool, ...]) -> dict[str, bool]:
    """What the kernels are specialised for, given the hyperparameters and which states have been assigned."""
    return {
        "MAXIMIZE": bool(hypers["maximize"]),
        "NESTEROV": bool(hypers["nesterov"]),
    }


_OPTIMIZER = FusedOptimizer(
    kernel=_muon_1_kernel,
    prepare=_muon_1_prepare,
    flags=_flags,
    states=("momentum_buffer", "temporary_B_tilde"),
    scalar_states=(),
    hypers=("momentum",),
    row_size=2,
    counts_steps=False,
)


def fused_step(buckets: list[Bucket], grad_scale: Tensor | None = None, found_inf: Tensor | None = None) -> None:
    """Makes one step of every tensor in ``buckets``, states and step counts included.

    ``grad_scale``: what the gradients have been multiplied by; they are divided by it, in place too. ``found_inf``: if
    it is not 0, nothing changes. Both are on a device and are not read by the host.
    """
    _OPTIMIZER.step(buckets, grad_scale, found_inf)
