"""The demonstration with the year's first flights, from a directory and from a real S3 server, with three libraries."""

from pathlib import Path

import pytest
from coldstream.tests.demo.flights import Round
from coldstream.tests.demo.narrator import Narrator
from coldstream.tests.demo.readers import READERS
from coldstream.tests.platform_process import PlatformProcess
from coldstream.tests.s3_servers import s3_url

SAMPLE = 20_000


@pytest.mark.slow
@pytest.mark.parametrize("store", ["file", "seaweedfs"])
def test_flights_come_back_from_the_cold_tier(store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {} if store == "file" else {"object_store": s3_url(store, monkeypatch)}
    with PlatformProcess.started(tmp_path, **settings) as platform:
        Round({"COLDSTREAM_DATA_DIR": str(platform.data_dir)}, Narrator(), SAMPLE).run(list(READERS))
