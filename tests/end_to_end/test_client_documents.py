"""A client that is known by its document, over real HTTP and TLS from end to end."""

from pathlib import Path

from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientMetadata
from pydantic import AnyUrl

from tests.end_to_end import local_http
from tests.end_to_end.scripted_client import App, Person
from tests.end_to_end.test_official_client import Memory, Visits
from tests.outbound.tls_server import TlsServer


def test_a_client_with_a_document_is_allowed_and_calls_the_tool(authority: Path, fetching_owner: Person) -> None:
    with TlsServer(authority) as web:
        app = App(fetching_owner.origin, client_id=web.url(host="localhost"))
        document = {"client_id": app.client_id, "client_name": "Documented app", "redirect_uris": [app.redirect_uri]}
        web.answer(document)
        tokens = app.redeem(app.code_from(fetching_owner.decide(app.authorization_url()))).json()
        assert any("Documented app" in page for page in fetching_owner.pages)
        assert app.call(tokens["access_token"], "add", {"text": "milk"}).status_code == 200
        # The client's web server goes away: its users stay.
        web.answers.clear()
        assert app.refresh(tokens["refresh_token"]).status_code == 200
        assert web.connections == 1


async def test_the_official_client_uses_its_document_and_registers_nothing(
    authority: Path, fetching_owner: Person
) -> None:
    with TlsServer(authority) as web:
        url, callback = web.url(host="localhost"), "http://127.0.0.1:3030/callback"
        web.answer({"client_id": url, "client_name": "Documented", "redirect_uris": [callback]})
        mcp_url = f"{fetching_owner.origin}/mcp"
        memory, visits = Memory(), Visits(fetching_owner)
        provider = OAuthClientProvider(
            server_url=mcp_url,
            client_metadata=OAuthClientMetadata(client_name="Documented", redirect_uris=[AnyUrl(callback)]),
            storage=memory,
            redirect_handler=visits.open,
            callback_handler=visits.callback,
            client_metadata_url=url,
        )
        async with (
            local_http.async_client(auth=provider) as http,
            Client(streamable_http_client(mcp_url, http_client=http)) as client,
        ):
            assert not (await client.call_tool("add", {"text": "milk"})).is_error
        assert memory.client is not None
        assert memory.client.client_id == url
        assert (visits.count, web.connections) == (1, 1)
