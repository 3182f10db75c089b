"""Protocol revisions: those that this server speaks, and how they differ on the wire (basic/versioning).

Two eras: in the **modern** one every request carries its revision, in the **handshake** one a client agrees on a
revision with `initialize` and names it in a header from then on. Where dispatch differs between
revisions it asks the table below and never compares version strings; the shapes of tools stand with the tools.
"""

from __future__ import annotations

from collections.abc import Mapping

from gatepost.late_dataclass import dataclass


@dataclass(frozen=True, slots=True, eq=False)
class Revision:
    """One revision. There is one instance of each, so they compare by identity."""

    version: str
    implementation_fields: frozenset[str]
    """The members of `serverInfo`."""
    modern: bool = False
    """Whether every request carries its own revision and capabilities in `_meta`."""
    wrong_arguments_are_results: bool = False
    """Whether wrong tool arguments are answered with an error result, which a model can read, or a JSON-RPC error
    (server/tools, "Error Handling", of each revision)."""
    primes_streams: bool = False
    """Whether clients know events without data, and come back to a stream that ends early (SEP-1699)."""


_IMPLEMENTATION_2025_03_26 = frozenset({"name", "version"})
_IMPLEMENTATION_2025_06_18 = _IMPLEMENTATION_2025_03_26 | {"title"}
_IMPLEMENTATION_2025_11_25 = _IMPLEMENTATION_2025_06_18 | {"description", "icons", "websiteUrl"}

REVISION_2026_07_28 = Revision("2026-07-28", _IMPLEMENTATION_2025_11_25, modern=True, wrong_arguments_are_results=True)
REVISION_2025_11_25 = Revision(
    "2025-11-25", _IMPLEMENTATION_2025_11_25, wrong_arguments_are_results=True, primes_streams=True
)
REVISION_2025_06_18 = Revision("2025-06-18", _IMPLEMENTATION_2025_06_18)
REVISION_2025_03_26 = Revision("2025-03-26", _IMPLEMENTATION_2025_03_26)

MODERN: Mapping[str, Revision] = {revision.version: revision for revision in (REVISION_2026_07_28,)}
"""The modern revisions by version, newest first."""
HANDSHAKE: Mapping[str, Revision] = {
    revision.version: revision for revision in (REVISION_2025_11_25, REVISION_2025_06_18, REVISION_2025_03_26)
}
"""The handshake revisions by version, newest first."""
LATEST_HANDSHAKE = REVISION_2025_11_25
ASSUMED = REVISION_2025_03_26
"""What a request without a version header is in: the last revision that had no such header (2025-11-25
basic/transports, "Protocol Version Header").
"""
SUPPORTED: tuple[str, ...] = (*MODERN, *HANDSHAKE)
"""Every version, newest first: what discovery and refusals list."""
