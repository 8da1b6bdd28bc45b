"""``python -m optdsl``."""

from optdsl.cli import main

main()
