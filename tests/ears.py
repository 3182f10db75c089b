"""Wake-ups that are heard or not, as a test says."""

from __future__ import annotations

from dataclasses import dataclass

from gatepost.stores.contract.wakeups import NoWakeups


@dataclass
class Ears(NoWakeups):
    """Those of a store that tells nothing by itself."""

    are_heard: bool = True  # type: ignore[misc] # changes here
