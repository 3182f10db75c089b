"""Whose tokens count beside our own: the issuer of the settings and what is given in code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from gatepost.assembly.core import Core
from gatepost.configuration.external_tokens import issuer_of_settings
from gatepost.configuration.forward_proxy import forward_proxy
from gatepost.configuration.settings import SettingsError
from gatepost.outbound.external_issuer import ExternalIssuer
from gatepost.outbound.fetching import system_trust
from gatepost.outbound.introspected_issuer import IntrospectedIssuer
from gatepost.outbound.issuer_documents import IssuerSurroundings
from gatepost.resource.external_tokens import TokenValidator
from gatepost.web.resource.external_callers import ISSUERS, ExternalCallers, Source

if TYPE_CHECKING:
    import httpx2

    from gatepost.outbound.proxy import ForwardProxy

Verifier = ExternalIssuer | IntrospectedIssuer | TokenValidator
External = Verifier | Iterable[Verifier]
"""What `external=` takes."""


def external_callers(core: Core, given: External | None) -> ExternalCallers | None:
    """Return what verifies tokens of others; None where none counts.

    Raises:
        SettingsError: what is set or given is wrong, or two of them could not be told apart.
    """
    of_settings = issuer_of_settings(core.settings.external, is_public=core.deployment.is_public)
    every = [*_listed(given), *([] if of_settings is None else [of_settings])]
    if not every:
        return None
    names = [_name(validator) for validator in every]
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise SettingsError(
            f"{twice[0]} is named twice among those whose tokens count (external=, OAUTH_ISSUER): leave one out, or "
            "give each validator an attribute `issuer` of its own."
        )
    if sum(isinstance(validator, IntrospectedIssuer) for validator in every) > 1:
        raise SettingsError(
            "Two issuers would be asked about the same tokens (external=, OAUTH_ISSUER_CLIENT_ID), and the wrong one "
            "could keep what it is shown: leave one IntrospectedIssuer out."
        )
    if core.deployment.public_url in names:
        raise SettingsError(
            f"{core.deployment.public_url} is this server itself, whose own tokens count anyway: OAUTH_ISSUER and "
            "external= name others."
        )
    is_alone = len(every) == 1 and not core.settings.issues_tokens
    sources = [
        Source(validator, name, _prefix(validator, name, is_alone=is_alone))
        for validator, name in zip(every, names, strict=True)
    ]
    if len({source.prefix for source in sources}) != len(sources):
        raise SettingsError("subject_prefix= has to differ, or people of two issuers could have one subject.")
    surroundings = IssuerSurroundings(core.now, partial(_way_to, forward_proxy(core.settings)))
    for validator in every:
        if isinstance(validator, ISSUERS):
            validator.connect(surroundings)
    # An issuer that is named goes before one that takes every name, and what others check comes last.
    sources.sort(key=lambda source: _rank(source.validator))
    return ExternalCallers(sources=sources, now=core.now, entry=core.entry, roles=core.roles)


def is_external(value: object) -> bool:
    """Say whether `value` is what `external=` takes."""
    try:
        every = _listed(value)  # type: ignore[arg-type] # this is what finds that out
    except TypeError:
        return False
    return bool(every) and not any(isinstance(each, type) for each in every) and all(map(_verifies, every))


def _verifies(value: object) -> bool:
    return isinstance(value, Verifier)


def _listed(given: External | None) -> list[Verifier]:
    if given is None:
        return []
    return [given] if isinstance(given, Verifier) else list(given)


def _name(validator: Verifier) -> str:
    said = getattr(validator, "issuer", None)
    return said if isinstance(said, str) and said else f"validator:{type(validator).__qualname__}"


def _prefix(validator: Verifier, name: str, *, is_alone: bool) -> str:
    said = getattr(validator, "subject_prefix", None)
    if isinstance(said, str):
        return said
    return "" if is_alone else f"{name}#"


def _rank(validator: Verifier) -> int:
    if not isinstance(validator, ISSUERS):
        return 2
    return 0 if validator.rules.verifies_issuer else 1


def _way_to(proxy: ForwardProxy | None, url: str) -> httpx2.AsyncBaseTransport:
    from gatepost.outbound.transport import way_to  # noqa: PLC0415 - nothing is fetched at the start

    return way_to(url, proxy, system_trust)
