"""Attacks on skills: out of the folder, past the scopes, and against whoever reads the folder (MCP SEP-2640)."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from gatepost import Server
from gatepost.extensions.skills import add_skills, folder
from gatepost.protocol.errors import InvalidParams, UnknownResource
from gatepost.protocol.versions import REVISION_2025_11_25, REVISION_2026_07_28, Revision
from gatepost.server.errors import InsufficientScope, ToolDefinitionError
from tests.extensions.asking import ask
from tests.extensions.skills.folders import a_skill, main_file, write

SECRET = "the key of the house"
ERAS = pytest.mark.parametrize("revision", [REVISION_2025_11_25, REVISION_2026_07_28])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with skills, and a secret beside it and hidden in it."""
    write(
        tmp_path,
        {
            "secret.md": SECRET,
            "skills/.env": SECRET,
            "skills/git-workflow/.secret.md": SECRET,
            "skills/notes.md": SECRET,
            "git-workflow/SKILL.md": SECRET,
        },
    )
    return a_skill(tmp_path / "skills")


@pytest.fixture
def server(root: Path) -> Server:
    server = Server("docs")
    server.add_skills(root)
    return server


@ERAS
@pytest.mark.parametrize(
    "path",
    [
        "../secret.md",
        "../../secret.md",
        "references/../../../secret.md",
        "..%2F..%2Fsecret.md",
        "%2e%2e/%2e%2e/secret.md",
        "%252e%252e/secret.md",
        "..%5C..%5Csecret.md",
        "..\\..\\secret.md",
        "/etc/passwd",
        "%2Fetc%2Fpasswd",
        "//etc/passwd",
        "references//GUIDE.md",
        "./references/GUIDE.md",
        "references/GUIDE.md%00.png",
        "references/GUIDE.md?x=1",
        "references/GUIDE.md#x",
        "REFERENCES/GUIDE.md",
        "references/GUIDE.md/",
        ".secret.md",
        "../.env",
        "../notes.md",
        "references",
        "empty",
        "",
    ],
)
async def test_no_path_leads_to_what_is_not_listed(server: Server, revision: Revision, path: str) -> None:
    for method in ("resources/read", "skills/get", "resources/directory/read"):
        if method == "resources/directory/read" and path.strip("/") in {"references", "empty", ""}:
            continue  # folders that there are
        with pytest.raises((InvalidParams, UnknownResource)) as caught:
            await ask(server, method, {"uri": f"skill://git-workflow/{path}"}, revision=revision)
        assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "uri", ["skill://..", "skill://", "skill://.", "file:///", "skill://git-workflow/..", "skill:"]
)
async def test_no_folder_outside_of_a_skill_is_listed(server: Server, uri: str) -> None:
    with pytest.raises(InvalidParams):
        await ask(server, "resources/directory/read", {"uri": uri})


@pytest.mark.parametrize("target", ["../../secret.md", "/etc/passwd", "SKILL.md", "/nowhere", "../..", "."])
def test_a_symbolic_link_is_refused_wherever_it_leads(root: Path, target: str) -> None:
    (root / "git-workflow" / "link").symlink_to(target)

    with pytest.raises(ToolDefinitionError, match="link is a symbolic link"):
        Server("docs").add_skills(root)


def test_pipes_and_sockets_are_refused_and_not_opened(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(root / "git-workflow" / "pipe")
    with pytest.raises(ToolDefinitionError, match="neither a file nor a folder"):
        Server("docs").add_skills(root)
    (root / "git-workflow" / "pipe").unlink()

    monkeypatch.chdir(root)  # the path of a socket is short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("git-workflow/socket")
        with pytest.raises(ToolDefinitionError, match="neither a file nor a folder"):
            Server("docs").add_skills(root)


def test_a_file_that_becomes_a_link_after_it_was_looked_at_is_not_followed(root: Path) -> None:
    found = folder.survey(root)
    guide = root / "git-workflow" / "references" / "GUIDE.md"
    outside = root.parent / "same-size.md"
    outside.write_bytes(b"x" * guide.stat().st_size)
    guide.unlink()
    guide.symlink_to(outside)

    with pytest.raises(OSError, match="symbolic link"):
        folder.read_skills(root, found)


def test_a_folder_that_becomes_a_link_after_it_was_looked_at_is_not_followed(root: Path) -> None:
    found = folder.survey(root)
    references = root / "git-workflow" / "references"
    outside = references.rename(root.parent / "outside")  # the same files, so that nothing else gives it away
    references.symlink_to(outside)

    with pytest.raises(OSError, match=r"symbolic link|Not a directory"):
        folder.read_skills(root, found)


def test_a_file_that_becomes_a_pipe_after_it_was_looked_at_is_not_waited_for(root: Path) -> None:
    found = folder.survey(root)
    guide = root / "git-workflow" / "references" / "GUIDE.md"
    guide.unlink()
    os.mkfifo(guide)

    with pytest.raises(folder.InvalidSkill, match="is being written"):
        folder.read_skills(root, found)


def test_a_file_that_another_one_took_the_place_of_is_not_taken(root: Path) -> None:
    found = folder.survey(root)
    guide = root / "git-workflow" / "references" / "GUIDE.md"
    other = root.parent / "same-size.md"
    other.write_bytes(b"x" * guide.stat().st_size)
    other.rename(guide)

    with pytest.raises(folder.InvalidSkill, match="is being written"):
        folder.read_skills(root, found)


async def test_a_link_that_is_made_while_the_server_runs_opens_nothing(root: Path) -> None:
    now = [0.0]
    server = Server("docs")
    add_skills(server.registry, root, clock=lambda: now[0])
    (root / "git-workflow" / "more.md").symlink_to(root.parent / "secret.md")
    now[0] = 10

    with pytest.raises(InvalidParams):
        await ask(server, "resources/read", {"uri": "skill://git-workflow/more.md"})
    assert len((await ask(server, "skills/list"))["skills"]) == 1


@ERAS
async def test_skills_of_others_are_neither_seen_nor_named(tmp_path: Path, revision: Revision) -> None:
    server = Server("docs")
    server.add_skills(a_skill(tmp_path / "open"))
    write(tmp_path / "books", {"audit/SKILL.md": main_file("audit", "How to cook the books"), "audit/a.md": SECRET})
    server.add_skills(tmp_path / "books", scopes=["books:read", "books:audit"])
    partly = {"granted": {"books:read"}, "revision": revision}

    for method in ("skills/list", "resources/list", "resources/templates/list"):
        assert "audit" not in str(await ask(server, method, **partly))  # type: ignore[arg-type]  # as above
    for method, uri in (
        ("skills/get", "skill://audit/SKILL.md"),
        ("resources/directory/read", "skill://audit"),
        ("resources/read", "skill://audit/SKILL.md"),
        ("resources/read", "skill://audit/a.md"),
        ("resources/read", "SKILL://AUDIT/a.md"),
        ("resources/read", "skill://audit/%61.md"),
    ):
        with pytest.raises(InsufficientScope) as caught:
            await ask(server, method, {"uri": uri}, **partly)  # type: ignore[arg-type]  # as above
        assert caught.value.scopes == {"books:read", "books:audit"}


async def test_a_cursor_of_one_caller_shows_another_nothing(tmp_path: Path) -> None:
    server = Server("docs", page_size=1)
    server.add_skills(write(tmp_path / "open", {"a/SKILL.md": main_file("a"), "b/SKILL.md": main_file("b")}))
    server.add_skills(write(tmp_path / "books", {"c/SKILL.md": main_file("c")}), scopes=["books:read"])
    cursor = (await ask(server, "skills/list", granted={"books:read"}))["nextCursor"]

    with pytest.raises(InvalidParams, match="cursor"):
        await ask(server, "skills/list", {"cursor": cursor}, granted=set())


@pytest.mark.parametrize(
    "more",
    [
        "x: !!python/object/apply:os.system ['touch /tmp/owned']\n",
        "x: !!python/name:os.system\n",
        "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: [*c, *c]\n",
        f"x: {'{a: ' * 200}{'}' * 200}\n",
        f"x: {'[' * 10_000}\n",
        "name: other\n",
    ],
    ids=["call", "name", "unfolding", "deep mapping", "deep list", "twice"],
)
def test_a_frontmatter_constructs_nothing_and_does_not_unfold(tmp_path: Path, more: str) -> None:
    write(tmp_path, {"lint/SKILL.md": main_file("lint", more=more)})

    with pytest.raises(ToolDefinitionError, match="frontmatter"):
        Server("docs").add_skills(tmp_path)
