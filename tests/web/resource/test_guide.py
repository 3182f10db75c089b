"""The page about protected applications shows what happens."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx2

from gatepost import create_app
from gatepost.configuration.settings import load_settings

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "protected-applications.md").read_text(encoding="utf-8")


async def test_the_page_protects_its_reports_with_the_scopes_of_their_paths() -> None:
    names: dict[str, Any] = {"__name__": "reports"}
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    exec(compile(code, "protected-applications.md", "exec"), names)  # noqa: S102 - the page's own code
    settings = load_settings({"MCP_STORAGE_URL": "memory:", "MCP_API_KEY": "a-key-of-some-length-0123456789"})
    app = create_app(names["endpoints"], settings=settings, announce=lambda _: None)
    key = {"Authorization": "Bearer a-key-of-some-length-0123456789"}

    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://127.0.0.1:8000") as client,
    ):
        refused = await client.get("/reports/admin/users")
        served = await client.get("/reports/latest", headers=key)
        metadata = await client.get("/.well-known/oauth-protected-resource/reports")

    assert refused.status_code == 401
    assert served.json() == {"for": "api-key"}
    assert metadata.json()["scopes_supported"] == ["reports:read", "reports:admin"]
