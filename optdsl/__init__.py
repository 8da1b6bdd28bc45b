"""optdsl: write a deep-learning optimizer as the algorithm box of its paper, and compile it.

``optdsl.load("my.opt")`` compiles a spec in memory and returns a module with its classes; the command ``optdsl``
writes the same code to files. Neither importing this package nor compiling needs torch.
"""

from typing import TYPE_CHECKING

from optdsl.source import Diagnostic, DiagnosticError

if TYPE_CHECKING:
    from optdsl.loader import load

__version__ = "0.1.0"
__all__ = ["Diagnostic", "DiagnosticError", "__version__", "load"]


def __getattr__(name: str) -> object:
    if name == "load":
        from optdsl.loader import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
