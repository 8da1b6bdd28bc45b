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
