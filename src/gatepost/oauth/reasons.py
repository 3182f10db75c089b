"""Stable reason codes of refusals: what an operator searches the log for.

A code, once published, keeps its meaning. `docs/reasons.md` lists each with cause and cure; a test
holds the two together.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why something was refused."""

    # parameters
    PARAMETER_MISSING = "parameter_missing"
    PARAMETER_REPEATED = "parameter_repeated"
    PARAMETER_MALFORMED = "parameter_malformed"
    CONTENT_TYPE_UNSUPPORTED = "content_type_unsupported"
    BODY_TOO_LARGE = "body_too_large"
    TOO_MANY_REQUESTS = "too_many_requests"
    # clients and registration
    CLIENT_UNKNOWN = "client_unknown"
    CLIENT_DISABLED = "client_disabled"
    CLIENT_REMOVED = "client_removed"
    CLIENT_AUTHENTICATION_FAILED = "client_authentication_failed"
    CLIENT_AUTHENTICATION_METHOD_WRONG = "client_authentication_method_wrong"
    CLIENT_ASSERTION_INVALID = "client_assertion_invalid"
    CLIENT_ASSERTION_AUDIENCE_WRONG = "client_assertion_audience_wrong"
    CLIENT_ASSERTION_EXPIRED = "client_assertion_expired"
    CLIENT_ASSERTION_REPLAYED = "client_assertion_replayed"
    CLIENT_KEYS_INVALID = "client_keys_invalid"
    CLIENT_METADATA_INVALID = "client_metadata_invalid"
    CLIENT_DOCUMENT_URL_INVALID = "client_document_url_invalid"
    CLIENT_DOMAIN_NOT_ALLOWED = "client_domain_not_allowed"
    CLIENT_DOCUMENT_UNAVAILABLE = "client_document_unavailable"
    CLIENT_DOCUMENT_INVALID = "client_document_invalid"
    REDIRECT_URI_INVALID = "redirect_uri_invalid"
    REDIRECT_URI_UNREGISTERED = "redirect_uri_unregistered"
    REGISTRATION_DISABLED = "registration_disabled"
    # authorization requests
    RESPONSE_TYPE_UNSUPPORTED = "response_type_unsupported"
    RESPONSE_MODE_UNSUPPORTED = "response_mode_unsupported"
    CODE_CHALLENGE_MISSING = "code_challenge_missing"
    CODE_CHALLENGE_MALFORMED = "code_challenge_malformed"
    CODE_CHALLENGE_METHOD_UNSUPPORTED = "code_challenge_method_unsupported"
    SCOPE_UNKNOWN = "scope_unknown"
    SCOPE_WIDER_THAN_GRANTED = "scope_wider_than_granted"
    RESOURCE_UNKNOWN = "resource_unknown"
    USER_DENIED = "user_denied"
    LOGIN_REQUIRED = "login_required"
    TRANSACTION_EXPIRED = "transaction_expired"
    TRANSACTION_OF_ANOTHER_BROWSER = "transaction_of_another_browser"
    TRANSACTION_FINISHED = "transaction_finished"
    # codes
    GRANT_TYPE_UNSUPPORTED = "grant_type_unsupported"
    GRANT_TYPE_NOT_REGISTERED = "grant_type_not_registered"
    CODE_UNKNOWN = "code_unknown"
    CODE_REPLAYED = "code_replayed"
    CODE_RACE_LOST = "code_race_lost"
    CODE_OF_ANOTHER_CLIENT = "code_of_another_client"
    CODE_REDIRECT_URI_MISMATCH = "code_redirect_uri_mismatch"
    CODE_RESOURCE_MISMATCH = "code_resource_mismatch"
    CODE_VERIFIER_WRONG = "code_verifier_wrong"
    CODE_ATTEMPTS_EXHAUSTED = "code_attempts_exhausted"
    # refresh
    REFRESH_TOKEN_UNKNOWN = "refresh_token_unknown"
    REFRESH_TOKEN_EXPIRED = "refresh_token_expired"
    REFRESH_TOKEN_REUSED = "refresh_token_reused"
    REFRESH_TOKEN_OF_ANOTHER_CLIENT = "refresh_token_of_another_client"
    REFRESH_TOKEN_RESOURCE_MISMATCH = "refresh_token_resource_mismatch"
    TOKEN_OF_ANOTHER_CLIENT = "token_of_another_client"
    CLIENT_REVOKED = "client_revoked"
    OPERATOR_REVOKED = "operator_revoked"
    GRANT_REVOKED = "grant_revoked"
    GRANT_EXPIRED = "grant_expired"
    USER_DISABLED = "user_disabled"
    # pages
    CSRF_TOKEN_WRONG = "csrf_token_wrong"
    ORIGIN_FOREIGN = "origin_foreign"
    HOST_FOREIGN = "host_foreign"
    PEER_FOREIGN = "peer_foreign"
    LOGIN_FAILED = "login_failed"
    SETUP_LINK_INVALID = "setup_link_invalid"
    # bearer tokens
    TOKEN_MISSING = "token_missing"
    AUTHORIZATION_HEADER_REPEATED = "authorization_header_repeated"
    AUTHORIZATION_SCHEME_UNSUPPORTED = "authorization_scheme_unsupported"
    TOKEN_MALFORMED = "token_malformed"
    TOKEN_OF_WRONG_KIND = "token_of_wrong_kind"
    TOKEN_UNKNOWN = "token_unknown"
    TOKEN_EXPIRED = "token_expired"
    TOKEN_OF_ANOTHER_RESOURCE = "token_of_another_resource"
    TOKEN_IN_QUERY = "token_in_query"
    SCOPE_INSUFFICIENT = "scope_insufficient"
    # messages at the MCP endpoint
    HTTP_METHOD_NOT_ALLOWED = "http_method_not_allowed"
    NOT_ACCEPTABLE = "not_acceptable"
    MESSAGE_MALFORMED = "message_malformed"
    MCP_HEADER_MISMATCH = "mcp_header_mismatch"
    PROTOCOL_VERSION_UNSUPPORTED = "protocol_version_unsupported"
    CLIENT_CAPABILITY_MISSING = "client_capability_missing"
    RPC_METHOD_UNKNOWN = "rpc_method_unknown"
    RPC_PARAMETERS_INVALID = "rpc_parameters_invalid"
    # faults of ours
    STORE_UNAVAILABLE = "store_unavailable"
    INTERNAL_ERROR = "internal_error"
