"""`subscriptions/listen`: streams of changes in the modern era (2026-07-28 basic/patterns/subscriptions).

A subscription is an object and no task: the transport waits for its client to disconnect in whatever way is cheapest
there, and a task runs only while something is being delivered.

    target.answer(...) -> Subscription   instead of a result
    await subscription.begin(end)        sends the acknowledgement; notifications of changes follow
    subscription.leave()                 when the client has disconnected
    await end(result)                    called when the server ends it: send the result, then close
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import field
from typing import Any, Final

from gatepost.late_dataclass import dataclass
from gatepost.protocol.errors import InvalidJsonRpcRequest, InvalidParams, RequestId
from gatepost.protocol.json_encoding import encode
from gatepost.protocol.messages import Request, notification
from gatepost.protocol.modern import finish_result
from gatepost.protocol.uris import normal_form
from gatepost.server.calls.callers import user_of
from gatepost.server.calls.exchange import Exchange
from gatepost.server.changes.bus import Change, ChangeBus, listen_in_loop
from gatepost.server.extension import SubscriptionWatch, Tell

SUBSCRIPTION_ID: Final = "io.modelcontextprotocol/subscriptionId"

OFFERED_AT_ONCE: Final = 500
"""To so many a change is sent in one turn of the event loop: a few milliseconds, for which others wait."""
MOST_OPEN: Final = 10_000
"""Subscriptions of one server in one process."""
MOST_PER_CALLER: Final = 64
"""Subscriptions of one user; those without a token count in `MOST_OPEN` alone."""
MOST_URIS: Final = 1_000
"""Resources that one subscription watches."""
MOST_URI_CHARACTERS: Final = 256 * 1024
"""Characters that their URIs have together; they are kept for as long as the stream is open."""

_NOTHING: Final[Mapping[str, Any]] = {}
_LISTS: Final = ("tools", "prompts", "resources")

End = Callable[[dict[str, Any]], Awaitable[None]]


class TooManySubscriptions(InvalidJsonRpcRequest):
    """The caller, or everybody together, has as many subscriptions open as there may be."""

    modern_status = 429


@dataclass(slots=True, eq=False)
class Subscriptions:
    """Those that are open, of one server in this process."""

    changes: ChangeBus
    server_info: Mapping[str, Any]
    most_open: int = MOST_OPEN
    most_per_caller: int = MOST_PER_CALLER
    on_change: Callable[[Subscription, bool], None] | None = None
    """Called with each that begins, and True, and with each that is over, and False."""
    _open: dict[Subscription, None] = field(default_factory=dict, init=False)
    """In order, so that everybody gets a change in the same order."""
    _count_of: Counter[tuple[str, str]] = field(default_factory=Counter, init=False)
    _stop_listening: Callable[[], None] | None = field(default=None, init=False)

    def __len__(self) -> int:
        """Return how many are open."""
        return len(self._open)

    def prepare(
        self,
        request: Request,
        exchange: Exchange,
        *,
        offered: Mapping[str, Any],
        may_see: Callable[[str], bool],
        watches: Sequence[SubscriptionWatch] = (),
    ) -> Subscription:
        """Return the subscription that a `subscriptions/listen` request asks for; it has still to begin.

        Args:
            request: its parameters hold the filter.
            exchange: notifications go there; its scopes decide which.
            offered: the server's capabilities: what it has no lists of is left out of the acknowledgement.
            may_see: says whether there is a resource of this URI that the caller may read.
            watches: what extensions notify of.

        Raises:
            InvalidParams: the filter is malformed.
            TooManySubscriptions: no more may be opened.
        """
        asked = request.params.get("notifications")
        if type(asked) is not dict:
            raise InvalidParams('"params.notifications" must be an object.')
        honoured: dict[str, Any] = {}
        for kind in _LISTS:
            name = f"{kind}ListChanged"
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
        watched: dict[str, str] = {}
        for uri in uris:
            if may_see(uri):
                watched.setdefault(normal_form(uri) or uri, uri)
        if watched:
            honoured["resourceSubscriptions"] = list(watched.values())
        honoured |= {name: value for watch in watches for name, value in watch.honoured.items()}
        # Kept for as long as the stream is open, so only for who wants them.
        params = _NOTHING if self.on_change is None else request.params
        subscription = Subscription(self, request.id, params, exchange, honoured, watched or _NOTHING, watches)
        self._check_room(subscription.user)
        return subscription

    async def end_all(self) -> None:
        """End every subscription with its result: the server is about to stop."""
        await asyncio.gather(*(subscription.end() for subscription in list(self._open)), return_exceptions=True)

    def add(self, subscription: Subscription) -> None:
        """Have a subscription notified of changes; raises TooManySubscriptions: others came first."""
        self._check_room(subscription.user)
        self._open[subscription] = None
        if self.on_change is not None:
            self.on_change(subscription, True)  # noqa: FBT003 - a callback's arguments have no names
        if subscription.user is not None:
            self._count_of[subscription.user] += 1
        if self._stop_listening is None:
            self._stop_listening = listen_in_loop(self.changes, self._offer)

    def remove(self, subscription: Subscription) -> None:
        """Take a subscription out; it may be out already."""
        if subscription not in self._open:
            return
        del self._open[subscription]
        if self.on_change is not None:
            self.on_change(subscription, False)  # noqa: FBT003 - likewise
        if subscription.user is not None:
            self._count_of[subscription.user] -= 1
            if not self._count_of[subscription.user]:
                del self._count_of[subscription.user]
        if not self._open and self._stop_listening is not None:
            self._stop_listening()
            self._stop_listening = None

    def _check_room(self, user: tuple[str, str] | None) -> None:
        if len(self._open) >= self.most_open:
            raise TooManySubscriptions("This server has as many subscriptions open as it keeps; try again later.")
        if user is not None and self._count_of[user] >= self.most_per_caller:
            raise TooManySubscriptions(f"At most {self.most_per_caller} subscriptions may be open at once.")

    def _offer(self, change: Change) -> None:
        self._offer_some(ToldChange(change), list(self._open))

    def _offer_some(self, told: ToldChange, listening: list[Subscription], begin: int = 0) -> None:
        end = begin + OFFERED_AT_ONCE
        for subscription in listening[begin:end]:
            if subscription in self._open:  # still
                subscription.tell(told)
        if end < len(listening):
            # Others are served in between. The next change comes behind this one for all, since it takes turns too.
            asyncio.get_running_loop().call_soon(self._offer_some, told, listening, end)


class ToldChange:
    """A change on its way to many subscriptions: the bytes of its notification are built once for all."""

    __slots__ = ("_parts", "change", "list_name")

    def __init__(self, change: Change) -> None:
        self.change = change
        self.list_name = f"{change.kind}ListChanged"
        self._parts: dict[str | None, tuple[bytes, bytes]] = {}
        """What stands before and behind the subscription's id, by the URI as the client spells it."""

    def message_to(self, subscription_id: RequestId, watched: Mapping[str, str]) -> bytes:
        """Return the notification to one subscription; `watched` as of `Change.notification`."""
        change = self.change
        spelt = None if change.uri is None else watched[change.uri]
        parts = self._parts.get(spelt)
        if parts is None:
            method, params = change.notification(watched)
            # The first null is the id's: before it there are constants alone.
            before, _, behind = notification(method, _tagged(None, params)).partition(b"null")
            parts = self._parts[spelt] = before, behind
        return b"%b%b%b" % (parts[0], encode(subscription_id), parts[1])


@dataclass(slots=True, eq=False)
class Subscription:
    """One `subscriptions/listen` request. Made by `Subscriptions.prepare`."""

    _all: Subscriptions
    id: RequestId
    params: Mapping[str, Any]
    """Those of its request; empty where nobody is told which are open (`Subscriptions.on_change`)."""
    exchange: Exchange
    """Notifications go there."""
    _honoured: dict[str, Any]
    _watched: Mapping[str, str]
    """URIs of resources as the client spells them, by their normal form."""
    _watches: Sequence[SubscriptionWatch] = ()
    _is_begun: bool = field(default=False, init=False)
    _end: End | None = field(default=None, init=False)
    _task: asyncio.Task[None] | None = field(default=None, init=False)
    _waiting: dict[Hashable, Change | Tell] = field(default_factory=dict, init=False)

    @property
    def uris(self) -> tuple[str, ...]:
        """The resources that it watches, as the client spells them."""
        return tuple(self._watched.values())

    @property
    def user(self) -> tuple[str, str] | None:
        """Who is notified."""
        return user_of(self.exchange.principal)

    async def begin(self, end: End) -> None:
        """Acknowledge, and notify the client of changes from then on; raises TooManySubscriptions: others came first.

        `end` sends the result that it is given and closes the stream; called at most once, by the server.
        """
        self._all.add(self)
        self._end = end
        for watch in self._watches:
            watch.begin(self.offer_to_tell)
        # Changes while the acknowledgement is under way are kept: nothing may come before it, and nothing be lost.
        acknowledged = _tagged(self.id, {"notifications": self._honoured})
        await self.exchange.notify("notifications/subscriptions/acknowledged", acknowledged)
        self._is_begun = True
        if self._waiting:
            self._deliver_soon()

    def offer(self, change: Change) -> None:
        """Notify the client of a change, if it asked for that kind and may know of it. Only in the event loop."""
        self.tell(ToldChange(change))

    def tell(self, told: ToldChange) -> None:
        """Do as `offer`, for a change that many are told of."""
        change = told.change
        is_wanted = change.uri in self._watched if change.kind == "resource" else told.list_name in self._honoured
        granted = self.exchange.granted
        if not is_wanted or not (granted is None or change.scopes <= granted):
            return
        is_idle = self._is_begun and self._task is None and not self._waiting
        if is_idle and self.exchange.send_at_once(told.message_to(self.id, self._watched)):
            return
        # While the client is slow to read, a second change of the same thing is the first one to it.
        self._wait((change.kind, change.uri), change)

    def offer_to_tell(self, what: Hashable, tell: Tell) -> None:
        """Notify the client of what an extension tells; a second time is the first one to it while it is slow to read.

        Only in the event loop.
        """
        if self._end is not None:
            self._wait(what, tell)

    def _wait(self, what: Hashable, change: Change | Tell) -> None:
        self._waiting[what] = change
        if self._is_begun and self._task is None:
            self._deliver_soon()

    async def end(self) -> None:
        """End it from the server's side, with its result."""
        end = self._end
        self.leave()
        if end is not None:
            meta = {"_meta": {SUBSCRIPTION_ID: self.id}}
            await end(finish_result("subscriptions/listen", meta, self._all.server_info))

    def leave(self) -> None:
        """Forget it: the client is gone, or is about to be notified."""
        self._all.remove(self)
        for watch in self._watches:
            watch.leave()
        self._end = None
        if self._task is not None:
            self._task.cancel()

    def _deliver_soon(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._deliver())

    async def _deliver(self) -> None:
        try:
            while self._waiting:
                change = self._waiting.pop(next(iter(self._waiting)))
                told = change.notification(self._watched) if isinstance(change, Change) else await change()
                if told is not None:
                    await self.exchange.notify(told[0], _tagged(self.id, told[1]))
        except OSError:
            # The client is gone; whoever waits for that will say so.
            self._waiting.clear()
        finally:
            self._task = None


def _tagged(subscription_id: RequestId | None, params: dict[str, Any]) -> dict[str, Any]:
    return {"_meta": {SUBSCRIPTION_ID: subscription_id}, **params}


def with_notifications(capabilities: Mapping[str, Any]) -> dict[str, Any]:
    """Return capabilities with the notifications that go with them: changes of each list, of resources, and logging."""
    advertised: dict[str, Any] = {"logging": {}}
    for name, features in capabilities.items():
        more = {"listChanged": True} if name in _LISTS else {}
        advertised[name] = {**features, **more, **({"subscribe": True} if name == "resources" else {})}
    return advertised
