"""What the terminal says when the server starts."""

from __future__ import annotations

from collections.abc import Iterable


def banner(heading: str, rows: Iterable[tuple[str, str]]) -> str:
    """Return the banner: rows of a label and what stands beside it."""
    return "\n".join(["", f"  {heading}", "", *(f"  {label:<8} {text}".rstrip() for label, text in rows), ""])
