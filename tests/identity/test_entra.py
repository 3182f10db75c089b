"""Logins at Microsoft Entra, against a stand-in with its shapes, which refuses every wrong parameter."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from starlette.responses import JSONResponse

from gatepost.identity.entra import Entra
from tests.identity.entra_stand_in import ADA, CONSUMERS, HOST, OTHER_TENANT, TENANT, EntraStandIn
from tests.identity.openid_issuer import query_of
from tests.identity.stand_ins import CLIENT_ID, KEYS, SECRET, elsewhere
from tests.web.pages.pages_world import heading

GROUPS = ["0c2f4e2e-0000-4000-8000-00000000000a", "0c2f4e2e-0000-4000-8000-00000000000b"]


def of(tenant: str, **options: Any) -> Entra:
    return Entra(tenant, CLIENT_ID, SECRET, **options)


def at(tenant: str) -> Any:
    return partial(EntraStandIn, tenant=tenant)


async def test_people_of_one_tenant_are_their_object_id() -> None:
    async with elsewhere(of(TENANT), EntraStandIn) as (world, entra):
        entra.claims["groups"] = GROUPS
        user = await world.person(entra)

    assert (user.issuer, user.external_subject, user.name) == (f"{HOST}/{TENANT}/v2.0", ADA, "Ada Lovelace")
    assert user.profile.groups == tuple(GROUPS)
    assert (user.profile.email, user.profile.email_verified) == (None, False)
    assert user.profile.claims == {
        "name": "Ada Lovelace",
        "oid": ADA,
        "preferred_username": "ada@example.com",
        "sub": entra.claims["sub"],
        "tid": TENANT,
        "ver": "2.0",
        "groups": GROUPS,
    }


async def test_another_registration_of_the_server_finds_the_same_people() -> None:
    async with elsewhere(of(TENANT), EntraStandIn) as (world, entra):
        first = await world.person(entra)
        entra.claims["sub"] = "what the next registration sees"
        assert (await world.person(entra)).subject == first.subject


@pytest.mark.parametrize(
    ("claims", "verified"),
    [
        ({}, False),
        ({"xms_edov": True}, True),
        ({"xms_edov": 1}, True),
        ({"xms_edov": "1"}, True),
        ({"xms_edov": "true"}, True),
        ({"xms_edov": False}, False),
        ({"xms_edov": "0"}, False),
        ({"xms_edov": ["1"]}, False),
        ({"email_verified": True}, False),
        ({"email": None, "xms_edov": True}, False),
    ],
    ids=str,
)
async def test_an_address_counts_when_its_domain_is_verified(claims: dict[str, Any], verified: bool) -> None:
    async with elsewhere(of(TENANT), EntraStandIn) as (world, entra):
        entra.claims |= {"email": "ada@example.com", **claims}
        assert (await world.person(entra)).profile.email_verified is verified


async def test_an_address_that_another_tenant_made_up_lets_nobody_in() -> None:
    async with elsewhere(of("common"), at("common"), allowed=["ada@example.com"]) as (world, entra):
        entra.at(OTHER_TENANT, email="ada@example.com", email_verified=True, upn="ada@example.com")
        came_back, user = await world.log_in(entra)
    assert (came_back.status_code, user) == (403, None)


@pytest.mark.parametrize("tenant", ["common", "organizations"])
async def test_of_many_tenants_people_and_groups_stand_behind_the_tenant(tenant: str) -> None:
    async with elsewhere(of(tenant), at(tenant)) as (world, entra):
        entra.claims["groups"] = ["staff"]
        first = await world.person(entra)
        entra.at(OTHER_TENANT, groups=["staff"])
        second = await world.person(entra)

    assert (first.issuer, first.external_subject) == (f"{HOST}/{tenant}/v2.0", f"{TENANT}/{ADA}")
    assert (second.issuer, second.external_subject) == (f"{HOST}/{tenant}/v2.0", f"{OTHER_TENANT}/{ADA}")
    assert (first.profile.groups, second.profile.groups) == ((f"{TENANT}/staff",), (f"{OTHER_TENANT}/staff",))


@pytest.mark.parametrize(("tenant", "may"), [("common", True), ("organizations", False), ("consumers", True)])
async def test_accounts_of_microsoft_s_own_are_let_in_where_they_are_meant(tenant: str, may: bool) -> None:
    there = CONSUMERS if tenant == "consumers" else tenant
    async with elsewhere(of(tenant), at(there)) as (world, entra):
        entra.at(CONSUMERS)
        assert ((await world.log_in(entra))[1] is not None) is may


@pytest.mark.parametrize("tenant", [TENANT, "common", "organizations"])
@pytest.mark.parametrize(
    "claims",
    [
        {"tid": OTHER_TENANT},
        {"tid": None},
        {"tid": [TENANT]},
        {"tid": "{tenantid}", "iss": f"{HOST}/{{tenantid}}/v2.0"},
        {"tid": "common", "iss": f"{HOST}/common/v2.0"},
        {"tid": "organizations", "iss": f"{HOST}/organizations/v2.0"},
        {"tid": f"{TENANT}/v2.0/..", "iss": f"{HOST}/{TENANT}/v2.0/../v2.0"},
        {"tid": TENANT.upper(), "iss": f"{HOST}/{TENANT.upper()}/v2.0"},
        {"iss": f"{HOST}/{OTHER_TENANT}/v2.0"},
        {"iss": f"{HOST}/{{tenantid}}/v2.0"},
        {"iss": f"https://sts.windows.net/{TENANT}/"},
        {"iss": f"https://login.evil.example/{TENANT}/v2.0"},
        {"oid": None},
        {"oid": "ada@example.com"},
        {"aud": "another"},
        {"nonce": "another"},
    ],
    ids=str,
)
async def test_an_id_token_of_no_tenant_or_a_mixed_one_logs_nobody_in(tenant: str, claims: dict[str, Any]) -> None:
    async with elsewhere(of(tenant), at(tenant)) as (world, entra):
        entra.claims |= claims
        came_back, user = await world.log_in(entra)
    assert (came_back.status_code, heading(came_back), user) == (503, "You cannot be logged in just now", None)


async def test_the_tenant_that_is_set_lets_nobody_of_another_in() -> None:
    async with elsewhere(of(TENANT), EntraStandIn) as (world, entra):
        entra.at(OTHER_TENANT)
        assert (await world.log_in(entra))[1] is None


@pytest.mark.parametrize(
    ("issuer", "counts"),
    [
        (f"{HOST}/{{tenantid}}/v2.0", True),
        (f"{HOST}/{TENANT}/v2.0", True),
        (f"{HOST}/{CONSUMERS}/v2.0", False),
        (f"{HOST}/{OTHER_TENANT}/v2.0", False),
    ],
)
async def test_a_key_signs_for_the_tenants_that_are_written_beside_it(issuer: str, counts: bool) -> None:
    async with elsewhere(of("common"), at("common")) as (world, entra):
        entra.key_issuers["one"] = issuer
        came_back, user = await world.log_in(entra)
    assert (user is not None, came_back.status_code) == (counts, 303 if counts else 503)


async def test_a_key_may_be_listed_for_several_tenants_one_by_one() -> None:
    async with elsewhere(of("common"), at("common")) as (world, entra):
        one = entra.stated(KEYS[0])
        issuers = [f"{HOST}/{tenant}/v2.0" for tenant in (TENANT, OTHER_TENANT)]
        listed = {"keys": [{**one, "issuer": issuer} for issuer in issuers]}
        entra.instead["/common/discovery/v2.0/keys"] = JSONResponse(listed)
        for tenant, counts in ((TENANT, True), (OTHER_TENANT, True), (CONSUMERS, False)):
            entra.at(tenant)
            assert ((await world.log_in(entra))[1] is not None) is counts


async def test_keys_that_are_replaced_are_fetched_again_at_once() -> None:
    async with elsewhere(of(TENANT), EntraStandIn) as (world, entra):
        await world.person(entra)
        entra.published, entra.key = KEYS[1:], KEYS[2]
        await world.person(entra)
        assert sum(path.endswith("/keys") for path in entra.asked) == 2


async def test_more_groups_than_a_token_holds_are_none_and_the_log_says_so(caplog: pytest.LogCaptureFixture) -> None:
    source = {"src1": {"endpoint": f"https://graph.microsoft.com/v1.0/users/{ADA}/getMemberObjects"}}
    async with elsewhere(of(TENANT), EntraStandIn, allowed=["group:staff", f"subject:{ADA}"]) as (world, entra):
        entra.claims |= {"_claim_names": {"groups": "src1"}, "_claim_sources": source}
        user = await world.person(entra)
        assert user.profile.groups == ()
        assert not user.profile.claims.keys() & {"_claim_names", "_claim_sources"}
    assert "login provider entra: somebody is in more groups than an ID token holds" in caplog.text


async def test_a_refresh_token_takes_a_scope_and_no_further_consent() -> None:
    stand_in = partial(EntraStandIn, scope="openid profile email offline_access")
    async with elsewhere(of(TENANT, keep_tokens=True), stand_in) as (world, entra):
        there = query_of((await world.go())[1])
        await world.person(entra)
    assert "prompt" not in there


async def test_the_scope_that_says_who_it_is_cannot_be_left_out() -> None:
    async with elsewhere(of(TENANT, scopes=["email"]), EntraStandIn) as (world, entra):
        assert (await world.person(entra)).external_subject == ADA


async def test_who_wants_another_account_chooses_there() -> None:
    async with elsewhere(of("common"), at("common")) as (world, entra):
        assert query_of((await world.go("/oauth/login?switch=1"))[1])["prompt"] == "select_account"
        assert (await world.log_in(entra, "/oauth/login?switch=1"))[1] is not None


async def test_a_code_that_is_over_is_no_fault() -> None:
    async with elsewhere(of(TENANT), EntraStandIn) as (world, entra):
        came_back, user = await world.log_in(entra, code="4/0&9")
    assert (came_back.status_code, user) == (403, None)
    assert "took too long" in came_back.text
    assert "AADSTS" not in came_back.text


@pytest.mark.parametrize(
    ("tenant", "named", "status"),
    [
        (TENANT, f"{HOST}/{TENANT}/v2.0", 303),
        (TENANT, f"{HOST}/{OTHER_TENANT}/v2.0", 403),
        ("common", f"{HOST}/{OTHER_TENANT}/v2.0", 303),
        ("common", f"{HOST}/common/v2.0", 403),
        ("organizations", f"{HOST}/{CONSUMERS}/v2.0", 403),
        ("common", f"https://login.evil.example/{TENANT}/v2.0", 403),
    ],
)
async def test_an_issuer_that_an_answer_names_is_one_of_its_own(tenant: str, named: str, status: int) -> None:
    async with elsewhere(of(tenant), at(tenant)) as (world, entra):
        assert (await world.log_in(entra, iss=named))[0].status_code == status


async def test_metadata_of_one_tenant_is_not_that_of_all(caplog: pytest.LogCaptureFixture) -> None:
    for stated, tenant in ((f"{HOST}/{TENANT}/v2.0", "common"), (f"{HOST}/{{tenantid}}/v2.0", TENANT)):
        async with elsewhere(of(tenant), at(tenant)) as (world, entra):
            entra.metadata["issuer"] = stated
            assert (await world.world.browser().get("/oauth/login")).status_code == 503
    assert caplog.text.count("its metadata is of another issuer") == 2


@pytest.mark.parametrize(
    "tenant", ["", "contoso.onmicrosoft.com", "Common", TENANT.upper(), f"{TENANT}\n", "{tenantid}"]
)
def test_what_names_no_tenant_is_refused(tenant: str) -> None:
    with pytest.raises(ValueError, match=r"^The tenant is the tenant's id"):
        of(tenant)


def test_another_cloud_has_a_host_of_its_own() -> None:
    assert of(TENANT, host="login.microsoftonline.us").issuer == f"https://login.microsoftonline.us/{TENANT}/v2.0"
    for host in ("", "https://x.example", "x.example/y", "x.example?y", "a b"):
        with pytest.raises(ValueError, match=r"^The host is a host name"):
            of(TENANT, host=host)
