"""The rules of logins by device (RFC 8628)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gatepost.oauth.device_authorization import (
    ALPHABET,
    DEVICE_CODE,
    LONGEST_INTERVAL,
    DeviceState,
    Poll,
    check_device_code,
    check_may_use_devices,
    device_transaction,
    is_too_soon,
    new_user_code,
    read_user_code,
    shown_user_code,
    slower,
    still_waiting,
)
from gatepost.oauth.errors import (
    AccessDenied,
    ExpiredToken,
    InvalidGrant,
    InvalidTarget,
    OAuthError,
    UnauthorizedClient,
)
from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import ClientOrigin
from gatepost.stores.conformance.records import NOW, RESOURCE, client, device

APPROVED = device(state=DeviceState.APPROVED, subject="user-1")


class Counted:
    """Random bytes that are a number."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __call__(self, length: int) -> bytes:
        return self.number.to_bytes(length, "big")


def test_user_codes_are_letters_that_make_no_words_and_are_read_aloud_in_two_halves() -> None:
    codes = {new_user_code(Counted(number)) for number in range(2000)}
    assert len(codes) == 2000
    assert all(len(code) == 8 and set(code) <= set(ALPHABET) for code in codes)
    assert not set("AEIOUY0123456789") & set(ALPHABET)
    assert shown_user_code("BCDFGHJK") == "BCDF-GHJK"


@pytest.mark.parametrize(
    "typed", ["BCDFGHJK", "BCDF-GHJK", "bcdf ghjk", " bcdf\u2013ghjk\t", "B.C.D.F.G.H.J.K", "BCDF_GHJK"]
)
def test_people_may_type_it_in_any_case_with_or_without_dashes(typed: str) -> None:
    assert read_user_code(typed) == "BCDFGHJK"


@pytest.mark.parametrize("typed", ["", "BCDFGHJ", "BCDFGHJKL", "ABCDFGHJ", "BCDFGHJ1", "B" * 9000])
def test_what_no_screen_shows_is_no_user_code(typed: str) -> None:
    assert read_user_code(typed) is None


@pytest.mark.parametrize("origin", list(ClientOrigin))
@pytest.mark.parametrize("for_everybody", [True, False])
def test_the_operators_clients_may_and_others_only_where_everybody_may(
    origin: ClientOrigin, *, for_everybody: bool
) -> None:
    asks = client(grant_types=("refresh_token", DEVICE_CODE), origin=origin)
    if for_everybody or origin in {ClientOrigin.PREREGISTERED, ClientOrigin.SETTINGS}:
        check_may_use_devices(asks, for_everybody=for_everybody)
    else:
        with pytest.raises(UnauthorizedClient):
            check_may_use_devices(asks, for_everybody=for_everybody)


def test_nobody_may_without_the_grant_type() -> None:
    with pytest.raises(UnauthorizedClient):
        check_may_use_devices(client(origin=ClientOrigin.PREREGISTERED), for_everybody=True)


@pytest.mark.parametrize(
    ("polled_at", "now", "expected"),
    [
        (None, NOW, False),
        (NOW, NOW, True),
        (NOW, NOW + 3, True),
        (NOW, NOW + 4, False),  # five seconds less what the network may take from them
        (NOW, NOW - 60, False),
    ],
)
def test_a_question_is_too_soon_before_its_interval_is_over(polled_at: int | None, now: int, *, expected: bool) -> None:
    assert is_too_soon(device(polled_at=polled_at), now=now) is expected


def test_the_interval_grows_by_five_seconds_up_to_a_minute() -> None:
    assert [slower(5), slower(55), slower(LONGEST_INTERVAL)] == [10, 60, 60]


@pytest.mark.parametrize(
    ("found", "changes", "error", "reason"),
    [
        (None, {}, InvalidGrant, Reason.DEVICE_CODE_UNKNOWN),
        (APPROVED, {"client_id": "client-2"}, InvalidGrant, Reason.DEVICE_CODE_OF_ANOTHER_CLIENT),
        (replace(APPROVED, grant_id="grant-1"), {}, InvalidGrant, Reason.DEVICE_CODE_REPLAYED),
        (replace(APPROVED, grant_id="grant-1"), {"now": NOW + 600}, InvalidGrant, Reason.DEVICE_CODE_REPLAYED),
        (APPROVED, {"now": NOW + 600}, ExpiredToken, Reason.DEVICE_CODE_EXPIRED),
        (device(), {"now": NOW + 600}, ExpiredToken, Reason.DEVICE_CODE_EXPIRED),
        (device(state=DeviceState.DENIED), {}, AccessDenied, Reason.USER_DENIED),
        (APPROVED, {"resource": "https://other.example/mcp"}, InvalidTarget, Reason.DEVICE_CODE_RESOURCE_MISMATCH),
    ],
)
def test_a_device_code_is_refused_for_what_it_is(
    found: object, changes: dict[str, object], error: type[OAuthError], reason: Reason
) -> None:
    asked = {"client_id": "client-1", "resource": None, "now": NOW, **changes}
    with pytest.raises(error) as refused:
        check_device_code(found, **asked)  # type: ignore[arg-type]
    assert refused.value.reason is reason


@pytest.mark.parametrize("resource", [None, RESOURCE])
def test_what_was_approved_and_what_still_waits_is_let_through(resource: str | None) -> None:
    for found in (APPROVED, device()):
        assert check_device_code(found, client_id="client-1", resource=resource, now=NOW) is found


def test_a_client_that_waits_is_told_whether_it_asks_too_often() -> None:
    assert still_waiting(Poll.IN_TIME).error == "authorization_pending"
    assert still_waiting(Poll.TOO_SOON).error == "slow_down"


def test_the_question_ends_with_the_code_at_the_latest() -> None:
    def ends(now: int, lifetime: int) -> int:
        asked = device_transaction(device(), transaction_id="t", browser_id="b", now=now, lifetime=lifetime)
        return asked.expires_at

    assert (ends(NOW, 1800), ends(NOW + 500, 60)) == (NOW + 600, NOW + 560)
