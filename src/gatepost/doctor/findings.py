"""What a check says: nothing, or findings; each with what was seen, why it matters and what to change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from typing import TypeAlias

from gatepost.doctor.clients import EVERYBODY
from gatepost.doctor.seen import Seen
from gatepost.late_dataclass import dataclass


class Severity(StrEnum):
    """How bad it is, the worst first."""

    FAILS = "fails"
    """A client cannot connect, or whoever connects is in danger."""
    DEGRADED = "degraded"
    """It works, by a detour or with a loss."""
    NOTE = "note"
    """Nothing is wrong for the clients known here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorFinding:
    """One thing that is wrong."""

    severity: Severity
    seen: str
    """Status and headers, cleaned, without secrets."""
    clients: Sequence[str] = EVERYBODY
    """The ids of those who suffer."""


Look: TypeAlias = Callable[[Seen], Iterable[DoctorFinding] | None]
"""Looks at what was seen; None where the question did not arise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check."""

    id: str
    """Stable, in kebab-case: scripts and documentation name it."""
    title: str
    """What is so when nothing is wrong."""
    why: str
    """Which rule asks for it, or which client relies on it."""
    change: str
    """What to change: where Gatepost has a setting, that one; else in general."""
    look: Look


@dataclass(frozen=True, slots=True)
class Step:
    """Checks of one concern, which are reported together."""

    title: str
    checks: Sequence[Check]


def fails(seen: str, clients: Sequence[str] = EVERYBODY) -> list[DoctorFinding]:
    """Return one finding that somebody cannot connect."""
    return [DoctorFinding(severity=Severity.FAILS, seen=seen, clients=clients)]


def degraded(seen: str, clients: Sequence[str] = EVERYBODY) -> list[DoctorFinding]:
    """Return one finding that something goes by a detour."""
    return [DoctorFinding(severity=Severity.DEGRADED, seen=seen, clients=clients)]


def note(seen: str, clients: Sequence[str] = ()) -> list[DoctorFinding]:
    """Return one finding that is worth knowing."""
    return [DoctorFinding(severity=Severity.NOTE, seen=seen, clients=clients)]
