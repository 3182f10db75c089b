"""The steps, in order: each types what the page or the screen before it said, and looks for what the next one needs."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.walk.front import PUBLIC_NAME, nginx_in_front
from tools.walk.pages import Page
from tools.walk.screen import Command, NotOnScreenError
from tools.walk.visitor import ADDRESS, Visitor, known_here

README_PORT = 8000
INSTALL_SECONDS = 600.0
TOOLS = ["add", "recent", "search", "remove"]
_SETUP_LINK = re.compile(r"Set up\s+(\S+)")
_BESIDE = re.compile(r"Look into it beside the server: (.+)")
_EXPORT = re.compile(r'(export MCP_SEALING_KEYS="\$\(cat .+?\)")')


@dataclass
class Walk:
    """Somebody in a fresh clone, with a home of their own."""

    checkout: Path
    home: Path
    environment: dict[str, str]
    port: int
    tests: str
    """The line that runs the tests."""
    page: Page

    def type(self, line: str) -> Command:
        """Type a command in the clone."""
        return Command(line, cwd=self.checkout, environment=self.environment)

    def export(self, line: str) -> None:
        """Set variables for what is typed from now on."""
        done = subprocess.run(  # noqa: S603 - our own lines
            ["/bin/bash", "-c", f"{line}; env -0"],
            cwd=self.checkout,
            env=self.environment,
            stdout=subprocess.PIPE,
            check=True,
            timeout=30,
        )
        self.environment = dict(item.split("=", 1) for item in done.stdout.decode().split("\0") if "=" in item)

    @property
    def public_command(self) -> str:
        """What serves in public."""
        return "gatepost serve examples/notes.py" + ("" if self.port == README_PORT else f" --port {self.port}")

    @property
    def make_serve(self) -> str:
        """What the README says; another port where somebody listens on 8000."""
        return "make serve" + ("" if self.port == README_PORT else f' ARGS="--port {self.port}"')


def walk(person: Walk, folder: Path) -> None:
    """Walk all steps.

    Raises:
        NotOnScreenError: something is not on the screen where it belongs.
    """
    on_the_laptop(person)
    elsewhere(person)
    in_public(person, folder / "front")


def on_the_laptop(person: Walk) -> None:
    """Serve, create the account, connect a client, run the tests beside it, back up, stop, start again."""
    page = person.page
    page.step("Serve", "In a fresh clone, in the first terminal:")
    server = person.type(person.make_serve)
    try:
        server.wait_for("MCP URL", "Look into it", "/docs", seconds=INSTALL_SECONDS)
        page.show(server)
        visitor = Visitor(f"http://127.0.0.1:{person.port}")
        _connect(person, server, visitor)
        _run_the_tests(person)
        _look_into_it(person, server)
        page.step("Back up", "While the server runs:")
        page.show(person.type("gatepost store backup ../notes-backup.db").wait("Copied the store", "the key file"))
        page.step("Stop and go on", "In the first terminal, Ctrl-C; then the same command again:")
        server.press_ctrl_c()
    finally:
        server.close()
    again = person.type(person.make_serve)
    try:
        page.show(again.wait_for("MCP URL", "/docs"))
        _check(visitor.add_a_note("bread")[:-1] == TOOLS, "the client does not go on", again)
        _check(visitor.visits.count == 1, "the client asked for a login", again)
        page.tell("The client calls a tool with the token that it has. Nobody logs in.")
        again.press_ctrl_c()
    finally:
        again.close()
        visitor.close()


def _connect(person: Walk, server: Command, visitor: Visitor) -> None:
    link = _SETUP_LINK.search(server.screen)
    if link is None:
        raise NotOnScreenError(server.screen)
    person.page.step("Create the account", "The set-up link of the banner is opened in a browser.")
    visitor.set_up(link[1])
    _pages(person, server, visitor, "Create your account", "You are set")
    person.page.step(
        "Connect a client",
        "The official Python client is given the MCP URL. It registers and opens the browser, which is logged in.",
    )
    *names, note = visitor.add_a_note("milk")
    _pages(person, server, visitor, "Allow this app?")
    _check(names == TOOLS and '"text":"milk"' in note, "the client got something else", server)
    person.page.tell(f"It lists the tools ({', '.join(names)}) and calls `add`. The first terminal says meanwhile:")
    server.wait_for("audit set_up", "audit registration", "audit consent", "audit code_redemption")
    person.page.show(server, after="/docs\n")
    person.page.tell("`token_missing` is how every client begins: without a token it is told where to get one.")


def _run_the_tests(person: Walk) -> None:
    person.page.step("Run the tests", "In a second terminal, while the server runs:")
    tests = person.type(person.tests).wait(" passed", seconds=3 * INSTALL_SECONDS)
    person.page.show(tests)


def _look_into_it(person: Walk, server: Command) -> None:
    beside = _BESIDE.search(server.screen)
    if beside is None:
        raise NotOnScreenError(server.screen)
    page = person.page
    page.step(
        "Look into it", "In the second terminal. Without a word on the store, a command looks where it does by default:"
    )
    person.export(". .venv/bin/activate")
    missing = person.type("gatepost users list").wait("There is no store at", "set OAUTH_STORAGE_DIR=.gatepost", code=1)
    page.show(missing)
    page.tell("The banner has the line for it, and the command above says it too:")
    page.show(person.type(beside[1].strip()).wait("you "))
    person.export("export OAUTH_STORAGE_DIR=.gatepost")
    page.show(person.type("export OAUTH_STORAGE_DIR=.gatepost; gatepost audit").wait("set_up", "consent"))
    page.show(person.type("gatepost grants list").wait("My client"))


def elsewhere(person: Walk) -> None:
    """Restore the backup as another server's store, with its key."""
    page = person.page
    page.step("Restore elsewhere", "For a public server on this or another machine, with a folder of its own:")
    line = "export OAUTH_STORAGE_DIR=~/public; gatepost store restore ../notes-backup.db"
    person.export("export OAUTH_STORAGE_DIR=~/public")
    missing = f"There is no {person.home / 'public' / 'gatepost.key'} yet"
    page.show(person.type(line).wait("Restored the store", "grants                  1", missing))
    page.show(person.type("cp .gatepost/gatepost.key ~/public/").wait())


def in_public(person: Walk, folder: Path) -> None:
    """Serve at a public URL behind nginx, which first nobody trusts."""
    page = person.page
    page.step("Go public", f"The name is {PUBLIC_NAME}. What the server cannot know, it asks for:")
    with nginx_in_front(folder, server_port=person.port) as (origin, trusted), known_here(PUBLIC_NAME):
        page.places[origin] = f"https://{PUBLIC_NAME}"
        person.export(f"export MCP_PUBLIC_URL={origin}")
        line = f"export MCP_PUBLIC_URL={origin}; {person.public_command}"
        refused = person.type(line).wait("MCP_SEALING_KEYS is missing", code=2)
        page.show(refused)
        key = _EXPORT.search(refused.screen.replace("\n", " "))
        if key is None:
            raise NotOnScreenError(refused.screen)
        page.tell("As it says:")
        person.export(key[1])
        page.show(person.type(f"{key[1]}; mv ~/public/gatepost.key ~/").wait())
        visitor = Visitor(origin, trusted)
        again = Visitor(origin, trusted)
        try:
            _untrusted(person, visitor)
            _trusted(person, again)
        finally:
            visitor.close()
            again.close()


def _untrusted(person: Walk, visitor: Visitor) -> None:
    page = person.page
    server = person.type(person.public_command)
    try:
        server.wait_for("Listens", "name that proxy in MCP_TRUSTED_PROXIES", "/docs")
        page.show(server)
        page.step(
            "Behind the proxy",
            "nginx runs with the file [deploy/proxies/nginx.conf](../deploy/proxies/nginx.conf), `listen 443 ssl` and "
            "the two lines of its certificate. A client connects to the public URL; its user logs in with the account "
            "of the laptop.",
        )
        _check(visitor.add_a_note("in public")[:-1] == TOOLS, "the client got something else", server)
        _pages(person, server, visitor, "Log in", "Allow this app?")
        page.tell("Until the proxy is named, the log and `/healthz` say what is wrong:")
        server.wait_for("MCP_TRUSTED_PROXIES: a proxy on this machine")
        page.show(server, after="/docs\n")
        (warning,) = visitor.get("/healthz").json()["warnings"]
        _check(warning.startswith("MCP_TRUSTED_PROXIES: "), warning, server)
        server.press_ctrl_c()
    finally:
        server.close()


def _trusted(person: Walk, visitor: Visitor) -> None:
    page = person.page
    page.step("Name the proxy", "The file sets `X-Forwarded-For`, which is the header that counts by default:")
    variables = "export MCP_TRUSTED_PROXIES=127.0.0.1 MCP_FORWARDED_HEADER=x-forwarded-for"
    person.export(variables)
    server = person.type(f"{variables}; {person.public_command}")
    try:
        page.show(server.wait_for("Listens", "/docs"))
        _check("name that proxy" not in server.screen, "the banner asks for the proxy still", server)
        _check(visitor.add_a_note("with an address")[:-1] == TOOLS, "the client got something else", server)
        _check("warnings" not in visitor.get("/healthz").json(), "/healthz warns still", server)
        page.tell(f"`/healthz` warns of nothing, and who connects next has an address of its own (here {ADDRESS}):")
        page.show(person.type("gatepost audit --limit 3").wait("code_redemption", ADDRESS))
        server.press_ctrl_c()
    finally:
        server.close()


def _pages(person: Walk, server: Command, visitor: Visitor, *expected: str) -> None:
    """Check which pages the browser showed, and tell it."""
    found = visitor.headings
    _check(found == list(expected), f"the browser showed {found}", server)
    person.page.tell("The browser shows " + ", then ".join(f"*{heading}*" for heading in found) + ".")


def _check(holds: bool, sentence: str, server: Command) -> None:  # noqa: FBT001 - as an assertion
    if not holds:
        raise NotOnScreenError(f"{sentence}\n{server.screen}")


def places_of(home: Path, port: int) -> Mapping[str, str]:
    """Return what stands on this machine, and what the page says instead."""
    return {
        str(home): "~",
        f' ARGS="--port {port}"': "",
        f" --port {port}": "",
        f"127.0.0.1:{port}": "127.0.0.1:8000",
    }
