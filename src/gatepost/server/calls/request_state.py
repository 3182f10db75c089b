"""Request state: what a request of the modern era carries from one run to the next, sealed.

MCP 2026-07-28 basic/patterns/mrtr, "Server Requirements". The state travels through the client, so it is encrypted and
authenticated. It opens only at the same endpoint, for the same user, method, name and arguments, and for ten minutes.
It may be used twice within them: what must happen once in all is for the tool to ensure.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any, Final

from gatepost.late_dataclass import dataclass
from gatepost.protocol.errors import InvalidParams
from gatepost.protocol.messages import Request
from gatepost.resource.principal import Principal
from gatepost.tokens.opaque import RandomBytes
from gatepost.tokens.sealing import KeyRing, SealBroken

LIFETIME: Final = 600
"""How long a client has to come back with the responses, in seconds."""

_PURPOSE: Final = "request-state"
_REFUSAL: Final = '"requestState" is not valid for this request, or no longer; send the request again without it.'


@dataclass(slots=True)
class RequestState:
    """What is sealed. JSON values all through."""

    responses: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The client's results so far, by key."""
    requests: dict[str, str] = field(default_factory=dict)
    """The digest of each input request so far, by key, so that a second run that asks something else is noticed."""
    memory: dict[str, Any] = field(default_factory=dict)
    """What `Context.once` returned, by key."""


@dataclass(frozen=True, slots=True)
class RequestStateSeal:
    """Writes and reads `requestState`."""

    keys: KeyRing
    now: Callable[[], int]
    random_bytes: RandomBytes
    endpoint: str = ""
    """Which of the endpoints that share the keys; a state of one is none of another."""

    def write(self, state: RequestState, binding: bytes) -> str:
        """Return the state as a text that is valid for the binding, from now on.

        Raises:
            TypeError: it holds something that is not JSON.
        """
        plaintext = json.dumps([self.now() + LIFETIME, state.responses, state.requests, state.memory]).encode()
        sealed = self.keys.seal(
            plaintext, purpose=_PURPOSE, associated_data=self._bound_to(binding), random_bytes=self.random_bytes
        )
        return base64.urlsafe_b64encode(sealed).decode()

    def read(self, text: Any, binding: bytes) -> RequestState:
        """Return the state that a client brings back.

        Raises:
            InvalidParams: it is not one of ours, belongs to another request or user, or is too old.
        """
        try:
            sealed = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
            plaintext = self.keys.open(sealed, purpose=_PURPOSE, associated_data=self._bound_to(binding))
        except (AttributeError, UnicodeEncodeError, binascii.Error, SealBroken):
            raise InvalidParams(_REFUSAL) from None
        expires_at, responses, requests, memory = json.loads(plaintext)
        if expires_at <= self.now():
            raise InvalidParams(_REFUSAL)
        return RequestState(responses, requests, memory)

    def _bound_to(self, binding: bytes) -> bytes:
        return digest(self.endpoint) + binding


def process_seal() -> RequestStateSeal:
    """Return a seal with a key of its own, for a server whose one process answers everything until it ends."""
    return RequestStateSeal(
        KeyRing([secrets.token_urlsafe(32)]), now=lambda: int(time.time()), random_bytes=secrets.token_bytes
    )


def binding_of(request: Request, principal: Principal | None) -> bytes:
    """Return what a state is bound to: who asks, for which method, name and arguments.

    By which app does not count: clients register anew while a person goes on (record 0036).

    The order of an object's members says nothing in JSON, so it does not count.
    """
    who = None if principal is None else [principal.issuer, principal.subject]
    ours = {"_meta", "inputResponses", "requestState"}
    salient = {name: value for name, value in request.params.items() if name not in ours}
    return digest([who, request.method, salient])


def digest(value: Any) -> bytes:
    """Return the SHA-256 of a JSON value in one spelling, whatever numbers and texts it holds."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).digest()


def input_responses_of(params: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the `inputResponses` of a request; keys that nobody asked about do no harm.

    Raises:
        InvalidParams: they are not an object of objects.
    """
    if "inputResponses" not in params:
        return {}
    responses = params["inputResponses"]
    if type(responses) is not dict or not all(type(response) is dict for response in responses.values()):
        raise InvalidParams('"params.inputResponses" must be an object whose values are objects.')
    return responses
