"""A login on another device: a code is shown here and typed in there (RFC 8628)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from gatepost.client.kept_tokens import RegisteredClient
from gatepost.client.refusals import CallRefused, ServerAway
from gatepost.client.token_requests import DEVICE_CODE, RequestRefused, TokenRequests

_INTERVAL: Final = 5.0
"""Seconds, where the server does not say (section 3.2)."""
_SHORTEST: Final = 1.0
"""Seconds; a server that says less would have us ask it without a pause."""
_SLOWER: Final = 5.0
"""Section 3.5."""
_LONGEST: Final = 1800.0

Show = Callable[[str, str, str | None], None]
"""Is told where to go, which code to type, and the address that holds the code already, if there is one."""


async def tokens_by_device(
    requests: TokenRequests,
    client: RegisteredClient,
    *,
    scopes: Sequence[str],
    show: Show,
    sleep: Callable[[float], Awaitable[None]],
) -> Mapping[str, Any]:
    """Have the person log in elsewhere, and return the answer of the token endpoint.

    Raises:
        CallRefused: they said no, or did not come in time.
    """
    said = await requests.device_codes(client, scopes)
    code, user_code, where = (said.get(name) for name in ("device_code", "user_code", "verification_uri"))
    if not (isinstance(code, str) and isinstance(user_code, str) and isinstance(where, str)):
        raise CallRefused(f"{requests.protection.issuer} has answered without a code to type.")
    whole = said.get("verification_uri_complete")
    show(where, user_code, whole if isinstance(whole, str) else None)
    interval = max(_seconds(said.get("interval"), _INTERVAL), _SHORTEST)
    left = _seconds(said.get("expires_in"), _LONGEST)
    while left > 0:
        await sleep(interval)
        left -= interval
        try:
            return await requests.tokens(client, DEVICE_CODE, device_code=code)
        except RequestRefused as refused:
            if refused.error == "slow_down":
                interval += _SLOWER
            elif refused.error != "authorization_pending":
                raise
        except ServerAway:
            interval *= 2  # section 3.5: a connection that times out is tried again, less often
    raise CallRefused("Nobody has typed the code in time. Try again.")


def _seconds(value: object, otherwise: float) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not value > 0:  # not of NaN either
        return otherwise
    return float(min(value, _LONGEST))
