"""From Lark's parse tree to the syntax tree of ``ast.py``.

One class in four layers, each a module: names, expressions, statements, declarations. Each has one method per rule or
alias of the grammar, called ``_`` and the rule's name, that takes the rule's span and its children already built. The
builder also reports what the grammar lets through: quotients that can be read two ways, names with two subscripts,
loops that do not count, numbers out of range.
"""

from optdsl.syntax.build.declarations import Builder

__all__ = ["Builder"]
