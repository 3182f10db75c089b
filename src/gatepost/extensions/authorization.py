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


class EnterpriseManaged(Extension):
    """Clients may come with the word of an identity provider (ext-auth, Enterprise-Managed Authorization)."""

    identifier = "io.modelcontextprotocol/enterprise-managed-authorization"
    stage: ClassVar[Stage] = "stable"
    is_in_handshake = True


ENTERPRISE_MANAGED: Final = EnterpriseManaged()
