"""Small helpers for Lark's tokens, whose positions are optional in its types and always there in ours."""

from __future__ import annotations

from lark import Token


def start(token: Token) -> int:
    """Offset of the first character of ``token`` in the canonical text."""
    assert token.start_pos is not None
    return token.start_pos


def end(token: Token) -> int:
    """Offset behind the last character of ``token`` in the canonical text."""
    assert token.end_pos is not None
    return token.end_pos


def make(kind: str, value: str, at: int, to: int | None = None) -> Token:
    """A token from offset ``at`` to ``to``; of no width where ``to`` is left out."""
    return Token(kind, value, at, end_pos=at if to is None else to)


def retyped(kind: str, token: Token) -> Token:
    """``token`` as another kind."""
    return Token.new_borrow_pos(kind, str(token), token)
