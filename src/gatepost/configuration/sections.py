"""The sections of the settings: each variable with its name as an operator writes it, its default and what it takes."""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from gatepost.identity.rules import TAKES, is_rule
from gatepost.oauth.policy import LONGEST_REUSE
from gatepost.oauth.scopes import is_scope_token
from gatepost.outbound.addresses import is_server_url
from gatepost.protocol.server_card import is_namespace, is_registry_proof
from gatepost.resource.bearer import is_bearer_token
from gatepost.tokens.client_keys import ISSUER_ALGORITHMS
from gatepost.tokens.sealing import is_key
from gatepost.tokens.shared_secrets import SECRET_ALGORITHMS

_DAY: Final = 24 * 3600
_SHORTEST_SECRET: Final = 24
_MAIL: Final = re.compile(r"[A-Za-z0-9._+-]+@(?:[A-Za-z0-9-]+\.)*[A-Za-z0-9-]+")
_HEADER_VALUE: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?")
_DOMAIN: Final = re.compile(r"(?:\*\.)?(?:[a-z0-9-]+\.)*[a-z0-9-]+")


def _words(value: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value.split())) if isinstance(value, str) else tuple(value)


def _is_link(value: str) -> bool:
    """Say whether pages may link to it."""
    if not value.isascii() or not value.isprintable() or " " in value:
        return False
    try:
        parts = urlsplit(value)
        host, _port = parts.hostname, parts.port
    except ValueError:
        return False
    return parts.scheme == "https" and bool(host) and "@" not in parts.netloc


def _if(is_valid: Callable[[Any], bool]) -> AfterValidator:
    """Refuse what is not valid; the sentence about it says what the variable takes."""

    def check(value: Any) -> Any:
        if not is_valid(value):
            raise ValueError
        return value

    return AfterValidator(check)


def _number(
    default: int | None, alias: str, takes: str, low: int, high: int, *, remark: str = "", also: str | None = None
) -> Any:
    """Return a field; `also` is what hosting platforms call it, which counts where `alias` is not set."""
    description = f"{takes} from {low} to {high}{remark}"
    names = alias if also is None else AliasChoices(alias, also)
    return Field(default, alias=alias, validation_alias=names, ge=low, le=high, description=description)


Flag = Annotated[bool, Field(description="true or false")]
WordList = Annotated[tuple[str, ...], BeforeValidator(_words)]
"""Whitespace-separated words."""
ScopeList = Annotated[
    WordList,
    _if(lambda words: all(map(is_scope_token, words))),
    Field(description="scope names separated by spaces (RFC 6749 section 3.3)"),
]
Proxies = Annotated[
    WordList,
    AfterValidator(lambda words: tuple(word if word == "unix" else str(ip_network(word)) for word in words)),
]
Domains = Annotated[WordList, _if(lambda words: all(map(_DOMAIN.fullmatch, words)))]
Link = Annotated[str, _if(_is_link)]
SealingKeys = Annotated[SecretStr, _if(lambda value: all(map(is_key, value.get_secret_value().split() or [""])))]
BearerToken = Annotated[SecretStr, _if(lambda value: is_bearer_token(value.get_secret_value()))]
"""What does not fit a Bearer header could never be sent (RFC 6750 section 2.1)."""

HeaderValue = Annotated[SecretStr, _if(lambda value: _HEADER_VALUE.fullmatch(value.get_secret_value()) is not None)]


class Section(BaseModel):
    """Some of the variables, by their names as an operator writes them."""

    model_config = ConfigDict(extra="ignore", frozen=True)


AnySection = TypeVar("AnySection", bound=Section)


class ServerSettings(Section):
    """Where the server listens, what it is called from outside, what guards it, where it keeps its data."""

    host: str = Field("127.0.0.1", alias="MCP_HOST", min_length=1, description="the address to listen on")
    port: int = _number(8000, "MCP_PORT", "a port number", 0, 65535, also="PORT")
    uds: Path | None = Field(None, alias="MCP_UDS", description="the path of a Unix socket to listen on")
    fd: int | None = _number(None, "MCP_FD", "the number of a file descriptor that is listened on,", 0, 65535)
    reuse_port: Flag = Field(default=False, alias="MCP_REUSE_PORT")
    workers: int = _number(1, "MCP_WORKERS", "how many processes serve,", 1, 128)
    worker_timeout: int = _number(
        60, "MCP_WORKER_TIMEOUT", "how many seconds the event loop of a worker may stand still,", 0, 3600
    )
    public_url: str | None = Field(
        None,
        alias="MCP_PUBLIC_URL",
        description="the address that clients use, such as https://mcp.example.com or https://example.com/tools",
    )
    handler: str | None = Field(
        None, alias="MCP_HANDLER", description="what to serve: module:name or path/file.py:name"
    )
    server_card: Flag = Field(default=True, alias="MCP_SERVER_CARD")
    namespace: Annotated[str, _if(is_namespace)] | None = Field(
        None, alias="MCP_SERVER_NAMESPACE", description="a domain name backwards, such as com.example"
    )
    registry_proof: Annotated[str, _if(is_registry_proof)] | None = Field(
        None,
        alias="MCP_REGISTRY_AUTH",
        description="what the MCP registry is shown, v=MCPv1; k=ed25519; p= and the public key in Base64",
    )
    require_auth: Flag = Field(default=True, alias="MCP_REQUIRE_AUTH")
    lazy_auth: Flag = Field(default=False, alias="MCP_LAZY_AUTH")
    ignore_scopes: Flag = Field(default=False, alias="MCP_IGNORE_SCOPES")
    caller_in_results: Flag = Field(default=False, alias="MCP_CALLER_IN_RESULTS")
    scopes_file: Path | None = Field(
        None, alias="MCP_SCOPES_FILE", description="the path of a TOML file that says what needs which scopes"
    )
    front_authorization: HeaderValue | None = Field(
        None,
        alias="MCP_FRONT_AUTHORIZATION",
        description="the value of an Authorization header, such as Bearer and a token (RFC 9110 section 11.6.2)",
    )
    api_key: BearerToken | None = Field(
        None, alias="MCP_API_KEY", description="a secret of 1 to 2048 letters, digits and - . _ ~ + / (RFC 6750)"
    )
    storage_url: str | None = Field(
        None,
        alias="MCP_STORAGE_URL",
        description="sqlite:///path/to/file.db (four slashes for an absolute path) or memory:",
    )
    storage_password_file: Path | None = Field(
        None,
        alias="MCP_STORAGE_PASSWORD_FILE",
        description="the path of a file that holds the password and nothing else",
    )
    storage_connections: int = _number(
        10, "MCP_STORAGE_CONNECTIONS", "how many connections to the database a process has at most,", 1, 1000
    )
    storage_wait_seconds: int = _number(
        60, "MCP_STORAGE_WAIT_SECONDS", "how many seconds a start waits for a store that cannot be reached,", 0, 3600
    )
    sealing_keys: SealingKeys | None = Field(
        None,
        alias="MCP_SEALING_KEYS",
        description="one or more random keys of at least 43 letters, digits and - . _ ~ + / =, separated by spaces",
    )
    sealing_keys_file: Path | None = Field(
        None,
        alias="MCP_SEALING_KEYS_FILE",
        description="the path of a file that holds what MCP_SEALING_KEYS takes and nothing else",
    )
    allowed_hosts: WordList = Field(
        (), alias="MCP_ALLOWED_HOSTS", description="further Host values to accept, separated by spaces"
    )
    allowed_origins: WordList = Field(
        (),
        alias="MCP_ALLOWED_ORIGINS",
        description="further browser origins to accept, such as https://app.example.com, separated by spaces",
    )
    trusted_proxies: Proxies = Field(
        (),
        alias="MCP_TRUSTED_PROXIES",
        description="addresses, address ranges such as 10.0.0.0/8, or unix for a Unix socket, separated by spaces",
    )
    forwarded_header: Annotated[str, AfterValidator(str.lower)] = Field(
        "x-forwarded-for",
        alias="MCP_FORWARDED_HEADER",
        pattern="^[A-Za-z0-9-]{1,100}$",
        description="the name of one header, such as x-forwarded-for, forwarded or x-real-ip",
    )
    log_level: str = Field(
        "info",
        alias="MCP_LOG_LEVEL",
        pattern="^(?i:debug|info|warning|error)$",
        description="debug, info, warning or error",
    )
    log_format: str = Field("text", alias="MCP_LOG_FORMAT", pattern="^(text|json)$", description="text or json")
    shutdown_seconds: int = _number(
        10, "MCP_SHUTDOWN_SECONDS", "how many seconds open requests may take at shutdown,", 0, 3600
    )
    session_idle_seconds: int = _number(
        _DAY, "MCP_SESSION_IDLE_SECONDS", "how many seconds a session lives without being used,", 60, 31 * _DAY
    )
    sessions_per_user: int = _number(
        1_000, "MCP_SESSIONS_PER_USER", "how many sessions one user may have with one app,", 1, 1_000_000
    )
    tasks_after_seconds: int | None = _number(
        None, "MCP_TASKS_AFTER_SECONDS", "after how many seconds a call becomes a task,", 1, 3600
    )
    tasks_per_user: int = _number(1_000, "MCP_TASKS_PER_USER", "how many tasks of one user are kept,", 1, 100_000)


class OAuthSettings(Section):
    """The built-in authorization server. Lifetimes are seconds."""

    enabled: Flag = Field(default=True, alias="OAUTH_ENABLED")
    enable_authorization_server: Flag = Field(default=True, alias="OAUTH_ENABLE_AS")
    admin_password: SecretStr | None = Field(
        None, alias="ADMIN_PASSWORD", description="a password of 12 to 256 characters that is hard to guess"
    )
    allowed_users: Annotated[WordList, _if(is_rule)] = Field((), alias="OAUTH_ALLOWED_USERS", description=TAKES)
    local_accounts: Flag = Field(default=False, alias="OAUTH_LOCAL_ACCOUNTS")
    require_second_step: str = Field(
        "none",
        alias="OAUTH_REQUIRE_SECOND_STEP",
        pattern="^(none|administrators|everybody)$",
        description="none, administrators or everybody",
    )
    require_par: Flag = Field(default=False, alias="OAUTH_REQUIRE_PAR")
    device_login: str = Field(
        "none",
        alias="OAUTH_DEVICE_LOGIN",
        pattern="^(none|operator|everybody)$",
        description="none, operator or everybody",
    )
    token_exchange: Flag = Field(default=False, alias="OAUTH_TOKEN_EXCHANGE")
    github_client_id: str | None = Field(None, alias="GITHUB_CLIENT_ID", description="the client id of a GitHub app")
    github_client_secret: SecretStr | None = Field(
        None, alias="GITHUB_CLIENT_SECRET", description="a client secret of the same GitHub app"
    )
    github_keep_tokens: Flag = Field(default=False, alias="GITHUB_KEEP_TOKENS")
    auto_approve: Flag = Field(default=False, alias="OAUTH_AUTO_APPROVE")
    storage_dir: Path = Field(
        Path("~/.gatepost"), alias="OAUTH_STORAGE_DIR", description="a directory that this user may write"
    )
    access_token_ttl: int = _number(3600, "OAUTH_ACCESS_TOKEN_TTL", "seconds", 1, 31 * _DAY)
    refresh_token_ttl: int = _number(30 * _DAY, "OAUTH_REFRESH_TOKEN_TTL", "seconds", 1, 3650 * _DAY)
    refresh_reuse: int = _number(_DAY, "OAUTH_REFRESH_REUSE", "seconds", 0, LONGEST_REUSE)
    authorization_code_ttl: int = _number(
        600, "OAUTH_AUTH_CODE_TTL", "seconds", 1, 600, remark=" (RFC 6749 section 4.1.2 advises no more)"
    )
    audit_days: int = _number(90, "OAUTH_AUDIT_DAYS", "a number of days", 1, 3650)
    consent_days: int = _number(90, "OAUTH_CONSENT_DAYS", "a number of days", 0, 365)
    limit_factor: int = _number(1, "OAUTH_LIMIT_FACTOR", "a whole number", 0, 1000)
    supported_scopes: ScopeList = Field((), alias="OAUTH_SUPPORTED_SCOPES")
    required_scope: ScopeList = Field((), alias="OAUTH_REQUIRED_SCOPE")
    access_token_format: str = Field(
        "opaque", alias="OAUTH_ACCESS_TOKEN_FORMAT", pattern="^(opaque|jwt)$", description="opaque or jwt"
    )
    signing_algorithm: str = Field(
        "ES256", alias="OAUTH_SIGNING_ALGORITHM", pattern="^(ES256|EdDSA)$", description="ES256 or EdDSA"
    )
    id_jag_issuers: Annotated[WordList, _if(lambda words: all(map(is_server_url, words)))] = Field(
        (),
        alias="OAUTH_ID_JAG_ISSUERS",
        description="https URLs of identity providers as their assertions say it in `iss`, separated by spaces",
    )
    workloads_file: Path | None = Field(
        None, alias="OAUTH_WORKLOADS_FILE", description="the path of a TOML file that names workloads"
    )
    dpop_required: Flag = Field(default=False, alias="OAUTH_DPOP_REQUIRED")
    dpop_nonces: Flag = Field(default=True, alias="OAUTH_DPOP_NONCES")
    introspection_clients: WordList = Field(
        (), alias="OAUTH_INTROSPECTION_CLIENTS", description="client ids separated by spaces"
    )


class ExternalTokenSettings(Section):
    """Access tokens of one issuer elsewhere; all of it counts as soon as OAUTH_ISSUER names that one."""

    issuer: Annotated[str, _if(is_server_url)] | None = Field(
        None,
        alias="OAUTH_ISSUER",
        description="an https URL without query and fragment, as tokens say it in `iss`; http on this machine only",
    )
    audience: WordList = Field((), alias="OAUTH_AUDIENCE", description="one or more audiences, separated by spaces")
    jwks_uri: Annotated[str, _if(lambda value: is_server_url(value.partition("?")[0]))] | None = Field(
        None, alias="OAUTH_JWKS_URI", description="an https URL; http on this machine only"
    )
    algorithms: Annotated[WordList, _if(lambda words: set(words) <= {*ISSUER_ALGORITHMS, *SECRET_ALGORITHMS})] = Field(
        ("RS256",),
        alias="OAUTH_ALGORITHM",
        description=f"one or more of {', '.join((*ISSUER_ALGORITHMS, *SECRET_ALGORITHMS))}, separated by spaces",
    )
    verify_signature: Flag = Field(default=True, alias="OAUTH_VERIFY_SIGNATURE")
    verify_audience: Flag | None = Field(None, alias="OAUTH_VERIFY_AUDIENCE", description="true or false")
    verify_issuer: Flag | None = Field(None, alias="OAUTH_VERIFY_ISSUER", description="true or false")
    verify_expiry: Flag = Field(default=True, alias="OAUTH_VERIFY_EXP")
    jwt_secret: SecretStr | None = Field(None, alias="JWT_SECRET", description="a shared secret of 32 bytes or more")
    client_id: str | None = Field(
        None, alias="OAUTH_ISSUER_CLIENT_ID", min_length=1, description="the id of a client at the issuer"
    )
    client_secret: SecretStr | None = Field(
        None, alias="OAUTH_ISSUER_CLIENT_SECRET", min_length=1, description="the secret of that client"
    )
    introspection_uri: Annotated[str, _if(lambda value: is_server_url(value.partition("?")[0]))] | None = Field(
        None, alias="OAUTH_ISSUER_INTROSPECTION_URI", description="an https URL; http on this machine only"
    )


class PagesSettings(Section):
    """What the pages look like, and whom they name."""

    logo: str | None = Field(
        None,
        alias="OAUTH_LOGO",
        min_length=1,
        description="the path of an SVG or PNG picture of at most 256 KiB, or a data: URL of one",
    )
    accent: Annotated[str, AfterValidator(str.lower)] | None = Field(
        None, alias="OAUTH_ACCENT", pattern="^#[0-9A-Fa-f]{6}$", description="a colour such as #0b57d0"
    )
    support: Annotated[str, _if(lambda value: _is_link(value) or _MAIL.fullmatch(value) is not None)] | None = Field(
        None, alias="OAUTH_SUPPORT", description="an e-mail address or an https URL"
    )
    imprint: Link | None = Field(None, alias="OAUTH_IMPRINT_URL", description="an https URL")
    privacy: Link | None = Field(None, alias="OAUTH_PRIVACY_URL", description="an https URL")
    folder: Path | None = Field(
        None, alias="OAUTH_PAGES_DIR", description="a folder with templates, catalogues and style sheets of yours"
    )


class RegistrationSettings(Section):
    """How clients become known to the authorization server."""

    enabled: Flag = Field(default=True, alias="OAUTH_REGISTRATION_ENABLED")
    initial_access_token: Annotated[BearerToken, _if(lambda value: len(value) >= _SHORTEST_SECRET)] | None = Field(
        None,
        alias="OAUTH_INITIAL_ACCESS_TOKEN",
        description="a secret of 24 to 2048 letters, digits and - . _ ~ + / (RFC 6750)",
    )
    clients_file: Path | None = Field(
        None, alias="OAUTH_CLIENTS_FILE", description="the path of a TOML file that names clients"
    )
    documents_enabled: Flag = Field(default=True, alias="OAUTH_CIMD_ENABLED")
    document_domains: Domains = Field(
        (),
        alias="OAUTH_CIMD_ALLOWED_DOMAINS",
        description="host names such as claude.ai, or *.example.com for all below it, separated by spaces",
    )
    documents_on_loopback: Flag = Field(default=False, alias="OAUTH_CIMD_ALLOW_LOOPBACK")


class OutboundSettings(Section):
    """How documents and keys of clients are reached. Of each name the lower-case form counts first, as with curl."""

    https_proxy: SecretStr | None = Field(
        None, alias="HTTPS_PROXY", validation_alias=AliasChoices("https_proxy", "HTTPS_PROXY")
    )
    all_proxy: SecretStr | None = Field(
        None, alias="ALL_PROXY", validation_alias=AliasChoices("all_proxy", "ALL_PROXY")
    )
    proxy_resolves_names: Flag = Field(default=False, alias="OAUTH_PROXY_RESOLVES_NAMES")
