from collections.abc import Iterator

import pytest
from coldstream.tests.console.world import remove_template


@pytest.fixture(scope="session", autouse=True)
def template_database() -> Iterator[None]:
    """The database that each test copies goes when the last one is done."""
    yield
    remove_template()
