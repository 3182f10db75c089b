"""Who is shown the page at `/` and at the MCP endpoint, and under which name."""

from __future__ import annotations

import httpx2
import pytest

from gatepost import Server, create_app
from gatepost.configuration.settings import load_settings
from gatepost.stores.sql.sqlite import memory_store

BROWSER = {"Accept": "text/html,*/*", "Sec-Fetch-Dest": "document", "Sec-Fetch-Mode": "navigate"}


async def ask(method: str, path: str, *, origin: str = "http://127.0.0.1:8000", **headers: str) -> httpx2.Response:
    settings = load_settings({"MCP_STORAGE_URL": "memory:", "MCP_REQUIRE_AUTH": "true"}, env_file=None)
    server = Server("Notes & more")
    app = create_app(server, settings=settings, store=memory_store(), announce=lambda _: None)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url=origin) as http,
    ):
        return await http.request(method, path, headers=headers)


@pytest.mark.parametrize("path", ["/", "/mcp", "/mcp/"])
async def test_a_browser_that_a_person_sent_is_shown_what_this_is(path: str) -> None:
    page = await ask("GET", path, **BROWSER)

    assert page.status_code == 200
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert "http://127.0.0.1:8000/mcp" in page.text
    assert "claude mcp add --transport http notes-more http://127.0.0.1:8000/mcp" in page.text


@pytest.mark.parametrize("path", ["/", "/mcp"])
async def test_the_address_is_that_of_the_name_that_was_used(path: str) -> None:
    assert "http://localhost:8000/mcp" in (await ask("GET", path, origin="http://localhost:8000", **BROWSER)).text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/mcp", 401), ("POST", "/mcp", 401), ("HEAD", "/mcp", 401), ("GET", "/", 404), ("GET", "/elsewhere", 404)],
)
async def test_a_program_is_answered_as_before(method: str, path: str, status: int) -> None:
    assert (await ask(method, path, Accept="text/html")).status_code == status


async def test_a_browser_is_shown_nothing_at_other_paths_or_under_a_foreign_name() -> None:
    assert (await ask("GET", "/elsewhere", **BROWSER)).status_code == 404
    for path in ("/", "/mcp"):
        assert (await ask("GET", path, origin="http://evil.example:8000", **BROWSER)).status_code == 421


async def test_the_scripts_of_the_reference_are_served_from_here_and_nothing_else_of_their_folder() -> None:
    script = await ask("GET", "/docs/assets/swagger-ui-bundle.js")
    assert (script.status_code, script.headers["content-type"]) == (200, "text/javascript; charset=utf-8")
    for name in ("__init__.py", "core.py", "..%2fcore.py"):
        assert (await ask("GET", f"/docs/assets/{name}")).status_code == 404
