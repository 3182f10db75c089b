"""`gatepost check [TARGET]`: everything that can be known before a start, one line an item; nothing is changed."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from gatepost.cli.serve import add_serving_arguments, add_target_argument, add_workers_argument, overrides_of
from gatepost.cli.terminal import CommandRefused, add_json, printable, say, say_list

if TYPE_CHECKING:
    from gatepost.cli.checks.finding import Finding
    from gatepost.configuration.deployment import Deployment
    from gatepost.configuration.settings import Settings

_MARKS: Final = {"ok": "32", "note": "33", "wrong": "31", "skipped": "2"}
"""By mark how a terminal colours it (ECMA-48 section 8.3.117)."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `check` takes: the arguments of `serve`, so that the same command line is tried."""
    parser.description = (
        "Look at everything that can be known before gatepost serve is started with the same arguments: settings, "
        "target, store, keys, address, and what has to be reached. One line an item: ok, note, wrong, or skipped. "
        "Nothing is changed: no store is made or migrated, no key, no link. TARGET itself is loaded, so its code runs."
    )
    parser.epilog = "Exit code: 0 nothing is wrong, 1 something is, 2 a setting or argument is; see docs/check.md."
    add_target_argument(parser)
    add_workers_argument(parser)
    add_serving_arguments(parser)
    add_json(parser)
    parser.add_argument("--offline", action="store_true", help="ask no other server; the store's database excepted")
    parser.set_defaults(run=check)


def check(options: argparse.Namespace) -> None:
    """Look, and print what was found.

    Raises:
        CommandRefused: something is wrong.
    """
    from gatepost.cli.checks.configuration import settings_found, target_found  # noqa: PLC0415 - not for --help
    from gatepost.cli.checks.finding import Finding, exit_code_of  # noqa: PLC0415 - likewise

    settings, found = settings_found(overrides_of(options))
    if settings is None:
        found.append(Finding("the rest", "skipped", "Settings come first: mend them, and check again."))
    else:
        target, about_target = target_found(options, settings)
        found += asyncio.run(_look(target, about_target, options, settings))
    if options.json:
        say_list([_plain(finding) for finding in found], as_json=True, if_empty="")
    else:
        _print(found)
    wrong = sum(finding.mark == "wrong" for finding in found)
    if wrong:
        things = "One thing is wrong" if wrong == 1 else f"{wrong} things are wrong"
        raise CommandRefused(f"{things}.", exit_code=exit_code_of(found))


async def _look(
    target: Any, about_target: list[Finding], options: argparse.Namespace, settings: Settings
) -> list[Finding]:
    """Look at all but the settings themselves, in the order in which it is printed."""
    from gatepost.cli.checks import configuration, keys, process, store  # noqa: PLC0415 - likewise
    from gatepost.configuration.settings import SettingsError  # noqa: PLC0415 - likewise

    alone = options.single_user
    deployment, found = configuration.deployment_found(settings, is_single_user=alone)
    found += [*configuration.combination_refused(settings, deployment, is_single_user=alone), *about_target]
    try:
        status, about_store = await store.store_found(settings)
    except SettingsError:  # said above
        return found
    about_keys = await keys.keys_found(settings, status, now=int(time.time()))
    about_process = process.limits_found(settings.server)
    if deployment is not None:
        about_built, about_network = await _reach(target, options, settings, deployment)
        known = {finding.says for finding in found}
        found += [finding for finding in about_built if finding.says not in known]
        about_process = [*about_network, *about_process]
    return [*found, *about_store, *about_keys, *about_process]


async def _reach(
    target: Any, options: argparse.Namespace, settings: Settings, deployment: Deployment
) -> tuple[list[Finding], list[Finding]]:
    """Build what would be served; return what that found, and what was found of the address and the network."""
    from gatepost.cli.checks import configuration, network, process  # noqa: PLC0415 - likewise
    from gatepost.cli.checks.finding import Finding  # noqa: PLC0415 - likewise

    runs = await network.runs_already(settings, deployment)
    found = [process.address_found(settings.server, serves_already=runs)]
    installation, about_built = await configuration.installation_found(
        target, settings, is_single_user=options.single_user, title=options.title
    )
    try:
        if options.offline:
            found.append(Finding("network", "skipped", "No other server was asked (--offline)."))
            return about_built, found
        found.append(await network.public_url_found(settings, deployment, runs=runs))
        if installation is not None:
            found += await network.providers_found(installation.oauth)
            found += await network.issuers_found(installation)
            found += await network.egress_found(installation.oauth, settings)
    finally:
        if installation is not None:
            await installation.core.store.close()
    return about_built, found


def _plain(finding: Finding) -> dict[str, object]:
    return {name: value for name, value in asdict(finding).items() if name != "exit_code"}


def _print(found: list[Finding]) -> None:
    width = max(len(finding.item) for finding in found)
    colours = sys.stdout.isatty()
    for finding in found:
        mark = f"{finding.mark:<7}"
        if colours:
            mark = f"\033[{_MARKS[finding.mark]}m{mark}\033[0m"
        say(f"{mark}  {finding.item:<{width}}  {printable(finding.says)}")
    if all(finding.mark != "wrong" for finding in found):
        say("Nothing is wrong.")
