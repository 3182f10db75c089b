"""Who shares one session with a server, and what each of them hears of it.

all of one user       changes go to each client session; else to whoever's request came last
clients of everybody  changes only: logs and the like may show one user's doings to another
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any, Final

from gatepost.fronts.backend import SessionUser
from gatepost.fronts.callers import Caller, SessionCaller, ask_client, is_declared
from gatepost.fronts.changes import change_of
from gatepost.fronts.held_calls import ANSWERED_WITH_QUESTIONS, HeldCall, Questions
from gatepost.fronts.raw_json import ServerNotification
from gatepost.fronts.session import BackendSession
from gatepost.late_dataclass import dataclass
from gatepost.protocol.errors import InvalidParams, RequestId
from gatepost.protocol.messages import Request
from gatepost.server.changes.bus import Change, LocalChanges
from gatepost.server.target import SessionChannel

MOST_WATCHED: Final = 1000
"""How many resources one of several client sessions may subscribe to."""
LONGEST_WATCHED: Final = 2048
"""Characters of the URI of such a resource."""


@dataclass(slots=True, eq=False, kw_only=True)
class Clients:
    """The `Audience` of one session with a server."""

    user: SessionUser | None
    """Whose they are."""
    is_everybodys: bool = False
    """Whether users share it who shall not hear of each other."""
    is_shared: bool = False
    """Whether several client sessions may join it, which hear of those resources alone that they asked about."""
    questions: Questions
    """For clients of the modern era."""
    on_lost: Callable[[str], None]
    """Called when the session is over, by no doing of ours."""
    channels: dict[bytes, SessionChannel] = field(default_factory=dict[bytes, SessionChannel], init=False)
    """The client sessions of the handshake era."""
    changes: LocalChanges = field(default_factory=LocalChanges, init=False)
    """For subscriptions of the modern era."""
    watched: dict[str, set[bytes]] = field(default_factory=dict[str, set[bytes]], init=False)
    """Which client sessions have subscribed to a resource, where several share the session."""
    _count_of: Counter[bytes] = field(default_factory=Counter[bytes], init=False)
    """To how many each has."""

    def note(self, request: Request, key: bytes) -> bool:
        """Note what one of several client sessions wants to hear of; False if the server need not know of it.

        Raises InvalidParams: it wants to hear of too much, which nobody shall have kept for them.
        """
        uri = request.params.get("uri")
        if type(uri) is str and request.method == "resources/subscribe":
            self._watch(uri, key)
        elif type(uri) is str and request.method == "resources/unsubscribe":
            watching = self.watched.get(uri, set())
            if key in watching:
                watching.remove(key)
                self._count_of[key] -= 1
            if not watching:
                self.watched.pop(uri, None)
            return not watching
        # One user's level is none of the others'.
        return not (self.is_everybodys and request.method == "logging/setLevel")

    def _watch(self, uri: str, key: bytes) -> None:
        watching = self.watched.get(uri, set())
        if key in watching:
            return
        if len(uri) > LONGEST_WATCHED:
            raise InvalidParams(f'"params.uri" may have {LONGEST_WATCHED} characters.')
        if self._count_of[key] >= MOST_WATCHED:
            raise InvalidParams("This session has as many subscriptions as it may.")
        self._count_of[key] += 1
        self.watched[uri] = watching | {key}

    def is_watched(self, uri: str) -> bool:
        """Say whether any client session has subscribed to a resource."""
        return uri in self.watched

    def leave(self, key: bytes) -> list[str]:
        """Forget a client session that is over; return the resources to which no other one has subscribed."""
        self.channels.pop(key, None)
        del self._count_of[key]
        left = [uri for uri, watching in self.watched.items() if watching == {key}]
        self.watched = {uri: watching - {key} for uri, watching in self.watched.items() if watching != {key}}
        return left

    def hear(self, session: BackendSession, notification: ServerNotification, caller: Caller | None = None) -> None:
        change = change_of(notification.method, notification.params)
        caller = caller or session.latest_caller()
        if change is not None:
            self.changes.publish(change)
        elif self.is_everybodys:
            return
        elif caller is not None:
            caller.hear(notification.method, notification.params, notification.raw)
            return
        for channel in self.channels.values():
            if not self._concerns(channel, notification, change):
                continue
            if isinstance(caller, SessionCaller) and caller.session_key == channel.key and not channel.is_listening:
                # A client that has no stream of its own hears of it on the one that it has.
                caller.hear(notification.method, notification.params, notification.raw)
            else:
                channel.post_message(notification.raw)

    def asked(self, session: BackendSession, method: str) -> Caller | None:
        if self.is_everybodys:
            return None
        # Servers ask while they do something for somebody, and hardly for a list.
        caller = session.latest_caller(ANSWERED_WITH_QUESTIONS) or session.latest_caller()
        if caller is not None and caller.can_be_asked(method):
            return caller
        if isinstance(caller, HeldCall):
            return AnyCall(self.questions) if caller.could_answer(method) else None
        for channel in reversed(self.channels.values()):
            # The client whose call is under way, which may hear on another stream; without a call, the latest one.
            is_meant = not isinstance(caller, SessionCaller) or caller.session_key == channel.key
            if is_meant and is_declared(method, channel.client_capabilities, others=True):
                return ChannelCaller(channel)
        is_any = caller is None and self.questions.can_be_asked(method)
        return AnyCall(self.questions) if is_any else None

    def lost(self, session: BackendSession, why: str) -> None:
        del session
        self.on_lost(why)

    def _concerns(self, channel: SessionChannel, notification: ServerNotification, change: Change | None) -> bool:
        if change is None or change.kind != "resource" or not self.is_shared:
            return True
        # Even of the only channel: a subscription of the modern era has none, and its resources may need more scopes.
        return channel.key in self.watched.get(str(notification.params.get("uri")), ())


class ChannelCaller:
    """A client of the handshake era, asked on its session's own stream."""

    progress_token: RequestId | None = None

    def __init__(self, channel: SessionChannel) -> None:
        self._channel = channel

    def hear(self, method: str, params: Mapping[str, Any], raw: bytes | None) -> None:
        del method, params
        if raw is not None:
            self._channel.post_message(raw)

    def can_be_asked(self, method: str) -> bool:
        return is_declared(method, self._channel.client_capabilities, others=True)

    async def ask(self, method: str, params: dict[str, Any]) -> Mapping[str, Any]:
        return await ask_client(self._channel, method, params)


class AnyCall:
    """A client of the modern era, asked in answer to whichever of its requests comes next."""

    progress_token: RequestId | None = None

    def __init__(self, questions: Questions) -> None:
        self._questions = questions

    def hear(self, method: str, params: Mapping[str, Any], raw: bytes | None) -> None:
        del method, params, raw

    def can_be_asked(self, method: str) -> bool:
        return self._questions.can_be_asked(method)

    async def ask(self, method: str, params: dict[str, Any]) -> Mapping[str, Any]:
        return await self._questions.ask(method, params, None)
