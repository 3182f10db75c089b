"""An app below a path: mounted in another one, or behind a proxy that keeps or strips the path of the public URL."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from gatepost import AuthProvider, Protected, Server, create_app, well_known_routes
from gatepost.cli.main import main
from gatepost.configuration.loading import TargetError
from gatepost.configuration.settings import SettingsError, load_settings
from gatepost.web.site.direct_app import DirectApp

PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
HEADERS = {"Accept": "application/json, text/event-stream"}
BASE = "http://127.0.0.1:8000"
PUBLIC = {
    "MCP_PUBLIC_URL": "https://example.com/svc",
    "MCP_SEALING_KEYS": "3q2-7wABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhs",
}
RESOURCE_METADATA = "/.well-known/oauth-protected-resource"
SERVER_METADATA = "/.well-known/oauth-authorization-server"
OPENID = "/.well-known/openid-configuration"


def gate_at(tmp_path: Path, target: Any = None, **environment: str) -> DirectApp:
    settings = load_settings({"OAUTH_STORAGE_DIR": str(tmp_path / "data"), **environment}, env_file=None)
    made = create_app(target or Server("Notes"), settings=settings, announce=lambda _: None)
    assert isinstance(made, DirectApp)
    return made


@asynccontextmanager
async def asking(app: ASGIApp, base: str = BASE, root_path: str = "") -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=app, root_path=root_path)
    async with httpx2.AsyncClient(transport=transport, base_url=base) as http:
        yield http
    for task in asyncio.all_tasks():
        if task.get_name() == "gatepost-life":
            task.cancel()
            await asyncio.wait([task])


def around(gate: DirectApp, **options: Any) -> FastAPI:
    outer = FastAPI(lifespan=gate.lifespan, routes=well_known_routes(gate), **options)
    outer.mount("/svc", gate)
    return outer


def metadata_of(challenge: httpx2.Response) -> str:
    found = re.search(r'resource_metadata="([^"]+)"', challenge.headers["www-authenticate"])
    assert found is not None
    return found[1]


async def test_everything_that_leaves_a_mounted_app_has_its_path(tmp_path: Path) -> None:
    async with asking(around(gate_at(tmp_path))) as http:
        challenge = await http.post("/svc/mcp", json=PING, headers=HEADERS)
        resource = (await http.get(metadata_of(challenge))).json()
        issuer = (await http.get(f"/svc{OPENID}")).json()
        login = await http.get("/svc/oauth/login")
        account = await http.get("/svc/oauth/account")
        missing = await http.get("/svc/oauth/nothing")
        docs = await http.get("/svc/docs")
        description = (await http.get("/svc/openapi.json")).json()
        landing = await http.get("/svc/", headers={"Sec-Fetch-Dest": "document"})
        health = (await http.get("/svc/health", headers={"Host": "localhost:9000"})).json()

    assert challenge.status_code == 401
    assert metadata_of(challenge) == f"{BASE}/svc{RESOURCE_METADATA}/mcp"
    assert (resource["resource"], resource["authorization_servers"]) == (f"{BASE}/svc/mcp", [f"{BASE}/svc"])
    assert {name: url for name, url in issuer.items() if name == "issuer" or name.endswith("_endpoint")} == {
        "issuer": f"{BASE}/svc",
        "authorization_endpoint": f"{BASE}/svc/oauth/authorize",
        "token_endpoint": f"{BASE}/svc/oauth/token",
        "registration_endpoint": f"{BASE}/svc/oauth/register",
        "revocation_endpoint": f"{BASE}/svc/oauth/revoke",
        "introspection_endpoint": f"{BASE}/svc/oauth/introspect",
        "pushed_authorization_request_endpoint": f"{BASE}/svc/oauth/par",
    }
    assert account.headers["location"] == "/svc/oauth/login"
    assert missing.status_code == 404
    for page in (login, docs, landing):
        links = re.findall(r'(?:href|src|action)="(/[^"]*)"', page.text)
        assert links
        assert all(link.startswith("/svc/") for link in links)
    assert '"/svc/openapi.json"' in docs.text.replace("'", '"')
    assert description["servers"] == [{"url": "/svc"}]
    assert f"{BASE}/svc/mcp" in landing.text
    assert health["resources"] == ["http://localhost:9000/svc/mcp"]
    assert health["issuer"] == "http://localhost:9000/svc"


async def test_a_browser_walks_the_pages_of_a_mounted_app(tmp_path: Path) -> None:
    banners: list[str] = []
    settings = load_settings({"OAUTH_STORAGE_DIR": str(tmp_path / "data"), "MCP_PORT": "8000"}, env_file=None)
    gate = create_app(Server("Notes"), settings=settings, announce=banners.append)
    outer = around(gate)

    async with outer.router.lifespan_context(outer), asking(outer) as http:
        (link,) = re.findall(rf"{BASE}/svc/oauth/setup\?token=\S+", banners[0])
        page = await http.get(link)
        form = dict(re.findall(r'<input[^>]*name="([^"]+)"[^>]*value="([^"]+)"', page.text))
        (action,) = re.findall(r'<form method="post" action="([^"]+)"', page.text)
        words = {"username": "owner", "password": "correct horse battery", "repeat": "correct horse battery"}
        done = await http.post(action, data={**form, **words}, headers={"Origin": BASE})
        account = await http.get("/svc/oauth/account")
        forged = await http.post(action, data={**form, **words}, headers={"Origin": "http://127.0.0.1:8001"})

    assert f"MCP URL  {BASE}/svc/mcp" in banners[0]
    assert action.startswith("/svc/oauth/setup?token=")
    assert (done.status_code, done.headers["location"]) == (303, "/svc/oauth/setup")
    assert "gatepost-8000+svc=" in done.headers["set-cookie"]
    assert account.status_code == 200
    assert 'action="/svc/oauth/logout"' in account.text
    assert forged.status_code == 403


@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [
        ("/svc/oauth/account/link/nobody", 404, "page_unknown"),
        ("/svc/oauth/admin/nothing", 404, "page_unknown"),
        ("/svc/oauth/login/nobody/callback", 404, "page_unknown"),
        ("/svc/nothing", 404, "page_unknown"),
        ("/svc/oauth/logout", 405, "page_takes_forms"),
        ("/svc/oauth/token", 405, "page_takes_forms"),
    ],
)
async def test_a_browser_is_shown_a_page_where_there_is_nothing_to_see(
    tmp_path: Path, path: str, status: int, reason: str
) -> None:
    async with asking(around(gate_at(tmp_path))) as http:
        page = await http.get(path, headers={"Sec-Fetch-Dest": "document", "Accept-Language": "de"})
        answer = await http.get(path)

    assert (page.status_code, page.headers["content-type"]) == (status, "text/html; charset=utf-8")
    assert f"<code>{reason} " in page.text
    assert ("allow" in page.headers) is (status == 405)
    assert page.headers["x-frame-options"] == "DENY"
    assert 'href="/svc/oauth/static/gatepost.css' in page.text
    assert "Diese" in page.text
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")


@pytest.mark.parametrize("well_known", [SERVER_METADATA, OPENID])
@pytest.mark.parametrize("environment", [{}, PUBLIC])
async def test_metadata_is_at_the_root_of_the_app_around_where_clients_look(
    tmp_path: Path, well_known: str, environment: Mapping[str, str]
) -> None:
    base = "https://example.com" if environment else BASE
    async with asking(around(gate_at(tmp_path, **environment)), base) as http:
        for address in (f"{well_known}/svc", f"{well_known}/svc/", f"{well_known}/svc/mcp", well_known):
            answer = await http.get(address, headers={"Origin": "https://app.example"})
            assert (answer.status_code, answer.json()["issuer"]) == (200, f"{base}/svc")
            assert answer.headers["access-control-allow-origin"] == "*"
        for address in (f"{RESOURCE_METADATA}/svc/mcp", RESOURCE_METADATA):
            assert (await http.get(address)).json()["resource"] == f"{base}/svc/mcp"
        for address in (f"{well_known}/other", f"{well_known}/svcs", f"{well_known}/mcp"):
            assert (await http.get(address)).status_code == 404


async def test_the_app_around_goes_on_as_before(tmp_path: Path) -> None:
    outer = around(gate_at(tmp_path))
    outer.add_api_route("/own", lambda: "own", name="own")

    async with asking(outer) as http:
        assert (await http.get("/own")).json() == "own"
        assert list((await http.get("/openapi.json")).json()["paths"]) == ["/own"]
        assert (await http.get("/docs")).status_code == 200
        assert (await http.get("/.well-known/security.txt")).json() == {"detail": "Not Found"}
    assert outer.url_path_for("own") == "/own"


async def test_several_mounted_apps_are_found_each_by_its_path(tmp_path: Path) -> None:
    notes, mail = gate_at(tmp_path / "a"), gate_at(tmp_path / "b")
    inner = Starlette(routes=[Mount("/mail", GZipMiddleware(mail))])
    outer = Starlette(routes=[*well_known_routes(notes), *well_known_routes(mail), Mount("/notes", notes)])
    outer.mount("/deep", inner)

    async with asking(outer) as http:
        for path in ("/notes", "/deep/mail"):
            assert (await http.get(f"{SERVER_METADATA}{path}")).json()["issuer"] == f"{BASE}{path}"
            challenge = await http.post(f"{path}/mcp", json=PING, headers=HEADERS)
            assert (await http.get(metadata_of(challenge))).json()["resource"] == f"{BASE}{path}/mcp"


@pytest.mark.parametrize("style", ["kept", "stripped"])
@pytest.mark.parametrize("told", [False, True])
async def test_a_proxy_may_keep_the_path_of_the_public_url_or_strip_it(
    tmp_path: Path, style: str, *, told: bool
) -> None:
    before = "/svc" if style == "kept" else ""
    async with asking(gate_at(tmp_path, **PUBLIC), "https://example.com", "/svc" if told else "") as http:
        challenge = await http.post(f"{before}/mcp", json=PING, headers=HEADERS)
        found = await http.get(f"{before}{RESOURCE_METADATA}/mcp")
        issuer = await http.get(f"{SERVER_METADATA}/svc")
        account = await http.get(f"{before}/oauth/account")
        health = await http.get(f"{before}/health")

    assert (challenge.status_code, challenge.headers["cache-control"]) == (401, "no-store")
    assert metadata_of(challenge) == f"https://example.com/svc{RESOURCE_METADATA}/mcp"
    assert found.json()["resource"] == "https://example.com/svc/mcp"
    assert issuer.json()["issuer"] == "https://example.com/svc"
    assert account.headers["location"] == "/svc/oauth/login"
    assert account.headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"
    assert health.json()["resources"] == ["https://example.com/svc/mcp"]


@pytest.mark.parametrize("format_", ["opaque", "jwt"])
@pytest.mark.parametrize("url", ["http://127.0.0.1:8000/svc", None])
def test_a_token_that_a_command_mints_counts_below_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], format_: str, url: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    environment = {"OAUTH_STORAGE_DIR": str(tmp_path / "data"), "OAUTH_ACCESS_TOKEN_FORMAT": format_}
    for name, value in (environment | ({} if url is None else {"MCP_PUBLIC_URL": url})).items():
        monkeypatch.setenv(name, value)

    async def ping(token: str | None) -> int:
        gate = create_app(Server("Notes"), announce=lambda _: None)
        outer = around(gate)
        headers = HEADERS if token is None else {**HEADERS, "Authorization": f"Bearer {token}"}
        async with outer.router.lifespan_context(outer), asking(outer) as http:
            return (await http.post("/svc/mcp", json=PING, headers=headers)).status_code

    assert asyncio.run(ping(None)) == 401
    resource = "/mcp" if url is not None else f"{BASE}/svc/mcp"
    assert main(["token", "mint", "--subject", "svc", "--scopes", "mcp", "--resource", resource]) == 0
    assert asyncio.run(ping(capsys.readouterr().out.strip())) == 200
    assert main(["token", "mint", "--subject", "svc", "--resource", f"{BASE}/other/mcp"]) == 0
    assert asyncio.run(ping(capsys.readouterr().out.strip())) == 401


async def test_a_provider_that_sends_browsers_away_is_told_the_whole_address(tmp_path: Path) -> None:
    class Elsewhere(AuthProvider):
        async def authenticate(self, request: Request, credentials: Mapping[str, str]) -> str | None:
            del request, credentials
            return None

        async def challenge(self, request: Request, credentials: Mapping[str, str]) -> Response | None:
            del credentials
            return Response(str(request.url))

    settings = load_settings({"OAUTH_STORAGE_DIR": str(tmp_path / "data"), "OAUTH_ALLOWED_USERS": "*"}, env_file=None)
    gate = create_app(Server("Notes"), settings=settings, provider=Elsewhere(), announce=lambda _: None)

    async with asking(around(gate)) as http:
        assert (await http.get("/svc/oauth/login?then=admin")).text == f"{BASE}/svc/oauth/login?then=admin"


async def test_the_log_of_requests_names_what_is_below_the_path(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "gatepost.requests")
    async with asking(around(gate_at(tmp_path))) as http:
        await http.post("/svc/mcp", json=PING, headers=HEADERS)
        await http.get("/svc/health")

    lines = [record.getMessage() for record in caplog.records if record.name == "gatepost.requests"]
    assert lines == ["POST /mcp", "GET /health"]


async def test_what_the_operator_adds_finds_the_whole_path(tmp_path: Path) -> None:
    async def say(request: Request) -> Response:
        return JSONResponse([request.scope["root_path"], str(request.url), str(request.url_for("say"))])

    protected = Protected(Starlette(routes=[Route("/say", say)]))
    environment = {"MCP_REQUIRE_AUTH": "false", "OAUTH_ENABLED": "false"}
    gate = gate_at(tmp_path, {"/mcp": Server("Notes"), "/reports": protected}, **environment)
    gate.add_api_route("/own", lambda request: [request.scope["root_path"], str(request.url)])
    gate.router.routes.pop()
    gate.router.routes.append(Route("/own", lambda request: JSONResponse([str(request.url)])))

    async with asking(around(gate)) as http:
        assert (await http.get("/svc/own")).json() == [f"{BASE}/svc/own"]
        url = f"{BASE}/svc/reports/say"
        assert (await http.get("/svc/reports/say")).json() == ["/svc/reports", url, url]


async def test_an_app_that_is_mounted_elsewhere_than_it_was_told_says_what_to_set(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gate = gate_at(tmp_path, **{**PUBLIC, "MCP_PUBLIC_URL": "https://example.com"})
    outer = Starlette(routes=[Mount("/svc", gate)])

    async with asking(outer, "https://example.com") as http:
        answer = await http.get("/svc/health")

    assert answer.status_code == 503  # it does not open
    assert "MCP_PUBLIC_URL has to say so: set it to https://example.com/svc." in caplog.text
    with pytest.raises(SettingsError, match=r"set it to https://example\.com/svc\."):
        async with gate.lifespan(outer):
            pass


async def test_an_outer_path_that_nobody_can_see_is_refused_with_what_to_set(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gate = gate_at(tmp_path, **{**PUBLIC, "MCP_PUBLIC_URL": "https://example.com"})
    async with gate.router.lifespan_context(gate), asking(gate, "https://example.com", "/svc") as http:
        answer = await http.get("/svc/health")

    assert answer.status_code == 404
    assert "https://example.com/svc" in answer.json()["error_description"]
    assert vars(caplog.records[-1])["reason"] == "mounted_below"


async def test_a_mount_path_that_has_to_be_escaped_is_refused(tmp_path: Path) -> None:
    async with asking(Starlette(routes=[Mount("/my tools", gate_at(tmp_path))])) as http:
        answer = await http.get("/my%20tools/health")

    assert answer.status_code == 404
    assert "letters, digits" in answer.json()["error_description"]


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("https://example.com/mcp", "so /mcp would be at https://example.com/mcp/mcp. Leave /mcp out"),
        ("https://example.com/oauth", "cannot end with /oauth"),
    ],
)
def test_a_public_url_whose_path_is_one_of_ours_is_refused(tmp_path: Path, url: str, sentence: str) -> None:
    with pytest.raises(TargetError) as refused:
        gate_at(tmp_path, **{**PUBLIC, "MCP_PUBLIC_URL": url})

    assert sentence in str(refused.value)


async def test_the_app_around_is_told_what_it_does_not_pass_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def said() -> list[str]:
        return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]

    async with asking(Starlette(routes=[Mount("/svc", gate_at(tmp_path))])) as http:
        assert (await http.get("/svc/health")).status_code == 200
    lifespan, routes = said()
    assert "Starlette(lifespan=app.lifespan)" in lifespan
    assert "Starlette(routes=well_known_routes(app))" in routes
    caplog.clear()

    outer = around(gate_at(tmp_path))
    async with outer.router.lifespan_context(outer), asking(outer) as http:
        assert (await http.get("/svc/health")).status_code == 200
    assert said() == []


async def test_the_lifespan_of_the_app_itself_runs_inside_of_the_one_around(tmp_path: Path) -> None:
    gate = gate_at(tmp_path)
    outer = around(gate)

    async with outer.router.lifespan_context(outer):
        assert gate.life is not None
        assert gate.life.is_open
    assert not gate.life.is_open
