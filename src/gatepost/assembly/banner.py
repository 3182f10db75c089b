"""What the terminal says when the server starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StartUp:
    """What there is to say."""

    server_name: str
    version: str
    mcp_urls: Sequence[str]
    application_urls: Sequence[str]
    setup_link: str | None
    """The one-time link that creates the first account; None when an account exists or none is needed."""
    data: str
    docs_url: str
    unprotected: Sequence[str]
    """A sentence for each thing that is open."""
    warnings: Sequence[str]


def banner(start_up: StartUp) -> str:
    """Return the banner: what to paste where, and what to beware of."""
    rows = [("MCP URL", url) for url in start_up.mcp_urls] + [("App", url) for url in start_up.application_urls]
    if start_up.setup_link is not None:
        rows.append(("Set up", start_up.setup_link))
        rows.append(("", "Open this link once to create the owner's account; it works until an account exists."))
    rows.append(("Data", start_up.data))
    rows.append(("Docs", start_up.docs_url))
    rows += [("Open", sentence) for sentence in start_up.unprotected]
    rows += [("Note", sentence) for sentence in start_up.warnings]
    lines = [f"  {label:<8} {text}".rstrip() for label, text in rows]
    return "\n".join(["", f"  {start_up.server_name} is served by Gatepost {start_up.version}", "", *lines, ""])
