"""Procedures as Python functions, and the modules of optimizers over flat θ."""

from optdsl.emit.procedures.flat import emit_flat_module, emit_step
from optdsl.emit.procedures.functions import emit_procedures

__all__ = ["emit_flat_module", "emit_procedures", "emit_step"]
