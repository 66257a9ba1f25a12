"""What tests of every folder share. Nothing heavy is imported until a test asks for it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from coldstream.tests.platform_process import PlatformProcess


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[PlatformProcess]":
    """One running platform on a directory store, shared by a worker's tests: make your own tenant or topics on it.

    Tests that stop, kill or configure a platform start one of their own.
    """
    from coldstream.tests.platform_process import PlatformProcess

    with PlatformProcess.started(tmp_path_factory.mktemp("platform"), offload_interval_ms=200) as running:
        yield running
