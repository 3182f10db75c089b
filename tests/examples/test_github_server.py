"""The GitHub example, named by variables alone, against a stand-in that answers in GitHub's shapes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples import github_server
from gatepost import create_app
from gatepost.assembly import login_provider
from tests.attacks.installed import ORIGIN
from tests.identity import test_github
from tests.identity.openid_issuer import Network
from tests.seeds.person import Person, person_at

REPOSITORIES = [
    {"id": 1296269, "name": "Hello-World", "full_name": "octocat/Hello-World", "private": False, "fork": False},
    {"id": 1300192, "name": "secret", "full_name": "octocat/secret", "private": True, "fork": False},
]
STARRED = [{"id": 18221276, "name": "git-consortium", "full_name": "octocat/git-consortium", "private": False}]


class GitHub(test_github.StandIn):
    """github.com with an API that takes the token of the login alone."""

    def __init__(self) -> None:
        super().__init__()
        self.user = {**self.user, "html_url": "https://github.com/octocat"}
        self.is_revoked = False
        lists = {"/user/repos": REPOSITORIES, "/user/starred": STARRED}
        self.api.router.routes += [Route(path, self._answering(answer)) for path, answer in lists.items()]

    def _answering(self, answer: Any) -> Any:
        async def endpoint(request: Request) -> Response:
            assert dict(request.query_params) == {"per_page": "100"}
            if not self._allowed(request):
                return JSONResponse({"message": "Bad credentials"}, 401)
            return JSONResponse(answer)

        return endpoint

    def _allowed(self, request: Request) -> bool:
        return super()._allowed(request) and not self.is_revoked


@dataclass
class Octocat:
    """Somebody with an account at GitHub, and a browser."""

    person: Person
    github: GitHub

    async def log_in(self) -> httpx2.Response:
        there = (await self.person.arrive()).headers["location"]
        return await self.person.http.get(self.github.log_in(there))


@pytest.fixture
async def octocat(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Octocat]:
    monkeypatch.setattr(test_github, "CALLBACK", f"{ORIGIN}/oauth/login/github/callback")
    github = GitHub()
    network = Network(github_com=github.site, api_github_com=github.api)
    monkeypatch.setattr(login_provider, "_way_to", lambda _proxy, url: network(url))
    variables = {
        "GITHUB_CLIENT_ID": test_github.CLIENT["client_id"],
        "GITHUB_CLIENT_SECRET": test_github.CLIENT["client_secret"],
        "GITHUB_KEEP_TOKENS": "true",
        "OAUTH_ALLOWED_USERS": "login:octocat",
        "MCP_STORAGE_URL": "memory:",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    api = httpx2.AsyncClient(transport=network, base_url="https://api.github.com")
    monkeypatch.setattr(github_server, "api", api)
    async with api, person_at(create_app(github_server.server)) as person:
        yield Octocat(person, github)


async def test_tools_read_at_github_as_the_person_who_calls(octocat: Octocat) -> None:
    token = await octocat.person.allow(await octocat.log_in())
    call = octocat.person.call
    assert await call(token, "whoami") == "octocat (https://github.com/octocat)"
    assert "octocat/Hello-World" in await call(token, "list_my_repos")
    assert "octocat/git-consortium" in await call(token, "get_starred")
    assert not token.startswith("gho_")


async def test_who_is_not_on_the_list_does_not_get_in(octocat: Octocat) -> None:
    octocat.github.user = {**octocat.github.user, "login": "monalisa", "id": 1}
    assert (await octocat.log_in()).status_code == 403


async def test_who_revoked_the_app_at_github_is_led_to_link_anew(octocat: Octocat) -> None:
    token = await octocat.person.allow(await octocat.log_in())
    octocat.github.is_revoked = True
    for _ in range(2):
        said = await octocat.person.call(token, "whoami")
        assert f"Open {ORIGIN}/oauth/account/link/github in a browser" in said
    octocat.github.is_revoked = False
    again = await octocat.person.allow(await octocat.log_in())
    assert await octocat.person.call(token, "whoami") == "octocat (https://github.com/octocat)"
    assert await octocat.person.call(again, "whoami") == "octocat (https://github.com/octocat)"


def test_it_is_as_short_as_it_says() -> None:
    assert len(Path("examples/github_server.py").read_text().partition("\n\nif __name__")[0].splitlines()) <= 40
