"""A server without a way out, from the outside: what a person, a client, an operator and a probe are told."""

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from gatepost.configuration.settings import SettingsError
from gatepost.oauth.audit import AuditQuery
from gatepost.outbound.document_cache import PAUSE
from gatepost.outbound.egress import FAILURES
from gatepost.outbound.fetching import Fault, Fetched, FetchFailed
from tests.attacks.installed import Installed, installed

URL = "https://client.example/client.json"
METADATA = "/.well-known/oauth-authorization-server"


@dataclass
class Web:
    """The internet, as far as it can be reached."""

    fault: Fault | None = Fault.EGRESS
    document: dict[str, object] = field(
        default_factory=lambda: {"client_id": URL, "client_name": "App", "redirect_uris": ["https://app.example/cb"]}
    )

    async def fetch(self, url: str, *, limit: int) -> Fetched:
        assert limit
        if self.fault is not None:
            raise FetchFailed("proxy_407", self.fault)
        assert url == URL
        return Fetched(json.dumps(self.document).encode(), 300)


async def advertised(gatepost: Installed) -> object:
    return (await gatepost.http.get(METADATA)).json().get("client_id_metadata_document_supported")


async def lose_the_way_out(gatepost: Installed) -> None:
    for _ in range(FAILURES):
        assert (await gatepost.authorize(URL)).status_code == 503
        gatepost.clock[0] += PAUSE


async def test_a_failure_of_ours_is_said_to_be_ours_to_person_client_and_operator() -> None:
    async with installed(fetcher=Web()) as gatepost:
        page = await gatepost.authorize(URL)
        answer = await gatepost.token(grant_type="refresh_token", client_id=URL, refresh_token="x")
        await gatepost.installation.core.audit_trail.write_queue()
        events = await gatepost.store.audit.list_events(AuditQuery(event="egress"), before=None, limit=10)
    assert (page.status_code, page.headers["retry-after"]) == (503, "5")
    assert "no fault of yours" in page.text
    assert "egress_unavailable" in page.text
    assert answer.status_code == 503
    assert answer.json()["error"] == "temporarily_unavailable"
    assert "egress_unavailable" in answer.json()["error_description"]
    assert [(event.outcome, event.reason, event.address, event.client_id) for event in events] == [
        ("refused", "egress_unavailable", "server", None)
    ]


async def test_documents_are_advertised_until_the_way_out_is_gone_and_from_the_first_success() -> None:
    web = Web()
    async with installed(fetcher=web) as gatepost:
        assert await advertised(gatepost) is True
        await lose_the_way_out(gatepost)
        assert await advertised(gatepost) is None
        ready = await gatepost.http.get("/healthz")
        assert (ready.status_code, ready.json()) == (
            200,
            {"status": "ok", "checks": {"store": "ok", "client_documents": "degraded"}},
        )
        web.fault = None
        assert (await gatepost.authorize(URL)).status_code == 303
        assert await advertised(gatepost) is True
        assert (await gatepost.http.get("/healthz")).json() == {"status": "ok", "checks": {"store": "ok"}}


@pytest.mark.parametrize(
    "settings", [{"OAUTH_REGISTRATION_ENABLED": "false"}, {"OAUTH_INITIAL_ACCESS_TOKEN": "x" * 24}]
)
async def test_documents_stay_advertised_where_clients_could_not_register_instead(settings: dict[str, Any]) -> None:
    async with installed(fetcher=Web(), **settings) as gatepost:
        await lose_the_way_out(gatepost)
        assert await advertised(gatepost) is True


async def test_a_failure_of_the_document_stays_what_it_was() -> None:
    async with installed(fetcher=Web(Fault.DOCUMENT)) as gatepost:
        for _ in range(FAILURES + 1):
            assert (await gatepost.authorize(URL)).status_code == 400
            gatepost.clock[0] += PAUSE
        assert await advertised(gatepost) is True


async def test_a_proxy_that_cannot_be_used_refuses_the_start() -> None:
    with pytest.raises(SettingsError, match="HTTPS_PROXY"):
        async with installed(HTTPS_PROXY="socks5://proxy.example:1080"):
            pass
