"""What the README shows is what happens."""

import re
import textwrap
from pathlib import Path

from tests.end_to_end.running_server import REPOSITORY, RunningServer
from tests.end_to_end.scripted_client import App, Person

README = (REPOSITORY / "README.md").read_text()


def shown_server() -> str:
    """Return the server that the README shows."""
    found = re.search(r"^    # notes\.py\n((?:    .*\n|\n)+?)(?=\n    \$ )", README, re.MULTILINE)
    assert found
    return textwrap.dedent(found[0])


def test_the_six_lines_of_the_readme_are_a_protected_server(tmp_path: Path) -> None:
    lines = [line for line in shown_server().splitlines() if line.strip() and not line.startswith("#")]
    assert len(lines) == 6
    assert "$ gatepost serve notes:server" in README
    (tmp_path / "notes.py").write_text(shown_server())
    with RunningServer("notes:server", tmp_path / "data", cwd=tmp_path) as server:
        assert App(server.origin).http.post("/mcp", json={}).status_code == 401
        owner = Person(server.origin)
        assert server.setup_link is not None
        owner.set_up(server.setup_link)
        app = App(server.origin).register()
        tokens = app.redeem(app.code_from(owner.decide(app.authorization_url()))).json()
        assert tokens["scope"] == "notes:write"
        result = app.call(tokens["access_token"], "add", {"text": "milk"}).json()["result"]
        assert result["content"][0]["text"].endswith(" noted: milk")


def test_the_picture_and_the_pages_that_the_readme_points_to_are_there() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (REPOSITORY / target).is_file(), target
