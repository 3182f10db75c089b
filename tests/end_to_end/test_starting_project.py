"""What `gatepost init` writes works as it is, whatever was answered."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from gatepost import create_app
from gatepost.cli.main import main
from gatepost.cli.starting_project import ACCOUNTS, LOGINS, TOKENS, StartingProject
from gatepost.configuration.loading import load_target
from gatepost.configuration.settings import load_settings
from tests.end_to_end.running_server import REPOSITORY, RunningServer
from tests.end_to_end.scripted_client import App, Person

PUBLIC_URL = "https://mcp.example.com"
SECRET = "s" * 32
ANSWERS = {
    "ISSUER": "https://id.example.com",
    "TENANT": "0f3c6f52-3f0b-4c8e-9d5a-5d1c1d0a7a11",
    "CLIENT_ID": "gatepost",
    "CLIENT_SECRET": SECRET,
    "AUTHORIZATION_ENDPOINT": "https://id.example.com/authorize",
    "TOKEN_ENDPOINT": "https://id.example.com/token",
    "USERINFO_ENDPOINT": "https://id.example.com/me",
    "SUBJECT": "id",
    "OAUTH_ALLOWED_USERS": "ada@example.com",
}
"""What a person fills in, by how the variable ends."""


def written(folder: Path, *options: str) -> Path:
    """Write a project and return its folder."""
    assert main(["init", str(folder), "--name", "notes", "--yes", *options]) == 0
    return folder


def filled_in(folder: Path, login: str) -> None:
    """Fill in what the settings leave open."""
    text = (folder / ".env").read_text(encoding="utf-8")
    for variable in StartingProject("notes", login).unset:
        value = next(value for end, value in ANSWERS.items() if variable.endswith(end))
        if variable == "OAUTH_UPSTREAM_KEYCLOAK_ISSUER":
            value += "/realms/company"
        text = text.replace(f"\n{variable}=\n", f"\n{variable}={value}\n")
    (folder / ".env").write_text(text, encoding="utf-8")


def run(folder: Path, *command: str) -> str:
    """Run a Python module in the project, and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=folder, capture_output=True, text=True, check=False, timeout=300
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    return done.stdout


def kept(server: RunningServer, token: str, host: str | None = None) -> object:
    """Call the tool of the project that writes, and return what it says."""
    app = App(server.origin)
    if host is not None:
        app.http.headers["Host"] = host
    assert app.http.post("/mcp", json={}).status_code == 401
    return app.call(token, "add", {"text": "milk"}).json()["result"]["content"][0]["text"]


def minted(server: RunningServer, folder: Path) -> str:
    """Return a token that the command line makes beside the server."""
    command = ["gatepost", "token", "mint", "--subject", "ada", "--scopes", "notes:write"]
    environment = {**os.environ, "OAUTH_STORAGE_DIR": str(server.data), "MCP_PORT": str(server.port)}
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return done.stdout.strip()


def test_its_test_passes_and_linters_find_nothing(tmp_path: Path) -> None:
    """The code is the same whatever was answered (tests/cli/test_init.py)."""
    folder = written(tmp_path / "notes")

    assert "2 passed" in run(folder, "pytest", "-q", "-W", "error", "-p", "no:cacheprovider")
    run(
        folder,
        "ruff",
        "check",
        "--isolated",
        "--no-cache",
        "--extend-select",
        "I,UP,B,ANN,S,SIM",
        "--ignore",
        "S101",
        ".",
    )
    run(folder, "ruff", "format", "--isolated", "--no-cache", "--check", ".")
    cache = REPOSITORY / ".mypy_cache" / "starting_project"  # apart from that of `make types`, whose options are others
    run(folder, "mypy", "--strict", "--config-file", "", "--cache-dir", str(cache), "server.py", "test_server.py")


def test_a_server_with_accounts_serves_its_owner(tmp_path: Path) -> None:
    folder = written(tmp_path / "notes")
    with RunningServer("", tmp_path / "data", cwd=folder) as server:
        owner = Person(server.origin)
        assert server.setup_link is not None
        owner.set_up(server.setup_link)
        app = App(server.origin).register()
        tokens = app.redeem(app.code_from(owner.decide(app.authorization_url()))).json()
        assert kept(server, tokens["access_token"]) == "Kept: milk"
    assert "Add notes in your name" in "".join(owner.pages)


def test_a_public_server_serves_a_token_behind_its_proxy(tmp_path: Path) -> None:
    folder = written(tmp_path / "notes", "--public-url", PUBLIC_URL)
    with RunningServer("", tmp_path / "data", cwd=folder) as server:
        assert kept(server, minted(server, folder), "mcp.example.com") == "Kept: milk"
    assert not (tmp_path / "data" / "gatepost.key").exists(), "it seals with the key of the project"


def test_a_server_with_a_login_provider_serves_a_token(tmp_path: Path) -> None:
    folder = written(tmp_path / "notes", "--login", "google")
    filled_in(folder, "google")
    with RunningServer("", tmp_path / "data", cwd=folder) as server:
        assert kept(server, minted(server, folder)) == "Kept: milk"


def test_a_server_with_tokens_of_an_issuer_elsewhere_serves_one(tmp_path: Path) -> None:
    """Signed with a secret that both know, so that nothing has to be fetched."""
    folder = written(tmp_path / "notes", "--login", "tokens")
    filled_in(folder, TOKENS)
    shared = {"OAUTH_ALGORITHM": "HS256", "JWT_SECRET": SECRET}
    with RunningServer("", tmp_path / "data", cwd=folder, environment=shared) as server:
        claims = {
            "iss": ANSWERS["ISSUER"],
            "aud": server.mcp_url,
            "sub": "ada",
            "scope": "notes:write",
            "iat": int(time.time()),
            "exp": int(time.time()) + 600,
        }
        token = jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(SECRET))
        assert kept(server, token) == "Kept: milk"


@pytest.mark.parametrize("place", [[], ["--public-url", PUBLIC_URL]], ids=["this machine", "public"])
@pytest.mark.parametrize("login", LOGINS)
async def test_what_is_written_and_filled_in_starts(
    login: str, place: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = written(tmp_path / "notes", "--login", login, *place)
    filled_in(folder, login)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    settings = load_settings(env_file=Path(".env"))
    app = create_app(load_target(str(settings.server.handler)), settings=settings)
    async with app.lifespan():
        assert (folder / ".gatepost" / "gatepost.db").exists()


@pytest.mark.parametrize("login", [one for one in LOGINS if one != ACCOUNTS])
def test_what_is_not_filled_in_is_named_at_the_start(
    login: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(written(tmp_path / "notes", "--login", login))
    capsys.readouterr()

    assert main(["serve"]) == 2

    complaint = capsys.readouterr().err
    assert complaint.startswith("gatepost: ")
    assert StartingProject("notes", login).unset[0] in complaint
