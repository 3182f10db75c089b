"""`make image-steps` reads Dockerfiles as engines do, and refuses what it does not carry out."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.image.build import Build
from tools.image.dockerfile import Instruction, Stage, UnreadableError, read

TWO_STAGES = """\
# A comment
FROM debian:trixie-slim AS build
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \\
    # between the lines
    first \\
    && second
FROM debian:trixie-slim
COPY --from=build /opt /opt
ENV A=1 B="two words"
ENTRYPOINT ["gatepost"]
CMD ["serve", "--port"]
HEALTHCHECK --timeout=5s CMD ["python3", "-c", "1"]
"""


def test_a_dockerfile_is_read_into_stages() -> None:
    build, image = read(TWO_STAGES)
    mount = {"mount": "type=secret,id=pip,target=/etc/pip.conf"}
    assert (build.base, build.name) == ("debian:trixie-slim", "build")
    assert [(step.name, step.text.split(), step.flags) for step in build.instructions] == [
        ("RUN", ["first", "&&", "second"], mount)
    ]
    assert image.one("COPY") == Instruction("COPY", "/opt /opt", {"from": "build"})
    assert image.environment == {"A": "1", "B": "two words"}
    assert image.command == ["gatepost", "serve", "--port"]
    assert image.health_command == ["python3", "-c", "1"]


@pytest.mark.parametrize(
    "text",
    ["RUN first", "FROM a\nARG TOKEN", "FROM a\nADD x /", "FROM a\nRUN <<EOF\nfirst\nEOF", "FROM a\nSHELL bash"],
)
def test_what_is_not_carried_out_is_refused(text: str) -> None:
    with pytest.raises(UnreadableError):
        read(text)


def test_a_health_check_by_a_shell_is_refused() -> None:
    with pytest.raises(UnreadableError, match="JSON list"):
        assert read("FROM a\nHEALTHCHECK CMD curl localhost")[0].health_command


@pytest.mark.parametrize(
    ("arguments", "copied"),
    [
        ("src src", ["build/src/a.py", "build/src/inner/b.py"]),
        ("README.md src/a.py ./", ["build/README.md", "build/a.py"]),
        ("README.md other.md", ["build/other.md"]),
        (". .", ["build/README.md", "build/src/a.py", "build/src/inner/b.py"]),
    ],
)
def test_copy_puts_files_of_the_context_where_an_engine_does(
    tmp_path: Path, arguments: str, copied: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    context = tmp_path / "context"
    for name in (".env", "README.md", "src/a.py", "src/inner/b.py"):
        (context / name).parent.mkdir(parents=True, exist_ok=True)
        (context / name).write_text(name)
    monkeypatch.setattr("tools.image.chroot.copy_root", lambda _, target: target.mkdir())
    build = Build(tmp_path, context, ".env", {"a": tmp_path})
    root, _ = build.run([Stage("a", "last", (Instruction("WORKDIR", "/build"), Instruction("COPY", arguments)))])
    assert sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()) == copied


def test_copying_what_the_context_lacks_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "context").mkdir()
    monkeypatch.setattr("tools.image.chroot.copy_root", lambda _, target: target.mkdir())
    with pytest.raises(UnreadableError, match=r"\.env"):
        Build(tmp_path, tmp_path / "context", "", {"a": tmp_path}).run(
            [Stage("a", None, (Instruction("COPY", ".env /srv"),))]
        )
