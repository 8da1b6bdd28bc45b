"""Functions of the matrices in the last two dimensions of a tensor, in at least single precision."""

from __future__ import annotations

import torch
from torch import Tensor

from .reductions import wide


def orthonormal(x: Tensor) -> Tensor:
    """The Q of ``x = Q R`` where no diagonal element of R is negative: its columns are orthonormal."""
    q, r = torch.linalg.qr(x.to(wide(x.dtype)))
    signs = torch.where(r.diagonal(dim1=-2, dim2=-1) < 0, -1.0, 1.0).to(q.dtype)
    return (q * signs.unsqueeze(-2)).to(x.dtype)


def matrix_power(x: Tensor, exponent: float | Tensor) -> Tensor:
    """``x`` to the power of ``exponent``, for symmetric positive semidefinite ``x``; eigenvalues below 0 count as 0."""
    values, vectors = torch.linalg.eigh(x.to(wide(x.dtype)))
    return ((vectors * values.clamp(min=0).pow(exponent).unsqueeze(-2)) @ vectors.mT).to(x.dtype)


def identity(size: float, like: Tensor) -> Tensor:
    """The identity matrix with ``size`` rows, in the dtype and on the device of ``like``."""
    return torch.eye(int(size), dtype=like.dtype, device=like.device)


def addmm(added: Tensor, a: Tensor, b: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """``beta * added + alpha * a @ b`` in one operation; every matrix of a batch by itself."""
    if a.dim() == 2:
        return torch.addmm(added, a, b, beta=beta, alpha=alpha)
    if a.dim() == 3:
        return torch.baddbmm(added, a, b, beta=beta, alpha=alpha)
    flat = (tensor.reshape(-1, *tensor.shape[-2:]) for tensor in (added, a, b))
    product = torch.baddbmm(*flat, beta=beta, alpha=alpha)
    return product.reshape(*added.shape[:-2], *product.shape[-2:])
