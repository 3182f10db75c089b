"""Whom the settings trust to assert grants: identity providers for people, platforms for workloads."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from gatepost.configuration.settings import SettingsError
from gatepost.configuration.workload_file import read_workload_file
from gatepost.outbound.external_issuer import ExternalIssuer
from gatepost.outbound.fetching import system_trust
from gatepost.outbound.issuer_documents import IssuerSurroundings
from gatepost.tokens.client_keys import ISSUER_ALGORITHMS
from gatepost.web.oauth.grants.jwt_bearer import AssertedGrants, Workload

if TYPE_CHECKING:
    import httpx2

    from gatepost.assembly.core import Core
    from gatepost.oauth.workloads import WorkloadRule
    from gatepost.outbound.proxy import ForwardProxy


def asserted_grants(core: Core, proxy: ForwardProxy | None) -> AssertedGrants | None:
    """Return what judges the assertions of others; None where nobody is trusted with any.

    Its `issuer` and `audiences` are those of no server yet.

    Raises:
        SettingsError: OAUTH_WORKLOADS_FILE is wrong, or an issuer is this server itself.
    """
    oauth = core.settings.oauth
    rules = () if oauth.workloads_file is None else read_workload_file(oauth.workloads_file)
    if not rules and not oauth.id_jag_issuers:
        return None
    own = core.deployment.public_url
    if own in {*oauth.id_jag_issuers, *(rule.issuer for rule in rules)}:
        raise SettingsError(
            f"{own} is this server itself, which asserts nothing to itself: OAUTH_ID_JAG_ISSUERS and "
            "OAUTH_WORKLOADS_FILE name others."
        )
    surroundings = IssuerSurroundings(core.now, partial(_way_to, proxy))
    platforms: dict[tuple[object, ...], ExternalIssuer] = {}
    workloads = []
    for rule in rules:
        # Rules of one platform share its keys.
        key = (rule.issuer, rule.keys)
        if key not in platforms:
            platforms[key] = _platform(rule)
        workloads.append(Workload(rule, platforms[key]))
    providers = [ExternalIssuer(issuer) for issuer in oauth.id_jag_issuers]
    for issuer in (*providers, *platforms.values()):
        issuer.connect(surroundings)
    return AssertedGrants(issuer="", audiences=(), identity_providers=providers, workloads=workloads)


def _platform(rule: WorkloadRule) -> ExternalIssuer:
    keys = rule.keys
    try:
        return ExternalIssuer(
            rule.issuer,
            jwks_uri=keys.jwks_uri,
            public_key=keys.public_key,
            algorithms=keys.algorithms or ISSUER_ALGORITHMS,
        )
    except ValueError as error:
        raise SettingsError(f"OAUTH_WORKLOADS_FILE: the workload of client {rule.client_id}: {error}") from None


def _way_to(proxy: ForwardProxy | None, url: str) -> httpx2.AsyncBaseTransport:
    from gatepost.outbound.transport import way_to  # noqa: PLC0415 - nothing is fetched at the start

    return way_to(url, proxy, system_trust)
