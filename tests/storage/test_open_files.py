import os
import threading
from pathlib import Path

import pytest
from coldstream.storage.disk import OsDisk
from coldstream.storage.open_files import LIMIT_MIN, OpenFile, OpenFiles

LIMIT = LIMIT_MIN


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    found = [str(tmp_path / str(i)) for i in range(3 * LIMIT)]
    for path in found:
        Path(path).write_text(path)
    return found


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_the_budget_is_kept_and_the_unused_go_first(paths: list[str]) -> None:
    files = OpenFiles(OsDisk(), LIMIT)
    opened = [OpenFile(path, os.O_RDONLY) for path in paths]
    before = open_descriptors()
    for file in opened:
        files.open(opened[0]) if opened[0].fd < 0 else setattr(opened[0], "used", True)
        files.open(file)
    assert open_descriptors() - before <= LIMIT
    assert opened[0].fd >= 0  # it was used all along
    for file in opened:
        files.close(file)
    assert open_descriptors() == before


def test_dirty_and_pinned_files_stay_open_over_the_budget(paths: list[str]) -> None:
    files = OpenFiles(OsDisk(), LIMIT)
    opened = [OpenFile(path, os.O_RDONLY) for path in paths]
    for i, file in enumerate(opened):
        files.open(file)
        if i % 2:
            file.dirty = True
        else:
            files.pin(file)
    assert all(file.fd >= 0 for file in opened)
    for file in opened:
        file.dirty = False
        if file.pins:
            files.unpin(file)
    files.make_room()
    assert sum(file.fd >= 0 for file in opened) < LIMIT


def test_a_doomed_file_is_closed_when_its_last_reader_is_done(paths: list[str]) -> None:
    files = OpenFiles(OsDisk(), LIMIT)
    file = OpenFile(paths[0], os.O_RDONLY)
    files.open(file)
    with files.pinned(file) as fd:
        files.close(file)
        assert os.pread(fd, 5, 0)
    files.reap()
    assert file.fd < 0
    with pytest.raises(FileNotFoundError), files.pinned(file):
        pass


def test_a_reader_over_the_budget_has_a_descriptor_of_its_own(paths: list[str]) -> None:
    files = OpenFiles(OsDisk(), LIMIT)
    for path in paths[:LIMIT]:
        files.open(OpenFile(path, os.O_RDONLY))
    file = OpenFile(paths[LIMIT], os.O_RDONLY)
    before = open_descriptors()
    with files.pinned(file) as fd:
        assert os.pread(fd, 200, 0).decode() == file.path
        assert file.fd < 0
    assert open_descriptors() == before


def test_closing_tells_whoever_asked(paths: list[str]) -> None:
    files = OpenFiles(OsDisk(), LIMIT)
    closed: list[str] = []
    for path in paths:
        file = OpenFile(path, os.O_RDONLY)
        file.on_closed = lambda path=path: closed.append(path)
        files.open(file)
    assert len(closed) >= len(paths) - LIMIT


def test_readers_in_threads_never_see_another_files_bytes(paths: list[str]) -> None:
    files = OpenFiles(OsDisk(), LIMIT)
    opened = [OpenFile(path, os.O_RDONLY) for path in paths]
    wrong: list[str] = []
    stop = threading.Event()

    def read(seed: int) -> None:
        at = seed
        while not stop.is_set():
            file = opened[at % len(opened)]
            with files.pinned(file) as fd:
                if os.pread(fd, 500, 0).decode() != file.path:
                    wrong.append(file.path)
            at += 7

    threads = [threading.Thread(target=read, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for i in range(3000):
        files.open(opened[i * 5 % len(opened)])
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_file_doomed_twice_is_closed_once(paths: list[str]) -> None:
    closed: list[int] = []

    class Watching(OsDisk):
        def close(self, fd: int, /) -> None:  # type: ignore[override]
            closed.append(fd)
            os.close(fd)

    files = OpenFiles(Watching(), LIMIT)
    file = OpenFile(paths[0], os.O_RDONLY)
    fd = files.open(file)
    files.doom(file)
    files.doom(file)
    files.reap()
    assert closed == [fd]


class ReplacedWhileOpened(OsDisk):
    """Between the decision to open a file and the opening, the file is doomed and another gets its name."""

    files: OpenFiles
    victim: OpenFile | None = None

    def open(self, path: str, flags: int, mode: int = 0o777) -> int:
        if self.victim is not None and path == self.victim.path:
            self.files.doom(self.victim)
            other = Path(path + ".cleaned")
            other.write_text("another")
            other.rename(path)
        return super().open(path, flags, mode)


@pytest.mark.parametrize("others_open", [0, LIMIT])
def test_a_file_that_is_replaced_while_it_is_being_opened_is_never_read_as_the_old_one(
    paths: list[str], others_open: int
) -> None:
    disk = ReplacedWhileOpened()
    files = disk.files = OpenFiles(disk, LIMIT)
    for path in paths[:others_open]:
        files.open(OpenFile(path, os.O_RDONLY))
    disk.victim = OpenFile(paths[LIMIT], os.O_RDONLY)
    before = open_descriptors()
    with pytest.raises(FileNotFoundError), files.pinned(disk.victim) as fd:
        pytest.fail(f"the descriptor of another file: {os.pread(fd, 200, 0)!r}")
    assert open_descriptors() == before


def test_a_file_that_is_doomed_while_room_is_made_is_closed_once(paths: list[str]) -> None:
    class DoomedMeanwhile(OpenFiles):
        def reap(self) -> None:
            super().reap()
            if len(self) == LIMIT and not opened[0].doomed:
                self.doom(opened[0])  # by another thread

    files = DoomedMeanwhile(OsDisk(), LIMIT)
    opened = [OpenFile(path, os.O_RDONLY) for path in paths[: LIMIT + 1]]
    before = open_descriptors()
    for file in opened:
        files.open(file)
        file.used = False
    files.reap()
    for file in opened:
        files.close(file)
    assert open_descriptors() == before
