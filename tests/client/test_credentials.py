"""Where the token of a call comes from: kept, refreshed, or a login; and what never happens on the way."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from gatepost.client.credentials import GivenToken
from gatepost.client.kept_tokens import TokensOfServer
from gatepost.client.protection import Challenge
from gatepost.client.refusals import CallRefused, ServerAway
from tests.client.issuer_for_clients import ISSUER, URL, IssuerForClients, PersonAtTheTerminal

NOTHING = Challenge()


@pytest.fixture
def issuer() -> IssuerForClients:
    return IssuerForClients()


@pytest.fixture
def person(issuer: IssuerForClients, tmp_path: Path) -> PersonAtTheTerminal:
    return PersonAtTheTerminal(issuer, tmp_path)


def asked_for(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))


async def log_in(person: PersonAtTheTerminal, **ways: Any) -> str:
    return await person.credentials(**ways).renewed(None, NOTHING)


async def test_a_login_registers_asks_and_keeps_what_it_gets(
    issuer: IssuerForClients, person: PersonAtTheTerminal
) -> None:
    assert await person.credentials().token() is None
    assert await log_in(person) == "access-2"
    (client,) = issuer.registered
    (opened,) = person.opened
    asked = asked_for(opened)
    assert (asked["scope"], asked["resource"], asked["client_id"]) == ("a", URL, "client-0")
    assert client["redirect_uris"] == [asked["redirect_uri"]]
    assert asked["redirect_uri"].startswith("http://127.0.0.1:")
    kept = person.files.read(URL)
    assert kept is not None
    assert (kept.issuer, kept.resource, kept.access_token, kept.refresh_token, kept.scopes) == (
        ISSUER,
        URL,
        "access-2",
        "refresh-2",
        ("a",),
    )
    assert await person.credentials().token() == "access-2"


async def test_a_token_that_has_ended_is_refreshed_before_it_is_shown(
    issuer: IssuerForClients, person: PersonAtTheTerminal
) -> None:
    await log_in(person)
    person.now += 51  # ten seconds before its end
    assert await person.credentials().token() == "access-3"
    assert (len(person.opened), issuer.forms[-1]["grant_type"]) == (1, "refresh_token")
    assert issuer.forms[-1]["resource"] == URL


async def test_a_refusal_is_answered_by_a_refresh_and_only_then_by_a_login(person: PersonAtTheTerminal) -> None:
    await log_in(person)
    credentials = person.credentials()
    assert await credentials.renewed("access-2", NOTHING) == "access-3"
    assert len(person.opened) == 1
    assert await credentials.renewed("access-3", NOTHING) == "access-5"
    assert len(person.opened) == 2
    with pytest.raises(CallRefused, match=f"refuses the token that {ISSUER} has just given: it says no more"):
        await credentials.renewed("access-5", NOTHING)
    assert len(person.opened) == 2


@pytest.mark.parametrize(
    "refusal", [(503, {}), (502, {"error": "bad"}), (400, {"error": "temporarily_unavailable"}), (500, ["no"])]
)
async def test_an_outage_at_a_refresh_opens_no_browser_and_loses_nothing(
    issuer: IssuerForClients, person: PersonAtTheTerminal, refusal: tuple[int, Any]
) -> None:
    await log_in(person)
    before = person.files.read(URL)
    issuer.refusals = [refusal]
    with pytest.raises(ServerAway, match="Nothing is lost"):
        await person.credentials().renewed("access-2", NOTHING)
    assert (len(person.opened), person.files.read(URL)) == (1, before)
    assert await person.credentials().renewed("access-2", NOTHING) == "access-3"


async def test_an_outage_at_discovery_opens_no_browser(issuer: IssuerForClients, person: PersonAtTheTerminal) -> None:
    issuer.is_down = True
    with pytest.raises(ServerAway):
        await log_in(person)
    assert person.opened == []


async def test_a_refresh_token_that_is_spent_leads_to_a_login_as_the_same_client(
    issuer: IssuerForClients, person: PersonAtTheTerminal
) -> None:
    await log_in(person)
    issuer.refreshable.clear()
    assert await person.credentials().renewed("access-2", NOTHING) == "access-4"
    assert (len(person.opened), len(issuer.registered)) == (2, 1)


async def test_a_registration_that_the_server_forgot_is_made_anew(
    issuer: IssuerForClients, person: PersonAtTheTerminal
) -> None:
    await log_in(person)
    issuer.refusals = [(401, {"error": "invalid_client"})]
    await person.credentials().renewed("access-2", NOTHING)
    assert [asked_for(url)["client_id"] for url in person.opened] == ["client-0", "client-1"]


async def test_of_two_that_renew_at_once_one_asks_and_both_have_the_new_token(
    issuer: IssuerForClients, person: PersonAtTheTerminal
) -> None:
    await log_in(person)
    issuer.forms.clear()
    renewals = [person.credentials().renewed("access-2", NOTHING) for _ in range(2)]
    assert await asyncio.gather(*renewals) == ["access-3", "access-3"]
    assert [form["refresh_token"] for form in issuer.forms] == ["refresh-2"]


async def test_what_is_kept_of_one_issuer_is_never_shown_to_another(
    issuer: IssuerForClients, person: PersonAtTheTerminal
) -> None:
    await log_in(person)
    kept = person.files.read(URL)
    assert kept is not None
    other = IssuerForClients(issuer="https://evil.example")
    stranger = PersonAtTheTerminal(other, person.files.folder.parent)
    stranger.files = person.files
    await stranger.credentials().renewed("access-2", NOTHING)
    assert [form["grant_type"] for form in other.forms] == ["authorization_code"]
    assert asked_for(stranger.opened[0])["client_id"] == "client-0"
    assert other.registered != issuer.registered


async def test_a_port_that_is_taken_has_the_client_registered_anew(
    issuer: IssuerForClients, person: PersonAtTheTerminal
) -> None:
    await log_in(person)
    issuer.refreshable.clear()
    port = urlsplit(issuer.registered[0]["redirect_uris"][0]).port
    assert port is not None
    with socket.create_server(("127.0.0.1", port)):
        await person.credentials().renewed("access-2", NOTHING)
    assert len(issuer.registered) == 2


async def test_more_scopes_are_asked_for_beside_those_that_were_granted(
    issuer: IssuerForClients, person: PersonAtTheTerminal
) -> None:
    await log_in(person)
    challenge = Challenge("insufficient_scope", "It needs more.", ("b", "a"))
    await person.credentials().renewed("access-2", challenge)
    assert asked_for(person.opened[-1])["scope"] == "a b"
    assert [form["grant_type"] for form in issuer.forms] == ["authorization_code"] * 2


async def test_scopes_and_a_client_can_be_named(person: PersonAtTheTerminal) -> None:
    await log_in(person, scopes=("c", "d"), client_id="given")
    asked = asked_for(person.opened[0])
    assert (asked["scope"], asked["client_id"]) == ("c d", "given")
    assert person.issuer.registered == []


@pytest.mark.parametrize("iss", ["https://evil.example", None])
async def test_an_answer_of_another_issuer_or_of_none_is_not_believed(
    issuer: IssuerForClients, person: PersonAtTheTerminal, iss: str | None
) -> None:
    person.answer = lambda url: issuer.log_in(url, iss=iss)
    with pytest.raises(CallRefused, match="is not believed"):
        await log_in(person)
    assert issuer.forms == []


async def test_a_server_that_does_not_promise_iss_need_not_say_it(
    issuer: IssuerForClients, person: PersonAtTheTerminal
) -> None:
    issuer.metadata = {"authorization_response_iss_parameter_supported": None}
    person.answer = lambda url: issuer.log_in(url, iss=None)
    assert await log_in(person) == "access-2"


async def test_who_is_not_let_in_reads_the_servers_reason(
    issuer: IssuerForClients, person: PersonAtTheTerminal
) -> None:
    person.answer = lambda url: issuer.log_in(url, error="access_denied", error_description="Not today.")
    with pytest.raises(CallRefused, match=r"has not let you in \(access_denied\): Not today\."):
        await log_in(person)


async def test_where_nobody_may_register_it_is_said_what_the_operator_has_to_do(
    issuer: IssuerForClients, person: PersonAtTheTerminal
) -> None:
    issuer.metadata = {"registration_endpoint": None}
    with pytest.raises(CallRefused, match="--client-id"):
        await log_in(person)


async def test_a_login_by_device_waits_as_the_server_says(
    issuer: IssuerForClients, person: PersonAtTheTerminal
) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    issuer.refusals = [(400, {"error": "authorization_pending"}), (400, {"error": "slow_down"}), (503, {})]
    assert await log_in(person, by="device", sleep=sleep) == "access-1"
    assert waited == [5.0, 5.0, 10.0, 20.0]
    assert person.codes == [(f"{ISSUER}/go", "ABCD-EFGH", None)]
    assert person.opened == []
    assert issuer.registered[0]["grant_types"][-1] == issuer.forms[-1]["grant_type"]
    assert issuer.forms[0] == {"client_id": "client-0", "resource": URL, "scope": "a"}


@pytest.mark.parametrize(
    ("refusals", "words"),
    [
        ([(400, {"error": "access_denied"})], "access_denied"),
        ([(400, {"error": "authorization_pending"})] * 20, "Nobody has typed the code in time"),
    ],
)
async def test_a_login_by_device_ends_with_a_no_or_with_its_time(
    issuer: IssuerForClients,
    person: PersonAtTheTerminal,
    refusals: list[tuple[int, Any]],
    words: str,
) -> None:
    async def sleep(_seconds: float) -> None:
        return None

    issuer.refusals = refusals
    with pytest.raises(CallRefused, match=words):
        await log_in(person, by="device", sleep=sleep)


async def test_a_server_without_logins_by_device_is_said_to_be_one(
    issuer: IssuerForClients, person: PersonAtTheTerminal
) -> None:
    issuer.metadata = {"device_authorization_endpoint": None}
    with pytest.raises(CallRefused, match=r"offers no login by device \(RFC 8628\)"):
        await log_in(person, by="device")


async def test_logging_out_ends_the_grant_and_forgets_it(issuer: IssuerForClients, person: PersonAtTheTerminal) -> None:
    assert await person.credentials().log_out() is None
    await log_in(person)
    assert await person.credentials().log_out() is True
    assert (issuer.revoked, person.files.read(URL)) == (["refresh-2"], None)
    await log_in(person)
    issuer.metadata = {"revocation_endpoint": None}
    assert await person.credentials().log_out() is False
    assert person.files.read(URL) is None


async def test_logging_out_keeps_what_the_server_cannot_end_now(
    issuer: IssuerForClients, person: PersonAtTheTerminal
) -> None:
    await log_in(person)
    issuer.is_down = True
    with pytest.raises(ServerAway):
        await person.credentials().log_out()
    kept: TokensOfServer | None = person.files.read(URL)
    assert kept is not None
    assert kept.refresh_token == "refresh-2"


async def log_in_and_out(person: PersonAtTheTerminal) -> None:
    await log_in(person)
    await person.credentials().log_out()


@pytest.mark.parametrize(
    "endpoint", ["authorization_endpoint", "registration_endpoint", "token_endpoint", "revocation_endpoint"]
)
@pytest.mark.parametrize("where", ["http://127.0.0.1:9000/x", "http://localhost/x", "https://router.example/x"])
async def test_a_server_on_the_internet_sends_nobody_to_a_private_address(
    issuer: IssuerForClients, person: PersonAtTheTerminal, endpoint: str, where: str
) -> None:
    person.addresses["router.example"] = "192.168.0.1"
    issuer.metadata = {endpoint: where}
    with pytest.raises(CallRefused, match="is not asked for https://mcp.example/tools/mcp: a server on the internet"):
        await log_in_and_out(person)
    assert not any(each.startswith(where) for each in [*issuer.asked, *person.opened])


@pytest.mark.parametrize(
    ("issued_by", "challenge"),
    [
        ("http://127.0.0.1:9000", Challenge()),
        ("https://router.example", Challenge()),
        (ISSUER, Challenge(resource_metadata="http://127.0.0.1:9000/x")),
        (ISSUER, Challenge(resource_metadata="https://router.example/x")),
    ],
)
async def test_discovery_at_a_server_on_the_internet_asks_no_private_address(
    person: PersonAtTheTerminal, issued_by: str, challenge: Challenge
) -> None:
    person.addresses["router.example"] = "192.168.0.1"
    person.issuer.issuer = issued_by
    with pytest.raises(CallRefused, match="a server on the internet names"):
        await person.credentials().renewed(None, challenge)
    assert not any("127.0.0.1" in each or "router" in each for each in person.issuer.asked)
    assert all(each.startswith("https://mcp.example/") for each in person.issuer.asked)


async def test_a_server_whose_name_moves_after_the_first_look_stays_on_the_internet(
    issuer: IssuerForClients, person: PersonAtTheTerminal
) -> None:
    credentials = person.credentials()
    assert await credentials.token() is None
    person.addresses["mcp.example"] = "127.0.0.1"
    issuer.metadata = {"registration_endpoint": "http://127.0.0.1:9000/x"}
    with pytest.raises(CallRefused, match="names another host without https"):
        await credentials.renewed(None, Challenge())


async def test_a_server_on_a_private_network_may_name_another(
    issuer: IssuerForClients, person: PersonAtTheTerminal
) -> None:
    person.addresses |= {"mcp.example": "10.0.0.1", "id.example": "10.0.0.2"}
    assert (await log_in(person)).startswith("access-")
    assert issuer.registered


def lasting(number: str) -> tuple[int, Any]:
    return 200, b'{"access_token":"one","token_type":"Bearer","expires_in":%b}' % number.encode()


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN"])
@pytest.mark.parametrize("by", ["browser", "device"])
async def test_a_token_that_lasts_for_no_number_of_seconds_is_refused(
    issuer: IssuerForClients, person: PersonAtTheTerminal, number: str, by: str
) -> None:
    async def sleep(_seconds: float) -> None:
        return None

    issuer.refusals = [lasting(number)]
    with pytest.raises(CallRefused, match="answers something else than JSON"):
        await log_in(person, by=by, sleep=sleep)


async def test_a_token_that_lasts_longer_than_clocks_count_has_no_end(
    issuer: IssuerForClients, person: PersonAtTheTerminal
) -> None:
    issuer.refusals = [lasting("1" + "0" * 400)]
    assert await log_in(person) == "one"
    kept: TokensOfServer | None = person.files.read(URL)
    assert kept is not None
    assert kept.expires_at is None


@pytest.mark.parametrize("interval", [0.001, 1e-300, 0, -5, "1"])
async def test_no_server_has_a_login_by_device_ask_without_a_pause(
    issuer: IssuerForClients, person: PersonAtTheTerminal, interval: object
) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    issuer.device_answer["interval"] = interval
    issuer.refusals = [(400, {"error": "authorization_pending"})]
    assert await log_in(person, by="device", sleep=sleep) == "access-1"
    assert min(waited) >= 1


@pytest.mark.parametrize("member", ["interval", "expires_in"])
async def test_a_login_by_device_bounds_a_number_without_measure(
    issuer: IssuerForClients, person: PersonAtTheTerminal, member: str
) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    issuer.device_answer[member] = 10**400
    assert await log_in(person, by="device", sleep=sleep) == "access-1"
    assert waited == [1800.0 if member == "interval" else 5.0]


async def test_a_token_that_was_given_has_no_successor() -> None:
    given = GivenToken("mine")
    assert await given.token() == "mine"
    with pytest.raises(CallRefused, match="is refused: It has expired"):
        await given.renewed("mine", Challenge("invalid_token", "It has expired."))
    assert "mine" not in repr(given)
