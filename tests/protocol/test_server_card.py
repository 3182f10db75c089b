"""The card of a server, the catalog of a host, and the entry of a registry (SEP-2127, AI Catalog 0.9)."""

from __future__ import annotations

from typing import Any

import pytest

from gatepost.protocol.server_card import (
    catalog,
    is_namespace,
    is_registry_proof,
    name_in,
    namespace_of,
    objections_to_entry,
    registry_entry,
    server_card,
)

INFO = {"name": "notes", "version": "1.2.0"}
URL = "https://example.com/mcp"


def entry_of(info: dict[str, Any] | None = None, *, name: str = "com.example/notes", url: str = URL) -> dict[str, Any]:
    return registry_entry({**INFO, **(info or {})}, name=name, url=url)


def test_a_card_says_who_a_server_is_and_where_and_in_which_revisions() -> None:
    assert server_card({**INFO, "title": "Notes", "websiteUrl": "https://example.com"}, name="a.b/notes", url=URL) == {
        "$schema": "https://static.modelcontextprotocol.io/schemas/v1/server-card.schema.json",
        "name": "a.b/notes",
        "version": "1.2.0",
        "description": "Tools of Notes",
        "title": "Notes",
        "websiteUrl": "https://example.com",
        "remotes": [
            {
                "type": "streamable-http",
                "url": URL,
                "supportedProtocolVersions": ["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26"],
            }
        ],
    }


def test_long_texts_are_shortened_to_what_a_card_may_have() -> None:
    card = server_card({**INFO, "title": "T" * 200, "description": "word " * 40}, name="a.b/notes", url=URL)

    assert (len(card["title"]), card["title"][-1]) == (100, "…")
    assert len(card["description"]) <= 100
    assert card["description"].endswith("word…")


def test_a_picture_that_is_part_of_the_document_is_left_out() -> None:
    icons = [{"src": "data:image/png;base64,AAAA"}, {"src": "https://example.com/icon.png"}]

    assert server_card({**INFO, "icons": icons}, name="a.b/notes", url=URL)["icons"] == icons[1:]


@pytest.mark.parametrize(
    ("origin", "namespace"),
    [
        ("https://mcp.example.com", "com.example.mcp"),
        ("https://example.com:8443/tools", "com.example"),
        ("http://localhost:8000", "localhost"),
        ("http://127.0.0.1:8000", "127.0.0.1"),
        ("http://[::1]:8000", "--1"),
    ],
)
def test_a_namespace_is_the_host_backwards_and_an_address_as_it_is(origin: str, namespace: str) -> None:
    assert namespace_of(origin) == namespace


@pytest.mark.parametrize(
    ("name", "full"),
    [("notes", "a.b/notes"), ("My notes/2", "a.b/My-notes-2"), ("…", "a.b/mcp"), ("n" * 300, "a.b/" + "n" * 196)],
)
def test_what_no_name_may_hold_becomes_a_hyphen(name: str, full: str) -> None:
    assert name_in("a.b", name) == full


def test_a_catalog_names_each_card_by_the_host_that_publishes_it() -> None:
    assert catalog("example.com", [("com.example/notes", f"{URL}/server-card")]) == {
        "specVersion": "0.9",
        "entries": [
            {
                "identifier": "urn:air:example.com:mcp:notes",
                "type": "application/mcp-server-card+json",
                "url": f"{URL}/server-card",
            }
        ],
    }


def test_the_registry_takes_an_entry_with_a_domain_a_version_and_an_address_that_is_reached() -> None:
    entry = entry_of()

    assert objections_to_entry(entry) == []
    assert entry["$schema"] == "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"
    assert entry["remotes"] == [{"type": "streamable-http", "url": URL}]


@pytest.mark.parametrize("version", ["^1.2.3", "~1.2", ">=1.0", "1.x", "1.*", "latest", "1.0 - 2.0", "1" * 256])
def test_the_registry_takes_no_range_of_versions(version: str) -> None:
    (objection,) = objections_to_entry(entry_of({"version": version}))

    assert "version" in objection


@pytest.mark.parametrize("version", ["1.2.3", "0.0.0", "2026.11.30", "1.0.0-rc.1", "1.0.0+max"])
def test_the_registry_takes_exact_versions(version: str) -> None:
    assert objections_to_entry(entry_of({"version": version})) == []


def test_the_registry_lists_nothing_that_only_this_machine_reaches() -> None:
    assert len(objections_to_entry(entry_of(url="http://127.0.0.1:8000/mcp"))) == 1


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("com.example", True),
        ("io.github.me", True),
        ("localhost", False),
        ("com..example", False),
        ("a b.c", False),
    ],
)
def test_a_namespace_is_a_domain_name_backwards(text: str, *, is_one: bool) -> None:
    assert is_namespace(text) is is_one
    assert (objections_to_entry(entry_of(name=f"{text}/notes")) == []) is is_one


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        (f"v=MCPv1; k=ed25519; p={'A' * 43}=", True),
        (f"v=MCPv1; k=ecdsap384; p={'A' * 66}", True),
        (f"v=MCPv1; k=rsa; p={'A' * 43}=", False),
        ("v=MCPv1; k=ed25519; p=short", False),
        (f"v=MCPv1; k=ed25519; p={'A' * 43}=\n", False),
        ("a private key", False),
    ],
)
def test_what_the_registry_is_shown_has_a_version_a_kind_and_a_key(text: str, *, is_one: bool) -> None:
    assert is_registry_proof(text) is is_one
