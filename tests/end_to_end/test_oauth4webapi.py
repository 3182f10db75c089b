"""A client library that refuses what the specifications do not allow (oauth4webapi) finds nothing to refuse."""

import shutil
from pathlib import Path

from tests.conftest import RequireService
from tests.end_to_end.conftest import TARGET
from tests.end_to_end.running_server import RunningServer
from tests.end_to_end.scripted_client import Person
from tests.end_to_end.test_typescript_clients import PACKAGES, SOURCE, install
from tests.end_to_end.test_typescript_oauth import run


def test_a_strict_client_registers_redeems_refreshes_validates_and_revokes(
    require_service: RequireService, tmp_path: Path
) -> None:
    require_service("oauth4webapi (npm)", available=install())
    program = Path(shutil.copy(SOURCE / "strict.mjs", PACKAGES / "strict.mjs"))
    with RunningServer(TARGET, tmp_path / "data", environment={"OAUTH_ACCESS_TOKEN_FORMAT": "jwt"}) as server:
        assert server.setup_link is not None
        person = Person(server.origin)
        person.set_up(server.setup_link)
        seen = run(program, person, server.origin, server.mcp_url)

        assert seen == {
            "iss": True,
            "challenge": ["bearer", "invalid_token"],
            "rotated": True,
            "claims": [server.origin, server.mcp_url, True],
            "active": [True, False],
        }
