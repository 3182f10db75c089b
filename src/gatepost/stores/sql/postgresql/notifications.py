"""What NOTIFY carries from process to process: wake-ups as texts of ids (PostgreSQL, SQL command NOTIFY).

One channel for each schema, since channels belong to the database: `gatepost_` and the schema's number. A payload is
`origin kind session name`, with `-` for what there is not. It has some 300 bytes of the 8,000 that there may be.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from gatepost.stores.contract.wakeups import Wakeup, WakeupKind

CHANNEL: Final = "SELECT 'gatepost_' || oid FROM pg_namespace WHERE nspname = current_schema()"
_NOTIFY: Final = (
    "SELECT pg_notify('gatepost_' || oid, payload) FROM pg_namespace, unnest(ARRAY[{payloads}]) AS payload "
    "WHERE nspname = current_schema(); "
)
NOTIFY_ONE: Final = "SELECT pg_notify('gatepost_' || oid, $1) FROM pg_namespace WHERE nspname = current_schema()"
PROOF: Final = "proof"
"""In place of a kind: a message to oneself, which shows that messages come in."""
_NOTHING: Final = "-"


def notifying(wakeups: Iterable[Wakeup], origin: str) -> str:
    """Return the statement that notifies of wake-ups; the empty string where there are none.

    They have letters, digits and a few signs only, so they stand in the text: it is sent together with COMMIT, in one
    message, which takes no parameters.
    """
    payloads = [f"'{written(wakeup, origin)}'" for wakeup in wakeups]
    return _NOTIFY.format(payloads=", ".join(payloads)) if payloads else ""


def written(wakeup: Wakeup, origin: str) -> str:
    """Return the payload of a wake-up."""
    return " ".join((origin, wakeup.kind, wakeup.session.hex() or _NOTHING, wakeup.name or _NOTHING))


def read(payload: str, own_origin: str) -> Wakeup | None:
    """Return the wake-up of a payload; None for one of a kind that only a newer version knows."""
    try:
        origin, kind, session, name = payload.split(" ")
        return Wakeup(
            WakeupKind(kind),
            b"" if session == _NOTHING else bytes.fromhex(session),
            "" if name == _NOTHING else name,
            is_own=origin == own_origin,
        )
    except ValueError:
        return None
