"""Every test here runs on both databases."""

from pathlib import Path

import pytest
from coldstream.tests.postgres_server import KINDS, fresh_database


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return fresh_database(request.param, tmp_path)
