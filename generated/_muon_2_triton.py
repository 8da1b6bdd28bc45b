# Compiled by optdsl 0.1.0 from muon.opt (sha256 7d1f67cdeda2). Do not edit.
"""Muon_2, fused: one launch updates all tensors of one device, one set of dtypes and one set of flags.

The tensors' addresses stand in ``table``, an int64 matrix with a column for each tensor:

     0  number of elements
     1  row of hyperparameters
     2  param
     3  grad
     4  temporary_O

Every tensor is read once and written once, 128 bits at a time where its addresses allow it, and rounded once: the
arithmetic in between is float32 (float64 for float64 parameters).
Scalars are computed on the device, in float64, when a hyperparameter changes; one row of ``rows`` for each tensor.
"""

import triton
import triton.language as tl
from torch import Tensor

from ._support.fused import Bucket
from ._support.triton_launch import FusedOptimizer
from ._support.triton_math import divide, maximum, square_root, tile_pointer


@triton.jit
def _muon_2_tile(
    first, count, scale,
    param_address, grad_address, temporary_O_address,
    lr_times_weight_decay, lr_times_alpha,
    param_dtype: tl.constexpr,
    grad_dtype: tl.constexpr,
    temporary_O_dtype: tl.constexpr,
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
    temporary_O_ptr = tile_pointer(temporary_O_address, temporary_O_dtype, first, VECTOR) + offsets
    param = tl.load(param_ptr, mask=mask).to(COMPUTE)
    temporary_O = tl.load(temporary_O_ptr, mask=mask).to(COMPUTE)

    param = param - lr_times_weight_decay * param
    param = param - lr_times_alpha * temporary_O

    tl.store(param_ptr, param, mask=mask)


@triton.jit(do_not_specialize=["n_tensors"], do_not_specialize_on_alignment=["grad_scale", "found_inf"])
def _muon_2_kernel(
    table, n_tensors, block_tensor, block_chunk, rows, grad_scale, found_inf,
    param_dtype: tl.constexpr,
    grad_dtype: tl.constexpr,
    temporary_O_dtype: tl.constexpr,
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
    grad_address = 0
    temporary_O_address = tl.load(column + 4 * n_tensors)
    row = rows + tensor * 2
    lr_times_weight_decay = tl.load(row + 0)
    lr_times_alpha = tl.load(row + 1)

    # Wide accesses as far as they go, then element by element.
    addresses = param_address | grad_address | temporary_O_address
    wide = tl.where(addresses % 16 == 0, count // 16 * 16, 0)
    for position in range(0, wide, BLOCK):
        _muon_2_tile(
            start + position, wide - position, scale,
            param_address, grad_address, temporary_O_address,
            lr_times_weight_decay, lr_times_alpha,
            param_dtype, grad_dtype, temporary_O_dtype, COMPUTE, VECTOR, BLOCK,
        )  # fmt: skip
    for position in range(wide, count, BLOCK // 2):
        _muon_2_tile(
            start + position, count - position, scale,
            param_address, grad_address, temporary_O_address,
            lr_times_weight_decay, lr_times_alpha,
            param_dtype, grad_dtype, temporary_O_dtype, COMPUTE, 1, BLOCK // 2,
        )  # fmt: skip


@triton.jit(do_not_specialize=["n_tensors"], do_not_specialize_on_alignment=["found_inf"])
def _muon_2_prepare(
    table, n_tensors, hypers, rows, found_inf,
    ADJUST_LR_FN_IS_MATCH_RMS_ADAMW: tl.constexpr,
    SIZE: tl.constexpr,
):  # fmt: skip
    """Fills the rows of SIZE tensors, in float64."""
    tensor = tl.program_id(0) * SIZE + tl.arange(0, SIZE)
    mask = tensor < n_tensors
    column = table + tensor
    hyper = hypers + tl.load(column + 1 * n_tensors, mask=mask) * 4
    param_rows = tl.load(hyper + 0, mask=mask)
    param_cols = tl.load(hyper + 1, mask=mask)
    lr = tl.load(hyper + 2, mask=mask)
    weight_decay = tl.load(hyper + 3, mask=mask)

    alpha = (
        0.2 * square_root(maximum(param_rows, param_cols))
        if ADJUST_LR_FN_IS_MATCH_RMS_ADAMW
        else square_root(maximum(1.0, divide(param_rows, param_cols)))
    )
    lr_times_weight_decay = lr * weight_decay
    lr_times_alpha = lr * alpha

    row = rows + tensor * 2
    tl.store(row + 0, lr_times_weight_decay, mask=mask)
    tl.store(row + 1, lr_times_alpha, mask=mask)


def _flags(hypers: dict[str, float | bool | str | None], present: tuple[bool, ...]) -> dict[str, bool]:
    """What the kernels are specialised for, given the hyperparameters and which states have been assigned."""
    return {
        "ADJUST_LR_FN_IS_MATCH_RMS_ADAMW": bool(hypers["adjust_lr_fn"] == 'match_rms_adamw'),
    }


_OPTIMIZER = FusedOptimizer(
    kernel=_muon_2_kernel,
    prepare=_muon_2_prepare,
    flags=_flags,
    states=("temporary_O",),
    scalar_states=(),
    hypers=("param_rows", "param_cols", "lr", "weight_decay"),
    row_size=2,
    counts_steps=False,
)


def fused_step(buckets: list[Bucket], grad_scale: Tensor | None = None, found_inf: Tensor | None = None) -> None:
    """Makes one step of every tensor in ``buckets``, states and step counts included.

    ``grad_scale``: what the gradients have been multiplied by; they are divided by it, in place too. ``found_inf``: if
    it is not 0, nothing changes. Both are on a device and are not read by the host.
    """
    _OPTIMIZER.step(buckets, grad_scale, found_inf)
