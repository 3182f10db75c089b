"""How a server is found: its card (SEP-2127), the catalog of a host (AI Catalog 0.9), and its entry in a registry.

All three are public and the same for everybody: who a server is and where, and nothing of what it offers.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from gatepost.protocol.versions import SUPPORTED

CARD_TYPE: Final = "application/mcp-server-card+json"
CATALOG_TYPE: Final = "application/ai-catalog+json"
CARD_SUFFIX: Final = "/server-card"
"""What the path of an MCP endpoint is followed by; reserved for its card (ext-server-card, "Server Card Location")."""
CATALOG_PATHS: Final = ("/.well-known/ai-catalog.json", "/.well-known/ard.json")
"""Where a catalog is looked for: by its own specification, and by Agentic Resource Discovery."""
REGISTRY_PROOF_PATH: Final = "/.well-known/mcp-registry-auth"

_CARD_SCHEMA: Final = "https://static.modelcontextprotocol.io/schemas/v1/server-card.schema.json"
_ENTRY_SCHEMA: Final = "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"
_CATALOG_VERSION: Final = "0.9"
_LONGEST_TEXT: Final = 100
_LONGEST_NAME: Final = 200
_LONGEST_VERSION: Final = 255
_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_NAMESPACE: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})+")
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9._-]+")
_RANGE: Final = re.compile(r"[\^~<>=|*]|(?:^|\.)[xX](?:\.|$)|\s-\s|latest")
_PROOF: Final = re.compile(r"v=MCPv1; k=(?:ed25519|ecdsap384); p=[A-Za-z0-9+/]{40,100}={0,2}")


def is_namespace(text: str) -> bool:
    """Say whether a text is the first part of a server's name: a domain name backwards, such as `com.example`."""
    return len(text) <= _LONGEST_NAME // 2 and _NAMESPACE.fullmatch(text) is not None


def is_registry_proof(text: str) -> bool:
    """Say whether a text is what the registry looks for at a domain whose namespace somebody publishes in."""
    return _PROOF.fullmatch(text) is not None


def namespace_of(origin: str) -> str:
    """Return the namespace that the host of a URL stands for: its name backwards, an address as it is."""
    host = urlsplit(origin).hostname or "localhost"
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return ".".join(reversed(host.split(".")))
    return host.replace(":", "-")


def name_in(namespace: str, name: str) -> str:
    """Return a server's name as registries have it, `com.example/notes`; what no name may hold becomes a hyphen."""
    plain = _NOT_IN_NAMES.sub("-", name).strip("-._") or "mcp"
    return f"{namespace}/{plain[: _LONGEST_NAME - len(namespace) - 1]}"


def server_card(info: Mapping[str, Any], *, name: str, url: str) -> dict[str, Any]:
    """Return the card of a server.

    Args:
        info: what the server says of itself, an `Implementation` in the newest revision's shape.
        name: its name with a namespace, see `name_in`.
        url: of its MCP endpoint.
    """
    remote = {"type": "streamable-http", "url": url, "supportedProtocolVersions": list(SUPPORTED)}
    return {"$schema": _CARD_SCHEMA, **_description(info, name), **_pictures(info), "remotes": [remote]}


def registry_entry(info: Mapping[str, Any], *, name: str, url: str) -> dict[str, Any]:
    """Return the `server.json` of a remote server for the MCP registry; arguments as of `server_card`."""
    remote = {"type": "streamable-http", "url": url}
    return {"$schema": _ENTRY_SCHEMA, **_description(info, name), **_pictures(info), "remotes": [remote]}


def catalog(host: str, servers: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return the catalog of a host.

    Args:
        host: its domain name, which publishes the entries.
        servers: the name with a namespace and the URL of the card of each. The card has the words for people.
    """
    entries = [
        {"identifier": f"urn:air:{host}:mcp:{name.partition('/')[2]}", "type": CARD_TYPE, "url": url}
        for name, url in servers
    ]
    return {"specVersion": _CATALOG_VERSION, "entries": entries}


def objections_to_entry(entry: Mapping[str, Any]) -> list[str]:
    """Return what the registry would refuse of a `server.json` of `registry_entry`, each with what to change."""
    found: list[str] = []
    namespace, _, _ = entry["name"].partition("/")
    if not is_namespace(namespace):
        found.append(f"{namespace!r} is no domain name backwards: set MCP_SERVER_NAMESPACE, such as com.example.")
    if _RANGE.search(entry["version"]) or len(entry["version"]) > _LONGEST_VERSION:
        found.append(f"{entry['version']!r} is no exact version: give Server(version=...) one, such as 1.0.0.")
    for remote in entry["remotes"]:
        parts = urlsplit(remote["url"])
        if parts.scheme != "https":
            found.append(f"{remote['url']} cannot be reached from elsewhere: set MCP_PUBLIC_URL to an https address.")
    return found


def _description(info: Mapping[str, Any], name: str) -> dict[str, Any]:
    title = info.get("title")
    described = info.get("description") or f"Tools of {title or info['name']}"
    found = {"name": name, "version": info["version"], "description": _shortened(described)}
    if title:
        found["title"] = _shortened(title)
    if website := info.get("websiteUrl"):
        found["websiteUrl"] = website
    return found


def _pictures(info: Mapping[str, Any]) -> dict[str, Any]:
    # A picture within the document would make it long, and is none that a registry takes.
    icons = [icon for icon in info.get("icons") or () if str(icon.get("src", "")).startswith("https://")]
    return {"icons": icons} if icons else {}


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_TEXT else f"{line[: _LONGEST_TEXT - 1].rstrip()}…"
