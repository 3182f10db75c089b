"""What is read of a folder with skills, and what is refused."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

import pytest

from gatepost.extensions.skills import folder
from gatepost.extensions.skills.folder import InvalidSkill, Skill, read_skills, survey
from gatepost.extensions.skills.media_types import described
from tests.extensions.skills.folders import GUIDE, PICTURE, a_skill, main_file, write


def skills_in(root: Path, prefix: str = "") -> tuple[Skill, ...]:
    return read_skills(root, survey(root), prefix)


def digest(content: bytes) -> str:
    return f"sha256:{sha256(content).hexdigest()}"


def test_an_entry_lists_every_file_with_its_digest_and_size(tmp_path: Path) -> None:
    (skill,) = skills_in(a_skill(tmp_path))

    main = (tmp_path / "git-workflow" / "SKILL.md").read_bytes()
    assert skill.entry == {
        "uri": "skill://git-workflow/SKILL.md",
        "frontmatter": {"name": "git-workflow", "description": "How branches are named"},
        "resources": [
            {"uri": "skill://git-workflow/SKILL.md", "digest": digest(main), "size": len(main)},
            {"uri": "skill://git-workflow/assets/flow.png", "digest": digest(PICTURE), "size": len(PICTURE)},
            {
                "uri": "skill://git-workflow/references/GUIDE.md",
                "digest": digest(GUIDE.encode()),
                "size": len(GUIDE),
            },
        ],
    }
    assert skill.folders == {"assets", "references", "empty"}


def test_skills_are_found_at_any_depth_and_go_by_their_path(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "billing/refunds/SKILL.md": main_file("refunds"),
            "support/refunds/SKILL.md": main_file("refunds"),
            "lint/SKILL.md": main_file("lint"),
            "billing/README.md": "of no skill",
        },
    )

    assert [skill.path for skill in skills_in(tmp_path)] == ["billing/refunds", "lint", "support/refunds"]
    assert skills_in(tmp_path, "acme/v2")[0].entry["uri"] == "skill://acme/v2/billing/refunds/SKILL.md"


def test_a_folder_that_is_a_skill_itself_goes_by_its_name(tmp_path: Path) -> None:
    root = write(tmp_path / "lint", {"SKILL.md": main_file("lint"), "rules.txt": "no tabs"})

    assert [skill.path for skill in skills_in(root)] == ["lint"]
    assert [skill.path for skill in skills_in(root, "acme")] == ["acme/lint"]


def test_a_skill_inside_of_a_skill_is_one_and_its_files_belong_to_both(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "acme/SKILL.md": main_file("acme"),
            "acme/refunds/SKILL.md": main_file("refunds"),
            "acme/refunds/a.md": "a",
        },
    )

    outer, inner = skills_in(tmp_path)
    assert (outer.path, [file.path for file in outer.files]) == (
        "acme",
        ["SKILL.md", "refunds/SKILL.md", "refunds/a.md"],
    )
    assert (inner.path, [file.path for file in inner.files]) == ("acme/refunds", ["SKILL.md", "a.md"])


def test_what_begins_with_a_dot_is_left_out(tmp_path: Path) -> None:
    a_skill(tmp_path)
    write(
        tmp_path,
        {
            "git-workflow/.env": "SECRET=1",
            "git-workflow/.git/config": "secret",
            ".hidden/SKILL.md": main_file("hidden"),
        },
    )
    (tmp_path / "git-workflow" / ".link").symlink_to("/etc/passwd")

    (skill,) = skills_in(tmp_path)

    assert len(skill.files) == 3
    assert skill.folders == {"assets", "references", "empty"}


def test_names_of_files_are_escaped_as_uris_have_them(tmp_path: Path) -> None:
    write(tmp_path, {"lint/SKILL.md": main_file("lint"), "lint/größe 1 {a}?#.md": "x", "lint/a+b.md": "x"})

    assert [file.uri for file in skills_in(tmp_path)[0].files[1:]] == [
        "skill://lint/a+b.md",
        "skill://lint/gr%C3%B6%C3%9Fe%201%20%7Ba%7D%3F%23.md",
    ]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"lint/README.md": "x"}, "no SKILL.md"),
        ({}, "no SKILL.md"),
        ({"lint/SKILL.md": "# Lint"}, "lint/SKILL.md: it begins with a line ---"),
        ({"lint/SKILL.md": main_file("format")}, "its name: is 'format', and its folder is called 'lint'"),
        ({"lint/SKILL.md": b"---\nname: lint\ndescription: \xff\n---\n"}, "not UTF-8"),
        ({"Team A/lint/SKILL.md": main_file("lint")}, "'Team A' is no prefix"),
        ({"lint/SKILL.md": main_file("lint"), "lint/a\nb": "x"}, "cannot stand in a URI"),
        ({"lint/SKILL.md": main_file("lint"), "lint/a\\b": "x"}, "cannot stand in a URI"),
        ({"/".join(f"f{n}" for n in range(17)) + "/lint/SKILL.md": main_file("lint")}, "more than 16 levels"),
    ],
)
def test_what_cannot_be_offered_is_named(tmp_path: Path, files: dict[str, str | bytes], said: str) -> None:
    with pytest.raises(InvalidSkill, match=said):
        skills_in(write(tmp_path, files))


def test_a_name_that_is_no_utf_8_is_refused(tmp_path: Path) -> None:
    a_skill(tmp_path)
    (tmp_path / "git-workflow" / os.fsdecode(b"\xff.md")).write_text("x")

    with pytest.raises(InvalidSkill, match="not UTF-8"):
        skills_in(tmp_path)


@pytest.mark.parametrize("prefix", ["/acme", "acme/", "a//b", "..", "acme/../b", "Acme", "a b", "a?b", "é"])
def test_a_prefix_is_a_path_of_plain_words(prefix: str) -> None:
    with pytest.raises(InvalidSkill, match="no prefix"):
        folder.check_prefix(prefix)


def test_a_skill_has_at_most_512_files(tmp_path: Path) -> None:
    write(tmp_path, {"lint/SKILL.md": main_file("lint"), **{f"lint/{n}.txt": "" for n in range(511)}})
    assert len(skills_in(tmp_path)[0].files) == 512

    write(tmp_path, {"lint/more.txt": ""})
    with pytest.raises(InvalidSkill, match="has 513 files, and may have 512"):
        skills_in(tmp_path)


def test_a_skill_has_at_most_16_mebibytes_and_no_more_is_read(tmp_path: Path) -> None:
    write(tmp_path, {"lint/SKILL.md": main_file("lint")})
    with (tmp_path / "lint" / "large.bin").open("wb") as file:
        file.truncate(16 * 1024 * 1024)

    with pytest.raises(InvalidSkill, match="more than 16777216 bytes"):
        skills_in(tmp_path)


def test_all_skills_of_a_folder_have_bounds_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"lint/SKILL.md": main_file("lint"), "form/SKILL.md": main_file("form")})

    monkeypatch.setattr(folder, "MOST_BYTES_IN_ALL", 80)
    with pytest.raises(InvalidSkill, match="more than 80 bytes together"):
        skills_in(tmp_path)
    monkeypatch.setattr(folder, "MOST_SKILLS", 1)
    with pytest.raises(InvalidSkill, match="more than 1 skills"):
        skills_in(tmp_path)
    monkeypatch.setattr(folder, "_MOST_ENTRIES", 3)
    with pytest.raises(InvalidSkill, match="more than 3 files and folders"):
        skills_in(tmp_path)


def test_a_file_that_grows_while_it_is_read_is_not_taken(tmp_path: Path) -> None:
    found = survey(a_skill(tmp_path))
    (tmp_path / "git-workflow" / "SKILL.md").write_text(main_file("git-workflow", "Something much longer than before"))

    with pytest.raises(InvalidSkill, match="is being written"):
        read_skills(tmp_path, found)


def test_a_survey_differs_when_a_file_comes_goes_or_changes(tmp_path: Path) -> None:
    before = survey(a_skill(tmp_path))
    assert survey(tmp_path) == before

    file = tmp_path / "git-workflow" / "references" / "GUIDE.md"
    file.write_text("# Other\n")
    os.utime(file, ns=(1, 1))
    changed = survey(tmp_path)
    write(tmp_path, {"git-workflow/new.md": ""})
    with_new = survey(tmp_path)
    (tmp_path / "git-workflow" / "empty").rmdir()

    assert len({before, changed, with_new, survey(tmp_path)}) == 4


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.md", b"x", ("text/markdown", "x")),
        ("a.PY", b"x", ("text/x-python", "x")),
        ("a.json", b"{}", ("application/json", "{}")),
        ("a.svg", b"<svg/>", ("image/svg+xml", "<svg/>")),
        ("a.md", b"\xff", ("text/markdown", None)),
        ("a.txt", b"a\0b", ("text/plain", None)),
        ("a.png", b"text", ("image/png", None)),
        ("LICENSE", "große".encode(), ("text/plain", "große")),
        ("a.unknown", b"\xff\xfe", ("application/octet-stream", None)),
        ("a.unknown", b"\0", ("application/octet-stream", None)),
        ("a.txt", b"\xef\xbb\xbfx\r\n", ("text/plain", "\ufeffx\r\n")),
    ],
)
def test_a_file_is_sent_as_text_only_where_that_keeps_its_bytes(
    name: str, content: bytes, said: tuple[str, str | None]
) -> None:
    found = described(name, content)

    assert found == said
    assert found[1] is None or found[1].encode() == content
