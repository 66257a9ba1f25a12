"""Make directories for logs, and remove logs so that a crash half-way leaves only what can be removed again.

Always true: a log's directory is renamed before its first file goes, so one by the name of a partition is whole.
"""

import errno
from collections.abc import Iterable

from .disk import Disk

DELETED_SUFFIX = ".deleted"


def directories_above(directory: str) -> list[str]:
    """Every directory that a log's files need an entry in: its own, the topic's, `topics` and the data directory."""
    found = [directory]
    while len(found) < 4:
        found.append(found[-1].rpartition("/")[0] or "/")
    return found


def make_directories(disk: Disk, path: str) -> bool:
    """Make a directory and those above it. False when it was there."""
    missing: list[str] = []
    while path and not disk.exists(path):
        missing.append(path)
        path = path.rpartition("/")[0]
    for directory in reversed(missing):
        try:
            disk.mkdir(directory)
        except FileExistsError:
            continue  # a partition of the same topic, opened in another thread
    return bool(missing)


def remove_directory(disk: Disk, directory: str) -> None:
    """Remove a partition's directory, and its topic's when it was the last one. Harmless to repeat. Blocks."""
    doomed = directory if directory.endswith(DELETED_SUFFIX) else directory + DELETED_SUFFIX
    if doomed != directory and disk.exists(directory):
        disk.rename(directory, doomed)
    if disk.exists(doomed):
        for name in disk.listdir(doomed):
            disk.unlink(f"{doomed}/{name}")
        disk.rmdir(doomed)
    try:
        disk.rmdir(directory.rpartition("/")[0])
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):
            raise


def remove_topic(disk: Disk, topic_directory: str) -> None:
    """Remove every partition of a topic, those that an earlier attempt left half removed included. Blocks."""
    if not disk.exists(topic_directory):
        return
    for name in disk.listdir(topic_directory):
        remove_directory(disk, f"{topic_directory}/{name}")
    if disk.exists(topic_directory):
        disk.rmdir(topic_directory)


def finish_removals(disk: Disk, topics_directory: str) -> list[str]:
    """Remove what crashed removals left below `<data>/topics`; the directories that were finished off. Blocks."""
    finished: list[str] = []
    for topic in _names(disk, topics_directory):
        for name in _names(disk, f"{topics_directory}/{topic}"):
            if name.endswith(DELETED_SUFFIX):
                finished.append(f"{topics_directory}/{topic}/{name}")
                remove_directory(disk, finished[-1])
    return finished


def _names(disk: Disk, path: str) -> Iterable[str]:
    try:
        return sorted(disk.listdir(path))
    except (FileNotFoundError, NotADirectoryError):
        return ()
