"""Pages are imported and built when the first person comes."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap

PROGRAM = textwrap.dedent("""
    import asyncio, json, sys
    import httpx2
    from gatepost import Server, create_app
    from gatepost.configuration.settings import load_settings

    def loaded():
        return sorted(name for name in sys.modules if name in WATCHED)

    OURS = {"gatepost.assembly.pages", "gatepost.web.pages.login", "gatepost.web.pages.consent"}
    WATCHED = OURS | {"jinja2", "webauthn", "pyotp", "segno", "authlib"}
    settings = load_settings({"MCP_STORAGE_URL": "memory:"}, env_file=None)
    app = create_app(Server("notes"), settings=settings, announce=lambda _: None)

    async def main():
        said = []
        transport = httpx2.ASGITransport(app=app)
        async with app.router.lifespan_context(app), httpx2.AsyncClient(
            transport=transport, base_url="http://127.0.0.1:8000"
        ) as http:
            for method, path in [
                ("POST", "/oauth/register"), ("POST", "/oauth/token"), ("POST", "/mcp"), ("GET", "/health"),
                ("GET", "/.well-known/oauth-authorization-server"), ("GET", "/oauth/login"), ("GET", "/oauth/nothing"),
            ]:
                answer = await http.request(method, path)
                said.append([path, answer.status_code, loaded()])
        print(json.dumps(said))

    asyncio.run(main())
""")
PAGES = ["gatepost.assembly.pages", "gatepost.web.pages.consent", "gatepost.web.pages.login", "jinja2"]


def test_a_server_that_nobody_looks_at_imports_no_page() -> None:
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120, check=False)

    assert ran.stderr == ""
    assert json.loads(ran.stdout) == [
        ["/oauth/register", 400, []],
        ["/oauth/token", 400, []],
        ["/mcp", 401, []],
        ["/health", 200, []],
        ["/.well-known/oauth-authorization-server", 200, []],
        ["/oauth/login", 200, PAGES],
        ["/oauth/nothing", 404, PAGES],
    ]
