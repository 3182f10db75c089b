import json
import unicodedata
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.oauth.errors import InvalidClientMetadata, InvalidRedirectUri, OAuthError
from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import Client, ClientMetadata
from gatepost.oauth.registration import (
    MAX_ALL_REDIRECT_URIS,
    MAX_LIST,
    MAX_NAME,
    MAX_REDIRECT_URIS,
    claimed_name,
    client_information,
    new_client,
    parse_metadata,
    read_metadata,
)

KNOWN = ("notes:read", "notes:write")
WEB = "https://example.com/cb"
LOOPBACK = "http://127.0.0.1/cb"
CURSOR = "cursor://anysphere.cursor-retrieval/oauth/callback"


def read(**members: object) -> ClientMetadata:
    return read_metadata({"redirect_uris": [WEB], **members}, known_scopes=KNOWN)


def refused(**members: object) -> str:
    with pytest.raises(InvalidClientMetadata) as refusal:
        read(**members)
    assert refusal.value.reason is Reason.CLIENT_METADATA_INVALID
    return refusal.value.description


def test_a_client_that_says_nothing_but_its_redirect_uri_gets_the_defaults() -> None:
    assert read() == ClientMetadata(
        client_name="Unnamed client",
        redirect_uris=(WEB,),
        grant_types=("authorization_code", "refresh_token"),
        response_types=("code",),
        token_endpoint_auth_method="none",
        application_type="web",
        scope=None,
        client_uri=None,
        logo_uri=None,
        jwks=None,
        jwks_uri=None,
        dpop_bound_access_tokens=False,
    )


@pytest.mark.parametrize("absence", [None, "", []])
def test_null_empty_string_and_empty_list_count_as_absent(absence: object) -> None:
    texts = ("client_name", "token_endpoint_auth_method", "application_type", "scope", "client_uri", "logo_uri")
    lists = ("grant_types", "response_types")
    names = lists if absence == [] else texts if absence == "" else (*texts, *lists)
    assert read(**dict.fromkeys(names, absence)) == read()


def test_unknown_members_are_ignored() -> None:
    assert read(contacts=[1], software_id={}, client_id="mine", client_secret="mine", x=None) == read()


def test_everything_at_once_is_kept() -> None:
    assert read(
        client_name="Notes",
        redirect_uris=[CURSOR, LOOPBACK, WEB, LOOPBACK],
        grant_types=["refresh_token", "urn:ietf:params:oauth:grant-type:device_code", "authorization_code"],
        response_types=["token", "code"],
        token_endpoint_auth_method="client_secret_post",
        application_type="native",
        scope=" notes:write openid  notes:read",
        client_uri="https://example.com",
        logo_uri="https://example.com/logo.png",
    ) == ClientMetadata(
        client_name="Notes",
        redirect_uris=(CURSOR, LOOPBACK, WEB),
        grant_types=("authorization_code", "refresh_token"),
        response_types=("code",),
        token_endpoint_auth_method="client_secret_post",
        application_type="native",
        scope="notes:write notes:read",
        client_uri="https://example.com",
        logo_uri="https://example.com/logo.png",
        jwks=None,
        jwks_uri=None,
        dpop_bound_access_tokens=False,
    )


def test_redirect_uris_are_bounded_together() -> None:
    count = MAX_REDIRECT_URIS - 1
    uris = [f"https://app.example/{number:02}".ljust(MAX_ALL_REDIRECT_URIS // count, "x") for number in range(count)]
    uris[0] = uris[0].ljust(MAX_ALL_REDIRECT_URIS - sum(map(len, uris[1:])), "x")
    assert read(redirect_uris=uris).redirect_uris == tuple(uris)
    with pytest.raises(InvalidRedirectUri, match="longer than 8192 characters together"):
        read(redirect_uris=[*uris, "https://app.example/"])


@pytest.mark.parametrize("uris", [None, [], "https://example.com/cb", {}, 1, [WEB] * (MAX_REDIRECT_URIS + 1)])
def test_without_a_list_of_redirect_uris_nobody_registers(uris: object) -> None:
    with pytest.raises(InvalidRedirectUri) as refusal:
        read(redirect_uris=uris)
    assert refusal.value.reason is Reason.REDIRECT_URI_INVALID
    with pytest.raises(InvalidRedirectUri):
        read_metadata({}, known_scopes=KNOWN)


@pytest.mark.parametrize(
    ("uri", "description"),
    [
        (1, "redirect_uris[1] must be a string."),
        (None, "redirect_uris[1] must be a string."),
        ("https://example.com/cb#x", "redirect_uris[1]: The redirect URI has a fragment (RFC 6749 section 3.1.2)."),
    ],
)
def test_the_error_says_which_redirect_uri_is_wrong(uri: object, description: str) -> None:
    with pytest.raises(InvalidRedirectUri) as refusal:
        read(redirect_uris=[WEB, uri])
    assert refusal.value.description == description


@pytest.mark.parametrize(
    ("stated", "uris", "application_type"),
    [
        (None, [WEB], "web"),
        (None, [LOOPBACK], "native"),
        (None, [CURSOR], "native"),
        (None, [WEB, LOOPBACK], "native"),
        ("web", [WEB], "web"),
        ("web", [LOOPBACK], "native"),
        ("web", [CURSOR, WEB], "native"),
        ("native", [WEB], "native"),
        ("native", [LOOPBACK], "native"),
    ],
)
def test_a_client_on_the_users_device_is_native_whatever_it_says(
    stated: str | None, uris: list[str], application_type: str
) -> None:
    assert read(application_type=stated, redirect_uris=uris).application_type == application_type


@pytest.mark.parametrize(
    ("method", "needs_secret"), [("none", False), ("client_secret_basic", True), ("client_secret_post", True)]
)
def test_a_client_that_authenticates_by_secret_needs_one(method: str, *, needs_secret: bool) -> None:
    metadata = read(token_endpoint_auth_method=method)
    assert (metadata.token_endpoint_auth_method, metadata.needs_secret) == (method, needs_secret)


@pytest.mark.parametrize("method", ["client_secret_jwt", "tls_client_auth", "NONE"])
def test_a_method_of_authentication_that_cannot_be_honoured_is_refused(method: str) -> None:
    assert refused(token_endpoint_auth_method=method).endswith(
        ": none, client_secret_basic, client_secret_post, private_key_jwt."
    )


def test_a_client_that_wants_no_refresh_tokens_gets_none() -> None:
    assert read(grant_types=["authorization_code"]).grant_types == ("authorization_code",)


@pytest.mark.parametrize(
    "members",
    [
        {"grant_types": ["refresh_token"]},
        {"grant_types": ["client_credentials"]},
        {"grant_types": ["implicit"], "response_types": ["token"]},
        {"response_types": ["token"]},
        {"response_types": ["code id_token"]},
        {"application_type": "desktop"},
        {"application_type": ["web"]},
        {"client_name": 1},
        {"client_name": "x" * (MAX_NAME + 1)},
        {"scope": ["notes:read"]},
        {"scope": 'a"b'},
        {"grant_types": "authorization_code"},
        {"grant_types": {"authorization_code": True}},
        {"grant_types": ["authorization_code", 1]},
        {"grant_types": ["authorization_code"] * (MAX_LIST + 1)},
    ],
)
def test_metadata_that_is_wrong_or_contradicts_itself_is_refused(members: dict[str, object]) -> None:
    assert refused(**members)


@pytest.mark.parametrize(
    "url",
    [
        *("http://example.com", "javascript:alert(1)", "data:image/png;base64,AAAA", "https://user@example.com/"),
        *("https://example.com/#top", "https://example.com/\u00e4", 5, [], {}),
    ],
)
@pytest.mark.parametrize("member", ["client_uri", "logo_uri", "tos_uri", "policy_uri"])
def test_what_is_only_for_showing_is_dropped_where_it_cannot_be_shown(member: str, url: object) -> None:
    assert read(**{member: url}) == read()


def test_scopes_that_do_not_exist_come_to_the_default_set() -> None:
    assert read(scope="openid profile").scope is None


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("Cafe\u0301", "Caf\u00e9"),
        ("  Claude \t Code\n", "Claude Code"),
        ("ev\u202eil", "evil"),
        ("Cl\u200baude\ufeff", "Claude"),
        ("a\u2028b\u3000c", "a b c"),
        ("\x1b[31mred", "[31mred"),
        ("\U000e0041x", "x"),
        ("\ud800x", "x"),
        ("\u200b\u202e ", "Unnamed client"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("מחברת", "מחברת"),
    ],
)
def test_a_name_is_kept_without_what_hides_or_turns_text(name: str, kept: str) -> None:
    assert read(client_name=name).client_name == kept


@given(st.text(max_size=MAX_NAME // 4))
def test_any_name_comes_out_as_one_line_that_can_be_stored(name: str) -> None:
    kept = read(client_name=name).client_name
    assert kept.isprintable()
    assert kept == kept.strip()
    assert kept.encode()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[]",
        b"1",
        b'"x"',
        b"{",
        b'{"a": 1} x',
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"redirect_uris": ["https://a.example/"], "redirect_uris": ["https://b.example/"]}',
        b'{"a": {"b": 1, "b": 2}}',
        b'{"a": "\xff"}',
        '{"a": 1}'.encode("utf-16"),
        b'{"a": ' + b"[" * 30_000 + b"]" * 30_000 + b"}",
        b'{"a": ' + b"9" * 5_000 + b"}",
    ],
)
def test_a_body_that_is_not_one_json_object_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidClientMetadata) as refusal:
        parse_metadata(raw)
    assert refusal.value.reason is Reason.CLIENT_METADATA_INVALID


def test_a_json_object_is_read() -> None:
    assert parse_metadata('{"client_name": "é", "x": [1, {"y": null}]}'.encode()) == {
        "client_name": "é",
        "x": [1, {"y": None}],
    }


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
MEMBERS = st.sampled_from(
    ["redirect_uris", "client_name", "grant_types", "response_types", "token_endpoint_auth_method", "scope", "logo_uri"]
)


@given(st.dictionaries(MEMBERS, JSON))
def test_any_json_is_registered_or_refused_with_a_wire_error_and_never_crashes(document: dict[str, Any]) -> None:
    try:
        read_metadata(parse_metadata(json.dumps({"redirect_uris": [WEB], **document}).encode()), known_scopes=KNOWN)
    except OAuthError as error:
        assert error.error in {"invalid_redirect_uri", "invalid_client_metadata"}  # noqa: PT017 - either outcome is right


def test_the_answer_to_a_public_client_says_what_was_registered() -> None:
    client = new_client(read(), client_id="client_1", secret_fingerprint=None, now=1000)
    assert client == Client(
        client_id="client_1",
        client_name="Unnamed client",
        redirect_uris=(WEB,),
        grant_types=("authorization_code", "refresh_token"),
        response_types=("code",),
        token_endpoint_auth_method="none",
        application_type="web",
        scope=None,
        client_uri=None,
        logo_uri=None,
        jwks=None,
        jwks_uri=None,
        dpop_bound_access_tokens=False,
        secret_fingerprint=None,
        created_at=1000,
    )
    assert client_information(client, client_secret=None) == {
        "client_id": "client_1",
        "client_id_issued_at": 1000,
        "client_name": "Unnamed client",
        "redirect_uris": [WEB],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
        "application_type": "web",
    }


def test_the_answer_to_a_confidential_client_holds_its_secret_and_that_it_does_not_expire() -> None:
    metadata = read(
        token_endpoint_auth_method="client_secret_basic",
        scope="notes:read",
        client_uri="https://example.com",
        logo_uri="https://example.com/logo.png",
    )
    client = new_client(metadata, client_id="client_1", secret_fingerprint=b"f", now=1000)
    information = client_information(client, client_secret="gp_cs_x")
    assert {
        name: information[name] for name in sorted(information) if name not in {"redirect_uris", "client_name"}
    } == {
        "application_type": "web",
        "client_id": "client_1",
        "client_id_issued_at": 1000,
        "client_secret": "gp_cs_x",
        "client_secret_expires_at": 0,
        "client_uri": "https://example.com",
        "grant_types": ["authorization_code", "refresh_token"],
        "logo_uri": "https://example.com/logo.png",
        "response_types": ["code"],
        "scope": "notes:read",
        "token_endpoint_auth_method": "client_secret_basic",
    }


EC_KEY = {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "1"}


def test_a_client_with_keys_registers_them_or_where_they_are() -> None:
    inline = read(token_endpoint_auth_method="private_key_jwt", jwks={"keys": [EC_KEY, {"kty": "new"}]})
    assert (inline.jwks, inline.jwks_uri) == (json.dumps({"keys": [EC_KEY]}), None)
    elsewhere = read(token_endpoint_auth_method="private_key_jwt", jwks_uri="https://app.example/jwks?app=1")
    assert (elsewhere.jwks, elsewhere.jwks_uri) == (None, "https://app.example/jwks?app=1")
    assert not inline.needs_secret


def test_of_keys_only_what_is_looked_at_is_kept() -> None:
    padded = {**EC_KEY, "use": "sig", "x5c": ["A" * 5000], "x5t#S256": "A", "padding": {"x": "y" * 5000}}
    metadata = read(token_endpoint_auth_method="private_key_jwt", jwks={"keys": [padded], "more": "z" * 5000})
    assert json.loads(metadata.jwks or "") == {"keys": [{**EC_KEY, "use": "sig"}]}


def test_keys_are_bounded_as_they_are_kept() -> None:
    """Characters of other scripts are longer there than in what was sent."""
    assert "longer than 16384" in refused(
        token_endpoint_auth_method="private_key_jwt", jwks={"keys": [{**EC_KEY, "kid": "\N{EURO SIGN}" * 4000}]}
    )


@pytest.mark.parametrize("method", ["none", "client_secret_post"])
@pytest.mark.parametrize(
    "members",
    [
        *({"jwks": {"keys": [EC_KEY]}}, {"jwks_uri": "https://app.example/jwks"}, {"jwks": {}}, {"jwks": {"keys": []}}),
        *({"jwks": {"keys": [1]}}, {"jwks": "x"}, {"jwks": []}, {"jwks_uri": 1}, {"jwks_uri": "http://app.example/"}),
        {"jwks": {"keys": [EC_KEY]}, "jwks_uri": "https://app.example/jwks"},
    ],
)
def test_keys_are_not_kept_for_a_client_that_does_not_use_them(method: str, members: dict[str, Any]) -> None:
    metadata = read(token_endpoint_auth_method=method, **members)

    assert (metadata.jwks, metadata.jwks_uri) == (None, None)


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"jwks": {"keys": [EC_KEY]}, "jwks_uri": "https://app.example/jwks"},
        {"jwks": {"keys": []}},
        {"jwks": "x"},
        {"jwks": {"keys": [{**EC_KEY, "d": "AA"}]}},
        {"jwks_uri": "http://app.example/jwks"},
        {"jwks_uri": "https://169.254.169.254/jwks"},
        {"jwks_uri": "https://intranet/jwks"},
        {"jwks_uri": 1},
    ],
)
def test_keys_that_cannot_be_used_are_refused(members: dict[str, Any]) -> None:
    refused(token_endpoint_auth_method="private_key_jwt", **members)


def test_a_private_key_is_refused_even_where_keys_are_not_used() -> None:
    assert "private" in refused(jwks={"keys": [{**EC_KEY, "d": "AA"}]})


# A letter under marks whose order composing has to sort: the time grows with the square of their number.
HEAP = "a" + "\u0315" * 15_950 + "\u0300" * 7_975 + "\u0323" * 7_975


@pytest.fixture
def only_short_texts_are_composed(monkeypatch: pytest.MonkeyPatch) -> None:
    compose = unicodedata.normalize

    def normalize(form: Literal["NFC", "NFD", "NFKC", "NFKD"], text: str) -> str:
        assert len(text) <= 2_000
        return compose(form, text)

    monkeypatch.setattr("unicodedata.normalize", normalize)


@pytest.mark.usefixtures("only_short_texts_are_composed")
def test_a_name_with_a_heap_of_marks_is_refused_before_it_is_composed() -> None:
    with pytest.raises(InvalidClientMetadata, match="longer than 200 characters"):
        read(client_name=HEAP)


def test_a_name_keeps_a_few_marks_on_each_character() -> None:
    assert read(client_name="a" + "\u0316" * 50 + "b\u0316").client_name == "a" + "\u0316" * 8 + "b\u0316"


def test_a_byte_order_mark_before_the_document_is_passed_over() -> None:
    assert parse_metadata(b'\xef\xbb\xbf{"client_name": "App"}') == {"client_name": "App"}
    with pytest.raises(InvalidClientMetadata):
        parse_metadata(b'\xef\xbb\xbf\xef\xbb\xbf{"client_name": "App"}')


def test_a_client_that_names_no_grant_types_gets_the_default_ones_and_none_that_is_new() -> None:
    document: dict[str, object] = {"redirect_uris": [WEB]}
    supported = ("authorization_code", "refresh_token", "urn:example:new")

    silent = read_metadata(document, known_scopes=KNOWN, grant_types=supported)
    asking = read_metadata({**document, "grant_types": list(supported)}, known_scopes=KNOWN, grant_types=supported)

    assert silent.grant_types == ("authorization_code", "refresh_token")
    assert asking.grant_types == supported


@pytest.mark.parametrize(
    ("client_name", "shown"), [("Claude", "Claude"), ("Unnamed client", ""), (None, ""), ("a\u202eb", "ab")]
)
def test_a_client_without_a_name_is_shown_without_one(client_name: str | None, shown: str) -> None:
    assert claimed_name(client_name) == shown
