"""The token endpoint's errors: what makes a client refresh, register anew or give up (RFC 6749 section 5.2)."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode

from gatepost.doctor.answers import ProbeAnswer
from gatepost.doctor.findings import Check, DoctorFinding, Step, degraded
from gatepost.doctor.requester import Requester
from gatepost.doctor.seen import Seen

FORM: Final = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
_REGISTER_ANEW: Final = ("claude-code", "mcp-remote", "inspector")
_NO_TOKEN: Final = "gatepost-doctor-has-none"


async def observe(seen: Seen, requester: Requester) -> None:
    """Refresh with a token that never was, as a client that is known and as one that is not."""
    url = seen.endpoint("token_endpoint")
    if url is None:
        return

    async def refresh(client_id: str) -> ProbeAnswer:
        form = {"grant_type": "refresh_token", "refresh_token": _NO_TOKEN, "client_id": client_id}
        return await requester.ask("POST", url, FORM, urlencode({**form, "resource": seen.resource}).encode())

    seen.unknown_client = await refresh("gatepost-doctor-is-unknown")
    public = [each for each in seen.made if (each.answer.document or {}).get("client_secret") is None]
    if public and public[0].client_id is not None:
        seen.dead_refresh_token = await refresh(public[0].client_id)


def _says(answer: ProbeAnswer) -> str:
    return f"{answer.seen}{f' {answer.error}' if answer.error else ''}"


def _is_oauth_error(answer: ProbeAnswer) -> bool:
    return isinstance((answer.document or {}).get("error"), str) and not answer.is_server_error


def _dead_token(seen: Seen) -> Iterable[DoctorFinding] | None:
    answer = seen.dead_refresh_token
    if not answer.method:
        return None
    if not _is_oauth_error(answer):
        return degraded(_says(answer))
    is_right = answer.status == HTTPStatus.BAD_REQUEST and (answer.document or {}).get("error") == "invalid_grant"
    return [] if is_right else degraded(_says(answer))


def _unknown_client(seen: Seen) -> Iterable[DoctorFinding] | None:
    answer = seen.unknown_client
    if not answer.method:
        return None
    if not _is_oauth_error(answer):
        return degraded(_says(answer), _REGISTER_ANEW)
    return [] if (answer.document or {}).get("error") == "invalid_client" else degraded(_says(answer), _REGISTER_ANEW)


STEP: Final = Step(
    "The token endpoint's errors",
    (
        Check(
            id="refresh-refused",
            title="a refresh token that does not count is answered 400 invalid_grant",
            why="It makes clients log in again. A 5xx makes official Python clients open the browser and gemini-cli "
            "forget its tokens; another code leaves clients with a token that never works again (RFC 6749 section "
            "5.2).",
            change='Answer 400 with {"error": "invalid_grant"}, and keep 503 for faults of the server\'s own.',
            look=_dead_token,
        ),
        Check(
            id="unknown-client",
            title="a client that is not known is answered invalid_client",
            why="It is how Claude Code and mcp-remote notice that their registration is gone and register anew (RFC "
            "6749 section 5.2).",
            change='Answer {"error": "invalid_client"} before the grant is looked at.',
            look=_unknown_client,
        ),
    ),
)
