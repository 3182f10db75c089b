"""The page about standard input and output says what happens."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import sys
from pathlib import Path

from gatepost.stdio.connection import MOST_RUNNING
from gatepost.stdio.serving import GRACE_SECONDS
from gatepost.stdio.streams import LINE_LIMIT

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "stdio.md").read_text(encoding="utf-8")
PATIENCE = 180


def test_the_page_gives_the_true_bounds() -> None:
    assert f"at most {LINE_LIMIT // 1024**2} MiB" in PAGE
    assert f"Up to {MOST_RUNNING:,} requests" in PAGE
    assert GRACE_SECONDS == 1
    assert "has a second to finish" in PAGE


def test_the_configuration_of_the_page_starts_a_server(tmp_path: Path) -> None:
    found = re.search(r"^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None
    (entry,) = json.loads(found[1])["mcpServers"].values()
    *arguments, target = entry["args"]
    module = tmp_path / "notes.py"
    module.write_text("from gatepost import Server\n\nserver = Server('notes')\n")
    assert target.endswith(f"{module.name}:server")

    ask = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"})
    command = [sys.executable, *arguments, f"{module}:server"]
    ended = subprocess.run(command, input=ask, capture_output=True, text=True, timeout=PATIENCE, check=False)

    assert (ended.returncode, json.loads(ended.stdout)["id"]) == (0, 1)


def test_a_second_signal_ends_it_also_while_a_plain_function_runs(tmp_path: Path) -> None:
    module = tmp_path / "slow.py"
    module.write_text(
        "import sys, threading\n"
        "from gatepost import Server\n"
        "server = Server('slow')\n"
        "@server.tool\n"
        "def hold() -> None:\n"
        "    print('held', file=sys.stderr, flush=True)\n"
        "    threading.Event().wait()\n"
    )
    initialize = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {"protocolVersion": "2025-11-25", "capabilities": {}},
    }
    call = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "hold", "arguments": {}}}
    command = [sys.executable, "-m", "gatepost", "stdio", f"{module}:server"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(json.dumps(initialize).encode() + b"\n" + json.dumps(call).encode() + b"\n")
        process.stdin.flush()
        process.stdout.readline()
        assert process.stderr.readline() == b"held\n"
        process.send_signal(signal.SIGTERM)
        # The one that comes when the first has been heard ends it, although the function never ends.
        while process.poll() is None:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.2)
        assert process.returncode == -signal.SIGTERM
