"""Extensions that say which further grants clients of a server may use (MCP ext-auth); all of it is in the tokens."""

from __future__ import annotations

from typing import ClassVar, Final

from gatepost.server.extension import Extension, Stage


class ClientCredentials(Extension):
    """Clients may get tokens in their own name, without a person (ext-auth, OAuth Client Credentials)."""

    identifier = "io.modelcontextprotocol/oauth-client-credentials"
    stage: ClassVar[Stage] = "stable"
    is_in_handshake = True


CLIENT_CREDENTIALS: Final = ClientCredentials()
