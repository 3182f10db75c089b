"""An access token of an issuer elsewhere beside one of Gatepost's own, both verified a moment ago, at one server.

`python -m benchmarks.external` runs this alone.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from benchmarks.comparisons import FAILURES, Comparison, Contender, Promise, in_turns
from benchmarks.environments import GATEPOST
from benchmarks.fronts import served
from benchmarks.messages import MCP_PATH, Caller, Era
from benchmarks.peers import SERVERS, fill_store
from benchmarks.processes import ServerProcess, free_port

_ISSUER: Final = "https://issuer.example.com/"
_MINT_SECONDS: Final = 60
_NOTE: Final = (
    "One server that takes tokens of both, a call of a tool of its own, modern era. The token of the issuer elsewhere "
    "is a JWT (ES256), some 400 characters longer than the other."
)


def measure(*, rounds: int, seconds: float, directory: Path, until: float, say: Callable[[str], None]) -> Comparison:
    """Time calls with each of the two tokens."""
    promise = Promise("jwt", "opaque", 0.95, "a call with a JWT of an issuer elsewhere", "× the opaque token's")
    comparison = Comparison("External token, verified a moment ago", "opaque", _NOTE, [promise])
    own = directory / "external"
    own.mkdir()
    port = free_port()
    resource = f"http://127.0.0.1:{port}{MCP_PATH}"
    try:
        with ExitStack() as stack:
            (opaque,) = fill_store(own, resource=resource, tokens=1)
            script, issuer = [GATEPOST.python, str(SERVERS / "gatepost_external.py")], [_ISSUER, str(own / "key.json")]
            mint = [*script, "mint", resource, *issuer]
            token = subprocess.run(mint, capture_output=True, text=True, check=True, timeout=_MINT_SECONDS).stdout
            command = [*script, "serve", str(port), *issuer]
            process = ServerProcess(command, port=port, environment={"OAUTH_STORAGE_DIR": str(own)}, cwd=own)
            contenders = [
                Contender("opaque", "Gatepost's own token", served(stack, process, Caller(opaque, Era.MODERN)).measure),
                Contender(
                    "jwt", "JWT of an issuer elsewhere", served(stack, process, Caller(token, Era.MODERN)).measure
                ),
            ]
            in_turns(comparison, contenders, rounds=rounds, seconds=seconds, until=until, say=say)
    except FAILURES as error:
        comparison.failed("both", error, say)
    return comparison


if __name__ == "__main__":
    from benchmarks.__main__ import main

    sys.exit(main(["--only", "external", *sys.argv[1:]]))
