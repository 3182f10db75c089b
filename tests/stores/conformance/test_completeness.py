"""No operation of the contract is left out: each is called by the suite, and says what a repetition does."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
from pathlib import Path

import pytest

from gatepost.stores import conformance, contract
from gatepost.stores.conformance.behaviour.repetition import REPETITIONS
from gatepost.stores.conformance.promises import concerns, operations

READS = {
    "changes.changes_after",
    "changes.last_changes",
    "clients.complete_client",
    "keys.sealing_key_id",
    "keys.signing_keys",
    "mcp_cancellations.cancelled_requests",
    "mcp_sessions.subscribed_as",
    "mcp_streams.attached_streams",
    "mcp_streams.events_after",
    "second_steps.count_recovery_codes",
    "users.setup_is_open",
}
"""Operations that change nothing and are called neither `find_…` nor `list_…`."""
NO_CONCERNS = {"ClientFinder", "Patience", "Listening"}
"""Protocols that are no concern of a store by themselves."""


def called() -> set[str]:
    """Return what the suite calls on a store, by `concern.method`."""
    found = set()
    for path in Path(conformance.__path__[0]).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute):
                found.add(f"{node.value.attr}.{node.attr}")
    return found


def test_every_protocol_of_the_contract_is_a_concern_of_the_store() -> None:
    protocols = set()
    for module in pkgutil.iter_modules(contract.__path__, f"{contract.__name__}."):
        every = inspect.getmembers(importlib.import_module(module.name), inspect.isclass)
        protocols |= {name for name, kind in every if getattr(kind, "_is_protocol", False) and name != "Protocol"}

    assert protocols - NO_CONCERNS == {protocol.__name__ for protocol in concerns().values()}


def test_every_operation_of_the_contract_is_called_by_the_suite() -> None:
    assert operations().keys() - called() == set()
    assert {"wakeups.listening", "wakeups.are_heard"} <= called()  # no operations: a context, and what is known


def test_every_operation_that_writes_is_repeated_by_the_suite() -> None:
    others = operations().keys() - REPETITIONS.keys()

    assert {name for name in others if not name.partition(".")[2].startswith(("find_", "list_"))} == READS
    assert REPETITIONS.keys() <= operations().keys()


@pytest.mark.parametrize("operation", sorted(REPETITIONS))
def test_every_operation_that_writes_says_what_a_repetition_does(operation: str) -> None:
    name = operation.partition(".")[2]

    # What deletes what is over says so once for all, in the package.
    assert name.startswith(("delete_", "forget_jtis")) or "Repeated" in operations()[operation]
