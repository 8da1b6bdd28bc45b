"""What the kernel of a step over stored entries has beyond that of an elementwise one."""

from __future__ import annotations

TEMPLATE = "stored.py.jinja"

ROWS = ("number of stored elements", "row of hyperparameters", "elements of a row", "index", "first program")
"""Labels of the first rows of the address table, as ``support/triton_stored.py`` fills it."""

NAMES = frozenset("index width places program first_programs begins_later middle row_places row_pointers".split())
"""Names that the kernels use for themselves."""
