"""Where somebody has read to in a topic, as text: `0:17,2:5` is the next offset of each partition that is not 0.

Always true: what `spell` writes, `parse` reads; `earliest` is no offset at all.
"""

from collections.abc import Mapping

EARLIEST, LATEST, NEWEST = "earliest", "latest", "newest"
LENGTH_MAX = 30_000  # an address and a header have to hold it
PATTERN = r"^(earliest|latest|newest|[0-9]{1,5}:[0-9]{1,18}(,[0-9]{1,5}:[0-9]{1,18})*)$"


def spell(offsets: Mapping[int, int]) -> str:
    """The text; `latest` where it would be too long to carry about."""
    text = ",".join(f"{partition}:{offset}" for partition, offset in sorted(offsets.items()) if offset)
    if len(text) > LENGTH_MAX:
        return LATEST
    return text or EARLIEST


def parse(text: str, partitions: int) -> dict[int, int]:
    """The next offset of each of so many partitions. Raises ValueError for what is no position."""
    offsets = dict.fromkeys(range(partitions), 0)
    if text == EARLIEST:
        return offsets
    if len(text) > LENGTH_MAX:
        raise ValueError(f"a position has at most {LENGTH_MAX} characters")
    for part in text.split(","):
        partition, _, offset = part.partition(":")
        if not (partition.isascii() and partition.isdigit() and offset.isascii() and offset.isdigit()):
            raise ValueError(f"{text[:40]!r} is no position")
        if int(partition) in offsets and len(offset) <= 18:
            offsets[int(partition)] = int(offset)
    return offsets
