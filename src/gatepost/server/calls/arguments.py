"""`Arguments`: inputs, request and state of a call in one object, for functions that take it in place of parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from gatepost.server.calls.context import Context

if TYPE_CHECKING:
    # For the annotation alone: this package runs without a web framework, over stdio for instance.
    from starlette.requests import Request

Inputs = TypeVar("Inputs")
T = TypeVar("T")


class Arguments(Generic[Inputs]):
    """What a tool or prompt with one parameter `Arguments[Model]` gets: the fields of the model are its arguments.

    Args:
        request: that of the call; None for the one that the context knows.
        inputs: the checked arguments.
        context: that of the call; without one, state is that of the request (`request.state`), as a test of a tool may
            have it.
    """

    __slots__ = ("_request", "context", "inputs")

    def __init__(self, request: Request | None, inputs: Inputs, *, context: Context | None = None) -> None:
        self._request = request
        self.inputs = inputs
        self.context = _context_of(request) if context is None else context
        """The user, the client and the rest of the call."""

    @property
    def request(self) -> Request:
        """The request that carries this call, as `Context.request`; raises RuntimeError where there is none."""
        return self.context.request if self._request is None else self._request

    def get_state_key(self, key: str, kind: type[T]) -> T:
        """Return what the lifespan yielded under `key`, as `Context.state`, and raise as that does.

        Raises:
            UnknownState: There is nothing under this key.
            TypeError: The value is of another type.
        """
        return self.context.state(key, kind)


def _context_of(request: Request | None) -> Context:
    state: dict[str, Any] = {} if request is None else request.scope.get("state", {})
    return Context(state=state)
