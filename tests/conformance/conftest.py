"""One namespace for each file of client tests, on the platform that the worker shares."""

import pytest
from coldstream.tests.platform_process import PlatformProcess
from coldstream.tests.virtual_cluster import HttpApi, VirtualCluster


@pytest.fixture(scope="module")
def cluster(platform: PlatformProcess) -> VirtualCluster:
    return VirtualCluster.make(HttpApi(platform.url, platform.token), platform.bootstrap)
