"""What is looked at through each proxy. Every check says in a few words what it saw; `yes` is what one wants."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import httpx2

from tools.clients.gatepost_server import GatepostServer
from tools.conformance.browser import UnexpectedPageError
from tools.proxies.visitor import ADDRESS, MODERN, SESSION, RefusedError, Visitor, result_in

SILENT_SECONDS = 75
LEAVING_SECONDS = 60  # how long a call may take to notice that its client left
BODY = 4_000_000  # bytes; the endpoint takes 4 MiB
TRAFFIC = 4  # callers during the restart
_FAULTS = (RefusedError, UnexpectedPageError, httpx2.HTTPError, KeyError, ValueError)


@dataclass
class Place:
    """A proxy that runs, the server behind it, and the file in which the server's silent calls note their fate."""

    origin: str
    server: GatepostServer
    diary: Path

    def notes(self) -> list[str]:
        """Return what silent calls noted."""
        return self.diary.read_text(encoding="utf-8").splitlines() if self.diary.exists() else []


async def flow(_place: Place, visitor: Visitor) -> str:
    """Discovery, registration, login, consent, code, refresh, a call in both eras."""
    await visitor.log_in()
    await visitor.begin_session()
    for revision in (MODERN, SESSION):
        if await visitor.call("ping", revision) != "pong":
            return f"no answer in {revision}"
    return "yes"


async def silence_modern(place: Place, visitor: Visitor) -> str:
    """A call that says nothing for 75 s, in revision 2026-07-28."""
    return await _silence(place, visitor, MODERN)


async def silence_session(place: Place, visitor: Visitor) -> str:
    """The same in a session."""
    return await _silence(place, visitor, SESSION)


async def _silence(place: Place, visitor: Visitor, revision: str) -> str:
    name = f"silent-{revision}"
    begun = time.monotonic()
    try:
        await visitor.call("hold", revision, name=name, seconds=SILENT_SECONDS)
        seen = "yes"
    except _FAULTS as error:
        seen = f"cut after {time.monotonic() - begun:.0f} s: {_words(error)}"
    runs = place.notes().count(f"begun {name}")
    return seen if runs == 1 else f"{seen}, and ran {runs} times"


async def resume(_place: Place, visitor: Visitor) -> str:
    """A session's call whose stream the server closes, and that is taken up again; events come one by one."""
    last, seen, at = "", [], []
    async with visitor.send("tools/call", _with_progress("part"), revision=SESSION) as answer:
        async for line in answer.aiter_lines():
            if line.startswith("id:"):
                last = line.removeprefix("id:").strip()
            if line.startswith("data:") and "progress" in line:
                at.append(time.monotonic())
    if not last:
        return f"no event id (status {answer.status_code})"
    async with asyncio.timeout(30), visitor.resume(last) as answer:
        async for line in answer.aiter_lines():
            result = result_in(line.removeprefix("data:"))
            if result is not None:
                seen.append(result)
                break
    if seen != ["after all"]:
        return f"no result after it was taken up (status {answer.status_code})"
    spread = at[-1] - at[0]
    return "yes" if spread > 0.5 else "yes, but events came together"  # noqa: PLR2004 - they are a second apart


async def body(_place: Place, visitor: Visitor) -> str:
    """A request of 4 MB."""
    answer = await visitor.call("measure", MODERN, text="x" * BODY)
    return "yes" if answer == str(BODY) else f"answered {answer[:40]}"


async def leaving(place: Place, visitor: Visitor) -> str:
    """A silent call whose client closes the connection: is it cancelled, and when."""
    call = asyncio.create_task(visitor.call("hold", MODERN, name="left", seconds=LEAVING_SECONDS + 30))
    while "begun left" not in place.notes():
        if call.done():
            await call
        await asyncio.sleep(0.1)
    await asyncio.sleep(1)
    call.cancel()
    left = time.monotonic()
    while time.monotonic() - left < LEAVING_SECONDS:
        if "cancelled left" in place.notes():
            return f"yes, after {time.monotonic() - left:.0f} s"
        await asyncio.sleep(0.2)
    return f"not in {LEAVING_SECONDS} s"


async def address(place: Place, visitor: Visitor) -> str:
    """Whose address counts when the client writes headers of its own, with the proxy named as trusted."""
    conventional, standard = {"X-Forwarded-For": "203.0.113.9"}, {"Forwarded": 'for=203.0.113.9;by="'}
    single = {"X-Real-IP": "203.0.113.9", "CF-Connecting-IP": "203.0.113.9"}
    lies: tuple[dict[str, str], ...] = {**conventional, **standard, **single}, conventional, standard, single, {}
    ids = [await visitor.register(**headers) for headers in lies]
    events = await asyncio.to_thread(place.server.events)
    seen = {event["client_id"]: event["address"] for event in events if event["event"] == "registration"}
    wrong = {
        " and ".join(headers) or "no header": seen[id_]
        for headers, id_ in zip(lies, ids, strict=True)
        if seen[id_] != ADDRESS
    }
    if not wrong:
        warnings = (await visitor.http.get("/healthz")).json().get("warnings", ())
        return "yes" if not warnings else f"yes, but /healthz says: {' '.join(warnings)}"
    return ", ".join(f"with {names}: {found}" for names, found in wrong.items())


async def restart(place: Place, visitor: Visitor) -> str:
    """The server ends and begins again while four callers go on; what they saw."""
    outcomes: Counter[str] = Counter()
    last_fault = 0.0
    done = asyncio.Event()

    async def call_on() -> None:
        nonlocal last_fault
        while not done.is_set():
            try:
                outcomes[await visitor.call("ping", MODERN)] += 1
            except _FAULTS as error:
                outcomes[_words(error)] += 1
                last_fault = time.monotonic()
            await asyncio.sleep(0.1)

    async with asyncio.TaskGroup() as callers:
        for _ in range(TRAFFIC):
            callers.create_task(call_on())
        await asyncio.sleep(2)
        began = time.monotonic()
        await asyncio.to_thread(place.server.stop)
        await asyncio.to_thread(place.server.start)
        back = time.monotonic()
        await asyncio.sleep(8)
        done.set()
    faults = {name: count for name, count in outcomes.items() if name != "pong"}
    if not faults:
        return f"yes; nothing was refused in {back - began:.0f} s"
    after = max(0.0, last_fault - back)
    told = ", ".join(f"{count} x {name}" for name, count in faults.items())
    return f"away {back - began:.0f} s ({told}); well {after:.0f} s after it was back"


def _with_progress(tool: str) -> dict[str, object]:
    return {"name": tool, "arguments": {}, "_meta": {"progressToken": "p"}}


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__


Check = Callable[[Place, Visitor], Awaitable[str]]
TOGETHER: dict[str, Check] = {
    "75 s of silence, 2026-07-28": silence_modern,
    "75 s of silence, session": silence_session,
    "A stream taken up again": resume,
    "4 MB": body,
    "Client leaves: cancelled": leaving,
    "Address of the client": address,
}
COLUMNS = ("OAuth and calls", *TOGETHER, "Restart under traffic")


async def examine(place: Place) -> dict[str, str]:
    """Make all checks: the flow, then those that wait side by side, then the restart."""
    async with Visitor(place.origin) as visitor:
        seen = {COLUMNS[0]: await _guarded(flow, place, visitor)}
        if seen[COLUMNS[0]] != "yes":
            return seen
        found = await asyncio.gather(*(_guarded(check, place, visitor) for check in TOGETHER.values()))
        seen |= dict(zip(TOGETHER, found, strict=True))
        seen[COLUMNS[-1]] = await _guarded(restart, place, visitor)
        return seen


async def _guarded(check: Check, place: Place, visitor: Visitor) -> str:
    try:
        async with asyncio.timeout(180):
            return await check(place, visitor)
    except _FAULTS as error:
        return f"no: {_words(error)}"
    except TimeoutError:
        return "no: it takes more than 180 s"
