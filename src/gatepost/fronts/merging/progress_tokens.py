"""Progress tokens of what several servers ask one client: each is the server's own, so two may be alike."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field
from typing import Any, Generic, TypeVar

from gatepost.late_dataclass import dataclass

P = TypeVar("P")
Questions = Mapping[str, Mapping[str, Any]]


@dataclass(slots=True, eq=False)
class ProgressTokens(Generic[P]):
    """Those of one client session."""

    _given: dict[int, tuple[P, Any]] = field(default_factory=dict[int, tuple[P, Any]], init=False)
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1), init=False)

    @contextmanager
    def standing_in(self, part: P, requests: Questions) -> Iterator[Questions]:
        """Yield requests of a server's with tokens that are this session's own, which count meanwhile."""
        sent: dict[str, Mapping[str, Any]] = {}
        numbers: list[int] = []
        for key, request in requests.items():
            meta = request.get("params", {}).get("_meta")
            token = meta.get("progressToken") if type(meta) is dict else None
            sent[key] = request
            if token is not None:
                number = next(self._numbers)
                self._given[number] = part, token
                numbers.append(number)
                params = {**request["params"], "_meta": {**meta, "progressToken": number}}
                sent[key] = {**request, "params": params}
        try:
            yield sent
        finally:
            for number in numbers:
                del self._given[number]

    def find(self, token: Any) -> tuple[P, Any] | None:
        """Return whose token a client's is, and what that server calls it; None for none that counts."""
        return self._given.get(token) if type(token) is int else None
