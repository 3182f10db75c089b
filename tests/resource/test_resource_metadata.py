from __future__ import annotations

import pytest

from gatepost.resource.resource_metadata import metadata_url, resource_metadata
from gatepost.resource.resources import ProtectedResource

NOTES = ProtectedResource(
    identifier="https://mcp.example.com/mcp",
    path="/mcp",
    name="Notes",
    scopes={"notes:read": "Read your notes", "notes:write": "Write notes"},
)


def test_the_metadata_names_resource_server_and_scopes() -> None:
    assert resource_metadata(NOTES, issuer="https://mcp.example.com") == {
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
        # A path that repeats itself is cut as a whole.
        ("https://x.example/mcp/mcp", "/mcp/mcp", "https://x.example/.well-known/oauth-protected-resource/mcp/mcp"),
    ],
)
def test_the_metadata_lies_between_host_and_path(identifier: str, path: str, expected: str) -> None:
    assert metadata_url(ProtectedResource(identifier=identifier, path=path, name="x", scopes={})) == expected
