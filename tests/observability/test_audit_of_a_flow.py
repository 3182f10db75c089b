"""What the audit trail keeps of what went well, from the set-up to the last revocation: who, which app, which grant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx2

from gatepost.identity.static_password import StaticPasswordProvider
from gatepost.oauth.audit import AuditQuery, AuditRecord
from tests.attacks.installed import ORIGIN, Installed, installed
from tests.attacks.test_client_credentials import ask, machine
from tests.attacks.test_people import CALLBACK, PASSWORD, redeem, type_password
from tests.web.pages.pages_world import Form

GRANT = "a grant"


async def submit(gatepost: Installed, path: str, fields: Mapping[str, str]) -> httpx2.Response:
    form = Form((await gatepost.http.get(path)).text)
    return await gatepost.http.post(form.action or "", data={**form.fields, **fields}, headers={"Origin": ORIGIN})


async def kept(gatepost: Installed) -> list[AuditRecord]:
    """Write what waits, and return all that was kept, oldest first."""
    await gatepost.installation.core.audit_trail.write_queue()
    return (await gatepost.store.audit.list_events(AuditQuery(), before=None, limit=100))[::-1]


def told(records: list[AuditRecord]) -> list[tuple[str, str, str | None, str | None, str | None, str | None]]:
    """Event, outcome, reason, whose, of which app, and whether a grant is named."""
    assert {record.address for record in records} == {"127.0.0.1"}
    return [
        (one.event.value, one.outcome.value, one.reason, one.subject, one.client_id, one.grant_id and GRANT)
        for one in records
    ]


async def test_all_that_gives_or_takes_access_is_kept_with_its_owner_app_and_grant() -> None:
    async with installed(provider=StaticPasswordProvider(PASSWORD)) as gatepost:
        registered = (await gatepost.http.post("/oauth/register", json={"redirect_uris": [CALLBACK]})).json()
        app: str = registered["client_id"]
        login = (await gatepost.authorize(app, CALLBACK)).headers["location"]
        consent = (await type_password(gatepost, PASSWORD, login)).headers["location"]
        approved = await submit(gatepost, consent, {"decision": "approve"})
        tokens = await redeem(gatepost, app, approved.headers["location"])
        renewed = await gatepost.token(grant_type="refresh_token", client_id=app, refresh_token=tokens["refresh_token"])
        await gatepost.http.post("/oauth/revoke", data={"client_id": app, "token": renewed.json()["access_token"]})
        await manage(gatepost, registered)

        records = await kept(gatepost)
        assert told(records) == [
            ("registration", "ok", None, None, app, None),
            ("login", "ok", None, "owner", None, None),
            ("consent", "ok", None, "owner", app, None),
            ("code_redemption", "ok", None, "owner", app, GRANT),
            ("refresh", "ok", None, "owner", app, GRANT),
            ("revocation", "ok", "client_revoked", "owner", app, GRANT),
            ("client_updated", "ok", None, None, app, None),
            ("client_removed", "ok", None, None, app, None),
        ]
        assert len({record.grant_id for record in records if record.grant_id}) == 1


async def manage(gatepost: Installed, registered: dict[str, Any]) -> None:
    """Change a registration, then remove it (RFC 7592)."""
    uri, headers = (
        registered["registration_client_uri"],
        {"Authorization": f"Bearer {registered['registration_access_token']}"},
    )
    update = {"client_id": registered["client_id"], "redirect_uris": [CALLBACK], "client_name": "Renamed"}
    assert (await gatepost.http.put(uri, json=update, headers=headers)).status_code == 200
    assert (await gatepost.http.delete(uri, headers=headers)).status_code == 204


async def test_a_denial_is_kept_as_such() -> None:
    async with installed(provider=StaticPasswordProvider(PASSWORD)) as gatepost:
        app = (await gatepost.http.post("/oauth/register", json={"redirect_uris": [CALLBACK]})).json()["client_id"]
        login = (await gatepost.authorize(app, CALLBACK)).headers["location"]
        consent = (await type_password(gatepost, PASSWORD, login)).headers["location"]
        await submit(gatepost, consent, {"decision": "deny"})

        assert told(await kept(gatepost))[-1] == ("consent", "refused", "user_denied", "owner", app, None)


async def test_a_set_up_and_a_login_to_the_account_are_kept() -> None:
    async with installed() as gatepost:
        fields = {"username": "ada", "password": PASSWORD, "repeat": PASSWORD}
        await submit(gatepost, f"/oauth/setup?token={gatepost.installation.setup_token}", fields)
        gatepost.http.cookies.clear()
        await submit(gatepost, "/oauth/login", {"username": "ada", "password": PASSWORD})

        (user,) = await gatepost.store.users.list_users()
        assert told(await kept(gatepost)) == [
            ("set_up", "ok", None, user.subject, None, None),
            ("login", "ok", None, user.subject, None, None),
        ]


async def test_a_token_of_a_machine_is_kept() -> None:
    async with installed() as gatepost:
        await ask(gatepost, machine(), resource=f"{ORIGIN}/mcp", scope="notes:read")

        assert told(await kept(gatepost)) == [("client_credentials", "ok", None, "client-1", "client-1", GRANT)]
