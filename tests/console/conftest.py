from collections.abc import Iterator

import pytest
from coldstream.tests.console.browsing import remove_seeded_template
from coldstream.tests.console.world import remove_template


@pytest.fixture(scope="session", autouse=True)
def template_database() -> Iterator[None]:
    """The databases that each test copies go when the last one is done."""
    yield
    remove_seeded_template()
    remove_template()
