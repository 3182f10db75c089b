"""Enterprise-managed authorization: an identity provider's word counts for one client, one server, one person, once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from mcp.client.auth.extensions.identity_assertion import IdentityAssertionOAuthProvider
from mcp.shared.auth import OAuthToken

from gatepost import Role
from gatepost.oauth.asserted_grants import JWT_BEARER
from gatepost.oauth.audit import AuditQuery
from gatepost.oauth.id_jag import PROFILE
from gatepost.oauth.id_jag import TYPE as ID_JAG
from gatepost.oauth.limits import TOKENS_OF_CLIENT, Use
from gatepost.oauth.records import Client, ClientOrigin
from gatepost.resource.profile import Profile
from gatepost.stores.conformance.records import client, keep_client, user
from gatepost.stores.contract.linked_logins import LinkedLogin
from gatepost.tokens.opaque import fingerprint
from tests.attacks.asserted_world import MCP_URL, Asserting, asserting, told
from tests.attacks.dpop_world import TOKEN_URL, Prover
from tests.attacks.installed import ORIGIN, installed
from tests.outbound.external_issuer import CURVE, KEYS, Issuer

SECRET = "gp_cs_a-secret"
INVALID = (400, "invalid_grant")


def app(**changes: Any) -> Client:
    return client(
        **{
            "redirect_uris": (),
            "grant_types": (JWT_BEARER,),
            "token_endpoint_auth_method": "client_secret_post",
            "secret_fingerprint": fingerprint(SECRET),
            "scope": None,
            "origin": ClientOrigin.PREREGISTERED,
            **changes,
        }
    )


@asynccontextmanager
async def world(monkeypatch: pytest.MonkeyPatch, **options: Any) -> AsyncIterator[Asserting]:
    settings = {"OAUTH_ID_JAG_ISSUERS": "https://id.example.com", **options}
    async with asserting(monkeypatch, **settings) as there:
        await keep_client(there.gatepost.store, app())
        yield there


def id_jag(there: Asserting, *, typ: str | None = ID_JAG, signed: dict[str, Any] | None = None, **changes: Any) -> str:
    return there.sign(there.claims(**{"client_id": "client-1", "resource": MCP_URL, **changes}), typ, **(signed or {}))


async def ask(there: Asserting, assertion: str, **more: Any) -> httpx2.Response:
    return await there.ask(assertion, **{"client_id": "client-1", "client_secret": SECRET, **more})


async def test_a_person_gets_in_by_the_word_of_their_company(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world(monkeypatch) as there:
        answer = await ask(there, id_jag(there, email="ada@acme.example", name="Ada"))
        assert answer.status_code == 200, answer.text
        tokens = answer.json()
        assert (await there.call(tokens.pop("access_token"))).status_code == 200
        assert tokens == {"token_type": "Bearer", "expires_in": 3600, "scope": "notes:read"}
        (person,) = await there.gatepost.store.users.list_users()
        assert (person.issuer, person.external_subject, person.display_name) == ("https://id.example.com", "U1", "Ada")
        # The same person by another assertion is the same person.
        assert (await ask(there, id_jag(there))).status_code == 200
        assert len(await there.gatepost.store.users.list_users()) == 1
        await there.gatepost.installation.core.audit_trail.write_queue()
        events = await there.gatepost.store.audit.list_events(
            AuditQuery(event="enterprise_grant"), before=None, limit=9
        )
        assert [(event.subject, event.client_id) for event in events] == [(person.subject, "client-1")] * 2


async def test_it_is_off_unless_the_operator_names_whom_to_trust() -> None:
    async with installed() as gatepost:
        await keep_client(gatepost.store, app())
        answer = await gatepost.token(
            grant_type=JWT_BEARER, assertion="a.b.c", client_id="client-1", client_secret=SECRET
        )
        assert told(answer) == (400, "unsupported_grant_type")
        metadata = (await gatepost.http.get("/.well-known/oauth-authorization-server")).json()
        assert JWT_BEARER not in metadata["grant_types_supported"]
        assert "authorization_grant_profiles_supported" not in metadata


async def test_the_metadata_names_the_profile_and_nobody_who_is_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world(monkeypatch) as there:
        answer = await there.gatepost.http.get("/.well-known/oauth-authorization-server")
        assert answer.json()["authorization_grant_profiles_supported"] == [PROFILE]
        assert JWT_BEARER in answer.json()["grant_types_supported"]
        assert "id.example.com" not in answer.text
        headers = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}
        token = (await ask(there, id_jag(there))).json()["access_token"]
        params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}
        begun = await there.gatepost.http.post(
            "/mcp",
            json={"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params},
            headers={**headers, "Authorization": f"Bearer {token}"},
        )
        assert '"io.modelcontextprotocol/enterprise-managed-authorization"' in begun.text


CLAIMS: dict[str, dict[str, Any]] = {
    "for another server": {"aud": "https://other.example"},
    "for this server and another": {"aud": [ORIGIN, "https://other.example"]},
    "for the token endpoint": {"aud": f"{ORIGIN}/oauth/token"},
    "for this server with a slash": {"aud": f"{ORIGIN}/"},
    "for nobody": {"aud": ...},
    "for no audience": {"aud": []},
    "for another client": {"client_id": "client-2"},
    "for no client": {"client_id": ...},
    "of nobody": {"sub": ...},
    "of an empty subject": {"sub": ""},
    "of a subject that is no text": {"sub": 1},
    "without an end": {"exp": ...},
    "that ended": {"exp": 1_800_000_000 - 60},
    "that ends in a year": {"exp": 1_800_000_000 + 365 * 86_400},
    "without a beginning": {"iat": ...},
    "of the future": {"iat": 1_800_000_000 + 61},
    "not yet": {"nbf": 1_800_000_000 + 61},
    "without a name": {"jti": ...},
    "of a tenant": {"tenant": "other"},
    "of a tenant here": {"aud_tenant": "other"},
    "with details": {"authorization_details": [{"type": "payment"}]},
    "with an unknown key": {"cnf": {"x5t#S256": "x"}},
    "with a scope that is no text": {"scope": ["notes:read"]},
    "with a resource that is none": {"resource": {"a": 1}},
    "with what JSON cannot say": {"weight": float("nan")},
}


@pytest.mark.parametrize("changes", CLAIMS.values(), ids=CLAIMS.keys())
async def test_an_assertion_that_says_something_else_does_not_count(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    async with world(monkeypatch) as there:
        assert told(await ask(there, id_jag(there, **changes))) == INVALID
        assert await there.gatepost.store.users.list_users() == []


@pytest.mark.parametrize("typ", ["JWT", "at+jwt", None, "dpop+jwt", "OAUTH-ID-JAG+JWT"])
async def test_what_was_signed_for_another_purpose_is_no_assertion(
    monkeypatch: pytest.MonkeyPatch, typ: str | None
) -> None:
    async with world(monkeypatch) as there:
        assert told(await ask(there, id_jag(there, typ=typ))) == INVALID


async def test_an_issuer_that_is_not_named_asserts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world(monkeypatch) as there:
        evil = Issuer("https://evil.example")
        claims = there.claims(client_id="client-1", resource=MCP_URL, iss=evil.url)
        assert told(await ask(there, evil.token(claims, header={"typ": ID_JAG}))) == INVALID
        # Nor does it by the name of one that is, nor by a key that it brings along.
        forged = there.claims(client_id="client-1", resource=MCP_URL)
        for header in ({}, {"jku": "https://evil.example/keys"}, {"jwk": KEYS[1].as_dict(private=False)}):
            signed = evil.token(forged, header={"typ": ID_JAG, "kid": None, **header}, key=KEYS[1])
            assert told(await ask(there, signed)) == INVALID
        assert set(there.issuer.asked) <= {"/.well-known/openid-configuration", "/keys"}


async def test_a_shared_secret_or_no_signature_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world(monkeypatch) as there:
        good = id_jag(there)
        head, body, _ = good.split(".")
        assert told(await ask(there, f"{head}.{body}.")) == INVALID
        for assertion in (f"{head}.{body}.AAAA", "x", "a.b.c", "..", "x" * 20_000):
            assert told(await ask(there, assertion)) == INVALID


async def test_an_assertion_counts_once_at_whatever_process(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world(monkeypatch) as one, world(monkeypatch, store=one.gatepost.store) as other:
        assertion = id_jag(one)
        assert (await ask(one, assertion)).status_code == 200
        assert told(await ask(one, assertion)) == INVALID
        assert told(await ask(other, assertion)) == INVALID
        one.gatepost.clock[0] += 359
        assert told(await ask(one, assertion)) == INVALID


async def test_another_client_cannot_use_it_nor_one_that_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world(monkeypatch) as there:
        await keep_client(there.gatepost.store, app(client_id="client-2"))
        assertion = id_jag(there)
        assert told(await ask(there, assertion, client_id="client-2")) == INVALID
        assert told(await ask(there, assertion, client_secret="wrong")) == (401, "invalid_client")
        assert told(await there.ask(assertion, client_id="client-1")) == (401, "invalid_client")
        assert told(await there.ask(assertion)) == (401, "invalid_client") or told(await there.ask(assertion))[0] == 400
        public = app(client_id="client-3", token_endpoint_auth_method="none", secret_fingerprint=None)
        await keep_client(there.gatepost.store, public)
        theirs = id_jag(there, client_id="client-3")
        assert told(await there.ask(theirs, client_id="client-3")) == (400, "unauthorized_client")
        # None of them has used it up.
        assert (await ask(there, assertion)).status_code == 200


async def test_a_client_that_was_not_registered_for_it_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world(monkeypatch) as there:
        await keep_client(there.gatepost.store, app(grant_types=("client_credentials",)))
        assert told(await ask(there, id_jag(there))) == (400, "unauthorized_client")


async def test_the_token_is_for_the_resource_of_the_assertion(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world(monkeypatch) as there:
        elsewhere = "https://other.example/mcp"
        assert told(await ask(there, id_jag(there, resource=elsewhere))) == (400, "invalid_target")
        assert told(await ask(there, id_jag(there, resource=elsewhere), resource=MCP_URL)) == (400, "invalid_target")
        assert told(await ask(there, id_jag(there), resource=elsewhere)) == (400, "invalid_target")
        assert told(await ask(there, id_jag(there, resource=[MCP_URL, elsewhere]))) == (400, "invalid_target")
        assert (await ask(there, id_jag(there, resource=[MCP_URL, elsewhere]), resource=MCP_URL)).status_code == 200
        assert (await ask(there, id_jag(there, resource=...))).status_code == 200


async def test_scopes_are_those_that_are_asked_for_and_asserted(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world(monkeypatch, OAUTH_SUPPORTED_SCOPES="notes:write mail") as there:

        async def scope(asserted: Any, **asked: str) -> str:
            answer = await ask(there, id_jag(there, scope=asserted), **asked)
            return str(answer.json().get("scope", answer.json().get("error")))

        assert await scope("notes:read") == "notes:read"
        assert await scope("notes:read unknown") == "notes:read"
        assert await scope("notes:read notes:write", scope="notes:write mail") == "notes:write"
        assert await scope("notes:read", scope="mail") == "invalid_scope"
        assert await scope("unknown") == "invalid_scope"
        await keep_client(there.gatepost.store, app(scope="mail"))
        assert await scope("notes:read mail") == "mail"
        assert await scope("notes:read") == "invalid_scope"


async def test_who_may_not_enter_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world(monkeypatch, allow=["@acme.example"]) as there:
        strangers: list[dict[str, Any]] = [
            {},
            {"email": "eve@evil.example", "email_verified": True},
            {"email": "ada@acme.example"},
        ]
        for said in strangers:
            assert told(await ask(there, id_jag(there, **said))) == INVALID
        assert await there.gatepost.store.users.list_users() == []
        good: dict[str, Any] = {"email": "ada@acme.example", "email_verified": True}
        assert (await ask(there, id_jag(there, **good))).status_code == 200
        # Of who is known it counts what was said at the login, and that stays as it was.
        assert (await ask(there, id_jag(there))).status_code == 200
        (person,) = await there.gatepost.store.users.list_users()
        assert person.profile.email == "ada@acme.example"


async def test_whoever_the_provider_has_taken_out_of_a_group_is_out_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    roles = {"writer": Role(scopes="notes:read", users=["group:writers"])}
    async with world(monkeypatch, roles=roles) as there:
        before = id_jag(there, groups=["writers"], name="Ada", email="ada@acme.example", email_verified=True)
        assert (await ask(there, before)).json()["scope"] == "notes:read"
        assert told(await ask(there, id_jag(there, groups=[]))) == INVALID
        # What was said before is not said again by whoever sends it again.
        assert told(await ask(there, before)) == INVALID
        assert told(await ask(there, id_jag(there))) == INVALID
        (person,) = await there.gatepost.store.users.list_users()
        assert person.profile.groups == ()
        # What an assertion says nothing of stays.
        assert (person.display_name, person.profile.email, person.profile.email_verified) == (
            "Ada",
            "ada@acme.example",
            True,
        )
        assert (await ask(there, id_jag(there, groups=["writers"]))).status_code == 200
        # An address that is said for the first time is not the one that was verified.
        assert (await ask(there, id_jag(there, email="eve@acme.example"))).status_code == 200
        (person,) = await there.gatepost.store.users.list_users()
        assert (person.profile.email, person.profile.email_verified) == ("eve@acme.example", False)


async def test_what_was_said_with_another_login_of_a_person_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """A company says nothing of somebody's own account, though they have linked its login to that."""
    async with world(monkeypatch) as there:
        users, now = there.gatepost.store.users, there.gatepost.clock[0]
        own = user("person-1", "ada", profile=Profile("ada@home.example", email_verified=True))
        await users.add_user(own)
        link = LinkedLogin("https://id.example.com", "U1", "person-1", now, "Ada at Acme")
        await there.gatepost.store.linked_logins.link_login(link)
        assert (await ask(there, id_jag(there, groups=["admins"], email="boss@acme.example"))).status_code == 200
        (kept,) = await users.list_users()
        assert (kept.subject, kept.profile) == ("person-1", own.profile)


async def test_who_asks_too_often_has_not_used_an_assertion_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world(monkeypatch) as there:
        now = there.gatepost.clock[0]
        spent = Use("token:client:client-1", TOKENS_OF_CLIENT, TOKENS_OF_CLIENT.uses)
        assert await there.gatepost.store.limits.take([spent], now=now) == 0
        assertion = id_jag(there, exp=now + 3000)
        assert (await ask(there, assertion)).status_code == 429
        assert await there.gatepost.store.users.list_users() == []
        there.gatepost.clock[0] += 600
        assert (await ask(there, assertion)).status_code == 200


async def test_a_disabled_person_or_client_gets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world(monkeypatch) as there:
        token = (await ask(there, id_jag(there))).json()["access_token"]
        (person,) = await there.gatepost.store.users.list_users()
        await there.gatepost.store.users.disable_user(person.subject, now=there.gatepost.clock[0])
        assert told(await ask(there, id_jag(there))) == INVALID
        there.gatepost.clock[0] += 10
        assert (await there.call(token)).status_code == 401


async def test_roles_limit_what_is_asserted(monkeypatch: pytest.MonkeyPatch) -> None:
    roles = {"reader": Role(scopes="notes:read", users=["ada@acme.example"])}
    async with world(monkeypatch, roles=roles) as there:
        known: dict[str, Any] = {"email": "ada@acme.example", "email_verified": True}
        assert (await ask(there, id_jag(there, **known))).json()["scope"] == "notes:read"
        assert told(await ask(there, id_jag(there, sub="U2"))) == INVALID


async def test_one_that_is_bound_to_a_key_needs_it_and_so_does_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world(monkeypatch) as there:
        holder, thief = Prover(there.gatepost), Prover(there.gatepost)
        bound: dict[str, Any] = {"cnf": {"jkt": holder.thumbprint}}
        assert told(await ask(there, id_jag(there, **bound))) == INVALID
        for prover in (holder, thief):
            answer = await ask(there, id_jag(there, **bound), headers={"DPoP": prover.proof(TOKEN_URL)})
            assert told(answer) == (400, "use_dpop_nonce")
            prover.nonces[TOKEN_URL] = answer.headers["dpop-nonce"]
        refused = await ask(there, id_jag(there, **bound), headers={"DPoP": thief.proof(TOKEN_URL)})
        assert told(refused) == INVALID
        answer = await ask(there, id_jag(there, **bound), headers={"DPoP": holder.proof(TOKEN_URL)})
        assert answer.json()["token_type"] == "DPoP"
        assert (await holder.call(answer.json()["access_token"])).status_code == 200
        assert (await there.call(answer.json()["access_token"])).status_code == 401


async def test_an_issuer_that_is_away_is_no_fault_of_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world(monkeypatch) as there:
        there.issuer.is_down = True
        assertion = id_jag(there)
        assert told(await ask(there, assertion)) == (503, "temporarily_unavailable")
        there.issuer.is_down = False
        there.gatepost.clock[0] += 60
        assert (await ask(there, assertion)).status_code == 200


async def test_a_key_that_is_new_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world(monkeypatch) as there:
        assert (await ask(there, id_jag(there))).status_code == 200
        there.issuer.keys.insert(0, CURVE)
        assert (await ask(there, id_jag(there, signed={"alg": "ES256"}))).status_code == 200


class Storage:
    """Keeps the tokens of the official client."""

    tokens: OAuthToken | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> None:
        return None

    async def set_client_info(self, client_info: object) -> None:
        raise NotImplementedError


async def test_the_official_python_client_gets_in(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world(monkeypatch) as there:
        asked = []

        async def assertion_for(audience: str, resource: str) -> str:
            asked.append((audience, resource))
            return id_jag(there, aud=audience, resource=resource)

        storage = Storage()
        provider = IdentityAssertionOAuthProvider(MCP_URL, storage, "client-1", SECRET, ORIGIN, assertion_for)
        transport = httpx2.ASGITransport(app=there.gatepost.app)
        async with httpx2.AsyncClient(transport=transport, base_url=ORIGIN, auth=provider) as http:
            headers = {"Accept": "application/json, text/event-stream"}
            for _ in range(2):
                answer = await http.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "ping"}, headers=headers)
                assert answer.status_code == 200
        assert asked == [(ORIGIN, MCP_URL)]
        assert storage.tokens is not None
        assert storage.tokens.scope == "notes:read"
