"""Settings from the environment and `.env`, one class per section (`sections`).

Only `app`, `deployment` and `cli` import this; everything below gets plain values. `docs/settings.md` is the reference.
A wrong value becomes a sentence that names the variable and what it takes (`SettingsError`); values are never repeated,
because some are secrets and people paste secrets into the wrong variable.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import AliasChoices, SecretStr, ValidationError

from gatepost.configuration.observability_section import ObservabilitySettings
from gatepost.configuration.sections import (
    AnySection,
    ExternalTokenSettings,
    OAuthSettings,
    OutboundSettings,
    PagesSettings,
    RegistrationSettings,
    ServerSettings,
)
from gatepost.late_dataclass import dataclass
from gatepost.tokens.sealing import is_key

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

_SHORT_LIFETIME: Final = 60
_SHORT_CODE: Final = 30

UPSTREAM_PREFIX: Final = "OAUTH_UPSTREAM_"
"""What variables about login providers elsewhere begin with; `upstreams` reads them."""
ROLE_PREFIX: Final = "OAUTH_ROLE_"
"""What variables about roles begin with; `roles` reads them."""


class SettingsError(Exception):
    """One or more settings are wrong. `sentences` names each variable and says what it takes."""

    def __init__(self, *sentences: str) -> None:
        super().__init__("\n".join(sentences))
        self.sentences = sentences


@dataclass(frozen=True, slots=True)
class Settings:
    """All sections."""

    server: ServerSettings
    oauth: OAuthSettings
    registration: RegistrationSettings
    outbound: OutboundSettings
    external: ExternalTokenSettings
    pages: PagesSettings
    observability: ObservabilitySettings
    warnings: tuple[str, ...] = ()
    """What looks like a mistake but need not be one, for the start-up banner."""
    env_file: Path | None = field(default=None, compare=False)
    """Where variables are looked for beneath the environment. Settings that differ in nothing else are equal."""
    environment: Mapping[str, str] | None = field(default=None, compare=False, repr=False)
    """What stands in place of the process's environment; None for that one."""

    @property
    def issues_tokens(self) -> bool:
        """Whether the built-in authorization server is on."""
        return self.oauth.enabled and self.oauth.enable_authorization_server

    def variables(self, prefix: str = "") -> dict[str, str]:
        """Return what is set to something now, where these settings were read, of names that begin with `prefix`."""
        found = variables(self.env_file, self.environment)
        return {name: value for name, value in found.items() if name.startswith(prefix)}


def load_settings(
    overrides: Mapping[str, str] | None = None,
    *,
    env_file: Path | None = Path(".env"),
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """Read the environment, then `.env` beneath it; `overrides` (by variable name) beat both.

    `environment` stands in place of the process's.

    Raises:
        SettingsError: a value is wrong.
    """
    present, given, sentences = variables(env_file, environment), overrides or {}, list[str]()
    server = _section(ServerSettings, present, given, sentences)
    oauth = _section(OAuthSettings, present, given, sentences)
    registration = _section(RegistrationSettings, present, given, sentences)
    outbound = _section(OutboundSettings, present, given, sentences)
    external = _section(ExternalTokenSettings, present, given, sentences)
    pages = _section(PagesSettings, present, given, sentences)
    observability = _section(ObservabilitySettings, present, given, sentences)
    if server is None or oauth is None or registration is None or outbound is None or external is None or pages is None:
        raise SettingsError(*sentences)
    if observability is None:
        raise SettingsError(*sentences)
    server = _with_sealing_keys(server)
    nearly = (misspelt(name, near) for name, near in unknown_variables(present).items() if near is not None)
    warnings = (*nearly, *_doubtful(server, oauth))
    return Settings(
        server,
        oauth,
        registration,
        outbound,
        external,
        pages,
        observability,
        warnings=warnings,
        env_file=env_file,
        environment=environment,
    )


def _section(
    section: type[AnySection], present: Mapping[str, str], given: Mapping[str, str], sentences: list[str]
) -> AnySection | None:
    """Read one section of what is present and, above it, given; on wrong values add a sentence for each."""
    takes = {name: field.description for field in section.model_fields.values() for name in _names(field)}
    values = {**present, **{name: value for name, value in given.items() if name in takes}}
    try:
        return section.model_validate(values)
    except ValidationError as error:
        names = dict.fromkeys(str(problem["loc"][0]) for problem in error.errors(include_input=False))
        sentences += [f"{name} takes {takes[name]}." for name in names]
        return None


def _with_sealing_keys(server: ServerSettings) -> ServerSettings:
    """Return the section with the keys that MCP_SEALING_KEYS_FILE holds as MCP_SEALING_KEYS.

    Raises:
        SettingsError: both are set, or the file cannot be read or holds something else.
    """
    if server.sealing_keys_file is None:
        return server
    if server.sealing_keys is not None:
        raise SettingsError("MCP_SEALING_KEYS and MCP_SEALING_KEYS_FILE are both set: leave one of them out.")
    try:
        text = server.sealing_keys_file.expanduser().read_text(encoding="ascii")
    except OSError as error:
        raise SettingsError(
            f"MCP_SEALING_KEYS_FILE names a file that cannot be read ({error.strerror}): mount it, and let this user "
            "read it."
        ) from None
    except UnicodeDecodeError:
        text = ""
    if not text.split() or not all(map(is_key, text.split())):
        raise SettingsError(
            "MCP_SEALING_KEYS_FILE names a file that holds something else than keys: write what MCP_SEALING_KEYS takes "
            "into it, and nothing else."
        )
    return server.model_copy(update={"sealing_keys": SecretStr(text)})


def _names(field: FieldInfo) -> list[str]:
    """Return the names that a variable goes by, the one that counts first."""
    names = field.validation_alias
    return [str(name) for name in names.choices] if isinstance(names, AliasChoices) else [str(field.alias)]


def known_names() -> tuple[str, ...]:
    """Return every variable that Gatepost reads."""
    sections = (
        ServerSettings,
        OAuthSettings,
        RegistrationSettings,
        OutboundSettings,
        ExternalTokenSettings,
        PagesSettings,
        ObservabilitySettings,
    )
    return tuple(str(field.alias) for section in sections for field in section.model_fields.values())


def variables(env_file: Path | None, environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return what is set to something, in the environment or beneath it in `.env`; `environment` as `load_settings`.

    Set to nothing is not set: then what `.env` has counts.
    """
    values: dict[str, str | None] = {}
    if env_file is not None and env_file.is_file():
        from dotenv import dotenv_values  # noqa: PLC0415 - only where there is a file

        values |= dotenv_values(env_file)
    values |= {name: value for name, value in (os.environ if environment is None else environment).items() if value}
    return {name: value for name, value in values.items() if value}


def _doubtful(server: ServerSettings, oauth: OAuthSettings) -> Iterator[str]:
    """Yield a sentence for each value that may be meant, and mostly is not."""
    if oauth.access_token_ttl < _SHORT_LIFETIME:
        yield (
            f"OAUTH_ACCESS_TOKEN_TTL={oauth.access_token_ttl} is very short: apps refresh up to a minute before a "
            "token ends, so some would ask for a new one before each call. The default is 3600 seconds."
        )
    if oauth.refresh_token_ttl <= oauth.access_token_ttl:
        yield (
            f"OAUTH_REFRESH_TOKEN_TTL={oauth.refresh_token_ttl} is no longer than OAUTH_ACCESS_TOKEN_TTL="
            f"{oauth.access_token_ttl}: an app that asks for a new token when the old one ends comes too late, and its "
            "user has to log in again. The default is 2592000 seconds, 30 days."
        )
    if oauth.authorization_code_ttl < _SHORT_CODE:
        yield (
            f"OAUTH_AUTH_CODE_TTL={oauth.authorization_code_ttl} is very short: on a slow network an app comes too "
            "late with its code. The default is 600 seconds."
        )
    if "forwarded_header" in server.model_fields_set and not server.trusted_proxies:
        yield "MCP_FORWARDED_HEADER is believed from nobody: name the proxies in MCP_TRUSTED_PROXIES."


def unknown_variables(present: Iterable[str]) -> dict[str, str | None]:
    """Return the variables that look like ours and are none, each with the setting that it nearly is, or None."""
    known = known_names()
    strangers = (
        name
        for name in sorted(set(present) - set(known))
        if name.startswith(("MCP_", "OAUTH_")) and not name.startswith((UPSTREAM_PREFIX, ROLE_PREFIX))
    )
    return {name: next(iter(difflib.get_close_matches(name, known, n=1, cutoff=0.85)), None) for name in strangers}


def misspelt(name: str, near: str) -> str:
    """Return the sentence about a variable that is nearly one of ours."""
    return f"{name} is not a setting and is ignored; did you mean {near}?"
