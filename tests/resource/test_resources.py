from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.resource.resources import (
    ProtectedResource,
    canonical_identifier,
    find_resource,
    metadata_url,
    resource_metadata,
)

NOTES = ProtectedResource(
    identifier="https://mcp.example.com/notes/mcp", path="/notes/mcp", name="Notes", scopes={"notes:read": "Read"}
)
MAIL = ProtectedResource(identifier="https://mcp.example.com/mail/mcp", path="/mail/mcp", name="Mail", scopes={})
ROOT = ProtectedResource(identifier="https://mcp.example.com", path="/", name="Root", scopes={})


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://mcp.example.com/mcp", "https://mcp.example.com/mcp"),
        ("HTTPS://MCP.Example.COM/mcp", "https://mcp.example.com/mcp"),
        ("https://mcp.example.com:443/mcp", "https://mcp.example.com/mcp"),
        ("http://127.0.0.1:80/mcp", "http://127.0.0.1/mcp"),
        ("http://127.0.0.1:8000/mcp/", "http://127.0.0.1:8000/mcp"),
        ("https://mcp.example.com", "https://mcp.example.com"),
        ("https://mcp.example.com/", "https://mcp.example.com"),
        ("http://my_container:8000/mcp", "http://my_container:8000/mcp"),
        ("http://[::1]:8000/mcp", "http://[::1]:8000/mcp"),
        ("https://[2001:DB8::A]/mcp", "https://[2001:db8::a]/mcp"),
        ("https://mcp.example.com:80/mcp", "https://mcp.example.com:80/mcp"),
        # The path keeps its case, its escapes and its dots: those can name a different endpoint.
        ("https://mcp.example.com/MCP", "https://mcp.example.com/MCP"),
        ("https://mcp.example.com/%6dcp", "https://mcp.example.com/%6dcp"),
        ("https://mcp.example.com/a/../mcp", "https://mcp.example.com/a/../mcp"),
        ("https://mcp.example.com/mcp//", "https://mcp.example.com/mcp/"),
    ],
)
def test_a_url_has_one_canonical_spelling(url: str, expected: str) -> None:
    assert canonical_identifier(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mcp.example.com/mcp",
        "//mcp.example.com/mcp",
        "/mcp",
        "https:/mcp.example.com",
        "https://",
        "ftp://mcp.example.com/mcp",
        "javascript://mcp.example.com/mcp",
        "https://user@mcp.example.com/mcp",
        "https://mcp.example.com@evil.example/mcp",
        "https://mcp.example.com/mcp?x=1",
        "https://mcp.example.com/mcp?",
        "https://mcp.example.com/mcp#top",
        "https://mcp.example.com/mcp#",
        "https://mcp.example.com:/mcp",
        "https://mcp.example.com:0443/mcp",
        "https://mcp.example.com:443443/mcp",
        "https://mcp.example.com./mcp",
        " https://mcp.example.com/mcp",
        "https://mcp.example.com/mcp\n",
        "https://mcp.exa\tmple.com/mcp",
        "https://mcp.example.com\\mcp",
        "https://mcp.example.com/mcp%2",
        "https://mcp.example.com/m cp",
        "https://mcp.example.com/mc\u00e9",
        "https://mcp.\u0435xample.com/mcp",
        "https://mcp.example.com\u3002/mcp",
        "https://\u212aelvin.example/mcp",
    ],
)
def test_what_is_not_a_plain_http_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="not an absolute"):
        canonical_identifier(url)
    assert find_resource([ROOT, NOTES], url) is None


@pytest.mark.parametrize(
    ("requested", "expected"),
    [
        ("https://mcp.example.com/notes/mcp", NOTES),
        ("https://mcp.example.com/notes/mcp/", NOTES),
        ("HTTPS://MCP.EXAMPLE.COM:443/notes/mcp/", NOTES),
        ("https://mcp.example.com/mail/mcp", MAIL),
        ("https://mcp.example.com/", ROOT),
        ("https://mcp.example.com:443", ROOT),
        ("http://mcp.example.com/notes/mcp", None),
        ("https://mcp.example.com:8443/notes/mcp", None),
        ("https://mcp.example.com/Notes/mcp", None),
        ("https://mcp.example.com/notes", None),
        ("https://mcp.example.com/notes/mcp/x", None),
        ("https://mcp.example.com/notes//mcp", None),
        ("https://mcp.example.com/notes/mcp//", None),
        ("https://mcp.example.com//", None),
        ("https://mcp.example.com/notes/%6dcp", None),
        ("https://mcp.example.com/mail/../notes/mcp", None),
        ("https://mcp.example.com/./notes/mcp", None),
        ("https://other.example/notes/mcp", None),
        (None, None),
    ],
)
def test_a_resource_is_found_by_equivalent_spellings_and_by_nothing_else(
    requested: str | None, expected: ProtectedResource | None
) -> None:
    assert find_resource([ROOT, NOTES, MAIL], requested) is expected


def test_a_client_that_names_no_resource_means_the_only_one() -> None:
    assert find_resource([NOTES], None) is NOTES


def test_there_is_nothing_to_find_among_no_resources() -> None:
    assert find_resource([], None) is None
    assert find_resource([], NOTES.identifier) is None


@given(st.text())
def test_no_text_makes_the_look_up_fail(requested: str) -> None:
    found = find_resource([NOTES], requested)
    assert found is None or requested.lower().startswith("https://mcp.example.com")


@given(
    scheme=st.sampled_from(["http", "HTTPS", "https"]),
    host=st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,10}[A-Za-z0-9])?", fullmatch=True),
    port=st.sampled_from(["", ":80", ":443", ":8000"]),
    path=st.from_regex(r"(/[A-Za-z0-9._~-]{1,5}){0,3}/?", fullmatch=True),
)
def test_the_canonical_spelling_is_its_own_canonical_spelling(scheme: str, host: str, port: str, path: str) -> None:
    canonical = canonical_identifier(f"{scheme}://{host}{port}{path}")
    assert canonical_identifier(canonical) == canonical


def test_a_client_that_names_no_scope_asks_for_all_in_their_order_and_none_is_marked_unless_it_is_said() -> None:
    several = ProtectedResource(identifier="https://x.example", path="/", name="X", scopes={"b": "B", "a": "A"})
    assert several.default_scopes == ("b", "a")
    assert several.destructive_scopes == frozenset()


SCOPED_NOTES = ProtectedResource(
    identifier="https://mcp.example.com/mcp",
    path="/mcp",
    name="Notes",
    scopes={"notes:read": "Read your notes", "notes:write": "Write notes"},
)


def test_the_metadata_names_resource_server_and_scopes() -> None:
    assert resource_metadata(SCOPED_NOTES, issuers=["https://mcp.example.com"]) == {
        "resource": "https://mcp.example.com/mcp",
        "authorization_servers": ["https://mcp.example.com"],
        "scopes_supported": ["notes:read", "notes:write"],
        "bearer_methods_supported": ["header"],
        "resource_name": "Notes",
    }


@pytest.mark.parametrize(
    ("identifier", "path", "expected"),
    [
        (
            "https://mcp.example.com/mcp",
            "/mcp",
            "https://mcp.example.com/.well-known/oauth-protected-resource/mcp",
        ),
        (
            "http://127.0.0.1:8000/a/b",
            "/a/b",
            "http://127.0.0.1:8000/.well-known/oauth-protected-resource/a/b",
        ),
        ("https://mcp.example.com", "/", "https://mcp.example.com/.well-known/oauth-protected-resource"),
        ("https://mcp.example.com/mcp", "/mcp/", "https://mcp.example.com/.well-known/oauth-protected-resource/mcp"),
        ("https://mcp.example.com/BOX", "/BOX", "https://mcp.example.com/.well-known/oauth-protected-resource/BOX"),
        # A path that repeats itself is cut as a whole.
        ("https://x.example/mcp/mcp", "/mcp/mcp", "https://x.example/.well-known/oauth-protected-resource/mcp/mcp"),
    ],
)
def test_the_metadata_lies_between_host_and_path(identifier: str, path: str, expected: str) -> None:
    assert metadata_url(ProtectedResource(identifier=identifier, path=path, name="x", scopes={})) == expected
