"""Client ID Metadata Documents and server-side request forgery, through the whole server."""

import re
import socket
from collections.abc import Sequence
from typing import Any

import pytest

from gatepost.oauth.client_documents import MAX_DOCUMENT
from gatepost.outbound.fetching import GuardedFetcher, Resolve
from tests.attacks.installed import installed
from tests.oauth.test_client_documents import REFUSED_URLS
from tests.outbound.test_addresses import NOT_PUBLIC
from tests.outbound.tls_server import TlsServer

URL = "https://client.example/client.json"


class Resolver:
    """Answers each question with the next answer, and the last one for ever."""

    def __init__(self, *answers: Sequence[str] | OSError) -> None:
        self._answers = list(answers)
        self.questions: list[tuple[str, int]] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.questions.append((host, port))
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, OSError):
            raise answer
        return answer


def on_loopback(server: TlsServer, resolve: Resolve | None = None) -> GuardedFetcher:
    return GuardedFetcher(allow_loopback=True, resolve=resolve or Resolver(["127.0.0.1"]), tls=server.trust)


def document(server: TlsServer, **changes: Any) -> dict[str, Any]:
    return {
        "client_id": server.url(),
        "client_name": "App",
        "redirect_uris": ["https://app.example/cb"],
        **changes,
    }


async def test_a_client_that_describes_itself_gets_to_the_login(server: TlsServer) -> None:
    server.answer(document(server))
    async with installed(fetcher=on_loopback(server)) as gatepost:
        answer = await gatepost.authorize(server.url())
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/oauth/login?transaction=")


async def test_no_name_is_resolved_for_a_url_that_breaks_a_rule() -> None:
    resolve = Resolver(["8.8.8.8"])
    async with installed(fetcher=GuardedFetcher(resolve=resolve)) as gatepost:
        for client_id in REFUSED_URLS:
            answer = await gatepost.authorize(client_id)
            assert answer.status_code == 400, client_id
            assert "location" not in answer.headers
    assert resolve.questions == []


@pytest.mark.parametrize("public", [[], ["8.8.8.8"]])
async def test_no_connection_goes_to_an_address_that_is_not_public(
    public: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("connected")

    monkeypatch.setattr("asyncio.BaseEventLoop.create_connection", never)
    monkeypatch.setattr("socket.socket.connect", never)
    resolve = Resolver(*([*public, address] for address in NOT_PUBLIC), *([address, *public] for address in NOT_PUBLIC))
    async with installed(fetcher=GuardedFetcher(resolve=resolve)) as gatepost:
        for number in range(2 * len(NOT_PUBLIC)):
            refused = await gatepost.authorize(f"{URL}/{number}")
            assert refused.status_code == 400
    assert len(resolve.questions) == 2 * len(NOT_PUBLIC)


async def test_a_name_is_asked_for_once_so_that_a_second_answer_leads_nowhere(server: TlsServer) -> None:
    server.answer(document(server))
    rebinding = Resolver(["127.0.0.1"], ["127.0.0.2"])
    async with installed(fetcher=on_loopback(server, rebinding)) as gatepost:
        assert (await gatepost.authorize(server.url())).status_code == 303
    assert rebinding.questions == [("client.example", server.port)]
    assert server.connections == 1


async def test_failures_look_alike_whatever_lies_inside_the_network(server: TlsServer) -> None:
    closed = socket.create_server(("127.0.0.1", 0))
    port = closed.getsockname()[1]
    closed.close()
    server.answer(document(server), path="/moved", status="302 Found", headers="Location: https://10.0.0.1/\r\n")
    server.answer(b" " * (MAX_DOCUMENT + 1), path="/big")
    server.answer(document(server), path="/html", content_type="text/html")
    ways: list[tuple[str, Resolver]] = [
        (URL, Resolver(["10.0.0.1"])),
        (URL, Resolver(["169.254.169.254"])),
        (URL, Resolver([])),
        (URL, Resolver(socket.gaierror(socket.EAI_NONAME, "intranet.corp.example"))),
        (server.url("/missing"), Resolver(["127.0.0.1"])),
        (server.url("/moved"), Resolver(["127.0.0.1"])),
        (server.url("/big"), Resolver(["127.0.0.1"])),
        (server.url("/html"), Resolver(["127.0.0.1"])),
    ]
    out_of_reach: list[tuple[str, Resolver]] = [
        (f"https://client.example:{port}/c", Resolver(["127.0.0.1"])),
        (server.url(host="other.example"), Resolver(["127.0.0.1"])),
        (URL, Resolver(socket.gaierror(socket.EAI_AGAIN, "intranet.corp.example"))),
    ]
    # Where no public server was reached lately, the fault may be ours: that is said, and nothing more.
    for group, status in ((ways, 400), (out_of_reach, 503)):
        pages, answers = set(), set()
        for url, resolve in group:
            async with installed(fetcher=on_loopback(server, resolve)) as gatepost:
                page = await gatepost.authorize(url)
                answer = await gatepost.token(
                    grant_type="authorization_code", client_id=url, code="x", code_verifier="y"
                )
            # The id differs each time, and "Try again" leads to the very request.
            pages.add((page.status_code, re.sub('[0-9a-f]{8}</code>|href="/oauth/authorize[^"]*"', "", page.text)))
            answers.add((answer.status_code, answer.text))
            assert answer.headers["retry-after"]
        assert [seen for seen, _ in pages] == [status]
        assert [seen for seen, _ in answers] == [503]


async def test_a_document_of_somebody_else_does_not_make_a_client(server: TlsServer) -> None:
    server.answer(document(server, client_id="https://claude.ai/oauth/client.json"))
    async with installed(fetcher=on_loopback(server)) as gatepost:
        page = await gatepost.authorize(server.url())
        answer = await gatepost.token(grant_type="refresh_token", client_id=server.url(), refresh_token="x")
    assert page.status_code == 400
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


async def test_a_redirect_uri_that_the_document_does_not_list_gets_a_page_and_no_redirect(server: TlsServer) -> None:
    server.answer(document(server))
    async with installed(fetcher=on_loopback(server)) as gatepost:
        page = await gatepost.authorize(server.url(), "https://evil.example/cb")
    assert page.status_code == 400
    assert "location" not in page.headers


async def test_a_flood_of_requests_for_one_client_is_one_fetch(server: TlsServer) -> None:
    server.answer(document(server))
    async with installed(fetcher=on_loopback(server)) as gatepost:
        for _ in range(20):
            assert (await gatepost.authorize(server.url())).status_code == 303
    assert server.connections == 1


async def test_where_documents_are_switched_off_a_url_is_an_unknown_client() -> None:
    async with installed(OAUTH_CIMD_ENABLED="false") as gatepost:
        assert (await gatepost.authorize(URL)).status_code == 400
        answer = await gatepost.token(grant_type="refresh_token", client_id=URL, refresh_token="x")
        metadata = (await gatepost.http.get("/.well-known/oauth-authorization-server")).json()
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert "client_id_metadata_document_supported" not in metadata


async def test_what_is_supported_is_advertised() -> None:
    async with installed() as gatepost:
        metadata = (await gatepost.http.get("/.well-known/oauth-authorization-server")).json()
    assert metadata["client_id_metadata_document_supported"] is True
    assert "none" in metadata["token_endpoint_auth_methods_supported"]


async def test_the_allow_list_of_the_operator_counts() -> None:
    resolve = Resolver(["8.8.8.8"])
    async with installed(
        fetcher=GuardedFetcher(resolve=resolve), OAUTH_CIMD_ALLOWED_DOMAINS="claude.ai *.trusted.example"
    ) as gatepost:
        assert (await gatepost.authorize(URL)).status_code == 400
    assert resolve.questions == []
