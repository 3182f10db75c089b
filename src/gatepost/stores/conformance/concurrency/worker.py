"""A process of its own that uses a store: `worker.py MODULE FUNCTION LOCATION ACTION NAME`.

It says `ready`, waits for a line, does its work and prints one line of JSON; `stream` prints a line for every write
that was acknowledged, until it is killed.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Final

from gatepost.oauth.limits import Rate, Use
from gatepost.oauth.records import ClientOrigin
from gatepost.stores.conformance.records import NOW, WINDOW, client, fp, grant, redeem, session, tokens, user
from gatepost.stores.contract.keys import SealedSigningKey
from gatepost.stores.contract.store import Store

PER_PROCESS: Final = 12
CHAINS: Final = "abcd"
"""What `stream` does side by side."""
ALLOWANCE: Final = Rate(7, 3600)


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def wait_for_the_others() -> None:
    """Say that this process is ready, and wait for a line."""
    say("ready")
    sys.stdin.readline()


async def redeem_code(store: Store, name: str) -> list[str]:
    """Redeem `code-1` many times at once."""
    grants = [grant(f"grant-{name}-{number}") for number in range(PER_PROCESS)]
    outcomes = await asyncio.gather(
        *(
            store.grants.redeem_code(fp("code-1"), mine, tokens(mine.grant_id, mine.grant_id), now=NOW)
            for mine in grants
        )
    )
    return [outcome.name for outcome in outcomes]


async def rotate(store: Store, name: str) -> list[tuple[str, str]]:
    """Use `refresh 1` many times at once; gives each outcome and what was sealed, or offered to be."""
    offered = [f"sealed {name} {number}" for number in range(PER_PROCESS)]
    rotations = await asyncio.gather(
        *(
            store.grants.rotate_refresh_token(fp("refresh 1"), tokens(sealed), sealed.encode(), now=NOW, window=WINDOW)
            for sealed in offered
        )
    )
    return [
        (rotation.outcome.name, (rotation.sealed_successor or sealed.encode()).decode())
        for rotation, sealed in zip(rotations, offered, strict=True)
    ]


async def take(store: Store, _: str) -> int:
    """Take of one allowance many times at once; gives how often it was given."""
    waits = await asyncio.gather(*(store.limits.take([Use("key", ALLOWANCE)], now=NOW) for _ in range(PER_PROCESS)))
    return waits.count(0)


async def create_first_user(store: Store, name: str) -> bool:
    """Use the set-up link."""
    return await store.users.create_first_user(fp("link"), user(f"user-{name}", f"name-{name}"))


async def register(store: Store, name: str) -> None:
    """Write something."""
    await store.clients.register_client(client(f"client-{name}"))


async def remember_jti(store: Store, _: str) -> list[bool]:
    """Authenticate with one assertion many times at once."""
    return await asyncio.gather(
        *(store.assertions.remember_jti("client-1", "jti-1", expires_at=NOW + 60, now=NOW) for _ in range(PER_PROCESS))
    )


async def forget_jtis(store: Store, _: str) -> list[int]:
    """Purge identifiers, in small batches and several at once."""
    return await asyncio.gather(
        *(store.assertions.forget_jtis(before=NOW, limit=PER_PROCESS) for _ in range(PER_PROCESS))
    )


async def begin_signing(store: Store, name: str) -> list[bool]:
    """Begin to sign with keys of this process's own, many times at once."""
    return await asyncio.gather(
        *(
            store.keys.begin_signing(SealedSigningKey(f"{name}-{number}", "ES256", b"sealed", NOW, NOW), now=NOW)
            for number in range(PER_PROCESS)
        )
    )


async def keep_settings_clients(store: Store, _: str) -> list[int]:
    """Bring the store in line with one and the same file many times at once; gives how many clients each added."""
    wanted = [client(f"client-{number}", origin=ClientOrigin.SETTINGS) for number in range(3)]
    done = await asyncio.gather(*(store.clients.keep_settings_clients(wanted, now=NOW) for _ in range(PER_PROCESS)))
    return [len(one.added) for one in done]


async def append_events(store: Store, name: str) -> list[int]:
    """Append to one stream many times at once."""
    return await asyncio.gather(
        *(
            store.mcp_streams.append_event(fp("session"), "stream", f"{name}-{number}".encode())
            for number in range(PER_PROCESS)
        )
    )


async def append_changes(store: Store, name: str) -> None:
    """Note changes of one topic many times at once."""
    await asyncio.gather(
        *(
            store.changes.append_changes("/mcp", [f"{name}-{number}"], origin=name, now=NOW)
            for number in range(PER_PROCESS)
        )
    )


async def stream(store: Store, name: str) -> None:
    """Redeem, rotate, revoke and disable until killed, several at a time."""

    async def live(chain: str) -> None:
        for number in range(1_000_000):
            mine = f"{name}-{chain}-{number}"
            await store.users.add_user(user(f"user {mine}", mine))
            granted = await redeem(store, mine, subject=f"user {mine}")
            say(f"redeemed {mine}")
            await store.grants.rotate_refresh_token(
                fp(f"refresh {mine}"), tokens(f"{mine}+", granted.grant_id), b"sealed", now=NOW, window=WINDOW
            )
            say(f"rotated {mine}")
            await store.browser_sessions.start_session(session(f"session {mine}", subject=f"user {mine}"))
            say(f"logged in {mine}")
            await store.users.disable_user(f"user {mine}", now=NOW)
            say(f"disabled {mine}")

    await asyncio.gather(*(live(chain) for chain in CHAINS))


ACTIONS: Final[dict[str, Callable[[Store, str], Awaitable[Any]]]] = {
    "redeem": redeem_code,
    "rotate": rotate,
    "take": take,
    "create-first-user": create_first_user,
    "register": register,
    "remember-jti": remember_jti,
    "forget-jtis": forget_jtis,
    "begin-signing": begin_signing,
    "keep-settings-clients": keep_settings_clients,
    "append-events": append_events,
    "note-changes": append_changes,
    "stream": stream,
}


async def main(module: str, function: str, location: str, action: str, name: str) -> None:
    """Do one action on an open store. For `register` even the opening waits for the others."""
    store: Store = getattr(importlib.import_module(module), function)(location)
    if action == "register":
        wait_for_the_others()
        await store.open()
    else:
        await store.open()
        wait_for_the_others()
    result = await ACTIONS[action](store, name)
    await store.close()
    say(json.dumps(result))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
