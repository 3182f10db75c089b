"""Clients of OAUTH_CLIENTS_FILE, all the way through a whole installation."""

from __future__ import annotations

from pathlib import Path

from gatepost.stores.sql.sqlite import memory_store
from gatepost.tokens.opaque import fingerprint
from tests.attacks.installed import ORIGIN, installed

SECRET = "a-secret-of-enough-characters"
FILE = f"""
[[client]]
id = "nightly"
name = "Nightly job"
machine = true
scopes = ["notes:read"]
auth_method = "client_secret_post"
secret_sha256 = "{fingerprint(SECRET).hex()}"

[[client]]
id = "my-app"
name = "My app"
redirect_uris = ["https://app.example/cb"]
"""
CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
ASK = {"grant_type": "client_credentials", "client_id": "nightly", "resource": f"{ORIGIN}/mcp"}


async def test_a_client_works_from_its_entry_and_is_refused_once_the_entry_is_gone(tmp_path: Path) -> None:
    file, store = tmp_path / "clients.toml", memory_store()
    file.write_text(FILE)
    async with installed(store=store, OAUTH_CLIENTS_FILE=str(file)) as gatepost:
        login = await gatepost.authorize("my-app")
        assert (login.status_code, login.headers["location"].split("?")[0]) == (303, "/oauth/login")
        assert (await gatepost.authorize("my-app", "https://evil.example/cb")).status_code == 400
        assert (await gatepost.token(**ASK, client_secret="wrong")).status_code == 401
        answer = await gatepost.token(**ASK, client_secret=SECRET)
        assert (answer.status_code, answer.json()["scope"]) == (200, "notes:read")
        bearer = {
            "Authorization": f"Bearer {answer.json()['access_token']}",
            "Accept": "application/json, text/event-stream",
        }
        assert (await gatepost.http.post("/mcp", json=CALL, headers=bearer)).status_code == 200

    file.write_text(FILE[FILE.rindex("[[client]]") :])
    async with installed(store=store, OAUTH_CLIENTS_FILE=str(file)) as gatepost:
        assert (await gatepost.http.post("/mcp", json=CALL, headers=bearer)).status_code == 401
        assert (await gatepost.token(**ASK, client_secret=SECRET)).status_code == 401
