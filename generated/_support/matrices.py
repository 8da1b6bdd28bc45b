# Compiled by optdsl 0.1.0 (part of every package). Do not edit.
"""Products of matrices, or of batches of them."""

from __future__ import annotations

import torch
from torch import Tensor


def addmm(added: Tensor, a: Tensor, b: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """``beta * added + alpha * a @ b`` in one operation; every matrix of a batch by itself."""
    if a.dim() == 2:
        return torch.addmm(added, a, b, beta=beta, alpha=alpha)
    if a.dim() == 3:
        return torch.baddbmm(added, a, b, beta=beta, alpha=alpha)
    flat = (tensor.reshape(-1, *tensor.shape[-2:]) for tensor in (added, a, b))
    product = torch.baddbmm(*flat, beta=beta, alpha=alpha)
    return product.reshape(*added.shape[:-2], *product.shape[-2:])
