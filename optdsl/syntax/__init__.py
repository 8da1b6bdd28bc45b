"""The `.opt` language: text to syntax tree and back."""

from optdsl.syntax.parser import Parsed, parse

__all__ = ["Parsed", "parse"]
