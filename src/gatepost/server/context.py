"""What a tool can ask about the call it serves."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, MutableMapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar, get_origin, overload

from gatepost.resource.principal import Principal
from gatepost.server.errors import UnknownState

if TYPE_CHECKING:
    # For the annotation alone: this package runs without a web framework, over stdio for instance.
    from starlette.requests import Request

T = TypeVar("T")

ANONYMOUS: Final = "anonymous"
"""The subject of a call that no authentication stands behind."""

_EMPTY_STATE: Final[Mapping[str, Any]] = {}

_current_subject: ContextVar[str | None] = ContextVar("gatepost_current_subject", default=None)


def set_current_subject(principal: Principal | None) -> None:
    """Make `get_current_sub()` answer for this request.

    Called in exactly one place, the MCP endpoint, once for each request and also when there is no principal, so that a
    task that serves several requests never shows one caller to the next. Setting a context variable costs some 50 ns.
    """
    _current_subject.set(ANONYMOUS if principal is None else principal.subject)


def get_current_sub() -> str:
    """Return the subject of the caller whose request is being served; `"anonymous"` without authentication.

    For code that no `Context` reaches, a library underneath a tool for instance. Tools themselves had better take a
    `Context`.

    Raises:
        LookupError: No request is being served here.
    """
    subject = _current_subject.get()
    if subject is None:
        raise LookupError("get_current_sub() works only while a request is being served")
    return subject


@dataclass(frozen=True, slots=True)
class User:
    """The person a call is made for."""

    subject: str
    """Stable and unique: the key for whatever is kept per user. `"anonymous"` without authentication."""
    display_name: str | None
    """A name to show to people; never a key."""


@dataclass(frozen=True, slots=True)
class CallingClient:
    """The application that makes the call."""

    client_id: str | None
    """None without authentication."""
    name: str | None
    """As the client registered itself: a claim, not a proof."""


class ContextLogger(logging.LoggerAdapter[logging.Logger]):
    """A logger whose records carry `subject`, `client_id` and `tool` as extra fields."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Add the call's fields to those given with `extra=`; the call's win."""
        kwargs["extra"] = {**(kwargs.get("extra") or {}), **(self.extra or {})}
        return msg, kwargs


class Context:
    """One tool call, as the tool sees it. Injected into any parameter annotated `Context`; never part of the schema.

    Everything is computed when it is asked for.
    """

    __slots__ = ("_log", "_principal", "_request", "_state", "_tool")

    def __init__(
        self,
        *,
        principal: Principal | None = None,
        request: Callable[[], Request] | None = None,
        state: Mapping[str, Any] = _EMPTY_STATE,
        tool: str = "",
    ) -> None:
        self._principal = principal
        self._request: Callable[[], Request] | Request | None = request
        self._state = state
        self._tool = tool
        self._log: ContextLogger | None = None

    @property
    def user(self) -> User:
        """Who the call is made for."""
        principal = self._principal
        if principal is None:
            return User(ANONYMOUS, None)
        return User(principal.subject, principal.display_name)

    @property
    def client(self) -> CallingClient:
        """Which application makes the call."""
        principal = self._principal
        if principal is None:
            return CallingClient(None, None)
        return CallingClient(principal.client_id, principal.client_name)

    @property
    def scopes(self) -> frozenset[str]:
        """What the caller's token allows; empty without authentication."""
        return frozenset() if self._principal is None else self._principal.scopes

    @property
    def request(self) -> Request:
        """The request that carries this call: headers, address, and so on. Its body has been read.

        Raises:
            RuntimeError: The call did not come with a request.
        """
        if self._request is None:
            raise RuntimeError("this call did not come with a request")
        if callable(self._request):
            self._request = self._request()
        return self._request

    @overload
    def state(self, key: str) -> Any: ...

    @overload
    def state(self, key: str, kind: type[T]) -> T: ...

    def state(self, key: str, kind: type[Any] | None = None) -> Any:
        """Return what the server's lifespan yielded under `key`.

        Args:
            key: A key of the mapping that the lifespan yielded.
            kind: The type it must have, checked now; without it nothing is checked and the value is of type `Any`.

        Raises:
            UnknownState: The lifespan yielded no such key.
            TypeError: The value is of another type.
        """
        try:
            value = self._state[key]
        except KeyError:
            known = ", ".join(sorted(self._state)) or "none: the server's lifespan yielded nothing"
            raise UnknownState(f"there is no state {key!r}; known keys: {known}") from None
        # `dict[str, int]` is no class to check against; its origin is.
        if kind is not None and not isinstance(value, get_origin(kind) or kind):
            raise TypeError(f"the state {key!r} is of type {type(value).__name__}, not {kind}")
        return value

    @property
    def log(self) -> ContextLogger:
        """A standard logger, `gatepost.tools.<tool>`, that marks each record with user, client and tool."""
        if self._log is None:
            logger = logging.getLogger(f"gatepost.tools.{self._tool}" if self._tool else "gatepost.tools")
            fields = {"subject": self.user.subject, "client_id": self.client.client_id, "tool": self._tool}
            self._log = ContextLogger(logger, fields)
        return self._log
