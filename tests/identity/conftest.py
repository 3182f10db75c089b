from __future__ import annotations

import pytest

from gatepost.identity import passwords


@pytest.fixture
def cheap_hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash with little memory, for tests of what surrounds the hash."""
    monkeypatch.setattr(passwords, "_MEMORY_COST", 64)
    monkeypatch.setattr(passwords, "_hasher", passwords._hasher.__wrapped__)
