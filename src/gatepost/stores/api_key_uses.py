"""When API keys were used last: noted on the way of a call, written behind it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import field

from gatepost.coroutines import repeating
from gatepost.late_dataclass import dataclass
from gatepost.stores.contract.api_keys import LAST_USE_SECONDS, ApiKey, ApiKeyStore
from gatepost.stores.contract.errors import StoreUnavailable

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class ApiKeyUses:
    """Uses that wait to be written; one for each key at most."""

    store: ApiKeyStore
    _noted: dict[str, int] = field(default_factory=dict[str, int], init=False)

    def note(self, key: ApiKey, *, at: int) -> None:
        """Note that a key was used, unless it is kept that it was so a few minutes ago."""
        if key.last_used_at is None or at - key.last_used_at >= LAST_USE_SECONDS:
            self._noted[key.key_id] = at

    async def write(self) -> None:
        """Write what was noted. What the store cannot take now waits for the next time."""
        noted, self._noted = self._noted, {}
        while noted:
            key_id, at = noted.popitem()
            try:
                await self.store.note_use(key_id, at=at)
            except StoreUnavailable as error:
                _log.warning("uses of API keys wait: %s", error)
                self._noted = {**noted, key_id: at, **self._noted}
                return

    def writing(self, wait: Callable[[], Awaitable[None]]) -> AbstractAsyncContextManager[None]:
        """Write in the background, each time that `wait` returns, and once more at the end."""
        return repeating(self.write, wait, name="gatepost-api-key-uses")
