import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.oauth.errors import InvalidRedirectUri
from gatepost.oauth.reasons import Reason
from gatepost.oauth.redirect_uris import (
    MAX_LENGTH,
    check_registrable,
    display_host,
    halves_of_host,
    is_https_url,
    is_loopback,
    is_registered,
    is_web,
    why_unregistered,
)

REGISTRABLE = [
    "https://claude.ai/api/mcp/auth_callback",
    "https://chatgpt.com/connector/oauth/AbC-12_3",
    "https://example.com",
    "https://example.com:8443/cb?tenant=1&x=%2F",
    "https://EXAMPLE.com/cb",
    "https://xn--bcher-kva.example/cb",
    "https://under_score.example/cb",
    "https://[2001:db8::1]:8443/cb",
    "https://192.0.2.1/cb",
    "https://localhost:3000/cb",
    "http://127.0.0.1",
    "http://127.0.0.1/",
    "http://127.0.0.1:33418/",
    "http://[::1]:4000/callback",
    "http://localhost:6274/oauth/callback",
    "http://localhost?x=1",
    "cursor://anysphere.cursor-retrieval/oauth/callback",
    "com.example.app:/cb",
    "com.example.app:///cb",
    "vscode://dynamic-auth",
    "myapp://",
    "operator://callback",
]

DANGEROUS = [
    "javascript:alert(1)",
    "javascript:/alert(1)",
    "javascript://example.com/%250aalert(1)",
    "JavaScript://x",
    "vbscript:/x",
    "data:text/html,x",
    "data:/x",
    "blob:https://example.com/x",
    "filesystem:/x",
    "file:///etc/passwd",
    "about:/blank",
    "view-source:/x",
    "ws://example.com/",
    "wss://example.com/",
    "ftp://example.com/",
    "mailto:a",
    "mailto:/a",
    "tel:/1",
    "intent://example.com/#Intent;end",
    "intent://example.com/",
    "chrome://settings",
    "chrome-extension://abc/x.html",
    "moz-extension://abc/x.html",
    "microsoft-edge:/x",
    "ms-msdt:/x",
    "search-ms:/x",
    "x-man-page://ls",
    "itms-services://x",
    "googlechrome://x",
    "urn:ietf:wg:oauth:2.0:oob",
    "urn:/x",
    "ssh://example.com/",
    "smb://example.com/",
    "dict://example.com/",
    "finger://example.com/",
    "gemini://example.com/",
    "scp://example.com/",
    "fish://example.com/",
    "webcal://example.com/",
    "imap://example.com/",
    "imaps://example.com/",
    "smtp://example.com/",
    "smtps://example.com/",
    "pop://example.com/",
    "pops://example.com/",
    "telnet://example.com/",
    "telnets://example.com/",
    "ldap://example.com/",
    "ldaps://example.com/",
    "ldapi:///x",
    "ipfs://x",
    "ipns://x",
    "jar:/x",
    "jdbc:/x",
    "php://filter",
    "phar://x",
    "expect://id",
    "steam://run/1",
    "https-app://example.com/cb",
    "https.example://cb",
    "httpss://example.com/cb",
    "http+x:/cb",
]

MALFORMED = [
    "",
    "callback",
    "/callback",
    "//example.com/cb",
    "example.com/cb",
    "example.com:8080/cb",
    "localhost:3000/cb",
    "127.0.0.1:3000/cb",
    "https:",
    "https:/example.com/cb",
    "https:example.com/cb",
    "https://",
    "https:///cb",
    "https://:443/cb",
    "https://example.com:/cb",
    "https://example.com:99999/cb",
    "https://example.com:port/cb",
    "https://example..com/cb",
    "https://example.com./cb",
    "https://-example.com/cb",
    "https://" + "a" * 64 + ".example/cb",
    "https://" + "a." * 127 + "example/cb",
    "https://user@example.com/cb",
    "https://user:password@example.com/cb",
    "https://example.com@evil.example/cb",
    "https://example%2ecom/cb",
    "https://%65xample.com/cb",
    "https://exämple.com/cb",
    "https://example\u3002com/cb",
    "https://example.com\\@evil.example/cb",
    "https:\\\\example.com/cb",
    "https://[::1/cb",
    "https://[::1]x/cb",
    "https://[1:2]/cb",
    "https://[fe80::1%25eth0]/cb",
    "https://2130706433/cb",
    "https://0x7f000001/cb",
    "https://0x7f.1/cb",
    "https://127.1/cb",
    "https://0177.0.0.1/cb",
    "https://1.2.3.4.5/cb",
    "https://example.0x/cb",
    "https://example.com/cb#",
    "https://example.com/cb#fragment",
    "https://example.com/c b",
    " https://example.com/cb",
    "https://example.com/cb ",
    "https://example.com/cb\n",
    "https://example.com/cb\r\nSet-Cookie: x=1",
    "https://example.com/\tcb",
    "https://example.com/\x00",
    "https://example.com/%",
    "https://example.com/%zz",
    "https://example.com/%0d%0aSet-Cookie:x",
    "https://example.com/%00",
    "https://example.com/%7f",
    "https://*.example.com/cb",
    "https://example.com/*",
    "https://example.com/<script>",
    'https://example.com/"',
    "https://example.com/{id}",
    "https://example.com/cb?code=x",
    "https://example.com/cb?a=1&state=x",
    "https://example.com/cb?i%73s=https://evil.example",
    "https://example.com/cb?error",
    "https://example.com/" + "a" * MAX_LENGTH,
    "http://example.com/cb",
    "HTTP://localhost/cb",
    "HTTPS://example.com/cb",
    "Https://example.com/cb",
    "MyApp://callback",
    "com.example.App:/cb",
    "http://LOCALHOST/cb",
    "http://localhost./cb",
    "http://app.localhost/cb",
    "http://localhost.evil.example/cb",
    "http://127.0.0.2/cb",
    "http://127.1/cb",
    "http://0.0.0.0/cb",
    "http://[::]/cb",
    "http://[0:0:0:0:0:0:0:1]/cb",
    "http://[::ffff:127.0.0.1]/cb",
    "http://127.0.0.1@evil.example/cb",
    "http://127.0.0.1:80@evil.example/cb",
    "http://127.0.0.1:99999/cb",
    "http://127.0.0.1:123456/cb",
    "http://localhost:8080evil.example/cb",
    "http:///cb",
    "com.example.app:cb",
    "com.example.app://user@host/cb",
    "com.example.app://ho%73t/cb",
    "1app:/cb",
    "my_app:/cb",
    "a" * 65 + ":/cb",
]


@pytest.mark.parametrize("uri", REGISTRABLE)
def test_what_real_clients_register_is_accepted_and_matches_itself(uri: str) -> None:
    check_registrable(uri)
    assert is_registered(uri, [uri])


@pytest.mark.parametrize("uri", [*DANGEROUS, *MALFORMED])
def test_dangerous_and_malformed_uris_are_refused_and_never_match_even_themselves(uri: str) -> None:
    with pytest.raises(InvalidRedirectUri) as refusal:
        check_registrable(uri)
    assert refusal.value.reason is Reason.REDIRECT_URI_INVALID
    assert refusal.value.description.startswith("The redirect URI ")
    assert not is_registered(uri, [uri])


@pytest.mark.parametrize(
    ("requested", "registered"),
    [
        ("http://127.0.0.1:51000/cb", "http://127.0.0.1/cb"),
        ("http://127.0.0.1/cb", "http://127.0.0.1:51000/cb"),
        ("http://127.0.0.1:33419/", "http://127.0.0.1:33418/"),
        ("http://[::1]:51000/cb?a=1", "http://[::1]:4000/cb?a=1"),
        ("http://localhost:1", "http://localhost:65535"),
    ],
)
def test_on_loopback_the_port_is_free(requested: str, registered: str) -> None:
    assert is_registered(requested, ["https://example.com/cb", registered])


@pytest.mark.parametrize(
    ("requested", "registered"),
    [
        ("http://localhost/cb", "http://127.0.0.1/cb"),
        ("http://127.0.0.1/cb", "http://[::1]/cb"),
        ("http://127.0.0.1/cb", "http://127.0.0.1/cb/"),
        ("http://127.0.0.1/cb", "http://127.0.0.1/CB"),
        ("http://127.0.0.1", "http://127.0.0.1/"),
        ("http://127.0.0.1/cb?a=1", "http://127.0.0.1/cb"),
        ("http://127.0.0.1/%63b", "http://127.0.0.1/cb"),
        ("https://127.0.0.1:1/cb", "https://127.0.0.1:2/cb"),
        ("https://localhost:1/cb", "https://localhost:2/cb"),
        ("https://example.com:443/cb", "https://example.com/cb"),
        ("https://example.com:8443/cb", "https://example.com/cb"),
        ("https://EXAMPLE.com/cb", "https://example.com/cb"),
        ("https://example.com/cb/", "https://example.com/cb"),
        ("https://example.com/a/../cb", "https://example.com/cb"),
        ("https://example.com/cb?x=1", "https://example.com/cb"),
        ("https://example.com.evil.example/cb", "https://example.com/cb"),
        ("https://example.com/cbx", "https://example.com/cb"),
        ("cursor://host:1/cb", "cursor://host:2/cb"),
        ("cursor://host/other", "cursor://host/cb"),
        ("Cursor://host/cb", "cursor://host/cb"),
    ],
)
def test_two_different_strings_do_not_meet(requested: str, registered: str) -> None:
    assert not is_registered(requested, [registered])
    assert not is_registered(registered, [requested])


@pytest.mark.parametrize(
    ("uri", "description"),
    [
        ("HTTPS://example.com/cb", "The redirect URI has a scheme that is not in lower case (RFC 3986 section 3.1)."),
        ("MyApp://callback", "The redirect URI has a scheme that is not in lower case (RFC 3986 section 3.1)."),
        ("https-app:/cb", "The redirect URI has a scheme that looks like http or https and is neither."),
    ],
)
def test_the_refusal_of_a_scheme_says_what_is_wrong_with_it(uri: str, description: str) -> None:
    with pytest.raises(InvalidRedirectUri) as refusal:
        check_registrable(uri)
    assert refusal.value.description == description


def test_nothing_is_registered_with_a_client_that_registered_nothing() -> None:
    assert not is_registered("https://example.com/cb", [])


URIS = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(
        ["http://127.0.0.1", "http://localhost", "http://[::1]", "https://127.0.0.1", "https://a.example", "app://h"]
    ),
    st.sampled_from(["", ":1", ":80", ":443", ":8080", ":08080"]),
    st.sampled_from(["", "/", "/cb", "/cb/", "/CB", "/%63b", "/cb?x=1"]),
    st.sampled_from(["", "?", "&", ";", "."]),
)


@given(URIS, URIS)
def test_uris_meet_only_as_the_same_string_or_on_the_same_loopback_host(one: str, other: str) -> None:
    def without_port(uri: str) -> tuple[str, str]:
        host = next(host for host in ("http://127.0.0.1", "http://localhost", "http://[::1]") if uri.startswith(host))
        rest = uri.removeprefix(host)
        return host, rest.lstrip(":0123456789") if rest.startswith(":") else rest

    met = is_registered(one, [other])
    assert met == is_registered(other, [one])
    if met and one != other:
        assert is_loopback(one)
        assert is_loopback(other)
        assert without_port(one) == without_port(other)


@given(st.text())
def test_no_text_at_all_is_taken_for_another(text: str) -> None:
    assert is_registered(text, ["https://example.com/cb", "app:/cb"]) == (text in {"https://example.com/cb", "app:/cb"})


@pytest.mark.parametrize(
    ("requested", "registered", "explanation"),
    [
        (
            "http://localhost:1/cb",
            "http://127.0.0.1:2/cb",
            "registered its redirect URI with 127.0.0.1 and now sends l",
        ),
        ("http://127.0.0.1/cb", "http://localhost/cb", "registered its redirect URI with localhost and now sends 127"),
        ("https://a.example/cb", "https://a.example/cb/", "differs from a registered one by a slash at its end"),
        ("http://127.0.0.1:1/", "http://127.0.0.1:2", "differs from a registered one by a slash at its end"),
        ("https://a.example/cb", "https://b.example/cb", "is not one that this client registered"),
        ("http://127.0.0.1/x", "http://localhost/cb", "is not one that this client registered"),
        ("https://a.example/cb#x", "https://a.example/cb", "has a fragment"),
    ],
)
def test_the_error_says_why(requested: str, registered: str, explanation: str) -> None:
    assert explanation in why_unregistered(requested, [registered])


@pytest.mark.parametrize(
    ("uri", "host"),
    [
        ("https://Claude.ai/api/mcp/auth_callback", "claude.ai"),
        ("https://example.com:8443?x=/y", "example.com:8443"),
        ("http://127.0.0.1:51000/cb", "127.0.0.1"),
        ("http://[::1]:51000/cb", "[::1]"),
        ("http://localhost", "localhost"),
        ("cursor://anysphere.cursor-retrieval/oauth/callback", "cursor://anysphere.cursor-retrieval"),
        ("com.example.app:/cb", "com.example.app:"),
        ("com.example.app:///cb", "com.example.app:"),
    ],
)
def test_people_see_where_it_leads(uri: str, host: str) -> None:
    assert display_host(uri) == host


def test_loopback_is_http_on_the_three_spellings_only() -> None:
    assert [uri for uri in [*REGISTRABLE, *MALFORMED] if is_loopback(uri)] == [
        "http://127.0.0.1",
        "http://127.0.0.1/",
        "http://127.0.0.1:33418/",
        "http://[::1]:4000/callback",
        "http://localhost:6274/oauth/callback",
        "http://localhost?x=1",
    ]


def test_web_is_https() -> None:
    assert [is_web(uri) for uri in ("https://a.example/", "http://localhost/", "app:/cb")] == [True, False, False]


@pytest.mark.parametrize(
    ("url", "accepted"),
    [
        ("https://example.com/logo.png", True),
        ("http://example.com/logo.png", False),
        ("HTTPS://example.com", False),
        ("https://user@example.com/", False),
        ("javascript:/x", False),
        ("app:/cb", False),
    ],
)
def test_a_clients_own_links_are_https(url: str, *, accepted: bool) -> None:
    assert is_https_url(url) is accepted


@pytest.mark.parametrize(
    "scheme",
    [
        *("c", "z", "jscript", "ecmascript", "perlscript", "script", "livescript", "vbscript", "javascript"),
        *("web+notes", "ext+container", "bitcoin", "matrix", "geo", "wtai", "openpgp4fpr", "dweb", "ssb"),
        *("disk", "ie.http", "vnd.ms.radio", "lynxexec", "lynxcgi", "wysiwyg", "url", "itss", "intents", "feeds"),
        *("ttp", "htp", "ile", "gophers", "rtsps", "coap", "turn", "stuns", "ipp", "powershell", "osascript"),
    ],
)
@pytest.mark.parametrize("rest", ["://host/path", ":/path"])
def test_schemes_on_the_lists_of_browsers_and_sanitizers_are_refused(scheme: str, rest: str) -> None:
    with pytest.raises(InvalidRedirectUri):
        check_registrable(scheme + rest)


@pytest.mark.parametrize(
    "scheme",
    [
        *("cursor", "vscode", "vscode-insiders", "warp", "obsidian", "windsurf", "com.example.app"),
        *("com.example.typescript", "scripts.example", "transcript-app", "ab"),
    ],
)
def test_private_use_schemes_that_only_look_like_those_are_accepted(scheme: str) -> None:
    check_registrable(f"{scheme}://host/callback")


@pytest.mark.parametrize(
    ("destination", "halves"),
    [
        ("claude.ai", ("", "claude.ai")),
        ("intranet", ("", "intranet")),
        ("a.b.example:8443", ("a.", "b.example:8443")),
        ("login.bank.co.uk", ("login.", "bank.co.uk")),
        ("bank.co.uk", ("", "bank.co.uk")),
        ("a.b.museum", ("a.", "b.museum")),
        ("203.0.113.7:80", ("", "203.0.113.7:80")),
        ("[2001:db8::1]:8443", ("", "[2001:db8::1]:8443")),
    ],
)
def test_a_host_is_split_where_its_owner_begins(destination: str, halves: tuple[str, str]) -> None:
    assert halves_of_host(destination) == halves
