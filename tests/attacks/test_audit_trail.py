"""What an attack leaves behind: events with reasons and identifiers, and never a secret or what somebody typed."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, field

import httpx2
import pytest

from gatepost.oauth.audit import AuditQuery
from gatepost.oauth.policy import Lifetimes
from gatepost.observability.audit_trail import AuditTrail
from gatepost.stores.conformance.records import find_grant
from gatepost.stores.sql.sqlite import memory_store
from gatepost.web.oauth.client_form import ClientForms
from gatepost.web.oauth.grants.grant_type import TokenIssuer
from gatepost.web.oauth.token import TokenEndpoint
from gatepost.web.site.audit import Audit
from gatepost.web.site.client_address import ClientAddresses
from tests.web.oauth.token_harness import ISSUER, NOTES, Harness
from tests.web.served import Served


@dataclass
class Watched:
    """A token endpoint with an audit trail."""

    harness: Harness
    trail: AuditTrail
    sent: list[str] = field(default_factory=list)
    """Every secret that went over the wire."""

    async def events(self) -> list[tuple[str, str, str | None]]:
        """Return event, outcome and reason of everything that was kept, oldest first."""
        await self.trail.write_queue()
        kept = await self.harness.store.audit.list_events(AuditQuery(), before=None, limit=100)
        text = json.dumps([asdict(record) for record in kept])
        assert not [secret for secret in self.sent if secret in text]
        assert {record.address for record in kept} <= {"192.0.2.66"}
        return [(record.event.value, record.outcome.value, record.reason) for record in reversed(kept)]


@pytest.fixture
async def watched() -> AsyncIterator[Watched]:
    app = Served()
    store = memory_store()
    transport = httpx2.ASGITransport(app=app, client=("192.0.2.66", 50_000))
    async with httpx2.AsyncClient(transport=transport, base_url=ISSUER) as http:
        harness = Harness(store, http)
        trail = AuditTrail(
            store=store.audit,
            now=lambda: harness.now,
            random_bytes=secrets.token_bytes,
        )
        app.add(
            TokenEndpoint(
                client_forms=ClientForms(clients=store.clients),
                issuer=TokenIssuer(
                    store=store,
                    resources=(NOTES,),
                    lifetimes=Lifetimes(),
                    now=lambda: harness.now,
                    random_bytes=secrets.token_bytes,
                    on_revocation=lambda: None,
                    audit=Audit(trail, ClientAddresses()),
                ),
            ).routes()
        )
        yield Watched(harness, trail)


async def test_a_replayed_code_is_a_revocation_and_a_refused_redemption(watched: Watched) -> None:
    client = await watched.harness.register()
    code = await watched.harness.approve(client)
    tokens = (await watched.harness.redeem(client, code)).json()
    await watched.harness.redeem(client, code)
    watched.sent += [code, tokens["access_token"], tokens["refresh_token"]]

    assert await watched.events() == [
        ("code_redemption", "ok", None),
        ("revocation", "ok", "code_replayed"),
        ("code_redemption", "refused", "code_replayed"),
    ]


async def test_a_stale_refresh_token_that_was_served_is_an_event_with_its_reason(watched: Watched) -> None:
    client = await watched.harness.register()
    first = await watched.harness.begin(client)
    second = (await watched.harness.refresh(client, first["refresh_token"])).json()
    await watched.harness.refresh(client, first["refresh_token"])  # the lost answer is none
    watched.harness.now += 3600
    late = (await watched.harness.refresh(client, first["refresh_token"])).json()
    watched.sent += [first["refresh_token"], second["refresh_token"], late["access_token"]]

    events = await watched.events()

    reasons = [("code_redemption", None), ("refresh", None), ("refresh", "refresh_token_stale")]
    assert events == [(event, "ok", reason) for event, reason in reasons]
    [served, *_] = await watched.harness.store.audit.list_events(AuditQuery(event="refresh"), before=None, limit=9)
    assert (served.client_id, served.address) == (client.client_id, "192.0.2.66")


async def test_reuse_of_a_refresh_token_names_the_grant_that_it_ended(watched: Watched) -> None:
    client = await watched.harness.register()
    await watched.harness.store.clients.set_refresh_reuse(client.client_id, 0)
    first = await watched.harness.begin(client)
    second = (await watched.harness.refresh(client, first["refresh_token"])).json()
    await watched.harness.refresh(client, second["refresh_token"])
    await watched.harness.refresh(client, first["refresh_token"])
    watched.sent += [first["refresh_token"], second["refresh_token"]]

    events = await watched.events()

    assert events.count(("refresh", "ok", None)) == 2
    assert ("revocation", "ok", "refresh_token_reused") in events
    assert ("refresh", "refused", "refresh_token_reused") in events
    [revocation] = await watched.harness.store.audit.list_events(AuditQuery(event="revocation"), before=None, limit=9)
    kept = await find_grant(watched.harness.store, revocation.grant_id or "")
    assert kept is not None
    assert (kept.revoked_reason, revocation.client_id) == ("refresh_token_reused", client.client_id)


async def test_a_wrong_secret_is_an_event_of_the_client_that_it_was_tried_on(watched: Watched) -> None:
    client = await watched.harness.register(method="client_secret_post", secret="the right one")
    await watched.harness.redeem(client, "any", client_secret="a guess that is not to be kept")
    watched.sent.append("a guess")

    assert await watched.events() == [("client_authentication", "refused", "client_authentication_failed")]


async def test_mistakes_that_hint_at_nothing_are_left_to_the_log(watched: Watched) -> None:
    client = await watched.harness.register()
    await watched.harness.refresh(client, "gp_rt_unknown")
    await watched.harness.post({"grant_type": "authorization_code", "client_id": client.client_id})

    assert await watched.events() == []
