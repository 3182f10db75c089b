"""What `gatepost check` says of the public URL, login providers, issuers and the way out."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gatepost import GitHub, OpenIDConnect, Server
from gatepost.assembly.installation import Installation, install
from gatepost.assembly.oauth import OAuth
from gatepost.cli.checks import network
from gatepost.cli.checks.finding import Finding
from gatepost.cli.checks.network import DocumentAnswer
from gatepost.configuration.deployment import Deployment, resolve_deployment
from gatepost.configuration.settings import Settings, load_settings
from gatepost.outbound.external_issuer import ExternalIssuer
from gatepost.outbound.fetching import Fault, Fetched, FetchFailed
from gatepost.stores.urls import locate
from tests.outbound.conftest import authority
from tests.outbound.conftest import server as tls_server
from tests.outbound.external_issuer import Issuer
from tests.outbound.tls_server import TlsServer
from tests.stores.care.filled import OLD

__all__ = ["authority", "tls_server"]
PUBLIC = "https://mcp.example.com/tools"
DOCUMENT = "https://mcp.example.com/.well-known/oauth-authorization-server/tools"
STORE = {"MCP_STORAGE_URL": "sqlite:///gatepost.db"}


def public(**more: str) -> tuple[Settings, Deployment]:
    settings = load_settings({"MCP_PUBLIC_URL": PUBLIC, "MCP_SEALING_KEYS": OLD, **STORE, **more})
    return settings, resolve_deployment(settings, is_single_user=False)


async def look(
    answer: DocumentAnswer | Exception, *, runs: bool = False, more: Mapping[str, str] | None = None
) -> tuple[str, str, list[str]]:
    """Return the mark, the sentence, and which URLs were asked."""
    asked: list[str] = []

    async def ask(url: str, _settings: Settings | None, _headers: Mapping[str, str]) -> DocumentAnswer:
        asked.append(url)
        if isinstance(answer, Exception):
            raise answer
        return answer

    settings, deployment = public(**(more or {}))
    found = await network.public_url_found(settings, deployment, runs=runs, ask=ask)
    assert found.item == "public URL"
    return found.mark, found.says, asked


async def test_a_public_url_that_names_our_issuer_is_ours() -> None:
    mark, says, asked = await look(DocumentAnswer(200, {"issuer": PUBLIC}))
    assert (mark, asked) == ("ok", [DOCUMENT])
    assert "leads to this server" in says


async def test_where_others_issue_the_tokens_the_resource_says_that_it_is_ours() -> None:
    more = {"OAUTH_ENABLED": "false", "MCP_API_KEY": "0123456789abcdefghijklmnop"}
    mark, _, asked = await look(DocumentAnswer(200, {"resource": f"{PUBLIC}/mcp"}), more=more)
    assert (mark, asked) == ("ok", ["https://mcp.example.com/.well-known/oauth-protected-resource/tools"])


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (DocumentAnswer(200, {"issuer": "https://mcp.example.com"}), "is another server's: it says another issuer"),
        (DocumentAnswer(200, {"issuer": f"{PUBLIC}/"}), "byte for byte"),
        (DocumentAnswer(404, None), "answers 404 and is none of ours: have the proxy pass on all paths"),
        (DocumentAnswer(200, ["a page"]), "answers 200 and is none of ours"),
        (ssl.SSLCertVerificationError(1, "certificate has expired"), "The certificate at"),
        (FetchFailed("Name or service not known", Fault.DOCUMENT), "has no address that is known here"),
    ],
)
async def test_a_public_url_that_leads_elsewhere_or_nowhere_is_wrong(
    answer: DocumentAnswer | Exception, words: str
) -> None:
    mark, says, _ = await look(answer)
    assert (mark, words in says) == ("wrong", True)


@pytest.mark.parametrize("answer", [DocumentAnswer(502, None), FetchFailed("refused", Fault.CONNECTION)])
async def test_silence_is_wrong_only_of_a_server_that_runs(answer: DocumentAnswer | Exception) -> None:
    mark, says, _ = await look(answer)
    assert (mark, says.endswith("does not run yet: check again when it does.")) == ("note", True)
    mark, says, _ = await look(answer, runs=True)
    assert (mark, "and this server runs: look at DNS, firewall and proxy" in says) == ("wrong", True)


async def test_a_loopback_url_is_skipped_visibly() -> None:
    settings = load_settings(STORE)
    found = await network.public_url_found(settings, resolve_deployment(settings, is_single_user=False), runs=False)
    assert (found.mark, found.says.startswith("http://127.0.0.1:8000 is this machine's own.")) == ("skipped", True)


async def test_a_certificate_that_nobody_trusts_is_told_from_silence(tls_server: TlsServer) -> None:
    with pytest.raises(ssl.SSLError):
        await network.ask_past_the_guard(tls_server.url("/", host="127.0.0.1"), None, {})


async def test_a_name_without_an_address_is_told_from_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **_more: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(FetchFailed) as failure:
        await network.ask_past_the_guard("https://mcp.example.com/", None, {})
    assert failure.value.fault is Fault.DOCUMENT


async def closed(installation: Installation) -> Installation:
    await installation.core.store.close()
    return installation


async def installed(**options: Any) -> Installation:
    installation = install(Server("shop"), load_settings(STORE), store=locate("memory:").make_store(), **options)
    return await closed(installation)


async def test_each_login_provider_is_reached_or_named(monkeypatch: pytest.MonkeyPatch) -> None:
    async def answers(_self: object) -> None:
        return None

    async def fails(_self: object) -> None:
        raise FetchFailed("/.well-known/openid-configuration answers 404")

    monkeypatch.setattr(OpenIDConnect, "reach", fails)
    monkeypatch.setattr(GitHub, "reach", answers)
    one = await installed(provider=OpenIDConnect("https://id.example", "me"), allow=["*"])
    (found,) = await network.providers_found(one.oauth)
    assert (found.item, found.mark) == ("login provider", "wrong")
    assert found.says.startswith("oidc (https://id.example) cannot be used now: /.well-known/openid-configuration")
    other = await installed(provider=GitHub("Iv1.0123", "5ecre7"), allow=["*"])
    assert await network.providers_found(other.oauth) == [
        Finding("login provider", "ok", "github (https://github.com/login/oauth) answers.")
    ]
    assert await network.providers_found((await installed()).oauth) == []


async def test_each_issuer_is_reached_or_named() -> None:
    class Own:
        """Knows every token."""

        def validate_token(self, token: str) -> dict[str, str]:
            return {"sub": token}

    issuer = Issuer()
    external = ExternalIssuer(issuer.url)
    installation = await installed(external=[external, Own()])
    external.connect(issuer.surroundings(lambda: 0))
    found = await network.issuers_found(installation)
    assert [(finding.item, finding.mark) for finding in found] == [("issuer", "ok"), ("issuer", "skipped")]
    issuer.is_down = True
    found = await network.issuers_found(installation)
    assert (found[0].mark, found[0].says.startswith(f"{issuer.url} cannot be used now: ")) == ("wrong", True)


@pytest.mark.parametrize(
    ("faults", "mark", "asked"),
    [
        ([None], "ok", 1),
        ([Fault.ANSWER], "ok", 1),
        ([Fault.CONNECTION, None], "ok", 2),
        ([Fault.EGRESS, Fault.EGRESS], "note", 2),
    ],
)
async def test_the_way_out_is_there_when_one_of_two_well_known_hosts_answers(
    faults: list[Fault | None], mark: str, asked: int
) -> None:
    left = list(faults)

    async def fetch(_url: str, *, limit: int) -> Fetched:
        assert limit
        fault = left.pop(0)
        if fault is not None:
            raise FetchFailed("no route", fault)
        return Fetched(b"{}", 60)

    oauth = cast("OAuth", SimpleNamespace(egress=SimpleNamespace(fetcher=SimpleNamespace(fetch=fetch))))
    (found,) = await network.egress_found(oauth, load_settings(STORE))
    assert (found.item, found.mark, len(faults) - len(left)) == ("way out", mark, asked)
    without = load_settings({"OAUTH_CIMD_ENABLED": "false", **STORE})
    (skipped,) = await network.egress_found(oauth, without)
    assert (skipped.mark, await network.egress_found(None, without)) == ("skipped", [])
    await asyncio.sleep(0)
