# Compiled by optdsl 0.1.0. Do not edit.
"""Optimizers compiled from their specs; use them as those of ``torch.optim``."""

from .adam import Adam
from .adamw import AdamW
from .sgd import SGD

__all__ = [
    "Adam",
    "AdamW",
    "SGD",
]
