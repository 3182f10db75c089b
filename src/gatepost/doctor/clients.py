"""The clients whose requests are made, as far as they differ: what they register, where they come back, what they need.

`RECORDED` ones were recorded in front of a Gatepost server on 2026-11-30; `TOLD` ones are known from what their vendors
and public threads say, and were not run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY
from typing import Any, Final

from gatepost.late_dataclass import dataclass

RECORDED: Final = "recorded"
TOLD: Final = "told"


@dataclass(frozen=True, slots=True)
class PlayedClient:
    """One client."""

    id: str
    name: str
    _: KW_ONLY
    version: str = ""
    basis: str = RECORDED
    user_agent: str = ""
    """What it sends, where that was recorded; a firewall may know it."""
    redirect_uris: Sequence[str] = ()
    """What it registers; empty for a library, which registers what its program says."""
    application_type: str | None = None
    names_scopes: bool = True
    """Whether it registers the scopes that the 401 lists."""
    document: str | None = None
    """The URL of its client ID metadata document, where that is known."""
    uses_document: bool = False
    """Whether it prefers being known by its document to registering."""
    only_document: bool = False
    """Whether it does not register when documents are advertised and fail."""
    is_remote: bool = False
    """Whether it connects from its vendor's network, and so needs https and a public address."""
    in_browser: bool = False
    """Whether a web page makes the requests, under cross-origin rules."""

    @property
    def title(self) -> str:
        """Its name with the version that was recorded."""
        return f"{self.name} {self.version}".rstrip()

    @property
    def redirect_uri(self) -> str:
        """The one of them that it names at the authorization endpoint."""
        own = [uri for uri in self.redirect_uris if not uri.startswith("http")]
        return (own or self.redirect_uris)[-1]

    def registration(self, scopes: Sequence[str]) -> dict[str, Any]:
        """Return the body that it registers with (RFC 7591 section 2), under a name that says who it is not."""
        body: dict[str, Any] = {
            "client_name": f"gatepost doctor, as {self.name}",
            "redirect_uris": list(self.redirect_uris),
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
        }
        if self.application_type is not None:
            body["application_type"] = self.application_type
        if self.names_scopes and scopes:
            body["scope"] = " ".join(scopes)
        return body


CLIENTS: Final = (
    PlayedClient(
        "codex",
        "codex",
        version="0.171",
        user_agent="codex-mcp-client/0.171.0",
        redirect_uris=("http://127.0.0.1:44949/callback",),
        application_type="native",
        document="https://chatgpt.com/oauth/codex/client.json",
        uses_document=True,
        only_document=True,
    ),
    PlayedClient(
        "claude-code",
        "Claude Code",
        version="2.1",
        user_agent="claude-code/2.1.332 (sdk-cli)",
        redirect_uris=("http://localhost:57443/callback",),
        application_type="native",
        document="https://claude.ai/oauth/claude-code-client-metadata",
        uses_document=True,
        only_document=True,
    ),
    PlayedClient(
        "copilot-cli",
        "Copilot CLI",
        version="1.0",
        user_agent="copilot-cli/1.0.102",
        redirect_uris=("http://127.0.0.1:41853/",),
        names_scopes=False,
        uses_document=True,
    ),
    PlayedClient(
        "gemini-cli",
        "gemini-cli",
        version="0.61",
        user_agent="node",
        redirect_uris=("http://localhost:35259/oauth/callback",),
    ),
    PlayedClient(
        "opencode",
        "opencode",
        version="1.18",
        user_agent="opencode/1.18.33",
        redirect_uris=("http://127.0.0.1:19876/mcp/oauth/callback",),
    ),
    PlayedClient(
        "mcp-remote",
        "mcp-remote",
        version="0.15",
        user_agent="undici",
        redirect_uris=("http://localhost:12570/oauth/callback",),
        application_type="native",
    ),
    PlayedClient("mcp-python", "official Python SDK, FastMCP"),
    PlayedClient("mcp-typescript", "official TypeScript SDK"),
    PlayedClient("mcp-go", "official Go SDK"),
    PlayedClient(
        "claude-ai",
        "claude.ai",
        basis=TOLD,
        redirect_uris=("https://claude.ai/api/mcp/auth_callback",),
        uses_document=True,
        is_remote=True,
    ),
    PlayedClient(
        "chatgpt",
        "ChatGPT",
        basis=TOLD,
        redirect_uris=("https://chatgpt.com/connector/oauth/gatepost-doctor",),
        uses_document=True,
        is_remote=True,
    ),
    PlayedClient(
        "vscode",
        "VS Code",
        basis=TOLD,
        redirect_uris=(
            "https://insiders.vscode.dev/redirect",
            "https://vscode.dev/redirect",
            "http://127.0.0.1/",
            "http://127.0.0.1:33418/",
        ),
        uses_document=True,
    ),
    PlayedClient(
        "cursor",
        "Cursor",
        basis=TOLD,
        redirect_uris=(
            "cursor://anysphere.cursor-mcp/oauth/callback",
            "https://www.cursor.com/agents/mcp/oauth/callback",
            "http://localhost:8787/callback",
        ),
    ),
    PlayedClient(
        "inspector",
        "MCP Inspector in a browser",
        basis=TOLD,
        redirect_uris=("http://localhost:6274/oauth/callback",),
        in_browser=True,
    ),
)

BY_ID: Final[Mapping[str, PlayedClient]] = {client.id: client for client in CLIENTS}
EVERYBODY: Final = tuple(BY_ID)
REGISTERING: Final = tuple(client.id for client in CLIENTS if client.redirect_uris)
"""Those whose registration is tried."""
REMOTE: Final = tuple(client.id for client in CLIENTS if client.is_remote)
IN_BROWSER: Final = tuple(client.id for client in CLIENTS if client.in_browser)
