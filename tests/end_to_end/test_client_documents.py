"""A client that is known by its document, over real HTTP and TLS from end to end."""

from pathlib import Path

import httpx2
import pytest
from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientMetadata
from pydantic import AnyUrl

from tests.end_to_end.conftest import TARGET
from tests.end_to_end.running_server import RunningServer
from tests.end_to_end.scripted_client import App, Person
from tests.end_to_end.test_official_client import Memory, Visits
from tests.outbound.certificates import issue
from tests.outbound.tls_server import TlsServer


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("authority")
    issue(directory, names=("localhost",))
    return directory


def test_a_client_with_a_document_is_allowed_and_calls_the_tool(authority: Path, tmp_path: Path) -> None:
    environment = {"OAUTH_CIMD_ALLOW_LOOPBACK": "true", "SSL_CERT_FILE": str(authority / "ca.pem")}
    with TlsServer(authority) as web, RunningServer(TARGET, tmp_path / "data", environment=environment) as server:
        app = App(server.origin, client_id=web.url(host="localhost"))
        document = {"client_id": app.client_id, "client_name": "Documented app", "redirect_uris": [app.redirect_uri]}
        web.answer(document)
        assert server.setup_link is not None
        person = Person(server.origin)
        person.set_up(server.setup_link)
        tokens = app.redeem(app.code_from(person.decide(app.authorization_url()))).json()
        assert any("Documented app" in page for page in person.pages)
        assert app.call(tokens["access_token"], "add", {"text": "milk"}).status_code == 200
        # The client's web server goes away: its users stay.
        web.answers.clear()
        assert app.refresh(tokens["refresh_token"]).status_code == 200
        assert web.connections == 1


async def test_the_official_client_uses_its_document_and_registers_nothing(authority: Path, tmp_path: Path) -> None:
    environment = {"OAUTH_CIMD_ALLOW_LOOPBACK": "true", "SSL_CERT_FILE": str(authority / "ca.pem")}
    with TlsServer(authority) as web, RunningServer(TARGET, tmp_path / "data", environment=environment) as server:
        url, callback = web.url(host="localhost"), "http://127.0.0.1:3030/callback"
        web.answer({"client_id": url, "client_name": "Documented", "redirect_uris": [callback]})
        assert server.setup_link is not None
        person = Person(server.origin)
        person.set_up(server.setup_link)
        memory, visits = Memory(), Visits(person)
        provider = OAuthClientProvider(
            server_url=server.mcp_url,
            client_metadata=OAuthClientMetadata(client_name="Documented", redirect_uris=[AnyUrl(callback)]),
            storage=memory,
            redirect_handler=visits.open,
            callback_handler=visits.callback,
            client_metadata_url=url,
        )
        async with (
            httpx2.AsyncClient(auth=provider) as http,
            Client(streamable_http_client(server.mcp_url, http_client=http)) as client,
        ):
            assert not (await client.call_tool("add", {"text": "milk"})).is_error
        assert memory.client is not None
        assert memory.client.client_id == url
        assert (visits.count, web.connections) == (1, 1)
