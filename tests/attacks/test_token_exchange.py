"""Token exchange: what is given for a token is never more than the token was, and to nobody else (RFC 8693)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest

from gatepost.oauth.limits import TOKENS_OF_CLIENT, Use
from gatepost.oauth.records import ClientOrigin
from gatepost.oauth.token_exchange import ACCESS_TOKEN_TYPE, JWT_TYPE, MOST_ACTORS, TOKEN_EXCHANGE
from gatepost.tokens.opaque import fingerprint, token_fingerprint
from tests.attacks.dpop_world import APP, TOKEN_URL, Prover
from tests.attacks.exchange_world import (
    BOTH,
    FRONT,
    MAIL,
    NOTES,
    SECRET,
    Exchanging,
    claims,
    exchanger,
    exchanging,
    told,
)
from tests.attacks.installed import ORIGIN, installed

INVALID = (400, "invalid_request")
NO_TARGET = (400, "invalid_target")
NOT_ALLOWED = (400, "unauthorized_client")
FORMATS = ["opaque", "jwt"]


async def test_it_is_off_unless_it_is_switched_on() -> None:
    async with exchanging(OAUTH_TOKEN_EXCHANGE="false") as there:
        token = (await there.begin())["access_token"]
        assert told(await there.exchange(token)) == (400, "unsupported_grant_type")
        metadata = (await there.gatepost.http.get("/.well-known/oauth-authorization-server")).json()
        assert TOKEN_EXCHANGE not in metadata["grant_types_supported"]
    async with installed() as gatepost:
        metadata = (await gatepost.http.get("/.well-known/oauth-authorization-server")).json()
        assert TOKEN_EXCHANGE not in metadata["grant_types_supported"]


@pytest.mark.parametrize("token_format", FORMATS)
async def test_a_server_gets_a_token_for_what_stands_behind_it(token_format: str) -> None:
    async with exchanging(OAUTH_ACCESS_TOKEN_FORMAT=token_format) as there:
        metadata = (await there.gatepost.http.get("/.well-known/oauth-authorization-server")).json()
        assert TOKEN_EXCHANGE in metadata["grant_types_supported"]
        token = (await there.begin())["access_token"]
        answer = await there.exchange(token, resource=NOTES, scope="notes:read", requested_token_type=ACCESS_TOKEN_TYPE)
        said = answer.json()
        given = said.pop("access_token")
        assert said == {
            "issued_token_type": ACCESS_TOKEN_TYPE,
            "token_type": "Bearer",
            "expires_in": 3600,
            "scope": "notes:read",
        }
        assert await there.opens(given) == ["/notes"]
        assert await there.call(given, "/notes", "read") == {
            "user": "user-1",
            "client": "front",
            "actors": ["front"],
            "scopes": ["notes:read"],
        }
        # The act of exchanging changes nothing about what was exchanged.
        assert await there.opens(token) == ["/mcp"]
        assert (await there.call(token, "/mcp", "read"))["actors"] == []
        [event] = await there.events()
        assert (event.subject, event.client_id, event.actor) == ("user-1", "front", "front")
        live = await there.gatepost.store.grants.find_access_token(fingerprint(token), now=there.gatepost.clock[0])
        assert live is not None
        assert event.grant_id == live.grant_id


async def test_what_is_left_out_means_all_that_can_be_had_at_the_only_endpoint() -> None:
    async with exchanging() as there:
        token = (await there.begin())["access_token"]
        answer = await there.exchange(token)
        assert answer.json()["scope"] == "notes:read notes:write"
        assert await there.opens(answer.json()["access_token"]) == ["/notes"]


@pytest.mark.parametrize("token_format", FORMATS)
async def test_introspection_and_a_signed_token_say_who_acts(token_format: str) -> None:
    async with exchanging(exchanger("other"), OAUTH_ACCESS_TOKEN_FORMAT=token_format) as there:
        given = await there.exchanged((await there.begin())["access_token"], scope="notes:read")
        said = await there.introspect(given)
        assert said == {
            "active": True,
            "scope": "notes:read",
            "client_id": "front",
            "token_type": "Bearer",
            "exp": there.gatepost.clock[0] + 3600,
            "sub": "user-1",
            "aud": NOTES,
            "iss": ORIGIN,
            "act": {"sub": "front"},
        }
        # It is told to who holds it, and to nobody else that may exchange as well.
        assert await there.introspect(given, "other") == {"active": False}
        if token_format == "jwt":
            signed = claims(given)
            assert (signed["act"], signed["aud"], signed["client_id"]) == ({"sub": "front"}, NOTES, "front")
            assert "act" not in claims((await there.begin())["access_token"])


# Who may exchange


BAD_CLIENTS: dict[str, dict[str, Any]] = {
    "that registered itself": {"origin": ClientOrigin.DYNAMIC},
    "without a secret": {"token_endpoint_auth_method": "none", "secret_fingerprint": None},
    "that is sent no tokens": {"exchange_from": ()},
    "that may reach nothing": {"exchange_to": ()},
    "that is listed and lacks the grant type": {"grant_types": ("client_credentials",)},
}


@pytest.mark.parametrize("changes", BAD_CLIENTS.values(), ids=BAD_CLIENTS.keys())
async def test_a_client_that_the_operator_has_not_listed_exchanges_nothing(changes: dict[str, Any]) -> None:
    async with exchanging(exchanger("bad", **changes)) as there:
        token = (await there.begin())["access_token"]
        secret: dict[str, Any] = {} if "secret_fingerprint" not in changes else {"client_secret": ...}
        assert told(await there.exchange(token, "bad", **secret)) == NOT_ALLOWED
        assert await there.events() == []


async def test_whoever_has_a_token_and_no_secret_exchanges_nothing() -> None:
    async with exchanging() as there:
        token = (await there.begin())["access_token"]
        for wrong in (..., "gp_cs_" + "x" * 43):
            assert told(await there.exchange(token, client_secret=wrong)) == (401, "invalid_client")
        # Nor as the app, whose token it is.
        public = await there.exchange(token, APP.client_id, client_secret=...)
        assert told(public) == NOT_ALLOWED


async def test_nobody_registers_for_it() -> None:
    async with exchanging() as there:
        wanted = {"redirect_uris": ["https://app.example/cb"], "grant_types": [TOKEN_EXCHANGE, "authorization_code"]}
        answer = await there.gatepost.http.post("/oauth/register", json=wanted)
        assert answer.status_code == 400 or TOKEN_EXCHANGE not in answer.json()["grant_types"]


# Which tokens


async def test_a_token_that_was_for_somebody_else_is_of_no_use() -> None:
    """The confused deputy: a server that got hold of a token for another one."""
    async with exchanging(exchanger("mailer", exchange_from=("/mail",), exchange_to=("/notes", "/mail"))) as there:
        token = (await there.begin())["access_token"]
        assert told(await there.exchange(token, "mailer", resource=NOTES)) == INVALID
        # Nor where it may reach what the token is for.
        behind = (await there.begin(resource=NOTES))["access_token"]
        assert told(await there.exchange(behind, "mailer", resource=NOTES)) == INVALID
        assert told(await there.exchange(behind, resource=NOTES)) == INVALID
        refused = await there.events("refused")
        assert [(event.client_id, event.reason) for event in refused] == [
            ("front", "subject_token_of_another_resource"),
            *[("mailer", "subject_token_of_another_resource")] * 2,
        ]


@pytest.mark.parametrize("token_format", FORMATS)
async def test_what_does_not_count_any_more_is_exchanged_for_nothing(token_format: str) -> None:
    async with exchanging(OAUTH_ACCESS_TOKEN_FORMAT=token_format) as there:
        store, clock = there.gatepost.store, there.gatepost.clock
        token = (await there.begin())["access_token"]
        live = await store.grants.find_access_token(fingerprint(token), now=clock[0])
        assert live is not None
        await store.grants.revoke_grant(live.grant_id, reason="asked", now=clock[0])
        assert told(await there.exchange(token)) == INVALID

        over = (await there.begin())["access_token"]
        clock[0] += 3600
        assert told(await there.exchange(over)) == INVALID

        other = (await there.begin())["access_token"]
        await store.users.disable_user("user-1", now=clock[0])
        assert told(await there.exchange(other)) == INVALID


SUBSTITUTES: dict[str, str] = {
    "a refresh token": "refresh_token",
    "an API key": "gp_ak_" + "a" * 43,
    "a made-up token": "gp_at_" + "a" * 43,
    "nothing of ours": "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ1c2VyLTEifQ.",
    "a secret": SECRET,
}


@pytest.mark.parametrize("substitute", SUBSTITUTES.values(), ids=SUBSTITUTES.keys())
@pytest.mark.parametrize("token_format", FORMATS)
async def test_nothing_else_passes_for_an_access_token(token_format: str, substitute: str) -> None:
    async with exchanging(OAUTH_ACCESS_TOKEN_FORMAT=token_format) as there:
        tokens = await there.begin()
        for token_type in (ACCESS_TOKEN_TYPE, JWT_TYPE):
            sent = tokens.get(substitute, substitute)
            assert told(await there.exchange(sent, subject_token_type=token_type)) == INVALID
            own = tokens["access_token"]
            as_actor = await there.exchange(own, actor_token=sent, actor_token_type=token_type)
            assert told(as_actor) == INVALID


async def test_a_signed_token_with_a_key_that_is_gone_is_exchanged_for_nothing() -> None:
    async with exchanging(OAUTH_ACCESS_TOKEN_FORMAT="jwt") as there:
        token = (await there.begin())["access_token"]
        head, body, signature = token.split(".")
        forged = f"{head}.{body}.{signature[:-4]}AAAA"
        live = await there.gatepost.store.grants.find_access_token(fingerprint(token), now=there.gatepost.clock[0])
        assert live is not None
        assert told(await there.exchange(forged)) == INVALID
        # A row alone makes no token: the signature has to be of a key that still counts.
        [key] = await there.gatepost.store.keys.signing_keys(now=there.gatepost.clock[0])
        await there.gatepost.store.keys.retire_signing_key(key.key_id, now=there.gatepost.clock[0], even_last=True)
        there.gatepost.clock[0] += 120
        assert told(await there.exchange(token)) == INVALID


async def test_a_signed_token_may_be_called_a_jwt() -> None:
    async with exchanging(OAUTH_ACCESS_TOKEN_FORMAT="jwt") as there:
        token = (await there.begin())["access_token"]
        assert await there.opens(await there.exchanged(token, subject_token_type=JWT_TYPE)) == ["/notes"]


BAD_TYPES: dict[str, dict[str, Any]] = {
    "no type": {"subject_token_type": ...},
    "a refresh token's": {"subject_token_type": "urn:ietf:params:oauth:token-type:refresh_token"},
    "an identity token's": {"subject_token_type": "urn:ietf:params:oauth:token-type:id_token"},
    "an actor's without its token": {"actor_token_type": ACCESS_TOKEN_TYPE},
    "a refresh token that is asked for": {"requested_token_type": "urn:ietf:params:oauth:token-type:refresh_token"},
    "a JWT that is asked for": {"requested_token_type": JWT_TYPE},
    "an opaque token that is called a JWT": {"subject_token_type": JWT_TYPE},
}


@pytest.mark.parametrize("changes", BAD_TYPES.values(), ids=BAD_TYPES.keys())
async def test_types_that_are_wrong_or_not_there_are_refused(changes: dict[str, Any]) -> None:
    async with exchanging() as there:
        token = (await there.begin())["access_token"]
        assert told(await there.exchange(token, **changes)) == INVALID


async def test_a_subject_and_what_an_actor_is_are_not_left_out() -> None:
    async with exchanging() as there:
        token, own = (await there.begin())["access_token"], await there.own_token()
        assert told(await there.exchange(token, actor_token=own)) == INVALID
        form = {"grant_type": TOKEN_EXCHANGE, "client_id": "front", "client_secret": SECRET}
        assert told(await there.gatepost.token(**form, subject_token_type=ACCESS_TOKEN_TYPE)) == INVALID
        assert told(await there.gatepost.token(**form, subject_token="", subject_token_type="")) == INVALID


@pytest.mark.parametrize(
    ("name", "other", "refused"),
    [("resource", MAIL, NO_TARGET), ("audience", MAIL, INVALID), ("subject_token", "gp_at_other", INVALID)],
)
async def test_a_parameter_that_is_sent_twice_is_refused(name: str, other: str, refused: tuple[int, str]) -> None:
    wide = exchanger("wide", exchange_to=("/notes", "/mail"))
    async with exchanging(wide) as there:
        form = {
            "grant_type": TOKEN_EXCHANGE,
            "client_id": "wide",
            "client_secret": SECRET,
            "subject_token": (await there.begin())["access_token"],
            "subject_token_type": ACCESS_TOKEN_TYPE,
            "resource": NOTES,
            "audience": NOTES,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        for twice, answered in (((), None), (((name, other),), refused)):
            body = urlencode([*form.items(), *twice])
            answer = await there.gatepost.http.post("/oauth/token", content=body, headers=headers)
            assert told(answer) == (answered or (200, None))


# For what


TARGETS: dict[str, tuple[dict[str, Any], tuple[int, str]]] = {
    "one that it may not reach": ({"resource": MAIL}, NO_TARGET),
    "the one that it stands at": ({"resource": FRONT}, NO_TARGET),
    "none of this server": ({"resource": "https://evil.example/notes"}, NO_TARGET),
    "one with a fragment": ({"resource": f"{NOTES}#x"}, NO_TARGET),
    "one with a query": ({"resource": f"{NOTES}?x=1"}, NO_TARGET),
    "an audience that is none": ({"audience": "notes"}, NO_TARGET),
    "two": ({"resource": NOTES, "audience": FRONT}, NO_TARGET),
}


@pytest.mark.parametrize(("changes", "refused"), TARGETS.values(), ids=TARGETS.keys())
async def test_a_token_is_for_one_endpoint_that_the_client_may_reach(
    changes: dict[str, Any], refused: tuple[int, str]
) -> None:
    async with exchanging() as there:
        token = (await there.begin())["access_token"]
        assert told(await there.exchange(token, **changes)) == refused
        for fine in ({"audience": NOTES}, {"resource": NOTES, "audience": NOTES}, {"resource": f"{NOTES}/"}):
            assert await there.opens(await there.exchanged(token, **fine)) == ["/notes"]


async def test_who_may_reach_several_says_which() -> None:
    async with exchanging(exchanger("wide", exchange_to=("/notes", "/mail"))) as there:
        token = (await there.begin())["access_token"]
        assert told(await there.exchange(token, "wide")) == NO_TARGET
        assert await there.opens(await there.exchanged(token, "wide", resource=MAIL)) == ["/mail"]


@pytest.mark.parametrize("scope", ["notes:write", "notes:read notes:write", "mail:send"])
async def test_no_scope_comes_of_an_exchange_that_the_token_lacked(scope: str) -> None:
    async with exchanging(exchanger("wide", exchange_to=("/mail",))) as there:
        token = (await there.begin(scopes=("notes:read",)))["access_token"]
        assert told(await there.exchange(token, "wide", scope=scope)) == (400, "invalid_scope")
        answer = await there.exchange(token, "wide")
        assert answer.json()["scope"] == "notes:read"
        # Not by exchanging again, either, nor after the person has allowed more elsewhere.
        await there.begin(scopes=BOTH)
        assert (await there.exchange(token, "wide")).json()["scope"] == "notes:read"


async def test_the_scopes_of_a_client_are_the_most_that_it_gets() -> None:
    async with exchanging(exchanger("narrow", scope="notes:read")) as there:
        token = (await there.begin())["access_token"]
        assert (await there.exchange(token, "narrow")).json()["scope"] == "notes:read"
        assert told(await there.exchange(token, "narrow", scope="notes:write")) == (400, "invalid_scope")
        without = (await there.begin(scopes=("notes:write",)))["access_token"]
        assert told(await there.exchange(without, "narrow")) == (400, "invalid_scope")


# For how long


async def test_it_ends_with_the_token_that_it_was_given_for() -> None:
    async with exchanging() as there:
        token = (await there.begin())["access_token"]
        there.gatepost.clock[0] += 3000
        answer = await there.exchange(token)
        assert answer.json()["expires_in"] == 600
        assert "refresh_token" not in answer.json()
        given = answer.json()["access_token"]
        there.gatepost.clock[0] += 600
        assert await there.opens(given) == []


async def end_by_app(there: Exchanging, tokens: dict[str, Any]) -> None:
    form = {"client_id": APP.client_id, "token": tokens["refresh_token"]}
    assert (await there.gatepost.http.post("/oauth/revoke", data=form)).status_code == 200


async def end_by_reuse(there: Exchanging, tokens: dict[str, Any]) -> None:
    form = {"grant_type": "refresh_token", "client_id": APP.client_id, "refresh_token": tokens["refresh_token"]}
    assert (await there.gatepost.token(**form)).status_code == 200
    there.gatepost.clock[0] += 600
    assert told(await there.gatepost.token(**form)) == (400, "invalid_grant")


async def end_of_person(there: Exchanging, _: dict[str, Any]) -> None:
    await there.gatepost.store.users.disable_user("user-1", now=there.gatepost.clock[0])


async def end_of_app(there: Exchanging, _: dict[str, Any]) -> None:
    await there.gatepost.store.clients.disable_client(APP.client_id, now=there.gatepost.clock[0])


async def end_of_exchanger(there: Exchanging, _: dict[str, Any]) -> None:
    await there.gatepost.store.clients.disable_client("front", now=there.gatepost.clock[0])
    await there.gatepost.store.clients.enable_client("front")


async def end_of_all(there: Exchanging, _: dict[str, Any]) -> None:
    await there.gatepost.store.approvals.revoke_all(issued_before=None, reason="asked", now=there.gatepost.clock[0])


ENDS = [end_by_app, end_by_reuse, end_of_person, end_of_app, end_of_exchanger, end_of_all]


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("token_format", FORMATS)
async def test_whatever_ends_the_grant_or_its_holder_ends_what_was_given(token_format: str, end: Any) -> None:
    options = {"OAUTH_REFRESH_REUSE": "0", "OAUTH_ACCESS_TOKEN_FORMAT": token_format}
    async with exchanging(**options) as there:
        tokens = await there.begin()
        given = await there.exchanged(tokens["access_token"])
        assert await there.opens(given) == ["/notes"]
        await end(there, tokens)
        there.gatepost.clock[0] += 6  # for so long a verification counts
        assert await there.opens(given) == []
        assert await there.introspect(given) in ({"active": False}, {"error": "invalid_client"}) or end is end_of_person
        assert told(await there.exchange(given)) in {INVALID, (401, "invalid_client")}


async def test_its_holder_ends_it_alone_and_nobody_else_does() -> None:
    async with exchanging(exchanger("other")) as there:
        token = (await there.begin())["access_token"]
        given = await there.exchanged(token)
        assert await there.opens(given) == ["/notes"]
        for by, secret in (("other", SECRET), (APP.client_id, None)):
            form = {"client_id": by, "token": given, **({} if secret is None else {"client_secret": secret})}
            assert told(await there.gatepost.http.post("/oauth/revoke", data=form)) == (400, "invalid_grant")
        assert await there.opens(given) == ["/notes"]
        form = {"client_id": "front", "client_secret": SECRET, "token": given}
        for _ in range(2):
            assert (await there.gatepost.http.post("/oauth/revoke", data=form)).status_code == 200
        assert await there.opens(given) == []
        # What the person allowed goes on.
        assert await there.opens(token) == ["/mcp"]
        # And who was sent the person's token cannot end that.
        of_app = {**form, "token": token}
        assert told(await there.gatepost.http.post("/oauth/revoke", data=of_app)) == (400, "invalid_grant")


# Who acts


def chain(length: int) -> list[Any]:
    """Clients that hand a token on, each from where the one before reached to, in circles."""
    paths = ("/mcp", "/notes", "/mail")
    return [
        exchanger(f"hop-{n}", exchange_from=(paths[n % 3],), exchange_to=(paths[(n + 1) % 3],)) for n in range(length)
    ]


async def test_a_chain_says_who_acted_before_and_ends() -> None:
    async with exchanging(*chain(MOST_ACTORS + 1)) as there:
        token = (await there.begin(scopes=("notes:read",)))["access_token"]
        for number in range(MOST_ACTORS):
            token = await there.exchanged(token, f"hop-{number}")
        said = await there.introspect(token, "hop-2")
        assert said["act"] == {"sub": "hop-2", "act": {"sub": "hop-1", "act": {"sub": "hop-0"}}}
        assert (await there.call(token, "/mcp", "read"))["actors"] == ["hop-2", "hop-1", "hop-0"]
        answer = await there.exchange(token, f"hop-{MOST_ACTORS}")
        assert told(answer) == INVALID
        # However deep it is, it is of the same grant and ends with it.
        live = await there.gatepost.store.grants.find_access_token(fingerprint(token), now=there.gatepost.clock[0])
        assert live is not None
        assert live.subject == "user-1"
        await there.gatepost.store.grants.revoke_grant(live.grant_id, reason="asked", now=there.gatepost.clock[0])
        there.gatepost.clock[0] += 6
        assert await there.opens(token) == []


async def test_what_was_given_is_of_no_use_to_a_server_that_it_was_not_given_for() -> None:
    """Replay: the endpoint behind sends the token that it was sent back to where it came from, or on."""
    async with exchanging(exchanger("mailer", exchange_from=("/mail",), exchange_to=("/mcp",))) as there:
        given = await there.exchanged((await there.begin())["access_token"])
        assert (await there.ask(given, "/mcp")).status_code == 401
        assert (await there.ask(given, "/mail")).status_code == 401
        for by in ("front", "mailer"):
            assert told(await there.exchange(given, by)) == INVALID


async def test_an_actor_is_who_the_client_was_given_a_token_for() -> None:
    async with exchanging(exchanger("agent"), exchanger("other")) as there:
        token = (await there.begin())["access_token"]
        actor = await there.own_token("agent")
        given = await there.exchanged(token, "agent", actor_token=actor, actor_token_type=ACCESS_TOKEN_TYPE)
        assert (await there.introspect(given, "agent"))["act"] == {"sub": "agent"}

        # A token of somebody else, or of another client, makes nobody an actor.
        of_other = await there.own_token("other")
        of_person = (await there.begin(subject="user-2"))["access_token"]
        acted_for = await there.exchanged(token, "agent")
        for wrong in (of_other, of_person, acted_for):
            answer = await there.exchange(token, "agent", actor_token=wrong, actor_token_type=ACCESS_TOKEN_TYPE)
            assert told(answer) == INVALID
            assert answer.json()["error_description"].startswith("actor_token")
        # Nor does one that ended.
        there.gatepost.clock[0] += 1800
        later = (await there.begin())["access_token"]
        there.gatepost.clock[0] += 1800
        ended = await there.exchange(later, "agent", actor_token=actor, actor_token_type=ACCESS_TOKEN_TYPE)
        assert told(ended) == INVALID


async def test_a_program_acts_for_itself_through_a_server_as_people_do() -> None:
    job = exchanger("job", grant_types=("client_credentials",), exchange_from=(), exchange_to=())
    async with exchanging(job) as there:
        token = await there.own_token("job", resource=FRONT)
        given = await there.exchanged(token, scope="notes:read")
        said = await there.call(given, "/notes", "read")
        assert (said["user"], said["client"], said["actors"]) == ("job", "front", ["front"])


# Keys


async def test_a_bound_token_is_exchanged_for_a_bound_one_alone() -> None:
    async with exchanging(exchanger("other")) as there:
        app, server = Prover(there.gatepost), Prover(there.gatepost)
        token = (await app.begin(scopes=BOTH))["access_token"]
        assert told(await there.exchange(token)) == (400, "invalid_dpop_proof")
        form = {
            "grant_type": TOKEN_EXCHANGE,
            "client_id": "front",
            "client_secret": SECRET,
            "subject_token": token,
            "subject_token_type": ACCESS_TOKEN_TYPE,
        }
        answer = await server.ask(**form)
        assert (answer.status_code, answer.json()["token_type"]) == (200, "DPoP"), answer.text
        given = answer.json()["access_token"]
        assert (await there.ask(given, "/notes")).status_code == 401
        live = await there.gatepost.store.grants.find_access_token(
            token_fingerprint(given, is_bound=True), now=there.gatepost.clock[0]
        )
        assert live is not None
        assert live.dpop_jkt == server.thumbprint
        # It is told of and given back by itself, as any other.
        assert (await there.introspect(given))["cnf"] == {"jkt": server.thumbprint}
        back = {"client_id": "front", "client_secret": SECRET, "token": given}
        assert (await there.gatepost.http.post("/oauth/revoke", data=back)).status_code == 200
        assert await there.introspect(given) == {"active": False}
        # A proof that was sent before makes nothing of it either.
        proof = server.proof(TOKEN_URL)
        assert (await server.ask(proof=proof, **form)).status_code == 200
        assert told(await server.ask(proof=proof, **form)) == (400, "invalid_dpop_proof")


async def test_a_client_binds_what_it_holds_itself_to_no_other_key() -> None:
    own = exchanger("own", exchange_from=("/mcp", "/notes"), exchange_to=("/notes", "/mail"))
    async with exchanging(own) as there:
        first, second = Prover(there.gatepost), Prover(there.gatepost)
        token = (await there.begin())["access_token"]
        form = {"grant_type": TOKEN_EXCHANGE, "client_id": "own", "client_secret": SECRET}
        form |= {"subject_token_type": ACCESS_TOKEN_TYPE, "resource": NOTES}
        bound = (await first.ask(subject_token=token, **form)).json()["access_token"]
        assert told(await second.ask(subject_token=bound, **form)) == (400, "invalid_grant")
        assert told(await there.exchange(bound, "own", resource=NOTES)) == (400, "invalid_dpop_proof")
        assert (await first.ask(subject_token=bound, **form)).status_code == 200


async def test_each_client_has_its_limit() -> None:
    async with exchanging(exchanger("other")) as there:
        token = (await there.begin())["access_token"]
        spent = Use("token:client:front", TOKENS_OF_CLIENT, TOKENS_OF_CLIENT.uses)
        assert await there.gatepost.store.limits.take([spent], now=there.gatepost.clock[0]) == 0
        assert (await there.exchange(token)).status_code == 429
        # The holder is counted, and not the app whose person's token it is, nor anybody else.
        assert (await there.exchange(token, "other")).status_code == 200
