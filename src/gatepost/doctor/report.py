"""The diagnosis for people and for programs."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any, Final

from gatepost.doctor.answers import printable
from gatepost.doctor.clients import BY_ID, EVERYBODY, TOLD
from gatepost.doctor.examination import Checked, Diagnosis, Outlook
from gatepost.doctor.findings import Check, DoctorFinding, Severity

_WIDTH: Final = 100
_MARKS: Final = {Severity.FAILS: "FAILS", Severity.DEGRADED: "degraded", Severity.NOTE: "note"}
_COLOURS: Final = {"FAILS": "31", "degraded": "33", "note": "36", "ok": "32", "-": "2"}
_MARK_WIDTH: Final = 10
_INDENT: Final = " " * (_MARK_WIDTH + 2)
_NAME_WIDTH: Final = len("expected") + 2


def text_of(diagnosis: Diagnosis, *, in_colour: bool = False) -> str:
    """Return the report: the steps with a mark each, then one line for each client."""
    lines = [f"gatepost doctor {printable(diagnosis.url)}"]
    for step in diagnosis.steps:
        lines += ["", step.title]
        if all(checked.findings is None for checked in step.checked):
            lines.append(f"{_mark('-', in_colour=in_colour)}nothing of this was looked at")
            continue
        for checked in step.checked:
            lines += _check(checked, in_colour=in_colour)
    lines += ["", "Who can connect"]
    width = max(len(outlook.client.title) for outlook in diagnosis.outlooks) + 2
    for outlook in diagnosis.outlooks:
        mark, said = _outlook(outlook)
        head = f"{_mark(mark, in_colour=in_colour)}{outlook.client.title:<{width}}"
        lines += _wrapped(head, said, len(_INDENT) + width)
    lines += ["", *_summary(diagnosis)]
    return "\n".join(line.rstrip() for line in lines)


def json_of(diagnosis: Diagnosis) -> str:
    """Return the same as one JSON object."""
    checks = [each for step in diagnosis.steps for each in step.checked]
    return json.dumps(
        {
            "url": diagnosis.url,
            "fails": diagnosis.anything_fails,
            "checks": [{"id": each.check.id, "title": each.check.title, "result": _result(each)} for each in checks],
            "findings": [_finding(check, finding) for check, finding in diagnosis.findings],
            "clients": [_client(outlook) for outlook in diagnosis.outlooks],
        }
    )


def _check(checked: Checked, *, in_colour: bool) -> Iterable[str]:
    check, findings = checked.check, checked.findings
    if not findings:
        mark = "-" if findings is None else "ok"
        yield from _wrapped(_mark(mark, in_colour=in_colour), f"{check.id}: {check.title}", len(_INDENT))
        return
    for finding in findings:
        mark = _mark(_MARKS[finding.severity], in_colour=in_colour)
        yield f"{mark}{check.id}"
        said = {
            "expected": check.title,
            "seen": finding.seen,
            "why": check.why,
            "change": check.change,
            "who": _who(finding.clients),
        }
        for name, text in said.items():
            if text:
                yield from _wrapped(f"{_INDENT}{name:<{_NAME_WIDTH}}", text, len(_INDENT) + _NAME_WIDTH)


def _wrapped(head: str, said: str, width: int) -> Sequence[str]:
    """Return `said` after a head that is so wide to the eye, on as many lines as it needs."""
    lines = textwrap.wrap(said, _WIDTH - width, break_on_hyphens=False, break_long_words=False) or [""]
    return [head + lines[0], *(" " * width + line for line in lines[1:])]


def _mark(mark: str, *, in_colour: bool) -> str:
    padded = f"{mark:<{_MARK_WIDTH}}"
    return f"  \x1b[{_COLOURS[mark]}m{padded}\x1b[0m" if in_colour else f"  {padded}"


def _who(clients: Sequence[str]) -> str:
    if set(clients) == set(EVERYBODY):
        return "every client"
    return ", ".join(BY_ID[client].name for client in clients)


def _outlook(outlook: Outlook) -> tuple[str, str]:
    if outlook.failure is not None:
        check, finding = outlook.failure
        return "FAILS", f"at {check.id}: {finding.seen}"
    basis = ", by what is told of it" if outlook.client.basis == TOLD else ""
    if outlook.is_elsewhere:
        return "-", f"runs at its vendor's and cannot reach this machine; nothing else is in its way{basis}"
    if outlook.others:
        return "ok", f"nothing keeps it out; {_number(outlook.others, 'remark')} above concern it{basis}"
    return "ok", f"nothing is in its way{basis}"


def _summary(diagnosis: Diagnosis) -> Sequence[str]:
    severities = [finding.severity for _, finding in diagnosis.findings]
    failing = severities.count(Severity.FAILS)
    if not severities:
        said = "Nothing would fail."
    elif not failing:
        said = f"Nothing would fail; {_number(len(severities), 'remark')}."
    else:
        others = len(severities) - failing
        rest = f", and {_number(others, 'remark')}" if others else ""
        said = f"{_number(failing, 'thing')} would fail{rest}."
    lines = [said]
    if not diagnosis.is_registration_tried:
        lines.append("No registration was tried, so nothing is known of registering and of logins that begin with it.")
    return lines


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _result(checked: Checked) -> str:
    if checked.findings is None:
        return "not looked at"
    order = list(Severity)
    worst = sorted((finding.severity for finding in checked.findings), key=order.index)
    return worst[0].value if worst else "ok"


def _finding(check: Check, finding: DoctorFinding) -> dict[str, Any]:
    return {
        "id": check.id,
        "severity": finding.severity.value,
        "seen": finding.seen,
        "why": check.why,
        "change": check.change,
        "clients": list(finding.clients),
    }


def _client(outlook: Outlook) -> dict[str, Any]:
    failure = outlook.failure
    return {
        "id": outlook.client.id,
        "name": outlook.client.title,
        "basis": outlook.client.basis,
        "connects": failure is None and not outlook.is_elsewhere,
        "reachable": not outlook.is_elsewhere,
        "fails_at": None if failure is None else failure[0].id,
        "seen": None if failure is None else failure[1].seen,
        "remarks": outlook.others,
    }
