"""A console whose broker is away: what pages show then has to be as good as what they show else."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from coldstream.tests.platform_process import PlatformProcess


@contextmanager
def brokerless(platform: PlatformProcess) -> Iterator[str]:
    """The URL of a second console on the platform's database, told of a broker where nothing listens.

    In development mode, so that it has the page of components too.
    """
    ready, report = os.pipe()
    environ = {
        **os.environ,
        "COLDSTREAM_DATA_DIR": str(platform.data_dir),
        "COLDSTREAM_CONSOLE": "127.0.0.1:0",
        "COLDSTREAM_KAFKA": "127.0.0.1:1",
        "COLDSTREAM_CONSOLE_DEVELOPMENT": "true",
        "COLDSTREAM_LOG_LEVEL": "warning",
        "COLDSTREAM_READY_FD": str(report),
    }
    process = subprocess.Popen([sys.executable, "-m", "coldstream.console"], env=environ, pass_fds=(report,))
    os.close(report)
    try:
        with os.fdopen(ready) as pipe:
            said = re.search(r'"ready": ?"([^"]+)"', pipe.readline())
        assert said is not None, "the console without a broker did not start"
        yield f"http://{said[1]}"
    finally:
        process.terminate()
        process.wait(20)
