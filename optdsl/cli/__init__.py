"""The command ``optdsl``.

Exit codes: 0 done; 1 the specs have mistakes, the package is not up to date, a spec is not formatted, or two optimizers
differ; 2 the command line cannot be understood, there are not two optimizers to compare, or optdsl itself has failed.
"""

from __future__ import annotations

import io
import sys
import traceback


def main() -> None:
    """Entry point of the ``optdsl`` script."""
    from optdsl.cli.app import app

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that has no Greek letters is no bug
    try:
        app()
    except Exception:
        traceback.print_exc()
        print("\nThis is a bug in optdsl, not in your spec. Please report it with the lines above.", file=sys.stderr)
        raise SystemExit(2) from None
