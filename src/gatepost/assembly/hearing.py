"""What a process does when it hears of another one: it looks at once where it would have looked by itself later."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING

from gatepost.late_dataclass import dataclass
from gatepost.server.changes.pace import ChangePace
from gatepost.server.extension_host import Ear
from gatepost.stores.contract.wakeups import Wakeup, WakeupKind, Wakeups
from gatepost.stores.signing_keys import SigningKeys

if TYPE_CHECKING:
    from gatepost.web.mcp.sessions.handshake_era import HandshakeEra


@dataclass(frozen=True, slots=True, kw_only=True)
class Hearing:
    """Takes the wake-ups of a store."""

    wakeups: Wakeups
    handshake_eras: Iterable[HandshakeEra]
    """Those of every origin that is in use."""
    forget_verified_tokens: Callable[[str], None]
    """Called with the id of a grant; with the empty string for all."""
    signing_keys: SigningKeys | None
    pace: ChangePace
    ears: Collection[Ear] = ()
    """Those of extensions."""

    def on_wakeup(self, wakeup: Wakeup) -> None:
        """Have whom it concerns look."""
        match wakeup.kind:
            case WakeupKind.ACCESS:
                self.forget_verified_tokens(wakeup.name)
                self._tell_ears(wakeup)
            case WakeupKind.TASK:
                self._tell_ears(wakeup)
            case WakeupKind.SIGNING_KEYS:
                self._look_at_keys()
            case WakeupKind.CHANGES if not wakeup.is_own:
                self.pace.wake()
            case _:
                for era in tuple(self.handshake_eras):
                    era.hear(wakeup)

    def on_gap(self) -> None:
        """Have everybody look."""
        if self.wakeups.are_heard:
            # What was missed meanwhile. When others are heard no more, nothing has been missed yet, and it might be the
            # database that cannot be asked.
            self.forget_verified_tokens("")
            self._look_at_keys()
        self.pace.wake()
        self._tell_ears(None)
        for era in tuple(self.handshake_eras):
            era.catch_up()

    def _tell_ears(self, wakeup: Wakeup | None) -> None:
        for ear in tuple(self.ears):
            ear(wakeup)

    def _look_at_keys(self) -> None:
        if self.signing_keys is not None:
            self.signing_keys.look_again()
