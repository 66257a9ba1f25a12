"""Two tenants of their own for each file, on the platform that the worker shares."""

import pytest
from coldstream.tests.platform_process import PlatformProcess
from coldstream.tests.virtual_cluster import HttpApi

from .world import World, build


@pytest.fixture(scope="module")
def world(platform: PlatformProcess) -> World:
    return build(HttpApi(platform.url, platform.token), platform.bootstrap)
