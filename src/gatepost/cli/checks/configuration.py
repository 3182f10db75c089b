"""Settings, what they say together, and the target: everything that a start refuses with exit code 2."""

from __future__ import annotations

import os
import secrets
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from gatepost.cli.checks.finding import Finding, wrong
from gatepost.configuration.deployment import Deployment, key_file, locate_store, resolve_deployment
from gatepost.configuration.forward_proxy import forward_proxy
from gatepost.configuration.settings import (
    Settings,
    SettingsError,
    known_names,
    load_settings,
    misspelt,
    unknown_variables,
    variables,
)
from gatepost.tokens.opaque import SecretKind, mint

if TYPE_CHECKING:
    from gatepost.assembly.installation import Installation
    from gatepost.identity.provider import IdentityProvider

_SETTINGS: Final = "settings"
_PUBLIC: Final = "deployment"
_TARGET: Final = "target"
_ENV_FILE: Final = Path(".env")


def settings_found(overrides: Mapping[str, str]) -> tuple[Settings | None, list[Finding]]:
    """Return the settings, None where a value is wrong, and what is wrong or odd about them."""
    present = {**variables(_ENV_FILE), **overrides}
    odd = [
        f"{name} is no setting of Gatepost and is ignored." if near is None else misspelt(name, near)
        for name, near in unknown_variables(present).items()
    ]
    settings, found = None, list[Finding]()
    try:
        settings = load_settings(overrides)
    except SettingsError as error:
        found += wrong(_SETTINGS, error.sentences)
    else:
        odd += settings.warnings
        set_here = len(present.keys() & set(known_names()))
        said = "One variable is set, and has" if set_here == 1 else f"{set_here} variables are set, and each has"
        found.append(Finding(_SETTINGS, "ok", f"{said} a value that it takes."))
    return settings, [*found, *(Finding(_SETTINGS, "note", sentence) for sentence in dict.fromkeys(odd))]


def deployment_found(settings: Settings, *, is_single_user: bool) -> tuple[Deployment | None, list[Finding]]:
    """Return where the server is reached, None where that cannot be, and what is wrong or unsafe about it."""
    try:
        deployment = resolve_deployment(settings, is_single_user=is_single_user)
    except SettingsError as error:
        return None, wrong(_PUBLIC, error.sentences)
    if deployment.is_public:
        said = f"{deployment.public_url} is public, and nothing that is set is unsafe there."
    else:
        said = f"{deployment.public_url} is this machine's own: what is unsafe in public was not asked."
    return deployment, [Finding(_PUBLIC, "ok", said)]


def combination_refused(settings: Settings, deployment: Deployment | None, *, is_single_user: bool) -> list[Finding]:
    """Return what is wrong of the settings together, each concern asked for itself, so that one hides no other."""
    from gatepost.assembly.admission import entry_rule, roles_there_are  # noqa: PLC0415 - after the arguments are right
    from gatepost.assembly.chosen_login import chosen_provider  # noqa: PLC0415 - likewise
    from gatepost.configuration.external_tokens import issuer_of_settings  # noqa: PLC0415 - likewise

    is_public = deployment is None or deployment.is_public
    questions: tuple[Callable[[], object], ...] = (
        lambda: chosen_provider(settings, single_user(is_single_user)),
        lambda: entry_rule(settings, None),
        lambda: roles_there_are(settings, None),
        lambda: issuer_of_settings(settings.external, is_public=is_public),
        lambda: forward_proxy(settings),
    )
    sentences = list[str]()
    for question in questions:
        try:
            question()
        except SettingsError as error:
            sentences += error.sentences
    return wrong(_SETTINGS, sentences)


def single_user(is_single_user: bool) -> IdentityProvider | None:  # noqa: FBT001 - the option itself
    """Return the login provider of `--single-user`."""
    if not is_single_user:
        return None
    from gatepost.identity.single_user import SingleUserProvider  # noqa: PLC0415 - only in this mode

    return SingleUserProvider()


def target_found(options: Namespace, settings: Settings) -> tuple[Any, list[Finding]]:
    """Return what is to be served, None where nothing is named or it cannot be loaded, and what there is to say.

    Its own code runs, as it would at a start; what Gatepost keeps is not touched by that.
    """
    from gatepost.configuration.loading import TargetError, load_target  # noqa: PLC0415 - as above

    name = options.target or settings.server.handler
    if not name:
        said = "No target was named, so none was loaded: gatepost check notes:server, or set MCP_HANDLER."
        return None, [Finding(_TARGET, "skipped", said)]
    try:
        with _no_key_is_made(settings):
            target = load_target(name)
            for middleware in options.middleware:
                load_target(middleware)
    except TargetError as error:
        return None, wrong(_TARGET, str(error).splitlines(), exit_code=error.exit_code)
    except SettingsError as error:  # of a target that calls `create_app` itself
        return None, wrong(_SETTINGS, error.sentences)
    return target, [Finding(_TARGET, "ok", f"{name} was loaded.")]


@contextmanager
def _no_key_is_made(settings: Settings) -> Iterator[None]:
    """Have a target that calls `create_app` find a sealing key, which would be made in a file otherwise."""
    name = "MCP_SEALING_KEYS"
    if settings.server.sealing_keys is not None or key_file(settings).exists():
        yield
        return
    os.environ[name] = mint(SecretKind.SEALING_KEY, secrets.token_bytes)
    try:
        yield
    finally:
        del os.environ[name]


async def installation_found(
    target: Any, settings: Settings, *, is_single_user: bool, title: str | None = None
) -> tuple[Installation | None, list[Finding]]:
    """Build what would be served, on a store in memory; return it, None where that is refused, and what is wrong.

    Its store has to be closed.
    """
    from gatepost.assembly.imported_later import is_direct_app  # noqa: PLC0415 - as above
    from gatepost.assembly.installation import install  # noqa: PLC0415 - likewise
    from gatepost.configuration.loading import TargetError  # noqa: PLC0415 - likewise
    from gatepost.server.server import Server  # noqa: PLC0415 - likewise
    from gatepost.stores.urls import locate  # noqa: PLC0415 - likewise

    if is_direct_app(target):
        from gatepost.assembly.life import Life  # noqa: PLC0415 - likewise

        return cast("Life", target.life).installation, []
    store = locate("memory:").make_store()
    try:
        installation = install(
            Server("check") if target is None else target,
            settings,
            provider=single_user(is_single_user),
            store=store,
            title=title,
        )
    except (SettingsError, TargetError) as error:
        await store.close()
        item = _SETTINGS if isinstance(error, SettingsError) else _TARGET
        return None, wrong(item, str(error).splitlines(), exit_code=getattr(error, "exit_code", 2))
    return installation, _workers_refused(installation, settings) + [
        Finding(_TARGET, "note", remark) for remark in ([] if target is None else installation.notes)
    ]


def _workers_refused(installation: Installation, settings: Settings) -> list[Finding]:
    if settings.server.workers == 1:
        return []
    from gatepost.assembly.workers import MEMORY_FOR_WORKERS, tied_to_one_process  # noqa: PLC0415 - likewise

    sentences = tied_to_one_process(installation.resources.endpoints)
    if locate_store(settings).is_lost_at_exit:
        sentences.append(MEMORY_FOR_WORKERS)
    return wrong("workers", sentences)
