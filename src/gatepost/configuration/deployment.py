"""From settings to a deployment: under which URL the server is known, who may reach it, where its data lies.

Refuses what is unsafe, with a sentence that says what to set. A server counts as public as soon as it listens on
anything but loopback or is known by anything but a loopback name.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from gatepost.configuration.observability_section import ObservabilitySettings
from gatepost.configuration.sealing_keys import contents_of
from gatepost.configuration.settings import Settings, SettingsError
from gatepost.late_dataclass import dataclass
from gatepost.stores.contract.errors import StoreMisconfigured
from gatepost.stores.urls import EXAMPLES, Location, StoreOptions, asks_for_password, locate

MCP_PATH = "/mcp"
"""Where a single endpoint is served; `/mcp/` answers too, without a redirect."""

_DEFAULT_PORTS = {"http": 80, "https": 443}
_PATH = re.compile(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*")  # no dot segments, nothing that needs escaping
_WELL_KNOWN_SECRETS = frozenset({"change-me", "changeme", "secret", "password", "api-key", "test", "admin"})
_SHORTEST_PUBLIC_API_KEY = 24
"""Characters; 24 of base64 are 144 bits. Anything shorter is likely to be a word."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """Where and how this server is reached; plain values for everything below."""

    public_url: str
    """Where everything is, without a trailing slash: an origin, perhaps with a path."""
    is_secure: bool
    """Whether it is https."""
    is_public: bool
    is_any_loopback: bool
    """Whether it answers to every loopback name: it has no public URL, so whatever name a client uses is right."""
    allowed_hosts: frozenset[str]
    """`Host` values that are ours, lower case, with port where it is not the scheme's default."""
    allowed_origins: frozenset[str]
    """Browser origins that may call the MCP endpoint, beside the loopback ones."""

    @property
    def base_path(self) -> str:
        """The path of the public URL; empty where it is an origin."""
        return urlsplit(self.public_url).path


def resolve_deployment(settings: Settings, *, is_single_user: bool) -> Deployment:
    """Work the deployment out.

    Raises:
        SettingsError: a URL is malformed, or the combination is unsafe; every sentence says what to set.
    """
    server = settings.server
    listens_publicly = server.uds is None and not is_loopback_host(server.host)
    if server.public_url is None:
        if server.uds is not None:
            raise SettingsError(
                "A Unix socket (MCP_UDS) has no address by which clients could know the server: set MCP_PUBLIC_URL to "
                "the origin of the proxy in front of it, such as https://mcp.example.com."
            )
        if listens_publicly:
            raise SettingsError(
                f"MCP_HOST={server.host} can be reached from other machines, so MCP_PUBLIC_URL must say under "
                "which https origin, such as https://mcp.example.com; or set MCP_HOST=127.0.0.1."
            )
        public_url = f"http://{host_and_port(server.host, server.port)}"
    else:
        public_url = canonical_url(server.public_url)
    parts = urlsplit(public_url)
    is_public = listens_publicly or not is_loopback_host(parts.hostname or "")
    location = locate_store(settings)
    if problems := [*_unsafe_figures(settings.observability)]:
        raise SettingsError(*problems)
    if is_public and (problems := [*_unsafe(settings, public_url, location, is_single_user=is_single_user)]):
        raise SettingsError(*problems)
    return Deployment(
        public_url=public_url,
        is_secure=parts.scheme == "https",
        is_public=is_public,
        is_any_loopback=server.public_url is None,
        allowed_hosts=frozenset({*_host_values(public_url), *(host.lower() for host in server.allowed_hosts)}),
        allowed_origins=frozenset({f"{parts.scheme}://{parts.netloc}", *server.allowed_origins}),
    )


def host_and_port(host: str, port: int) -> str:
    """Return the two as they stand in a URL."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def canonical_url(url: str) -> str:
    """Return `url` in its one form: scheme and host in lower case, no default port, no trailing slash.

    Raises:
        SettingsError: it is not an http(s) URL of host, port and path alone.
    """
    wrong = SettingsError(
        "MCP_PUBLIC_URL takes the address that clients use, such as https://mcp.example.com or "
        "https://example.com/tools: http or https, a host, perhaps a port, perhaps a path of letters, digits and "
        "- . _ ~, and no query or user name."
    )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise wrong from None
    host = parts.hostname
    path = parts.path.removesuffix("/")
    is_plain = _PATH.fullmatch(path) and not (parts.query or parts.fragment) and "@" not in parts.netloc
    if parts.scheme not in _DEFAULT_PORTS or not host or not is_plain or not url.isascii() or not url.isprintable():
        raise wrong
    host = f"[{host}]" if ":" in host else host
    authority = host if port in {None, _DEFAULT_PORTS[parts.scheme]} else f"{host}:{port}"
    return f"{parts.scheme}://{authority}{path}"


def is_loopback_host(host: str) -> bool:
    """Say whether a host name or address literal (without brackets) means this machine only."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _unsafe(settings: Settings, public_url: str, location: Location, *, is_single_user: bool) -> Iterator[str]:
    """Yield a sentence for each thing that must not be public."""
    host = urlsplit(public_url).hostname or ""
    if public_url.startswith("http:") and not is_loopback_host(host):
        yield "MCP_PUBLIC_URL must be https: tokens and passwords would cross the network in clear."
    if location.is_lost_at_exit:
        yield (
            "MCP_STORAGE_URL=memory: forgets every client and token at a restart and is for tests: set sqlite:///path.db."
        )
    yield from _openable(settings, location)
    if is_single_user:
        yield (
            "The single-user mode lets everybody in who can reach the server and is for loopback only: leave it out "
            "(local accounts are the default), or set MCP_HOST=127.0.0.1 and no public MCP_PUBLIC_URL."
        )
    if settings.oauth.auto_approve and settings.oauth.enabled:
        yield (
            "OAUTH_AUTO_APPROVE would hand a token to any app whose link a logged-in user opens: set it to false on a "
            "public server; scripts can use MCP_API_KEY."
        )
    if any(proxy.endswith("/0") for proxy in settings.server.trusted_proxies):
        yield (
            "MCP_TRUSTED_PROXIES names every address, so everybody could claim to be somebody else: name the addresses "
            "that the proxies connect from."
        )
    if settings.registration.documents_on_loopback:
        yield (
            "OAUTH_CIMD_ALLOW_LOOPBACK is for tests: strangers could have this server connect to itself. Remove it, "
            "or set it to false."
        )
    api_key = settings.server.api_key.get_secret_value() if settings.server.api_key else None
    if api_key is not None and (len(api_key) < _SHORTEST_PUBLIC_API_KEY or api_key.lower() in _WELL_KNOWN_SECRETS):
        yield (
            f"MCP_API_KEY is a default or shorter than {_SHORTEST_PUBLIC_API_KEY} characters: set a random one, for "
            "example from: python3 -c 'import secrets; print(secrets.token_urlsafe(32))'."
        )


def _openable(settings: Settings, location: Location) -> Iterator[str]:
    """Yield a sentence if a stolen copy of the data opens what is sealed."""
    if settings.server.sealing_keys is None:
        yield (
            "MCP_SEALING_KEYS is missing, and what a public server seals must not open with a key that lies beside it: "
            + _where_keys_come_from(location.key_file)
        )
    elif settings.server.sealing_keys_file is not None and location.key_file is not None:
        folder = location.key_file.parent.resolve()
        if settings.server.sealing_keys_file.expanduser().resolve().is_relative_to(folder):
            yield (
                "MCP_SEALING_KEYS_FILE lies beside the data, so that a stolen copy of them would open what is sealed: "
                "keep it with your secrets, and move the file away from the data."
            )


def _unsafe_figures(observability: ObservabilitySettings) -> Iterator[str]:
    """Yield a sentence if figures would be public by accident: they say how much is used, by which names, and when."""
    address, token = observability.metrics_address, observability.metrics_token
    if address is None or is_loopback_host(address[0]):
        return
    if token is None:
        yield (
            f"MCP_METRICS_LISTEN={observability.metrics_listen} can be reached from other machines: set "
            "MCP_METRICS_TOKEN to what scrapers have to send, or listen on 127.0.0.1."
        )
    elif len(token.get_secret_value()) < _SHORTEST_PUBLIC_API_KEY:
        yield (
            f"MCP_METRICS_TOKEN is shorter than {_SHORTEST_PUBLIC_API_KEY} characters: set a random one, for example "
            "from: python3 -c 'import secrets; print(secrets.token_urlsafe(32))'."
        )


def _where_keys_come_from(file: Path | None) -> str:
    if file is None or not file.exists():
        return (
            "set a random one and keep it, for example from: "
            "python3 -c 'import secrets; print(secrets.token_urlsafe(32))'."
        )
    return (
        f"set it to the key in {file}, with which this store was sealed, as in "
        f'export MCP_SEALING_KEYS="{contents_of(file)}", keep it with your secrets, and move the file away from '
        "the data."
    )


def store_url(settings: Settings) -> str:
    """Return the URL of the store: a SQLite file in the storage directory where MCP_STORAGE_URL names none."""
    url = settings.server.storage_url
    return f"sqlite:///{settings.oauth.storage_dir.expanduser() / 'gatepost.db'}" if url is None else url


def key_file(settings: Settings) -> Path:
    """Return where the sealing key is kept when MCP_SEALING_KEYS names none: beside the data if that is in a file."""
    return locate_store(settings).key_file or settings.oauth.storage_dir.expanduser() / "gatepost.key"


def locate_store(settings: Settings) -> Location:
    """Return where the store lies.

    Raises:
        SettingsError: MCP_STORAGE_URL is malformed, or no backend's; or a password file is named for one without.
    """
    server, url = settings.server, store_url(settings)
    if server.storage_password_file is not None and not asks_for_password(url):
        raise SettingsError("MCP_STORAGE_PASSWORD_FILE is for a database that asks for a password; leave it out.")
    try:
        return locate(url, StoreOptions(server.storage_connections, server.storage_password_file))
    except StoreMisconfigured:
        raise SettingsError(f"MCP_STORAGE_URL takes {EXAMPLES}; this version knows no other store.") from None


def _host_values(origin: str) -> tuple[str, ...]:
    """Return the `Host` values that mean this origin: without the default port and with it (RFC 9110 section 7.2)."""
    parts = urlsplit(origin)
    if parts.port is not None:
        return (parts.netloc,)
    return (parts.netloc, f"{parts.netloc}:{_DEFAULT_PORTS[parts.scheme]}")
