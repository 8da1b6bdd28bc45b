# Compiled by optdsl 0.1.0 from adafactor.opt (sha256 a4e2d3e855ce). Do not edit.
"""Adafactor, fused: a few launches update all tensors of one device, one set of dtypes and one set of flags.

A pass walks the elements of all tensors. It computes anew what it needs, so that nothing of a tensor's size is stored
but states, and leaves a part of each reduction for every chunk of a tensor. A small job then folds the parts, in an
order that depends on the tensor's shape alone. The jobs, in order:

    pass_0      reads grad (if DIM_ABOVE_ONE); feeds sum_cols_grad_squared (if DIM_ABOVE_ONE), sum_rows_grad_squared (if
                DIM_ABOVE_ONE)
    rows_1      makes, for each row, sum_cols_grad_squared, row_var (if DIM_ABOVE_ONE)
    cols_2      makes, for each column, sum_rows_grad_squared, col_var (if DIM_ABOVE_ONE)
    matrices_3  makes, for each matrix, sum_rows_row_var, V_hat_part (if DIM_ABOVE_ONE)
    pass_1      reads variance (if not DIM_ABOVE_ONE), param, grad; feeds sum_all_param_squared, sum_all_U_squared
    tensor_5    makes, for each tensor, sum_all_param_squared, sum_all_U_squared, alpha, U_hat_scale
    pass_2      reads variance (if not DIM_ABOVE_ONE), param, grad; writes param, variance (if not DIM_ABOVE_ONE)

The tensors' addresses stand in ``table``, an int64 matrix with a column for each tensor:

     0  number of elements
     1  row of hyperparameters
     2  number of matrices
     3  rows of each
     4  columns of each
     5  span: how many rows a program walks, or elements where the tensor is flat
     6  parts of a reduction of the whole tensor
     7  number of dimensions
     8  alpha_values in the scratch memory: one
     9  U_hat_scale_values in the scratch memory: one
    10  row_var_values in the scratch memory: one for each row
    11  col_var_values in the scratch memory: one for each column
    12  V_hat_part_values in the scratch memory: one for each matrix
    13  sum_all_param_squared_parts in the scratch memory: two for each chunk
    14  sum_all_U_squared_parts in the scratch memory: two for each chunk
    15  sum_rows_grad_squared_parts in the scratch memory: one for every ``span`` rows of each column
    16  sum_cols_grad_squared_parts in the scratch memory: one for every COLS columns of each row
    17  param
    18  grad
    19  row_var
    20  col_var
    21  variance
    22  step

The arithmetic is float32 (float64 for float64 parameters). Elements are accessed 128 bits at a time where addresses
and rows allow it.
A tensor of which no row or column matters is walked as a vector (FLAT), others as matrices, in tiles of BATCHES × ROWS
× COLS.
Scalars are computed on the device at every step, in float64, one row of ``scalars`` for each tensor.
"""

import triton
import triton.language as tl
from torch import Tensor

from ._support.fused import Bucket
from ._support.triton_math import (
    as_stored,
    ceil_divide,
    divide,
    maximum,
    minimum,
    power,
    square_root,
    sum_all,
    sum_over,
    sum_parts,
    tile_pointer,
)
from ._support.triton_phases import Job, PhasedOptimizer, Slot


@triton.jit
def _adafactor_pass_0_panel(
    first, limit, first_batch, first_row, first_col, n_batches, n_rows, n_cols, panel, part, scale,
    grad_address,
    sum_cols_grad_squared_parts, sum_rows_grad_squared_parts,
    MAXIMIZE: tl.constexpr,
    DIM_ABOVE_ONE: tl.constexpr,
    grad_dtype: tl.constexpr,
    FLAT: tl.constexpr,
    COMPUTE: tl.constexpr,
    VECTOR: tl.constexpr,
    BATCHES: tl.constexpr,
    ROWS: tl.constexpr,
    COLS: tl.constexpr,
):  # fmt: skip
    """Walks ``limit`` elements (FLAT), or rows of COLS columns of BATCHES matrices, from element ``first`` on.

    With VECTOR > 1, every address is one of 16 bytes and ``limit``, or the number of columns, is a multiple of 16.
    """
    if FLAT:
        offsets = tl.arange(0, COLS)[None, None, :]
    else:
        pitch = n_cols // 16 * 16 if VECTOR > 1 else n_cols  # says that 16 elements stay together
        batch = tl.arange(0, BATCHES)[:, None, None]
        row = tl.arange(0, ROWS)[None, :, None]
        col = tl.arange(0, COLS)[None, None, :]
        offsets = (batch * n_rows + row) * pitch + col
        batch_mask = first_batch + batch < n_batches
        col_mask = batch_mask & (first_col + col < pitch)
        row_first = first_batch.to(tl.int64) * n_rows + first_row
        col_first = first_batch.to(tl.int64) * n_cols + first_col
        col_index = batch * n_cols + col
        row_parts = row_first + first_col // COLS * (n_batches.to(tl.int64) * n_rows)
        panel_mask = col_mask & (limit > 0)
        col_parts = col_first + panel * (n_batches.to(tl.int64) * n_cols)
    if DIM_ABOVE_ONE:
        sum_rows_grad_squared_total = tl.full([BATCHES, ROWS, COLS], 0.0, COMPUTE)

    for position in range(0, limit, COLS if FLAT else ROWS):
        if FLAT:
            tile_first = first + position
            mask = offsets < ((limit - position) // 16 * 16 if VECTOR > 1 else limit - position)
        else:
            tile_first = first + position * pitch.to(tl.int64)
            row_index = batch * n_rows + row + position
            row_mask = batch_mask & (row + position < limit)
            mask = row_mask & col_mask
        if DIM_ABOVE_ONE:
            grad_ptr = tile_pointer(grad_address, grad_dtype, tile_first, VECTOR) + offsets
        grad = tl.load(grad_ptr, mask=mask).to(COMPUTE) if DIM_ABOVE_ONE else 0.0
        if DIM_ABOVE_ONE and scale is not None:
            grad = as_stored(divide(grad, scale), grad_dtype)
            tl.store(grad_ptr, grad, mask=mask)
        if MAXIMIZE:
            if DIM_ABOVE_ONE:
                grad = -grad
        if DIM_ABOVE_ONE:
            grad_squared = grad * grad
        if DIM_ABOVE_ONE:
            sum_cols_grad_squared_total = sum_over(tl.where(mask, grad_squared, 0.0), 2)
            tl.store(sum_cols_grad_squared_parts + row_parts + row_index, sum_cols_grad_squared_total, mask=row_mask)
            sum_rows_grad_squared_total = sum_rows_grad_squared_total + tl.where(mask, grad_squared, 0.0)

    if DIM_ABOVE_ONE:
        sum_rows_grad_squared_total = sum_over(sum_rows_grad_squared_total, 1)
        tl.store(sum_rows_grad_squared_parts + col_parts + col_index, sum_rows_grad_squared_total, mask=panel_mask)


@triton.jit(do_not_specialize=["n_tensors"], do_not_specialize_on_alignment=["grad_scale", "found_inf"])
def _adafactor_pass_0(
    table, n_tensors, block_tensor, block_chunk, scalars, scratch, grad_scale, found_inf,
    MAXIMIZE: tl.constexpr,
    DIM_ABOVE_ONE: tl.constexpr,
    grad_dtype: tl.constexpr,
    FLAT: tl.constexpr,
    COMPUTE: tl.constexpr,
    VECTOR: tl.constexpr,
    BATCHES: tl.constexpr,
    ROWS: tl.constexpr,
    COLS: tl.constexpr,
):  # fmt: skip
    """Walks part ``block_chunk[i]`` of tensor ``block_tensor[i]``, i the program."""
    tensor = tl.load(block_tensor + tl.program_id(0))
    block = tl.load(block_chunk + tl.program_id(0))
    column = table + tensor
    span = tl.load(column + 5 * n_tensors).to(tl.int32)
    n_batches = tl.load(column + 2 * n_tensors).to(tl.int32)
    n_rows = tl.load(column + 3 * n_tensors).to(tl.int32)
    n_cols = tl.load(column + 4 * n_tensors).to(tl.int32)
    if FLAT:
        first_batch, first_row, first_col, panel = 0, 0, 0, 0
        first = block.to(tl.int64) * span
        limit = tl.minimum(tl.load(column) - first, span).to(tl.int32)
    else:
        n_panels = ceil_divide(n_rows, span)
        n_tiles = ceil_divide(n_cols, COLS)
        first_col = block % n_tiles * COLS
        panel = block // n_tiles % n_panels
        first_row = panel * span
        first_batch = block // (n_tiles * n_panels) * BATCHES
        first = (first_batch.to(tl.int64) * n_rows + first_row) * n_cols + first_col
        limit = tl.minimum(n_rows - first_row, span)
    scale = tl.load(grad_scale).to(COMPUTE) if grad_scale is not None else None
    if found_inf is not None:
        limit = tl.where(tl.load(found_inf) != 0, 0, limit)
    grad_address = tl.load(column + 18 * n_tensors) if DIM_ABOVE_ONE else 0
    sum_cols_grad_squared_parts = scratch + tl.load(column + 16 * n_tensors) if DIM_ABOVE_ONE else scratch
    sum_rows_grad_squared_parts = scratch + tl.load(column + 15 * n_tensors) if DIM_ABOVE_ONE else scratch

    # Wide accesses as far as they go, then element by element.
    addresses = grad_address
    if FLAT:
        wide = tl.where(addresses % 16 == 0, limit // 16 * 16, 0)
        narrow_first = first + wide
        NARROW_ROWS: tl.constexpr = ROWS
        NARROW_COLS: tl.constexpr = COLS // 2
    else:
        wide = tl.where((addresses % 16 == 0) & (n_cols % 16 == 0), limit, 0)
        narrow_first = first
        NARROW_ROWS: tl.constexpr = ROWS // 2
        NARROW_COLS: tl.constexpr = COLS
    _adafactor_pass_0_panel(
        first, wide, first_batch, first_row, first_col, n_batches, n_rows, n_cols, panel, 2 * block, scale,
        grad_address, sum_cols_grad_squared_parts, sum_rows_grad_squared_parts,
        MAXIMIZE, DIM_ABOVE_ONE, grad_dtype, FLAT, COMPUTE, VECTOR, BATCHES, ROWS, COLS,
    )  # fmt: skip
    _adafactor_pass_0_panel(
        narrow_first, limit - wide, first_batch, first_row, first_col, n_batches, n_rows, n_cols, panel, 2 * block + 1,
        scale,
        grad_address, sum_cols_grad_squared_parts, sum_rows_grad_squared_parts,
        MAXIMIZE, DIM_ABOVE_ONE, grad_dtype, FLAT, COMPUTE, 1, BATCHES, NARROW_ROWS, NARROW_COLS,
    )  # fmt: skip


@triton.jit
def _adafactor_pass_1_panel(
    first, limit, first_batch, first_row, first_col, n_batches, n_rows, n_cols, panel, part, scale,
    variance_address, param_address, grad_address,
    row_var_values, col_var_values, V_hat_part_values, sum_all_param_squared_parts, sum_all_U_squared_parts,
    beta_hat, one_minus_beta_hat, epsilon1_hat_to_the_two,
    MAXIMIZE: tl.constexpr,
    DIM_ABOVE_ONE: tl.constexpr,
    variance_dtype: tl.constexpr,
    param_dtype: tl.constexpr,
    grad_dtype: tl.constexpr,
    FLAT: tl.constexpr,
    COMPUTE: tl.constexpr,
    VECTOR: tl.constexpr,
    BATCHES: tl.constexpr,
    ROWS: tl.constexpr,
    COLS: tl.constexpr,
):  # fmt: skip
    """Walks ``limit`` elements (FLAT), or rows of COLS columns of BATCHES matrices, from element ``first`` on.

    With VECTOR > 1, every address is one of 16 bytes and ``limit``, or the number of columns, is a multiple of 16.
    """
    if FLAT:
        offsets = tl.arange(0, COLS)[None, None, :]
    else:
        pitch = n_cols // 16 * 16 if VECTOR > 1 else n_cols  # says that 16 elements stay together
        batch = tl.arange(0, BATCHES)[:, None, None]
        row = tl.arange(0, ROWS)[None, :, None]
        col = tl.arange(0, COLS)[None, None, :]
        offsets = (batch * n_rows + row) * pitch + col
        batch_mask = first_batch + batch < n_batches
        col_mask = batch_mask & (first_col + col < pitch)
        row_first = first_batch.to(tl.int64) * n_rows + first_row
        col_first = first_batch.to(tl.int64) * n_cols + first_col
        col_index = batch * n_cols + col
    col_var = tl.load(col_var_values + col_first + col_index, mask=col_mask).to(COMPUTE) if DIM_ABOVE_ONE else 0.0
    V_hat_part = tl.load(V_hat_part_values + first_batch + batch, mask=batch_mask).to(COMPUTE) if DIM_ABOVE_ONE else 0.0
    sum_all_param_squared_total = tl.full([BATCHES, ROWS, COLS], 0.0, COMPUTE)
    sum_all_U_squared_total = tl.full([BATCHES, ROWS, COLS], 0.0, COMPUTE)

    for position in range(0, limit, COLS if FLAT else ROWS):
        if FLAT:
            tile_first = first + position
            mask = offsets < ((limit - position) // 16 * 16 if VECTOR > 1 else limit - position)
        else:
            tile_first = first + position * pitch.to(tl.int64)
            row_index = batch * n_rows + row + position
            row_mask = batch_mask & (row + position < limit)
            mask = row_mask & col_mask
        if not DIM_ABOVE_ONE:
            variance_ptr = tile_pointer(variance_address, variance_dtype, tile_first, VECTOR) + offsets
        param_ptr = tile_pointer(param_address, param_dtype, tile_first, VECTOR) + offsets
        grad_ptr = tile_pointer(grad_address, grad_dtype, tile_first, VECTOR) + offsets
        variance = tl.load(variance_ptr, mask=mask).to(COMPUTE) if not DIM_ABOVE_ONE else 0.0
        row_var = tl.load(row_var_values + row_first + row_index, mask=row_mask).to(COMPUTE) if DIM_ABOVE_ONE else 0.0
        param = tl.load(param_ptr, mask=mask).to(COMPUTE)
        grad = tl.load(grad_ptr, mask=mask).to(COMPUTE)
        if not DIM_ABOVE_ONE and scale is not None:
            grad = as_stored(divide(grad, scale), grad_dtype)
            tl.store(grad_ptr, grad, mask=mask)
        if MAXIMIZE:
            grad = -grad
        param_squared = param * param
        if DIM_ABOVE_ONE:
            V_hat = divide(row_var * col_var, V_hat_part)
        else:
            variance = beta_hat * variance + one_minus_beta_hat * (grad * grad)
            V_hat = variance
        U = divide(grad, square_root(maximum(V_hat, epsilon1_hat_to_the_two)))
        U_squared = U * U
        sum_all_param_squared_total = sum_all_param_squared_total + tl.where(mask, param_squared, 0.0)
        sum_all_U_squared_total = sum_all_U_squared_total + tl.where(mask, U_squared, 0.0)

    tl.store(sum_all_param_squared_parts + part, sum_all(sum_all_param_squared_total))
    tl.store(sum_all_U_squared_parts + part, sum_all(sum_all_U_squared_total))


@triton.jit(do_not_specialize=["n_tensors"], do_not_specialize_on_alignment=["grad_scale", "found_inf"])
def _adafactor_pass_1(
    table, n_tensors, block_tensor, block_chunk, scalars, scratch, grad_scale, found_inf,
    MAXIMIZE: tl.constexpr,
    DIM_ABOVE_ONE: tl.constexpr,
    variance_dtype: tl.constexpr,
    param_dtype: tl.constexpr,
    grad_dtype: tl.constexpr,
    FLAT: tl.constexpr,
    COMPUTE: tl.constexpr,
    VECTOR: tl.constexpr,
    BATCHES: tl.constexpr,
    ROWS: tl.constexpr,
    COLS: tl.constexpr,
):  # fmt: skip
    """Walks part ``block_chunk[i]`` of tensor ``block_tensor[i]``, i the program."""
    tensor = tl.load(block_tensor + tl.program_id(0))
    block = tl.load(block_chunk + tl.program_id(0))
    column = table + tensor
    span = tl.load(column + 5 * n_tensors).to(tl.int32)
    n_batches = tl.load(column + 2 * n_tensors).to(tl.int32)
    n_rows = tl.load(column + 3 * n_tensors).to(tl.int32)
    n_cols = tl.load(column + 4 * n_tensors).to(tl.int32)
    if FLAT:
        first_batch, first_row, first_col, panel = 0, 0, 0, 0
        first = block.to(tl.int64) * span
        limit = tl.minimum(tl.load(column) - first, span).to(tl.int32)
    else:
        n_panels = ceil_divide(n_rows, span)
        n_tiles = ceil_divide(n_cols, COLS)
        first_col = block % n_tiles * COLS
        panel = block // n_tiles % n_panels
        first_row = panel * span
        first_batch = block // (n_tiles * n_panels) * BATCHES
        first = (first_batch.to(tl.int64) * n_rows + first_row) * n_cols + first_col
        limit = tl.minimum(n_rows - first_row, span)
    scale = tl.load(grad_scale).to(COMPUTE) if grad_scale is not None else None
    if found_inf is not None:
        limit = tl.where(tl.load(found_inf) != 0, 0, limit)
    variance_address = tl.load(column + 21 * n_tensors) if not DIM_ABOVE_ONE else 0
    param_address = tl.load(column + 17 * n_tensors)
    grad_address = tl.load(column + 18 * n_tensors)
    row_var_values = scratch + tl.load(column + 10 * n_tensors) if DIM_ABOVE_ONE else scratch
    col_var_values = scratch + tl.load(column + 11 * n_tensors) if DIM_ABOVE_ONE else scratch
    V_hat_part_values = scratch + tl.load(column + 12 * n_tensors) if DIM_ABOVE_ONE else scratch
    sum_all_param_squared_parts = scratch + tl.load(column + 13 * n_tensors)
    sum_all_U_squared_parts = scratch + tl.load(column + 14 * n_tensors)
    scalar = scalars + tensor * 11
    beta_hat = tl.load(scalar + 4)
    one_minus_beta_hat = tl.load(scalar + 5)
    epsilon1_hat_to_the_two = tl.load(scalar + 9)

    # Wide accesses as far as they go, then element by element.
    addresses = variance_address | param_address | grad_address
    if FLAT:
        wide = tl.where(addresses % 16 == 0, limit // 16 * 16, 0)
        narrow_first = first + wide
        NARROW_ROWS: tl.constexpr = ROWS
        NARROW_COLS: tl.constexpr = COLS // 2
    else:
        wide = tl.where((addresses % 16 == 0) & (n_cols % 16 == 0), limit, 0)
        narrow_first = first
        NARROW_ROWS: tl.constexpr = ROWS // 2
        NARROW_COLS: tl.constexpr = COLS
    _adafactor_pass_1_panel(
        first, wide, first_batch, first_row, first_col, n_batches, n_rows, n_cols, panel, 2 * block, scale,
        variance_address, param_address, grad_address, row_var_values, col_var_values, V_hat_part_values,
        sum_all_param_squared_parts, sum_all_U_squared_parts, beta_hat, one_minus_beta_hat, epsilon1_hat_to_the_two,
        MAXIMIZE, DIM_ABOVE_ONE, variance_dtype, param_dtype, grad_dtype, FLAT, COMPUTE, VECTOR, BATCHES, ROWS, COLS,
    )  # fmt: skip
    _adafactor_pass_1_panel(
        narrow_first, limit - wide, first_batch, first_row, first_col, n_batches, n_rows, n_cols, panel, 2 * block + 1,
        scale,
        variance_address, param_address, grad_address, row_var_values, col_var_values, V_hat_part_values,
        sum_all_param_squared_parts, sum_all_U_squared_parts, beta_hat, one_minus_beta_hat, epsilon1_hat_to_the_two,
        MAXIMIZE, DIM_ABOVE_ONE, variance_dtype, param_dtype, grad_dtype, FLAT, COMPUTE, 1, BATCHES, NARROW_ROWS,
        NARROW_COLS,
    )  # fmt: skip


@triton.jit
def _adafactor_pass_2_panel(
    first, limit, first_batch, first_row, first_col, n_batches, n_rows, n_cols, panel, part,
    variance_address, param_address, grad_address,
    alpha_values, U_hat_scale_values, row_var_values, col_var_values, V_hat_part_values,
    lr_times_weight_decay, beta_hat, one_minus_beta_hat, epsilon1_hat_to_the_two,
    MAXIMIZE: tl.constexpr,
    HAS_WEIGHT_DECAY: tl.constexpr,
    DIM_ABOVE_ONE: tl.constexpr,
    variance_dtype: tl.constexpr,
    param_dtype: tl.constexpr,
    grad_dtype: tl.constexpr,
    FLAT: tl.constexpr,
    COMPUTE: tl.constexpr,
    VECTOR: tl.constexpr,
    BATCHES: tl.constexpr,
    ROWS: tl.constexpr,
    COLS: tl.constexpr,
):  # fmt: skip
    """Walks ``limit`` elements (FLAT), or rows of COLS columns of BATCHES matrices, from element ``first`` on.

    With VECTOR > 1, every address is one of 16 bytes and ``limit``, or the number of columns, is a multiple of 16.
    """
    if FLAT:
        offsets = tl.arange(0, COLS)[None, None, :]
    else:
        pitch = n_cols // 16 * 16 if VECTOR > 1 else n_cols  # says that 16 elements stay together
        batch = tl.arange(0, BATCHES)[:, None, None]
        row = tl.arange(0, ROWS)[None, :, None]
        col = tl.arange(0, COLS)[None, None, :]
        offsets = (batch * n_rows + row) * pitch + col
        batch_mask = first_batch + batch < n_batches
        col_mask = batch_mask & (first_col + col < pitch)
        row_first = first_batch.to(tl.int64) * n_rows + first_row
        col_first = first_batch.to(tl.int64) * n_cols + first_col
        col_index = batch * n_cols + col
    alpha = tl.load(alpha_values).to(COMPUTE)
    U_hat_scale = tl.load(U_hat_scale_values).to(COMPUTE)
    col_var = tl.load(col_var_values + col_first + col_index, mask=col_mask).to(COMPUTE) if DIM_ABOVE_ONE else 0.0
    V_hat_part = tl.load(V_hat_part_values + first_batch + batch, mask=batch_mask).to(COMPUTE) if DIM_ABOVE_ONE else 0.0

    for position in range(0, limit, COLS if FLAT else ROWS):
        if FLAT:
            tile_first = first + position
            mask = offsets < ((limit - position) // 16 * 16 if VECTOR > 1 else limit - position)
        else:
            tile_first = first + position * pitch.to(tl.int64)
            row_index = batch * n_rows + row + position
            row_mask = batch_mask & (row + position < limit)
            mask = row_mask & col_mask
        if not DIM_ABOVE_ONE:
            variance_ptr = tile_pointer(variance_address, variance_dtype, tile_first, VECTOR) + offsets
        param_ptr = tile_pointer(param_address, param_dtype, tile_first, VECTOR) + offsets
        grad_ptr = tile_pointer(grad_address, grad_dtype, tile_first, VECTOR) + offsets
        variance = tl.load(variance_ptr, mask=mask).to(COMPUTE) if not DIM_ABOVE_ONE else 0.0
        row_var = tl.load(row_var_values + row_first + row_index, mask=row_mask).to(COMPUTE) if DIM_ABOVE_ONE else 0.0
        param = tl.load(param_ptr, mask=mask).to(COMPUTE)
        grad = tl.load(grad_ptr, mask=mask).to(COMPUTE)
        if MAXIMIZE:
            grad = -grad
        if HAS_WEIGHT_DECAY:
            param = param - lr_times_weight_decay * param
        if DIM_ABOVE_ONE:
            V_hat = divide(row_var * col_var, V_hat_part)
        else:
            variance = beta_hat * variance + one_minus_beta_hat * (grad * grad)
            V_hat = variance
        U = divide(grad, square_root(maximum(V_hat, epsilon1_hat_to_the_two)))
        U_hat = divide(U, U_hat_scale)
        param = param - alpha * U_hat
        tl.store(param_ptr, param, mask=mask)
        if not DIM_ABOVE_ONE:
            tl.store(variance_ptr, variance, mask=mask)


@triton.jit(do_not_specialize=["n_tensors"], do_not_specialize_on_alignment=["grad_scale", "found_inf"])
def _adafactor_pass_2(
    table, n_tensors, block_tensor, block_chunk, scalars, scratch, grad_scale, found_inf,
    MAXIMIZE: tl.constexpr,
    HAS_WEIGHT_DECAY: tl.constexpr,
    DIM_ABOVE_ONE: tl.constexpr,
    variance_dtype: tl.constexpr,
    param_dtype: tl.constexpr,
    grad_dtype: tl.constexpr,
    FLAT: tl.constexpr,
    COMPUTE: tl.constexpr,
    VECTOR: tl.constexpr,
    BATCHES: tl.constexpr,
    ROWS: tl.constexpr,
    COLS: tl.constexpr,
):  # fmt: skip
    """Walks part ``block_chunk[i]`` of tensor ``block_tensor[i]``, i the program."""
    tensor = tl.load(block_tensor + tl.program_id(0))
    block = tl.load(block_chunk + tl.program_id(0))
    column = table + tensor
    span = tl.load(column + 5 * n_tensors).to(tl.int32)
    n_batches = tl.load(column + 2 * n_tensors).to(tl.int32)
    n_rows = tl.load(column + 3 * n_tensors).to(tl.int32)
    n_cols = tl.load(column + 4 * n_tensors).to(tl.int32)
    if FLAT:
        first_batch, first_row, first_col, panel = 0, 0, 0, 0
        first = block.to(tl.int64) * span
        limit = tl.minimum(tl.load(column) - first, span).to(tl.int32)
    else:
        n_panels = ceil_divide(n_rows, span)
        n_tiles = ceil_divide(n_cols, COLS)
        first_col = block % n_tiles * COLS
        panel = block // n_tiles % n_panels
        first_row = panel * span
        first_batch = block // (n_tiles * n_panels) * BATCHES
        first = (first_batch.to(tl.int64) * n_rows + first_row) * n_cols + first_col
        limit = tl.minimum(n_rows - first_row, span)
    if found_inf is not None:
        limit = tl.where(tl.load(found_inf) != 0, 0, limit)
    variance_address = tl.load(column + 21 * n_tensors) if not DIM_ABOVE_ONE else 0
    param_address = tl.load(column + 17 * n_tensors)
    grad_address = tl.load(column + 18 * n_tensors)
    alpha_values = scratch + tl.load(column + 8 * n_tensors)
    U_hat_scale_values = scratch + tl.load(column + 9 * n_tensors)
    row_var_values = scratch + tl.load(column + 10 * n_tensors) if DIM_ABOVE_ONE else scratch
    col_var_values = scratch + tl.load(column + 11 * n_tensors) if DIM_ABOVE_ONE else scratch
    V_hat_part_values = scratch + tl.load(column + 12 * n_tensors) if DIM_ABOVE_ONE else scratch
    scalar = scalars + tensor * 11
    lr_times_weight_decay = tl.load(scalar + 3)
    beta_hat = tl.load(scalar + 4)
    one_minus_beta_hat = tl.load(scalar + 5)
    epsilon1_hat_to_the_two = tl.load(scalar + 9)

    # Wide accesses as far as they go, then element by element.
    addresses = variance_address | param_address | grad_address
    if FLAT:
        wide = tl.where(addresses % 16 == 0, limit // 16 * 16, 0)
        narrow_first = first + wide
        NARROW_ROWS: tl.constexpr = ROWS
        NARROW_COLS: tl.constexpr = COLS // 2
    else:
        wide = tl.where((addresses % 16 == 0) & (n_cols % 16 == 0), limit, 0)
        narrow_first = first
        NARROW_ROWS: tl.constexpr = ROWS // 2
        NARROW_COLS: tl.constexpr = COLS
    _adafactor_pass_2_panel(
        first, wide, first_batch, first_row, first_col, n_batches, n_rows, n_cols, panel, 2 * block,
        variance_address, param_address, grad_address, alpha_values, U_hat_scale_values, row_var_values, col_var_values,
        V_hat_part_values, lr_times_weight_decay, beta_hat, one_minus_beta_hat, epsilon1_hat_to_the_two,
        MAXIMIZE, HAS_WEIGHT_DECAY, DIM_ABOVE_ONE, variance_dtype, param_dtype, grad_dtype, FLAT, COMPUTE, VECTOR,
        BATCHES, ROWS, COLS,
    )  # fmt: skip
    _adafactor_pass_2_panel(
        narrow_first, limit - wide, first_batch, first_row, first_col, n_batches, n_rows, n_cols, panel, 2 * block + 1,
        variance_address, param_address, grad_address, alpha_values, U_hat_scale_values, row_var_values, col_var_values,
        V_hat_part_values, lr_times_weight_decay, beta_hat, one_minus_beta_hat, epsilon1_hat_to_the_two,
        MAXIMIZE, HAS_WEIGHT_DECAY, DIM_ABOVE_ONE, variance_dtype, param_dtype, grad_dtype, FLAT, COMPUTE, 1, BATCHES,
        NARROW_ROWS, NARROW_COLS,
    )  # fmt: skip


@triton.jit(do_not_specialize=["n_tensors"], do_not_specialize_on_alignment=["found_inf"])
def _adafactor_rows_1(
    table, n_tensors, block_tensor, block_chunk, scalars, scratch, found_inf,
    DIM_ABOVE_ONE: tl.constexpr,
    row_var_dtype: tl.constexpr,
    COMPUTE: tl.constexpr,
    COLS: tl.constexpr,
    WIDTH: tl.constexpr,
    DEPTH: tl.constexpr,
):  # fmt: skip
    """Makes values WIDTH ``block_chunk[i]`` … of tensor ``block_tensor[i]``, i the program."""
    tensor = tl.load(block_tensor + tl.program_id(0))
    column = table + tensor
    n_batches = tl.load(column + 2 * n_tensors).to(tl.int32)
    n_rows = tl.load(column + 3 * n_tensors).to(tl.int32)
    n_cols = tl.load(column + 4 * n_tensors).to(tl.int32)
    element = tl.load(block_chunk + tl.program_id(0)).to(tl.int64) * WIDTH + tl.arange(0, WIDTH)
    mask = element < n_batches.to(tl.int64) * n_rows
    if found_inf is not None:
        mask = mask & (tl.load(found_inf) == 0)
    row_var_address = tl.load(column + 19 * n_tensors) if DIM_ABOVE_ONE else 0
    sum_cols_grad_squared_parts = scratch + tl.load(column + 16 * n_tensors) if DIM_ABOVE_ONE else scratch
    row_var_values = scratch + tl.load(column + 10 * n_tensors) if DIM_ABOVE_ONE else scratch
    scalar = scalars + tensor * 11
    beta_hat = tl.load(scalar + 4)
    one_minus_beta_hat = tl.load(scalar + 5)
    cols = tl.load(scalar + 6)

    row_var = (
        tl.load(row_var_address.to(tl.pointer_type(row_var_dtype)) + element, mask=mask).to(COMPUTE)
        if DIM_ABOVE_ONE
        else 0.0
    )
    sum_cols_grad_squared = (
        sum_parts(
            sum_cols_grad_squared_parts,
            element,
            ceil_divide(n_cols, COLS),
            n_batches.to(tl.int64) * n_rows,
            mask,
            COMPUTE,
            WIDTH,
            DEPTH,
        )
        if DIM_ABOVE_ONE
        else 0.0
    )
    if DIM_ABOVE_ONE:
        row_var_2 = beta_hat * row_var + one_minus_beta_hat * divide(sum_cols_grad_squared, cols)
        row_var = row_var_2
    if DIM_ABOVE_ONE:
        tl.store(row_var_values + element, row_var_2, mask=mask)
        tl.store(row_var_address.to(tl.pointer_type(row_var_dtype)) + element, row_var, mask=mask)


@triton.jit(do_not_specialize=["n_tensors"], do_not_specialize_on_alignment=["found_inf"])
def _adafactor_cols_2(
    table, n_tensors, block_tensor, block_chunk, scalars, scratch, found_inf,
    DIM_ABOVE_ONE: tl.constexpr,
    col_var_dtype: tl.constexpr,
    COMPUTE: tl.constexpr,
    COLS: tl.constexpr,
    WIDTH: tl.constexpr,
    DEPTH: tl.constexpr,
):  # fmt: skip
    """Makes values WIDTH ``block_chunk[i]`` … of tensor ``block_tensor[i]``, i the program."""
    tensor = tl.load(block_tensor + tl.program_id(0))
    column = table + tensor
    n_batches = tl.load(column + 2 * n_tensors).to(tl.int32)
    n_rows = tl.load(column + 3 * n_tensors).to(tl.int32)
    n_cols = tl.load(column + 4 * n_tensors).to(tl.int32)
    span = tl.load(column + 5 * n_tensors).to(tl.int32)
    element = tl.load(block_chunk + tl.program_id(0)).to(tl.int64) * WIDTH + tl.arange(0, WIDTH)
    mask = element < n_batches.to(tl.int64) * n_cols
    if found_inf is not None:
        mask = mask & (tl.load(found_inf) == 0)
    col_var_address = tl.load(column + 20 * n_tensors) if DIM_ABOVE_ONE else 0
    sum_rows_grad_squared_parts = scratch + tl.load(column + 15 * n_tensors) if DIM_ABOVE_ONE else scratch
    col_var_values = scratch + tl.load(column + 11 * n_tensors) if DIM_ABOVE_ONE else scratch
    scalar = scalars + tensor * 11
    beta_hat = tl.load(scalar + 4)
    one_minus_beta_hat = tl.load(scalar + 5)
    rows_2 = tl.load(scalar + 7)

    col_var = (
        tl.load(col_var_address.to(tl.pointer_type(col_var_dtype)) + element, mask=mask).to(COMPUTE)
        if DIM_ABOVE_ONE
        else 0.0
    )
    sum_rows_grad_squared = (
        sum_parts(
            sum_rows_grad_squared_parts,
            element,
            ceil_divide(n_rows, span),
            n_batches.to(tl.int64) * n_cols,
            mask,
            COMPUTE,
            WIDTH,
            DEPTH,
        )
        if DIM_ABOVE_ONE
        else 0.0
    )
    if DIM_ABOVE_ONE:
        col_var_2 = beta_hat * col_var + one_minus_beta_hat * divide(sum_rows_grad_squared, rows_2)
        col_var = col_var_2
    if DIM_ABOVE_ONE:
        tl.store(col_var_values + element, col_var_2, mask=mask)
        tl.store(col_var_address.to(tl.pointer_type(col_var_dtype)) + element, col_var, mask=mask)


@triton.jit(do_not_specialize=["n_tensors"], do_not_specialize_on_alignment=["found_inf"])
def _adafactor_matrices_3(
    table, n_tensors, block_tensor, block_chunk, scalars, scratch, found_inf,
    DIM_ABOVE_ONE: tl.constexpr,
    COMPUTE: tl.constexpr,
    COLS: tl.constexpr,
    WIDTH: tl.constexpr,
    DEPTH: tl.constexpr,
):  # fmt: skip
    """Makes values WIDTH ``block_chunk[i]`` … of tensor ``block_tensor[i]``, i the program."""
    tensor = tl.load(block_tensor + tl.program_id(0))
    column = table + tensor
    n_batches = tl.load(column + 2 * n_tensors).to(tl.int32)
    n_rows = tl.load(column + 3 * n_tensors).to(tl.int32)
    element = tl.load(block_chunk + tl.program_id(0)).to(tl.int64) * WIDTH + tl.arange(0, WIDTH)
    mask = element < n_batches
    if found_inf is not None:
        mask = mask & (tl.load(found_inf) == 0)
    row_var_values = scratch + tl.load(column + 10 * n_tensors) if DIM_ABOVE_ONE else scratch
    V_hat_part_values = scratch + tl.load(column + 12 * n_tensors) if DIM_ABOVE_ONE else scratch
    scalar = scalars + tensor * 11
    rows_2 = tl.load(scalar + 7)
    epsilon1_hat = tl.load(scalar + 8)

    sum_rows_row_var = (
        sum_parts(row_var_values, element * n_rows, n_rows, 1, mask, COMPUTE, WIDTH, DEPTH) if DIM_ABOVE_ONE else 0.0
    )
    if DIM_ABOVE_ONE:
        V_hat_part = maximum(divide(sum_rows_row_var, rows_2), epsilon1_hat)
    if DIM_ABOVE_ONE:
        tl.store(V_hat_part_values + element, V_hat_part, mask=mask)


@triton.jit(do_not_specialize=["n_tensors"], do_not_specialize_on_alignment=["found_inf"])
def _adafactor_tensor_5(
    table, n_tensors, block_tensor, block_chunk, scalars, scratch, found_inf,
    COMPUTE: tl.constexpr,
    COLS: tl.constexpr,
    WIDTH: tl.constexpr,
    DEPTH: tl.constexpr,
):  # fmt: skip
    """Makes values WIDTH ``block_chunk[i]`` … of tensor ``block_tensor[i]``, i the program."""
    tensor = tl.load(block_tensor + tl.program_id(0))
    column = table + tensor
    parts = tl.load(column + 6 * n_tensors).to(tl.int32)
    element = tl.load(block_chunk + tl.program_id(0)).to(tl.int64) * WIDTH + tl.arange(0, WIDTH)
    mask = element < 1
    if found_inf is not None:
        mask = mask & (tl.load(found_inf) == 0)
    sum_all_U_squared_parts = scratch + tl.load(column + 14 * n_tensors)
    sum_all_param_squared_parts = scratch + tl.load(column + 13 * n_tensors)
    alpha_values = scratch + tl.load(column + 8 * n_tensors)
    U_hat_scale_values = scratch + tl.load(column + 9 * n_tensors)
    scalar = scalars + tensor * 11
    epsilon2 = tl.load(scalar + 0)
    numel = tl.load(scalar + 1)
    rho = tl.load(scalar + 2)
    d = tl.load(scalar + 10)

    sum_all_U_squared = sum_parts(sum_all_U_squared_parts, element, parts, 1, mask, COMPUTE, WIDTH, DEPTH)
    sum_all_param_squared = sum_parts(sum_all_param_squared_parts, element, parts, 1, mask, COMPUTE, WIDTH, DEPTH)
    alpha = maximum(epsilon2, square_root(divide(sum_all_param_squared, numel))) * rho
    U_hat_scale = maximum(1.0, divide(square_root(divide(sum_all_U_squared, numel)), d))
    tl.store(alpha_values + element, alpha, mask=mask)
    tl.store(U_hat_scale_values + element, U_hat_scale, mask=mask)



@triton.jit(do_not_specialize=["n_tensors"], do_not_specialize_on_alignment=["found_inf"])
def _adafactor_prepare(
    table, n_tensors, hypers, rows, found_inf,
    EPSILON1_IS_NOT_NONE: tl.constexpr,
    step_dtype: tl.constexpr,
    MACHINE_EPSILON: tl.constexpr,
    SIZE: tl.constexpr,
):  # fmt: skip
    """Fills the rows of SIZE tensors, in float64; advances their step counts unless ``found_inf``."""
    tensor = tl.program_id(0) * SIZE + tl.arange(0, SIZE)
    mask = tensor < n_tensors
    column = table + tensor
    hyper = hypers + tl.load(column + 1 * n_tensors, mask=mask) * 6
    epsilon1 = tl.load(hyper + 0, mask=mask)
    beta2_decay = tl.load(hyper + 1, mask=mask)
    lr = tl.load(hyper + 2, mask=mask)
    weight_decay = tl.load(hyper + 3, mask=mask)
    epsilon2 = tl.load(hyper + 4, mask=mask)
    d = tl.load(hyper + 5, mask=mask)
    machine_epsilon = tl.full((), MACHINE_EPSILON, tl.float64)
    numel = tl.load(column + 0 * n_tensors, mask=mask).to(tl.float64)
    cols = tl.load(column + 4 * n_tensors, mask=mask).to(tl.float64)
    rows_2 = tl.load(column + 3 * n_tensors, mask=mask).to(tl.float64)
    if found_inf is not None:
        advance = mask & (tl.load(found_inf) == 0)
    else:
        advance = mask
    step_ptr = tl.load(column + 22 * n_tensors, mask=mask).to(tl.pointer_type(step_dtype))
    step = tl.load(step_ptr, mask=mask).to(tl.float64) + 1.0
    tl.store(step_ptr, step, mask=advance)

    epsilon1_hat = epsilon1 if EPSILON1_IS_NOT_NONE else machine_epsilon
    beta_hat = 1.0 - power(step, beta2_decay)
    rho = minimum(lr, divide(1.0, square_root(step)))
    lr_times_weight_decay = lr * weight_decay
    one_minus_beta_hat = 1.0 - beta_hat
    epsilon1_hat_to_the_two = epsilon1_hat * epsilon1_hat

    row = rows + tensor * 11
    tl.store(row + 0, epsilon2, mask=mask)
    tl.store(row + 1, numel, mask=mask)
    tl.store(row + 2, rho, mask=mask)
    tl.store(row + 3, lr_times_weight_decay, mask=mask)
    tl.store(row + 4, beta_hat, mask=mask)
    tl.store(row + 5, one_minus_beta_hat, mask=mask)
    tl.store(row + 6, cols, mask=mask)
    tl.store(row + 7, rows_2, mask=mask)
    tl.store(row + 8, epsilon1_hat, mask=mask)
    tl.store(row + 9, epsilon1_hat_to_the_two, mask=mask)
    tl.store(row + 10, d, mask=mask)


def _flags(
    hypers: dict[str, float | bool | str | None], present: tuple[bool, ...], facts: dict[str, float]
) -> dict[str, bool]:
    """What the kernels are specialised for: hyperparameters, which states have been assigned, facts about θ."""
    return {
        "MAXIMIZE": bool(hypers["maximize"]),
        "HAS_WEIGHT_DECAY": bool(hypers["weight_decay"] != 0),
        "DIM_ABOVE_ONE": bool(facts["dim"] > 1),
        "EPSILON1_IS_NOT_NONE": bool(hypers["epsilon1"] is not None),
    }


_OPTIMIZER = PhasedOptimizer(
    jobs=(
        Job(_adafactor_pass_0, "elements", active=lambda flags: flags["DIM_ABOVE_ONE"]),
        Job(_adafactor_rows_1, "rows", active=lambda flags: flags["DIM_ABOVE_ONE"]),
        Job(_adafactor_cols_2, "cols", active=lambda flags: flags["DIM_ABOVE_ONE"]),
        Job(_adafactor_matrices_3, "matrices", active=lambda flags: flags["DIM_ABOVE_ONE"]),
        Job(_adafactor_pass_1, "elements", active=lambda flags: True),
        Job(_adafactor_tensor_5, "tensor", active=lambda flags: True),
        Job(_adafactor_pass_2, "elements", active=lambda flags: True),
    ),
    slots=(
        Slot("alpha_values", "tensor", parts=False),
        Slot("U_hat_scale_values", "tensor", parts=False),
        Slot("row_var_values", "rows", parts=False),
        Slot("col_var_values", "cols", parts=False),
        Slot("V_hat_part_values", "matrices", parts=False),
        Slot("sum_all_param_squared_parts", "tensor", parts=True),
        Slot("sum_all_U_squared_parts", "tensor", parts=True),
        Slot("sum_rows_grad_squared_parts", "cols", parts=True),
        Slot("sum_cols_grad_squared_parts", "rows", parts=True),
    ),
    matrix=lambda flags: flags["DIM_ABOVE_ONE"],
    facts=("dim",),
    small_states={'row_var': 'rows', 'col_var': 'cols'},
    kernel=None,
    prepare=_adafactor_prepare,
    flags=_flags,
    states=("row_var", "col_var", "variance"),
    scalar_states=(),
    hypers=("epsilon1", "beta2_decay", "lr", "weight_decay", "epsilon2", "d"),
    row_size=11,
    counts_steps=True,
)


def fused_step(buckets: list[Bucket], grad_scale: Tensor | None = None, found_inf: Tensor | None = None) -> None:
    """Makes one step of every tensor in ``buckets``, states and step counts included.

    ``grad_scale``: what the gradients have been multiplied by; they are divided by it, in place too. ``found_inf``: if
    it is not 0, nothing changes. Both are on a device and are not read by the host.
    """
    _OPTIMIZER.step(buckets, grad_scale, found_inf)
