"""The promises of the store contract as tests, for a store of one's own (docs/own-store.md).

    class TestMyStore(StoreConformance):
        @pytest.fixture
        def place(self, tmp_path: Path) -> Place:
            return Place(my_store, str(tmp_path))

It needs pytest and pytest-asyncio, which `gatepost[dev]` installs. Nothing that serves imports this package.

Owns: `behaviour`, the promises by concern; `concurrency`, what parallel tasks, threads and processes are promised;
`durability`, what is left after closing and after a process was killed; how a test comes to a store (`places.py`), and
what a failed one says (`promises.py`).
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from gatepost.stores.conformance.places import Place

if "pytest" in sys.modules:
    # So that a failed assertion shows its values; it has to be said before the tests are imported.
    rooms = ("behaviour", "concurrency", "durability")
    sys.modules["pytest"].register_assert_rewrite(*(f"{__name__}.{room}" for room in rooms))

if TYPE_CHECKING:
    from gatepost.stores.conformance.suite import StoreConformance

__all__ = ["Place", "StoreConformance"]


def __getattr__(name: str) -> Any:
    """Import the tests when they are asked for: processes that work on a store for them need no pytest."""
    if name != "StoreConformance":
        raise AttributeError(name)
    from gatepost.stores.conformance.suite import StoreConformance as suite  # noqa: PLC0415, N813 - see above

    return suite
