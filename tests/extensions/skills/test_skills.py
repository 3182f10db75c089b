"""Skills of a server: listed, got and read in both eras, by those who may, as the folder is now."""

from __future__ import annotations

import logging
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from gatepost import Server
from gatepost.extensions.skills import add_skills
from gatepost.protocol.errors import InvalidParams
from gatepost.protocol.versions import REVISION_2025_06_18, REVISION_2025_11_25, REVISION_2026_07_28, Revision
from gatepost.server.changes.bus import Change
from gatepost.server.dispatch import ServerTarget
from gatepost.server.errors import InsufficientScope, ToolDefinitionError
from tests.extensions.asking import ask
from tests.extensions.skills.folders import GUIDE, PICTURE, a_skill, main_file, write

MAIN = "skill://git-workflow/SKILL.md"
ERAS = pytest.mark.parametrize("revision", [REVISION_2025_06_18, REVISION_2025_11_25, REVISION_2026_07_28])


class Clock:
    """Seconds that grow when a test says so."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(tmp_path: Path, clock: Clock) -> Server:
    """A server with one skill, in tmp_path."""
    server = Server("docs")
    add_skills(server.registry, a_skill(tmp_path), clock=clock)
    return server


async def uris(server: Server | ServerTarget, **options: Any) -> list[str]:
    return [skill["uri"] for skill in (await ask(server, "skills/list", **options))["skills"]]


async def text_of(server: Server, uri: str, **options: Any) -> str:
    contents = (await ask(server, "resources/read", {"uri": uri}, **options))["contents"]
    text: str = contents[0]["text"]
    return text


@ERAS
@pytest.mark.parametrize("method", ["server/discover", "initialize"])
async def test_both_eras_hear_of_skills_and_that_folders_can_be_read(
    server: Server, revision: Revision, method: str
) -> None:
    if revision.modern == (method == "initialize"):
        return
    capabilities = (await ask(server, method, revision=revision))["capabilities"]

    assert capabilities["extensions"] == {"io.modelcontextprotocol/skills": {"directoryRead": True}}
    assert "resources" in capabilities


async def test_a_server_without_skills_has_no_such_methods() -> None:
    target = ServerTarget(Server("docs"))

    assert "extensions" not in (await ask(target, "server/discover"))["capabilities"]
    assert not target.has_method("skills/list")


@ERAS
async def test_a_list_and_a_single_get_have_the_same_entry(server: Server, revision: Revision) -> None:
    (listed,) = (await ask(server, "skills/list", revision=revision))["skills"]
    got = (await ask(server, "skills/get", {"uri": MAIN}, revision=revision))["skill"]

    assert listed == got
    assert listed["frontmatter"] == {"name": "git-workflow", "description": "How branches are named"}
    assert [file["uri"] for file in listed["resources"]] == [
        MAIN,
        "skill://git-workflow/assets/flow.png",
        "skill://git-workflow/references/GUIDE.md",
    ]


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("skills/list", {}),
        ("skills/get", {"uri": MAIN}),
        ("resources/directory/read", {"uri": "skill://git-workflow"}),
    ],
)
async def test_cache_hints_are_where_the_revision_has_them(tmp_path: Path, method: str, params: dict[str, Any]) -> None:
    open_to_all, guarded = Server("docs"), Server("docs")
    open_to_all.add_skills(a_skill(tmp_path))
    guarded.add_skills(tmp_path, scopes=["docs:read"])

    public = await ask(open_to_all, method, params)
    private = await ask(guarded, method, params, granted={"docs:read"})
    older = await ask(open_to_all, method, params, revision=REVISION_2025_11_25)

    assert (public["resultType"], public["ttlMs"], public["cacheScope"]) == ("complete", 300_000, "public")
    assert (private["ttlMs"], private["cacheScope"]) == (300_000, "private")
    assert older.keys() & {"resultType", "ttlMs", "cacheScope"} == set()


async def test_lists_come_in_pages_and_entries_are_whole(tmp_path: Path) -> None:
    write(tmp_path, {f"s{n}/SKILL.md": main_file(f"s{n}") for n in range(5)})
    server = Server("docs", page_size=2)
    server.add_skills(tmp_path)

    target, found, cursor = ServerTarget(server), [], None
    while True:
        result = await ask(target, "skills/list", {} if cursor is None else {"cursor": cursor})
        found.append([skill["uri"] for skill in result["skills"]])
        cursor = result.get("nextCursor")
        if cursor is None:
            break

    assert [len(page) for page in found] == [2, 2, 1]
    assert sorted(uri for page in found for uri in page) == [f"skill://s{n}/SKILL.md" for n in range(5)]
    with pytest.raises(InvalidParams, match="cursor"):
        await ask(target, "skills/list", {"cursor": "another"})


@ERAS
async def test_texts_are_read_as_text_and_other_files_as_blobs(server: Server, revision: Revision) -> None:
    guide, picture = "skill://git-workflow/references/GUIDE.md", "skill://git-workflow/assets/flow.png"

    assert (await ask(server, "resources/read", {"uri": guide}, revision=revision))["contents"] == [
        {"uri": guide, "mimeType": "text/markdown", "text": GUIDE}
    ]
    assert (await ask(server, "resources/read", {"uri": picture}, revision=revision))["contents"] == [
        {"uri": picture, "mimeType": "image/png", "blob": b64encode(PICTURE).decode()}
    ]


async def test_the_main_file_is_a_resource_with_the_words_of_its_frontmatter(tmp_path: Path, server: Server) -> None:
    (listed,) = (await ask(server, "resources/list"))["resources"]
    (template,) = (await ask(server, "resources/templates/list"))["resourceTemplates"]

    text = (tmp_path / "git-workflow" / "SKILL.md").read_text()
    assert listed == {
        "uri": MAIN,
        "name": "git-workflow",
        "description": "How branches are named",
        "mimeType": "text/markdown",
        "size": len(text),
    }
    assert template["uriTemplate"] == "skill://git-workflow/{+path}"
    assert await text_of(server, MAIN) == text


async def test_clients_may_keep_a_file_for_as_long_as_the_author_says(tmp_path: Path) -> None:
    server = Server("docs")
    server.add_skills(a_skill(tmp_path), fresh_for=60)

    for uri in (MAIN, "skill://git-workflow/references/GUIDE.md"):
        assert (await ask(server, "resources/read", {"uri": uri}))["ttlMs"] == 60_000


@pytest.mark.parametrize(
    ("uri", "children"),
    [
        (
            "skill://git-workflow",
            [("SKILL.md", "text/markdown"), ("assets", None), ("empty", None), ("references", None)],
        ),
        (
            "skill://git-workflow/",
            [("SKILL.md", "text/markdown"), ("assets", None), ("empty", None), ("references", None)],
        ),
        ("skill://git-workflow/assets", [("assets/flow.png", "image/png")]),
        ("skill://git-workflow/empty", []),
    ],
)
async def test_a_folder_has_its_direct_children(
    server: Server, uri: str, children: list[tuple[str, str | None]]
) -> None:
    found = (await ask(server, "resources/directory/read", {"uri": uri}))["resources"]

    assert [(each["uri"], each["mimeType"]) for each in found] == [
        (f"skill://git-workflow/{path}", kind or "inode/directory") for path, kind in children
    ]
    assert all(each["name"] in {each["uri"].rpartition("/")[2], "git-workflow"} for each in found)


async def test_folders_come_in_pages(tmp_path: Path) -> None:
    write(tmp_path, {"lint/SKILL.md": main_file("lint"), "lint/a": "", "lint/b": ""})
    server = Server("docs", page_size=2)
    server.add_skills(tmp_path)
    target, params = ServerTarget(server), {"uri": "skill://lint"}

    first = await ask(target, "resources/directory/read", params)
    second = await ask(target, "resources/directory/read", {**params, "cursor": first["nextCursor"]})

    names = [[each["name"] for each in page["resources"]] for page in (first, second)]
    assert (names, "nextCursor" in second) == ([["lint", "a"], ["b"]], False)


@ERAS
@pytest.mark.parametrize(
    ("method", "uri"),
    [
        ("skills/get", "skill://other/SKILL.md"),
        ("skills/get", "skill://git-workflow"),
        ("skills/get", "skill://git-workflow/references/GUIDE.md"),
        ("skills/get", "no uri"),
        ("resources/directory/read", "skill://other"),
        ("resources/directory/read", MAIN),
        ("resources/directory/read", "skill://git-workflow/none"),
        ("resources/directory/read", "skill://git-workflowx"),
        ("resources/directory/read", "skill://"),
        ("resources/directory/read", "no uri"),
    ],
)
async def test_what_is_no_skill_or_folder_is_invalid(server: Server, revision: Revision, method: str, uri: str) -> None:
    with pytest.raises(InvalidParams) as caught:
        await ask(server, method, {"uri": uri}, revision=revision)
    assert caught.value.data == {"uri": uri}


@pytest.mark.parametrize("method", ["skills/get", "resources/directory/read"])
async def test_a_uri_is_a_text(server: Server, method: str) -> None:
    with pytest.raises(InvalidParams, match="must be a string"):
        await ask(server, method, {"uri": 1})


async def test_skills_inside_of_skills_are_read_by_the_folder_of_the_innermost(tmp_path: Path) -> None:
    write(tmp_path, {"acme/SKILL.md": main_file("acme"), "acme/refunds/SKILL.md": main_file("refunds")})
    server = Server("docs")
    server.add_skills(tmp_path)

    outer = await ask(server, "resources/directory/read", {"uri": "skill://acme"})
    inner = await ask(server, "resources/directory/read", {"uri": "skill://acme/refunds"})

    assert [each["uri"] for each in outer["resources"]] == ["skill://acme/SKILL.md", "skill://acme/refunds"]
    assert [each["name"] for each in inner["resources"]] == ["refunds"]
    assert await uris(server) == ["skill://acme/SKILL.md", "skill://acme/refunds/SKILL.md"]


# Changes in the folder.


async def test_a_change_is_noticed_at_the_next_request(tmp_path: Path, server: Server, clock: Clock) -> None:
    before = (await ask(server, "skills/get", {"uri": MAIN}))["skill"]
    text = main_file("git-workflow", "How branches are named now")
    write(tmp_path, {"git-workflow/SKILL.md": text, "lint/SKILL.md": main_file("lint")})

    clock.now += 2
    after = (await ask(server, "skills/get", {"uri": MAIN}))["skill"]

    assert after["frontmatter"]["description"] == "How branches are named now"
    assert after["resources"][0]["digest"] != before["resources"][0]["digest"]
    assert await text_of(server, MAIN) == text
    assert await uris(server) == [MAIN, "skill://lint/SKILL.md"]


async def test_nobody_looks_again_within_two_seconds(tmp_path: Path, server: Server, clock: Clock) -> None:
    write(tmp_path, {"lint/SKILL.md": main_file("lint")})

    clock.now += 1.9
    assert await uris(server) == [MAIN]
    clock.now += 0.1
    assert await uris(server) == [MAIN, "skill://lint/SKILL.md"]


async def test_what_is_gone_is_found_no_more(tmp_path: Path, server: Server, clock: Clock) -> None:
    write(tmp_path, {"lint/SKILL.md": main_file("lint"), "lint/a.md": "a"})
    clock.now += 2
    assert await text_of(server, "skill://lint/a.md") == "a"
    (tmp_path / "lint" / "a.md").unlink()
    (tmp_path / "git-workflow").rename(tmp_path / ".gone")

    clock.now += 2

    assert await uris(server) == ["skill://lint/SKILL.md"]
    for uri in ("skill://lint/a.md", MAIN, "skill://git-workflow/references/GUIDE.md"):
        with pytest.raises(InvalidParams, match="not found"):
            await ask(server, "resources/read", {"uri": uri})
    assert [each["uri"] for each in (await ask(server, "resources/list"))["resources"]] == ["skill://lint/SKILL.md"]


@pytest.mark.parametrize("uri", [MAIN, "skill://git-workflow/references/GUIDE.md"])
async def test_a_read_that_finds_the_skill_gone_says_so(tmp_path: Path, server: Server, clock: Clock, uri: str) -> None:
    write(tmp_path, {"lint/SKILL.md": main_file("lint")})
    (tmp_path / "git-workflow").rename(tmp_path / ".gone")
    clock.now += 2

    with pytest.raises(InvalidParams, match="not found"):
        await ask(server, "resources/read", {"uri": uri})


async def test_a_folder_that_is_broken_leaves_what_was_offered(
    tmp_path: Path, server: Server, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, {"lint/SKILL.md": "# half written"})

    for _ in range(3):
        clock.now += 2
        assert await uris(server) == [MAIN]
    assert [record.getMessage().partition(" /")[0] for record in caplog.records] == ["skills stay as they were:"]

    write(tmp_path, {"lint/SKILL.md": main_file("lint")})
    clock.now += 2
    assert await uris(server) == [MAIN, "skill://lint/SKILL.md"]


async def test_a_folder_that_is_gone_leaves_what_was_offered(tmp_path: Path, clock: Clock) -> None:
    server = Server("docs")
    add_skills(server.registry, a_skill(tmp_path / "skills"), clock=clock)
    (tmp_path / "skills").rename(tmp_path / "elsewhere")
    clock.now += 2

    assert await uris(server) == [MAIN]


async def test_clients_hear_of_changes(tmp_path: Path, server: Server, clock: Clock) -> None:
    heard: list[Change] = []
    server.changes.listen(heard.append)
    write(tmp_path, {"git-workflow/references/GUIDE.md": "# Another\n"})
    clock.now += 2
    await uris(server)

    assert Change("resource", uri="skill://git-workflow/references/GUIDE.md") in heard
    assert Change("resources") in heard
    assert Change("resource", uri=MAIN) not in heard


async def test_a_new_skill_at_a_uri_that_is_taken_is_logged_and_left_out(
    tmp_path: Path, server: Server, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    @server.resource("skill://lint/{+path}")
    def taken(path: str) -> str:
        return path

    write(tmp_path, {"lint/SKILL.md": main_file("lint")})
    clock.now += 2

    assert await uris(server) == [MAIN]
    assert "the skill lint is not offered" in caplog.text


async def test_values_that_hosts_read_differently_are_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path, {"lint/SKILL.md": main_file("lint", more="x: yes\n")})
    with caplog.at_level(logging.WARNING):
        Server("docs").add_skills(tmp_path)

    assert caplog.messages == ["skill://lint/SKILL.md: some hosts read 'yes' otherwise than others; put it in quotes"]


# Declaration.


def test_what_cannot_be_offered_is_said_at_once_and_nothing_of_it_stays(tmp_path: Path) -> None:
    write(tmp_path, {"a/SKILL.md": main_file("a"), "b/SKILL.md": "# b"})
    server = Server("docs")

    with pytest.raises(ToolDefinitionError, match=r"skills: .*b/SKILL\.md: it begins with"):
        server.add_skills(tmp_path)
    with pytest.raises(ToolDefinitionError, match="no prefix of skills"):
        server.add_skills(tmp_path, prefix="../x")
    with pytest.raises(ToolDefinitionError, match="No such file"):
        server.add_skills(tmp_path / "none")
    with pytest.raises(ToolDefinitionError, match="negative"):
        server.add_skills(a_skill(tmp_path / "good"), fresh_for=-1)
    with pytest.raises(ToolDefinitionError, match="scopes takes a list"):
        server.add_skills(tmp_path / "good", scopes="docs:read")

    assert (dict(server.resources), dict(server.resource_templates), server.registry.extensions) == ({}, {}, ())


def test_skills_of_two_folders_are_apart(tmp_path: Path) -> None:
    server = Server("docs")
    server.add_skills(write(tmp_path / "one", {"a/SKILL.md": main_file("a"), "c/SKILL.md": main_file("c")}))
    other = write(tmp_path / "two", {"a/SKILL.md": main_file("a"), "b/SKILL.md": main_file("b")})

    with pytest.raises(ToolDefinitionError, match="say another prefix="):
        server.add_skills(other)
    with pytest.raises(ToolDefinitionError, match="say another prefix="):
        server.add_skills(other, prefix="c")
    server.add_skills(other, prefix="d")

    assert sorted(server.resources) == [
        "skill://a/SKILL.md",
        "skill://c/SKILL.md",
        "skill://d/a/SKILL.md",
        "skill://d/b/SKILL.md",
    ]


# Scopes, hooks, switches and servers in servers, as everywhere.


@pytest.fixture
def guarded(tmp_path: Path) -> Server:
    """A server with a skill for everybody and one for those who may read the books."""
    server = Server("docs")
    server.add_skills(a_skill(tmp_path / "open"))
    write(tmp_path / "books", {"audit/SKILL.md": main_file("audit"), "audit/steps.md": "secret"})
    server.add_skills(tmp_path / "books", scopes=["books:read"])
    return server


@ERAS
async def test_lists_show_what_the_caller_may_read(guarded: Server, revision: Revision) -> None:
    assert await uris(guarded, granted=set(), revision=revision) == [MAIN]
    assert len(await uris(guarded, granted={"books:read"}, revision=revision)) == 2
    for method, member in (("resources/list", "resources"), ("resources/templates/list", "resourceTemplates")):
        assert len((await ask(guarded, method, granted=set(), revision=revision))[member]) == 1


@ERAS
@pytest.mark.parametrize(
    ("method", "uri"),
    [
        ("skills/get", "skill://audit/SKILL.md"),
        ("resources/directory/read", "skill://audit"),
        ("resources/read", "skill://audit/SKILL.md"),
        ("resources/read", "skill://audit/steps.md"),
    ],
)
async def test_the_scopes_that_lack_are_named_exactly(
    guarded: Server, revision: Revision, method: str, uri: str
) -> None:
    with pytest.raises(InsufficientScope) as caught:
        await ask(guarded, method, {"uri": uri}, granted={"other"}, revision=revision)
    assert caught.value.scopes == {"books:read"}

    assert await ask(guarded, method, {"uri": uri}, granted={"books:read"}, revision=revision)


def test_the_consent_page_knows_the_scopes_of_skills(guarded: Server) -> None:
    assert guarded.scope_descriptions == {"books:read": "books:read"}


async def test_a_hook_that_hides_a_skill_hides_all_of_it_but_reads(guarded: Server) -> None:
    @guarded.around
    async def hide(call: Any, call_next: Any) -> Any:
        found = await call_next()
        return [each for each in found if each.name != "audit"] if call.kind == "list" else found

    assert await uris(guarded) == [MAIN]
    for method, uri in (("skills/get", "skill://audit/SKILL.md"), ("resources/directory/read", "skill://audit")):
        with pytest.raises(InvalidParams):
            await ask(guarded, method, {"uri": uri})
    assert (await ask(guarded, "skills/get", {"uri": MAIN}))["cacheScope"] == "private"


async def test_hooks_are_around_reads(guarded: Server) -> None:
    @guarded.around
    async def replace(call: Any, call_next: Any) -> Any:
        return "replaced" if call.kind == "resource" else await call_next()

    assert await text_of(guarded, "skill://audit/steps.md") == "replaced"


async def test_a_skill_that_is_switched_off_is_not_there(server: Server) -> None:
    server.disable(MAIN)

    assert await uris(server) == []
    for uri in (MAIN, "skill://git-workflow/references/GUIDE.md"):
        with pytest.raises(InvalidParams, match="not found"):
            await ask(server, "resources/read", {"uri": uri})
    server.enable(MAIN)
    assert await uris(server) == [MAIN]


async def test_a_server_has_the_skills_of_those_that_it_includes_and_they_not_its_own(
    tmp_path: Path, clock: Clock
) -> None:
    inner, outer = Server("inner"), Server("outer")
    outer.include(inner, prefix="in")
    add_skills(inner.registry, a_skill(tmp_path / "inner"), scopes=["inner:read"], clock=clock)
    add_skills(outer.registry, write(tmp_path / "outer", {"lint/SKILL.md": main_file("lint")}), clock=clock)

    assert await uris(outer) == [MAIN, "skill://lint/SKILL.md"]
    assert await uris(inner) == [MAIN]
    with pytest.raises(InsufficientScope):
        await ask(outer, "skills/get", {"uri": MAIN}, granted=set())

    write(tmp_path / "inner", {"more/SKILL.md": main_file("more")})
    (tmp_path / "inner" / "git-workflow" / "SKILL.md").unlink()
    clock.now += 2
    assert await uris(outer) == ["skill://lint/SKILL.md", "skill://more/SKILL.md"]
    assert await uris(inner) == ["skill://more/SKILL.md"]


async def test_skills_that_both_had_before_are_followed_in_both(tmp_path: Path, clock: Clock) -> None:
    inner, outer = Server("inner"), Server("outer")
    add_skills(inner.registry, a_skill(tmp_path / "inner"), clock=clock)
    add_skills(outer.registry, write(tmp_path / "outer", {"lint/SKILL.md": main_file("lint")}), clock=clock)
    outer.include(inner)

    write(tmp_path / "inner", {"more/SKILL.md": main_file("more")})
    clock.now += 2

    assert await uris(outer) == [MAIN, "skill://lint/SKILL.md", "skill://more/SKILL.md"]
