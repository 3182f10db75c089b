"""The systemd units: how much they leave a server. That systemd takes them is in tests/end_to_end/test_restarts.py."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from gatepost.configuration.settings import load_settings
from tests.deploy.manifests import AFTER_CALLS, DEPLOY

UNITS = ["gatepost.service", "gatepost@.service"]
EXPOSURE = 1.5
"""Of ten, by `systemd-analyze security`. What is left are the network, the root directory and the Unix sockets."""


def options(unit: str) -> list[tuple[str, str]]:
    """The section [Service], line by line."""
    text = (DEPLOY / "systemd" / unit).read_text(encoding="utf-8")
    lines = text.partition("[Service]")[2].partition("[Install]")[0].splitlines()
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return [(name, value) for name, _, value in pairs]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not there")
@pytest.mark.parametrize("unit", UNITS)
def test_a_unit_leaves_the_server_little_besides_its_network(unit: str, tmp_path: Path) -> None:
    copy = tmp_path / unit.replace("@", "@a")
    shutil.copy(DEPLOY / "systemd" / unit, copy)
    judged = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", f"--threshold={EXPOSURE * 10:.0f}", str(copy)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert judged.returncode == 0, judged.stdout[-500:] + judged.stderr


def test_both_units_are_confined_in_the_same_way() -> None:
    first, second = ([*map("=".join, options(unit))] for unit in UNITS)
    begins = "UMask=0077"
    assert first[first.index(begins) :] == second[second.index(begins) :]


@pytest.mark.parametrize("unit", UNITS)
def test_systemd_kills_only_after_calls_have_ended(unit: str) -> None:
    by_default = load_settings({}, env_file=None).server.shutdown_seconds
    assert int(dict(options(unit))["TimeoutStopSec"]) > by_default + AFTER_CALLS
