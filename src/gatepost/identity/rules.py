"""Rules about people, in words: `@example.com`, `group:staff`, `login:octocat`. Plain data in, yes or no out.

A rule names a person if one of its words does. A word has one condition, or several with `&` between them, which all
have to hold. Within a value a space is written `%20`, `&` is `%26` and `%` is `%25` (RFC 3986 section 2.1).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import unquote

from gatepost.identity.canonical import canonical_address, canonical_domain, canonical_name, canonical_text
from gatepost.identity.provider import Identity
from gatepost.identity.usernames import UsernameRefused, canonical_username
from gatepost.late_dataclass import dataclass
from gatepost.stores.contract.users import LOCAL, Person, User

EVERYBODY: Final = "*"
TAKES: Final = (
    "words, separated by spaces: ada@example.com, @example.com for all of a domain, login:octocat, org:acme or "
    "team:acme/platform for GitHub, group:staff, claim:department=engineering, issuer:https://id.example.com, "
    "subject:583231, or * alone for everybody whom the login provider lets in; conditions that all have to hold are "
    "joined by &, and a space in a value is %20"
)
ORGANIZATIONS: Final = "organizations"
"""The claim that lists the organizations of somebody at GitHub, by their logins."""
TEAMS: Final = "teams"
"""The claim that lists the teams of somebody at GitHub: `organization/team`."""
# The issuers of GitHub and of each GitHub Enterprise: what others say of logins and organizations is not GitHub's word.
_GITHUB: Final = re.compile(r"https://[^/]+/login/oauth")
_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_TEAM: Final = re.compile(r"[^/]+/[^/]+")

Condition = Callable[[Identity], bool]


class NotARule(ValueError):
    """A word is none of a rule."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Words that name people."""

    words: tuple[str, ...]
    conditions: tuple[tuple[Condition, ...], ...]
    """Of each word."""
    organizations: frozenset[str]
    """Those at GitHub that words name, in lower case: GitHub is asked only about them."""

    @property
    def is_everybodys(self) -> bool:
        """Whether there is nothing to judge."""
        return self.words == (EVERYBODY,)

    def names(self, identity: Identity) -> bool:
        """Say whether it names this person, whose identity says its issuer."""
        return any(all(condition(identity) for condition in word) for word in self.conditions)


def read_rule(words: str | Iterable[str]) -> Rule:
    """Return the rule of words, which a text separates by spaces.

    Raises:
        NotARule: one of them is no word of a rule, or `*` is not alone.
    """
    listed = tuple(words.split() if isinstance(words, str) else words)
    if EVERYBODY in listed and len(listed) > 1:
        raise NotARule("* names everybody and has to be alone")
    organizations: set[str] = set()
    conditions = tuple(tuple(_condition(part, organizations) for part in word.split("&")) for word in listed)
    if any(len(word) > 1 and EVERYBODY in word.split("&") for word in listed):
        raise NotARule("* names everybody and has to be alone")
    return Rule(listed, conditions, frozenset(organizations))


def is_rule(words: Sequence[str]) -> bool:
    """Say whether these are words of a rule."""
    try:
        read_rule(words)
    except NotARule:
        return False
    return True


def identity_of(user: User | Person) -> Identity:
    """Return what is known of somebody who logged in before: what was said at the last login, and by whom.

    Of a local account the claim `preferred_username` is its name.
    """
    if user.profile_issuer is None:
        issuer, subject = user.issuer, user.external_subject
    else:
        # Never the issuer of one login with the subject of another: together they would be somebody else.
        issuer, subject = user.profile_issuer, user.profile_subject or ""
    profile = user.profile if isinstance(user, User) else user.read_profile()
    claims = profile.claims
    if issuer == LOCAL and user.username is not None:
        claims = {"preferred_username": user.username}
    return Identity(
        subject,
        user.display_name,
        issuer,
        email=profile.email,
        email_verified=profile.email_verified,
        groups=profile.groups,
        claims=claims,
    )


def _condition(text: str, organizations: set[str]) -> Condition:
    """Return one condition; note the organization at GitHub that it names."""
    if text == EVERYBODY:
        return lambda _: True
    kind, colon, value = text.partition(":")
    if not text.isprintable() or _ESCAPE.search(text):
        raise NotARule("it has invisible characters, or % without two hexadecimal digits")
    if not colon:
        return _address_condition(text)
    if kind not in _KINDS or not value:
        raise NotARule("its kind is unknown, or nothing follows the colon")
    condition = _KINDS[kind](value)
    if kind in {"org", "team"}:
        organizations.add(canonical_name(_decoded(value)).partition("/")[0])
    return condition


def _address_condition(text: str) -> Condition:
    local, _, domain = text.rpartition("@")
    wanted = canonical_address(text) if local else canonical_domain(domain) if text.startswith("@") else None
    if wanted is None:
        raise NotARule("it is no address and no @domain")
    suffix = "" if local else f"@{wanted}"

    def is_theirs(identity: Identity) -> bool:
        # An address that nobody has verified is whatever its owner typed.
        address = canonical_address(identity.email) if identity.email and identity.email_verified is True else None
        return address is not None and (address.endswith(suffix) if suffix else address == wanted)

    return is_theirs


def _decoded(value: str) -> str:
    try:
        return unquote(value, errors="strict")
    except UnicodeDecodeError:
        raise NotARule("its % escapes are not UTF-8") from None


def _login(value: str) -> Condition:
    wanted = canonical_name(_decoded(value))
    return _at_github(lambda claims: _is_named(wanted, claims.get("login")))


def _organization(value: str) -> Condition:
    wanted = canonical_name(_decoded(value))
    return _at_github(lambda claims: _lists(wanted, claims.get(ORGANIZATIONS)))


def _team(value: str) -> Condition:
    wanted = canonical_name(_decoded(value))
    if _TEAM.fullmatch(wanted) is None:
        raise NotARule("a team is organization/team")
    return _at_github(lambda claims: _lists(wanted, claims.get(TEAMS)))


def _group(value: str) -> Condition:
    wanted = canonical_text(_decoded(value))
    return lambda identity: any(canonical_text(group) == wanted for group in identity.groups)


def _subject(value: str) -> Condition:
    wanted = canonical_text(_decoded(value))
    return lambda identity: canonical_text(identity.subject) == wanted


def _issuer(value: str) -> Condition:
    wanted = _decoded(value)
    return lambda identity: identity.issuer == wanted


def _account(value: str) -> Condition:
    try:
        wanted = canonical_username(_decoded(value))
    except UsernameRefused as refused:
        raise NotARule(str(refused)) from None
    return lambda identity: identity.issuer == LOCAL and identity.claims.get("preferred_username") == wanted


def _claim(value: str) -> Condition:
    name, equals, text = value.partition("=")
    name, wanted = _decoded(name), canonical_text(_decoded(text))
    if not equals or not name or not wanted:
        raise NotARule("a claim is name=value")

    def is_said(identity: Identity) -> bool:
        said = _member(identity.claims, name)
        return any(_text_of(each) == wanted for each in (said if isinstance(said, list | tuple) else (said,)))

    return is_said


_KINDS: Final[Mapping[str, Callable[[str], Condition]]] = {
    "login": _login,
    "org": _organization,
    "team": _team,
    "group": _group,
    "subject": _subject,
    "issuer": _issuer,
    "account": _account,
    "claim": _claim,
}


def _at_github(says: Callable[[Mapping[str, Any]], bool]) -> Condition:
    return lambda identity: _GITHUB.fullmatch(identity.issuer or "") is not None and says(identity.claims)


def _is_named(wanted: str, said: object) -> bool:
    return isinstance(said, str) and canonical_name(said) == wanted


def _lists(wanted: str, said: object) -> bool:
    return isinstance(said, list | tuple) and any(_is_named(wanted, each) for each in said)


def _member(claims: object, path: str) -> object:
    """Return the claim of that name, or else the one at that path with dots: names of claims may hold dots."""
    if not isinstance(claims, Mapping):
        return None
    if path in claims:
        return claims[path]
    name, dot, rest = path.partition(".")
    return _member(claims.get(name), rest) if dot else None


def _text_of(said: object) -> str | None:
    """Return a claim's value as a rule writes it; None for what no rule can name."""
    if isinstance(said, str):
        return canonical_text(said)
    if isinstance(said, bool):
        return "true" if said else "false"
    return str(said) if isinstance(said, int) else None
