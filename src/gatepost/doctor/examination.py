"""The whole walk: what is asked in which order, and what the checks make of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import KW_ONLY
from functools import partial
from typing import Final

from gatepost.doctor import (
    authorization,
    authorization_server,
    behind_lock,
    browsers,
    endpoint,
    login,
    registration,
    resource_metadata,
    token_endpoint,
)
from gatepost.doctor.clients import CLIENTS, PlayedClient
from gatepost.doctor.findings import Check, DoctorFinding, Severity, Step
from gatepost.doctor.requester import Requester
from gatepost.doctor.seen import Seen
from gatepost.doctor.visit import BrowserVisit
from gatepost.late_dataclass import dataclass

STEPS: Final[Sequence[Step]] = (
    endpoint.STEP,
    resource_metadata.STEP,
    authorization_server.STEP,
    registration.STEP,
    authorization.STEP,
    token_endpoint.STEP,
    browsers.STEP,
    login.STEP,
    behind_lock.STEP,
)


@dataclass(frozen=True, slots=True)
class WalkOptions:
    """What is asked beyond the usual."""

    _: KW_ONLY
    token: str | None = None
    registers: bool = True
    """Whether registrations are made, and removed again."""
    visit: BrowserVisit | None = None
    """How a person logs in, if one does; what the login gives is used in place of a token."""
    silence_seconds: float = 0.0
    """How long a silent stream is held; 0 for not at all."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check said; `findings` is None where the question did not arise."""

    check: Check
    findings: Sequence[DoctorFinding] | None


@dataclass(frozen=True, slots=True)
class CheckedStep:
    """The checks of a step."""

    title: str
    checked: Sequence[Checked]


@dataclass(frozen=True, slots=True)
class Outlook:
    """Whether one client can connect."""

    client: PlayedClient
    failure: tuple[Check, DoctorFinding] | None
    """The first that keeps it out."""
    others: int
    """How many further findings concern it."""
    is_elsewhere: bool
    """Whether it cannot reach this URL anyway, because it leads to this machine."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The result of a walk."""

    url: str
    steps: Sequence[CheckedStep]
    outlooks: Sequence[Outlook]
    is_registration_tried: bool

    @property
    def findings(self) -> Sequence[tuple[Check, DoctorFinding]]:
        """All that is wrong, in the order of the walk."""
        checked = [each for step in self.steps for each in step.checked]
        return [(each.check, finding) for each in checked for finding in each.findings or ()]

    @property
    def anything_fails(self) -> bool:
        """Whether somebody cannot connect, or is in danger."""
        return any(finding.severity is Severity.FAILS for _, finding in self.findings)


async def examine(
    url: str, requester: Requester, options: WalkOptions, *, progress: Callable[[str], None] = lambda _: None
) -> Diagnosis:
    """Walk, and say what would fail.

    Args:
        url: the MCP URL.
        requester: how it is asked.
        options: what is asked beyond the usual.
        progress: is told what is being looked at.
    """
    seen = Seen(url, token=options.token)
    walk: list[tuple[Step, Callable[[Seen, Requester], Awaitable[None]]]] = [
        (endpoint.STEP, endpoint.observe),
        (resource_metadata.STEP, resource_metadata.observe),
        (authorization_server.STEP, authorization_server.observe),
    ]
    if options.registers:
        walk.append((registration.STEP, registration.observe))
    walk += [
        (authorization.STEP, authorization.observe),
        (token_endpoint.STEP, token_endpoint.observe),
        (browsers.STEP, browsers.observe),
    ]
    if options.visit is not None:
        walk.append((login.STEP, partial(login.observe, visit=options.visit)))
    walk.append((behind_lock.STEP, behind_lock.observe))
    try:
        for step, observe in walk:
            progress(step.title)
            await observe(seen, requester)
            if not seen.initialize.status:
                break
        if options.silence_seconds and seen.handshake.is_open:
            progress(f"{options.silence_seconds:.0f} s of silence")
            await behind_lock.observe_silence(seen, requester, options.silence_seconds)
    finally:
        requester.start_anew()
        await login.revoke(seen, requester)
        await registration.remove(seen, requester)
    return diagnose(seen)


def diagnose(seen: Seen) -> Diagnosis:
    """Return what the checks make of what was seen."""
    steps = [CheckedStep(step.title, [_checked(check, seen) for check in step.checks]) for step in STEPS]
    found = [(each.check, finding) for step in steps for each in step.checked for finding in each.findings or ()]
    outlooks = [_outlook(client, found, is_local=seen.is_local) for client in CLIENTS]
    return Diagnosis(seen.url, steps, outlooks, seen.is_registration_tried)


def _checked(check: Check, seen: Seen) -> Checked:
    findings = check.look(seen)
    return Checked(check, None if findings is None else list(findings))


def _outlook(client: PlayedClient, found: Sequence[tuple[Check, DoctorFinding]], *, is_local: bool) -> Outlook:
    concerned = [(check, finding) for check, finding in found if client.id in finding.clients]
    failures = [each for each in concerned if each[1].severity is Severity.FAILS]
    failure = failures[0] if failures else None
    return Outlook(client, failure, len(concerned) - bool(failure), is_elsewhere=client.is_remote and is_local)
