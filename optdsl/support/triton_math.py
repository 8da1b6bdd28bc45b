"""Arithmetic of the fused kernels: rounded to nearest, with torch's treatment of NaN."""

# mypy: disable-error-code="no-untyped-def"

import triton  # type: ignore[import-untyped]
import triton.language as tl  # type: ignore[import-untyped]


@triton.jit
def divide(a, b):
    """``a / b``, correctly rounded (Triton's own float32 ``/`` is an approximation)."""
    if (a + b).dtype == tl.float64:
        quotient = a / b
    else:
        quotient = tl.div_rn(a, b)
    return quotient


@triton.jit
def square_root(x):
    """``√x``, correctly rounded."""
    if x.dtype == tl.float64:
        root = tl.sqrt(x)
    else:
        root = tl.sqrt_rn(x)
    return root


@triton.jit
def maximum(a, b):
    """The larger one; NaN if either is."""
    return tl.maximum(a, b, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def minimum(a, b):
    """The smaller one; NaN if either is."""
    return tl.minimum(a, b, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def sign(x):
    """-1, 0 or 1; 0 for NaN, as in torch."""
    return tl.where(x > 0, 1.0, tl.where(x < 0, -1.0, 0.0)).to(x.dtype)


@triton.jit
def integer_power(x, N: tl.constexpr):
    """``xᴺ`` for N ≥ 1, by multiplication."""
    product = x
    for _ in tl.static_range(N - 1):
        product = product * x
    return product


@triton.jit
def power(base, exponent):
    """``base ** exponent``, computed in float64; NaN for a negative base and an exponent that is no integer."""
    x = base.to(tl.float64)
    y = exponent.to(tl.float64)
    magnitude = tl.exp2(y * tl.log2(tl.abs(x)))
    half = y * 0.5
    odd = (tl.floor(half) != half) & (tl.floor(y) == y)
    signed = tl.where(odd, -magnitude, tl.where(tl.floor(y) == y, magnitude, float("nan")))
    result = tl.where(y == 0, 1.0, tl.where(x < 0, signed, magnitude))
    return result.to((base + exponent).dtype)


@triton.jit
def round_to(x, dtype: tl.constexpr):
    """The float64 ``x`` as it will read once it has been stored in a state of ``dtype``."""
    return x.to(dtype).to(tl.float64)


@triton.jit
def tile_pointer(address, dtype: tl.constexpr, first, WIDE: tl.constexpr):
    """Pointer to element ``first`` of the tensor at ``address``, known to be aligned to WIDE elements.

    The hint is given here, on a value that only this call makes: given on a value that other code shares, it would
    hold there too.
    """
    pointer = address.to(tl.pointer_type(dtype)) + first
    if WIDE > 1:
        pointer = tl.multiple_of(pointer, WIDE * dtype.primitive_bitwidth // 8)
    return pointer


@triton.jit
def as_stored(x, dtype: tl.constexpr):
    """``x`` as it will read once it has been stored in a tensor of ``dtype``."""
    return x.to(dtype).to(x.dtype)


@triton.jit
def plus(a, b):
    """``a + b``."""
    return a + b


@triton.jit
def sum_over(x, AXIS: tl.constexpr):
    """The sum over one axis of a tile, which stays."""
    return tl.reduce(x, AXIS, plus, keep_dims=True)


@triton.jit
def maximum_over(x, AXIS: tl.constexpr):
    """The largest over one axis of a tile, which stays."""
    return tl.reduce(x, AXIS, maximum, keep_dims=True)


@triton.jit
def minimum_over(x, AXIS: tl.constexpr):
    """The smallest over one axis of a tile, which stays."""
    return tl.reduce(x, AXIS, minimum, keep_dims=True)


@triton.jit
def sum_all(x):
    """The sum of a tile."""
    return tl.reduce(tl.reshape(x, [x.numel]), 0, plus)


@triton.jit
def maximum_all(x):
    """The largest of a tile."""
    return tl.reduce(tl.reshape(x, [x.numel]), 0, maximum)


@triton.jit
def minimum_all(x):
    """The smallest of a tile."""
    return tl.reduce(tl.reshape(x, [x.numel]), 0, minimum)


@triton.jit
def parts_at(pointer, element, part, count, stride, mask, other):
    """Part ``part`` of each ``element``, where there is one."""
    where = element[None, :] + part.to(tl.int64) * stride
    return tl.load(pointer + where, mask=mask[None, :] & (part < count), other=other)


@triton.jit
def sum_parts(pointer, element, count, stride, mask, dtype: tl.constexpr, WIDTH: tl.constexpr, DEPTH: tl.constexpr):
    """For each ``element``, the sum of ``count`` parts that are ``stride`` apart."""
    part = tl.arange(0, DEPTH)[:, None]
    total = tl.full([DEPTH, WIDTH], 0, dtype)
    for first in range(0, count, DEPTH):
        total += parts_at(pointer, element, first + part, count, stride, mask, 0.0)
    return tl.reduce(total, 0, plus)


@triton.jit
def maximum_parts(pointer, element, count, stride, mask, dtype: tl.constexpr, WIDTH: tl.constexpr, DEPTH: tl.constexpr):
    """For each ``element``, the largest of ``count`` parts that are ``stride`` apart."""
    part = tl.arange(0, DEPTH)[:, None]
    largest = tl.full([DEPTH, WIDTH], float("-inf"), dtype)
    for first in range(0, count, DEPTH):
        largest = maximum(largest, parts_at(pointer, element, first + part, count, stride, mask, float("-inf")))
    return tl.reduce(largest, 0, maximum)


@triton.jit
def minimum_parts(pointer, element, count, stride, mask, dtype: tl.constexpr, WIDTH: tl.constexpr, DEPTH: tl.constexpr):
    """For each ``element``, the smallest of ``count`` parts that are ``stride`` apart."""
    part = tl.arange(0, DEPTH)[:, None]
    smallest = tl.full([DEPTH, WIDTH], float("inf"), dtype)
    for first in range(0, count, DEPTH):
        smallest = minimum(smallest, parts_at(pointer, element, first + part, count, stride, mask, float("inf")))
    return tl.reduce(smallest, 0, minimum)


@triton.jit
def ceil_divide(a, b):
    """How many ``b`` it takes to hold ``a``."""
    return (a + b - 1) // b
