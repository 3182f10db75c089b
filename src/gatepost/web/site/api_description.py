"""The words in which the endpoints describe themselves at `/openapi.json` (OpenAPI 3.1).

Each endpoint says beside its code what it takes and every answer that is its own. What any address may answer, because
something in front of the endpoints does, is `ANYWHERE` and is said once, of the whole app.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY
from typing import Any, Final

from gatepost.late_dataclass import dataclass

Object = dict[str, Any]
Responses = dict[int | str, Object]
"""By status code."""

TEXT: Final[Object] = {"type": "string"}
TEXTS: Final[Object] = {"type": "array", "items": TEXT}
URL: Final[Object] = {"type": "string", "format": "uri"}

_RETRY_AFTER: Final = {"Retry-After": {"description": "In seconds.", "required": True, "schema": {"type": "integer"}}}
_LOCATION: Final = {"Location": {"description": "Where to go on, with GET.", "required": True, "schema": TEXT}}
_CHALLENGE: Final = {
    "WWW-Authenticate": {
        "description": "The scheme to use (RFC 9110 section 11.6.1); for a client only if it tried one.",
        "schema": TEXT,
    }
}


@dataclass(frozen=True, slots=True)
class Operation:
    """What the description says of one method at one path (OpenAPI 3.1, Operation Object)."""

    name: str
    """The `operationId`."""
    summary: str
    _: KW_ONLY
    responses: Responses
    """Beside those of `ANYWHERE`."""
    tag: str = "OAuth"
    description: str | None = None
    parameters: Sequence[Object] = ()
    request_body: Object | None = None

    def as_object(self) -> Object:
        """Return the Operation Object; what is not there is left out."""
        members = {
            "tags": [self.tag],
            "summary": self.summary,
            "description": self.description,
            "operationId": self.name,
            "parameters": list(self.parameters),
            "requestBody": self.request_body,
            "responses": {str(status): answer for status, answer in {**ANYWHERE, **self.responses}.items()},
        }
        return {name: value for name, value in members.items() if value}


def text(description: str, **schema: Any) -> Object:
    """Return the schema of a string."""
    return {**TEXT, "description": description, **schema}


def record(properties: Mapping[str, Object], *, required: Sequence[str] = ()) -> Object:
    """Return the schema of an object with these members."""
    return {"type": "object", "properties": dict(properties), "required": list(required)}


ERROR: Final = record(
    {
        "error": text("The code for programs (RFC 6749 section 5.2)."),
        "error_description": text("What is wrong and what to do, for people."),
    },
    required=["error", "error_description"],
)
"""The schema of a refusal (RFC 6749 section 5.2)."""


def json_answer(description: str, schema: Object) -> Object:
    """Return the description of a JSON answer."""
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def refusal(description: str) -> Object:
    """Return the description of a refusal in JSON (RFC 6749 section 5.2)."""
    return json_answer(description, ERROR)


def page(description: str) -> Object:
    """Return the description of an answer that is a page for a person."""
    return {"description": description, "content": {"text/html": {"schema": TEXT}}}


def moved(description: str) -> Object:
    """Return the description of a redirect (303)."""
    return {"description": description, "headers": _LOCATION}


def later(answer: Object) -> Object:
    """Return the description of `answer` with `Retry-After`."""
    return {**answer, "headers": _RETRY_AFTER}


def challenged(answer: Object) -> Object:
    """Return the description of `answer` with `WWW-Authenticate`."""
    return {**answer, "headers": _CHALLENGE}


def json_body(schema: Object, **media_type: Any) -> Object:
    """Return the description of a body that is JSON."""
    return {"required": True, "content": {"application/json": {"schema": schema, **media_type}}}


def form(properties: Mapping[str, Object], *, required: Sequence[str]) -> Object:
    """Return the description of a body that is a form; a field is sent at most once."""
    schema = record(properties, required=required)
    return {"required": True, "content": {"application/x-www-form-urlencoded": {"schema": schema}}}


def page_form(properties: Mapping[str, Object]) -> Object:
    """Return the description of the form of a page of ours."""
    return form({"csrf_token": text("From the page."), **properties}, required=[])


def in_query(name: str, description: str, *, required: bool = False, **schema: Any) -> Object:
    """Return the description of a parameter of the URL."""
    return {"name": name, "in": "query", "required": required, "description": description, "schema": {**TEXT, **schema}}


CLIENT_FIELDS: Final[Mapping[str, Object]] = {
    "client_id": text("required unless HTTP Basic is used"),
    "client_secret": text("clients with client_secret_post only"),
    "client_assertion_type": text("clients with private_key_jwt only"),
    "client_assertion": text("a JWT signed by the client (RFC 7523)"),
}
"""How a client says in a form who it is."""

UNREAD: Final[Responses] = {
    408: refusal("The body did not arrive in time."),
    413: refusal("The body is larger than 64 KiB."),
}
UNAVAILABLE: Final[Responses] = {
    503: later(refusal("The store cannot answer now. Nothing is lost; ask again.")),
}
CLIENT_FORM_REFUSALS: Final[Responses] = {
    400: refusal("Refused (RFC 6749 section 5.2)."),
    401: challenged(refusal("The client is unknown or failed to authenticate: `invalid_client`.")),
    **UNREAD,
    429: later(refusal("This address or this client asks too often.")),
    **UNAVAILABLE,
}
"""What the endpoints answer that take the form of an authenticated client."""

PAGE_UNAVAILABLE: Final[Responses] = {503: later(page("The server is too busy, or cannot reach its store."))}
PAGE_FLOODED: Final[Responses] = {429: later(page("There were too many tries."))}
PAGE_FORM_REFUSALS: Final[Responses] = {
    400: page("The form, its authorization request or its session is over or broken."),
    403: page("Refused: not a fresh form of ours, or wrong credentials."),
    408: page("The form did not arrive in time."),
    413: page("The form is larger than 16 KiB."),
    **PAGE_UNAVAILABLE,
}
"""What every page that takes a form may answer to it."""

ANYWHERE: Final[Responses] = {
    421: refusal("This server is not known by that `Host`, or is set up for its own machine only."),
    500: {
        "description": "A fault of the server. Its log explains it under the incident that the answer names.",
        "content": {"application/json": {"schema": ERROR}, "text/html": {"schema": TEXT}},
    },
}
"""What every address may answer; a browser that navigates gets the 500 as a page."""
