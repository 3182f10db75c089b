"""`subscriptions/listen`: streams of changes in the modern era (2026-07-28 basic/patterns/subscriptions).

A subscription is an object and no task: whoever carries it waits for its client to leave in whatever way is cheapest
there, and a task runs only while something is being delivered.

    target.answer(...) -> Subscription   instead of a result
    await subscription.begin(exchange, end)  sends the acknowledgement; notifications of changes follow
    subscription.leave()                 when the client has gone
    await end(result)                    called when the server ends it: send the result, then close
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from gatepost.protocol.errors import InvalidJsonRpcRequest, InvalidParams, RequestId
from gatepost.protocol.messages import Request
from gatepost.protocol.modern import finish_result
from gatepost.resource.principal import Principal
from gatepost.server.calls.exchange import Exchange
from gatepost.server.changes.bus import Change, ChangeBus

SUBSCRIPTION_ID: Final = "io.modelcontextprotocol/subscriptionId"

MOST_OPEN: Final = 10_000
"""Subscriptions of one server in one process."""
MOST_PER_CALLER: Final = 64
"""Subscriptions of one user; whoever is nobody in particular counts in `MOST_OPEN` alone."""
MOST_URIS: Final = 1_000
"""Resources that one subscription watches."""
MOST_URI_CHARACTERS: Final = 256 * 1024
"""Characters that their URIs have together; they are kept for as long as the stream is open."""

_LISTS: Final = {"toolsListChanged": "tools", "promptsListChanged": "prompts", "resourcesListChanged": "resources"}
_METHODS: Final = {
    "tools": "notifications/tools/list_changed",
    "prompts": "notifications/prompts/list_changed",
    "resources": "notifications/resources/list_changed",
}

End = Callable[[dict[str, Any]], Awaitable[None]]


class TooManySubscriptions(InvalidJsonRpcRequest):
    """The caller, or everybody together, has as many subscriptions open as there may be."""

    modern_status = 429


class Subscriptions:
    """Those that are open, of one server in this process."""

    def __init__(
        self,
        changes: ChangeBus,
        *,
        server_info: Mapping[str, Any],
        most_open: int = MOST_OPEN,
        most_per_caller: int = MOST_PER_CALLER,
    ) -> None:
        self._changes = changes
        self._server_info = server_info
        self._most_open = most_open
        self._most_per_caller = most_per_caller
        self._open: dict[Subscription, None] = {}  # in order, so that everybody gets a change in the same order
        self._count_of: dict[tuple[str, str], int] = {}
        self._stop_listening: Callable[[], None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def __len__(self) -> int:
        """Return how many are open."""
        return len(self._open)

    def prepare(
        self,
        request: Request,
        principal: Principal | None,
        granted: frozenset[str] | None,
        *,
        offered: Mapping[str, Any],
        may_see: Callable[[str], bool],
    ) -> Subscription:
        """Return the subscription that a `subscriptions/listen` request asks for; it has still to begin.

        Args:
            request: the request.
            principal: who sends it.
            granted: the scopes that decide what they are told of; None where scopes do not count.
            offered: the server's capabilities: what it has no lists of is left out of the acknowledgement.
            may_see: says whether there is a resource of this URI that the caller may read.

        Raises:
            InvalidParams: the filter is malformed.
            TooManySubscriptions: no more may be opened.
        """
        asked = request.params.get("notifications")
        if type(asked) is not dict:
            raise InvalidParams('"params.notifications" must be an object.')
        honoured: dict[str, Any] = {}
        for name, kind in _LISTS.items():
            wanted = asked.get(name, False)
            if type(wanted) is not bool:
                raise InvalidParams(f'"params.notifications.{name}" must be true or false.')
            if wanted and kind in offered:
                honoured[name] = True
        uris = asked.get("resourceSubscriptions", [])
        if type(uris) is not list or len(uris) > MOST_URIS or not all(type(uri) is str for uri in uris):
            raise InvalidParams(f'"params.notifications.resourceSubscriptions" must list at most {MOST_URIS} URIs.')
        if sum(map(len, uris)) > MOST_URI_CHARACTERS:
            raise InvalidParams(f"The URIs of one subscription have at most {MOST_URI_CHARACTERS} characters together.")
        # What the caller may not see is left out like what does not exist, so that nobody can find out by asking.
        if visible := [uri for uri in dict.fromkeys(uris) if may_see(uri)]:
            honoured["resourceSubscriptions"] = visible
        owner = None if principal is None else (principal.issuer, principal.subject)
        self._check_room(owner)
        return Subscription(self, request.id, honoured, granted, owner)

    async def end_all(self) -> None:
        """End every subscription with its result: the server is about to stop."""
        await asyncio.gather(*(subscription.end() for subscription in list(self._open)), return_exceptions=True)

    def result(self, request_id: RequestId) -> dict[str, Any]:
        """Return the result that ends a subscription."""
        return finish_result("subscriptions/listen", {"_meta": {SUBSCRIPTION_ID: request_id}}, self._server_info)

    def add(self, subscription: Subscription) -> None:
        """Have a subscription told of changes.

        Raises:
            TooManySubscriptions: others came first.
        """
        owner = subscription.owner
        self._check_room(owner)
        self._loop = asyncio.get_running_loop()
        self._open[subscription] = None
        if owner is not None:
            self._count_of[owner] = self._count_of.get(owner, 0) + 1
        if self._stop_listening is None:
            self._stop_listening = self._changes.listen(self._heard)

    def remove(self, subscription: Subscription) -> None:
        """Take a subscription out; it may be out already."""
        if subscription not in self._open:
            return
        del self._open[subscription]
        owner = subscription.owner
        if owner is not None:
            self._count_of[owner] -= 1
            if not self._count_of[owner]:
                del self._count_of[owner]
        if not self._open and self._stop_listening is not None:
            self._stop_listening()
            self._stop_listening = None

    def _check_room(self, owner: tuple[str, str] | None) -> None:
        if len(self._open) >= self._most_open:
            raise TooManySubscriptions("This server has as many subscriptions open as it keeps; try again later.")
        if owner is not None and self._count_of.get(owner, 0) >= self._most_per_caller:
            raise TooManySubscriptions(f"At most {self._most_per_caller} subscriptions may be open at once.")

    def _heard(self, change: Change) -> None:
        """Take a change from the bus, in whatever thread it comes, to the loop that the subscriptions live in."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._tell, change)

    def _tell(self, change: Change) -> None:
        for subscription in self._open:
            subscription.offer(change)


class Subscription:
    """One `subscriptions/listen` request. Made by `Subscriptions.prepare`."""

    __slots__ = ("_all", "_end", "_exchange", "_granted", "_honoured", "_task", "_waiting", "id", "owner")

    def __init__(
        self,
        all_open: Subscriptions,
        request_id: RequestId,
        honoured: dict[str, Any],
        granted: frozenset[str] | None,
        owner: tuple[str, str] | None,
    ) -> None:
        self._all = all_open
        self.id = request_id
        self._honoured = honoured
        self._granted = granted
        self.owner = owner
        self._exchange: Exchange | None = None
        self._end: End | None = None
        self._task: asyncio.Task[None] | None = None
        self._waiting: dict[tuple[str, str | None], None] | None = None

    async def begin(self, exchange: Exchange, end: End) -> None:
        """Acknowledge, and tell of changes from then on.

        Args:
            exchange: that of the request; notifications go there.
            end: sends the result that it is given and closes the stream; called at most once, by the server.

        Raises:
            TooManySubscriptions: others came first.
        """
        self._all.add(self)
        self._end = end
        # Changes while the acknowledgement is under way are kept: nothing may come before it, and nothing be lost.
        await exchange.notify(
            "notifications/subscriptions/acknowledged", self._tagged({"notifications": self._honoured})
        )
        self._exchange = exchange
        if self._waiting:
            self._deliver_soon()

    def offer(self, change: Change) -> None:
        """Tell the client of a change, if it asked for that kind and may know of it. Only in the event loop."""
        if change.kind == "resource":
            wanted = change.uri in self._honoured.get("resourceSubscriptions", ())
            key = ("notifications/resources/updated", change.uri)
        else:
            wanted = f"{change.kind}ListChanged" in self._honoured
            key = (_METHODS[change.kind], None)
        if not wanted or not (self._granted is None or change.scopes <= self._granted):
            return
        # While the client is slow to read, a second change of the same thing is the first one to it.
        if self._waiting is None:
            self._waiting = {}
        self._waiting[key] = None
        if self._exchange is not None and self._task is None:
            self._deliver_soon()

    async def end(self) -> None:
        """End it from the server's side, with its result."""
        end = self._end
        self.leave()
        if end is not None:
            await end(self._all.result(self.id))

    def leave(self) -> None:
        """Forget it: the client is gone, or is about to be told."""
        self._all.remove(self)
        self._end = None
        if self._task is not None:
            self._task.cancel()

    def _deliver_soon(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._deliver())

    async def _deliver(self) -> None:
        try:
            while self._waiting and self._exchange is not None:
                method, uri = next(iter(self._waiting))
                del self._waiting[method, uri]
                await self._exchange.notify(method, self._tagged({} if uri is None else {"uri": uri}))
        except OSError:
            # The client is gone; whoever waits for that will say so.
            self._waiting = None
        finally:
            self._task = None

    def _tagged(self, params: dict[str, Any]) -> dict[str, Any]:
        return {"_meta": {SUBSCRIPTION_ID: self.id}, **params}


def with_notifications(capabilities: Mapping[str, Any]) -> dict[str, Any]:
    """Return capabilities with the notifications that go with them: changes of each list, of resources, and logging."""
    advertised: dict[str, Any] = {"logging": {}}
    for name, features in capabilities.items():
        more = {"listChanged": True} if name in _METHODS else {}
        advertised[name] = {**features, **more, **({"subscribe": True} if name == "resources" else {})}
    return advertised
