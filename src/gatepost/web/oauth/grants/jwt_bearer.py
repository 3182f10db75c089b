"""Grants that somebody else asserts: an identity provider for a person, or a platform for a workload (RFC 7523 2.1).

Off unless the operator names whom to trust with it, so it is no constant of this package: `grant_type` makes it.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from starlette.requests import Request

from gatepost.identity.asking import LoginProviderFailed
from gatepost.identity.provider import LoginUnavailable
from gatepost.late_dataclass import dataclass
from gatepost.oauth.asserted_grants import JWT_BEARER, GrantAssertion, invalid, issuer_unknown, replayed
from gatepost.oauth.audit import AuditEvent
from gatepost.oauth.client_credentials import client_gone, machine_grant, machine_scopes
from gatepost.oauth.errors import InvalidClient, InvalidGrant, InvalidTarget, OAuthError, TemporarilyUnavailable
from gatepost.oauth.id_jag import TYPE as ID_JAG
from gatepost.oauth.id_jag import check_confidential, check_id_jag, granted_scopes, person_grant, resource_asked_for
from gatepost.oauth.issuing import Tokens
from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import Client
from gatepost.oauth.workloads import TYPES, WorkloadRule, check_workload, client_of, not_allowed
from gatepost.outbound.external_issuer import ExternalIssuer
from gatepost.outbound.issuer_keys import IssuerUnavailable
from gatepost.resource.profile import Profile
from gatepost.resource.resources import ProtectedResource, find_resource
from gatepost.stores.contract.users import User
from gatepost.tokens.client_keys import SignatureInvalid, unverified_claims, unverified_header
from gatepost.tokens.opaque import identifier
from gatepost.web.oauth.grants.grant_type import GrantType, TokenIssuer, TokenRequest

_log = logging.getLogger("gatepost.oauth")
_OF_CLIENTS: Final = ("client_id", "client_secret", "client_assertion")


@dataclass(frozen=True, slots=True)
class Workload:
    """A rule, and who has the keys of its platform."""

    rule: WorkloadRule
    platform: ExternalIssuer


@dataclass(frozen=True, slots=True, kw_only=True)
class AssertedGrants:
    """Whom this server trusts with which assertions."""

    issuer: str
    """This authorization server."""
    audiences: Collection[str]
    """What a platform's token may call it."""
    identity_providers: Sequence[ExternalIssuer] = ()
    """Those that may say for whom a client acts."""
    workloads: Sequence[Workload] = ()

    @property
    def grant_type(self) -> GrantType:
        """The grant type, for the token endpoint."""
        return GrantType(
            JWT_BEARER,
            self.exchange,
            # Whom it lets in the identity provider decides, which knows its clients; workloads have rules.
            is_registrable=bool(self.identity_providers),
            parameters={"assertion": "the JWT of an identity provider or a platform (RFC 7523 section 2.1)"},
            client_of=self.client_of if self.workloads else None,
        )

    def clients(self, *, now: int) -> tuple[Client, ...]:
        """Return the clients that the rules make of workloads; new ones have been there since `now` (seconds UTC)."""
        return tuple(client_of(workload.rule, now=now) for workload in self.workloads)

    async def exchange(self, issuer: TokenIssuer, request: TokenRequest) -> Tokens:
        """Return an access token for what an assertion says."""
        assertion = request.required("assertion")
        header, claims = _unverified(assertion)
        if header.get("typ") == ID_JAG:
            return await self._for_person(issuer, request, assertion, claims)
        return await self._for_workload(issuer, request, assertion, claims)

    async def client_of(self, issuer: TokenIssuer, request: Request, parameters: Mapping[str, str]) -> Client | None:
        """Return the client of a request that says nothing of one: that of the rule that its workload fits.

        None where the request says who it is, or has no workload's token; then it has to authenticate.

        Raises:
            InvalidGrant: the token is no workload's that a rule names.
            InvalidClient: its client is disabled.
        """
        assertion = parameters.get("assertion")
        if assertion is None or "authorization" in request.headers or any(name in parameters for name in _OF_CLIENTS):
            return None
        header, claims = _unverified(assertion)
        if header.get("typ") == ID_JAG:
            return None
        refused: OAuthError = issuer_unknown()
        for workload in self._workloads_of(claims):
            try:
                check_workload(claims, workload.rule, audiences=self.audiences, now=issuer.now())
            except InvalidGrant as error:
                refused = error
                continue
            await _signed(workload.platform, assertion, types=TYPES)
            client = await issuer.store.clients.find_client(workload.rule.client_id)
            if client is None or client.disabled_at is not None:
                raise InvalidClient(Reason.CLIENT_DISABLED, "This client is disabled; ask the operator of this server.")
            request.state.client_id = client.client_id
            return client
        raise refused

    def _workloads_of(self, claims: Mapping[str, Any]) -> Sequence[Workload]:
        said = claims.get("iss")
        return [workload for workload in self.workloads if workload.rule.issuer == said]

    async def _for_workload(
        self, issuer: TokenIssuer, request: TokenRequest, assertion: str, claims: Mapping[str, Any]
    ) -> Tokens:
        # 1. The rule of this client, and what its platform says; the signature last, since keys may have to be fetched.
        rules = [each for each in self.workloads if each.rule.client_id == request.client.client_id]
        if not rules or not self._workloads_of(claims):
            raise issuer_unknown()
        if rules[0].rule.issuer != claims.get("iss"):
            raise not_allowed()
        rule = rules[0].rule
        checked = check_workload(claims, rule, audiences=self.audiences, now=request.now)
        await _signed(rules[0].platform, assertion, types=TYPES)

        # 2. What the token is for.
        resource = _resource(issuer, request.parameters.get("resource"))
        scopes = machine_scopes(
            request.parameters.get("scope"),
            client=request.client,
            known=resource.scopes,
            default=resource.default_scopes,
        )
        grant = machine_grant(
            request.client,
            resource=resource.identifier,
            scopes=scopes,
            now=request.now,
            lifetimes=issuer.lifetimes,
            random_bytes=issuer.random_bytes,
        )

        # 3. Once, after all that can fail and spends nothing. Keep both unless the client was shut out a moment ago.
        tokens, rows = await issuer.mint(request, grant, scopes=scopes, with_refresh_token=False)
        if not rule.is_reusable:
            await _use_up(issuer, "workload", checked, now=request.now)
        if not await issuer.store.clients.give_client_grant(grant, rows):
            raise client_gone()
        issuer.note_issued(request, AuditEvent.WORKLOAD_GRANT, grant)
        return tokens

    async def _for_person(
        self, issuer: TokenIssuer, request: TokenRequest, assertion: str, claims: Mapping[str, Any]
    ) -> Tokens:
        # 1. Who says so, of whom, to which client; the signature last, since keys may have to be fetched.
        check_confidential(request.client)
        provider = next((each for each in self.identity_providers if each.issuer == claims.get("iss")), None)
        if provider is None:
            raise issuer_unknown()
        id_jag = check_id_jag(
            claims,
            issuer=provider.issuer,
            audience=self.issuer,
            client_id=request.client.client_id,
            dpop_jkt=request.dpop_jkt,
            now=request.now,
        )
        await _signed(provider, assertion, types={ID_JAG})

        # 2. What the token is for, and whose it is.
        resource = _resource(issuer, resource_asked_for(id_jag, request.parameters.get("resource")))
        if id_jag.resources and not any(find_resource([resource], each) for each in id_jag.resources):
            raise InvalidTarget(Reason.RESOURCE_UNKNOWN, "resource is not one that the assertion is for.")
        scopes = granted_scopes(
            id_jag,
            request.parameters.get("scope"),
            known=resource.scopes,
            default=resource.default_scopes,
            ceiling=request.client.scope,
        )
        known, said = await _person(issuer, id_jag.assertion, now=request.now)
        try:
            permitted = await _permitted(issuer, said, scopes, resource)
        except InvalidGrant:
            # What a provider says of somebody counts all the more where it shuts them out.
            if known not in (None, said):
                await _use_up(issuer, "id-jag", id_jag.assertion, now=request.now)
                await _recognised(issuer, known, said, now=request.now)
            raise

        # 3. Once, after all that can fail and spends nothing. One that comes again changes nothing of anybody.
        await issuer.admit(request.client.client_id)
        sign = await issuer.sign_at(request.now)
        await _use_up(issuer, "id-jag", id_jag.assertion, now=request.now)
        user = said if known == said else await _recognised(issuer, known, said, now=request.now)

        # 4. Keep grant and token, unless person or client were shut out a moment ago.
        grant = person_grant(
            request.client,
            subject=user.subject,
            resource=resource.identifier,
            scopes=permitted,
            now=request.now,
            lifetimes=issuer.lifetimes,
            random_bytes=issuer.random_bytes,
        )
        tokens, rows = issuer.minted(request, grant, scopes=permitted, with_refresh_token=False, sign=sign)
        if not await issuer.store.approvals.give_user_grant(grant, rows):
            raise InvalidGrant(Reason.USER_DISABLED, "The account of this person, or this client, is disabled.")
        issuer.note_issued(request, AuditEvent.ENTERPRISE_GRANT, grant)
        return tokens


def _unverified(assertion: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    try:
        return unverified_header(assertion), unverified_claims(assertion)
    except SignatureInvalid:
        raise invalid("The assertion is not a signed JWT in compact form.") from None


async def _signed(issuer: ExternalIssuer, assertion: str, *, types: Collection[object]) -> None:
    """Refuse an assertion that its issuer has not signed.

    Raises:
        InvalidGrant: it has not, as far as its keys are known.
        TemporarilyUnavailable: they cannot be had now.
    """
    try:
        await issuer.check_signature(assertion, types=types)
    except SignatureInvalid:
        raise invalid("The assertion is not signed with a key of its issuer, by an algorithm that is taken.") from None
    except IssuerUnavailable:
        raise TemporarilyUnavailable(
            Reason.ISSUER_UNAVAILABLE, "The keys of the assertion's issuer cannot be had now; try again later."
        ) from None


async def _use_up(issuer: TokenIssuer, kind: str, assertion: GrantAssertion, *, now: int) -> None:
    """Refuse an assertion that was used before; from now on this one was."""
    is_new = await issuer.store.assertions.remember_jti(
        f"{kind} {assertion.issuer}", assertion.jti, expires_at=assertion.remembered_until, now=now
    )
    if not is_new:
        raise replayed()


def _resource(issuer: TokenIssuer, requested: str | None) -> ProtectedResource:
    resource = find_resource(issuer.resources, requested)
    if resource is None:
        raise InvalidTarget(Reason.RESOURCE_UNKNOWN, "resource is not one of this server's; send it exactly.")
    return resource


async def _person(issuer: TokenIssuer, assertion: GrantAssertion, *, now: int) -> tuple[User | None, User]:
    """Return who logs in by an identity provider as the person that it means, and the same as it says them now.

    Who is known is judged by what was said at their last login, in place of which comes what the same issuer says here:
    whoever it has taken out of a group is out of it. What an assertion does not say stays. Nothing is kept yet.

    Raises:
        InvalidGrant: more is said than can be kept.
    """
    known = await issuer.store.users.find_user_by_login(assertion.issuer, assertion.subject)
    if known is not None and not _was_said_by(assertion, known):
        return known, known
    subject = identifier("user_", issuer.random_bytes)
    return known, _said(assertion, known or User(subject, assertion.issuer, assertion.subject, now))


async def _permitted(
    issuer: TokenIssuer, person: User, scopes: tuple[str, ...], resource: ProtectedResource
) -> tuple[str, ...]:
    """Return the scopes that somebody may have.

    Raises:
        InvalidGrant: none, since they may not enter, are disabled, or have no role for it.
        TemporarilyUnavailable: the operator's function cannot say now who may enter.
    """
    try:
        is_admitted = await issuer.entry.still_admits(person)
    except (LoginProviderFailed, LoginUnavailable) as failure:
        _log.error("who may enter cannot be judged: %s", failure)
        raise TemporarilyUnavailable(
            Reason.LOGIN_PROVIDER_FAILED, "Whether the person may enter cannot be said now; try again."
        ) from None
    if not is_admitted:
        raise InvalidGrant(Reason.USER_NOT_ALLOWED, "This person may not enter this server; its operators say who may.")
    if person.disabled_at is not None:
        raise _disabled()
    permitted = issuer.roles.permit_to(scopes, person, resource.implied_scopes)
    if scopes and not permitted:
        raise InvalidGrant(Reason.ROLES_PERMIT_NOTHING, "The roles of this person permit none of these scopes.")
    return permitted


def _was_said_by(assertion: GrantAssertion, known: User) -> bool:
    """Say whether what is kept of somebody was said by an assertion's issuer, and not with another login of theirs."""
    said_by = known.profile_issuer or known.issuer, known.profile_subject or known.external_subject
    return said_by == (assertion.issuer, assertion.subject)


async def _recognised(issuer: TokenIssuer, known: User | None, said: User, *, now: int) -> User:
    """Return the person of whom this was said, who is kept as it was said.

    Raises:
        InvalidGrant: they are disabled.
    """
    login = said.profile_issuer or said.issuer, said.profile_subject or said.external_subject
    # A linked login has a name beside that of its account, which goes on being called what it was.
    is_named = known is None or said.display_name != known.display_name
    user = await issuer.store.users.recognise_user(
        *login,
        display_name=said.display_name if is_named else None,
        subjects=(said.subject,),
        now=now,
        profile=said.profile,
    )
    if user.disabled_at is not None:
        raise _disabled()
    return user


def _disabled() -> InvalidGrant:
    return InvalidGrant(Reason.USER_DISABLED, "The account of this person is disabled.")


def _said(assertion: GrantAssertion, known: User) -> User:
    """Return somebody as an assertion says them, by the names of OpenID Connect; what it does not say stays."""
    claims, before = assertion.claims, known.profile
    email, name, groups = claims.get("email"), claims.get("name"), claims.get("groups")
    email = email if isinstance(email, str) and email.isprintable() and email else before.email
    was_verified = before.email_verified and email == before.email
    is_verified = email is not None and claims.get("email_verified", was_verified) is True
    listed = before.groups
    if isinstance(groups, list):
        listed = tuple(group for group in groups if isinstance(group, str))
    own = {key: value for key, value in claims.items() if key not in _OF_THE_ASSERTION}
    profile = Profile(email, is_verified, listed, {**before.claims, **own})
    try:
        profile.to_text()
    except (TypeError, ValueError, RecursionError):
        raise invalid("The assertion says more of the person than this server keeps.") from None
    is_name = isinstance(name, str) and name.isprintable() and bool(name)
    return replace(known, profile=profile, display_name=name if is_name else known.display_name)


_OF_THE_ASSERTION: Final = frozenset(
    {"iss", "sub", "aud", "exp", "iat", "nbf", "jti", "client_id", "scope", "resource", "cnf", "act"}
    | {"auth_time", "acr", "amr", "sid"}
)
"""Claims about the assertion, or about how its person logged in, and not about the person."""
