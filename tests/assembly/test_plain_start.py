"""A plain start imports no login provider, kind of target or token check that is not used."""

from __future__ import annotations

import inspect
import subprocess
import sys
import textwrap
from collections.abc import Callable

import pytest

import gatepost
from gatepost.assembly import imported_later
from gatepost.assembly.imported_later import is_of_imported_class

PROGRAM = textwrap.dedent("""
    import sys
    from gatepost import Server
    from gatepost.assembly.installation import install
    from gatepost.assembly.site import served_app_for
    from gatepost.configuration.settings import load_settings

    settings = load_settings({"MCP_STORAGE_URL": "memory:"}, env_file=None)
    served_app_for(install(Server("notes"), settings), announce=print)
    names = [*sys.modules]
    import dataclasses
    early = [name for name in names if getattr(sys.modules[name], "dataclass", None) is dataclasses.dataclass]
    print(*names)
    print(*(name for name in early if name.startswith("gatepost.")))
""")
LATER = {
    "the page of gatepost dev": (
        "gatepost.assembly.dev",
        "gatepost.listening.reload_folder",
        "gatepost.listening.reloading",
        "gatepost.listening.watching",
        "gatepost.web.dev",
        "watchfiles",
    ),
    "the framework for those who add to the app": ("fastapi",),
    "pages": ("gatepost.assembly.pages", "gatepost.web.pages.page_templates", "gatepost.web.pages.rendering"),
    "cryptography and templates": ("argon2", "cryptography", "httpx2", "jinja2", "joserfc", "mcp", "mcp_types"),
    "tokens of issuers elsewhere": (
        "gatepost.assembly.external_tokens",
        "gatepost.configuration.external_tokens",
        "gatepost.outbound.external_issuer",
        "gatepost.outbound.introspected_issuer",
        "gatepost.outbound.issuer_documents",
        "gatepost.outbound.issuer_keys",
        "gatepost.resource.external_tokens",
        "gatepost.web.resource.external_callers",
    ),
    "fronts": ("gatepost.fronts",),
    "scopes by name": (
        "gatepost.configuration.scope_file",
        "gatepost.configuration.toml_file",
        "gatepost.resource.scope_map",
        "gatepost.server.scoped_target",
    ),
    "applications": (
        "gatepost.web.mcp.applications",
        "gatepost.web.resource.application",
        "gatepost.web.resource.open_streams",
        "gatepost.web.resource.other_servers",
        "gatepost.web.resource.sdk_callers",
    ),
    "login providers": (
        "gatepost.configuration.upstreams",
        "gatepost.identity.auth_provider",
        "gatepost.identity.several_logins",
        "gatepost.identity.static_password",
        "gatepost.identity.token_holder",
        "gatepost.identity.token_set",
        "gatepost.identity.upstream_login",
        "gatepost.identity.upstream_tokens",
    ),
}


@pytest.fixture(scope="module")
def started() -> tuple[list[str], list[str]]:
    """What is imported, and what of it has dataclasses with methods that are compiled at once."""
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120, check=False)
    assert ran.stderr == ""
    imported, early = ran.stdout.split("\n")[:2]
    return imported.split(), early.split()


@pytest.mark.parametrize("what", LATER)
def test_a_plain_start_imports_nothing_of(what: str, started: tuple[list[str], list[str]]) -> None:
    imported, _ = started
    assert "gatepost.assembly.installation" in imported
    names = LATER[what]

    assert [name for name in imported if name in names or name.startswith(tuple(f"{each}." for each in names))] == []


def test_methods_of_dataclasses_are_compiled_when_they_are_used(started: tuple[list[str], list[str]]) -> None:
    """To compile all of them at once takes a quarter of a start (record 0092)."""
    assert started[1] == []


def test_nothing_is_of_a_class_that_was_not_imported() -> None:
    assert not is_of_imported_class(object(), "gatepost.no_such_module", "Nothing")
    assert not is_of_imported_class(object(), "gatepost.assembly.imported_later", "Nothing")
    assert not is_of_imported_class(object(), "pathlib", "Path")


def test_what_is_of_an_imported_class_is_found_and_so_are_subclasses() -> None:
    assert is_of_imported_class(3, "builtins", "int")
    assert is_of_imported_class(True, "builtins", "int")


@pytest.mark.parametrize(
    ("question", "public"),
    [
        (imported_later.is_command, "Command"),
        (imported_later.is_remote, "Remote"),
        (imported_later.is_protected, "Protected"),
        (imported_later.is_auth_provider, "AuthProvider"),
        (imported_later.is_several_logins, "SeveralLogins"),
        (imported_later.is_static_password, "StaticPasswordProvider"),
        (imported_later.is_upstream_login, "GitHub"),
        (imported_later.is_token_holder, "GitHub"),
    ],
)
def test_each_question_names_the_class_where_it_is(question: Callable[[object], bool], public: str) -> None:
    kind = getattr(gatepost, public)

    assert question(object.__new__(_concrete(kind)))
    assert not question(object())


def _concrete(kind: type) -> type:
    return type(kind.__name__, (kind,), {"authenticate": None}) if inspect.isabstract(kind) else kind
