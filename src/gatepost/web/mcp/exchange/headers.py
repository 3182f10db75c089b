"""What the MCP endpoint reads from a request's headers, and what it asks of them (RFC 9110)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from gatepost.protocol.errors import HeaderMismatch, InvalidJsonRpcRequest

JSON = b"application/json"
_ADMIT_JSON = frozenset({JSON, b"application/*", b"*/*"})
_ADMIT_EVENTS = frozenset({b"text/event-stream", b"text/*", b"*/*"})
_NO_QUALITY = re.compile(rb"q=0(?:\.0*)?")
_CHARSETS = frozenset({b"utf-8", b"utf8"})
# What the SDKs send; looking it up is cheaper than reading it.
_COMMON_ACCEPTS = frozenset({b"application/json, text/event-stream", b"application/json,text/event-stream", b"*/*"})

# Each of these decides something, and two readers may pick different ones. `Authorization` belongs here too; the bearer
# guard refuses it with a challenge.
_MAY_NOT_REPEAT = frozenset({b"host", b"origin", b"content-type"})
_MIRROR_PREFIX = b"mcp-"


def single_values(raw_headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Return the headers of a request in which some name stands twice, one value each.

    `Accept` is a list, so its values are joined (RFC 9110 section 5.3). `Authorization` is left out if it stands twice.
    Of those that are looked at nowhere the last one counts.

    Raises:
        HeaderMismatch: an `Mcp-` header is repeated.
        InvalidJsonRpcRequest: another header that decides something is repeated.
    """
    headers: dict[bytes, bytes] = {}
    repeated: set[bytes] = set()
    for name, value in raw_headers:
        if name == b"accept" and name in headers:
            headers[name] += b"," + value
            continue
        if name in headers:
            repeated.add(name)
        headers[name] = value
    for name in repeated:
        if name.startswith(_MIRROR_PREFIX):
            raise HeaderMismatch("An Mcp- header stands in the request twice.")
        if name in _MAY_NOT_REPEAT:
            raise InvalidJsonRpcRequest(f"The header {name.decode('ascii')} stands in the request twice.")
    if b"authorization" in repeated:
        del headers[b"authorization"]
    return headers


def is_json(content_type: bytes | None) -> bool:
    """Say whether a body of this type is JSON in UTF-8: `application/json`, and nothing that browsers send unasked.

    The strictness is a defence: a page of another site can make a browser post text or a form here without asking
    first, but not this type (Fetch standard, "CORS-safelisted request-header").
    """
    if content_type == JSON:
        return True
    if content_type is None:
        return False
    media_type, *parameters = (part.strip().lower() for part in content_type.split(b";"))
    if media_type != JSON:
        return False
    for parameter in parameters:
        name, _, value = parameter.partition(b"=")
        if name.strip() == b"charset" and value.strip().strip(b'"') not in _CHARSETS:
            return False
    return True


def accepts_events(accept: bytes | None) -> bool:
    """Say whether a client with this `Accept` header takes an event stream."""
    return accept is None or accept in _COMMON_ACCEPTS or _admits(accept, _ADMIT_EVENTS)


def names_events(accept: bytes | None) -> bool:
    """Say whether this `Accept` header names event streams, `text/event-stream` or `text/*`; `*/*` is not enough.

    The nearer of the two counts, and a quality of 0 says no (RFC 9110 sections 12.4.2 and 12.5.1).
    """
    is_wanted: dict[bytes, bool] = {}
    for entry in () if accept is None else accept.lower().split(b","):
        media_type, *parameters = (part.strip() for part in entry.split(b";"))
        is_wanted[media_type] = not any(_NO_QUALITY.fullmatch(parameter) for parameter in parameters)
    return is_wanted.get(b"text/event-stream", is_wanted.get(b"text/*", False))


def accepts_json(accept: bytes | None) -> bool:
    """Say whether a client with this `Accept` header takes JSON (RFC 9110 section 12.5.1).

    Clients have to list JSON and event streams both. Some list less; as long as JSON is among it, no harm is done.
    """
    return accept is None or accept in _COMMON_ACCEPTS or _admits(accept, _ADMIT_JSON)


def _admits(accept: bytes, media_types: frozenset[bytes]) -> bool:
    return any(entry.partition(b";")[0].strip().lower() in media_types for entry in accept.split(b","))
