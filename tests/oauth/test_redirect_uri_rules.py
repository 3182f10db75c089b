"""Each rule for redirect URIs by itself: its limit from both sides, each member of its lists, what it says."""

from __future__ import annotations

import pytest

from gatepost.oauth.errors import InvalidRedirectUri
from gatepost.oauth.redirect_uris import MAX_LENGTH, check_registrable

EVERY_SCHEME = (
    *("about", "acct", "afp", "android-app", "android-resource", "bitcoin", "blob", "brave", "callto", "cid"),
    *("cifs", "coap", "coaps", "content", "dat", "data", "dav", "davs", "devtools", "dict", "disk", "disks"),
    *("dweb", "edge", "expect", "extension", "facetime", "facetime-audio", "feed", "feeds", "file"),
    *("filesystem", "finger", "fish", "ftp", "ftps", "gemini", "geo", "git", "gopher", "gophers", "hcp"),
    *("help", "htp", "htps", "ie.http", "iehistory", "ierss", "ile", "im", "imap", "imaps", "intent"),
    *("intents", "ipfs", "ipns", "ipp", "ipps", "irc", "ircs", "isolated-app", "its", "itss", "jar", "jdbc"),
    *("jnlp", "jnlps", "ldap", "ldapi", "ldaps", "le", "lynxcgi", "lynxexec", "lynxprog", "magnet", "mailto"),
    *("market", "matrix", "mhtml", "mid", "mk", "mms", "mocha", "news", "nfs", "nntp", "openpgp4fpr", "opera"),
    *("osascript", "pcast", "phar", "php", "pop", "pops", "powershell", "ps", "rdp", "res", "resource"),
    *("rlogin", "rsync", "rtmp", "rtmpe", "rtmps", "rtmpt", "rtsp", "rtsps", "rtspu", "safari", "scp"),
    *("search", "search-ms", "sftp", "shell", "shortcuts", "sip", "sips", "skype", "smb", "sms", "smsto"),
    *("smtp", "smtps", "snews", "ssb", "ssh", "steam", "stun", "stuns", "svn", "tag", "tel", "telnet"),
    *("telnets", "tftp", "tn3270", "tps", "ttp", "ttps", "turn", "turns", "url", "urn", "uuid-in-package"),
    *("view-source", "vivaldi", "vnc", "vnd.ms.radio", "webcal", "webdav", "workflow", "ws", "wss", "wtai"),
    *("wyciwyg", "wysiwyg", "xmpp"),
)
EVERY_PREFIX = (
    *("chrome", "googlechrome", "moz-", "firefox", "safari-", "opera-", "microsoft-", "ms-", "x-", "itms"),
    *("web+", "ext+"),
)


@pytest.mark.parametrize("scheme", [*EVERY_SCHEME, *(f"{prefix}any" for prefix in EVERY_PREFIX)])
def test_each_scheme_that_something_else_answers_to_is_refused_as_such(scheme: str) -> None:
    with pytest.raises(InvalidRedirectUri) as refusal:
        check_registrable(f"{scheme}://host/callback")
    assert refusal.value.description == (
        "The redirect URI has a scheme that a browser, an operating system or another program treats as its own."
    )


@pytest.mark.parametrize("name", ["code", "state", "iss", "error", "error_description", "error_uri"])
def test_a_parameter_of_the_response_is_refused_wherever_it_stands_in_the_query(name: str) -> None:
    for query in (f"{name}=x", f"a=b&{name}", f"{name}=&a=b"):
        with pytest.raises(InvalidRedirectUri, match="has a query parameter that the authorization response uses"):
            check_registrable(f"https://app.example/cb?{query}")
    check_registrable(f"https://app.example/{name}?{name}s=x")


@pytest.mark.parametrize(
    ("uri", "problem"),
    [
        ("https://app.example/" + "a" * (MAX_LENGTH - 19), "is longer than 2048 characters"),
        (
            "https://app.example/a b",
            "holds whitespace, a control character, a backslash or another character that no URI ",
        ),
        ("https://app.example/%zz", "holds a malformed percent escape"),
        ("https://app.example/%0a", "holds an escaped control character"),
        ("https://app.example/%7F", "holds an escaped control character"),
        ("https://app.example/#x", "has a fragment "),
        ("https://app.example/*", "holds an asterisk; "),
        ("/callback", "does not start with a scheme such as https"),
        ("http://app.example/", "uses http, which is allowed on 127.0.0.1, [::1] and localhost only"),
        ("app:callback", "lacks a slash after its scheme; "),
        ("https://user@app.example/", "holds user information before its host"),
        ("https:///cb", "has no host, or one that is not a plain host name "),
        ("https://app.example:65536/", "has no host, or one that is not a plain host name "),
        ("https://a..example/", "has a host that is not a valid host name"),
        ("https://127.1/", "has a host that looks like an address but is not one in its usual notation"),
        ("https://[1:2]/", "has a host that looks like an address but is not one in its usual notation"),
    ],
)
def test_each_refusal_names_its_rule(uri: str, problem: str) -> None:
    with pytest.raises(InvalidRedirectUri) as refusal:
        check_registrable(uri)
    assert refusal.value.description.startswith(f"The redirect URI {problem}")


@pytest.mark.parametrize(
    "uri",
    [
        "https://app.example/" + "a" * (MAX_LENGTH - 20),
        "https://app.example:65535/",
        "http://localhost:65535/",
        "https://" + "a" * 63 + ".example/",
        "https://" + "a." * 122 + "a.example/",
        "a" * 64 + "://host/",
    ],
)
def test_what_is_as_long_as_may_be_is_accepted(uri: str) -> None:
    check_registrable(uri)


@pytest.mark.parametrize(
    "uri",
    [
        "http://localhost:65536/",
        "https://" + "a" * 64 + ".example/",
        "https://" + "a." * 123 + ".example/",
        "https://" + "a." * 122 + "aa.example/",
        "a" * 65 + "://host/",
    ],
)
def test_what_is_longer_is_not(uri: str) -> None:
    with pytest.raises(InvalidRedirectUri):
        check_registrable(uri)
