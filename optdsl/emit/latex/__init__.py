"""The algorithm box: an optimizer as LaTeX, in the form of the doc strings of ``torch.optim``."""

from optdsl.emit.latex.box import latex

__all__ = ["latex"]
