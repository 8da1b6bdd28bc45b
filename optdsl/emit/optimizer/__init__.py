"""The module of one optimizer: its class, and the functions that do its step."""

from optdsl.emit.optimizer.module import emit_module

__all__ = ["emit_module"]
