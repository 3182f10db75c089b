import io
import logging
import re
import traceback
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.observability.logs import LineFormatter, configure_logging
from gatepost.observability.scrubbing import _JWT, _PARAMETER, _QUOTED, _SECRET, HIDDEN, scrub

TOKEN = "gp_at_" + "A" * 43
JWT = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    names = ("gatepost", "uvicorn")
    before = [(logging.getLogger(name).handlers, logging.getLogger(name).level) for name in names]
    stream = io.StringIO()
    configure_logging("debug", stream=stream)
    yield stream
    for name, (handlers, level) in zip(names, before, strict=True):
        logging.getLogger(name).handlers = handlers
        logging.getLogger(name).setLevel(level)
        logging.getLogger(name).propagate = True


def test_a_line_carries_its_extra_fields(log: io.StringIO) -> None:
    logging.getLogger("gatepost.web").info(
        "refused", extra={"reason": "code_unknown", "client_id": "a b", "none": None}
    )
    line = log.getvalue()
    assert line.endswith('Z INFO gatepost.web refused reason=code_unknown client_id="a b"\n')


def test_a_value_cannot_forge_a_line(log: io.StringIO) -> None:
    logging.getLogger("gatepost.web").info("one\ntwo", extra={"client_id": "x\n2026 INFO gatepost forged"})
    assert log.getvalue().count("\n") == 1


def test_the_name_of_a_field_or_a_logger_cannot_forge_a_line(log: io.StringIO) -> None:
    forged = "x\n2026-12-01T00:00:00.000Z INFO gatepost forged"
    logging.getLogger("gatepost.web").info("one", extra={forged: 1, "a=b c": 2})
    assert log.getvalue().count("\n") == 1
    assert log.getvalue().endswith('one "x\\n2026-12-01T00:00:00.000Z INFO gatepost forged"=1 "a=b c"=2\n')
    record = logging.makeLogRecord({"name": forged, "msg": "two"})
    assert "\n" not in LineFormatter().format(record)


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        (f"token {TOKEN}.", "token gp_at_…."),
        (f"Authorization: Bearer {TOKEN}", "Authorization: Bearer …"),
        ("authorization: basic dXNlcjpwYXNzd29yZA==", "authorization: basic …"),
        ("a bearer token", "a bearer token"),
        (
            "[type=int_parsing, input_value='hunter2, input_type=x', input_type=str]\nnext",
            "[type=int_parsing, input_value=…, input_type=str]\nnext",
        ),
        ("input_value='hunter2'", "input_value=…"),
        ("DPoP abcdefgh12345678", "DPoP …"),
        (f"no key for {JWT}, sent by {JWT}", "no key for …, sent by …"),
        (f"{JWT}.{'A' * 20}.{'B' * 20}.", "…."),
        (f"/cb?x=%20{JWT}&y=1", "/cb?x=%20…&y=1"),
        ("keyJar.eyJ is no.token", "keyJar.eyJ is no.token"),
        ("POST client_id=a&client_secret=hunter2&x=1", "POST client_id=a&client_secret=…&x=1"),
        ("GET /cb?code=hunter2&state=s", "GET /cb?code=…&state=s"),
        ("refresh_token=hunter2 clientSecret=hunter2", "refresh_token=… clientSecret=…"),
        ("MCP_SEALING_KEYS=hunter2,x", "MCP_SEALING_KEYS=…,x"),
        ('login(password="hun \\" ter2", x=1)', "login(password=…, x=1)"),
        ("login(password='hunter2", "login(password=…"),
        ('{"access_token": "hunter2", "x": 1}', '{"access_token": …, "x": 1}'),
        ("{'privateKey': 'hunter2', 'x': 1}", "{'privateKey': …, 'x': 1}"),
        (r'"{\"api_key\":\"hunter2\"}"', r'"{\"api_key\":…'),
        ("status_code=401 exit-code=2 error=invalid_token", "status_code=401 exit-code=2 error=invalid_token"),
        ("purged_access_tokens=3", "purged_access_tokens=3"),
        ("the password: it is too short", "the password: it is too short"),
    ],
)
def test_secrets_are_cut_down_to_their_kind(text: str, scrubbed: str) -> None:
    assert scrub(text) == scrubbed


_NAMES = (
    "password|pass_phrase|passwd|passcode|secret|token|assertion|api_key|privatekey|sealing_keys|signing_key|secretkey"
    "|access_key|code_verifier|device_code|usercode|auth_code|authorizationcode|code"
)
_WORDS = (
    "Bearer|dPoP |BASIC|eyJ|input_value=|, input_type=|PassWord|secret|Token|_code|code|apiKey|private_keys|verifier"
)
_OTHERS = "pa\u017fsword|\u212aey|tok\u0130n|\u2026|\u00e9|s|=|\"|'|\\|: |:|&| |-|\n|hunter2|%20"
_PIECES = st.sampled_from([TOKEN, JWT, "gho_" + "b" * 9, *_WORDS.split("|"), *_NAMES.split("|"), *_OTHERS.split("|")])


@given(st.lists(_PIECES, max_size=12).map("".join))
def test_looking_for_signs_first_misses_nothing_that_the_rules_find(text: str) -> None:
    # A rule that ignores case knows letters beyond ASCII that it takes for s, k and i.
    by_rules = _SECRET.sub(lambda match: (match[1] or match[2] + " ") + HIDDEN, text)
    by_rules = _PARAMETER.sub(lambda match: match[1] + (match[2] or match[3]) + HIDDEN, _JWT.sub(HIDDEN, by_rules))
    assert scrub(text) == _QUOTED.sub(rf"\1{HIDDEN}", by_rules)


def test_of_a_run_of_letters_in_which_many_tokens_could_begin_one_is_looked_for() -> None:
    # Each of them would read on to the end.
    assert [found.start() for found in _JWT.finditer("eyJ" * 50 + ".a.b " + "eyJ" * 50)] == [0]
    assert len(re.findall(_JWT.pattern.partition("eyJ")[0] + "eyJ", "eyJ" * 50)) == 1


def test_a_traceback_is_scrubbed_too(log: io.StringIO) -> None:
    try:
        raise ValueError(TOKEN)
    except ValueError:
        logging.getLogger("gatepost").exception("failed", extra={"incident": "ab12"})
    assert TOKEN not in log.getvalue()
    assert "ValueError: gp_at_…" in log.getvalue()


def test_a_traceback_cannot_forge_a_line_or_speak_to_a_terminal(log: io.StringIO) -> None:
    forged = "2026-11-21T00:00:00.000Z INFO gatepost.audit forged"
    for line_end in ("\n", "\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028"):
        try:
            raise ValueError(f"what the client sent{line_end}{forged}\x1b[2K")
        except ValueError:
            logging.getLogger("gatepost").exception("failed")
    lines = log.getvalue().splitlines()
    assert [line for line in lines if not line.startswith("    ") and "ERROR gatepost failed" not in line] == []
    assert "\x1b" not in log.getvalue()


def test_uvicorn_speaks_only_of_warnings(log: io.StringIO) -> None:
    logging.getLogger("uvicorn.error").info("Started server process")
    logging.getLogger("uvicorn.error").warning("Something odd")
    assert "Started" not in log.getvalue()
    assert "Something odd" in log.getvalue()


def test_a_traceback_that_is_the_message_has_lines_of_its_own_and_cannot_forge_one(log: io.StringIO) -> None:
    try:
        raise ValueError(f"no database\n2026-11-21T00:00:00.000Z INFO gatepost.audit forged {TOKEN}\x1b[2K")
    except ValueError:
        logging.getLogger("uvicorn.error").error(traceback.format_exc())  # noqa: TRY400 - as uvicorn does
    first, *others = log.getvalue().splitlines()
    assert first.endswith(" ERROR uvicorn.error Traceback (most recent call last):")
    assert "    ValueError: no database" in others
    assert [line for line in others if not line.startswith("    ")] == []
    assert TOKEN not in log.getvalue()
    assert "\x1b" not in log.getvalue()
