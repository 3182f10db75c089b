"""What a failed test says: the promise that was broken, what was called, and what the contract says of it."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Awaitable, Callable
from dataclasses import field, replace
from functools import cache, wraps
from typing import Any, Final

from gatepost.late_dataclass import dataclass
from gatepost.stores.contract.store import Store

_CALLS_SHOWN: Final = 12
_OPERATIONS_SHOWN: Final = 3
_LENGTH: Final = 300
"""Of a call, in characters."""


@cache
def concerns() -> dict[str, type]:
    """Return the protocol of each concern, by the field of `Store` that it is."""
    hints = typing.get_type_hints(Store)
    return {name: hint for name, hint in hints.items() if getattr(hint, "_is_protocol", False)}


@cache
def operations() -> dict[str, str]:
    """Return what the contract says of each operation, by `concern.method`."""
    return {
        f"{concern}.{name}": f"{protocol.__name__}.{name}: {inspect.getdoc(method) or ''}"
        for concern, protocol in concerns().items()
        for name, method in inspect.getmembers(protocol, inspect.iscoroutinefunction)
        if not name.startswith("_")
    }


@dataclass
class CalledOperation:
    """One call of an operation."""

    operation: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    answer: str | None = None
    """What came of it, in words; None while it is under way."""

    def __str__(self) -> str:
        given = ", ".join([*map(repr, self.args), *(f"{name}={value!r}" for name, value in self.kwargs.items())])
        return f"{_short(f'{self.operation}({given})')} {self.answer or 'was not answered'}"


@dataclass
class Trail:
    """What a test has called, in order."""

    calls: list[CalledOperation] = field(default_factory=list)

    def watch(self, store: Store) -> Store:
        """Return the same store, of which each call is written down."""
        called = dict.fromkeys(operation.partition(".")[0] for operation in operations())
        watched: dict[str, Any] = {name: _Watched(name, getattr(store, name), self.calls) for name in called}
        return replace(store, **watched, in_name_of=lambda by: self.watch(store.in_name_of(by)))

    def message(self, promise: str) -> str:
        """Say what was promised, what was called, and what the contract says of that, the latest first."""
        shown = self.calls[-_CALLS_SHOWN:]
        earlier = len(self.calls) - len(shown)
        latest = [*dict.fromkeys(call.operation for call in reversed(self.calls))][:_OPERATIONS_SHOWN]
        return "\n".join(
            [
                f"The store does not keep its contract: {promise}",
                f"What was called{f', after {earlier} earlier calls' if earlier else ''}:",
                *(f"    {call}" for call in shown),
                "What the contract says of it, the latest first (gatepost.stores.contract):",
                *(f"    {line}" for operation in latest for line in operations()[operation].splitlines()),
            ]
        )


class _Watched:
    """One concern of a store, with every call written down."""

    def __init__(self, concern: str, methods: Any, calls: list[CalledOperation]) -> None:
        self._concern = concern
        self._methods = methods
        self._calls = calls

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._methods, name)
        operation = f"{self._concern}.{name}"
        return self._written_down(operation, method) if operation in operations() else method

    def _written_down(self, operation: str, method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        @wraps(method)
        async def written_down(*args: Any, **kwargs: Any) -> Any:
            call = CalledOperation(operation, args, kwargs)
            self._calls.append(call)
            try:
                answer = await method(*args, **kwargs)
            except BaseException as fault:
                call.answer = f"raised {type(fault).__name__}"
                raise
            call.answer = f"-> {_short(repr(answer))}"
            return answer

        return written_down


def _short(text: str) -> str:
    return text if len(text) <= _LENGTH else f"{text[:_LENGTH]} …"


def in_words(test: Callable[..., Any]) -> str:
    """Return what a test's name says, and its docstring where it has one."""
    name = test.__name__.removeprefix("test_").replace("_", " ")
    said = inspect.getdoc(test)
    return f"{name}." if said is None else f"{name}. {said}"
