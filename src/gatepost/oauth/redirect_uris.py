"""Redirect URIs: which may be registered, and when two are the same (RFC 6749 section 3.1.2, RFC 8252, RFC 9700 2.1).

One rule serves registration, authorization, consent and the redirect itself: two redirect URIs are the same when they
are the same string, and on loopback also when they differ in the port alone. Nothing is normalised, so no two different
strings meet by way of letter case, escapes, dots or slashes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from urllib.parse import unquote_plus

from gatepost.oauth.errors import InvalidRedirectUri
from gatepost.oauth.reasons import Reason

MAX_LENGTH = 2048
"""Characters of one redirect URI."""

# What must not occur anywhere, with the end of the sentence that says so. The first rule leaves the characters of
# RFC 3986 appendix A: whatever lies outside (whitespace, backslashes, quotes, non-ASCII) is read differently by
# different URL parsers, and that is what redirect attacks are made of.
_TEXT_RULES = (
    (
        re.compile(r"[^A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]"),
        "holds whitespace, a control character, a backslash or another character that no URI can hold",
    ),
    (re.compile(r"%(?![0-9A-Fa-f]{2})"), "holds a malformed percent escape"),
    (re.compile(r"%(?:[01][0-9A-Fa-f]|7[Ff])"), "holds an escaped control character"),
    (re.compile(r"#"), "has a fragment (RFC 6749 section 3.1.2)"),
    (re.compile(r"\*"), "holds an asterisk; there are no wildcards, each redirect URI is compared as it stands"),
)
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,63}):(.*)")
_AUTHORITY = re.compile(r"//([^/?]*)(.*)")
_HOST_AND_PORT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?")
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_NUMERIC_LABEL = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_MAX_HOST = 253
_MAX_PORT = 65535
_OWNED_LABELS = 2
_COUNTRY = 2
_LONGEST_REGISTRY = 3  # as in co.uk and com.au

# RFC 8252 section 7.3 names the two addresses; section 8.3 advises against `localhost`, but clients in wide use
# register it. Spelled exactly: `127.1`, `LOCALHOST` and `app.localhost` are other hosts here.
_LOOPBACK = re.compile(r"http://(127\.0\.0\.1|\[::1\]|localhost)(?::([0-9]{1,5}))?([/?].*)?")
_LOOPBACK_HOSTS = ("127.0.0.1", "[::1]", "localhost")

# What the authorization response adds. A redirect URI that brings its own could speak in our name (RFC 9207 section 2).
_RESPONSE_PARAMETERS = frozenset({"code", "state", "iss", "error", "error_description", "error_uri"})

# Private-use schemes cannot be listed, so the schemes that do harm are. The rule that a slash follows the colon keeps
# out every scheme with an opaque part, such as `mailto:` or `tel:`; the known ones are listed all the same. Compared in
# 2026-11 with the lists of Chromium, Firefox, DOMPurify, safehtml and the HTML Standard (record 0032).
_DANGEROUS_SCHEMES = (
    # The browser runs the rest as code, or as a document made of it, possibly in an origin that is not the client's.
    frozenset({"mocha", "data", "blob", "filesystem", "jar", "mhtml", "mk", "wysiwyg", "url"})
    | frozenset({"lynxexec", "lynxcgi", "lynxprog", "isolated-app", "uuid-in-package"})
    # Local files, and the browser's own pages.
    | frozenset(
        {"file", "res", "its", "about", "view-source", "resource", "devtools", "wyciwyg", "extension", "feed", "feeds"}
    )
    | frozenset({"disk", "disks", "ie.http", "iehistory", "ierss", "itss", "vnd.ms.radio", "pcast", "android-resource"})
    | frozenset({"edge", "opera", "brave", "vivaldi", "safari"})
    # The code would travel over a network protocol that is no web origin, mostly in the clear.
    | frozenset({"ws", "wss", "ftp", "ftps", "sftp", "tftp", "gopher", "gemini", "smb", "cifs", "nfs", "afp", "dict"})
    | frozenset({"ssh", "scp", "fish", "telnet", "telnets", "rlogin", "tn3270", "vnc", "rdp", "finger", "rsync"})
    | frozenset({"dav", "davs", "webdav", "webcal", "git", "svn", "ldap", "ldaps", "ldapi"})
    | frozenset({"imap", "imaps", "pop", "pops", "smtp", "smtps", "irc", "ircs", "xmpp", "news", "nntp", "snews"})
    | frozenset({"rtsp", "rtsps", "rtspu", "rtmp", "rtmps", "rtmpt", "rtmpe", "mms", "gophers", "coap", "coaps"})
    | frozenset({"stun", "stuns", "turn", "turns", "ipp", "ipps"})
    # Slips that browsers mend to a web address.
    | frozenset({"ttp", "htp", "ttps", "tps", "ps", "htps", "ile", "le"})
    # Schemes that any website may register itself for (HTML Standard, registerProtocolHandler), and get the code.
    | frozenset({"bitcoin", "geo", "im", "matrix", "openpgp4fpr", "wtai", "dat", "dweb", "ssb"})
    # Content that programs fetch, unpack or run by its name; the code would become part of that name.
    | frozenset({"ipfs", "ipns", "jdbc", "php", "phar", "expect"})
    # The operating system hands the rest to a program of its own, which acts on it.
    | frozenset(
        {"intent", "intents", "android-app", "content", "market", "shell", "search", "search-ms", "hcp", "help"}
    )
    | frozenset({"osascript", "powershell", "jnlp", "jnlps", "shortcuts", "workflow", "steam"})
    # Messages and calls: the code would be put into one.
    | frozenset({"mailto", "tel", "sms", "smsto", "callto", "sip", "sips", "facetime", "facetime-audio", "skype"})
    # Names, not places.
    | frozenset({"urn", "tag", "cid", "mid", "acct", "magnet"})
)
# Families: browsers' internals (chrome-extension, moz-extension) and requests to open something else in a browser
# (microsoft-edge, googlechrome), handlers of Windows (ms-msdt, ms-settings) and of macOS (x-man-page, itms-services).
_DANGEROUS_PREFIXES = (
    *("chrome", "googlechrome", "moz-", "firefox", "safari-", "opera-", "microsoft-", "ms-", "x-", "itms"),
    *("web+", "ext+"),  # websites and extensions of Firefox register these for themselves
)
# Scripting languages that some browser ran or runs (a name of two parts, such as `com.example.script`, is none), and
# single letters, which are drives on Windows.
_WORDS = re.compile(r"[a-z0-9]*script|[a-z]")


def check_registrable(uri: str) -> None:
    """Refuse a redirect URI that no client may have.

    Accepted are https with a host, http on loopback only (RFC 8252 section 7.3), and private-use schemes such as
    `com.example.app:/callback` or `cursor://host/path` (section 7.1), which may lack the dot that section 7.1 asks for:
    a client in wide use does. Schemes are in lower case, the form of RFC 3986 section 3.1, so that whoever looks at one
    later need not think of another spelling.

    Raises:
        InvalidRedirectUri: anything else. The description names the rule and repeats nothing of the URI.
    """
    problem = _problem(uri)
    if problem is not None:
        raise InvalidRedirectUri(Reason.REDIRECT_URI_INVALID, f"The redirect URI {problem}.")


def is_registered(requested: str, registered: Iterable[str]) -> bool:
    """Say whether `requested` is one of the `registered` redirect URIs, and one that a client may have at all."""
    return _problem(requested) is None and any(_same(requested, uri) for uri in registered)


def why_unregistered(requested: str, registered: Iterable[str]) -> str:
    """Return a sentence for the client's developer about why `requested` is not among `registered`."""
    known = tuple(registered)
    problem = _problem(requested)
    if problem is not None:
        return f"The redirect URI {problem}."
    loopback = _LOOPBACK.fullmatch(requested)
    if loopback is not None:
        host = loopback[1]
        for other in _LOOPBACK_HOSTS:
            swapped = requested.replace(host, other, 1)
            if other != host and any(_same(swapped, uri) for uri in known):
                return (
                    f"This client registered its redirect URI with {other} and now sends {host}. They are different "
                    "hosts to this server and to the browser (RFC 8252 section 8.3); use the same one in both places."
                )
    if any(_same(requested + "/", uri) or _same(requested.removesuffix("/"), uri) for uri in known):
        return "The redirect URI differs from a registered one by a slash at its end; send it exactly as registered."
    return "The redirect URI is not one that this client registered; it is compared character by character."


def is_loopback(uri: str) -> bool:
    """Say whether `uri` leads to a program on the user's own device by http (RFC 8252 section 7.3)."""
    return _without_port(uri) is not None


def display_host(uri: str) -> str:
    """Return what to show people as the place that `uri` leads to.

    The host in lower case, with its port where that is part of the identity; for a private-use scheme the scheme too,
    such as `cursor://anysphere.cursor-retrieval` or `com.example.app:`. Plain ASCII; an internationalised name stays
    in its `xn--` form, which cannot look like another name.

    Args:
        uri: a redirect URI that passed `check_registrable`.
    """
    scheme, _, rest = uri.partition(":")
    authority = re.split("[/?]", rest.removeprefix("//"), maxsplit=1)[0].lower() if rest.startswith("//") else ""
    if scheme == "https":
        return authority
    if is_loopback(uri):
        return re.sub(r":[0-9]+$", "", authority)
    return f"{scheme}://{authority}" if authority else f"{scheme}:"


def halves_of_host(destination: str) -> tuple[str, str]:
    """Split what `display_host` says of an https URL where its owner's name begins: `("claude.ai.", "evil.example")`.

    A page dims the first half, as browsers do in the address bar: whoever owns a name can put any other name in front
    of it. This guesses the boundary (two labels, three under registries such as `co.uk`); both halves are always shown.
    """
    host, colon, port = destination.partition(":")
    labels = host.split(".")
    if host.startswith("[") or labels[-1].isdecimal():
        return "", destination
    is_registry = len(labels) > _OWNED_LABELS and len(labels[-1]) == _COUNTRY and len(labels[-2]) <= _LONGEST_REGISTRY
    boundary = len(labels) - _OWNED_LABELS - is_registry
    return "".join(label + "." for label in labels[:boundary]), ".".join(labels[boundary:]) + colon + port


def is_https_url(url: str) -> bool:
    """Say whether `url` is an https URL with an unambiguous host, as `client_uri` and `logo_uri` have to be."""
    return url.startswith("https://") and _problem(url) is None


def is_web(uri: str) -> bool:
    """Say whether `uri`, which passed `check_registrable`, leads to a server and not to a program on the device."""
    return uri.startswith("https:")


def _same(requested: str, registered: str) -> bool:
    if requested == registered:
        return True
    portless = _without_port(requested)
    return portless is not None and portless == _without_port(registered)


def _without_port(uri: str) -> tuple[str, str] | None:
    """Return host and rest of an http loopback URI, None for every other."""
    match = _LOOPBACK.fullmatch(uri)
    if match is None or int(match[2] or 0) > _MAX_PORT:
        return None
    return match[1], match[3] or ""


def _problem(uri: str) -> str | None:
    """Return what is wrong with `uri`, as the end of a sentence, or None."""
    if len(uri) > MAX_LENGTH:
        return f"is longer than {MAX_LENGTH} characters"
    for forbidden, problem in _TEXT_RULES:
        if forbidden.search(uri):
            return problem
    match = _SCHEME.fullmatch(uri)
    if match is None:
        return "does not start with a scheme such as https"
    if not match[1].islower():
        return "has a scheme that is not in lower case (RFC 3986 section 3.1)"
    return _scheme_problem(uri, match[1], match[2]) or _query_problem(uri)


def _scheme_problem(uri: str, scheme: str, rest: str) -> str | None:
    if scheme in _DANGEROUS_SCHEMES or scheme.startswith(_DANGEROUS_PREFIXES) or _WORDS.fullmatch(scheme):
        return "has a scheme that a browser, an operating system or another program treats as its own"
    if scheme == "http":
        return None if is_loopback(uri) else "uses http, which is allowed on 127.0.0.1, [::1] and localhost only"
    authority = _AUTHORITY.fullmatch(rest)
    if scheme == "https":
        return _host_problem(authority[1] if authority else "")
    if scheme.startswith("http"):
        return "has a scheme that looks like http or https and is neither"
    if not rest.startswith("/"):
        return "lacks a slash after its scheme; is the scheme missing?"
    # Private-use schemes may have an empty authority, as in `com.example.app:///callback`.
    return _host_problem(authority[1]) if authority and authority[1] else None


def _host_problem(authority: str) -> str | None:
    if "@" in authority:
        return "holds user information before its host"
    match = _HOST_AND_PORT.fullmatch(authority)
    if match is None or int(match[2] or 0) > _MAX_PORT:
        return "has no host, or one that is not a plain host name or address with an optional port"
    host = match[1]
    try:
        if host.startswith("["):
            IPv6Address(host[1:-1])
        elif _NUMERIC_LABEL.fullmatch(host.rpartition(".")[2]):
            # A browser takes any host that ends in a number for an IPv4 address, in whatever notation.
            IPv4Address(host)
        elif len(host) > _MAX_HOST or not all(map(_LABEL.fullmatch, host.split("."))):
            return "has a host that is not a valid host name"
    except AddressValueError:
        return "has a host that looks like an address but is not one in its usual notation"
    return None


def _query_problem(uri: str) -> str | None:
    query = uri.partition("?")[2]
    names = {unquote_plus(pair.partition("=")[0]) for pair in query.split("&")}
    if names & _RESPONSE_PARAMETERS:
        return "has a query parameter that the authorization response uses (code, state, iss, error)"
    return None
