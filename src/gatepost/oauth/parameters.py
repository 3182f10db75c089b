"""Request parameters: `application/x-www-form-urlencoded` read strictly (RFC 6749 sections 3.1, 3.2, appendix B).

One reader serves the query of the authorization endpoint and the bodies of the others, so that no two endpoints
disagree about what a request said.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from gatepost.late_dataclass import dataclass
from gatepost.oauth.errors import InvalidRequest
from gatepost.oauth.reasons import Reason

MAX_PARAMETERS = 64
"""Far more than any request of the field has; it bounds the work that one request can cause."""

_PLAIN = re.compile(rb"[A-Za-z0-9._~-]+=[A-Za-z0-9._~-]+(?:&[A-Za-z0-9._~-]+=[A-Za-z0-9._~-]+)*")
"""Names with values of unreserved characters, which stand for themselves (RFC 3986 section 2.3): most forms of apps."""
_BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")

# A name outside of this list is raw client input and is not repeated in an error text.
_NAMES = (
    # the authorization endpoint
    frozenset({"response_type", "response_mode", "redirect_uri", "resource", "scope", "state", "prompt"})
    | frozenset({"code_challenge", "code_challenge_method"})
    # the token endpoint
    | frozenset({"grant_type", "code", "code_verifier", "refresh_token"})
    # client authentication
    | frozenset({"client_id", "client_secret", "client_assertion", "client_assertion_type"})
    # revocation and introspection
    | frozenset({"token", "token_type_hint"})
)


@dataclass(frozen=True, slots=True)
class Parameters:
    """What a request said, with what it said badly set apart.

    The authorization endpoint needs the difference: a repeated `scope` is answered by a redirect, a repeated
    `redirect_uri` never is.
    """

    values: dict[str, str]
    """The parameters that were sent exactly once, are well formed and are not empty.

    `resource` alone may be sent several times (RFC 8707 section 2): the same value again is one resource, and different
    ones stand here separated by spaces, which no resource of ours has in its identifier: a token is for one of them.
    """
    repeated: frozenset[str]
    """Names sent more than once; none of their values is used."""
    malformed: frozenset[str]
    """Names whose value cannot be decoded. An undecodable name, or too many parameters, counts as the name ""."""


def read_parameters(raw: bytes) -> Parameters:
    """Read `raw` without judging it.

    A parameter without a value counts as absent (RFC 6749 section 3.1), but sending it twice is still sending it
    twice. `;` separates nothing.
    """
    if (plain := _read_plain(raw)) is not None:
        return Parameters(plain, frozenset(), frozenset())
    values: dict[str, str] = {}
    seen: set[str] = set()
    repeated: set[str] = set()
    malformed: set[str] = set()
    if raw.count(b"&") >= MAX_PARAMETERS:
        return Parameters({}, frozenset(), frozenset({""}))
    for pair in filter(None, raw.split(b"&")):
        raw_name, _, raw_value = pair.partition(b"=")
        name = _decode(raw_name)
        value = _decode(raw_value)
        if name is None:
            malformed.add("")
            continue
        if name in seen and name != "resource":
            repeated.add(name)
        seen.add(name)
        if value is None:
            malformed.add(name)
        elif value and values.get(name, value) != value:  # of any other name neither is used in the end
            values[name] += f" {value}"
        elif value:
            values[name] = value
    for name in repeated | malformed:
        values.pop(name, None)
    return Parameters(values, frozenset(repeated), frozenset(malformed))


def _read_plain(raw: bytes) -> dict[str, str] | None:
    """Return the parameters where each is there once and stands for itself, else None."""
    if _PLAIN.fullmatch(raw) is None:
        return None
    pairs = [pair.split("=") for pair in raw.decode("ascii").split("&")]
    values = dict(pairs)
    return values if len(values) == len(pairs) <= MAX_PARAMETERS else None


def check_parameters(parameters: Parameters) -> None:
    """Refuse a request that sends a parameter twice or in a form that cannot be decoded (RFC 6749 section 3.1).

    Raises:
        InvalidRequest: it does.
    """
    if parameters.repeated:
        raise InvalidRequest(
            Reason.PARAMETER_REPEATED, f"{_named(parameters.repeated)} is sent more than once; send it once."
        )
    if parameters.malformed:
        raise InvalidRequest(
            Reason.PARAMETER_MALFORMED,
            f"{_named(parameters.malformed)} is malformed; encode parameters as UTF-8, form-urlencoded, without NUL.",
        )


def parse_parameters(raw: bytes) -> dict[str, str]:
    """Return the parameters of a query or a form body, each name with its one value.

    Args:
        raw: the query string without `?`, or the body.

    Raises:
        InvalidRequest: a parameter is sent twice or malformed; neither value is used.
    """
    parameters = read_parameters(raw)
    check_parameters(parameters)
    return parameters.values


def _decode(raw: bytes) -> str | None:
    """Return the text of one name or value, or None when it is not well-formed UTF-8 behind well-formed escapes.

    NUL has no place in any parameter (RFC 6749 appendix A), and some databases cannot keep it.
    """
    if _BROKEN_ESCAPE.search(raw):
        return None
    try:
        text = unquote_to_bytes(raw.replace(b"+", b" ")).decode("utf-8")
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def _named(names: frozenset[str]) -> str:
    known = sorted(names & _NAMES)
    return f"The parameter {known[0]}" if known else "A parameter"
