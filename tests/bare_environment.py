"""A bare environment: settings tests see only what they set."""

import os

import pytest

from gatepost.configuration.settings import UPSTREAM_PREFIX, known_names


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: os.PathLike[str]) -> None:
    for name in (*known_names(), *(name for name in os.environ if name.startswith(UPSTREAM_PREFIX))):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)  # as proxies are named, too
    monkeypatch.chdir(tmp_path)
