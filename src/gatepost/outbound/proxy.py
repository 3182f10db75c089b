"""The forward proxy that leads out, where there is no other way."""

from __future__ import annotations

from dataclasses import field

from gatepost.late_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class ForwardProxy:
    """A proxy that takes CONNECT (RFC 9110 section 9.3.6)."""

    url: str = field(repr=False)
    """http or https; it may hold credentials, so it is never shown."""
    address: str
    """Its host and port, for the log."""
    setting: str
    """The setting that names it."""
    resolves_names: bool = False
    """Whether it is asked for names; else for the addresses that were checked here."""
