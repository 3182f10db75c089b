"""PostgreSQL servers that tests break, and servers of Gatepost that have to live through it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import postgresql_instance
from tests.conftest import RequireService
from tests.postgresql_instance import Instances, postgresql_instances


@pytest.fixture(scope="module")
def instances(require_service: RequireService) -> Iterator[Instances]:
    """Makes PostgreSQL servers for the tests of a file."""
    require_service("PostgreSQL's programs", available=postgresql_instance.is_possible())
    with postgresql_instances() as made:
        yield made
