"""A client library that refuses what the specifications do not allow (oauth4webapi) finds nothing to refuse."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import RequireService
from tests.end_to_end.conftest import TARGET, owner_of
from tests.end_to_end.running_server import REPOSITORY, RunningServer
from tests.end_to_end.scripted_client import Person
from tests.end_to_end.test_typescript_clients import PACKAGES, SOURCE, install
from tests.end_to_end.test_typescript_oauth import run

METHODS = ["client_secret_basic", "private_key_jwt"]


@pytest.fixture(scope="module")
def strict_program(require_service: RequireService) -> Path:
    """The script, beside the packages that it imports."""
    require_service("oauth4webapi (npm)", available=install())
    return Path(shutil.copy(SOURCE / "strict.mjs", PACKAGES / "strict.mjs"))


@pytest.fixture(scope="module")
def jwt_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server whose access tokens are JWTs (RFC 9068), which the library validates."""
    data = tmp_path_factory.mktemp("jwt") / "data"
    with RunningServer(TARGET, data, environment={"OAUTH_ACCESS_TOKEN_FORMAT": "jwt"}) as server:
        yield server


@pytest.fixture(scope="module")
def jwt_owner(jwt_server: RunningServer) -> Person:
    """The owner of that server."""
    return owner_of(jwt_server)


def used(server: RunningServer, *, is_machine: bool) -> dict[str, Any]:
    """Return what the use of a token shows; the issuer is the same everywhere, byte for byte."""
    return {
        "resource": server.mcp_url,
        "issuers": [server.origin, server.origin, server.origin],
        "audience": server.mcp_url,
        "own": [True, is_machine],
        "active": [True, False],
    }


@pytest.mark.parametrize("method", METHODS)
def test_a_strict_client_discovers_registers_redeems_refreshes_validates_and_revokes(
    strict_program: Path, jwt_server: RunningServer, jwt_owner: Person, method: str
) -> None:
    seen = run(strict_program, jwt_owner.decide, "user", method, jwt_server.mcp_url)

    assert seen == {
        "iss": [True, jwt_server.origin],
        "challenge": [
            "bearer",
            "invalid_token",
            f"{jwt_server.origin}/.well-known/oauth-protected-resource/mcp",
        ],
        "rotated": True,
        **used(jwt_server, is_machine=False),
    }


@pytest.mark.parametrize("method", METHODS)
def test_a_strict_machine_that_the_operator_added_gets_a_token_for_itself(
    strict_program: Path, jwt_server: RunningServer, tmp_path: Path, method: str
) -> None:
    def add(jwks: str) -> str:
        keys = tmp_path / "keys.json"
        keys.write_text(jwks)
        options = ["--jwks", str(keys)] if method == "private_key_jwt" else []
        added = subprocess.run(
            [sys.executable, "-m", "gatepost", "clients", "add", "Job", "--machine", "--scope", "notes:read", *options],
            cwd=REPOSITORY,
            env={**os.environ, "OAUTH_STORAGE_DIR": str(jwt_server.data)},
            capture_output=True,
            text=True,
            check=True,
        )
        rows = [line.split() for line in added.stdout.splitlines()]
        return json.dumps({row[0]: row[1] for row in rows if len(row) == 2})

    seen = run(strict_program, add, "machine", method, jwt_server.mcp_url)

    assert seen == {"scope": "notes:read", "refreshes": False, **used(jwt_server, is_machine=True)}
