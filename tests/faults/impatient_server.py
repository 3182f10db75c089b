"""`gatepost serve`, whose requests wait for two seconds at most while the store is busy; run as a module.

As long as their clients wait (9 and 28 seconds) would be most of what a test of a fault takes.
"""

from __future__ import annotations

import os
import sys

from gatepost.stores.sql import postgresql, sqlite
from gatepost.stores.sql.postgresql import database
from gatepost.web.site import patience

vars(patience).update(CODE_SECONDS=2.0, REFRESH_SECONDS=2.0)  # before anybody imports them

from gatepost.web.site import health  # noqa: E402 - see above

vars(health)["_PROBE_SECONDS"] = 1.0
vars(database).update(LONGEST_STATEMENT=2.0, _COMMIT_SECONDS=2.0)
for make in (postgresql.postgresql_store, sqlite.file_store):
    assert make.__kwdefaults__ is not None
    make.__kwdefaults__["busy_timeout"] = 2.0

if __name__ == "__main__":
    from gatepost.cli.main import main

    sys.exit(main(["serve", os.environ["TARGET"]]))
