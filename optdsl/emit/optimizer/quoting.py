"""Text of a spec as Python literals: whatever it holds, it stays a literal."""

from __future__ import annotations

from collections.abc import Iterable


def docstring(text: str, indent: str = "") -> str:
    """``text`` as a docstring whose lines are indented; raw if it has backslashes, as LaTeX has, and can be."""
    lines = [f"{indent}{line}" if line else line for line in text.split("\n")]
    body = "\n".join(lines).lstrip()
    if "\n" in text:
        body += f"\n{indent}"
    if _plain(body) and '"""' not in body and not body.endswith(("\\", '"')):
        return f'r"""{body}"""' if "\\" in body else f'"""{body}"""'
    return '"""' + "\n".join(_escaped(line) for line in body.split("\n")) + '"""'


def f_string(parts: Iterable[tuple[bool, str]]) -> str:
    """A string literal put together from pairs: ``(True, expression)`` shows a value, ``(False, text)`` is literal."""
    parts = list(parts)
    if not any(is_value for is_value, _ in parts):
        return literal("".join(text for _, text in parts))
    body = "".join(
        f"{{{part}}}" if is_value else _escaped(part).replace("{", "{{").replace("}", "}}") for is_value, part in parts
    )
    return f'f"{body}"'


def literal(text: str) -> str:
    """``text`` as a string literal."""
    return f'"{_escaped(text)}"'


def _plain(text: str) -> bool:
    """Whether ``text`` can stand in source as it is: no control characters, nothing invisible or bidirectional."""
    return all(line.isprintable() for line in text.split("\n"))


def _escaped(line: str) -> str:
    """``line`` for the inside of a double-quoted literal that is not raw."""
    return "".join(
        f"\\{c}" if c in '\\"' else c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in line
    )
