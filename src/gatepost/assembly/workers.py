"""What several workers can serve: nothing that one of them would have in its memory alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from gatepost.assembly.endpoints import Endpoint
from gatepost.assembly.imported_later import is_protected
from gatepost.assembly.installation import Installation
from gatepost.configuration.settings import SettingsError

MEMORY_FOR_WORKERS: Final = (
    "A store in memory (MCP_STORAGE_URL=memory:) is one process's own, and several workers would know nothing "
    "of each other's clients, tokens and sessions: set sqlite:///path.db or postgresql://user@host/database, "
    "or leave --workers (MCP_WORKERS) out."
)


def check_for_workers(installation: Installation) -> None:
    """Refuse what workers would keep from each other.

    Raises:
        SettingsError: it is so; each sentence says what to do.
    """
    sentences = tied_to_one_process(installation.resources.endpoints)
    if installation.core.store.is_lost_at_exit:
        sentences.append(MEMORY_FOR_WORKERS)
    if sentences:
        raise SettingsError(*sentences)


def tied_to_one_process(endpoints: Iterable[Endpoint]) -> list[str]:
    """Return a sentence for each endpoint that several workers cannot serve."""
    return [sentence for endpoint in endpoints for sentence in _tied(endpoint)]


def _tied(endpoint: Endpoint) -> list[str]:
    target, path = endpoint.target, endpoint.path
    if endpoint.session_target is not None:
        sentence = (
            f"Sessions of what stands behind {path} live in the process where they began, and several workers would "
            "not find each other's: leave --workers (MCP_WORKERS) out."
        )
        return [sentence]
    if is_protected(target) and target.is_mcp_endpoint:
        sentence = (
            f"The library of {endpoint.name} at {path} keeps sessions in the process where they began, and several "
            "workers would not find each other's: serve its app without sessions, such as "
            'Protected(mcp.http_app(path="/", stateless_http=True)), or leave --workers (MCP_WORKERS) out.'
        )
        return [sentence]
    return []
