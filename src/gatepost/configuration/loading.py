"""From what a person types to the object that is served: `module:name` or `path/file.py:name`, or its only `Server`."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import gatepost

_PACKAGE: Final = Path(gatepost.__file__).parent


class TargetError(Exception):
    """A target cannot be loaded; the message is one sentence for the person who typed it."""

    exit_code = 2


class TargetUnavailable(TargetError):
    """A target is a server elsewhere, which does not start; behind the sentence stand lines of what it said last."""

    exit_code = 1


def load_target(target: str) -> Any:
    """Return the object that `target` names.

    `module:name` is imported with the current directory on the path; `path/file.py:name` is loaded from the file, whose
    own directory is put on the path as `python path/file.py` would. `name` may be dotted. Without a name it is the one
    `Server` that is there.

    Raises:
        TargetError: malformed, not found, or the code failed while it was imported (the cause is chained).
    """
    location, _, name = target.partition(":")
    if not location:
        raise TargetError(f"{target!r} is not a target: write module:name (such as notes:server) or path/file.py:name.")
    module = _from_file(location) if location.endswith(".py") else _from_module(location)
    if not name:
        return _only_server(location, module)
    found: Any = module
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            names = _servers(module)
            hint = f"; it has {', '.join(names)}" if names else ""
            raise TargetError(f"{location} has no {name!r}{hint}.") from None
    return found


def _from_module(name: str) -> ModuleType:
    _put_first(Path.cwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise TargetError(
                f"There is no module {name!r} in {Path.cwd()} or among the installed packages.{_colon_for_dot(name)}"
            ) from None
        raise TargetError(f"{name} needs the module {error.name!r}, which is not installed.") from error
    except Exception as error:
        raise TargetError(f"{name} failed while it was imported: {_described(error)}") from error


def _colon_for_dot(name: str) -> str:
    """Return the question whether a dot stands for the colon, where that names something; otherwise nothing."""
    location, _, attribute = name.rpartition(".")
    # It is loaded: importing what lies in it was tried just now.
    is_there = location in sys.modules and hasattr(sys.modules[location], attribute)
    return f" Did you mean {location}:{attribute}?" if is_there else ""


def _from_file(location: str) -> ModuleType:
    path = Path(location).resolve()
    if not path.is_file():
        raise TargetError(f"There is no file {location}.")
    _put_first(path.parent)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise TargetError(f"{location} cannot be loaded as Python.")
    module = importlib.util.module_from_spec(spec)
    # Registered first, as an ordinary import does: dataclasses and type hints look their module up.
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[path.stem]
        raise TargetError(f"{location} failed while it was loaded: {_described(error)}") from error
    return module


def _described(error: Exception) -> str:
    """Return what was raised, and the last place on the way there that is the author's, as far as one can tell."""
    described = f"{type(error).__name__}: {error}"
    if isinstance(error, SyntaxError):
        return described  # it says where itself
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not _is_ours(frame.filename)]
    own = [frame for frame in frames if "site-packages" not in Path(frame.filename).parts]
    if not frames:
        return described
    place = (own or frames)[-1]
    return f"{described} ({place.filename}, line {place.lineno})"


def _is_ours(filename: str) -> bool:
    """Say whether a file is Gatepost's, or Python's own import."""
    return filename.startswith("<") or Path(filename).is_relative_to(_PACKAGE) or "importlib" in Path(filename).parts


def _put_first(directory: Path) -> None:
    text = os.fspath(directory)
    if text not in sys.path:
        sys.path.insert(0, text)


def _only_server(location: str, module: ModuleType) -> Any:
    servers = _servers(module)
    if not servers:
        raise TargetError(f"{location} has no Server: name what to serve, as in {location}:name.")
    first, *others = servers
    if others:
        raise TargetError(f"{location} has several Servers, {', '.join(servers)}: name one, as in {location}:{first}.")
    return servers[first]


def _servers(module: ModuleType) -> dict[str, Any]:
    """Return the `Server`s of a module, each by the first of its names."""
    from gatepost.server.server import Server  # noqa: PLC0415 - a bare function needs none of it

    found = {id(value): (name, value) for name, value in reversed(vars(module).items()) if isinstance(value, Server)}
    return dict(reversed(found.values()))
