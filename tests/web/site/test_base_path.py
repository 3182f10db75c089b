"""Below which path a request is."""

from __future__ import annotations

from typing import Any

import pytest

from gatepost.web.site.base_path import BasePath, cookie_suffix, inner_scope, origin_of, outer_scope, path_of


def scope_of(path: str, root: str = "", kind: str = "http") -> dict[str, Any]:
    return {"type": kind, "path": path, "root_path": root}


@pytest.mark.parametrize(
    ("public", "root", "path", "base", "inner"),
    [
        # Without a public URL it is what the server says, whether the path has it or not.
        (None, "/svc", "/svc/mcp", "/svc", "/mcp"),
        (None, "/svc", "/mcp", "/svc", "/mcp"),
        (None, "/svc", "/svc", "/svc", "/"),
        (None, "/svc/", "/svc/mcp", "/svc", "/mcp"),
        (None, "/svc", "/svcs/mcp", "/svc", "/svcs/mcp"),
        (None, "/", "/mcp", "", "/mcp"),
        # With one, a proxy may keep its path or strip it, and what is inserted before it stays.
        ("/svc", "", "/svc/mcp", "/svc", "/mcp"),
        ("/svc", "", "/mcp", "/svc", "/mcp"),
        ("/svc", "", "/svc/svc/x", "/svc", "/svc/x"),
        ("/svc", "", "/.well-known/x/svc/mcp", "/svc", "/.well-known/x/svc/mcp"),
        ("/svc", "/svc", "/svc/mcp", "/svc", "/mcp"),
        # A proxy strips the first part, and an app around serves the second.
        ("/tools/svc", "/svc", "/svc/mcp", "/tools/svc", "/mcp"),
        # What the server says and the path does not have is nothing to the public URL.
        ("", "/svc", "/mcp", "", "/mcp"),
    ],
)
def test_the_base_is_taken_off_where_it_is_there(
    public: str | None, root: str, path: str, base: str, inner: str
) -> None:
    scope = scope_of(path, root)
    found = BasePath(public).inside(scope)

    assert found is not None
    assert (found["root_path"], found["path"]) == (base, inner)
    assert inner_scope(scope) is found
    assert scope["path"] == path


@pytest.mark.parametrize(
    ("public", "root", "path"),
    [
        ("", "/svc", "/svc/mcp"),
        ("/tools", "/svc", "/svc/mcp"),
        ("/svc", "/vc", "/vc/mcp"),
        (None, "/a b", "/a b/mcp"),
        (None, "/..", "/../mcp"),
        (None, '/"x', '/"x/mcp'),
    ],
)
def test_another_path_than_the_public_url_has_is_no_base(public: str | None, root: str, path: str) -> None:
    base_path = BasePath(public)
    scope = scope_of(path, root)

    assert base_path.inside(scope) is None
    assert base_path.misplaced(scope).status_code == 404


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_an_app_that_is_not_ours_gets_the_whole_path_back(kind: str) -> None:
    inner = scope_of("/reports/x", "/svc", kind)

    outer = outer_scope(inner, below="/reports")

    assert (outer["root_path"], outer["path"]) == ("/svc/reports", "/svc/reports/x")
    assert inner_scope(outer) is inner


def test_a_lifespan_has_no_path() -> None:
    scope = {"type": "lifespan", "root_path": "/svc"}

    assert not BasePath("/svc").concerns(scope)
    assert outer_scope(scope, below="/reports") is scope


def test_origin_path_and_cookies_of_a_url() -> None:
    url = "https://example.com:8443/a/b-c"

    assert (origin_of(url), path_of(url), cookie_suffix(url)) == ("https://example.com:8443", "/a/b-c", "-8443+a+b-c")
    assert (path_of("https://example.com"), cookie_suffix("https://example.com")) == ("", "")
