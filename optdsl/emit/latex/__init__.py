"""The algorithm box: an optimizer as LaTeX, in the form of the doc strings of ``torch.optim``."""

from optdsl.emit.latex.box import latex
from optdsl.emit.latex.notes import annotated

__all__ = ["annotated", "latex"]
