"""The clients: how each is told to log in, to list tools, to call one, and what helps it when it is stuck."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from tools.clients.messages import Conversation, NoAnswerError
from tools.clients.stage import MODULES, NAME, Seen, Stage
from tools.clients.terminal import Done
from tools.npm_packages import NODE


class Program:
    """A client on a stage."""

    package: ClassVar[str]
    title: ClassVar[str]
    cure: ClassVar[str]
    """What its user types when it is stuck."""
    document_host: ClassVar[str] = ""
    """Where its metadata document lies; empty when it has none."""
    without_a_model: ClassVar[str] = ""
    """Why it calls no tool here; empty when it does."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    def log_in(self) -> Seen:
        """Get to know the server and log in."""
        raise NotImplementedError

    def list_tools(self) -> Seen:
        """Connect and list what the server has, as far as the client shows it."""
        raise NotImplementedError

    def call_tool(self) -> Seen:
        """Call a tool; what cannot, lists once more."""
        return self.list_tools()

    def recover(self) -> Seen:
        """Do what `cure` says."""
        raise NotImplementedError

    def close(self) -> None:
        """End what runs."""


class Codex(Program):
    """codex: its app server lists and calls tools without a model."""

    package, title = "@openai/codex", "codex"
    cure = "`codex mcp login NAME`"
    document_host = "chatgpt.com"
    _server: Conversation | None = None
    _thread = ""

    def log_in(self) -> Seen:
        """Add the server, which begins the login."""
        return _judged(self._run("mcp", "add", NAME, "--url", self.stage.url), "successfully logged in")

    def list_tools(self) -> Seen:
        """Ask for the status of all servers, which connects to them."""
        try:
            listed = self._ask("mcpServerStatus/list", {})["data"][0]
        except NoAnswerError as error:
            return Seen(worked=False, words=str(error))
        return Seen(worked="whoami" in listed["tools"], words=str(listed.get("toolsError") or "no tools"))

    def call_tool(self) -> Seen:
        """Call the tool in a thread in which no model takes part."""
        try:
            if not self._thread:
                self._thread = self._ask("thread/start", {})["thread"]["id"]
            wanted = {"threadId": self._thread, "server": NAME, "tool": "whoami", "arguments": {}}
            return Seen(worked=True, words=_text(self._ask("mcpServer/tool/call", wanted)))
        except NoAnswerError as error:
            return Seen(worked=False, words=str(error))

    def recover(self) -> Seen:
        """Log in anew, then start anew."""
        done = _judged(self._run("mcp", "login", NAME), "successfully logged in")
        self.close()
        return self.call_tool() if done.worked else done

    def close(self) -> None:
        """End the app server."""
        if self._server is not None:
            self._server.__exit__()
        self._server, self._thread = None, ""

    def _run(self, *arguments: str) -> Done:
        return self.stage.run(*self._command, *arguments)

    @property
    def _command(self) -> list[str]:
        return [str(NODE), str(MODULES / "@openai" / "codex" / "bin" / "codex.js")]

    def _ask(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        if self._server is None:
            self._server = _conversation(self.stage, [*self._command, "app-server"])
            client = {"clientInfo": {"name": "gatepost", "version": "1"}, "capabilities": {"experimentalApi": True}}
            self._server.ask("initialize", client)
            self._server.tell("initialized")
        return self._server.ask(method, params)


class ClaudeCode(Program):
    """Claude Code: `claude mcp` connects; tools are called by its model alone."""

    package, title = "@anthropic-ai/claude-code", "Claude Code"
    cure = "`claude mcp login NAME`"
    document_host = "claude.ai"
    without_a_model = "needs a model"

    def log_in(self) -> Seen:
        """Add the server, then log in."""
        self._run("mcp", "add", "--transport", "http", NAME, self.stage.url)
        return _judged(self._run("mcp", "login", NAME), "authenticated with")

    def list_tools(self) -> Seen:
        """Check the server's health, which connects to it."""
        return _judged(self._run("mcp", "list"), "connected", f"{NAME}:")

    def recover(self) -> Seen:
        """Log in anew."""
        done = _judged(self._run("mcp", "login", NAME), "authenticated with")
        return self.list_tools() if done.worked else done

    def _run(self, *arguments: str) -> Done:
        return self.stage.run(str(MODULES / "@anthropic-ai" / "claude-code-linux-x64" / "claude"), *arguments)


class OpenCode(Program):
    """opencode: `opencode mcp` connects; tools are called by a model alone."""

    package, title = "opencode-linux-x64", "opencode"
    cure = "`opencode mcp auth NAME`"
    without_a_model = "needs a model"

    def log_in(self) -> Seen:
        """Write its configuration, as its page on MCP servers says, then log in."""
        settings = self.stage.home / ".config" / "opencode" / "opencode.json"
        settings.parent.mkdir(parents=True, exist_ok=True)
        server = {"type": "remote", "url": self.stage.url, "enabled": True}
        settings.write_text(json.dumps({"mcp": {NAME: server}}), encoding="utf-8")
        return _judged(self._run("mcp", "auth", NAME), "authentication successful", "failed", "error")

    def list_tools(self) -> Seen:
        """Show the state of all servers, which connects to them."""
        return _judged(self._run("mcp", "list"), f"{NAME} connected", NAME)

    def recover(self) -> Seen:
        """Log in anew."""
        done = _judged(self._run("mcp", "auth", NAME), "authentication successful", "failed", "error")
        return self.list_tools() if done.worked else done

    def _run(self, *arguments: str) -> Done:
        return self.stage.run(str(MODULES / "opencode-linux-x64" / "bin" / "opencode"), *arguments)


class McpRemote(Program):
    """mcp-remote: a bridge for programs that speak stdio alone; it logs in when it connects, and stays."""

    package, title = "mcp-remote", "mcp-remote"
    cure = "`rm -r ~/.mcp-auth`, then start it anew"
    _bridge: Conversation | None = None

    def log_in(self) -> Seen:
        """Start it and initialize."""
        return self._seen("initialize", {})

    def list_tools(self) -> Seen:
        """List tools through it."""
        return self._seen("tools/list", {})

    def call_tool(self) -> Seen:
        """Call a tool through it."""
        return self._seen("tools/call", {"name": "whoami", "arguments": {}})

    def recover(self) -> Seen:
        """Start it without anything kept."""
        self.close()
        for path in sorted((self.stage.home / ".mcp-auth").rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        return self.call_tool()

    def close(self) -> None:
        """End it."""
        if self._bridge is not None:
            self._bridge.__exit__()
        self._bridge = None

    def _seen(self, method: str, params: dict[str, Any]) -> Seen:
        try:
            answer: dict[str, Any] = {}
            if self._bridge is None:
                self._bridge = _conversation(
                    self.stage, [str(NODE), str(MODULES / "mcp-remote" / "dist" / "proxy.js"), self.stage.url]
                )
                client = {"name": "gatepost", "version": "1"}
                hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client}
                answer = self._bridge.ask("initialize", hello)
                self._bridge.tell("notifications/initialized")
            if method != "initialize":
                answer = self._bridge.ask(method, params)
        except NoAnswerError as error:
            said = self._bridge.last_line if self._bridge is not None else ""
            return Seen(worked=False, words=f"{error}; {said}".strip("; "))
        return Seen(worked=True, words=_text(answer))


class Inspector(Program):
    """The Inspector's command line: one connection a command."""

    package, title = "@modelcontextprotocol/inspector", "Inspector (CLI)"
    cure = "the same command with `--relogin`"

    def log_in(self) -> Seen:
        """List tools; the login comes by itself."""
        return self.list_tools()

    def list_tools(self) -> Seen:
        """List tools."""
        return self._seen("tools/list")

    def call_tool(self) -> Seen:
        """Call a tool."""
        return self._seen("tools/call", "--tool-name", "whoami")

    def recover(self) -> Seen:
        """Have it forget the login before the command."""
        return self._seen("tools/call", "--tool-name", "whoami", "--relogin")

    def _seen(self, method: str, *options: str) -> Seen:
        program = MODULES / "@modelcontextprotocol" / "inspector" / "clients" / "launcher" / "build" / "index.js"
        called = [str(NODE), str(program), "--cli", self.stage.url, "--transport", "http", "--method", method]
        done = self.stage.run(*called, *options)
        return Seen(worked=done.code == 0, words=done.line_with("error", "failed", "please navigate"))


PROGRAMS: tuple[type[Program], ...] = (Codex, ClaudeCode, OpenCode, McpRemote, Inspector)


def _conversation(stage: Stage, command: list[str]) -> Conversation:
    return Conversation(command, cwd=stage.home, environment=stage.environment, hears=stage.follow)


def _judged(done: Done, success: str, *failures: str) -> Seen:
    """Judge a command by the words that it says when it worked; `failures` find the line that tells otherwise."""
    return Seen(worked=success in done.text.lower(), words=done.line_with(*failures) if failures else done.last_line)


def _text(result: dict[str, Any]) -> str:
    return " ".join(part.get("text", "") for part in result.get("content", ()))
