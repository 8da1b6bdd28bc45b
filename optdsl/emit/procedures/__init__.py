"""Procedures as Python functions (:mod:`.functions`), and the modules of optimizers over flat θ (:mod:`.flat`)."""
