"""Several servers at one endpoint, from what `Merged` names to one target with its name and scopes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gatepost.assembly.endpoints import Endpoint, Making, front_target, remarks_on, scopes_of, server_target, words_of
from gatepost.assembly.imported_later import is_command, is_json_rpc_handler, is_protected, is_remote
from gatepost.configuration.loading import TargetError
from gatepost.fronts.merged import Merged
from gatepost.fronts.merging.names import Names
from gatepost.fronts.merging.part import Part
from gatepost.fronts.merging.target import MergedTarget
from gatepost.server.handler_target import HandlerTarget
from gatepost.server.server import Server
from gatepost.server.target import Target
from gatepost.wording.phrase import Words

if TYPE_CHECKING:
    from gatepost.resource.scope_map import ScopeMap


def merged_endpoint(path: str, merged: Merged, making: Making, title: str | None) -> Endpoint:
    """Return the endpoint that several servers are; raises TargetError: one of them cannot be served."""
    parts = _parts(path, merged, making)
    by_prefix = {prefix: parts.get(prefix) or parts[next(iter(merged.servers))] for prefix in merged.targets}
    names = Names(by_prefix, frozenset(merged.servers))
    _check_own_names(merged, names)
    are_others = len(merged.servers) < len(merged.targets)
    scope_map = merged.scopes or (making.scopes_of_file(path) if are_others else None)
    name = title or merged.title or merged.name
    served = MergedTarget(
        tuple(parts.values()),
        names,
        info=_info(merged, name),
        instructions=merged.instructions,
        own_instructions={prefix: server.instructions or "" for prefix, server in merged.servers.items()},
        scope_map=scope_map,
        wait_seconds=merged.wait_seconds,
    )
    fronts = {prefix: front for prefix, front in merged.targets.items() if is_command(front) or is_remote(front)}
    handlers = [each for each in merged.targets.values() if is_json_rpc_handler(each)]
    own_maps = [each.scopes for each in (*fronts.values(), *handlers)]
    maps = [each for each in (scope_map, *own_maps) if each is not None]
    remarks = [remark for prefix, front in fronts.items() for remark in remarks_on(front, prefix or path)]
    endpoint = Endpoint(path, served, name, scopes_of(_words(merged, maps), making.core.settings))
    return replace(
        endpoint,
        destructive_scopes=frozenset() if merged.own is None else merged.own.destructive_scopes,
        implied_scopes=_implied(merged.own, maps),
        scope_groups=_groups(merged.own, maps),
        remarks=tuple(remarks),
        changes=None if merged.own is None else merged.own.changes,
    )


def _parts(path: str, merged: Merged, making: Making) -> dict[str, Part]:
    """Return the servers by prefix, all of our own as one under the first of theirs."""
    parts: dict[str, Part] = {}
    for prefix, target in merged.targets.items():
        # Prefixes have no blanks, so no path is another one's place.
        place, label = f"{path} {prefix}", prefix or f"what has no prefix at {path}"
        random_bytes = making.core.random_bytes
        if isinstance(target, Server):
            if merged.own is not None and prefix == next(iter(merged.servers)):
                served = server_target(place, merged.own, making)
                parts[prefix] = Part(target=served, prefix=prefix, label=label, random_bytes=random_bytes, is_own=True)
        elif is_command(target) or is_remote(target):
            front = front_target(place, target, making, target.scopes, raises_outages=True)
            parts[prefix] = Part(target=front, prefix=prefix, label=label, random_bytes=random_bytes)
        else:
            handler = _handler(prefix, target)
            parts[prefix] = Part(target=handler, prefix=prefix, label=label, random_bytes=random_bytes)
    return parts


def _handler(prefix: str, target: Any) -> Target:
    """Return a JSON-RPC function as it is served, with the scopes that it has itself."""
    kind, scope_map = type(target).__name__, None
    if is_protected(target):
        raise TargetError(f"{kind} cannot be merged, as {prefix!r}: serve it at a path of its own.")
    if is_json_rpc_handler(target):
        target, scope_map = target.function, target.scopes
    try:
        handler = HandlerTarget(target, name=prefix or getattr(target, "__name__", kind))
    except TypeError as error:
        raise TargetError(
            f"{kind} cannot be merged, as {prefix!r}: {error}. What can is a Server, a Command, a Remote and a "
            "JSON-RPC function; serve others at paths of their own."
        ) from None
    if scope_map is None:
        return handler
    from gatepost.server.scoped_target import ScopedTarget  # noqa: PLC0415 - most servers have no such scopes

    return ScopedTarget(handler, scope_map)


def _check_own_names(merged: Merged, names: Names[Part]) -> None:
    """Raise TargetError if something of our own has a name that another server's begin with."""
    own = merged.own
    for name in () if own is None else (*own.tools, *own.prompts):
        found = names.find(name)
        if found is None or not found.part.is_own:
            whose = "no server" if found is None else f"the server {found.part.prefix!r}"
            raise TargetError(f"{name} is a name of {whose} here, by its beginning: give it another one, or a prefix.")


def _info(merged: Merged, name: str) -> Mapping[str, Any]:
    from gatepost import __version__  # noqa: PLC0415 - the package itself is above this one

    return {"name": merged.name, "title": name, "version": __version__}


def _words(merged: Merged, maps: list[ScopeMap]) -> dict[str, Words]:
    words: dict[str, Words] = {}
    for each in maps:
        words |= words_of(each)
    return words if merged.own is None else {**words, **merged.own.scope_descriptions}


def _implied(own: Server | None, maps: list[ScopeMap]) -> dict[str, frozenset[str]]:
    implied: dict[str, frozenset[str]] = {}
    for each in (*(each.implied_scopes for each in maps), {} if own is None else own.implied_scopes):
        for scope, opened in each.items():
            implied[scope] = implied.get(scope, frozenset()) | opened
    return implied


def _groups(own: Server | None, maps: list[ScopeMap]) -> dict[str, str]:
    groups: dict[str, str] = {}
    for each in (*(each.scope_groups for each in maps), {} if own is None else own.scope_groups):
        groups |= each
    return groups
