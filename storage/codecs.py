"""Compress and decompress what follows a batch header, as Kafka's clients do, with a bound on what comes out.

Always true: `decompress` never holds more than `bytes_max` of output, whatever the input claims (a megabyte of zstd can
claim a hundred gigabytes); too much, or bytes that are not of the codec, raise DecodeFailed.
"""

import mmap
import struct
import zlib

import cramjam
import lz4.frame

from .batch import CODECS
from .errors import DecodeFailed, DecompressedTooLarge

DECOMPRESSED_BYTES_MAX = 64 * 2**20
XERIAL_MAGIC = b"\x82SNAPPY\x00"  # the framing of snappy-java, which Kafka's own clients use
XERIAL_HEAD_BYTES = 16  # magic, version, compatible version
XERIAL_BLOCK_BYTES = 32 * 1024
GZIP_WINDOW = 31  # zlib's way of saying "a gzip header and trailer"
MEMBERS_MAX = 100  # gzip members or lz4 frames of one batch: clients write one, and each costs a copy of what follows
ZSTD_ROOM_BYTES = 128 * 1024  # what is tried first
_SIZE = struct.Struct(">i")


def decompress(codec: str, data: bytes | memoryview, bytes_max: int = DECOMPRESSED_BYTES_MAX) -> bytes:
    """Raises DecodeFailed."""
    try:
        if codec == "none":
            found = bytes(data)
        elif codec == "gzip":
            found = _gunzip(data, bytes_max)
        elif codec == "snappy":
            found = _unsnappy(bytes(data), bytes_max)
        elif codec == "lz4":
            found = _unlz4(data, bytes_max)
        elif codec == "zstd":
            found = _unzstd(data, bytes_max)
        else:
            raise DecodeFailed(f"no such codec: {codec}")
    except DecodeFailed:
        raise
    except Exception as error:  # the four libraries raise classes of their own, some of them plain RuntimeError
        raise DecodeFailed(f"not {codec}: {error}") from error
    if len(found) > bytes_max:
        raise _too_large(bytes_max)
    return found


def compress(codec: str, data: bytes) -> bytes:
    """Raises DecodeFailed for a codec that does not exist."""
    if codec == "none":
        return data
    if codec == "gzip":
        packer = zlib.compressobj(wbits=GZIP_WINDOW)
        return packer.compress(data) + packer.flush()
    if codec == "snappy":
        return _snappy(data)
    if codec == "lz4":
        # Kafka's Java client reads no blocks that depend on the ones before them.
        return bytes(lz4.frame.compress(data, block_linked=False))  # type: ignore[attr-defined]  # not said to be there
    if codec == "zstd":
        return bytes(cramjam.zstd.compress(data))
    raise DecodeFailed(f"no such codec: {codec}, only {', '.join(CODECS)}")


def _too_large(bytes_max: int) -> DecodeFailed:
    return DecompressedTooLarge(f"the records are larger than {bytes_max} bytes when decompressed")


def _too_many() -> DecodeFailed:
    return DecodeFailed(f"more than {MEMBERS_MAX} compressed members in one batch")


def _gunzip(data: bytes | memoryview, bytes_max: int) -> bytes:
    found = bytearray()
    left = bytes(data)
    members = 0
    while left:
        members += 1
        if members > MEMBERS_MAX:
            raise _too_many()
        member = zlib.decompressobj(wbits=GZIP_WINDOW)
        found += member.decompress(left, bytes_max + 1 - len(found))
        if len(found) > bytes_max:
            raise _too_large(bytes_max)
        if not member.eof:
            raise DecodeFailed("the gzip stream is cut off")
        left = member.unused_data
    return bytes(found)


def _unlz4(data: bytes | memoryview, bytes_max: int) -> bytes:
    found = bytearray()
    left: bytes | None = bytes(data)
    frames = 0
    while left:
        frames += 1
        if frames > MEMBERS_MAX:
            raise _too_many()
        frame = lz4.frame.LZ4FrameDecompressor()  # type: ignore[no-untyped-call]
        found += frame.decompress(left, max_length=bytes_max + 1 - len(found))  # type: ignore[no-untyped-call]
        if len(found) > bytes_max:
            raise _too_large(bytes_max)
        if not frame.eof:
            raise DecodeFailed("the lz4 frame is cut off")
        left = frame.unused_data
    return bytes(found)


def _unzstd(data: bytes | memoryview, bytes_max: int) -> bytes:
    # An output that cannot grow is the one bound the library keeps.
    try:
        room = bytearray(min(bytes_max, ZSTD_ROOM_BYTES))
        return bytes(memoryview(room)[: cramjam.zstd.decompress_into(bytes(data), room)])
    except cramjam.DecompressionError as error:
        if "whole buffer" not in str(error):
            raise
    if bytes_max <= ZSTD_ROOM_BYTES:
        raise _too_large(bytes_max)
    with mmap.mmap(-1, bytes_max) as pages:  # untouched pages cost nothing; those of a bytearray are all touched
        try:
            return pages[: cramjam.zstd.decompress_into(bytes(data), pages)]
        except cramjam.DecompressionError as error:
            if "whole buffer" not in str(error):
                raise
    raise _too_large(bytes_max)


def _unsnappy(data: bytes, bytes_max: int) -> bytes:
    if not data.startswith(XERIAL_MAGIC):
        return _unsnappy_raw(data, bytes_max, bytes_max)
    found, at = bytearray(), XERIAL_HEAD_BYTES
    while at < len(data):
        (size,) = _SIZE.unpack_from(data, at)
        at += _SIZE.size
        if not 0 < size <= len(data) - at:
            raise DecodeFailed(f"a snappy block claims {size} of {len(data) - at} bytes")
        found += _unsnappy_raw(data[at : at + size], bytes_max - len(found), bytes_max)
        at += size
    return bytes(found)


def _unsnappy_raw(block: bytes, room_bytes: int, bytes_max: int) -> bytes:
    if cramjam.snappy.decompress_raw_len(block) > room_bytes:
        raise _too_large(bytes_max)
    return bytes(cramjam.snappy.decompress_raw(block))


def _snappy(data: bytes) -> bytes:
    framed = bytearray(XERIAL_MAGIC + struct.pack(">ii", 1, 1))
    for at in range(0, len(data), XERIAL_BLOCK_BYTES):
        block = bytes(cramjam.snappy.compress_raw(data[at : at + XERIAL_BLOCK_BYTES]))
        framed += _SIZE.pack(len(block)) + block
    return bytes(framed)
