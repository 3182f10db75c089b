"""Who calls with a token of somebody else's, what they may, and who else is told (security.md rows 29 to 31)."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import httpx2
import pytest

from gatepost import Claims, ExternalIssuer, IntrospectedIssuer, Protected, Role, TokenInfo
from gatepost.configuration.settings import SettingsError
from tests.attacks.installed import ORIGIN, installed
from tests.attacks.tokens.external_world import ALONE, HERE, METADATA, NOW, World, notes, world
from tests.outbound.external_issuer import KEYS, Issuer


async def test_too_few_scopes_are_403_that_names_what_is_needed() -> None:
    async with world() as server:
        answer = await server.call(server.token(), "write")
        assert answer.status_code == 403
        assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
        assert 'scope="notes:write"' in answer.headers["www-authenticate"]
        for scopes in ({"scope": "notes:read notes:write"}, {"scope": ..., "scp": ["notes:write"]}):
            assert (await server.call(server.token(**scopes), "write")).status_code == 200


async def test_a_token_that_was_verified_a_moment_ago_is_not_verified_again_and_ends_when_it_ends() -> None:
    async with world() as server:
        token = server.token(exp=NOW + 2)
        await server.who(token)
        server.issuer.keys = []
        server.gatepost.clock[0] += 4
        await server.who(token)
        server.gatepost.clock[0] += 58
        await server.refused(token)


async def test_who_may_enter_is_asked_of_tokens_too() -> None:
    for rule, admitted in (
        ("ada@example.com", "ada"),
        ("issuer:https://id.example.com", "ada"),
        ("subject:bob", "bob"),
    ):
        async with world(OAUTH_ALLOWED_USERS=rule) as server:
            for subject in ("ada", "bob"):
                token = server.token(sub=subject, email=f"{subject}@example.com", email_verified=True)
                if subject == admitted or rule.startswith("issuer:"):
                    await server.who(token)
                else:
                    assert "may not enter" in await server.refused(token)


async def test_roles_limit_the_scopes_of_a_token() -> None:
    roles = {"editor": Role(scopes=["notes:write", "notes:read"]), "reader": Role(scopes=["notes:read"])}
    async with world(roles=roles) as server:
        both = "notes:read notes:write"
        assert (await server.call(server.token(scope=both, roles=["editor"]), "write")).status_code == 200
        assert (await server.call(server.token(scope=both, roles=["reader"]), "write")).status_code == 403
        assert (await server.call(server.token(scope=both))).status_code == 403


async def test_a_foreign_subject_gets_at_no_tokens_that_are_kept_for_somebody_here() -> None:
    async with world() as server:
        answer = await server.call(server.token(), "elsewhere")
        assert answer.json()["result"]["content"][0]["text"] == "nobody"


async def test_what_stands_behind_the_guard_never_sees_the_token() -> None:
    seen: list[Any] = []

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            seen.append((scope["headers"], scope["gatepost.principal"]))
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"ok"})

    issuer = Issuer()
    verifier = ExternalIssuer(issuer.url)
    target: Any = {"/reports": Protected(app, scopes={"/": ["notes:read"]})}
    async with installed(target=target, external=verifier, **ALONE) as gatepost:
        verifier.connect(issuer.surroundings(lambda: gatepost.clock[0]))
        server = World(gatepost, issuer)
        token = server.token(aud=f"{ORIGIN}/reports")
        for _ in range(2):
            answer = await gatepost.http.get("/reports", headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == 200
        wrong = await gatepost.http.get("/reports", headers={"Authorization": f"Bearer {server.token()}"})
        assert wrong.status_code == 401
        issuer.is_down, gatepost.clock[0] = True, gatepost.clock[0] + 7200
        unknown = server.token(aud=f"{ORIGIN}/reports", key=KEYS[1])
        down = await gatepost.http.get("/reports", headers={"Authorization": f"Bearer {unknown}"})
        assert (down.status_code, down.headers["retry-after"]) == (503, "5")
    assert [principal.subject for _, principal in seen] == ["ada", "ada"]
    assert not any(name == b"authorization" for headers, _ in seen for name, _ in headers)
    assert token not in repr(seen)


class Validator:
    """Somebody's own way to check opaque tokens."""

    authorization_servers = ("https://auth.example.com",)

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None]] = []
        self.answers: Any = lambda token: TokenInfo(subject="ada", scopes=("notes:read",)) if token == "good" else None

    async def validate_token(self, token: str, resource: str | None = None) -> TokenInfo | None:
        self.asked.append((token, resource))
        answer: TokenInfo | None = self.answers(token)
        return answer


class PlainValidator:
    """A plain function does as well."""

    def validate_token(self, token: str, resource: str | None = None) -> TokenInfo | None:
        return TokenInfo(subject="bob", scopes=("notes:read",), audience=resource) if token == "plain" else None


async def test_a_validator_says_who_calls_and_what_the_metadata_names() -> None:
    validator = Validator()
    async with installed(target=notes(), external=validator, **ALONE) as gatepost:
        server = World(gatepost, Issuer())
        said: Any = {"subject": "ada", "issuer": "validator:Validator", "roles": [], "email": None}
        assert [await server.who("good"), await server.who("good")] == [said, said]
        assert validator.asked == [("good", HERE)]
        await server.refused("bad")
        document = (await gatepost.http.get(METADATA)).json()
        assert document["authorization_servers"] == ["https://auth.example.com"]


async def test_a_validator_never_sees_tokens_of_others() -> None:
    validator = Validator()
    async with world(validator, PlainValidator(), OAUTH_ENABLE_AS="true") as server:
        await server.who(server.token())
        await server.refused(server.token(aud="x"))
        await server.refused(server.token(iss=ORIGIN))
        for kind in ("at", "rt", "ac"):
            await server.call(f"gp_{kind}_" + "a" * 43)
        assert validator.asked == []
        assert (await server.who("plain"))["subject"] == "validator:PlainValidator#bob"
        assert (await server.who("good"))["subject"] == "validator:Validator#ada"


@pytest.mark.parametrize(
    ("answers", "status"),
    [
        (lambda _: TokenInfo(subject="ada", scopes=("notes:read",), audience="https://other.example"), 401),
        (lambda _: TokenInfo(subject="ada", scopes=("notes:read",), audience=HERE), 200),
        (lambda _: TokenInfo(subject="ada", scopes=("notes:read",), expires_at=NOW - 60), 401),
        (lambda _: TokenInfo(subject="ada", scopes=()), 403),
        (lambda _: TokenInfo(subject=""), 503),
        (lambda _: {"subject": "ada", "scopes": ["notes:read"]}, 503),
        (lambda _: True, 503),
        (lambda _: 1 // 0, 503),
    ],
)
async def test_what_a_validator_gets_wrong_lets_nobody_in_and_logs_nobody_out(answers: Any, status: int) -> None:
    validator = Validator()
    validator.answers = answers
    async with installed(target=notes(), external=[validator], **ALONE) as gatepost:
        assert (await World(gatepost, Issuer()).call("any")).status_code == status


def asked(issuer: str) -> IntrospectedIssuer:
    return IntrospectedIssuer(issuer, client_id="notes", client_secret="hush")


async def test_an_issuer_is_asked_about_opaque_tokens_and_its_own_and_about_nobody_elses() -> None:
    forms: list[str] = []

    def answers(request: httpx2.Request) -> httpx2.Response:
        token = parse_qs(request.content.decode())["token"][0]
        forms.append(token)
        said = {"active": token in ("opaque", own), "sub": "eve", "aud": HERE, "scope": "notes:read"}
        return httpx2.Response(200, json=said)

    asking, there = asked("https://asked.example"), Issuer("https://asked.example", introspects=answers)
    there.served["/.well-known/openid-configuration"]["introspection_endpoint"] = "https://asked.example/introspect"
    validator = Validator()
    async with world(asking, validator, OAUTH_ENABLE_AS="true") as server:
        asking.connect(there.surroundings(lambda: server.gatepost.clock[0]))
        own = there.token(server.claims(iss="https://asked.example"))
        await server.who(server.token())
        await server.refused(server.token(iss=ORIGIN))
        for kind in ("at", "rt", "ac"):
            await server.call(f"gp_{kind}_" + "a" * 43)
        assert forms == []
        assert (await server.who("opaque"))["subject"] == "https://asked.example#eve"
        assert (await server.who(own))["subject"] == "https://asked.example#eve"
        await server.refused("made-up")
        assert forms == ["opaque", own, "made-up"]
        assert validator.asked == []


async def test_two_who_could_not_be_told_apart_are_refused_at_the_start() -> None:
    each: tuple[list[Any], ...] = (
        [Validator(), Validator()],
        [ExternalIssuer("https://id.example.com"), ExternalIssuer("https://id.example.com", "api")],
        [
            ExternalIssuer("https://a.example", subject_prefix=""),
            ExternalIssuer("https://b.example", subject_prefix=""),
        ],
        [ExternalIssuer(ORIGIN)],
        [asked("https://a.example"), asked("https://b.example")],
        [asked("https://a.example"), ExternalIssuer("https://a.example")],
    )
    for external in each:
        with pytest.raises(SettingsError):
            async with installed(target=notes(), external=external, **ALONE):
                pass  # pragma: no cover


async def test_claims_are_mapped_as_the_operator_says() -> None:
    claims = Claims(scopes="permissions", subject="oid", roles="resource_access.mcp.roles")
    async with world(options={"claims": claims, "audience": "api://notes"}) as server:
        token = server.token(
            aud=["api://notes", "x"],
            permissions=["notes:read"],
            scope="notes:write",
            oid="object",
            resource_access={"mcp": {"roles": ["editor"]}},
        )
        said = await server.who(token)
        assert (said["subject"], said["roles"]) == ("object", ["editor"])
        assert (await server.call(token, "write")).status_code == 403
