"""API keys on their way in: where they may stand, and whether they count."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gatepost.oauth.reasons import Reason
from gatepost.resource import api_keys
from gatepost.resource.api_keys import check_key, is_api_key, is_key_name, read_api_key
from gatepost.resource.bearer import Refusal, TokenRefused
from gatepost.resource.resources import names_same_endpoint
from gatepost.tokens.opaque import SecretKind, mint

KEY = mint(SecretKind.API_KEY, lambda count: bytes(range(count)))
SENT = KEY.encode()
HERE = "https://mcp.example.com/mcp"
LOCAL = "http://127.0.0.1:8000/mcp"


def reason(refused: Callable[[], object]) -> str:
    with pytest.raises(TokenRefused) as caught:
        refused()
    return caught.value.refusal.reason


@pytest.mark.parametrize("sent", [SENT, b" " + SENT + b"\t"])
def test_a_key_is_read_from_its_header(sent: bytes) -> None:
    assert read_api_key([sent], [], b"a=b") == KEY


@pytest.mark.parametrize(
    ("values", "authorization", "query", "expected"),
    [
        ([SENT, SENT], [], b"", "credentials_repeated"),
        ([SENT], [b"Bearer " + SENT], b"", "credentials_repeated"),
        ([SENT], [b""], b"", "credentials_repeated"),
        ([SENT], [b"Basic YTpi"], b"", "credentials_repeated"),
        ([b""], [], b"", "token_malformed"),
        ([b"a b"], [], b"", "token_malformed"),
        ([b"Bearer " + SENT], [], b"", "token_malformed"),
        ([b"\xff"], [], b"", "token_malformed"),
        ([b"a" * 2049], [], b"", "token_malformed"),
        ([SENT], [], b"access_token=a", "token_in_query"),
        ([SENT], [], b"mcp-api-key=a", "token_in_query"),
        ([SENT], [], b"MCP%5FApi_Key=a", "token_in_query"),
        ([SENT], [], b"x=" + SENT, "token_in_query"),
        ([SENT], [], b"x=%67p_ak_a", "token_in_query"),
    ],
)
def test_everything_else_is_refused_for_its_own_reason(
    values: list[bytes], authorization: list[bytes], query: bytes, expected: str
) -> None:
    assert reason(lambda: read_api_key(values, authorization, query)) == expected


def test_what_begins_like_a_key_and_can_be_none_costs_no_look_up() -> None:
    assert is_api_key(KEY)
    for other in (KEY.upper(), "gp_at_" + KEY[6:], "key", ""):
        assert not is_api_key(other)
    for broken in (KEY[:-1], KEY + "a", "gp_ak_"):
        assert reason(lambda broken=broken: is_api_key(broken)) == "api_key_unknown"  # type: ignore[misc]  # bound for each


@pytest.mark.parametrize(
    ("expires_at", "revoked", "disabled", "audience", "expected"),
    [
        (None, False, False, LOCAL, "token_of_another_resource"),
        (None, False, False, HERE + "/", "token_of_another_resource"),
        (None, True, False, HERE, "api_key_revoked"),
        (None, False, True, HERE, "user_disabled"),
        (100, False, False, HERE, "api_key_expired"),
    ],
)
def test_a_known_key_that_does_not_count_is_refused_for_its_own_reason(
    expires_at: int | None, revoked: bool, disabled: bool, audience: str, expected: str
) -> None:
    refused = reason(
        lambda: check_key(
            expires_at=expires_at,
            revoked=revoked,
            user_disabled=disabled,
            audience=audience,
            resource=HERE,
            any_loopback=True,
            now=100,
        )
    )
    assert refused == expected


@pytest.mark.parametrize(("any_loopback", "counts"), [(True, True), (False, False)])
def test_a_key_for_one_loopback_name_counts_at_the_others_where_the_server_answers_to_all(
    *, any_loopback: bool, counts: bool
) -> None:
    def check() -> None:
        check_key(
            expires_at=None,
            revoked=False,
            user_disabled=False,
            audience="http://localhost:8000/mcp",
            resource=LOCAL,
            any_loopback=any_loopback,
            now=100,
        )

    if counts:
        check()
    else:
        assert reason(check) == "token_of_another_resource"


@pytest.mark.parametrize("expires_at", [None, 101])
def test_a_key_counts_at_its_endpoint_until_it_ends(expires_at: int | None) -> None:
    check_key(
        expires_at=expires_at,
        revoked=False,
        user_disabled=False,
        audience=HERE,
        resource=HERE,
        any_loopback=False,
        now=100,
    )


@pytest.mark.parametrize(
    ("other", "is_same"),
    [
        ("http://localhost:8000/mcp", True),
        ("http://[::1]:8000/mcp", True),
        (LOCAL, True),
        ("http://localhost:8001/mcp", False),
        ("http://localhost:8000/mail", False),
        ("https://localhost:8000/mcp", False),
        ("http://localhost.example:8000/mcp", False),
        ("http://127.0.0.2:8000/mcp", False),
    ],
)
def test_loopback_names_are_one_endpoint_on_the_same_port_and_path(other: str, is_same: bool) -> None:
    assert names_same_endpoint(LOCAL, other) is is_same
    assert names_same_endpoint(other, LOCAL) is is_same


def test_public_names_are_never_one_endpoint() -> None:
    assert not names_same_endpoint(HERE, "https://other.example.com/mcp")


@pytest.mark.parametrize("name", ["a", "backup-2.nightly_x", "9", "a" * 64])
def test_a_key_has_a_plain_name(name: str) -> None:
    assert is_key_name(name)


@pytest.mark.parametrize("name", ["", "-a", ".a", "a b", "a" * 65, "é", "a\n"])
def test_another_name_is_none(name: str) -> None:
    assert not is_key_name(name)


@pytest.mark.parametrize(
    "refusal", [api_keys.CREDENTIALS_REPEATED, api_keys.UNKNOWN, api_keys.EXPIRED, api_keys.REVOKED]
)
def test_every_refusal_follows_rfc_6750_and_has_a_published_reason(refusal: Refusal) -> None:
    assert Reason(refusal.reason)
    assert refusal.status == {"invalid_request": 400, "invalid_token": 401}[refusal.error or ""]
