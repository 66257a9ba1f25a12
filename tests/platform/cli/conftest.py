from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from coldstream.platform.cli.main import main
from coldstream.tests.console.world import Broker
from coldstream.tests.platform.cli.console_thread import console_on_a_thread

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cli")


@pytest.fixture(scope="module")
def broker(data_dir: Path) -> Iterator[Broker]:
    """A console that serves the data directory, and what it thinks is its broker."""
    with console_on_a_thread(data_dir) as broker:
        yield broker


@pytest.fixture
def run(data_dir: Path, broker: Broker, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs one command line in this process: status, stdout, stderr."""
    monkeypatch.setenv("COLDSTREAM_DATA_DIR", str(data_dir))
    for name in ("COLDSTREAM_URL", "COLDSTREAM_TOKEN"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str) -> tuple[int, str, str]:
        try:
            status = main(arguments)
        except SystemExit as left:  # argparse: --help, or wrong usage
            status = int(left.code or 0)
        said = capsys.readouterr()
        return status, said.out, said.err

    return run
