"""OAUTH_CLIENTS_FILE: clients that the operator names in a TOML file, and the store that is to hold them.

The file holds no secret: a client's secret stands there as its SHA-256, or comes from a variable or a file of its own.
`docs/clients.md` describes the entries. What is wrong becomes sentences that name the entry and repeat no value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from gatepost.configuration.settings import SettingsError
from gatepost.oauth.audit import AuditEvent, AuditRecord, Outcome, event_id
from gatepost.oauth.errors import OAuthError
from gatepost.oauth.operator_clients import grant_types_of, read_preregistration
from gatepost.oauth.policy import LONGEST_REUSE
from gatepost.oauth.records import Client, ClientOrigin
from gatepost.oauth.registration import new_client
from gatepost.oauth.token_exchange import read_endpoints
from gatepost.stores.contract.store import Store
from gatepost.tokens.opaque import RandomBytes, fingerprint

_MOST_CLIENTS: Final = 1000
_CLIENT_ID = re.compile(r"[A-Za-z0-9._~-]{1,128}")
_SECRET = re.compile(r"[\x21-\x7e]{24,2048}")
_SHA256 = re.compile(r"[0-9A-Fa-f]{64}")
_METHODS: Final = ("none", "client_secret_basic", "client_secret_post", "private_key_jwt")
_SECRET_SOURCES: Final = ("secret_sha256", "secret_env", "secret_file")


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _is_reuse(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LONGEST_REUSE


def _fits(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _are_paths(value: object) -> bool:
    try:
        return isinstance(value, list) and all(map(_is_text, value)) and bool(read_endpoints(value))
    except ValueError:
        return False


_TAKES: Final[Mapping[str, tuple[Callable[[Any], bool], str]]] = {
    "id": (partial(_fits, _CLIENT_ID), "1 to 128 letters, digits and - . _ ~"),
    "name": (_is_text, "what people see on the consent page"),
    "redirect_uris": (_are_texts, "a list of URIs"),
    "machine": (lambda value: isinstance(value, bool), "true or false"),
    "device": (lambda value: isinstance(value, bool), "true or false"),
    "require_par": (lambda value: isinstance(value, bool), "true or false"),
    "auth_method": (lambda value: value in _METHODS, ", ".join(_METHODS[:-1]) + f" or {_METHODS[-1]}"),
    "jwks": (lambda value: isinstance(value, dict), "a JWK set, a table with the list keys"),
    "jwks_uri": (_is_text, "an https URL"),
    "scopes": (_are_texts, "a list of scope names"),
    "enterprise_managed": (lambda value: isinstance(value, bool), "true or false"),
    "dpop_bound_access_tokens": (lambda value: isinstance(value, bool), "true or false"),
    "exchange_from": (_are_paths, "a list of paths of endpoints, such as /mcp"),
    "exchange_to": (_are_paths, "a list of paths of endpoints, such as /mcp"),
    "refresh_reuse": (_is_reuse, f"a number of seconds from 0 to {LONGEST_REUSE}"),
    "secret_sha256": (partial(_fits, _SHA256), "64 hexadecimal digits, the SHA-256 of the secret"),
    "secret_env": (_is_text, "the name of a variable that holds the secret"),
    "secret_file": (_is_text, "the path of a file that holds the secret"),
}
"""What each key of an entry takes: a test, and words."""


class _EntryError(Exception):
    """What is wrong with one entry, as the end of a sentence."""


def read_client_file(path: Path, *, variables: Mapping[str, str], now: int) -> tuple[Client, ...]:
    """Return the clients that a TOML file names; paths in it are relative to its directory.

    `secret_env` is looked up in `variables`; a client that is new has been there since `now` (seconds UTC).

    Raises:
        SettingsError: the file cannot be read, or entries are wrong; one sentence for each.
    """
    clients: dict[str, Client] = {}
    sentences = []
    for number, entry in enumerate(_entries(path), start=1):
        client_id = entry.get("id") if isinstance(entry, dict) else None
        name = f" ({client_id})" if isinstance(client_id, str) and _CLIENT_ID.fullmatch(client_id) else ""
        try:
            client = _client(entry, directory=path.expanduser().parent, variables=variables, now=now)
        except _EntryError as error:
            sentences.append(f"OAUTH_CLIENTS_FILE={path}: client {number}{name} {error}")
            continue
        if client.client_id in clients:
            sentences.append(f"OAUTH_CLIENTS_FILE={path}: client {number}{name} has the id of another entry.")
        clients[client.client_id] = client
    if sentences:
        raise SettingsError(*sentences)
    return tuple(clients.values())


async def keep_settings_clients(
    store: Store, wanted: tuple[Client, ...], *, file: Path | None, now: int, random_bytes: RandomBytes
) -> None:
    """Have the store hold the clients of the settings and, of that origin, no others; what changed is audited.

    Raises:
        SettingsError: an id belongs to a client that became known otherwise.
        StoreUnavailable: the store cannot answer.
    """
    done = await store.clients.keep_settings_clients(wanted, now=now)
    if done.taken:
        raise SettingsError(
            *(
                f"OAUTH_CLIENTS_FILE={file}: the store has a client {client_id} that did not come from this file: give "
                f"the entry another id, or remove that client with gatepost clients remove {client_id}."
                for client_id in done.taken
            )
        )
    events = [
        *((AuditEvent.CLIENT_ADDED, client.client_id) for client in done.added),
        *((AuditEvent.CLIENT_UPDATED, client.client_id) for client in done.changed),
        *((AuditEvent.CLIENT_REMOVED, client_id) for client_id in done.removed),
    ]
    if events:
        await store.audit.append_events(
            [
                AuditRecord(
                    event_id=event_id(at=now, microsecond=sequence, random=random_bytes(6)),
                    at=now,
                    event=event,
                    outcome=Outcome.OK,
                    client_id=client_id,
                    address="settings",
                )
                for sequence, (event, client_id) in enumerate(events)
            ]
        )


def _entries(path: Path) -> list[Any]:
    """Return what stands under `[[client]]`, unchecked."""
    from gatepost.configuration.toml_file import read_toml  # noqa: PLC0415 - most servers have no such file

    document = read_toml(path, setting="OAUTH_CLIENTS_FILE")
    entries = document.get("client", [])
    if document.keys() - {"client"} or not isinstance(entries, list) or len(entries) > _MOST_CLIENTS:
        raise SettingsError(
            f"OAUTH_CLIENTS_FILE={path} takes at most {_MOST_CLIENTS} entries, each under a line [[client]], and "
            "nothing else."
        )
    return entries


def _client(entry: Any, *, directory: Path, variables: Mapping[str, str], now: int) -> Client:
    """Return the client of one entry."""
    if not isinstance(entry, dict):
        raise _EntryError("has to be a table, under a line [[client]].")
    if problem := next(_malformed(entry), None):
        raise _EntryError(problem)
    method = _auth_method(entry)
    sources = [source for source in _SECRET_SOURCES if source in entry]
    has_secret = method.startswith("client_secret_")
    if len(sources) != has_secret:
        words = ", ".join(_SECRET_SOURCES)
        raise _EntryError(f"needs one of {words}." if has_secret else f"has auth_method {method} and takes no {words}.")
    if method != "private_key_jwt" and ("jwks" in entry or "jwks_uri" in entry):
        raise _EntryError(f"has auth_method {method}, and jwks and jwks_uri are for private_key_jwt.")
    document = {
        "client_name": entry["name"],
        "redirect_uris": entry.get("redirect_uris"),
        "grant_types": grant_types_of(is_device=entry.get("device", False), redirects=bool(entry.get("redirect_uris"))),
        "token_endpoint_auth_method": method,
        "jwks": entry.get("jwks"),
        "jwks_uri": entry.get("jwks_uri"),
        "scope": " ".join(entry.get("scopes", ())) or None,
        "dpop_bound_access_tokens": entry.get("dpop_bound_access_tokens"),
    }
    try:
        metadata = read_preregistration(
            document,
            is_machine=entry.get("machine", False),
            is_enterprise_managed=entry.get("enterprise_managed", False),
            exchanges="exchange_from" in entry,
        )
    except OAuthError as error:
        raise _EntryError(f"is refused: {error.description}") from None
    return new_client(
        metadata,
        client_id=entry["id"],
        secret_fingerprint=_fingerprint(entry, directory=directory, variables=variables) if has_secret else None,
        now=now,
        origin=ClientOrigin.SETTINGS,
        refresh_reuse=entry.get("refresh_reuse"),
        requires_pushed_requests=entry.get("require_par", False),
        exchange_from=read_endpoints(entry.get("exchange_from", ())),
        exchange_to=read_endpoints(entry.get("exchange_to", ())),
    )


def _malformed(entry: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the shape of an entry."""
    for key, value in entry.items():
        if key in {"secret", "client_secret"}:
            yield f"holds a secret in plain text; set one of {', '.join(_SECRET_SOURCES)} instead."
        elif key not in _TAKES:
            yield f"has a key that no entry has; there are {', '.join(_TAKES)}."
        elif not _TAKES[key][0](value):
            yield f"is wrong: {key} takes {_TAKES[key][1]}."
    yield from (f"needs {key}: {_TAKES[key][1]}." for key in ("id", "name") if key not in entry)
    if ("exchange_from" in entry) != ("exchange_to" in entry):
        yield "needs both exchange_from and exchange_to to exchange tokens."
    if entry["id"].startswith("user_"):
        # The id is the subject of a machine's tokens, and must not be that of a person (RFC 9068 section 5).
        yield "has an id that begins with user_, as those of people do; choose another."


def _auth_method(entry: Mapping[str, Any]) -> str:
    """Return how the client authenticates; where the entry does not say, its keys or its secret do."""
    if "auth_method" in entry:
        method: str = entry["auth_method"]
        return method
    if "jwks" in entry or "jwks_uri" in entry:
        return "private_key_jwt"
    return "client_secret_basic" if any(source in entry for source in _SECRET_SOURCES) else "none"


def _fingerprint(entry: Mapping[str, Any], *, directory: Path, variables: Mapping[str, str]) -> bytes:
    """Return the fingerprint of the client's secret, wherever that is."""
    if "secret_sha256" in entry:
        return bytes.fromhex(entry["secret_sha256"])
    if "secret_env" in entry:
        source, secret = "secret_env", variables.get(entry["secret_env"])
    else:
        source = "secret_file"
        try:
            secret = (directory / Path(entry["secret_file"]).expanduser()).read_text(encoding="ascii").rstrip("\r\n")
        except (OSError, ValueError):
            secret = None
    if secret is None:
        raise _EntryError(f"needs what its {source} names: it is not set, or cannot be read.")
    if _SECRET.fullmatch(secret) is None:
        raise _EntryError(
            f"has a {source} that names something else than 24 to 2048 printable ASCII characters without blanks: "
            "make a secret, for example with: python3 -c 'import secrets; print(secrets.token_urlsafe(32))'."
        )
    return fingerprint(secret)
