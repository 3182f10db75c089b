"""The issuer elsewhere that variables name (`OAUTH_ISSUER` and what belongs to it)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from gatepost.configuration.sections import ExternalTokenSettings
from gatepost.configuration.settings import SettingsError
from gatepost.outbound.external_issuer import ExternalIssuer
from gatepost.outbound.introspected_issuer import IntrospectedIssuer
from gatepost.tokens.client_keys import ISSUER_ALGORITHMS
from gatepost.tokens.shared_secrets import SECRET_ALGORITHMS, shortest_secret

_WHATEVER_THEY_ARE: Final = {"verify_audience": False, "verify_issuer": False}
"""What the seeds of these settings have as defaults, and people write out: in public it does not count."""


def issuer_of_settings(
    external: ExternalTokenSettings, *, is_public: bool
) -> ExternalIssuer | IntrospectedIssuer | None:
    """Return the issuer that OAUTH_ISSUER names; None where it names none.

    Raises:
        SettingsError: what belongs to it is wrong, or unsafe in public.
    """
    if external.issuer is None:
        return None
    if problems := [*_wrong(external), *(_unsafe(external) if is_public else ())]:
        raise SettingsError(*problems)
    if external.client_id is not None and external.client_secret is not None:
        asked = IntrospectedIssuer(
            external.issuer,
            external.audience,
            client_id=external.client_id,
            client_secret=external.client_secret.get_secret_value(),
            introspection_uri=external.introspection_uri,
        )
        verifies_audience = is_public or external.verify_audience is not False
        asked.rules = replace(asked.rules, verifies_audience=verifies_audience)
        return asked
    symmetric = _by_secret(external)
    issuer = ExternalIssuer(
        external.issuer,
        external.audience,
        jwks_uri=external.jwks_uri,
        algorithms=ISSUER_ALGORITHMS if symmetric else external.algorithms,
    )
    if symmetric and external.jwt_secret is not None:
        issuer.trust_secret(external.jwt_secret.get_secret_value().encode(), symmetric)
    rules = replace(
        issuer.rules,
        verifies_audience=is_public or external.verify_audience is not False,
        verifies_issuer=is_public or external.verify_issuer is not False,
        verifies_expiry=external.verify_expiry,
    )
    issuer.relax(rules, verifies_signature=external.verify_signature)
    return issuer


def remarks_on_external_tokens(external: ExternalTokenSettings, *, is_public: bool) -> Iterator[str]:
    """Yield what looks like a mistake and need not be one."""
    given = [field.alias for name, field in type(external).model_fields.items() if _changes(external, name)]
    if external.issuer is None:
        for alias in given:
            yield f"{alias} is about tokens of an issuer elsewhere and counts only beside OAUTH_ISSUER: it is ignored."
        return
    if external.jwt_secret is not None and not _by_secret(external):
        yield "JWT_SECRET is ignored: it counts where OAUTH_ALGORITHM is HS256, HS384 or HS512."
    for name, what in (("verify_audience", "audience"), ("verify_issuer", "issuer")):
        if is_public and getattr(external, name) is False:
            alias = type(external).model_fields[name].alias
            yield f"{alias}=false does not count on a public server: the {what} of a token is always checked."


def open_doors(external: ExternalTokenSettings) -> Iterator[str]:
    """Yield a sentence for each check that is off."""
    if external.issuer is None:
        return
    if not external.verify_signature:
        yield "OAUTH_VERIFY_SIGNATURE is false: whoever reaches this server can write a token of their own."
    if not external.verify_expiry:
        yield "OAUTH_VERIFY_EXP is false: tokens of the issuer elsewhere count for ever."


def _changes(external: ExternalTokenSettings, name: str) -> bool:
    """Say whether a value is set that is neither the default here nor that of older systems."""
    value = getattr(external, name)
    return value != type(external).model_fields[name].default and value is not _WHATEVER_THEY_ARE.get(name, ...)


def _by_secret(external: ExternalTokenSettings) -> tuple[str, ...]:
    return tuple(algorithm for algorithm in external.algorithms if algorithm in SECRET_ALGORITHMS)


def _wrong(external: ExternalTokenSettings) -> Iterator[str]:
    is_asked = external.client_id is not None
    if is_asked != (external.client_secret is not None):
        yield "OAUTH_ISSUER_CLIENT_ID and OAUTH_ISSUER_CLIENT_SECRET go together: as whom the issuer is asked."
    elif external.introspection_uri is not None and not is_asked:
        yield "OAUTH_ISSUER_INTROSPECTION_URI needs OAUTH_ISSUER_CLIENT_ID and OAUTH_ISSUER_CLIENT_SECRET."
    elif is_asked and (external.jwks_uri is not None or external.jwt_secret is not None):
        yield (
            "OAUTH_ISSUER_CLIENT_ID has the issuer asked about each token, and OAUTH_JWKS_URI and JWT_SECRET are for "
            "checking them here: leave one of the two out."
        )
    symmetric = _by_secret(external)
    if symmetric and len(symmetric) != len(external.algorithms):
        yield "OAUTH_ALGORITHM takes algorithms of one kind: either HS256, HS384 and HS512, or those with public keys."
    elif symmetric and external.jwt_secret is None:
        yield f"OAUTH_ALGORITHM={symmetric[0]} needs the secret that the issuer shares with this server, JWT_SECRET."
    elif symmetric and external.jwks_uri is not None:
        yield "OAUTH_JWKS_URI has public keys, and OAUTH_ALGORITHM takes a shared secret: leave one of the two out."
    if symmetric and external.jwt_secret is not None and "-----BEGIN" in external.jwt_secret.get_secret_value():
        yield "JWT_SECRET holds a key that may be public, and whoever knows it could write tokens: set a random secret."


def _unsafe(external: ExternalTokenSettings) -> Iterator[str]:
    """Yield a sentence for each thing that must not be public."""
    if not external.verify_signature:
        yield (
            "OAUTH_VERIFY_SIGNATURE=false lets everybody write tokens of their own: set it to true on a public server."
        )
    if not external.verify_expiry:
        yield "OAUTH_VERIFY_EXP=false has tokens count for ever: set it to true on a public server."
    symmetric = _by_secret(external)
    if symmetric and external.jwt_secret is not None:
        least = shortest_secret(symmetric)
        if len(external.jwt_secret.get_secret_value().encode()) < least:
            yield (
                f"JWT_SECRET is shorter than {least} bytes and can be guessed from one token (RFC 7518 section 3.2): "
                "set a random one, here and at the issuer."
            )
