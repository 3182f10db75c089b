"""The forward proxy of the settings, checked at the start."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from gatepost.configuration.settings import Settings, SettingsError
from gatepost.outbound.proxy import ForwardProxy

_PORTS: Final = {"http": 80, "https": 443}
_HOST: Final = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]+")


def forward_proxy(settings: Settings) -> ForwardProxy | None:
    """Return the proxy by which documents and keys of clients are fetched; None where there is none.

    Raises:
        SettingsError: its URL is malformed or of a protocol that is not supported, or there is none to resolve names.
    """
    outbound = settings.outbound
    for setting, url in (("HTTPS_PROXY", outbound.https_proxy), ("ALL_PROXY", outbound.all_proxy)):
        if url is not None:
            return _read(setting, url.get_secret_value(), resolves_names=outbound.proxy_resolves_names)
    if outbound.proxy_resolves_names:
        raise SettingsError(
            "OAUTH_PROXY_RESOLVES_NAMES leaves names to a proxy, and there is none: set HTTPS_PROXY, or remove it."
        )
    return None


def _read(setting: str, url: str, *, resolves_names: bool) -> ForwardProxy:
    wrong = SettingsError(
        f"{setting} (or the same in lower case) takes the URL of an http or https proxy, such as "
        "http://proxy.example:3128, with special characters of user name and password percent-encoded; SOCKS is not "
        "supported."
    )
    if not url.isascii() or not url.isprintable() or " " in url:
        raise wrong
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")  # as curl reads it
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise wrong from None
    is_origin = parts.path in {"", "/"} and not parts.query and not parts.fragment and port != 0
    if parts.scheme not in _PORTS or not is_origin or _HOST.fullmatch(host) is None:
        raise wrong
    address = f"[{host}]" if ":" in host else host
    return ForwardProxy(parts.geturl(), f"{address}:{port or _PORTS[parts.scheme]}", setting, resolves_names)
