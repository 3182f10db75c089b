"""Log lines as JSON: one object a line, with everything scrubbed, whichever field a secret stands in."""

import io
import json
import logging
import math
from collections.abc import Iterator
from enum import Enum
from typing import Any

import pytest

from gatepost.observability.logs import JsonFormatter, configure_logging, formatter_of
from gatepost.telemetry.request_ids import CURRENT_REQUEST, RandomRequestIds
from gatepost.web.site.errors import ScrubbedTraceback

TOKEN = "gp_at_" + "A" * 43
NO_ERROR = (None, None, None)
SECRETS = (TOKEN, "ghp_0123456789abcdef", "Bearer abcdefgh12345678", "Basic dXNlcjpwYXNzd29yZA==")


def line_of(
    message: str, *args: object, error: BaseException | None = None, extra: dict[str, Any] | None = None
) -> dict[str, Any]:
    """What a log call comes to."""
    info = NO_ERROR if error is None else (type(error), error, error.__traceback__)
    logger = logging.getLogger("gatepost.web")
    record = logger.makeRecord("gatepost.web", logging.INFO, __file__, 1, message, args, info, extra=extra)
    record.created = 1796094000.25
    written = JsonFormatter().format(record)
    assert "\n" not in written
    assert written.isascii()
    line: dict[str, Any] = json.loads(written, parse_constant=pytest.fail)
    return line


def test_a_json_line_has_time_level_logger_message_and_extra_fields() -> None:
    extra = {"reason": "code_unknown", "status": 401, "client_id": None, "pids": [1, 2], "which": {"a": 1.5}}
    assert line_of("refused %s", "twice", extra=extra) == {
        "time": "2026-12-01T03:00:00.250Z",
        "level": "INFO",
        "logger": "gatepost.web",
        "message": "refused twice",
        "reason": "code_unknown",
        "status": 401,
        "pids": [1, 2],
        "which": {"a": 1.5},
    }


def test_a_field_does_not_take_the_place_of_what_every_line_has() -> None:
    line = line_of("x", extra={"level": "DEBUG", "time": "never", "exception": "none"})
    assert (line["level"], line["level_"], line["time_"], line["exception_"]) == ("INFO", "DEBUG", "never", "none")
    assert "exception" not in line


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize(
    "where", ["message", "argument", "field", "name", "list", "mapping", "object", "exception", "cause", "stack"]
)
@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_secret_is_scrubbed_wherever_it_stands(secret: str, where: str, log_format: str) -> None:
    class Shown:
        def __str__(self) -> str:
            return f"shown {secret}"

    error: BaseException | None = None
    if where in {"exception", "cause"}:
        try:
            try:
                raise ValueError(f"what {secret} is")
            except ValueError as cause:
                raise RuntimeError(secret if where == "exception" else "no") from cause
        except RuntimeError as raised:
            error = raised
    extras: dict[str, dict[str, Any]] = {
        "field": {"detail": f"has {secret}"},
        "name": {secret: 1},
        "list": {"details": ["a", {"b": (secret,)}]},
        "mapping": {"details": {"a": {"b": {"c": {"d": {"e": {secret: secret}}}}}}},
        "object": {"detail": Shown()},
    }
    record = logging.getLogger("gatepost").makeRecord(
        "gatepost",
        logging.ERROR,
        __file__,
        1,
        secret if where == "message" else "failed %s",
        () if where == "message" else (secret if where == "argument" else "here",),
        exc_info=NO_ERROR if error is None else (type(error), error, error.__traceback__),
        extra=extras.get(where),
        sinfo=f"Stack (most recent call last):\n  {secret}" if where == "stack" else None,
    )
    written = formatter_of(log_format).format(record)
    assert secret.rsplit(maxsplit=1)[-1] not in written
    assert written.isascii() or log_format == "text"


@pytest.mark.parametrize(
    "name",
    [
        *("password", "admin_password", "client_secret", "access_token", "authorization", "Cookie", "api_key"),
        *("x-api-key", "accessToken", "clientSecret", "private_key", "tokens", "passwd", "sealing_keys", "Set-Cookie"),
        *("clientCredentials", "http.request.header.authorization", "codeVerifier", "device_code", "code", "pwd"),
        *("X-Auth-Token", "mcp-session-id", "client_assertion", "token\n"),
    ],
)
@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_field_that_is_named_as_a_secret_is_hidden_whatever_its_value_looks_like(name: str, log_format: str) -> None:
    values = {name: "correct horse", "purged_access_tokens": 3, "access_tokens": 4}
    record = logging.getLogger("gatepost").makeRecord("gatepost", 20, __file__, 1, "x", (), NO_ERROR, extra=values)
    written = formatter_of(log_format).format(record)
    assert "correct horse" not in written
    assert "3" in written
    assert "4" in written


@pytest.mark.parametrize(
    "name", ["status_code", "token_endpoint", "public_key", "secretary", "barcode", "passed", "key", "cookies_allowed"]
)
def test_a_field_whose_name_only_resembles_that_of_a_secret_is_shown(name: str) -> None:
    assert line_of("x", extra={name: "shown"})[name] == "shown"


def test_an_exception_is_fields() -> None:
    try:
        raise KeyError("missing")
    except KeyError as raised:
        line = line_of("failed", error=raised)
    exception = line.pop("exception")
    assert exception["traceback"].startswith("Traceback (most recent call last):\n")
    assert (exception["type"], exception["message"]) == ("KeyError", "'missing'")


def test_an_exception_that_was_scrubbed_where_it_was_caught_keeps_its_class() -> None:
    try:
        raise LookupError(f"no {TOKEN}")
    except LookupError as raised:
        line = line_of("failed", error=ScrubbedTraceback(raised))
    exception = line.pop("exception")
    assert (exception["type"], exception["message"]) == ("LookupError", "LookupError: no gp_at_…")
    assert exception["traceback"].startswith("Traceback (most recent call last):\n")
    assert "ScrubbedTraceback" not in exception["traceback"]


class Kind(Enum):
    """What errors of a user's code may call themselves by."""

    TOKEN = TOKEN


class RaisedByTool(Exception):
    """An error with attributes and a text of its own."""

    def __init__(self, kind: object) -> None:
        super().__init__("what went wrong")
        self.kind = kind


class Untold:
    """What cannot be shown."""

    def __str__(self) -> str:
        raise RuntimeError(TOKEN)


@pytest.mark.parametrize("kind", [Kind.TOKEN, TOKEN, 7, None, b"x"])
def test_an_error_of_a_tool_that_has_a_kind_is_told_as_any_other(kind: object) -> None:
    try:
        raise RaisedByTool(kind)
    except RaisedByTool as raised:
        line = line_of("failed", error=raised)
    exception = line.pop("exception")
    assert (exception["type"], exception["message"]) == ("RaisedByTool", "what went wrong")
    assert exception["traceback"].startswith("Traceback (most recent call last):\n")
    assert exception["traceback"].endswith("RaisedByTool: what went wrong")
    assert TOKEN not in str(line)


class UntoldError(Untold, Exception):
    """An error that has no text."""


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_what_cannot_be_shown_costs_no_line_and_shows_nothing_on_standard_error(
    log_format: str, capsys: pytest.CaptureFixture[str]
) -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter_of(log_format))
    logger = logging.Logger("of_a_tool")  # noqa: LOG001 - one that no other test has
    logger.addHandler(handler)
    logger.info("a field", extra={"detail": Untold(), "details": [{Untold(): Untold()}]})
    logger.info("a count of %d", TOKEN)
    logger.info(Untold())
    logger.info("an integer", extra={"count": 10**5000})
    try:
        raise UntoldError
    except UntoldError:
        logger.exception("an error")
    written = stream.getvalue()
    assert "<Untold without text>" in written
    assert "a count of %d (its arguments do not fit)" in written
    assert len([line for line in written.splitlines() if not line.startswith("    ")]) == 5
    assert TOKEN not in written
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (math.nan, "nan"),
        (math.inf, "inf"),
        ([1.5, -math.inf], [1.5, "-inf"]),
        ({"share": math.nan}, {"share": "nan"}),
        (2**64, 2**64),
    ],
)
def test_a_number_that_json_does_not_have_is_a_string(value: object, written: object) -> None:
    assert line_of("x", extra={"share": value})["share"] == written


def test_a_traceback_that_uvicorn_writes_as_its_message_is_an_exception() -> None:
    line = line_of("Traceback (most recent call last):\n  File x\nValueError: no")
    assert line["message"] == "Traceback (most recent call last):"
    assert line["exception"] == {"traceback": "Traceback (most recent call last):\n  File x\nValueError: no"}


@pytest.fixture
def unconfigured() -> Iterator[None]:
    names, last_resort = ("gatepost", "uvicorn", "opentelemetry"), logging.lastResort
    before = [(logging.getLogger(name).handlers, logging.getLogger(name).level) for name in names]
    yield
    logging.lastResort = last_resort
    for name, (handlers, level) in zip(names, before, strict=True):
        logging.getLogger(name).handlers = handlers
        logging.getLogger(name).setLevel(level)
        logging.getLogger(name).propagate = True


@pytest.mark.usefixtures("unconfigured")
def test_lines_of_one_request_have_its_id_and_others_have_none() -> None:
    stream = io.StringIO()
    configure_logging("info", log_format="json", stream=stream)
    logger = logging.getLogger("gatepost.test")
    logger.info("before")
    token = CURRENT_REQUEST.set((RandomRequestIds(lambda count: bytes([1] * count)), {}, None))
    try:
        logger.info("one")
        logger.info("two")
    finally:
        CURRENT_REQUEST.reset(token)
    logger.info("after")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(line["message"], line.get("request_id")) for line in lines] == [
        ("before", None),
        ("one", "0101010101010101"),
        ("two", "0101010101010101"),
        ("after", None),
    ]


@pytest.mark.usefixtures("unconfigured")
def test_warnings_of_other_libraries_have_the_same_form() -> None:
    stream = io.StringIO()
    configure_logging("info", log_format="json", stream=stream)
    logging.getLogger("opentelemetry.exporter").warning("no collector at %s", TOKEN)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(line["logger"], line["message"]) for line in lines] == [
        ("opentelemetry.exporter", "no collector at gp_at_…")
    ]
    # Of those that nobody has configured, as far as pytest's own handlers leave it to be seen.
    assert logging.lastResort is not None
    assert isinstance(logging.lastResort.formatter, JsonFormatter)
    assert logging.lastResort.level == logging.WARNING
