"""Which URLs may name a client, and which documents describe one."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.oauth.client_documents import (
    MAX_DOCUMENT,
    METHODS_FOR_DOCUMENTS,
    check_document_url,
    is_document_url,
    read_document,
    unavailable,
)
from gatepost.oauth.errors import InvalidClient
from gatepost.oauth.fetched_urls import host_of, url_problem
from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import Client

URL = "https://app.example/oauth/client.json"
DOCUMENT: dict[str, Any] = {
    "client_id": URL,
    "client_name": "App",
    "redirect_uris": ["https://app.example/callback", "http://127.0.0.1/callback"],
    "grant_types": ["authorization_code", "refresh_token"],
    "token_endpoint_auth_method": "none",
    "scope": "notes:read other:scope",
    "client_uri": "https://app.example",
    "software_version#en": "1",
}


def read(**changes: Any) -> Client:
    members = {name: value for name, value in {**DOCUMENT, **changes}.items() if value is not ...}
    return read_document(json.dumps(members).encode(), url=URL, known_scopes={"notes:read"}, now=1000)


def refusal(**changes: Any) -> str:
    with pytest.raises(InvalidClient) as refused:
        read(**changes)
    assert refused.value.reason is Reason.CLIENT_DOCUMENT_INVALID
    return refused.value.description


def test_a_document_describes_a_client_whose_identifier_is_its_url() -> None:
    assert read() == Client(
        client_id=URL,
        client_name="App",
        redirect_uris=("https://app.example/callback", "http://127.0.0.1/callback"),
        grant_types=("authorization_code", "refresh_token"),
        response_types=("code",),
        token_endpoint_auth_method="none",
        application_type="native",
        scope="notes:read",
        client_uri="https://app.example",
        logo_uri=None,
        jwks=None,
        jwks_uri=None,
        dpop_bound_access_tokens=False,
        secret_fingerprint=None,
        created_at=1000,
    )


def test_a_document_that_says_nothing_of_authentication_is_a_public_clients() -> None:
    assert read(token_endpoint_auth_method=...).token_endpoint_auth_method == "none"


@pytest.mark.parametrize(
    "client_id",
    ["https://app.example/oauth/client.json/", "https://APP.example/oauth/client.json", "", None, 1, [URL], ...],
)
def test_a_document_that_names_another_url_is_refused(client_id: object) -> None:
    assert "character for character" in refusal(client_id=client_id)


@pytest.mark.parametrize("name", ["client_name", "redirect_uris"])
@pytest.mark.parametrize("value", [..., None, "", []])
def test_a_document_without_what_mcp_demands_is_refused(name: str, value: object) -> None:
    assert name in refusal(**{name: value})


@pytest.mark.parametrize("name", ["client_secret", "client_secret_expires_at"])
@pytest.mark.parametrize("value", ["x", None, 0])
def test_a_document_with_a_secret_is_refused_whatever_it_is(name: str, value: object) -> None:
    assert name in refusal(**{name: value})


@pytest.mark.parametrize(
    "method", ["client_secret_basic", "client_secret_post", "client_secret_jwt", "tls_client_auth", "NONE", 1]
)
def test_a_document_cannot_ask_for_a_method_with_a_shared_secret(method: object) -> None:
    assert "token_endpoint_auth_method" in refusal(token_endpoint_auth_method=method)


@pytest.mark.parametrize(
    "uri", ["javascript:alert(1)", "http://app.example/cb", "https://u@app.example/cb", "https://app.example/cb#x"]
)
def test_redirect_uris_of_documents_keep_the_rules_of_registration(uri: str) -> None:
    assert refusal(redirect_uris=[uri]).startswith("The client metadata document cannot be used: redirect_uris[0]: ")


@pytest.mark.parametrize("raw", [b"", b"[]", b"null", b"{", b'{"a":1,"a":1}', b"\xff", b"[" * 5000, b'{"a":NaN}'])
def test_what_is_no_json_object_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidClient) as refused:
        read_document(raw, url=URL, known_scopes=(), now=1)
    assert refused.value.reason is Reason.CLIENT_DOCUMENT_INVALID


@pytest.mark.parametrize(
    "url",
    [
        URL,
        "https://app.example:8443/c",
        "https://a.b-c.example/x/y/",
        "https://xn--e1afmkfd.example/client",
        "https://app.example/a..b/.well-known/c",
        "https://app.example/%41/client",
        "https://app.example//client",
    ],
)
def test_a_canonical_https_url_with_a_path_may_name_a_client(url: str) -> None:
    assert is_document_url(url)
    check_document_url(url)


REFUSED_URLS = [
    "https://app.example",
    "https://app.example/",
    "https://app.example?x",
    "https://app.example/?x",
    "https://app.example/c?x=1",
    "https://app.example/c?",
    "https://app.example/c#",
    "https://app.example/c#f",
    "https://app.example:443/c",
    "https://app.example:/c",
    "https://app.example:0/c",
    "https://app.example:08443/c",
    "https://app.example:65536/c",
    "https://APP.example/c",
    "https://app.example./c",
    "https://.app.example/c",
    "https://app..example/c",
    "https://user@app.example/c",
    "https://user:password@app.example/c",
    "https://@app.example/c",
    "https://app.example/a/../c",
    "https://app.example/a/./c",
    "https://app.example/..",
    "https://app.example/a/%2e%2E/c",
    "https://app.example/a%2fc",
    "https://app.example/a%5Cc",
    "https://app.example\\@evil.example/c",
    "https://app.example/c d",
    "https://app.example/c\n",
    "https://app.example/ü",
    "https://äpp.example/c",
    "https:///c",
    "https://",
    "https://localhost/c",
    "https://intranet/c",
    "https://127.0.0.1/c",
    "https://2130706433/c",
    "https://0x7f000001/c",
    "https://0x7f.1/c",
    "https://0177.0.0.1/c",
    "https://127.1/c",
    "https://8.8.8.8/c",
    "https://[::1]/c",
    "https://[::ffff:127.0.0.1]/c",
    "https://[2606:4700::1111]/c",
    "https://app.example/" + "c" * 2048,
]


@pytest.mark.parametrize("url", REFUSED_URLS)
def test_every_other_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(InvalidClient) as refused:
        check_document_url(url)
    assert refused.value.reason is Reason.CLIENT_DOCUMENT_URL_INVALID
    assert url not in refused.value.description


@pytest.mark.parametrize("text", ["client_x", "http://app.example/c", "HTTPS://app.example/c", "", " https://a.b/c"])
def test_other_identifiers_name_no_document(text: str) -> None:
    assert not is_document_url(text)


def test_only_the_test_setting_makes_localhost_a_host() -> None:
    check_document_url("https://localhost:8443/c", allow_loopback=True)
    assert url_problem("https://localhost:8443/c") == "has a host that is no public host name"
    assert url_problem("https://localhost:8443/c", allow_loopback=True) is None
    assert url_problem("https://127.0.0.1:8443/c", allow_loopback=True) is not None


@pytest.mark.parametrize(
    ("host", "is_allowed"),
    [
        ("claude.ai", True),
        ("www.claude.ai", False),
        ("evilclaude.ai", False),
        ("claude.ai.evil.example", False),
        ("a.example.com", True),
        ("a.b.example.com", True),
        ("example.com", False),
        ("badexample.com", False),
    ],
)
def test_the_allow_list_takes_exact_hosts_and_what_lies_below_a_star(host: str, is_allowed: bool) -> None:
    url = f"https://{host}/client.json"
    if is_allowed:
        check_document_url(url, allowed_domains=("claude.ai", "*.example.com"))
        return
    with pytest.raises(InvalidClient) as refused:
        check_document_url(url, allowed_domains=("claude.ai", "*.example.com"))
    assert refused.value.reason is Reason.CLIENT_DOMAIN_NOT_ALLOWED


@given(st.text(st.sampled_from("aB0.-:/%2e[]@#?\\_ "), max_size=24))
def test_no_spelling_of_a_url_breaks_the_rule_or_changes_its_host(rest: str) -> None:
    url = "https://" + rest
    if url_problem(url) is None:
        host = host_of(url)
        assert host == host.lower()
        assert url.startswith((f"https://{host}/", f"https://{host}:"))


def test_why_a_document_cannot_be_had_is_told_only_where_no_document_is_to_blame() -> None:
    theirs, ours = unavailable(), unavailable(is_ours=True)
    assert (theirs.reason, theirs.status) == (Reason.CLIENT_DOCUMENT_UNAVAILABLE, 503)
    assert theirs.description.endswith("without a redirect, within seconds and in at most 65536 bytes.")
    assert (ours.reason, ours.status) == (Reason.EGRESS_UNAVAILABLE, 503)
    assert ours.description.startswith("This server cannot reach the web servers ")


def test_a_document_has_64_kib_and_authenticates_without_a_shared_secret() -> None:
    assert MAX_DOCUMENT == 65_536
    assert METHODS_FOR_DOCUMENTS == ("none", "private_key_jwt")


@pytest.mark.parametrize(("count", "is_taken"), [(64, True), (65, False)])
def test_a_document_may_name_more_redirect_uris_than_a_registration(count: int, *, is_taken: bool) -> None:
    """Nothing of it is stored."""
    uris = [f"https://app.example/{'x' * 400}/{number}" for number in range(count)]
    if is_taken:
        assert read(redirect_uris=uris).redirect_uris == tuple(uris)
    else:
        with pytest.raises(InvalidClient, match="1 to 64 redirect URIs"):
            read(redirect_uris=uris)
