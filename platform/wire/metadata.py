"""Metadata answers (key 3), the tuned path: a topic is encoded once per version and the bytes are kept by whoever
owns the topic.

Always true: `encode_topic` depends on nothing but its arguments, so its result may be cached until the topic or its
leadership changes; `encode_metadata_response` only joins. Equal to the generic description in `messages/metadata.py`
(a test holds it). Requests are small and rare enough for the generic decoder.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from struct import Struct
from typing import NamedTuple

from .messages.metadata import OPERATIONS_NOT_ASKED
from .varint import encode_uvarint

FLEXIBLE_FROM = 9
REPLICAS_MAX = 126  # per partition: their count is one byte


class MetadataBroker(NamedTuple):
    node_id: int
    host: str
    port: int
    rack: str | None = None


class MetadataPartition(NamedTuple):
    """A partition as clients are told it: leader -1 and an error when there is none."""

    error: int
    partition: int
    leader_id: int
    leader_epoch: int
    replicas: Sequence[int]
    isr: Sequence[int]
    offline: Sequence[int] = ()


_COUNT = Struct(">i").pack
_INT16 = Struct(">h").pack
_SIZE_CORRELATION = Struct(">ii").pack


def encode_topic(
    version: int,
    error: int,
    name: str | None,
    topic_id: bytes,
    partitions: Sequence[MetadataPartition],
    *,
    is_internal: bool = False,
    operations: int = OPERATIONS_NOT_ASKED,
) -> bytes:
    """One topic of an answer. `topic_id` is 16 bytes; a null name is for unknown ids, version 12 and up."""
    flexible = version >= FLEXIBLE_FROM
    pieces = [_INT16(error), encode_string(name, flexible)]
    if version >= 10:
        pieces.append(topic_id)
    if version >= 1:
        pieces.append(b"\1" if is_internal else b"\0")
    pieces.append(_encode_count(len(partitions), flexible))
    has_epoch, has_offline = version >= 7, version >= 5
    for code, index, leader, epoch, replicas, isr, offline in partitions:
        form = _partition_form(version, len(replicas), len(isr), len(offline))
        if flexible:
            piece = form.pack(
                code, index, leader, epoch,
                len(replicas) + 1, *replicas, len(isr) + 1, *isr, len(offline) + 1, *offline, 0,
            )  # fmt: skip
        elif has_epoch:
            piece = form.pack(
                code, index, leader, epoch, len(replicas), *replicas, len(isr), *isr, len(offline), *offline
            )
        elif has_offline:
            piece = form.pack(code, index, leader, len(replicas), *replicas, len(isr), *isr, len(offline), *offline)
        else:
            piece = form.pack(code, index, leader, len(replicas), *replicas, len(isr), *isr)
        pieces.append(piece)
    if version >= 8:
        pieces.append(_COUNT(operations))
    if flexible:
        pieces.append(b"\0")
    return b"".join(pieces)


@lru_cache(maxsize=4096)
def _partition_form(version: int, replicas: int, isr: int, offline: int) -> Struct:
    assert max(replicas, isr, offline) <= REPLICAS_MAX, "more replicas than their count's byte can say"
    if version >= FLEXIBLE_FROM:
        return Struct(f">hiiiB{replicas}iB{isr}iB{offline}iB")
    epoch = "i" if version >= 7 else ""
    offline_letters = f"i{offline}i" if version >= 5 else ""
    return Struct(f">hii{epoch}i{replicas}ii{isr}i{offline_letters}")


def encode_metadata_response(
    version: int,
    correlation_id: int,
    brokers: Iterable[MetadataBroker],
    cluster_id: str | None,
    controller_id: int,
    topics: Sequence[bytes],
    *,
    throttle_ms: int = 0,
    error: int = 0,
    cluster_operations: int = OPERATIONS_NOT_ASKED,
) -> bytes:
    """The whole frame, its size in front. `topics` are results of `encode_topic` for the same version."""
    flexible = version >= FLEXIBLE_FROM
    pieces = [b"", b"\0"] if flexible else [b""]
    if version >= 3:
        pieces.append(_COUNT(throttle_ms))
    brokers = list(brokers)
    pieces.append(_encode_count(len(brokers), flexible))
    for node_id, host, port, rack in brokers:
        pieces += (_COUNT(node_id), encode_string(host, flexible), _COUNT(port))
        if version >= 1:
            pieces.append(encode_string(rack, flexible))
        if flexible:
            pieces.append(b"\0")
    if version >= 2:
        pieces.append(encode_string(cluster_id, flexible))
    if version >= 1:
        pieces.append(_COUNT(controller_id))
    pieces.append(_encode_count(len(topics), flexible))
    pieces += topics
    if 8 <= version <= 10:
        pieces.append(_COUNT(cluster_operations))
    if version >= 13:
        pieces.append(_INT16(error))
    if flexible:
        pieces.append(b"\0")
    pieces[0] = _SIZE_CORRELATION(4 + sum(map(len, pieces)), correlation_id)
    return b"".join(pieces)


def encode_string(value: str | None, flexible: bool) -> bytes:
    """A nullable string in either form."""
    if value is None:
        return b"\0" if flexible else b"\xff\xff"
    raw = value.encode()
    return (encode_uvarint(len(raw) + 1) if flexible else _INT16(len(raw))) + raw


def _encode_count(count: int, flexible: bool) -> bytes:
    return encode_uvarint(count + 1) if flexible else _COUNT(count)
