"""What an extension finds where a server is served: a store, a clock, and ears for what other processes do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any

from gatepost.late_dataclass import dataclass
from gatepost.stores.contract.store import Store
from gatepost.stores.contract.wakeups import Wakeup
from gatepost.telemetry.seam import Telemetry
from gatepost.tokens.opaque import RandomBytes
from gatepost.tokens.sealing import KeyRing

Ear = Callable[[Wakeup | None], None]
"""Called in the event loop with what another process says that it has done; with None when some of that may have been
missed. It must not block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtensionHost:
    """An endpoint of an installation, for the extensions of the server behind it."""

    store: Store
    """Open for as long as the lifespans of extensions are."""
    place: str
    """The path of the endpoint."""
    now: Callable[[], int]
    """The time, whole seconds UTC."""
    random_bytes: RandomBytes
    key_ring: KeyRing
    """Seals what processes of this installation alone are to read."""
    ears: set[Ear]
    """Add yourself to hear of other processes; those of all endpoints are here."""
    telemetry: Telemetry | None = None
    """Takes what is measured; None where nobody measures."""
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    """What the operator set, by the identifiers of extensions."""
