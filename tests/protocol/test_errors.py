"""The codes of errors (2026-07-28 basic/index, "Error Codes")."""

from __future__ import annotations

from collections.abc import Iterator

import gatepost.app  # so that every class there is has been defined
from gatepost.protocol.errors import ApplicationError, ProtocolError, UnknownResource


def classes_below(base: type[ProtocolError]) -> Iterator[type[ProtocolError]]:
    """Every class that is derived from `base`."""
    for derived in base.__subclasses__():
        yield derived
        yield from classes_below(derived)


def test_our_own_errors_have_codes_of_json_rpc_or_of_the_specification_alone() -> None:
    ours = set(classes_below(ProtocolError)) - {ApplicationError, UnknownResource}

    assert gatepost.app is not None
    assert {error.code for error in ours} == {-32700, -32600, -32601, -32602, -32603, -32020, -32021, -32022}
    # Earlier revisions only, see tests/server/methods/test_resources_and_prompts.py.
    assert UnknownResource.code == -32002
